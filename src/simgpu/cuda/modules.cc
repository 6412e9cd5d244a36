// SPDX-License-Identifier: Apache-2.0

#include "simgpu/cuda/modules.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/cuda/functions.h"
#include "simgpu/cuda/memory.h"
#include "simgpu/cuda/read_file.h"
#include "simgpu/cuda/streams.h"
#include "simgpu/image/image.h"

namespace hami::simgpu::cuda {
namespace {

char* CopyName(const char* name, uint32_t bytes) {
  char* copy = static_cast<char*>(AllocateZeroed(bytes + 1));
  memcpy(copy, name, bytes);
  return copy;
}

template <typename T>
void Append(T** array, uint32_t* count, uint32_t* capacity, const T& value) {
  if (*count == *capacity) {
    *capacity = *capacity == 0 ? 8 : *capacity * 2;
    constexpr size_t kBytes = sizeof(T);  // NOLINT(bugprone-sizeof-expression): T may be a pointer
    auto* grown = static_cast<T*>(AllocateZeroed(*capacity * kBytes));
    if (*count > 0) memcpy(static_cast<void*>(grown), *array, *count * kBytes);
    Deallocate(*array);
    *array = grown;
  }
  (*array)[(*count)++] = value;
}

void AddKernel(void* context, const ImageKernel& kernel) {
  auto* module = static_cast<Module*>(context);
  auto* function = NewObject<Function>(module->owner);
  function->module = module;
  function->name = CopyName(kernel.name, kernel.name_bytes);
  function->param_count = kernel.param_count;
  function->param_bytes = kernel.param_bytes;
  function->params =
      static_cast<KernelParam*>(AllocateZeroed((kernel.param_count + 1) * sizeof(KernelParam)));
  for (uint32_t i = 0; i < kernel.param_count; ++i) {
    function->params[i] = {kernel.params[i].offset, kernel.params[i].bytes};
  }
  function->registers = kernel.registers;
  function->shared_bytes = kernel.shared_bytes;
  function->max_threads = kernel.max_threads;
  FindKernelTime(function);
  Append(&module->functions, &module->function_count, &module->function_capacity, function);
}

void AddGlobal(void* context, const ImageGlobal& global) {
  auto* module = static_cast<Module*>(context);
  Append(&module->globals, &module->global_count, &module->global_capacity,
         Global{CopyName(global.name, global.name_bytes), 0, global.bytes});
}

CUresult ResultOf(ImageStatus status) {
  switch (status) {
    case ImageStatus::kOk:
      return CUDA_SUCCESS;
    case ImageStatus::kInvalidImage:
      return CUDA_ERROR_INVALID_IMAGE;
    case ImageStatus::kInvalidPtx:
      return CUDA_ERROR_INVALID_PTX;
    case ImageStatus::kNoBinaryForGpu:
      return CUDA_ERROR_NO_BINARY_FOR_GPU;
    case ImageStatus::kUnsupportedPtxVersion:
      return CUDA_ERROR_UNSUPPORTED_PTX_VERSION;
  }
  return CUDA_ERROR_UNKNOWN;
}

CUresult PlaceOnDevice(Module* module, uint64_t device_bytes) {
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < module->global_count; ++i) {
    bytes += RoundUp(module->globals[i].bytes, kAlignment);
  }
  // The image's own figure contains them, but not each one's alignment.
  if (bytes < device_bytes) bytes = device_bytes;
  if (bytes == 0) return CUDA_SUCCESS;
  const CUresult result = AllocatePlain(module->owner, bytes, MemoryKind::kModule, &module->memory);
  if (result != CUDA_SUCCESS) return result;
  uint64_t at = module->memory;
  for (uint32_t i = 0; i < module->global_count; ++i) {
    module->globals[i].address = at;
    at += RoundUp(module->globals[i].bytes, kAlignment);
  }
  return CUDA_SUCCESS;
}

}  // namespace

CUresult LoadModule(Context* context, const void* image, Module** out) {
  auto* module = NewObject<Module>(context);
  const ImageVisitor visitor = {module, AddKernel, AddGlobal};
  uint64_t device_bytes = 0;
  const auto sm = static_cast<int>(ConfigOf(context->device).compute_capability);
  const auto version = GlanceAtMachine().cuda_version;
  CUresult result = ResultOf(ParseImage(image, sm, visitor, &device_bytes, MaxPtxVersion(version)));
  if (result == CUDA_SUCCESS) result = PlaceOnDevice(module, device_bytes);
  if (result != CUDA_SUCCESS) {
    DestroyModule(module);
    return result;
  }
  *out = module;
  return CUDA_SUCCESS;
}

void DestroyFunction(Function* function) {
  Deallocate(function->name);
  Deallocate(function->params);
  Deallocate(function->old);
  DeleteObject(function);
}

void DestroyModule(Module* module) {
  for (uint32_t i = 0; i < module->function_count; ++i) {
    Function* function = module->functions[i];
    // When the context goes its functions may have gone before.
    if (IsLive(function, Kind::kFunction)) DestroyFunction(function);
  }
  for (uint32_t i = 0; i < module->global_count; ++i) Deallocate(module->globals[i].name);
  if (module->library != nullptr) {
    for (Module*& at : module->library->modules) {
      if (at == module) at = nullptr;
    }
  }
  if (module->memory != 0) FreeOwnedMemory(module->memory);
  Deallocate(module->functions);
  Deallocate(module->globals);
  DeleteObject(module);
}

Function* FindFunction(Module* module, const char* name) {
  for (uint32_t i = 0; i < module->function_count; ++i) {
    if (TextEquals(module->functions[i]->name, name)) return module->functions[i];
  }
  return nullptr;
}

}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

namespace {

CUresult Load(CUmodule* out, const void* image) {
  HAMI_ENTER(Need::kContext);
  if (out == nullptr || image == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const CUresult unsafe = CheckUnsafeCall();
  if (unsafe != CUDA_SUCCESS) return unsafe;
  Module* module = nullptr;
  const CUresult result = LoadModule(entry.context, image, &module);
  if (result == CUDA_SUCCESS) *out = reinterpret_cast<CUmodule>(module);
  return result;
}

}  // namespace

HAMI_SIM_API CUresult cuModuleLoadData(CUmodule* module, const void* image) {
  return Load(module, image);
}
HAMI_SIM_API CUresult cuModuleLoadFatBinary(CUmodule* module, const void* image) {
  return Load(module, image);
}
HAMI_SIM_API CUresult cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned count,
                                         CUjit_option* options, void** values) {
  if (count > 0 && (options == nullptr || values == nullptr)) return CUDA_ERROR_INVALID_VALUE;
  return Load(module, image);
}
HAMI_SIM_API CUresult cuModuleLoad(CUmodule* module, const char* path) {
  if (module == nullptr || path == nullptr) return CUDA_ERROR_INVALID_VALUE;
  void* image = ReadFile(path);
  if (image == nullptr) return CUDA_ERROR_FILE_NOT_FOUND;
  const CUresult result = Load(module, image);
  Deallocate(image);
  return result;
}

HAMI_SIM_API CUresult cuModuleUnload(CUmodule handle) {
  HAMI_ENTER(Need::kInit);
  auto* module = Find<Module>(handle);
  if (module == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (module->library != nullptr) return CUDA_ERROR_NOT_PERMITTED;
  DestroyModule(module);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuModuleGetFunction(CUfunction* out, CUmodule handle, const char* name) {
  HAMI_ENTER(Need::kInit);
  auto* module = Find<Module>(handle);
  if (out == nullptr || name == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (module == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  Function* function = FindFunction(module, name);
  if (function == nullptr) return CUDA_ERROR_NOT_FOUND;
  *out = reinterpret_cast<CUfunction>(function);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuModuleGetFunctionCount(unsigned* count, CUmodule handle) {
  HAMI_ENTER(Need::kInit);
  auto* module = Find<Module>(handle);
  if (count == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (module == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  *count = module->function_count;
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuModuleEnumerateFunctions(CUfunction* functions, unsigned count,
                                                 CUmodule handle) {
  HAMI_ENTER(Need::kInit);
  auto* module = Find<Module>(handle);
  if (functions == nullptr || count == 0) return CUDA_ERROR_INVALID_VALUE;
  if (module == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  for (unsigned i = 0; i < count && i < module->function_count; ++i) {
    functions[i] = reinterpret_cast<CUfunction>(module->functions[i]);
  }
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuModuleGetGlobal_v2(CUdeviceptr* address, size_t* bytes, CUmodule handle,
                                           const char* name) {
  HAMI_ENTER(Need::kInit);
  auto* module = Find<Module>(handle);
  if (name == nullptr || (address == nullptr && bytes == nullptr)) return CUDA_ERROR_INVALID_VALUE;
  if (module == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  for (uint32_t i = 0; i < module->global_count; ++i) {
    if (!TextEquals(module->globals[i].name, name)) continue;
    if (address != nullptr) *address = module->globals[i].address;
    if (bytes != nullptr) *bytes = module->globals[i].bytes;
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_NOT_FOUND;
}

HAMI_SIM_API CUresult cuModuleGetLoadingMode(int* mode) {
  if (mode == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const char* wish = getenv("CUDA_MODULE_LOADING");
  *mode = wish != nullptr && TextEquals(wish, "EAGER") ? 1 : 2;
  return CUDA_SUCCESS;
}
