// SPDX-License-Identifier: Apache-2.0
//
// Graphics interoperation. There is no graphics interface here; api/cuda/simulation.h makes the
// objects that one would have made. A registered object keeps an address from then on, or levels
// that are arrays. Not simulated: the order of graphics work and CUDA's, EGL streams, the functions
// with 32-bit addresses; content is CUDA's alone.

#include "api/cuda/functions.h"
#include "api/cuda/simulation.h"
#include "simgpu/cuda/arrays.h"
#include "simgpu/cuda/memory.h"
#include "simgpu/cuda/streams.h"

namespace hami::simgpu::cuda {

// What a graphics interface has made.
struct GraphicsObject {
  unsigned name;
  uint32_t device;
  uint64_t bytes;     // of a buffer; 0: an image
  uint64_t physical;  // as taken from the device
  CUDA_ARRAY3D_DESCRIPTOR shape;
  uint32_t levels;
  uint32_t registered;          // how many times
  struct Graphics* old_buffer;  // of cuGLRegisterBufferObject
  GraphicsObject* next;
};

// One layer or face of one level, as cuGraphicsSubResourceGetMappedArray gives it.
struct Slice {
  unsigned index;
  unsigned level;
  Array* array;
  Slice* next;
};

struct Graphics : Object {
  static constexpr Kind kKind = Kind::kGraphics;
  GraphicsObject* object;
  bool mapped;
  Allocation allocation;
  Mipmap* mipmap;  // of an image
  Slice* slices;
};

namespace {

GraphicsObject* objects;
unsigned last_name;  // 0: nobody has made a graphics context

GraphicsObject** FindSlot(unsigned name) {
  GraphicsObject** at = &objects;
  while (*at != nullptr && (*at)->name != name) at = &(*at)->next;
  return at;
}

uint64_t BytesOfImage(const CUDA_ARRAY3D_DESCRIPTOR& shape, uint32_t levels) {
  uint64_t offsets[Mipmap::kMaxLevels];
  return LayOutLevels(shape, levels, offsets);
}

CUresult MakeObject(const GraphicsObject& wanted, uint64_t bytes, unsigned* name) {
  HAMI_ENTER(Need::kInit);
  const uint32_t device = entry.context != nullptr ? entry.context->device : process.devices[0];
  const uint64_t physical = RoundUp(bytes, kChunkBytes);
  if (!TakePhysical(device, physical)) return CUDA_ERROR_OUT_OF_MEMORY;
  auto* made = static_cast<GraphicsObject*>(AllocateZeroed(sizeof(GraphicsObject)));
  *made = wanted;
  made->name = ++last_name;
  made->device = device;
  made->physical = physical;
  made->next = objects;
  objects = made;
  *name = made->name;
  return CUDA_SUCCESS;
}

// The object of a name, for registering.
CUresult FindObject(unsigned name, bool image, GraphicsObject** object) {
  if (last_name == 0) return CUDA_ERROR_INVALID_GRAPHICS_CONTEXT;
  *object = *FindSlot(name);
  const bool fits = *object != nullptr && ((*object)->bytes == 0) == image;
  return fits ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult Register(Entry& entry, GraphicsObject* object, Graphics** out) {
  if (entry.context->device != object->device) return CUDA_ERROR_INVALID_VALUE;
  const uint64_t base = ReserveAddresses(object->physical);
  if (base == 0) return CUDA_ERROR_OUT_OF_MEMORY;
  auto* made = NewObject<Graphics>(entry.context);
  made->object = object;
  Allocation& allocation = made->allocation;
  allocation.base = base;
  allocation.bytes = object->bytes != 0 ? object->bytes : object->physical;
  allocation.physical_bytes = object->physical;
  allocation.context = entry.context;
  allocation.device = object->device;
  allocation.kind = MemoryKind::kGraphics;
  EnterAllocation(&allocation);
  if (object->bytes == 0) {
    made->mipmap = NewLevels(entry.context, object->shape, object->levels, base);
    made->mipmap->foreign = true;
  }
  ++object->registered;
  *out = made;
  return CUDA_SUCCESS;
}

CUresult RegisterHandle(CUgraphicsResource* out, unsigned name, bool image) {
  HAMI_ENTER(Need::kContext);
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  GraphicsObject* object = nullptr;
  const CUresult wrong = FindObject(name, image, &object);
  if (wrong != CUDA_SUCCESS) return wrong;
  Graphics* made = nullptr;
  const CUresult result = Register(entry, object, &made);
  if (result == CUDA_SUCCESS) *out = reinterpret_cast<CUgraphicsResource>(made);
  return result;
}

CUresult Unregister(CUgraphicsResource handle) {
  HAMI_ENTER(Need::kContext);
  auto* resource = Find<Graphics>(handle);
  if (resource == nullptr || resource->object->old_buffer == resource) {
    return CUDA_ERROR_INVALID_HANDLE;
  }
  DestroyGraphics(resource);
  return CUDA_SUCCESS;
}

CUresult SetMapped(unsigned count, CUgraphicsResource* handles, CUstream stream, bool per_thread,
                   bool mapped) {
  HAMI_ENTER(Need::kContext);
  if (count == 0 || handles == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (ResolveStream(entry.context, stream, per_thread) == nullptr) return NoStream(stream);
  for (unsigned i = 0; i < count; ++i) {
    const auto* resource = Find<Graphics>(handles[i]);
    if (resource == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    if (resource->mapped == mapped) {
      return mapped ? CUDA_ERROR_ALREADY_MAPPED : CUDA_ERROR_NOT_MAPPED;
    }
  }
  for (unsigned i = 0; i < count; ++i) Find<Graphics>(handles[i])->mapped = mapped;
  return CUDA_SUCCESS;
}

// A mapped resource, which is an image or not.
CUresult FindMapped(CUgraphicsResource handle, bool image, Graphics** resource) {
  *resource = Find<Graphics>(handle);
  if (*resource == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (!(*resource)->mapped) return CUDA_ERROR_NOT_MAPPED;
  if (((*resource)->object->bytes == 0) == image) return CUDA_SUCCESS;
  return image ? CUDA_ERROR_NOT_MAPPED_AS_ARRAY : CUDA_ERROR_NOT_MAPPED_AS_POINTER;
}

CUresult GetPointer(CUdeviceptr* pointer, size_t* size, CUgraphicsResource handle) {
  HAMI_ENTER(Need::kContext);
  Graphics* resource = nullptr;
  if (pointer == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const CUresult wrong = FindMapped(handle, false, &resource);
  if (wrong != CUDA_SUCCESS) return wrong;
  *pointer = resource->allocation.base;
  if (size != nullptr) *size = resource->object->bytes;
  return CUDA_SUCCESS;
}

CUresult GetMipmap(CUmipmappedArray* out, CUgraphicsResource handle) {
  HAMI_ENTER(Need::kContext);
  Graphics* resource = nullptr;
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const CUresult wrong = FindMapped(handle, true, &resource);
  if (wrong == CUDA_SUCCESS) *out = reinterpret_cast<CUmipmappedArray>(resource->mipmap);
  return wrong;
}

// nullptr: there is no such layer or level.
Array* SliceOf(Graphics* resource, unsigned index, unsigned level) {
  const Mipmap& mipmap = *resource->mipmap;
  const unsigned flags = resource->object->shape.Flags;
  const bool stacked = (flags & (HAMI_CUDA_ARRAY3D_LAYERED | HAMI_CUDA_ARRAY3D_CUBEMAP)) != 0;
  if (level >= mipmap.level_count) return nullptr;
  Array* whole = mipmap.levels[level];
  if (!stacked) return index == 0 ? whole : nullptr;
  if (index >= whole->shape.Depth) return nullptr;
  for (Slice* known = resource->slices; known != nullptr; known = known->next) {
    if (known->index == index && known->level == level) return known->array;
  }
  auto* made = NewObject<Array>(resource->owner);
  made->shape = whole->shape;
  made->shape.Depth = 0;
  made->shape.Flags = 0;
  made->element_bytes = whole->element_bytes;
  made->pitch = whole->pitch;
  made->slice = whole->slice;
  made->base = whole->base + index * whole->slice;
  made->mipmap = resource->mipmap;  // who frees it: not the program
  made->level = Mipmap::kMaxLevels;
  auto* slice = static_cast<Slice*>(AllocateZeroed(sizeof(Slice)));
  *slice = {index, level, made, resource->slices};
  resource->slices = slice;
  return made;
}

CUresult GetArray(CUarray* out, CUgraphicsResource handle, unsigned index, unsigned level) {
  HAMI_ENTER(Need::kContext);
  Graphics* resource = nullptr;
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const CUresult wrong = FindMapped(handle, true, &resource);
  if (wrong != CUDA_SUCCESS) return wrong;
  Array* array = SliceOf(resource, index, level);
  if (array == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *out = reinterpret_cast<CUarray>(array);
  return CUDA_SUCCESS;
}

CUresult GetFrame(CUeglFrame* frame, CUgraphicsResource handle, unsigned index, unsigned level) {
  CUarray array = nullptr;
  if (frame == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = GetArray(&array, handle, index, level);
  if (result != CUDA_SUCCESS) return result;
  HAMI_ENTER(Need::kContext);
  const Array* found = Find<Array>(array);
  if (found == nullptr) return CUDA_ERROR_INVALID_HANDLE;  // another thread has unregistered it
  const CUDA_ARRAY3D_DESCRIPTOR& shape = found->shape;
  *frame = {};
  frame->frame.pArray[0] = array;
  frame->width = static_cast<unsigned>(shape.Width);
  frame->height = static_cast<unsigned>(shape.Height);
  frame->depth = static_cast<unsigned>(shape.Depth);
  frame->planeCount = 1;
  frame->numChannels = shape.NumChannels;
  frame->frameType = CU_EGL_FRAME_TYPE_ARRAY;
  frame->cuFormat = shape.Format;
  return CUDA_SUCCESS;
}

CUresult RegisterOld(unsigned name) {
  HAMI_ENTER(Need::kContext);
  GraphicsObject* object = nullptr;
  const CUresult wrong = FindObject(name, false, &object);
  if (wrong != CUDA_SUCCESS) return wrong;
  if (object->old_buffer != nullptr) return CUDA_ERROR_ALREADY_MAPPED;
  return Register(entry, object, &object->old_buffer);
}

Graphics* FindOld(unsigned name) {
  const GraphicsObject* object = *FindSlot(name);
  return object != nullptr ? object->old_buffer : nullptr;
}

CUresult UnregisterOld(unsigned name) {
  HAMI_ENTER(Need::kContext);
  Graphics* old = FindOld(name);
  if (old == nullptr) return CUDA_ERROR_INVALID_VALUE;
  DestroyGraphics(old);
  return CUDA_SUCCESS;
}

CUresult MapOld(CUdeviceptr* pointer, size_t* size, unsigned name, CUstream stream,
                bool per_thread) {
  HAMI_ENTER(Need::kContext);
  Graphics* old = FindOld(name);
  if (old == nullptr || pointer == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (ResolveStream(entry.context, stream, per_thread) == nullptr) return NoStream(stream);
  if (old->mapped) return CUDA_ERROR_MAP_FAILED;
  old->mapped = true;
  *pointer = old->allocation.base;
  if (size != nullptr) *size = old->object->bytes;
  return CUDA_SUCCESS;
}

CUresult UnmapOld(unsigned name) {
  HAMI_ENTER(Need::kContext);
  Graphics* old = FindOld(name);
  if (old == nullptr || !old->mapped) return CUDA_ERROR_INVALID_VALUE;
  old->mapped = false;
  return CUDA_SUCCESS;
}

bool HasGraphicsContext() {
  const Entry entry(Need::kInit);
  return entry.error == CUDA_SUCCESS && last_name != 0;
}

CUresult ListDevices(unsigned* count, CUdevice* devices, unsigned room) {
  HAMI_ENTER(Need::kInit);
  if (count == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (last_name == 0) return CUDA_ERROR_INVALID_GRAPHICS_CONTEXT;
  *count = 1;
  if (devices != nullptr && room > 0) devices[0] = 0;
  return CUDA_SUCCESS;
}

CUresult CheckResource(CUgraphicsResource handle, unsigned flags) {
  HAMI_ENTER(Need::kContext);
  const auto* resource = Find<Graphics>(handle);
  if (resource == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (resource->mapped) return CUDA_ERROR_ALREADY_MAPPED;
  return flags <= 2 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

}  // namespace

// When a context goes, what hangs on the resource may have gone before it.
void DestroyGraphics(Graphics* resource) {
  GraphicsObject* object = resource->object;
  while (resource->slices != nullptr) {
    Slice* slice = resource->slices;
    resource->slices = slice->next;
    if (IsLive(slice->array, Kind::kArray)) DeleteObject(slice->array);
    Deallocate(slice);
  }
  if (IsLive(resource->mipmap, Kind::kMipmap)) DestroyMipmap(resource->mipmap);
  if (object->old_buffer == resource) object->old_buffer = nullptr;
  --object->registered;
  const Allocation allocation = resource->allocation;
  RemoveAllocation(&resource->allocation);
  ReleaseAddresses(allocation.base, allocation.physical_bytes);
  DeleteObject(resource);
}

}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

// ---- the graphics side (api/cuda/simulation.h)

HAMI_SIM_API CUresult hamiSimGraphicsBuffer(unsigned int* name, size_t bytes) {
  if (name == nullptr || bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  GraphicsObject wanted = {};
  wanted.bytes = bytes;
  return MakeObject(wanted, bytes, name);
}
HAMI_SIM_API CUresult hamiSimGraphicsImage(unsigned int* name, const CUDA_ARRAY3D_DESCRIPTOR* shape,
                                           unsigned int levels) {
  if (name == nullptr || shape == nullptr || levels == 0) return CUDA_ERROR_INVALID_VALUE;
  const CUresult wrong = CheckArrayShape(*shape);
  if (wrong != CUDA_SUCCESS) return wrong;
  GraphicsObject wanted = {};
  wanted.shape = *shape;
  wanted.levels = CountLevels(*shape, levels);
  return MakeObject(wanted, BytesOfImage(*shape, wanted.levels), name);
}
HAMI_SIM_API CUresult hamiSimGraphicsDelete(unsigned int name) {
  HAMI_ENTER(Need::kInit);
  GraphicsObject** slot = FindSlot(name);
  GraphicsObject* object = *slot;
  if (object == nullptr || object->registered != 0) return CUDA_ERROR_INVALID_VALUE;
  *slot = object->next;
  GivePhysical(object->device, object->physical);
  Deallocate(object);
  return CUDA_SUCCESS;
}

// ---- the driver's

HAMI_SIM_API CUresult cuGLInit() {
  return HasGraphicsContext() ? CUDA_SUCCESS : CUDA_ERROR_INVALID_GRAPHICS_CONTEXT;
}
HAMI_SIM_API CUresult cuGLGetDevices(unsigned* count, CUdevice* devices, unsigned room, int) {
  return ListDevices(count, devices, room);
}
HAMI_SIM_API CUresult cuGLGetDevices_v2(unsigned* count, CUdevice* devices, unsigned room, int) {
  return ListDevices(count, devices, room);
}
HAMI_SIM_API CUresult cuGLCtxCreate_v2(CUcontext* context, unsigned int flags, CUdevice ordinal) {
  if (!HasGraphicsContext()) return CUDA_ERROR_INVALID_GRAPHICS_CONTEXT;
  return cuCtxCreate_v2(context, flags, ordinal);
}
HAMI_SIM_API CUresult cuGLCtxCreate(CUcontext* context, unsigned int flags, CUdevice ordinal) {
  return cuGLCtxCreate_v2(context, flags, ordinal);
}
HAMI_SIM_API CUresult cuVDPAUCtxCreate_v2(CUcontext* context, unsigned int flags, CUdevice ordinal,
                                          unsigned int, HamiVdpGetProcAddress*) {
  return cuGLCtxCreate_v2(context, flags, ordinal);
}
HAMI_SIM_API CUresult cuVDPAUCtxCreate(CUcontext* context, unsigned int flags, CUdevice ordinal,
                                       unsigned int, HamiVdpGetProcAddress*) {
  return cuGLCtxCreate_v2(context, flags, ordinal);
}

HAMI_SIM_API CUresult cuGraphicsGLRegisterBuffer(CUgraphicsResource* resource, unsigned int buffer,
                                                 unsigned int) {
  return RegisterHandle(resource, buffer, false);
}
HAMI_SIM_API CUresult cuGraphicsGLRegisterImage(CUgraphicsResource* resource, unsigned int image,
                                                unsigned int, unsigned int) {
  return RegisterHandle(resource, image, true);
}
HAMI_SIM_API CUresult cuGraphicsEGLRegisterImage(CUgraphicsResource* resource, void* image,
                                                 unsigned int) {
  return RegisterHandle(resource, static_cast<unsigned>(reinterpret_cast<uintptr_t>(image)), true);
}
HAMI_SIM_API CUresult cuGraphicsVDPAURegisterVideoSurface(CUgraphicsResource* resource,
                                                          unsigned int surface, unsigned int) {
  return RegisterHandle(resource, surface, true);
}
HAMI_SIM_API CUresult cuGraphicsVDPAURegisterOutputSurface(CUgraphicsResource* resource,
                                                           unsigned int surface, unsigned int) {
  return RegisterHandle(resource, surface, true);
}
HAMI_SIM_API CUresult cuGraphicsUnregisterResource(CUgraphicsResource resource) {
  return Unregister(resource);
}
HAMI_SIM_API CUresult cuGraphicsResourceSetMapFlags(CUgraphicsResource resource, unsigned flags) {
  return CheckResource(resource, flags);
}
HAMI_SIM_API CUresult cuGraphicsResourceSetMapFlags_v2(CUgraphicsResource resource,
                                                       unsigned flags) {
  return CheckResource(resource, flags);
}

HAMI_SIM_API CUresult cuGraphicsMapResources(unsigned count, CUgraphicsResource* resources,
                                             CUstream stream) {
  return SetMapped(count, resources, stream, false, true);
}
HAMI_SIM_API CUresult cuGraphicsMapResources_ptsz(unsigned count, CUgraphicsResource* resources,
                                                  CUstream stream) {
  return SetMapped(count, resources, stream, true, true);
}
HAMI_SIM_API CUresult cuGraphicsUnmapResources(unsigned count, CUgraphicsResource* resources,
                                               CUstream stream) {
  return SetMapped(count, resources, stream, false, false);
}
HAMI_SIM_API CUresult cuGraphicsUnmapResources_ptsz(unsigned count, CUgraphicsResource* resources,
                                                    CUstream stream) {
  return SetMapped(count, resources, stream, true, false);
}

HAMI_SIM_API CUresult cuGraphicsResourceGetMappedPointer_v2(CUdeviceptr* pointer, size_t* size,
                                                            CUgraphicsResource resource) {
  return GetPointer(pointer, size, resource);
}
HAMI_SIM_API CUresult cuGraphicsSubResourceGetMappedArray(CUarray* array,
                                                          CUgraphicsResource resource,
                                                          unsigned index, unsigned level) {
  return GetArray(array, resource, index, level);
}
HAMI_SIM_API CUresult cuGraphicsResourceGetMappedMipmappedArray(CUmipmappedArray* mipmap,
                                                                CUgraphicsResource resource) {
  return GetMipmap(mipmap, resource);
}
HAMI_SIM_API CUresult cuGraphicsResourceGetMappedEglFrame(CUeglFrame* frame,
                                                          CUgraphicsResource resource,
                                                          unsigned index, unsigned level) {
  return GetFrame(frame, resource, index, level);
}

HAMI_SIM_API CUresult cuGLRegisterBufferObject(unsigned buffer) { return RegisterOld(buffer); }
HAMI_SIM_API CUresult cuGLUnregisterBufferObject(unsigned buffer) { return UnregisterOld(buffer); }
HAMI_SIM_API CUresult cuGLMapBufferObject_v2(CUdeviceptr* pointer, size_t* size, unsigned buffer) {
  return MapOld(pointer, size, buffer, nullptr, false);
}
HAMI_SIM_API CUresult cuGLMapBufferObject_v2_ptds(CUdeviceptr* pointer, size_t* size,
                                                  unsigned buffer) {
  return MapOld(pointer, size, buffer, nullptr, true);
}
HAMI_SIM_API CUresult cuGLMapBufferObjectAsync_v2(CUdeviceptr* pointer, size_t* size,
                                                  unsigned buffer, CUstream stream) {
  return MapOld(pointer, size, buffer, stream, false);
}
HAMI_SIM_API CUresult cuGLMapBufferObjectAsync_v2_ptsz(CUdeviceptr* pointer, size_t* size,
                                                       unsigned buffer, CUstream stream) {
  return MapOld(pointer, size, buffer, stream, true);
}
HAMI_SIM_API CUresult cuGLUnmapBufferObject(unsigned buffer) { return UnmapOld(buffer); }
HAMI_SIM_API CUresult cuGLUnmapBufferObjectAsync(unsigned buffer, CUstream) {
  return UnmapOld(buffer);
}
