// SPDX-License-Identifier: Apache-2.0

#include "simgpu/image/image.h"

#include <elf.h>

#include "simgpu/image/parsers.h"

namespace hami::simgpu {
namespace {

// What nvcc's host code hands over (fatbinary_section.h of the toolkit declares it).
struct FatbinWrapper {
  uint32_t magic;
  uint32_t version;
  const void* data;
  const void* unused;
};

bool StartsWithWord(const Bytes& image, uint32_t word) {
  uint32_t first = 0;
  return image.Read(0, &first) && first == word;
}

bool StartsAsElf(const Bytes& image) {
  return image.size() >= SELFMAG && memcmp(image.data(), ELFMAG, SELFMAG) == 0;
}

ImageStatus ParseOnce(const Bytes& image, int sm, int max_ptx, ImageSink* sink) {
  if (StartsAsElf(image)) return ParseCubin(image, sm, sink);
  if (StartsWithWord(image, kFatbinMagic)) return ParseFatbin(image, sm, max_ptx, sink);
  const char* data = reinterpret_cast<const char*>(image.data());
  const std::string_view text(data, strnlen(data, image.size()));
  if (!LooksLikePtx(text)) return ImageStatus::kInvalidImage;
  return ParsePtx(text, sm, max_ptx, sink);
}

}  // namespace

ImageStatus ParseImageBytes(const void* image, size_t bytes, int sm, const ImageVisitor& visitor,
                            uint64_t* device_bytes, int max_ptx) {
  if (image == nullptr || bytes == 0) return ImageStatus::kInvalidImage;
  const Bytes view(image, bytes);
  ImageSink trial = {nullptr, 0};
  const ImageStatus status = ParseOnce(view, sm, max_ptx, &trial);
  if (status != ImageStatus::kOk) return status;
  *device_bytes = trial.device_bytes;
  if (visitor.kernel == nullptr && visitor.global == nullptr) return status;
  ImageSink sink = {&visitor, 0};
  return ParseOnce(view, sm, max_ptx, &sink);
}

const void* FindImage(const void* image, uint64_t* bytes) {
  *bytes = 0;
  if (image == nullptr) return nullptr;
  // Byte by byte: a text may be shorter than a magic number.
  const char* first = static_cast<const char*>(image);
  size_t known = 0;
  while (known < sizeof(uint32_t) && first[known] != '\0') ++known;
  const Bytes start(image, known);
  if (StartsAsElf(start)) {
    *bytes = CubinExtent(image);
  } else if (StartsWithWord(start, kFatbinWrapperMagic)) {
    FatbinWrapper wrapper;
    memcpy(&wrapper, image, sizeof(wrapper));
    if (wrapper.data == nullptr) return nullptr;
    uint32_t magic = 0;
    memcpy(&magic, wrapper.data, sizeof(magic));
    if (magic != kFatbinMagic) return nullptr;
    image = wrapper.data;
    *bytes = FatbinExtent(image);
  } else if (StartsWithWord(start, kFatbinMagic)) {
    *bytes = FatbinExtent(image);
  } else {
    *bytes = strlen(first);
  }
  return *bytes != 0 ? image : nullptr;
}

ImageStatus ParseImage(const void* image, int sm, const ImageVisitor& visitor,
                       uint64_t* device_bytes, int max_ptx) {
  uint64_t bytes = 0;
  const void* found = FindImage(image, &bytes);
  return ParseImageBytes(found, bytes, sm, visitor, device_bytes, max_ptx);
}

int MaxPtxVersion(int cuda_version) {
  // PTX ISA, release notes: the version that came with each CUDA release.
  struct Row {
    int cuda;
    int ptx;
  };
  static constexpr Row kRows[] = {
      {10000, 63}, {10010, 64}, {10020, 65}, {11000, 70}, {11010, 71}, {11020, 72}, {11030, 73},
      {11040, 74}, {11050, 75}, {11060, 76}, {11070, 77}, {11080, 78}, {12000, 80}, {12010, 81},
      {12020, 82}, {12030, 83}, {12040, 84}, {12050, 85}, {12070, 86}, {12080, 87}, {12090, 88},
      {13000, 90}, {13010, 91}, {13020, 92}, {13030, 93}, {13040, 94}, {13050, 95},
  };
  int ptx = kRows[0].ptx;
  for (const Row& row : kRows) {
    if (row.cuda <= cuda_version) ptx = row.ptx;
  }
  return ptx;
}

}  // namespace hami::simgpu
