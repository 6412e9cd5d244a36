// SPDX-License-Identifier: Apache-2.0
//
// What the files of this folder offer each other. Each parser takes an image of known extent and
// may call back before it finds a fault: ParseImage runs it once without visitor first.

#pragma once

#include "simgpu/image/bytes.h"
#include "simgpu/image/image.h"

namespace hami::simgpu {

// A visitor that may be absent, and the device bytes so far.
struct ImageSink {
  const ImageVisitor* visitor;
  uint64_t device_bytes;

  void Add(const ImageKernel& kernel) const {
    if (visitor != nullptr && visitor->kernel != nullptr) visitor->kernel(visitor->context, kernel);
  }
  void Add(const ImageGlobal& global) const {
    if (visitor != nullptr && visitor->global != nullptr) visitor->global(visitor->context, global);
  }
};

// Device memory is handed out in units: every section starts on one.
inline constexpr uint64_t kSectionAlignment = 256;
// More device memory than any device has: sizes above it are lies.
inline constexpr uint64_t kMaxSectionBytes = uint64_t{1} << 40;

inline uint64_t AlignUp(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

// A cubin runs on devices of its major version with the same or a newer minor version (CUDA C++
// Programming Guide, "Binary Compatibility").
bool CubinRunsOn(int image_sm, int sm);

ImageStatus ParseCubin(const Bytes& image, int sm, ImageSink* sink);
// How far the headers of a cubin of unknown length say that it reaches; 0 when it is none.
uint64_t CubinExtent(const void* image);

ImageStatus ParsePtx(std::string_view text, int sm, int max_ptx, ImageSink* sink);
// True when the text opens as PTX does: with comments, blanks and then ".version".
bool LooksLikePtx(std::string_view text);

inline constexpr uint32_t kFatbinMagic = 0xBA55ED50;
inline constexpr uint32_t kFatbinWrapperMagic = 0x466243B1;
ImageStatus ParseFatbin(const Bytes& image, int sm, int max_ptx, ImageSink* sink);
uint64_t FatbinExtent(const void* image);

}  // namespace hami::simgpu
