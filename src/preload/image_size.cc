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
constexpr uint16_t kConcatenatedEntry = 0x100;
constexpr uint64_t kCompressionFlags = 0x2000 | 0x8000;  // LZ4, zstd

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
  uint32_t table_offset;  // from the entry's start; a concatenated entry has its members there
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

// One image of a concatenated entry. `offset` counts in the entry's payload.
struct FatbinMember {
  uint16_t kind;
  uint16_t version;
  uint32_t offset;
  uint32_t bytes;
  uint32_t others[13];
};
static_assert(sizeof(FatbinMember) == 64);

uint64_t Add(uint64_t a, uint64_t b) {
  uint64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

// What may be read: a file's contents, an entry of what contains it, and of an image in memory what
// its headers say.
struct Extent {
  const char* data;
  uint64_t bytes;

  bool Contains(uint64_t offset, uint64_t wanted) const {
    return offset <= bytes && wanted <= bytes - offset;
  }
  // Cut off at the end.
  Extent Part(uint64_t offset, uint64_t wanted) const {
    if (offset > bytes) return {data, 0};
    return {data + offset, wanted < bytes - offset ? wanted : bytes - offset};
  }
  template <typename T>
  bool Read(uint64_t offset, T* out) const {
    if (!Contains(offset, sizeof(T))) return false;
    __builtin_memcpy(out, data + offset, sizeof(T));
    return true;
  }
  // Up to the first difference, because a text may be shorter than a magic number.
  bool StartsWith(const void* magic, uint64_t length) const {
    const char* expected = static_cast<const char*>(magic);
    for (uint64_t i = 0; i < length; ++i) {
      if (i >= bytes || data[i] != expected[i]) return false;
    }
    return true;
  }
};

bool IsElf(const Extent& image) { return image.StartsWith(ELFMAG, SELFMAG); }

uint64_t ElfBytes(const Extent& image) {
  Elf64_Ehdr header;
  if (!image.Read(0, &header) || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_shentsize != sizeof(Elf64_Shdr)) {
    return 0;
  }
  Elf64_Shdr section = {};
  uint64_t sections = header.e_shnum;
  // Too many for the field (elf(5)): the number stands in the first section.
  if (sections == 0 && header.e_shoff != 0 && image.Read(header.e_shoff, &section)) {
    sections = section.sh_size;
  }
  uint64_t bytes = 0;
  uint64_t at = header.e_shoff;
  for (uint64_t i = 0; i < sections && image.Read(at, &section); ++i) {
    if ((section.sh_flags & SHF_ALLOC) != 0) bytes = Add(bytes, section.sh_size);
    at = Add(at, sizeof(Elf64_Shdr));
  }
  return bytes;
}

// The text stands for the code that the driver makes of it.
uint64_t PtxBytes(const Extent& text) {
  uint64_t length = 0;
  while (length < text.bytes && text.data[length] != 0) ++length;
  return Add(length, PtxVariableBytes(text.data, length));
}

uint64_t PayloadBytes(uint16_t kind, const Extent& payload) {
  uint64_t bytes = 0;
  if (IsElf(payload)) {
    bytes = ElfBytes(payload);
  } else if (kind == kPtxEntry) {
    bytes = PtxBytes(payload);
  }
  return bytes != 0 ? bytes : payload.bytes;
}

// A concatenated entry has, between its header and its payload, the number of its members, the
// size of what follows, and the members. The driver takes one of them.
uint64_t LargestMember(const Extent& table, const Extent& payload) {
  uint32_t count = 0;
  uint64_t largest = 0;
  FatbinMember member;
  if (!table.Read(0, &count)) return payload.bytes;
  for (uint64_t i = 0; i < count && table.Read(8 + i * sizeof(member), &member); ++i) {
    const uint64_t bytes = PayloadBytes(member.kind, payload.Part(member.offset, member.bytes));
    if (bytes > largest) largest = bytes;
  }
  return largest;
}

uint64_t EntryBytes(const FatbinEntry& entry, const Extent& whole) {
  const Extent payload = whole.Part(entry.header_bytes, entry.payload_bytes);
  if (entry.compressed_bytes != 0 && (entry.flags & kCompressionFlags) != 0) {
    return payload.bytes;
  }
  if (entry.kind != kConcatenatedEntry) return PayloadBytes(entry.kind, payload);
  if (entry.table_offset > entry.header_bytes) return payload.bytes;
  return LargestMember(whole.Part(entry.table_offset, entry.header_bytes - entry.table_offset),
                       payload);
}

uint64_t FatbinBytes(const Extent& image) {
  FatbinHeader header;
  if (!image.Read(0, &header)) return 0;
  const Extent entries = image.Part(header.header_bytes, header.payload_bytes);
  uint64_t largest = 0;
  uint64_t at = 0;
  FatbinEntry entry;
  while (entries.Read(at, &entry) && entry.header_bytes >= sizeof(entry)) {
    const uint64_t entry_bytes = Add(entry.header_bytes, entry.payload_bytes);
    const uint64_t bytes = EntryBytes(entry, entries.Part(at, entry_bytes));
    if (bytes > largest) largest = bytes;
    if (entry.uncompressed_bytes > largest) largest = entry.uncompressed_bytes;
    at = Add(at, entry_bytes);
  }
  return largest;
}

// What is nothing else is text: it may start with a comment, and that with any character.
uint64_t BytesOf(const Extent& image) {
  if (image.StartsWith(&kFatbinMagic, sizeof(kFatbinMagic))) return FatbinBytes(image);
  return IsElf(image) ? ElfBytes(image) : PtxBytes(image);
}

Extent InMemory(const void* image) {
  return {static_cast<const char*>(image), UINTPTR_MAX - reinterpret_cast<uintptr_t>(image)};
}

}  // namespace

uint64_t ImageBytes(const void* image) {
  if (image == nullptr) return 0;
  if (!InMemory(image).StartsWith(&kWrapperMagic, sizeof(kWrapperMagic))) {
    return BytesOf(InMemory(image));
  }
  FatbinWrapper wrapper;
  __builtin_memcpy(&wrapper, image, sizeof(wrapper));
  return wrapper.data != nullptr ? BytesOf(InMemory(wrapper.data)) : 0;
}

uint64_t FileImageBytes(const char* path) {
  if (path == nullptr) return 0;
  const int fd = os::Open(path, os::kRead, 0);
  if (fd < 0) return 0;
  os::FileInfo info = {};
  uint64_t bytes = 0;
  if (os::Stat(fd, &info) == 0 && info.regular && info.bytes > 0) {
    const auto mapped_bytes = static_cast<size_t>(info.bytes);
    if (auto* image = static_cast<char*>(os::MapAnonymous(mapped_bytes))) {
      size_t filled = 0;
      int64_t got;
      while (filled < mapped_bytes &&
             (got = os::Read(fd, image + filled, mapped_bytes - filled)) > 0) {
        filled += static_cast<size_t>(got);
      }
      bytes = BytesOf({image, filled});
      os::Unmap(image, mapped_bytes);
    }
  }
  os::Close(fd);
  return bytes;
}

}  // namespace hami::preload
