// SPDX-License-Identifier: Apache-2.0
//
// Green contexts: parts of a device's multiprocessors inside its primary context.

#include <cstring>

#include "tests/conformance/cases.h"

namespace hami::conformance {
namespace {

// CUdevResource: its length and the place of its type and of the number of multiprocessors are the
// same in every release.
struct alignas(8) Resource {
  unsigned char bytes[144];
  int type() const { return Number(0); }
  int count() const { return Number(96); }

 private:
  int Number(size_t at) const {
    int value = 0;
    std::memcpy(&value, bytes + at, sizeof(value));
    return value;
  }
};

constexpr int kMultiprocessors = 1;
constexpr unsigned kDefaultStream = 1;
constexpr Resource* kNone = nullptr;

Resource WholeDevice() {
  Resource all = {};
  OK("cuDeviceGetDevResource", CUdevice{0}, &all, kMultiprocessors);
  return all;
}

CUgreenCtx Make(const Resource& part) {
  CUdevResourceDesc desc = nullptr;
  CUgreenCtx green = nullptr;
  OK("cuDevResourceGenerateDesc", &desc, &part, 1U);
  OK("cuGreenCtxCreate", &green, desc, CUdevice{0}, kDefaultStream);
  return green;
}

// The first of as many equal parts as there are with this many multiprocessors at least.
Resource Part(int multiprocessors) {
  const Resource all = WholeDevice();
  Resource part = {};
  unsigned groups = 1;
  OK("cuDevSmResourceSplitByCount", &part, &groups, &all, kNone, 0U,
     static_cast<unsigned>(multiprocessors));
  CHECK(groups == 1 && part.type() == kMultiprocessors && part.count() >= multiprocessors);
  return part;
}

CUstream StreamOf(CUgreenCtx green) {
  CUstream stream = nullptr;
  OK("cuGreenCtxStreamCreate", &stream, green, 1U, 0);
  return stream;
}

CASE(green_split,
     "Driver API, Green Contexts, cuDevSmResourceSplitByCount: least counts, multiples") {
  Start();
  const Resource all = WholeDevice();
  CHECK(all.type() == kMultiprocessors && all.count() == Attribute(16));
  const int capability = Attribute(75);
  const int least = capability >= 9 ? 8 : capability >= 8 ? 4 : 1;
  const int multiple = capability >= 9 ? 8 : capability >= 7 ? 2 : 1;
  unsigned possible = 0;
  OK("cuDevSmResourceSplitByCount", kNone, &possible, &all, kNone, 0U, 1U);
  CHECK(possible >= 2);
  Resource parts[2] = {};
  Resource rest = {};
  unsigned groups = 2;
  OK("cuDevSmResourceSplitByCount", static_cast<Resource*>(parts), &groups, &all, &rest, 0U, 1U);
  CHECK(groups == 2 && parts[0].count() == parts[1].count());
  CHECK(parts[0].count() >= least && parts[0].count() % multiple == 0);
  CHECK(rest.count() == all.count() - 2 * parts[0].count());
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuDevSmResourceSplitByCount", kNone, &possible, &all, kNone, 0U,
        static_cast<unsigned>(all.count()) + 1);
  // What was split off is for a green context, not for splitting.
  CHECK(Cu("cuDevSmResourceSplitByCount", kNone, &possible, static_cast<const Resource*>(&parts[0]),
           kNone, 0U, 1U) != CUDA_SUCCESS);
}

CASE(green_retains_primary,
     "Driver API, cuGreenCtxCreate, Destroy: retain and release the primary") {
  GIVES(CUDA_SUCCESS, "cuInit", 0U);
  const CUgreenCtx green = Make(Part(1));
  unsigned flags = 0;
  int active = 0;
  CUcontext current = nullptr;
  OK("cuDevicePrimaryCtxGetState", CUdevice{0}, &flags, &active);
  CHECK(active == 1);
  OK("cuCtxGetCurrent", &current);
  CHECK(current == nullptr);  // creating does not make it current
  OK("cuGreenCtxDestroy", green);
  OK("cuDevicePrimaryCtxGetState", CUdevice{0}, &flags, &active);
  CHECK(active == 0);
}

CASE(green_as_context, "Driver API, cuCtxFromGreenCtx: treated as if it were a primary context") {
  CUcontext primary = Start();
  const Resource part = Part(1);
  const CUgreenCtx green = Make(part);
  CUcontext context = nullptr;
  CUcontext current = nullptr;
  CUdevice device = -1;
  Resource seen = {};
  CUdeviceptr memory = 0;
  const size_t before = FreeBytes();
  OK("cuCtxFromGreenCtx", &context, green);
  CHECK(context != primary);
  OK("cuCtxSetCurrent", context);
  OK("cuCtxGetCurrent", &current);
  CHECK(current == context);
  OK("cuCtxGetDevice", &device);
  CHECK(device == 0);
  OK("cuGreenCtxGetDevResource", green, &seen, kMultiprocessors);
  CHECK(seen.count() == part.count());
  OK("cuMemAlloc_v2", &memory, 64 * kMib);
  CHECK(before - FreeBytes() == 64 * kMib);
  OK("cuCtxSetCurrent", primary);
  OK("cuGreenCtxDestroy", green);
  CHECK(before - FreeBytes() == 64 * kMib);  // memory belongs to the primary context
  OK("cuMemFree_v2", memory);
  CHECK(FreeBytes() == before);
}

CASE(green_streams, "Driver API, cuGreenCtxStreamCreate, cuStreamGetGreenCtx, cuGreenCtxDestroy") {
  Start();
  const CUgreenCtx green = Make(Part(1));
  const CUstream stream = StreamOf(green);
  CUstream refused = nullptr;
  CUgreenCtx seen = nullptr;
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuGreenCtxStreamCreate", &refused, green, 0U, 0);
  OK("cuStreamGetGreenCtx", stream, &seen);
  CHECK(seen == green);
  OK("cuStreamGetGreenCtx", NewStream(1), &seen);
  CHECK(seen == nullptr);
  OK("cuGreenCtxDestroy", green);
  GIVES(CUDA_ERROR_STREAM_DETACHED, "cuStreamSynchronize", stream);
  OK("cuStreamDestroy_v2", stream);
}

// On a quarter of the multiprocessors a kernel that fills the device takes longer.
CASE(green_kernels, "Driver API, Green Contexts: kernels run on the provisioned multiprocessors") {
  Start();
  const Spinner spinner;
  const int all = Attribute(16);
  const CUstream streams[2] = {NewStream(1), StreamOf(Make(Part(all / 4)))};
  float milliseconds[2] = {};
  for (int i = 0; i < 2; ++i) {
    CUevent start = NewEvent();
    CUevent end = NewEvent();
    unsigned long long counts = 2'000'000;
    void* parameters[] = {&counts};
    OK("cuEventRecord", start, streams[i]);
    OK("cuLaunchKernel", spinner.function(), static_cast<unsigned>(all * 16), 1U, 1U, 1024U, 1U, 1U,
       0U, streams[i], static_cast<void**>(parameters), static_cast<void**>(nullptr));
    OK("cuEventRecord", end, streams[i]);
    OK("cuEventSynchronize", end);
    milliseconds[i] = Milliseconds(start, end);
  }
  CHECK(milliseconds[1] > 2 * milliseconds[0]);
}

CASE(green_events, "Driver API, cuGreenCtxRecordEvent, cuGreenCtxWaitEvent") {
  Start();
  const Spinner spinner;
  const CUgreenCtx green = Make(Part(1));
  const CUstream streams[2] = {StreamOf(green), StreamOf(green)};
  CUevent ends[2] = {NewEvent(), NewEvent()};
  CUevent all = NewEvent();
  CUevent after = NewEvent();
  for (int i = 0; i < 2; ++i) {
    spinner.Launch(streams[i], 20 + 30 * i);
    OK("cuEventRecord", ends[i], streams[i]);
  }
  OK("cuGreenCtxRecordEvent", green, all);
  OK("cuGreenCtxWaitEvent", green, all);
  OK("cuEventRecord", after, streams[0]);
  OK("cuCtxSynchronize");
  CHECK(Milliseconds(ends[0], all) >= 0 && Milliseconds(ends[1], all) >= 0);
  CHECK(Milliseconds(all, after) >= 0);
}

}  // namespace
}  // namespace hami::conformance
