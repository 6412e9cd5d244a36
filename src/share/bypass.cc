// SPDX-License-Identifier: Apache-2.0

#include "share/bypass.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "base/file.h"
#include "share/product_files.h"

namespace hami::share {
namespace {

constexpr size_t kMaxMapsBytes = size_t{16} << 20;
constexpr size_t kMaxSegments = 128;
constexpr size_t kMaxLoaderBytes = 4096;  // PATH_MAX

template <typename T>
bool ReadOne(const ReadBytes& read, size_t offset, T* value) {
  return read(offset, {reinterpret_cast<char*>(value), sizeof(T)}) == sizeof(T);
}

// A loader by its file's name, and the program that a loader was told to run by its own.
Bypass ClassifyLoader(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return name.starts_with("ld-musl") ? Bypass::kMusl : Bypass::kUnloaded;
}

bool HasLibrary(const std::string& folder) {
  const Result<std::string> maps = base::ReadFile(folder + "/maps", kMaxMapsBytes);
  return maps && maps->find(std::string("/") + kPreloadLibrary) != std::string::npos;
}

}  // namespace

Bypass ClassifyProgram(const ReadBytes& read) {
  Elf64_Ehdr header = {};
  if (!ReadOne(read, 0, &header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_phentsize != sizeof(Elf64_Phdr) ||
      header.e_phnum > kMaxSegments) {
    return Bypass::kUnknown;
  }
  for (size_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment = {};
    if (!ReadOne(read, header.e_phoff + i * sizeof(segment), &segment)) return Bypass::kUnknown;
    if (segment.p_type != PT_INTERP) continue;
    std::string loader(std::min<size_t>(segment.p_filesz, kMaxLoaderBytes), '\0');
    if (read(segment.p_offset, loader) != loader.size()) return Bypass::kUnknown;
    return ClassifyLoader(loader.c_str());
  }
  return Bypass::kStatic;
}

Bypass FindBypass(pid_t pid) {
  const std::string folder = fmt::format("/proc/{}", pid);
  if (HasLibrary(folder)) return Bypass::kLoaded;
  const Result<base::Fd> program = base::OpenFile(folder + "/exe", O_RDONLY);
  if (!program) return Bypass::kUnknown;
  const Bypass found = ClassifyProgram([&](size_t offset, std::span<char> bytes) {
    const ssize_t got =
        pread(program->get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    return got < 0 ? size_t{0} : static_cast<size_t>(got);
  });
  // A loader has none itself.
  char name[kMaxLoaderBytes] = {};
  if (found != Bypass::kStatic ||
      readlink((folder + "/exe").c_str(), name, sizeof(name) - 1) <= 0) {
    return found;
  }
  const std::string_view path = name;
  const std::string_view file = path.substr(path.rfind('/') + 1);
  const bool is_loader = file.starts_with("ld-linux") || file.starts_with("ld-musl") ||
                         file.starts_with("ld-2.") || file.starts_with("ld.so");
  return is_loader ? ClassifyLoader(path) : found;
}

std::string_view Describe(Bypass bypass) {
  switch (bypass) {
    case Bypass::kUnknown:
      return "it does not use the library";
    case Bypass::kStatic:
      return "static program";
    case Bypass::kMusl:
      return "musl loader";
    case Bypass::kUnloaded:
      return "started without the library";
    case Bypass::kLoaded:
      return "it goes past the library";
  }
  return "unknown";
}

}  // namespace hami::share
