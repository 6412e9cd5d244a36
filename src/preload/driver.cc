// SPDX-License-Identifier: Apache-2.0

#include "preload/driver.h"

#include <atomic>
#include <cstddef>
#include <string_view>

#include "preload/lock.h"
#include "preload/log.h"

namespace hami::preload {

constinit CudaDriver cuda = {};
constinit NvmlDriver nvml = {};
constinit std::atomic<bool> cuda_is_bound = false;
constinit std::atomic<bool> nvml_is_bound = false;

namespace {

constexpr char kCudaSoname[] = "libcuda.so";
constexpr char kNvmlSoname[] = "libnvidia-ml.so";

constinit Object cuda_object;
constinit Object nvml_object;
constinit SpinLock bind_lock;
// Set in the thread that holds bind_lock: should the driver look something up from within
// cuGetProcAddress, it gets its own functions.
constinit thread_local bool binding_here = false;

CUresult MissingCudaFunction() { return CUDA_ERROR_NOT_SUPPORTED; }
nvmlReturn_t MissingNvmlFunction() { return NVML_ERROR_FUNCTION_NOT_FOUND; }

// Called with more arguments than it takes, which every ABI that we run on allows.
template <typename Function>
void BindOne(const Object& object, const char* symbol, void* missing, Function* place) {
  void* found = FindSymbol(object, symbol);
  *place = reinterpret_cast<Function>(found != nullptr ? found : missing);
}

// ---- from a driver's pointer to our hook

struct Translation {
  void* driver_pointer;
  void* hook;
};
constexpr size_t kTranslations = 2048;  // two entries a hook at most, half full
static_assert(kHookCount * 2 * 2 <= static_cast<int>(kTranslations));
constinit Translation translations[kTranslations] = {};

size_t PlaceOf(const void* pointer) {
  const auto value = reinterpret_cast<uintptr_t>(pointer);
  return (value * 0x9e3779b97f4a7c15ULL) >> 53;
}

void AddTranslation(void* driver_pointer, void* hook) {
  size_t at = PlaceOf(driver_pointer);
  while (translations[at].driver_pointer != nullptr) {
    if (translations[at].driver_pointer == driver_pointer) return;
    at = (at + 1) % kTranslations;
  }
  translations[at] = {driver_pointer, hook};
}

// What to hand to cuGetProcAddress to be given the function that is exported under this name.
struct Entry {
  const char* symbol;
  const char* base;
  int version;
  bool per_thread;
};
constexpr bool kStream_none = false;
constexpr bool kStream_ptds = true;
constexpr bool kStream_ptsz = true;
constexpr Entry kEntries[] = {
#define HAMI_CUDA_ENTRY(symbol, base, version, stream) {#symbol, #base, version, kStream_##stream},
#include "api/cuda/entry_points.def"
};

constexpr int NewestVersion() {
  int newest = 0;
  for (const Entry& entry : kEntries) newest = entry.version > newest ? entry.version : newest;
  return newest;
}
constexpr int kNewestVersion = NewestVersion();

void LearnExportedPointers() {
#define HAMI_CUDA_HOOK(symbol, on_failure)                       \
  if (void* found = FindSymbol(cuda_object, #symbol)) {          \
    AddTranslation(found, GetHook(HookId::k_##symbol).function); \
  }
#include "preload/hooks.def"
}

// cuGetProcAddress of a real driver need not answer with the exported addresses. Ask it once for
// each function that we intercept; what it answers for that name and version is that function.
// Variants that are forwarded on purpose translate to themselves, so that a variant that nobody
// here has seen can be told from them.
void LearnProcAddressPointers() {
  const bool v2 = FindSymbol(cuda_object, "cuGetProcAddress_v2") != nullptr;
  const bool v1 = FindSymbol(cuda_object, "cuGetProcAddress") != nullptr;
  if (!v1 && !v2) return;
  for (const Entry& entry : kEntries) {
    if (FindHook(entry.base) == HookId::kCount) continue;
    if (FindSymbol(cuda_object, entry.symbol) == nullptr) continue;
    const cuuint64_t flags = entry.per_thread ? CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM
                                              : CU_GET_PROC_ADDRESS_LEGACY_STREAM;
    void* pointer = nullptr;
    CUdriverProcAddressQueryResult status = CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    const CUresult result =
        v2 ? cuda.cuGetProcAddress_v2(entry.base, &pointer, entry.version, flags, &status)
           : cuda.cuGetProcAddress(entry.base, &pointer, entry.version, flags);
    if (result != CUDA_SUCCESS || pointer == nullptr) continue;
    const HookId id = FindHook(entry.symbol);
    AddTranslation(pointer, id != HookId::kCount ? GetHook(id).function : pointer);
  }
}

}  // namespace

bool BindCudaSlow() {
  if (binding_here) return false;
  const SpinLock::Holder holder(bind_lock);
  if (cuda_is_bound.load(std::memory_order_relaxed)) return true;
  const Object found = FindObjectNamed(kCudaSoname);
  if (!found.loaded()) return false;
  cuda_object = found;
  auto* missing = reinterpret_cast<void*>(&MissingCudaFunction);
#define HAMI_CUDA_HOOK(symbol, on_failure) BindOne(found, #symbol, missing, &cuda.symbol);
#include "preload/hooks.def"
#define HAMI_CUDA_CALL(symbol) BindOne(found, #symbol, missing, &cuda.symbol);
#include "preload/calls.def"
  binding_here = true;
  LearnExportedPointers();
  LearnProcAddressPointers();
  binding_here = false;
  Log(LogLevel::kInfo, "bound to the driver %s", found.path);
  cuda_is_bound.store(true, std::memory_order_release);
  return true;
}

bool BindNvmlSlow() {
  if (binding_here) return false;
  const SpinLock::Holder holder(bind_lock);
  if (nvml_is_bound.load(std::memory_order_relaxed)) return true;
  const Object found = FindObjectNamed(kNvmlSoname);
  if (!found.loaded()) return false;
  nvml_object = found;
  auto* missing = reinterpret_cast<void*>(&MissingNvmlFunction);
#define HAMI_NVML_HOOK(symbol, on_failure) BindOne(found, #symbol, missing, &nvml.symbol);
#include "preload/hooks.def"
#define HAMI_NVML_CALL(symbol) BindOne(found, #symbol, missing, &nvml.symbol);
#include "preload/calls.def"
#define HAMI_REFUSED(symbol) BindOne(found, #symbol, missing, &nvml.symbol);
#include "preload/refused.def"
  Log(LogLevel::kInfo, "bound to NVML %s", found.path);
  nvml_is_bound.store(true, std::memory_order_release);
  return true;
}

const Object& DriverObject(DriverLibrary library) {
  return library == DriverLibrary::kCuda ? cuda_object : nvml_object;
}

bool DriverHas(HookId id) {
  const Hook& hook = GetHook(id);
  return FindSymbol(DriverObject(hook.library), hook.symbol) != nullptr;
}

void* HookForRequest(const char* base, int cuda_version, bool per_thread, bool* known) {
  *known = cuda_version <= kNewestVersion;
  const Entry* best = nullptr;
  for (const Entry& entry : kEntries) {
    if (entry.version > cuda_version || __builtin_strcmp(entry.base, base) != 0) continue;
    if (entry.per_thread && !per_thread) continue;
    if (FindSymbol(cuda_object, entry.symbol) == nullptr) continue;
    // At one version the per-thread form is the one that was asked for.
    if (best == nullptr || entry.version > best->version ||
        (entry.version == best->version && entry.per_thread)) {
      best = &entry;
    }
  }
  const HookId id = best != nullptr ? FindHook(best->symbol) : HookId::kCount;
  return id != HookId::kCount ? GetHook(id).function : nullptr;
}

void* HookForDriverPointer(void* pointer) {
  for (size_t at = PlaceOf(pointer); translations[at].driver_pointer != nullptr;
       at = (at + 1) % kTranslations) {
    if (translations[at].driver_pointer == pointer) return translations[at].hook;
  }
  return nullptr;
}

}  // namespace hami::preload
