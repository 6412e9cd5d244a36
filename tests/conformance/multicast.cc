// SPDX-License-Identifier: Apache-2.0
//
// Multicast objects, with a team of one device.

#include "tests/conformance/cases.h"

namespace hami::conformance {
namespace {

constexpr int kMulticastSupported = 132;

CUmulticastObjectProp Team(size_t bytes) {
  CUmulticastObjectProp props = {};
  props.numDevices = 1;
  props.size = bytes;
  return props;
}

// The step of sizes and offsets. Skips where there are no multicast objects.
size_t Granularity() {
  if (Attribute(kMulticastSupported) == 0) Skip("no multicast");
  const CUmulticastObjectProp props = Team(2 * kMib);
  size_t bytes = 0;
  OK("cuMulticastGetGranularity", &bytes, &props, 0);
  CHECK(bytes > 0 && bytes % (2 * kMib) == 0);
  return bytes;
}

CUmemGenericAllocationHandle Create(size_t bytes) {
  CUmemAllocationProp props = {};
  props.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  props.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  CUmemGenericAllocationHandle handle = 0;
  OK("cuMemCreate", &handle, bytes, static_cast<const CUmemAllocationProp*>(&props), 0ULL);
  return handle;
}

CASE(multicast_unsupported, "Driver API, Multicast Object Management, Supported Platforms") {
  Start();
  if (Attribute(kMulticastSupported) != 0) Skip("multicast is supported");
  const CUmulticastObjectProp props = Team(2 * kMib);
  CUmemGenericAllocationHandle object = 0;
  GIVES(CUDA_ERROR_NOT_SUPPORTED, "cuMulticastCreate", &object, &props);
}

CASE(multicast_binding_keeps, "Driver API, cuMulticastCreate, AddDevice, BindMem, Unbind") {
  Start();
  const size_t step = Granularity();
  const CUmulticastObjectProp props = Team(4 * step);
  CUmemGenericAllocationHandle object = 0;
  OK("cuMulticastCreate", &object, &props);
  OK("cuMulticastAddDevice", object, CUdevice{0});
  const size_t before = FreeBytes();
  const CUmemGenericAllocationHandle memory = Create(step);
  CHECK(before - FreeBytes() == step);
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuMulticastBindMem", object, step / 2, memory, size_t{0}, step,
        0ULL);
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuMulticastBindMem", object, size_t{0}, memory, size_t{0},
        2 * step, 0ULL);
  OK("cuMulticastBindMem", object, step, memory, size_t{0}, step, 0ULL);
  OK("cuMemRelease", memory);
  CHECK(before - FreeBytes() == step);  // still bound
  OK("cuMulticastUnbind", object, CUdevice{0}, step, step);
  CHECK(FreeBytes() == before);
  OK("cuMemRelease", object);
}

CASE(multicast_objects_go, "Driver API, Multicast Object Management: released as physical memory") {
  Start();
  const size_t step = Granularity();
  const CUmulticastObjectProp props = Team(step);
  CUmemGenericAllocationHandle object = 0;
  OK("cuMulticastCreate", &object, &props);
  OK("cuMulticastAddDevice", object, CUdevice{0});
  const size_t before = FreeBytes();
  const CUmemGenericAllocationHandle memory = Create(step);
  OK("cuMulticastBindMem", object, size_t{0}, memory, size_t{0}, step, 0ULL);
  OK("cuMemRelease", memory);
  OK("cuMemRelease", object);
  CHECK(FreeBytes() == before);
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuMemRelease", object);
}

}  // namespace
}  // namespace hami::conformance
