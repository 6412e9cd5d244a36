// SPDX-License-Identifier: Apache-2.0
//
// Green contexts: a part of a device's multiprocessors inside its primary context. Memory, modules
// and events are the primary context's; streams belong to one or the other. Which multiprocessors
// they are is not simulated, only how many: a kernel in a stream of a green context gets no more of
// the device than that, and takes longer where it would have had more.

#pragma once

#include "simgpu/cuda/streams.h"

namespace hami::simgpu::cuda {

// CUdevResource of CUDA 13.5. In older releases it is as long and begins alike; what they do not
// have lies in bytes that a program must not look at.
struct __attribute__((packed, aligned(4))) Resource {
  int type;
  unsigned char padding[92];  // ours: ResourceNote
  unsigned sm_count;
  unsigned min_partition;
  unsigned alignment;
  unsigned flags;
  unsigned locality_domain;
  unsigned char oversize[20];
  Resource* next;
};
static_assert(sizeof(Resource) == 144 && offsetof(Resource, sm_count) == 96 &&
              offsetof(Resource, next) == 136);

inline constexpr int kNoResource = 0;
inline constexpr int kMultiprocessors = 1;

enum class Origin : uint32_t { kContext, kGroup, kRemainder };

// What a resource says about itself where programs do not look.
struct __attribute__((packed, aligned(4))) ResourceNote {
  uint64_t magic;
  uint32_t device;  // of the machine
  Origin origin;
  uint64_t split;  // number of the split that it came from
};

struct Descriptor : Object {
  static constexpr Kind kKind = Kind::kDescriptor;
  uint32_t device;
  Resource resource;  // all of them together
};

struct Green : Object {
  static constexpr Kind kKind = Kind::kGreen;
  Context* stand_in;  // what cuCtxFromGreenCtx gives
  Context* primary;
  uint64_t primary_id;  // the primary context may be reset and come back under its address
  uint32_t device;
  CUdevice ordinal;
  uint64_t id;
  Resource resource;
  Stream* default_stream;
};

// The resource of a whole device.
Resource WholeDevice(uint32_t device);
// What it says about itself; nullptr: no resource of multiprocessors that we made.
const ResourceNote* NoteOf(const Resource* resource);
// The same resource out of a context, which may be split again.
Resource AsOfContext(const Resource& resource);

// The green context that is current to the thread; nullptr: none, or it is gone.
Green* CurrentGreen();
// The primary context behind a stand-in; nullptr: it is gone.
Context* PrimaryBehind(const Context& stand_in);
Stream* DefaultStreamOf(Green* green);
// How many multiprocessors a stream's kernels get.
uint32_t MultiprocessorsOf(const Stream& stream);
// Cuts a kernel down to what the stream has.
Op FitIntoGreen(const Stream& stream, const Op& op);

}  // namespace hami::simgpu::cuda
