// SPDX-License-Identifier: Apache-2.0
//
// Buffers, images and surfaces of OpenGL, EGL and VDPAU that are registered with CUDA. Their memory
// was taken by another interface, on which there is no limit, and the driver counts it for this
// process. It counts for the slice as imported memory does (external_memory.cc): from the moment on
// at which its size is known, when a mapped resource is first looked at, until the resource is
// unregistered; over the limit the look is refused. Registered twice, it counts twice: a name does
// not tell of which graphics context it is.
//
// The agent may have found the memory already, as hidden memory (docs/adr/0011); then it is not
// counted on top of that (ChargeExisting). Frames of an EGL stream are their producer's and not
// counted here.

#include "preload/graphics.h"

#include "preload/contexts.h"
#include "preload/devices.h"
#include "preload/driver.h"
#include "preload/memory_arrays.h"
#include "preload/process.h"
#include "preload/table.h"

namespace hami::preload {
namespace {

using region::ChargeKind;

struct Registered {
  uint64_t key;  // the resource, or a buffer of the old interface
  uint64_t context;
  uint64_t bytes;  // charged; 0: the size is not known yet
  uint64_t ordinal;
};
constinit Table<Registered> resources;

// cuGLRegisterBufferObject gives no handle. No pointer has this bit.
constexpr uint64_t kBufferObject = uint64_t{1} << 63;

constexpr unsigned kMaxLevels = 18;
constexpr unsigned kMaxIndices = 2048;

uint64_t KeyOf(CUgraphicsResource resource) { return reinterpret_cast<uint64_t>(resource); }

// Makes a resource known by calling `call`, which gives its key; `undo` unregisters it.
template <typename Call, typename Undo>
CUresult Register(const Call& call, const Undo& undo) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  CurrentDevice current;
  CUcontext context = nullptr;
  uint64_t key = 0;
  const Mode mode = PrepareAllocation(&current);
  if (mode == Mode::kRefuse) return CUDA_ERROR_OUT_OF_MEMORY;
  if (mode != Mode::kLimit || cuda.cuCtxGetCurrent(&context) != CUDA_SUCCESS) return call(&key);
  const CUresult result = call(&key);
  if (result != CUDA_SUCCESS || key == 0) return result;
  context = PrimaryIfGreen(context, current.ordinal);
  if (resources.Insert(
          {key, reinterpret_cast<uint64_t>(context), 0, static_cast<uint64_t>(current.ordinal)})) {
    return CUDA_SUCCESS;
  }
  undo(key);
  return CUDA_ERROR_OUT_OF_MEMORY;
}

template <typename Call>
CUresult RegisterResource(CUgraphicsResource* resource, const Call& call) {
  return Register(
      [&](uint64_t* key) {
        const CUresult result = call();
        if (result == CUDA_SUCCESS && resource != nullptr) *key = KeyOf(*resource);
        return result;
      },
      [](uint64_t key) {
        cuda.cuGraphicsUnregisterResource(reinterpret_cast<CUgraphicsResource>(key));
      });
}

template <typename Call>
CUresult Unregister(uint64_t key, const Call& call) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  // The driver may give the handle out again the moment it is free.
  Registered entry;
  if (EnterCuda() != Mode::kLimit || !resources.Take(key, &entry)) return call();
  const CUresult result = call();
  if (result != CUDA_SUCCESS) {
    resources.Insert(entry);
  } else if (entry.bytes != 0) {
    Refund(*DeviceOfOrdinal(static_cast<int>(entry.ordinal)), entry.bytes, ChargeKind::kData);
  }
  return result;
}

// Whether the resource is one that is still to be charged.
bool IsUncharged(uint64_t key, Registered* entry) {
  return EnterCuda() == Mode::kLimit && resources.Find(key, entry) && entry->bytes == 0;
}

// False: the limit forbids it.
bool ChargeOnce(const Registered& entry, uint64_t bytes) {
  Device& device = *DeviceOfOrdinal(static_cast<int>(entry.ordinal));
  const uint64_t page = device.page_bytes;
  if (bytes == 0 || bytes > UINT64_MAX - page) return bytes == 0;
  bytes = (bytes + page - 1) / page * page;
  FollowLimits();
  if (!ChargeExisting(device, bytes, ChargeKind::kData)) return false;
  bool kept = false;
  resources.Edit(entry.key, [&](Registered& registered) {
    kept = registered.bytes == 0;
    if (kept) registered.bytes = bytes;
    return Table<Registered>::Verdict::kKeep;
  });
  // Another thread was first, or has unregistered it.
  if (!kept) Refund(device, bytes, ChargeKind::kData);
  return true;
}

uint64_t Sum(uint64_t a, uint64_t b) {
  uint64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

uint64_t BytesOfArray(CUarray array) {
  CUDA_ARRAY3D_DESCRIPTOR shape = {};
  return cuda.cuArray3DGetDescriptor_v2(&shape, array) == CUDA_SUCCESS ? EstimateArray(shape) : 0;
}

// Every level of every face or layer.
uint64_t BytesOfImage(CUgraphicsResource resource) {
  uint64_t bytes = 0;
  for (unsigned level = 0; level < kMaxLevels; ++level) {
    unsigned index = 0;
    CUarray array = nullptr;
    for (; index < kMaxIndices; ++index) {
      if (cuda.cuGraphicsSubResourceGetMappedArray(&array, resource, index, level) != CUDA_SUCCESS)
        break;
      bytes = Sum(bytes, BytesOfArray(array));
    }
    if (index == 0) break;
  }
  return bytes;
}

uint64_t BytesOfMipmap(CUmipmappedArray mipmap) {
  uint64_t bytes = 0;
  CUarray level = nullptr;
  for (unsigned i = 0; i < kMaxLevels; ++i) {
    if (cuda.cuMipmappedArrayGetLevel(&level, mipmap, i) != CUDA_SUCCESS) break;
    bytes = Sum(bytes, BytesOfArray(level));
  }
  return bytes;
}

// A plane that is not an array is counted as large as the first one: what it has at most.
uint64_t BytesOfFrame(const CUeglFrame& frame) {
  uint64_t bytes = 0;
  for (unsigned i = 0; i < frame.planeCount && i < HAMI_CU_EGL_MAX_PLANES; ++i) {
    if (frame.frameType == CU_EGL_FRAME_TYPE_ARRAY) {
      bytes = Sum(bytes, BytesOfArray(frame.frame.pArray[i]));
    } else {
      const uint64_t plane = uint64_t{frame.pitch} * frame.height;
      bytes = Sum(bytes, frame.depth > 1 ? plane * frame.depth : plane);
    }
  }
  return bytes;
}

// A look at a mapped resource: `get` asks the driver and fills in a value of ours, `size` says what
// the resource takes, `give` hands the value to the program.
template <typename Value, typename Get, typename Size>
CUresult Look(uint64_t key, Value* out, const Get& get, const Size& size) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  Registered entry;
  if (out == nullptr || !IsUncharged(key, &entry)) return get(out);
  Value value = {};
  const CUresult result = get(&value);
  if (result != CUDA_SUCCESS) return result;
  if (!ChargeOnce(entry, size(value))) return CUDA_ERROR_OUT_OF_MEMORY;
  *out = value;
  return CUDA_SUCCESS;
}

template <typename Pointer, typename Size, typename Get>
CUresult LookAtBuffer(uint64_t key, Pointer* pointer, Size* size, const Get& get) {
  Size bytes = 0;
  Size* const asked = pointer != nullptr ? &bytes : size;
  const CUresult result =
      Look(key, pointer, [&](Pointer* p) { return get(p, asked); }, [&](Pointer) { return bytes; });
  if (result == CUDA_SUCCESS && asked == &bytes && size != nullptr) *size = bytes;
  return result;
}

// The old interface maps and tells the size in one call.
template <typename Pointer, typename Size, typename Get>
CUresult MapBufferObject(Pointer* pointer, Size* size, unsigned buffer, const Get& get) {
  bool mapped = false;
  const CUresult result =
      LookAtBuffer(kBufferObject | buffer, pointer, size, [&](Pointer* p, Size* s) {
        const CUresult got = get(p, s);
        mapped = got == CUDA_SUCCESS;
        return got;
      });
  if (result != CUDA_SUCCESS && mapped) cuda.cuGLUnmapBufferObject(buffer);
  return result;
}

}  // namespace

void ForgetGraphicsOf(CUcontext context) {
  resources.VisitAll([=](const Registered& seen) {
    Registered entry;
    if (seen.context != reinterpret_cast<uint64_t>(context)) return;
    if (!resources.Take(seen.key, &entry) || entry.bytes == 0) return;
    Refund(*DeviceOfOrdinal(static_cast<int>(entry.ordinal)), entry.bytes, ChargeKind::kData);
  });
}

void ResetGraphicsAfterFork() { resources.ResetAfterFork(); }

}  // namespace hami::preload

using namespace hami::preload;

extern "C" {

// ---- registering

HAMI_EXPORT CUresult cuGraphicsGLRegisterBuffer(CUgraphicsResource* resource, unsigned int buffer,
                                                unsigned int flags) {
  return RegisterResource(resource,
                          [=] { return cuda.cuGraphicsGLRegisterBuffer(resource, buffer, flags); });
}

HAMI_EXPORT CUresult cuGraphicsGLRegisterImage(CUgraphicsResource* resource, unsigned int image,
                                               unsigned int target, unsigned int flags) {
  return RegisterResource(
      resource, [=] { return cuda.cuGraphicsGLRegisterImage(resource, image, target, flags); });
}

HAMI_EXPORT CUresult cuGraphicsEGLRegisterImage(CUgraphicsResource* resource, void* image,
                                                unsigned int flags) {
  return RegisterResource(resource,
                          [=] { return cuda.cuGraphicsEGLRegisterImage(resource, image, flags); });
}

HAMI_EXPORT CUresult cuGraphicsVDPAURegisterVideoSurface(CUgraphicsResource* resource,
                                                         unsigned int surface, unsigned int flags) {
  return RegisterResource(
      resource, [=] { return cuda.cuGraphicsVDPAURegisterVideoSurface(resource, surface, flags); });
}

HAMI_EXPORT CUresult cuGraphicsVDPAURegisterOutputSurface(CUgraphicsResource* resource,
                                                          unsigned int surface,
                                                          unsigned int flags) {
  return RegisterResource(resource, [=] {
    return cuda.cuGraphicsVDPAURegisterOutputSurface(resource, surface, flags);
  });
}

HAMI_EXPORT CUresult cuGraphicsUnregisterResource(CUgraphicsResource resource) {
  return Unregister(KeyOf(resource), [=] { return cuda.cuGraphicsUnregisterResource(resource); });
}

HAMI_EXPORT CUresult cuGLRegisterBufferObject(unsigned int buffer) {
  return Register(
      [=](uint64_t* key) {
        *key = kBufferObject | buffer;
        return cuda.cuGLRegisterBufferObject(buffer);
      },
      [=](uint64_t) { cuda.cuGLUnregisterBufferObject(buffer); });
}

HAMI_EXPORT CUresult cuGLUnregisterBufferObject(unsigned int buffer) {
  return Unregister(kBufferObject | buffer,
                    [=] { return cuda.cuGLUnregisterBufferObject(buffer); });
}

// ---- looking at what is mapped

HAMI_EXPORT CUresult cuGraphicsResourceGetMappedPointer(CUdeviceptr_v1* pointer, unsigned int* size,
                                                        CUgraphicsResource resource) {
  return LookAtBuffer(KeyOf(resource), pointer, size, [=](CUdeviceptr_v1* p, unsigned int* s) {
    return cuda.cuGraphicsResourceGetMappedPointer(p, s, resource);
  });
}

HAMI_EXPORT CUresult cuGraphicsResourceGetMappedPointer_v2(CUdeviceptr* pointer, size_t* size,
                                                           CUgraphicsResource resource) {
  return LookAtBuffer(KeyOf(resource), pointer, size, [=](CUdeviceptr* p, size_t* s) {
    return cuda.cuGraphicsResourceGetMappedPointer_v2(p, s, resource);
  });
}

HAMI_EXPORT CUresult cuGraphicsSubResourceGetMappedArray(CUarray* array,
                                                         CUgraphicsResource resource,
                                                         unsigned int index, unsigned int level) {
  return Look(
      KeyOf(resource), array,
      [=](CUarray* a) {
        return cuda.cuGraphicsSubResourceGetMappedArray(a, resource, index, level);
      },
      [=](CUarray) { return BytesOfImage(resource); });
}

HAMI_EXPORT CUresult cuGraphicsResourceGetMappedMipmappedArray(CUmipmappedArray* mipmap,
                                                               CUgraphicsResource resource) {
  return Look(
      KeyOf(resource), mipmap,
      [=](CUmipmappedArray* m) {
        return cuda.cuGraphicsResourceGetMappedMipmappedArray(m, resource);
      },
      BytesOfMipmap);
}

HAMI_EXPORT CUresult cuGraphicsResourceGetMappedEglFrame(CUeglFrame* frame,
                                                         CUgraphicsResource resource,
                                                         unsigned int index, unsigned int level) {
  return Look(
      KeyOf(resource), frame,
      [=](CUeglFrame* f) {
        return cuda.cuGraphicsResourceGetMappedEglFrame(f, resource, index, level);
      },
      BytesOfFrame);
}

HAMI_EXPORT CUresult cuGLMapBufferObject(CUdeviceptr_v1* pointer, unsigned int* size,
                                         unsigned int buffer) {
  return MapBufferObject(pointer, size, buffer, [=](CUdeviceptr_v1* p, unsigned int* s) {
    return cuda.cuGLMapBufferObject(p, s, buffer);
  });
}

HAMI_EXPORT CUresult cuGLMapBufferObject_v2(CUdeviceptr* pointer, size_t* size,
                                            unsigned int buffer) {
  return MapBufferObject(pointer, size, buffer, [=](CUdeviceptr* p, size_t* s) {
    return cuda.cuGLMapBufferObject_v2(p, s, buffer);
  });
}

HAMI_EXPORT CUresult cuGLMapBufferObject_v2_ptds(CUdeviceptr* pointer, size_t* size,
                                                 unsigned int buffer) {
  return MapBufferObject(pointer, size, buffer, [=](CUdeviceptr* p, size_t* s) {
    return cuda.cuGLMapBufferObject_v2_ptds(p, s, buffer);
  });
}

HAMI_EXPORT CUresult cuGLMapBufferObjectAsync(CUdeviceptr_v1* pointer, unsigned int* size,
                                              unsigned int buffer, CUstream stream) {
  return MapBufferObject(pointer, size, buffer, [=](CUdeviceptr_v1* p, unsigned int* s) {
    return cuda.cuGLMapBufferObjectAsync(p, s, buffer, stream);
  });
}

HAMI_EXPORT CUresult cuGLMapBufferObjectAsync_v2(CUdeviceptr* pointer, size_t* size,
                                                 unsigned int buffer, CUstream stream) {
  return MapBufferObject(pointer, size, buffer, [=](CUdeviceptr* p, size_t* s) {
    return cuda.cuGLMapBufferObjectAsync_v2(p, s, buffer, stream);
  });
}

HAMI_EXPORT CUresult cuGLMapBufferObjectAsync_v2_ptsz(CUdeviceptr* pointer, size_t* size,
                                                      unsigned int buffer, CUstream stream) {
  return MapBufferObject(pointer, size, buffer, [=](CUdeviceptr* p, size_t* s) {
    return cuda.cuGLMapBufferObjectAsync_v2_ptsz(p, s, buffer, stream);
  });
}

}  // extern "C"
