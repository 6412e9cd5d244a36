// SPDX-License-Identifier: Apache-2.0

#include "preload/objects.h"

#include <elf.h>
#include <link.h>

namespace hami::preload {
namespace {

// The parts of the dynamic section that a look-up needs.
struct DynamicTables {
  const ElfW(Sym) * symbols = nullptr;
  const char* strings = nullptr;
  const uint32_t* gnu_hash = nullptr;
  const uint32_t* sysv_hash = nullptr;
  const ElfW(Half) * versions = nullptr;
  size_t soname_at = 0;
  bool has_soname = false;
};

// glibc has relocated the pointers in place for ordinary objects, but not for the vDSO and not on
// every architecture: an address below the base is still an offset.
template <typename T>
const T* At(uintptr_t base, ElfW(Addr) value) {
  return reinterpret_cast<const T*>(value < base ? base + value : value);
}

DynamicTables ReadTables(uintptr_t base, const ElfW(Dyn) * entry) {
  DynamicTables tables;
  for (; entry->d_tag != DT_NULL; ++entry) {
    switch (entry->d_tag) {
      case DT_SYMTAB:
        tables.symbols = At<ElfW(Sym)>(base, entry->d_un.d_ptr);
        break;
      case DT_STRTAB:
        tables.strings = At<char>(base, entry->d_un.d_ptr);
        break;
      case DT_GNU_HASH:
        tables.gnu_hash = At<uint32_t>(base, entry->d_un.d_ptr);
        break;
      case DT_HASH:
        tables.sysv_hash = At<uint32_t>(base, entry->d_un.d_ptr);
        break;
      case DT_VERSYM:
        tables.versions = At<ElfW(Half)>(base, entry->d_un.d_ptr);
        break;
      case DT_SONAME:
        tables.soname_at = entry->d_un.d_val;
        tables.has_soname = true;
        break;
      default:
        break;
    }
  }
  return tables;
}

const char* FileName(const char* path) {
  const char* name = path;
  for (const char* c = path; *c != 0; ++c) {
    if (*c == '/') name = c + 1;
  }
  return name;
}

Object MakeObject(const dl_phdr_info& info) {
  Object object;
  object.path = info.dlpi_name != nullptr ? info.dlpi_name : "";
  object.base = info.dlpi_addr;
  object.begin = UINTPTR_MAX;
  for (int i = 0; i < info.dlpi_phnum; ++i) {
    const ElfW(Phdr)& header = info.dlpi_phdr[i];
    const uintptr_t at = info.dlpi_addr + header.p_vaddr;
    if (header.p_type == PT_DYNAMIC) object.dynamic = reinterpret_cast<const void*>(at);
    if (header.p_type != PT_LOAD) continue;
    if (at < object.begin) object.begin = at;
    if (at + header.p_memsz > object.end) object.end = at + header.p_memsz;
  }
  object.soname = FileName(object.path);
  if (object.dynamic != nullptr) {
    const DynamicTables tables =
        ReadTables(object.base, static_cast<const ElfW(Dyn)*>(object.dynamic));
    if (tables.has_soname && tables.strings != nullptr) {
      object.soname = tables.strings + tables.soname_at;
    }
  }
  return object;
}

struct Visitor {
  bool (*visit)(void*, const Object&);
  void* context;
};

int VisitOne(dl_phdr_info* info, size_t, void* data) {
  const auto* visitor = static_cast<const Visitor*>(data);
  const Object object = MakeObject(*info);
  if (object.dynamic == nullptr) return 0;  // a static program; nothing to look up
  return visitor->visit(visitor->context, object) ? 0 : 1;
}

// A symbol that can answer a look-up: defined, global or weak, function or data, and with several
// versions the default one (bit 15 of the version index marks the others).
bool Answers(const DynamicTables& tables, uint32_t index, const char* name) {
  const ElfW(Sym)& symbol = tables.symbols[index];
  const unsigned type = ELF64_ST_TYPE(symbol.st_info);
  const unsigned binding = ELF64_ST_BIND(symbol.st_info);
  if (symbol.st_shndx == SHN_UNDEF || (binding != STB_GLOBAL && binding != STB_WEAK)) return false;
  if (type != STT_FUNC && type != STT_OBJECT && type != STT_NOTYPE) return false;
  if (__builtin_strcmp(tables.strings + symbol.st_name, name) != 0) return false;
  return tables.versions == nullptr || (tables.versions[index] & 0x8000) == 0;
}

uint32_t GnuHash(const char* name) {
  uint32_t hash = 5381;
  for (const char* c = name; *c != 0; ++c) hash = hash * 33 + static_cast<unsigned char>(*c);
  return hash;
}

// 0 (the undefined symbol) when there is none.
uint32_t FindByGnuHash(const DynamicTables& tables, const char* name) {
  const uint32_t bucket_count = tables.gnu_hash[0];
  const uint32_t first_symbol = tables.gnu_hash[1];
  const uint32_t bloom_words = tables.gnu_hash[2];
  const auto* bloom = reinterpret_cast<const ElfW(Addr)*>(tables.gnu_hash + 4);
  const auto* buckets = reinterpret_cast<const uint32_t*>(bloom + bloom_words);
  const uint32_t* chain = buckets + bucket_count;
  if (bucket_count == 0) return 0;
  const uint32_t hash = GnuHash(name);
  uint32_t index = buckets[hash % bucket_count];
  if (index < first_symbol) return 0;
  for (;; ++index) {
    const uint32_t entry = chain[index - first_symbol];
    if ((entry | 1U) == (hash | 1U) && Answers(tables, index, name)) return index;
    if ((entry & 1U) != 0) return 0;
  }
}

uint32_t FindBySysvHash(const DynamicTables& tables, const char* name) {
  uint32_t hash = 0;
  for (const char* c = name; *c != 0; ++c) {
    hash = (hash << 4) + static_cast<unsigned char>(*c);
    const uint32_t high = hash & 0xf0000000U;
    hash = (hash ^ (high >> 24)) & ~high;
  }
  const uint32_t bucket_count = tables.sysv_hash[0];
  if (bucket_count == 0) return 0;
  const uint32_t* chain = tables.sysv_hash + 2 + bucket_count;
  for (uint32_t index = tables.sysv_hash[2 + hash % bucket_count]; index != 0;
       index = chain[index]) {
    if (Answers(tables, index, name)) return index;
  }
  return 0;
}

bool MatchesSoname(const char* soname, const char* wanted) {
  while (*wanted != 0 && *soname == *wanted) {
    ++soname;
    ++wanted;
  }
  return *wanted == 0 && (*soname == 0 || *soname == '.');
}

}  // namespace

void VisitObjects(bool (*visit)(void* context, const Object& object), void* context) {
  Visitor visitor = {visit, context};
  dl_iterate_phdr(VisitOne, &visitor);
}

Object FindObjectOf(const void* address) {
  struct Search {
    const void* address;
    Object found;
  } search = {address, {}};
  VisitObjects(
      [](void* context, const Object& object) {
        auto* state = static_cast<Search*>(context);
        if (!object.Contains(state->address)) return true;
        state->found = object;
        return false;
      },
      &search);
  return search.found;
}

Object FindObjectNamed(const char* soname) {
  struct Search {
    const char* soname;
    Object found;
  } search = {soname, {}};
  VisitObjects(
      [](void* context, const Object& object) {
        auto* state = static_cast<Search*>(context);
        if (!MatchesSoname(object.soname, state->soname)) return true;
        state->found = object;
        return false;
      },
      &search);
  return search.found;
}

void* FindSymbol(const Object& object, const char* name) {
  if (!object.loaded()) return nullptr;
  const DynamicTables tables =
      ReadTables(object.base, static_cast<const ElfW(Dyn)*>(object.dynamic));
  if (tables.symbols == nullptr || tables.strings == nullptr) return nullptr;
  uint32_t index = 0;
  if (tables.gnu_hash != nullptr) {
    index = FindByGnuHash(tables, name);
  } else if (tables.sysv_hash != nullptr) {
    index = FindBySysvHash(tables, name);
  }
  if (index == 0) return nullptr;
  return reinterpret_cast<void*>(object.base + tables.symbols[index].st_value);
}

void VisitNeeded(const Object& object, bool (*visit)(void* context, const char* soname),
                 void* context) {
  const auto* entry = static_cast<const ElfW(Dyn)*>(object.dynamic);
  const DynamicTables tables = ReadTables(object.base, entry);
  if (tables.strings == nullptr) return;
  for (; entry->d_tag != DT_NULL; ++entry) {
    if (entry->d_tag == DT_NEEDED && !visit(context, tables.strings + entry->d_un.d_val)) return;
  }
}

}  // namespace hami::preload
