// SPDX-License-Identifier: Apache-2.0
//
// Libraries: images that belong to no context. What they have is read when they are loaded; a
// context gets its module, and pays for it, when something of the library is first used there.

#include <string.h>

#include "api/cuda/functions.h"
#include "simgpu/cuda/memory.h"
#include "simgpu/cuda/modules.h"
#include "simgpu/cuda/read_file.h"
#include "simgpu/cuda/streams.h"
#include "simgpu/image/image.h"

namespace hami::simgpu::cuda {
namespace {

struct Gathering {
  Library* library;
  uint32_t capacity;
};

void AddLibraryKernel(void* context, const ImageKernel& kernel) {
  auto* gathering = static_cast<Gathering*>(context);
  Library* library = gathering->library;
  if (library->kernel_count == gathering->capacity) {
    gathering->capacity = gathering->capacity == 0 ? 16 : gathering->capacity * 2;
    auto** grown =
        static_cast<LibraryKernel**>(AllocateZeroed(gathering->capacity * sizeof(LibraryKernel*)));
    if (library->kernel_count > 0) {
      memcpy(grown, library->kernels, library->kernel_count * sizeof(LibraryKernel*));
    }
    Deallocate(library->kernels);
    library->kernels = grown;
  }
  auto* made = NewObject<LibraryKernel>(nullptr);
  made->library = library;
  made->name = static_cast<char*>(AllocateZeroed(kernel.name_bytes + 1));
  memcpy(made->name, kernel.name, kernel.name_bytes);
  library->kernels[library->kernel_count++] = made;
}

void IgnoreGlobal(void*, const ImageGlobal&) {}

// The caller may free the image at once (unless it says CU_LIBRARY_BINARY_IS_PRESERVED, which only
// saves the copy).
void* CopyImage(const void* image) {
  uint64_t bytes = 0;
  const void* found = FindImage(image, &bytes);
  void* copy = AllocateZeroed(bytes + 1);
  memcpy(copy, found, bytes);
  return copy;
}

CUresult LoadLibrary(const void* image, Library** out) {
  const uint32_t device = Current() != nullptr ? Current()->device : process.devices[0];
  auto* library = NewObject<Library>(nullptr);
  Gathering gathering = {library, 0};
  uint64_t device_bytes = 0;
  const ImageStatus status =
      ParseImage(image, static_cast<int>(ConfigOf(device).compute_capability),
                 {&gathering, AddLibraryKernel, IgnoreGlobal}, &device_bytes,
                 MaxPtxVersion(GlanceAtMachine().cuda_version));
  if (status != ImageStatus::kOk) {
    DeleteObject(library);
    if (status == ImageStatus::kInvalidPtx) return CUDA_ERROR_INVALID_PTX;
    if (status == ImageStatus::kNoBinaryForGpu) return CUDA_ERROR_NO_BINARY_FOR_GPU;
    return status == ImageStatus::kUnsupportedPtxVersion ? CUDA_ERROR_UNSUPPORTED_PTX_VERSION
                                                         : CUDA_ERROR_INVALID_IMAGE;
  }
  library->image = CopyImage(image);
  *out = library;
  return CUDA_SUCCESS;
}

void UnloadLibrary(Library* library) {
  for (Module* module : library->modules) {
    if (module != nullptr && IsLive(module, Kind::kModule)) {
      module->library = nullptr;
      DestroyModule(module);
    }
  }
  for (uint32_t i = 0; i < library->kernel_count; ++i) {
    Deallocate(library->kernels[i]->name);
    DeleteObject(library->kernels[i]);
  }
  Deallocate(library->kernels);
  Deallocate(library->image);
  DeleteObject(library);
}

}  // namespace

CUresult ModuleOfLibrary(Library* library, Context* context, Module** module) {
  Module** room = nullptr;
  for (Module*& at : library->modules) {
    if (at == nullptr) {
      if (room == nullptr) room = &at;
    } else if (at->owner == context) {
      *module = at;
      return CUDA_SUCCESS;
    }
  }
  if (room == nullptr) return CUDA_ERROR_OUT_OF_MEMORY;
  const CUresult result = LoadModule(context, library->image, module);
  if (result != CUDA_SUCCESS) return result;
  (*module)->library = library;
  *room = *module;
  return CUDA_SUCCESS;
}

CUresult ResolveFunction(Context* context, CUfunction handle, Function** out) {
  if (auto* function = Find<Function>(handle)) {
    if (function->owner != context) return CUDA_ERROR_INVALID_HANDLE;
    *out = function;
    return CUDA_SUCCESS;
  }
  auto* kernel = Find<LibraryKernel>(handle);
  if (kernel == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  Module* module = nullptr;
  const CUresult result = ModuleOfLibrary(kernel->library, context, &module);
  if (result != CUDA_SUCCESS) return result;
  *out = FindFunction(module, kernel->name);
  return *out != nullptr ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

HAMI_SIM_API CUresult cuModuleGetGlobal_v2(CUdeviceptr*, size_t*, CUmodule, const char*);

HAMI_SIM_API CUresult cuLibraryLoadData(CUlibrary* out, const void* code, CUjit_option*, void**,
                                        unsigned, CUlibraryOption*, void**, unsigned) {
  HAMI_ENTER(Need::kInit);
  if (out == nullptr || code == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Library* library = nullptr;
  const CUresult result = LoadLibrary(code, &library);
  if (result == CUDA_SUCCESS) *out = reinterpret_cast<CUlibrary>(library);
  return result;
}

HAMI_SIM_API CUresult cuLibraryLoadFromFile(CUlibrary* out, const char* path, CUjit_option*, void**,
                                            unsigned, CUlibraryOption*, void**, unsigned) {
  HAMI_ENTER(Need::kInit);
  if (out == nullptr || path == nullptr) return CUDA_ERROR_INVALID_VALUE;
  void* image = ReadFile(path);
  if (image == nullptr) return CUDA_ERROR_FILE_NOT_FOUND;
  Library* library = nullptr;
  const CUresult result = LoadLibrary(image, &library);
  Deallocate(image);
  if (result == CUDA_SUCCESS) *out = reinterpret_cast<CUlibrary>(library);
  return result;
}

HAMI_SIM_API CUresult cuLibraryUnload(CUlibrary handle) {
  HAMI_ENTER(Need::kInit);
  auto* library = Find<Library>(handle);
  if (library == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  UnloadLibrary(library);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuLibraryGetKernel(CUkernel* out, CUlibrary handle, const char* name) {
  HAMI_ENTER(Need::kInit);
  auto* library = Find<Library>(handle);
  if (out == nullptr || name == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (library == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  for (uint32_t i = 0; i < library->kernel_count; ++i) {
    if (!TextEquals(library->kernels[i]->name, name)) continue;
    *out = reinterpret_cast<CUkernel>(library->kernels[i]);
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_NOT_FOUND;
}

HAMI_SIM_API CUresult cuLibraryGetKernelCount(unsigned* count, CUlibrary handle) {
  HAMI_ENTER(Need::kInit);
  auto* library = Find<Library>(handle);
  if (count == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (library == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  *count = library->kernel_count;
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuLibraryEnumerateKernels(CUkernel* kernels, unsigned count,
                                                CUlibrary handle) {
  HAMI_ENTER(Need::kInit);
  auto* library = Find<Library>(handle);
  if (kernels == nullptr || count == 0) return CUDA_ERROR_INVALID_VALUE;
  if (library == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  for (unsigned i = 0; i < count && i < library->kernel_count; ++i) {
    kernels[i] = reinterpret_cast<CUkernel>(library->kernels[i]);
  }
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuLibraryGetModule(CUmodule* out, CUlibrary handle) {
  HAMI_ENTER(Need::kContext);
  auto* library = Find<Library>(handle);
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (library == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  Module* module = nullptr;
  const CUresult result = ModuleOfLibrary(library, entry.context, &module);
  if (result == CUDA_SUCCESS) *out = reinterpret_cast<CUmodule>(module);
  return result;
}

HAMI_SIM_API CUresult cuLibraryGetGlobal(CUdeviceptr* address, size_t* bytes, CUlibrary handle,
                                         const char* name) {
  CUmodule module = nullptr;
  const CUresult result = cuLibraryGetModule(&module, handle);
  if (result != CUDA_SUCCESS) return result;
  return cuModuleGetGlobal_v2(address, bytes, module, name);
}

HAMI_SIM_API CUresult cuKernelGetFunction(CUfunction* out, CUkernel handle) {
  HAMI_ENTER(Need::kContext);
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (Find<LibraryKernel>(handle) == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  Function* function = nullptr;
  const CUresult result =
      ResolveFunction(entry.context, reinterpret_cast<CUfunction>(handle), &function);
  if (result == CUDA_SUCCESS) *out = reinterpret_cast<CUfunction>(function);
  return result;
}

HAMI_SIM_API CUresult cuKernelGetName(const char** name, CUkernel handle) {
  HAMI_ENTER(Need::kInit);
  auto* kernel = Find<LibraryKernel>(handle);
  if (name == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (kernel == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  *name = kernel->name;
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuKernelGetLibrary(CUlibrary* out, CUkernel handle) {
  HAMI_ENTER(Need::kInit);
  auto* kernel = Find<LibraryKernel>(handle);
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (kernel == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  *out = reinterpret_cast<CUlibrary>(kernel->library);
  return CUDA_SUCCESS;
}
