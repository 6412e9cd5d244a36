// SPDX-License-Identifier: Apache-2.0

#include "share/bypass.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string>

#include "base/file.h"
#include "share/bounded_child.h"
#include "share/product_files.h"

namespace hami::share {
namespace {

constexpr size_t kMaxMapsBytes = size_t{16} << 20;
constexpr size_t kMaxSegments = 128;
constexpr size_t kMaxLoaderBytes = 4096;  // PATH_MAX
constexpr size_t kMaxMountInfoBytes = size_t{16} << 20;
constexpr size_t kMaxDescriptorInfoBytes = 4096;
constexpr std::chrono::milliseconds kPatience{1000};

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

namespace {

// `program` is opened with O_PATH, which asks no file system anything; nor does its fdinfo.
bool IsOnFuse(const std::string& folder, const base::Fd& program) {
  constexpr std::string_view kMountId = "mnt_id:\t";
  const Result<std::string> info =
      base::ReadFile(fmt::format("/proc/self/fdinfo/{}", program.get()), kMaxDescriptorInfoBytes);
  const Result<std::string> mounts = base::ReadFile(folder + "/mountinfo", kMaxMountInfoBytes);
  if (!info || !mounts) return false;
  const size_t at = info->find(kMountId);
  if (at == std::string::npos) return false;
  const std::string_view rest = std::string_view(*info).substr(at + kMountId.size());
  return FileSystemOf(*mounts, rest.substr(0, rest.find('\n'))).starts_with("fuse");
}

Bypass Look(pid_t pid) {
  const std::string folder = fmt::format("/proc/{}", pid);
  const Result<base::Fd> file = base::OpenFile(folder + "/exe", O_PATH);
  if (!file) return Bypass::kUnknown;
  if (IsOnFuse(folder, *file)) return Bypass::kOnFuse;
  if (HasLibrary(folder)) return Bypass::kLoaded;
  const Result<base::Fd> program =
      base::OpenFile(fmt::format("/proc/self/fd/{}", file->get()), O_RDONLY | O_NONBLOCK);
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
  const std::string_view loader = path.substr(path.rfind('/') + 1);
  const bool is_loader = loader.starts_with("ld-linux") || loader.starts_with("ld-musl") ||
                         loader.starts_with("ld-2.") || loader.starts_with("ld.so");
  return is_loader ? ClassifyLoader(path) : found;
}

}  // namespace

std::string_view FileSystemOf(std::string_view mountinfo, std::string_view mount_id) {
  constexpr std::string_view kBehindOptions = " - ";
  while (!mountinfo.empty() && !mount_id.empty()) {
    std::string_view line = mountinfo.substr(0, mountinfo.find('\n'));
    mountinfo.remove_prefix(std::min(line.size() + 1, mountinfo.size()));
    if (line.substr(0, line.find(' ')) != mount_id) continue;
    const size_t end = line.find(kBehindOptions);
    if (end == std::string_view::npos) return {};
    line.remove_prefix(end + kBehindOptions.size());
    return line.substr(0, line.find(' '));
  }
  return {};
}

Bypass FindBypass(pid_t pid) {
  static ChildRunner runner;
  const Result<int> found = runner.Run([pid] { return static_cast<int>(Look(pid)); }, kPatience);
  if (found) return static_cast<Bypass>(*found);
  return found.error().code == Code::kDeadlineExceeded || found.error().code == Code::kUnavailable
             ? Bypass::kTooSlow
             : Bypass::kUnknown;
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
    case Bypass::kOnFuse:
      return "its program lies on FUSE and was not looked at";
    case Bypass::kTooSlow:
      return "it cannot be looked at";
  }
  return "unknown";
}

}  // namespace hami::share
