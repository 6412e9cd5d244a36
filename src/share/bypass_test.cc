// SPDX-License-Identifier: Apache-2.0

#include "share/bypass.h"

#include <elf.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>

namespace hami::share {
namespace {

// A program that is nothing but a header, with a loader or ("") without one.
std::string MakeProgram(const std::string& loader) {
  Elf64_Ehdr header = {};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_phoff = sizeof(header);
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 2;
  Elf64_Phdr segments[2] = {};
  segments[0].p_type = PT_LOAD;
  segments[1].p_type = loader.empty() ? PT_NOTE : PT_INTERP;
  segments[1].p_offset = sizeof(header) + sizeof(segments);
  segments[1].p_filesz = loader.size() + 1;
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof(header));
  bytes.append(reinterpret_cast<const char*>(segments), sizeof(segments));
  bytes += loader;
  bytes += '\0';
  return bytes;
}

Bypass Classify(const std::string& program) {
  return ClassifyProgram([&](size_t offset, std::span<char> bytes) {
    if (offset >= program.size()) return size_t{0};
    const size_t count = std::min(bytes.size(), program.size() - offset);
    std::memcpy(bytes.data(), program.data() + offset, count);
    return count;
  });
}

TEST(BypassTest, ALoaderIsToldByItsName) {
  EXPECT_EQ(Classify(MakeProgram("/lib64/ld-linux-x86-64.so.2")), Bypass::kUnloaded);
  EXPECT_EQ(Classify(MakeProgram("/lib/ld-musl-x86_64.so.1")), Bypass::kMusl);
  EXPECT_EQ(Classify(MakeProgram("/nix/store/abc-musl-1.2/lib/ld-musl-aarch64.so.1")),
            Bypass::kMusl);
  EXPECT_EQ(Classify(MakeProgram("")), Bypass::kStatic);
}

TEST(BypassTest, AnythingElseIsUnknown) {
  EXPECT_EQ(Classify(""), Bypass::kUnknown);
  EXPECT_EQ(Classify("#!/bin/sh\n"), Bypass::kUnknown);
  const std::string whole = MakeProgram("/lib/ld-musl-x86_64.so.1");
  for (size_t length = 0; length + 1 < whole.size(); ++length) {
    EXPECT_EQ(Classify(whole.substr(0, length)), Bypass::kUnknown) << length;
  }
  std::string many = whole;
  many[offsetof(Elf64_Ehdr, e_phnum) + 1] = '\x7f';
  EXPECT_EQ(Classify(many), Bypass::kUnknown);
}

// Lines of a container whose tenant has mounted what it serves itself.
TEST(BypassTest, AMountIsToldByItsNumber) {
  constexpr char kMounts[] =
      "36 35 0:31 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/a - fuse\n"
      "360 36 0:45 / /mnt rw - fuse.passthrough x rw\n"
      "37 36 0:46 / /cut\n"
      "38 36 0:47 / /fuse rw shared:2 - tmpfs tmpfs rw";
  EXPECT_EQ(FileSystemOf(kMounts, "36"), "overlay");
  EXPECT_EQ(FileSystemOf(kMounts, "360"), "fuse.passthrough");
  EXPECT_EQ(FileSystemOf(kMounts, "38"), "tmpfs");
  for (const char* missing : {"", "3", "37", "35", "3600", "-"}) {
    EXPECT_EQ(FileSystemOf(kMounts, missing), "") << missing;
  }
  EXPECT_EQ(FileSystemOf("", "36"), "");
}

TEST(BypassTest, OfProcesses) {
  EXPECT_EQ(FindBypass(getpid()), Bypass::kUnloaded);
  const pid_t child = fork();
  if (child == 0) _exit(0);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_EQ(FindBypass(child), Bypass::kUnknown) << "it is gone";
}

}  // namespace
}  // namespace hami::share
