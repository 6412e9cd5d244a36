// SPDX-License-Identifier: Apache-2.0
//
// What is loaded into this process, seen through dl_iterate_phdr, and symbol look-up inside one
// object by its own hash table. The library exports dlsym itself, so it cannot ask dlsym for the
// real one; and RTLD_NEXT must be answered from the caller's place in the search order, not ours.
//
// Objects are values: they stay valid as long as the object stays loaded. No allocation, no locks
// of our own (dl_iterate_phdr takes the loader's, which is recursive).

#pragma once

#include <cstddef>
#include <cstdint>

struct dl_phdr_info;

namespace hami::preload {

struct Object {
  const char* path = nullptr;    // "" for the program itself
  const char* soname = nullptr;  // DT_SONAME, or the file name if there is none
  uintptr_t base = 0;
  uintptr_t begin = 0;  // lowest and one past the highest mapped address
  uintptr_t end = 0;
  const void* dynamic = nullptr;  // ElfW(Dyn)*

  bool loaded() const { return dynamic != nullptr; }
  bool Contains(const void* address) const {
    const auto value = reinterpret_cast<uintptr_t>(address);
    return value >= begin && value < end;
  }
};

// Calls `visit` for each object in load order (the program first) until it returns false.
void VisitObjects(bool (*visit)(void* context, const Object& object), void* context);

// The object that contains an address; not loaded() if there is none.
Object FindObjectOf(const void* address);

// The first object whose soname is `soname` or begins with it and a further ".", e.g. libcuda.so.1.
Object FindObjectNamed(const char* soname);

// The address of a function or variable that `object` itself defines, or nullptr. With several
// versions of a name the default one.
void* FindSymbol(const Object& object, const char* name);

// Calls `visit` with each DT_NEEDED name of an object, until it returns false.
void VisitNeeded(const Object& object, bool (*visit)(void* context, const char* soname),
                 void* context);

}  // namespace hami::preload
