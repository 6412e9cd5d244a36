// SPDX-License-Identifier: Apache-2.0

#include "gpu/shared_object.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <vector>

#include "base/file.h"

namespace hami::gpu {
namespace {

static_assert(std::endian::native == std::endian::little, "headers are read as they are");

#if defined(__x86_64__)
constexpr Elf64_Half kNativeMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr Elf64_Half kNativeMachine = EM_AARCH64;
#else
#error "no NVIDIA driver for this machine"
#endif

constexpr size_t kMaxSegments = 128;
constexpr size_t kMaxDynamicBytes = 65536;
constexpr size_t kMaxNameBytes = 255;  // NAME_MAX

tl::unexpected<Error> Broken(std::string_view what) {
  return Fail(Code::kInvalidArgument, fmt::format("not a whole shared library: {}", what));
}

template <typename T>
bool ReadTable(const ByteSource& source, uint64_t offset, std::vector<T>* table) {
  const std::span<std::byte> bytes = std::as_writable_bytes(std::span(*table));
  return bytes.empty() || source(offset, bytes) == bytes.size();
}

// Where in the file the byte lies that is mapped at `address`.
std::optional<uint64_t> FileOffset(const std::vector<Elf64_Phdr>& segments, uint64_t address) {
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type != PT_LOAD || address < segment.p_vaddr) continue;
    const uint64_t distance = address - segment.p_vaddr;
    if (distance >= segment.p_filesz || segment.p_offset > UINT64_MAX - distance) continue;
    return segment.p_offset + distance;
  }
  return std::nullopt;
}

struct DynamicPart {
  std::optional<uint64_t> soname;  // place in the table of strings
  uint64_t strings = 0;            // address of that table
  uint64_t strings_bytes = 0;
};

Result<DynamicPart> ReadDynamicPart(const ByteSource& source,
                                    const std::vector<Elf64_Phdr>& segments) {
  const auto at = std::ranges::find(segments, Elf64_Word{PT_DYNAMIC}, &Elf64_Phdr::p_type);
  if (at == segments.end()) return Broken("no dynamic part");
  if (at->p_filesz > kMaxDynamicBytes) return Broken("the dynamic part is too large");
  std::vector<Elf64_Dyn> entries(at->p_filesz / sizeof(Elf64_Dyn));
  if (!ReadTable(source, at->p_offset, &entries)) return Broken("the dynamic part is cut off");
  DynamicPart part;
  for (const Elf64_Dyn& entry : entries) {
    if (entry.d_tag == DT_NULL) break;
    if (entry.d_tag == DT_SONAME) part.soname = entry.d_un.d_val;
    if (entry.d_tag == DT_STRTAB) part.strings = entry.d_un.d_ptr;
    if (entry.d_tag == DT_STRSZ) part.strings_bytes = entry.d_un.d_val;
  }
  return part;
}

Result<std::string> ReadName(const ByteSource& source, uint64_t offset, uint64_t max_bytes) {
  std::byte bytes[kMaxNameBytes + 1] = {};
  const size_t wanted = std::min<uint64_t>(max_bytes, sizeof(bytes));
  const size_t got = std::min(wanted, source(offset, std::span(bytes, wanted)));
  const char* text = reinterpret_cast<const char*>(bytes);
  const void* end = std::memchr(text, '\0', got);
  if (end == nullptr) return Broken("its soname does not end");
  std::string name(text, static_cast<const char*>(end));
  // It becomes a file name.
  const bool plain = std::ranges::all_of(name, [](char c) { return c > ' ' && c <= '~'; });
  if (name.empty() || name.find('/') != std::string::npos || name.starts_with('.') || !plain) {
    return Broken("its soname is no file name");
  }
  return name;
}

}  // namespace

Result<SharedObject> ParseSharedObject(const ByteSource& source) {
  std::vector<Elf64_Ehdr> header(1);
  // The magic number and the class stand at the same places in both classes.
  if (!ReadTable(source, 0, &header) || std::memcmp(header[0].e_ident, ELFMAG, SELFMAG) != 0) {
    return Broken("no ELF header");
  }
  if (header[0].e_ident[EI_CLASS] != ELFCLASS64 || header[0].e_ident[EI_DATA] != ELFDATA2LSB ||
      header[0].e_machine != kNativeMachine) {
    return SharedObject{};
  }
  if (header[0].e_type != ET_DYN) return Broken("not of the type of a library");
  if (header[0].e_phentsize != sizeof(Elf64_Phdr) || header[0].e_phnum > kMaxSegments) {
    return Broken("its table of segments");
  }
  std::vector<Elf64_Phdr> segments(header[0].e_phnum);
  if (!ReadTable(source, header[0].e_phoff, &segments)) return Broken("its segments are cut off");
  ASSIGN_OR_RETURN(const DynamicPart part, ReadDynamicPart(source, segments));
  SharedObject object{.is_native = true};
  if (!part.soname) return object;
  const std::optional<uint64_t> strings = FileOffset(segments, part.strings);
  if (!strings || *part.soname >= part.strings_bytes || *strings > UINT64_MAX - *part.soname) {
    return Broken("its soname lies outside");
  }
  ASSIGN_OR_RETURN(object.soname,
                   ReadName(source, *strings + *part.soname, part.strings_bytes - *part.soname));
  return object;
}

Result<SharedObject> ReadSharedObject(const std::string& path) {
  // A pipe or a socket of that name must not hold us up; reading it at an offset fails.
  ASSIGN_OR_RETURN(const base::Fd file, base::OpenFile(path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  const auto source = [&file](uint64_t offset, std::span<std::byte> bytes) -> size_t {
    size_t got = 0;
    while (got < bytes.size() && offset <= INT64_MAX - got) {
      const ssize_t step = pread(file.get(), bytes.data() + got, bytes.size() - got,
                                 static_cast<off_t>(offset + got));
      if (step < 0 && errno == EINTR) continue;
      if (step <= 0) break;
      got += static_cast<size_t>(step);
    }
    return got;
  };
  Result<SharedObject> object = ParseSharedObject(source);
  if (!object) return Fail(std::move(object).error().Wrap(path));
  return object;
}

}  // namespace hami::gpu
