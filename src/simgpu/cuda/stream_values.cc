// SPDX-License-Identifier: Apache-2.0
//
// cuStreamWaitValue and cuStreamWriteValue, 32 and 64 bits: streams that wait for a word of memory.
//
// A wait is an item for a place that is not known yet. It becomes one when a write that fulfils it
// is queued, by this process on any of its devices. A write's content is there at once, as that of
// copies is; who waits for it goes on when its place in its stream is reached. What copies write is
// looked at when the next value is queued.
//
// Not simulated: words in host memory, which the program can change at any time; captured streams;
// batches.

#include "api/cuda/types.h"
#include "simgpu/cuda/item_event.h"
#include "simgpu/cuda/memory.h"
#include "simgpu/state/os.h"

namespace hami::simgpu::cuda {
namespace {

// CUstreamWaitValue_flags; kFlush may be added.
enum class Condition : unsigned { kGreaterOrEqual = 0, kEqual = 1, kAnd = 2, kNor = 3 };
constexpr unsigned kConditions = 3;
constexpr unsigned kFlush = 1U << 30;

struct Waiting {
  uint64_t address;
  uint64_t value;
  uint32_t bytes;
  Condition condition;
  Place place;  // of the waiting item itself
  Waiting* next;
};
Waiting* first_waiting;

bool IsMet(const Waiting& waiting, uint64_t now) {
  const uint64_t mask = waiting.bytes == 4 ? UINT32_MAX : UINT64_MAX;
  switch (waiting.condition) {
    case Condition::kGreaterOrEqual:
      // "Cyclic": the difference, as a signed number, is not negative.
      return waiting.bytes == 4 ? static_cast<int32_t>(now - waiting.value) >= 0
                                : static_cast<int64_t>(now - waiting.value) >= 0;
    case Condition::kEqual:
      return (now & mask) == (waiting.value & mask);
    case Condition::kAnd:
      return (now & waiting.value & mask) != 0;
    case Condition::kNor:
      return (~(now | waiting.value) & mask) != 0;
  }
  return false;
}

// Looks at all that wait; `write`: the place of the write that made the difference.
void LookAtWaiting(const Place& write) {
  LockGuard guard(process.machine);
  for (Waiting** link = &first_waiting; *link != nullptr;) {
    Waiting* waiting = *link;
    uint64_t value = 0;
    const bool is_there = IsBacked(waiting->address, waiting->bytes);
    if (is_there) ReadContent(waiting->address, &value, waiting->bytes);
    if (!is_there || !IsMet(*waiting, value)) {
      link = &waiting->next;
      continue;
    }
    SettleWait(waiting->place, write);
    *link = waiting->next;
    Deallocate(waiting);
  }
}

CUresult CheckWord(uint64_t address, uint32_t bytes) {
  if (address % bytes != 0) return CUDA_ERROR_INVALID_VALUE;
  if (IsDeviceAddress(address) && IsBacked(address, bytes)) return CUDA_SUCCESS;
  return FindHost(address) != nullptr ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
}

CUresult WaitValue(CUstream handle, uint64_t address, uint64_t value, uint32_t bytes,
                   unsigned flags, bool per_thread) {
  HAMI_ENTER(Need::kContext);
  Stream* stream = ResolveStream(entry.context, handle, per_thread);
  if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  const unsigned condition = flags & ~kFlush;
  if (condition > kConditions) return CUDA_ERROR_INVALID_VALUE;
  const CUresult word = CheckWord(address, bytes);
  if (word != CUDA_SUCCESS) return word;
  if (stream->capture != nullptr) return CUDA_ERROR_NOT_SUPPORTED;
  const Place place = QueueOpenWait(entry, *stream);
  if (!IsLive(stream, Kind::kStream)) return CUDA_SUCCESS;
  auto* waiting = static_cast<Waiting*>(AllocateZeroed(sizeof(Waiting)));
  *waiting = {address, value, bytes, static_cast<Condition>(condition), place, first_waiting};
  first_waiting = waiting;
  LookAtWaiting({});
  return CUDA_SUCCESS;
}

CUresult WriteValue(CUstream handle, uint64_t address, uint64_t value, uint32_t bytes,
                    unsigned flags, bool per_thread) {
  HAMI_ENTER(Need::kContext);
  Stream* stream = ResolveStream(entry.context, handle, per_thread);
  if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (flags > 1) return CUDA_ERROR_INVALID_VALUE;
  const CUresult word = CheckWord(address, bytes);
  if (word != CUDA_SUCCESS) return word;
  if (stream->capture != nullptr) return CUDA_ERROR_NOT_SUPPORTED;
  LookAtWaiting({});  // what was written before is no merit of this write
  WriteContent(address, &value, bytes);
  LookAtWaiting(QueueMark(entry, *stream));
  return CUDA_SUCCESS;
}

}  // namespace
}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

// The four forms of a function. The second version has the same parameters.
#define FORMS(name, act, Word, bytes)                                                              \
  HAMI_SIM_API CUresult name(CUstream s, CUdeviceptr address, Word value, unsigned flags) {        \
    return act(s, address, value, bytes, flags, false);                                            \
  }                                                                                                \
  HAMI_SIM_API CUresult name##_ptsz(CUstream s, CUdeviceptr address, Word value, unsigned flags) { \
    return act(s, address, value, bytes, flags, true);                                             \
  }
FORMS(cuStreamWaitValue32, WaitValue, uint32_t, 4)
FORMS(cuStreamWaitValue32_v2, WaitValue, uint32_t, 4)
FORMS(cuStreamWaitValue64, WaitValue, uint64_t, 8)
FORMS(cuStreamWaitValue64_v2, WaitValue, uint64_t, 8)
FORMS(cuStreamWriteValue32, WriteValue, uint32_t, 4)
FORMS(cuStreamWriteValue32_v2, WriteValue, uint32_t, 4)
FORMS(cuStreamWriteValue64, WriteValue, uint64_t, 8)
FORMS(cuStreamWriteValue64_v2, WriteValue, uint64_t, 8)
