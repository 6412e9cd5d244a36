// SPDX-License-Identifier: Apache-2.0
//
// Looking functions up: dlsym, dlvsym and cuGetProcAddress. The rule is the same for all: libc or
// the driver answers first, with its own meaning of handles, versions and scopes; only if the
// answer is a function of the driver that we intercept, our hook is given instead. Names that are
// not in the table of hooks go straight to libc and cost one hash.
//
// Two lookups cannot be answered by asking libc from here, because libc looks at the caller:
// RTLD_DEFAULT finds our own exports (they come first in the search order), so it is answered by
// whether the driver is visible there; RTLD_NEXT is answered by walking the objects behind the
// caller (scope.h). tests/component/preload/lookup compares every case with plain libc.

#include <cstdint>

#include "preload/driver.h"
#include "preload/log.h"
#include "preload/process.h"
#include "preload/scope.h"

extern "C" {
__attribute__((visibility("hidden"))) void* (*hami_real_dlsym)(void*, const char*) = nullptr;
__attribute__((visibility("hidden"))) void* (*hami_real_dlvsym)(void*, const char*,
                                                                const char*) = nullptr;
}

namespace hami::preload {
namespace {

// libc's values (dlfcn.h); including it would declare dlsym with C linkage attributes of its own.
void* const kRtldDefault = nullptr;
void* const kRtldNext = reinterpret_cast<void*>(-1L);
constexpr int kRtldLazyNoload = 1 | 4;

using Dlopen = void* (*)(const char*, int);
constinit Dlopen real_dlopen = nullptr;

// The next definition behind our own library in load order: libc's (libdl's before glibc 2.34), or
// that of another interposer, which then gets its turn.
void* FindBehindUs(const char* name) {
  struct Search {
    const char* name;
    bool behind_us;
    void* found;
  } search = {name, false, nullptr};
  VisitObjects(
      [](void* context, const Object& object) {
        auto* state = static_cast<Search*>(context);
        if (object.Contains(reinterpret_cast<const void*>(&FindHook))) {
          state->behind_us = true;
        } else if (state->behind_us) {
          state->found = FindSymbol(object, state->name);
        }
        return state->found == nullptr;
      },
      &search);
  return search.found;
}

// Idempotent: racing threads store the same values.
void FindLibc() {
  if (hami_real_dlsym != nullptr) [[likely]] {
    return;
  }
  real_dlopen = reinterpret_cast<Dlopen>(FindBehindUs("dlopen"));
  hami_real_dlvsym = reinterpret_cast<decltype(hami_real_dlvsym)>(FindBehindUs("dlvsym"));
  hami_real_dlsym = reinterpret_cast<decltype(hami_real_dlsym)>(FindBehindUs("dlsym"));
}

// A handle in which nothing of the driver's is found: makes libc answer "not found" and set
// dlerror.
void* EmptyHandle() {
  return real_dlopen != nullptr ? real_dlopen("libc.so.6", kRtldLazyNoload) : nullptr;
}

// One request as it came: what to ask libc, and from where.
struct Request {
  void** handle;
  const char* name;
  const char* version;  // nullptr: dlsym
  void* caller;

  void* AskLibc(void* in) const {
    if (version != nullptr) {
      return hami_real_dlvsym != nullptr ? hami_real_dlvsym(in, name, version) : nullptr;
    }
    return hami_real_dlsym != nullptr ? hami_real_dlsym(in, name) : nullptr;
  }
};

bool Bind(DriverLibrary library) {
  return library == DriverLibrary::kCuda ? BindCuda() : BindNvml();
}

// The hook, if `found` is the driver's own function.
void* Translate(const Hook& hook, void* found) {
  if (found == nullptr || !Bind(hook.library)) return nullptr;
  return DriverObject(hook.library).Contains(found) ? hook.function : nullptr;
}

// Says to libc "search where there is nothing" if the driver is not to be found.
void* NotFound(const Request& request) {
  if (void* empty = EmptyHandle()) *request.handle = empty;
  return nullptr;
}

// A function of each driver library that we do not export: libc finds it in the global scope if and
// only if the driver is there, also when the application opened it with RTLD_GLOBAL.
bool IsDriverGlobal(DriverLibrary library) {
  constexpr const char* kProbes[] = {"cuGetErrorName", "nvmlErrorString"};
  void* found = hami_real_dlsym(kRtldDefault, kProbes[static_cast<int>(library)]);
  // A failed probe leaves an error behind that the application would read; a success takes it away.
  if (found == nullptr) hami_real_dlsym(kRtldDefault, "malloc");
  return found != nullptr && DriverObject(library).Contains(found);
}

// The definition that libc would give without us, or our hook for it.
void* HookOrDefinition(const Hook& hook, const Object& object) {
  void* theirs = FindSymbol(object, hook.symbol);
  void* translated = Translate(hook, theirs);
  return translated != nullptr ? translated : theirs;
}

// RTLD_DEFAULT, and the handle of the program itself. The order is the program's list, what was
// opened with RTLD_GLOBAL, and for RTLD_DEFAULT the caller's own list. `found` is libc's answer,
// ours more often than not.
void* ResolveDefault(const Hook& hook, const Request& request, void* found) {
  if (found != hook.function) return Translate(hook, found);  // somebody else's comes first
  if (!Bind(hook.library)) return NotFound(request);
  Object first = FindProgramDefinition(hook.symbol);
  if (!first.loaded()) {
    if (IsDriverGlobal(hook.library)) return hook.function;
    if (*request.handle == kRtldDefault) first = FindCallerDefinition(request.caller, hook.symbol);
  }
  return first.loaded() ? HookOrDefinition(hook, first) : NotFound(request);
}

void* ResolveNext(const Hook& hook, const Request& request) {
  const Object next = FindNextDefinition(request.caller, hook.symbol);
  if (next.loaded()) return HookOrDefinition(hook, next);
  // Behind the program's list comes what was opened with RTLD_GLOBAL.
  const bool behind =
      IsInProgramList(request.caller) && Bind(hook.library) && IsDriverGlobal(hook.library);
  return behind ? hook.function : NotFound(request);
}

void* Resolve(const Request& request) {
  FindLibc();
  if (request.name == nullptr) return nullptr;
  const HookId id = FindHook(request.name);
  if (id == HookId::kCount) return nullptr;
  const Hook& hook = GetHook(id);
  if (*request.handle == kRtldNext) return ResolveNext(hook, request);
  void* found = request.AskLibc(*request.handle);
  if (found == nullptr) return nullptr;  // libc says it once more, with dlerror
  if (*request.handle == kRtldDefault || found == hook.function) {
    return ResolveDefault(hook, request, found);
  }
  return Translate(hook, found);
}

// A driver newer than our table may answer a name that we intercept with a variant that we have not
// seen. It works, but is not limited; that must not go unnoticed.
void WarnUnknownVariant(const char* base) {
  static bool said = false;
  LogAlways(&said,
            "the driver has a newer variant of %s than this library knows: it is not limited",
            base);
}

// Gives our hook for what the driver has answered. An address that was not learnt when the driver
// was bound does not get past us: what the request means is in the table.
CUresult TranslateAnswer(CUresult result, const char* symbol, void** function, int cuda_version,
                         bool per_thread) {
  if (result != CUDA_SUCCESS || symbol == nullptr || function == nullptr || *function == nullptr) {
    return result;
  }
  if (void* hook = HookForDriverPointer(*function)) {
    *function = hook;
  } else if (FindHook(symbol) != HookId::kCount) {
    bool known = false;
    if (void* meant = HookForRequest(symbol, cuda_version, per_thread, &known)) *function = meant;
    if (!known) WarnUnknownVariant(symbol);
  }
  return result;
}

// The stream form that a request asks for; `by_default` without a flag.
bool WantsPerThread(cuuint64_t flags, bool by_default) {
  if ((flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM) != 0) return true;
  if ((flags & CU_GET_PROC_ADDRESS_LEGACY_STREAM) != 0) return false;
  return by_default;
}

}  // namespace
}  // namespace hami::preload

using namespace hami::preload;

extern "C" {

__attribute__((visibility("hidden"))) void* HamiResolveDlsym(void** arguments, void* caller) {
  return Resolve({&arguments[0], static_cast<const char*>(arguments[1]), nullptr, caller});
}

__attribute__((visibility("hidden"))) void* HamiResolveDlvsym(void** arguments, void* caller) {
  return Resolve({&arguments[0], static_cast<const char*>(arguments[1]),
                  static_cast<const char*>(arguments[2]), caller});
}

HAMI_EXPORT CUresult cuInit(unsigned int flags) {
  if (!BindCuda()) return CUDA_ERROR_NO_DEVICE;
  ShowGrantedDevices();
  const CUresult result = cuda.cuInit(flags);
  // The slot from the moment on from which a forked child keeps this process's memory alive: a
  // child that is forked between cuInit and the first allocation must hold the slot too.
  if (result == CUDA_SUCCESS) EnterCuda();
  return result;
}

HAMI_EXPORT CUresult cuGetProcAddress(const char* symbol, void** function, int cuda_version,
                                      cuuint64_t flags) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  return TranslateAnswer(cuda.cuGetProcAddress(symbol, function, cuda_version, flags), symbol,
                         function, cuda_version, WantsPerThread(flags, false));
}

HAMI_EXPORT CUresult cuGetProcAddress_ptsz(const char* symbol, void** function, int cuda_version,
                                           cuuint64_t flags) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  return TranslateAnswer(cuda.cuGetProcAddress_ptsz(symbol, function, cuda_version, flags), symbol,
                         function, cuda_version, WantsPerThread(flags, true));
}

HAMI_EXPORT CUresult cuGetProcAddress_v2(const char* symbol, void** function, int cuda_version,
                                         cuuint64_t flags, CUdriverProcAddressQueryResult* status) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  return TranslateAnswer(cuda.cuGetProcAddress_v2(symbol, function, cuda_version, flags, status),
                         symbol, function, cuda_version, WantsPerThread(flags, false));
}

HAMI_EXPORT CUresult cuGetProcAddress_v2_ptsz(const char* symbol, void** function, int cuda_version,
                                              cuuint64_t flags,
                                              CUdriverProcAddressQueryResult* status) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  return TranslateAnswer(
      cuda.cuGetProcAddress_v2_ptsz(symbol, function, cuda_version, flags, status), symbol,
      function, cuda_version, WantsPerThread(flags, true));
}

}  // extern "C"
