// SPDX-License-Identifier: Apache-2.0

#include "preload/scope.h"

#include <cstddef>

#include "region/os.h"

namespace hami::preload {
namespace {

constexpr int kMaxObjects = 1024;
constexpr int kProgram = 0;

bool SameName(const char* a, const char* b) { return __builtin_strcmp(a, b) == 0; }

// A search list: indices into Loaded::objects.
struct List {
  int members[kMaxObjects];
  int count;
  bool contains[kMaxObjects];

  void Clear() {
    count = 0;
    __builtin_memset(contains, 0, sizeof(contains));
  }
  void Add(int index) {
    if (index < 0 || contains[index]) return;
    contains[index] = true;
    members[count++] = index;
  }
  int PositionOf(int index) const {
    for (int i = 0; i < count; ++i) {
      if (members[i] == index) return i;
    }
    return -1;
  }
};

struct Loaded {
  Object objects[kMaxObjects];
  int count;
  bool needed[kMaxObjects];  // by some object that did not come with the program
  List program;
  List other;

  int FindNamed(const char* soname) const {
    for (int i = 0; i < count; ++i) {
      if (SameName(objects[i].soname, soname)) return i;
    }
    return -1;
  }
  int FindAt(const void* address) const {
    for (int i = 0; i < count; ++i) {
      if (objects[i].Contains(address)) return i;
    }
    return -1;
  }
};

struct NeededVisit {
  Loaded* loaded;
  List* list;
};

// Appends what the members need, and what that needs, breadth first.
void Close(Loaded* loaded, List* list) {
  NeededVisit visit = {loaded, list};
  for (int i = 0; i < list->count; ++i) {
    VisitNeeded(
        loaded->objects[list->members[i]],
        [](void* context, const char* soname) {
          auto* state = static_cast<NeededVisit*>(context);
          state->list->Add(state->loaded->FindNamed(soname));
          return true;
        },
        &visit);
  }
}

// In load order preloaded objects stand between the program and the first thing that it needs.
void MakeProgramList(Loaded* loaded) {
  List& list = loaded->program;
  list.Clear();
  list.Add(kProgram);
  int first_needed = -1;
  struct First {
    Loaded* loaded;
    int* index;
  } first = {loaded, &first_needed};
  VisitNeeded(
      loaded->objects[kProgram],
      [](void* context, const char* soname) {
        auto* state = static_cast<First*>(context);
        *state->index = state->loaded->FindNamed(soname);
        return *state->index < 0;
      },
      &first);
  for (int i = kProgram + 1; i < first_needed; ++i) list.Add(i);
  Close(loaded, &list);
}

void MarkNeeded(Loaded* loaded) {
  for (int i = 0; i < loaded->count; ++i) {
    if (loaded->program.contains[i]) continue;
    VisitNeeded(
        loaded->objects[i],
        [](void* context, const char* soname) {
          auto* state = static_cast<Loaded*>(context);
          const int index = state->FindNamed(soname);
          if (index >= 0) state->needed[index] = true;
          return true;
        },
        loaded);
  }
}

void MakeListFrom(Loaded* loaded, int root) {
  loaded->other.Clear();
  loaded->other.Add(root);
  Close(loaded, &loaded->other);
}

// The list that glibc uses for lookups from `caller`: the program's, or that of the library whose
// opening brought the caller in.
const List& ListOf(Loaded* loaded, int caller) {
  if (caller < 0 || loaded->program.contains[caller]) return loaded->program;
  MarkNeeded(loaded);
  for (int root = 0; root < loaded->count; ++root) {
    if (loaded->program.contains[root] || (loaded->needed[root] && root != caller)) continue;
    MakeListFrom(loaded, root);
    if (loaded->other.contains[caller]) return loaded->other;
  }
  MakeListFrom(loaded, caller);
  return loaded->other;
}

Object FirstDefinition(const Loaded& loaded, const List& list, int from, const char* name) {
  for (int i = from; i < list.count; ++i) {
    const Object& object = loaded.objects[list.members[i]];
    if (object.Contains(reinterpret_cast<const void*>(&FindNextDefinition))) continue;  // us
    if (FindSymbol(object, name) != nullptr) return object;
  }
  return {};
}

// Runs `search` over a fresh picture of what is loaded.
template <typename Search>
Object WithLoaded(const Search& search) {
  auto* loaded = static_cast<Loaded*>(os::MapAnonymous(sizeof(Loaded)));
  if (loaded == nullptr) return {};
  VisitObjects(
      [](void* context, const Object& object) {
        auto* state = static_cast<Loaded*>(context);
        if (state->count < kMaxObjects) state->objects[state->count++] = object;
        return true;
      },
      loaded);
  MakeProgramList(loaded);
  const Object found = search(loaded);
  os::Unmap(loaded, sizeof(Loaded));
  return found;
}

}  // namespace

Object FindNextDefinition(const void* caller, const char* name) {
  return WithLoaded([=](Loaded* loaded) {
    const int index = loaded->FindAt(caller);
    const List& list = ListOf(loaded, index);
    return FirstDefinition(*loaded, list, list.PositionOf(index) + 1, name);
  });
}

Object FindProgramDefinition(const char* name) {
  return WithLoaded(
      [=](Loaded* loaded) { return FirstDefinition(*loaded, loaded->program, 0, name); });
}

Object FindCallerDefinition(const void* caller, const char* name) {
  return WithLoaded([=](Loaded* loaded) {
    return FirstDefinition(*loaded, ListOf(loaded, loaded->FindAt(caller)), 0, name);
  });
}

bool IsInProgramList(const void* caller) {
  bool found = false;
  WithLoaded([&](Loaded* loaded) {
    const int index = loaded->FindAt(caller);
    found = index >= 0 && loaded->program.contains[index];
    return Object{};
  });
  return found;
}

}  // namespace hami::preload
