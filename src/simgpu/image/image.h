// SPDX-License-Identifier: Apache-2.0
//
// Reads the GPU code images that cuModuleLoadData and cuLibraryLoadData accept: PTX text, cubins,
// fat binaries, and the wrapper that nvcc puts in front of a fat binary in a host program. It says
// which kernels and variables an image has and how much device memory it takes; no device code is
// ever executed.
//
// Invariant: nothing outside the image is read, whatever the image says about itself (fuzz/image).
// The callbacks come only for an image that is accepted as a whole; what a name or params points to
// lives as long as the callback. Thread-safe: there is no state.

#pragma once

#include <stddef.h>
#include <stdint.h>

namespace hami::simgpu {

struct ImageParam {
  uint32_t offset;
  uint32_t bytes;
};

struct ImageKernel {
  const char* name;  // not terminated
  uint32_t name_bytes;
  uint32_t param_count;
  uint32_t param_bytes;
  // From a cubin: what the compiler used. From PTX: a stand-in, because the driver's compiler would
  // decide (kPtxRegisters, less where .maxnreg says so).
  uint32_t registers;
  uint32_t shared_bytes;  // static
  uint32_t max_threads;   // of a block: the source's bound, or what the registers leave room for
  const ImageParam* params;
};

struct ImageGlobal {
  const char* name;  // not terminated
  uint32_t name_bytes;
  uint64_t bytes;
};

enum class ImageStatus {
  kOk,
  kInvalidImage,
  kInvalidPtx,
  kNoBinaryForGpu,
  kUnsupportedPtxVersion,
};

struct ImageVisitor {
  void* context;
  void (*kernel)(void* context, const ImageKernel& kernel);
  void (*global)(void* context, const ImageGlobal& global);
};

inline constexpr uint32_t kPtxRegisters = 32;

// `sm` is the device's compute capability, 86 for 8.6. `max_ptx` is the newest PTX version that the
// driver compiles, 84 for 8.4, 0 for any (MaxPtxVersion). `*device_bytes` becomes what the image
// occupies on the device: code, constants, variables, those without initial value too.
// The caller vouches for the memory: PTX is NUL-terminated, binary images are as long as they say.
ImageStatus ParseImage(const void* image, int sm, const ImageVisitor& visitor,
                       uint64_t* device_bytes, int max_ptx = 0);

// Where the image itself is (behind the wrapper, if there is one) and how long it says that it is,
// a text without its NUL. nullptr: no image. The caller vouches as above.
const void* FindImage(const void* image, uint64_t* bytes);

// The same as ParseImage for an image of known length, which nobody needs to vouch for. The wrapper
// is not accepted here, because it is a pointer.
ImageStatus ParseImageBytes(const void* image, size_t bytes, int sm, const ImageVisitor& visitor,
                            uint64_t* device_bytes, int max_ptx = 0);

// The newest PTX version that the compiler of a CUDA release knows: MaxPtxVersion(12040) is 84.
int MaxPtxVersion(int cuda_version);

}  // namespace hami::simgpu
