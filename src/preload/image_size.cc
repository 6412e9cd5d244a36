// SPDX-License-Identifier: Apache-2.0

#include "preload/image_size.h"

#include <elf.h>

#include <cstddef>

#include "preload/ptx_size.h"
#include "region/os.h"

namespace hami::preload {
namespace {

// The wrapper that nvcc puts around a fat binary in an object file, and the fat binary itself
// (fatbinary_section.h and fatbinary.h of the toolkit).
constexpr uint32_t kWrapperMagic = 0x466243b1;
constexpr uint32_t kFatbinMagic = 0xba55ed50;
constexpr uint16_t kPtxEntry = 1;

struct FatbinWrapper {
  uint32_t magic;
  uint32_t version;
  const void* data;
  const void* unused;
};

struct FatbinHeader {
  uint32_t magic;
  uint16_t version;
  uint16_t header_bytes;
  uint64_t payload_bytes;
};

// The head of one entry, as far as its sizes. `uncompressed_bytes` is 0 for plain entries.
struct FatbinEntry {
  uint16_t kind;
  uint16_t version;
  uint32_t header_bytes;
  uint64_t payload_bytes;
  uint32_t compressed_bytes;
  uint32_t options_offset;
  uint16_t minor;
  uint16_t major;
  uint32_t arch;
  uint32_t name_offset;
  uint32_t name_bytes;
  uint64_t flags;
  uint64_t reserved;
  uint64_t uncompressed_bytes;
};
static_assert(sizeof(FatbinEntry) == 64);

template <typename T>
T Load(const void* from) {
  T value;
  __builtin_memcpy(&value, from, sizeof(value));
  return value;
}

uint64_t ElfBytes(const char* image) {
  const auto header = Load<Elf64_Ehdr>(image);
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_shentsize != sizeof(Elf64_Shdr)) return 0;
  uint64_t bytes = 0;
  for (unsigned i = 0; i < header.e_shnum; ++i) {
    const auto section = Load<Elf64_Shdr>(image + header.e_shoff + i * sizeof(Elf64_Shdr));
    if ((section.sh_flags & SHF_ALLOC) == 0) continue;
    if (__builtin_add_overflow(bytes, section.sh_size, &bytes)) return UINT64_MAX;
  }
  return bytes;
}

bool IsElf(const char* image) { return __builtin_memcmp(image, ELFMAG, SELFMAG) == 0; }

// The text stands for the code that the driver makes of it.
uint64_t PtxBytes(const char* text, size_t length) {
  uint64_t bytes = 0;
  return __builtin_add_overflow(length, PtxVariableBytes(text, length), &bytes) ? UINT64_MAX
                                                                                : bytes;
}

uint64_t FatbinBytes(const char* image) {
  const auto header = Load<FatbinHeader>(image);
  const char* at = image + header.header_bytes;
  const char* end = at + header.payload_bytes;
  uint64_t largest = 0;
  while (at + sizeof(FatbinEntry) <= end) {
    const auto entry = Load<FatbinEntry>(at);
    const char* payload = at + entry.header_bytes;
    uint64_t bytes = entry.payload_bytes;
    if (entry.uncompressed_bytes > bytes) bytes = entry.uncompressed_bytes;
    if (entry.compressed_bytes == 0 && entry.payload_bytes >= sizeof(Elf64_Ehdr) &&
        payload + sizeof(Elf64_Ehdr) <= end && IsElf(payload)) {
      bytes = ElfBytes(payload);
    } else if (entry.compressed_bytes == 0 && entry.kind == kPtxEntry && payload < end &&
               entry.payload_bytes <= static_cast<uint64_t>(end - payload)) {
      bytes = PtxBytes(payload, entry.payload_bytes);
    }
    if (bytes > largest) largest = bytes;
    if (entry.header_bytes == 0) break;
    at = payload + entry.payload_bytes;
  }
  return largest;
}

// PTX starts with text: comments, white space or a directive.
bool LooksLikeText(const char* image) {
  for (int i = 0; i < 16; ++i) {
    const auto c = static_cast<unsigned char>(image[i]);
    if (c == 0) return i > 0;
    if (c >= 127 || (c < ' ' && c != '\n' && c != '\r' && c != '\t')) return false;
  }
  return true;
}

}  // namespace

uint64_t ImageBytes(const void* image) {
  if (image == nullptr) return 0;
  const char* bytes = static_cast<const char*>(image);
  const auto magic = Load<uint32_t>(bytes);
  if (magic == kWrapperMagic) return ImageBytes(Load<FatbinWrapper>(bytes).data);
  if (magic == kFatbinMagic) return FatbinBytes(bytes);
  if (IsElf(bytes)) return ElfBytes(bytes);
  return LooksLikeText(bytes) ? PtxBytes(bytes, __builtin_strlen(bytes)) : 0;
}

uint64_t FileImageBytes(const char* path) {
  if (path == nullptr) return 0;
  const int fd = os::Open(path, os::kRead, 0);
  if (fd < 0) return 0;
  os::FileInfo info = {};
  uint64_t bytes = 0;
  if (os::Stat(fd, &info) == 0 && info.regular && info.bytes > 0) {
    // Zeroes behind the end, so that text ends and a short file has no header to misread.
    const size_t mapped_bytes = static_cast<size_t>(info.bytes) + 4096;
    if (auto* image = static_cast<char*>(os::MapAnonymous(mapped_bytes))) {
      size_t filled = 0;
      int64_t got;
      while (filled < static_cast<size_t>(info.bytes) &&
             (got = os::Read(fd, image + filled, static_cast<size_t>(info.bytes) - filled)) > 0) {
        filled += static_cast<size_t>(got);
      }
      bytes = ImageBytes(image);
      os::Unmap(image, mapped_bytes);
    }
  }
  os::Close(fd);
  return bytes;
}

}  // namespace hami::preload
