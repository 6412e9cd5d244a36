// SPDX-License-Identifier: Apache-2.0
//
// Multiprocessors as a resource: asked for, split, and described for a green context. The smallest
// parts and their multiples by compute capability are those of the Driver API, Green Contexts.

#include <string.h>

#include "api/cuda/functions.h"
#include "simgpu/cuda/green.h"

namespace hami::simgpu::cuda {
namespace {

constexpr uint64_t kMagic = 0x6563727573657248;
constexpr unsigned kIgnoreCoscheduling = 1;
constexpr unsigned kMaxCluster = 2;
constexpr unsigned kBackfill = 1;

// CU_DEV_SM_RESOURCE_GROUP_PARAMS.
struct GroupParams {
  unsigned sm_count;
  unsigned coscheduled;
  unsigned preferred_coscheduled;
  unsigned flags;
  unsigned locality_domain;
  unsigned reserved[11];
};

struct Step {
  unsigned smallest;
  unsigned multiple;
};

Step StepOf(uint32_t device) {
  const uint32_t capability = ConfigOf(device).compute_capability;
  if (capability >= 90) return {8, 8};
  if (capability >= 80) return {4, 2};
  if (capability >= 70 || GlanceAtMachine().cuda_version >= 13000) return {2, 2};
  return {1, 1};
}

void Note(Resource* resource, uint32_t device, Origin origin, uint64_t split) {
  const ResourceNote note = {kMagic, device, origin, split};
  memcpy(resource->padding, &note, sizeof(note));
}

Resource Part(const Resource& input, unsigned count, unsigned alignment, Origin origin,
              uint64_t split) {
  Resource part = {};
  if (count == 0) return part;
  part = input;
  part.sm_count = count;
  part.alignment = alignment;
  Note(&part, NoteOf(&input)->device, origin, split);
  return part;
}

// The results of a split are for descriptors; only what comes out of a context can be split.
CUresult CheckInput(const Resource* input) {
  if (input == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (input->type != kMultiprocessors) return CUDA_ERROR_INVALID_RESOURCE_TYPE;
  const ResourceNote* note = NoteOf(input);
  if (note == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return note->origin == Origin::kGroup ? CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION : CUDA_SUCCESS;
}

CUresult SplitByCount(Resource* result, unsigned* groups, const Resource* input,
                      Resource* remainder, unsigned flags, unsigned min_count) {
  HAMI_ENTER(Need::kInit);
  if (groups == nullptr || (flags & ~(kIgnoreCoscheduling | kMaxCluster)) != 0) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  const CUresult checked = CheckInput(input);
  if (checked != CUDA_SUCCESS) return checked;
  if (min_count > input->sm_count) return CUDA_ERROR_INVALID_VALUE;
  Step step = StepOf(NoteOf(input)->device);
  // Assumed: the manual says "lower" and no number.
  if ((flags & kIgnoreCoscheduling) != 0 && step.multiple > 2) step = {2, 2};
  const unsigned wanted = min_count > step.smallest ? min_count : step.smallest;
  const unsigned each = (wanted + step.multiple - 1) / step.multiple * step.multiple;
  const unsigned possible = input->sm_count / each;
  if (possible == 0) return CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
  if (result == nullptr || *groups > possible) *groups = possible;
  if (result == nullptr) return CUDA_SUCCESS;
  const uint64_t split = ++process.next_id;
  const Resource whole = *input;  // may be one of the results
  for (unsigned i = 0; i < *groups; ++i) {
    result[i] = Part(whole, each, step.multiple, Origin::kGroup, split);
  }
  if (remainder != nullptr) {
    *remainder =
        Part(whole, whole.sm_count - *groups * each, step.multiple, Origin::kRemainder, split);
  }
  return CUDA_SUCCESS;
}

// How many multiprocessors a group gets out of `rest`; 0: as it is described it cannot be had.
unsigned GroupSize(const GroupParams& params, unsigned together, unsigned rest) {
  if (params.sm_count == 0) return rest / together * together;
  const bool whole =
      params.coscheduled == 0 || params.sm_count % together == 0 || (params.flags & kBackfill) != 0;
  const bool valid = params.sm_count % 2 == 0 && params.sm_count >= together && whole;
  return valid && params.sm_count <= rest ? params.sm_count : 0;
}

CUresult Split(Resource* result, unsigned count, const Resource* input, Resource* remainder,
               unsigned flags, GroupParams* groups) {
  HAMI_ENTER(Need::kInit);
  if (count == 0 || groups == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  const CUresult checked = CheckInput(input);
  if (checked != CUDA_SUCCESS) return checked;
  const bool clusters = ConfigOf(NoteOf(input)->device).compute_capability >= 90;
  const unsigned most = clusters ? 32 : 2;
  const Resource whole = *input;
  const uint64_t split = ++process.next_id;
  unsigned rest = whole.sm_count;
  for (unsigned i = 0; i < count; ++i) {
    GroupParams& params = groups[i];
    const unsigned together = params.coscheduled != 0 ? params.coscheduled : clusters ? 8 : 2;
    if (together > most || together % 2 != 0 || (params.flags & ~kBackfill) != 0) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    const unsigned size = GroupSize(params, together, rest);
    // Discovery without results may find none left.
    if (size == 0 && (result != nullptr || params.sm_count != 0)) {
      return CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
    }
    params.sm_count = size;
    if (result != nullptr) result[i] = Part(whole, size, together, Origin::kGroup, split);
    rest -= size;
  }
  if (remainder != nullptr) *remainder = Part(whole, rest, 2, Origin::kRemainder, split);
  return CUDA_SUCCESS;
}

CUresult Describe(CUdevResourceDesc* out, const Resource* resources, unsigned count) {
  HAMI_ENTER(Need::kInit);
  if (out == nullptr || resources == nullptr || count == 0) return CUDA_ERROR_INVALID_VALUE;
  Resource sum = resources[0];
  for (unsigned i = 0; i < count; ++i) {
    if (resources[i].type != kMultiprocessors) return CUDA_ERROR_INVALID_RESOURCE_TYPE;
    const ResourceNote* note = NoteOf(&resources[i]);
    if (note == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const ResourceNote* first = NoteOf(&resources[0]);
    if (i == 0) continue;
    if (note->device != first->device || note->origin == Origin::kContext ||
        note->split != first->split) {
      return CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
    }
    sum.sm_count += resources[i].sm_count;
  }
  auto* made = NewObject<Descriptor>(nullptr);  // lives as long as the process
  made->device = NoteOf(&sum)->device;
  made->resource = sum;
  *out = reinterpret_cast<CUdevResourceDesc>(made);
  return CUDA_SUCCESS;
}

CUresult CheckWanted(const Resource* resource, int type) {
  if (resource == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return type == kMultiprocessors ? CUDA_SUCCESS : CUDA_ERROR_INVALID_RESOURCE_TYPE;
}

CUresult OfContext(CUcontext handle, Resource* resource, int type) {
  HAMI_ENTER(Need::kInit);
  const CUresult wanted = CheckWanted(resource, type);
  if (wanted != CUDA_SUCCESS) return wanted;
  const auto* context = Find<Context>(handle);
  if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  *resource = context->green != nullptr ? context->green->resource : WholeDevice(context->device);
  return CUDA_SUCCESS;
}

CUresult OfStream(CUstream handle, bool per_thread, Resource* resource, int type) {
  HAMI_ENTER(Need::kContext);
  const CUresult wanted = CheckWanted(resource, type);
  if (wanted != CUDA_SUCCESS) return wanted;
  const Stream* stream = ResolveStream(entry.context, handle, per_thread);
  if (stream == nullptr) return NoStream(handle);
  *resource =
      stream->green != nullptr ? stream->green->resource : WholeDevice(stream->owner->device);
  return CUDA_SUCCESS;
}

}  // namespace

Resource WholeDevice(uint32_t device) {
  const Step step = StepOf(device);
  Resource whole = {};
  whole.type = kMultiprocessors;
  whole.sm_count = ConfigOf(device).multiprocessors;
  whole.min_partition = step.smallest;
  whole.alignment = step.multiple;
  Note(&whole, device, Origin::kContext, 0);
  return whole;
}

const ResourceNote* NoteOf(const Resource* resource) {
  const auto* note = reinterpret_cast<const ResourceNote*>(resource->padding);
  return resource->type == kMultiprocessors && note->magic == kMagic ? note : nullptr;
}

Resource AsOfContext(const Resource& resource) {
  Resource same = resource;
  Note(&same, NoteOf(&resource)->device, Origin::kContext, 0);
  return same;
}

}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

HAMI_SIM_API CUresult cuDeviceGetDevResource(CUdevice ordinal, Resource* resource, int type) {
  HAMI_ENTER(Need::kInit);
  uint32_t device = 0;
  if (!FindDevice(ordinal, &device)) return CUDA_ERROR_INVALID_DEVICE;
  const CUresult wanted = CheckWanted(resource, type);
  if (wanted == CUDA_SUCCESS) *resource = WholeDevice(device);
  return wanted;
}
HAMI_SIM_API CUresult cuCtxGetDevResource(CUcontext context, Resource* resource, int type) {
  return OfContext(context, resource, type);
}
HAMI_SIM_API CUresult cuGreenCtxGetDevResource(CUgreenCtx handle, Resource* resource, int type) {
  HAMI_ENTER(Need::kInit);
  const CUresult wanted = CheckWanted(resource, type);
  if (wanted != CUDA_SUCCESS) return wanted;
  const auto* green = Find<Green>(handle);
  if (green == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  *resource = green->resource;
  return CUDA_SUCCESS;
}
HAMI_SIM_API CUresult cuStreamGetDevResource(CUstream stream, Resource* resource, int type) {
  return OfStream(stream, false, resource, type);
}
HAMI_SIM_API CUresult cuStreamGetDevResource_ptsz(CUstream stream, Resource* resource, int type) {
  return OfStream(stream, true, resource, type);
}
HAMI_SIM_API CUresult cuDevSmResourceSplitByCount(Resource* result, unsigned int* groups,
                                                  const Resource* input, Resource* remainder,
                                                  unsigned int flags, unsigned int min_count) {
  return SplitByCount(result, groups, input, remainder, flags, min_count);
}
HAMI_SIM_API CUresult cuDevSmResourceSplit(Resource* result, unsigned int count,
                                           const Resource* input, Resource* remainder,
                                           unsigned int flags, GroupParams* groups) {
  return Split(result, count, input, remainder, flags, groups);
}
HAMI_SIM_API CUresult cuDevResourceGenerateDesc(CUdevResourceDesc* out, Resource* resources,
                                                unsigned int count) {
  return Describe(out, resources, count);
}
