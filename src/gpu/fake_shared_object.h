// SPDX-License-Identifier: Apache-2.0
//
// For tests: the smallest file that is a shared library to a reader, and to nobody else.

#pragma once

#include <elf.h>

#include <cstddef>
#include <cstring>
#include <string>

namespace hami::gpu {

struct FakeSharedObject {
  Elf64_Ehdr header = {};
  Elf64_Phdr load = {};
  Elf64_Phdr dynamic = {};
  Elf64_Dyn entries[4] = {};
  char strings[64] = {};

  explicit FakeSharedObject(const std::string& soname) {
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_type = ET_DYN;
#if defined(__aarch64__)
    header.e_machine = EM_AARCH64;
#else
    header.e_machine = EM_X86_64;
#endif
    header.e_phoff = offsetof(FakeSharedObject, load);
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = 2;
    // As if it were linked to lie at 0x1000.
    load = {.p_type = PT_LOAD, .p_vaddr = 0x1000, .p_filesz = sizeof(FakeSharedObject)};
    dynamic = {.p_type = PT_DYNAMIC,
               .p_offset = offsetof(FakeSharedObject, entries),
               .p_filesz = sizeof(entries)};
    entries[0].d_tag = DT_STRTAB;
    entries[0].d_un.d_ptr = 0x1000 + offsetof(FakeSharedObject, strings);
    entries[1].d_tag = DT_STRSZ;
    entries[1].d_un.d_val = sizeof(strings);
    entries[2].d_tag = soname.empty() ? DT_NULL : DT_SONAME;
    entries[2].d_un.d_val = 1;
    soname.copy(strings + 1, sizeof(strings) - 2);
  }

  std::string Bytes() const {
    return {reinterpret_cast<const char*>(this), sizeof(FakeSharedObject)};
  }
};

}  // namespace hami::gpu
