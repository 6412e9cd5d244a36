// SPDX-License-Identifier: Apache-2.0

#include "simgpu/cuda/arrays.h"

#include "api/cuda/array_format.h"
#include "api/cuda/functions.h"
#include "simgpu/cuda/memory.h"
#include "simgpu/cuda/sparse_arrays.h"

namespace hami::simgpu::cuda {
namespace {

constexpr uint64_t kTileBytes = 64;
constexpr uint64_t kTileRows = 8;

// CUDA C++ Programming Guide, "Technical Specifications per Compute Capability".
constexpr uint64_t kMaxWidth = 131072;
constexpr uint64_t kMaxHeight = 65536;
constexpr uint64_t kMaxEdge3d = 16384;
constexpr uint64_t kMaxEdgeLayered = 32768;
constexpr uint64_t kMaxLayers = 2048;

uint64_t AtLeastOne(uint64_t value) { return value == 0 ? 1 : value; }
bool IsLayered(const CUDA_ARRAY3D_DESCRIPTOR& shape) {
  return (shape.Flags & HAMI_CUDA_ARRAY3D_LAYERED) != 0;
}
bool IsStacked(const CUDA_ARRAY3D_DESCRIPTOR& shape) {
  return (shape.Flags & (HAMI_CUDA_ARRAY3D_LAYERED | HAMI_CUDA_ARRAY3D_CUBEMAP)) != 0;
}

bool FitsLimits(const CUDA_ARRAY3D_DESCRIPTOR& shape) {
  if (shape.Width == 0) return false;
  if (IsStacked(shape)) {
    return shape.Width <= kMaxEdgeLayered && shape.Height <= kMaxEdgeLayered && shape.Depth != 0 &&
           shape.Depth <= kMaxLayers;
  }
  if (shape.Depth != 0) {
    return shape.Height != 0 && shape.Width <= kMaxEdge3d && shape.Height <= kMaxEdge3d &&
           shape.Depth <= kMaxEdge3d;
  }
  return shape.Width <= kMaxWidth && shape.Height <= kMaxHeight;
}

bool IsCube(const CUDA_ARRAY3D_DESCRIPTOR& shape) {
  return shape.Width == shape.Height &&
         (IsLayered(shape) ? shape.Depth % 6 == 0 : shape.Depth == 6);
}

// What creation refuses (CUDA Driver API, cuArray3DCreate).
CUresult CheckShape(const CUDA_ARRAY3D_DESCRIPTOR& shape) {
  const unsigned channels = shape.NumChannels;
  if (channels != 1 && channels != 2 && channels != 4) return CUDA_ERROR_INVALID_VALUE;
  if (!FitsLimits(shape)) return CUDA_ERROR_INVALID_VALUE;
  if ((shape.Flags & HAMI_CUDA_ARRAY3D_CUBEMAP) != 0 && !IsCube(shape))
    return CUDA_ERROR_INVALID_VALUE;
  const unsigned bits = HamiArrayElementBits(shape.Format, channels);
  return bits >= 8 && shape.Format < 0x90 ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED;
}

// Fills in the layout. Returns the bytes.
uint64_t LayOut(Array* array) {
  const CUDA_ARRAY3D_DESCRIPTOR& shape = array->shape;
  array->element_bytes = HamiArrayElementBits(shape.Format, shape.NumChannels) / 8;
  array->pitch = RoundUp(shape.Width * array->element_bytes, kTileBytes);
  const uint64_t rows = shape.Height <= 1 ? 1 : RoundUp(shape.Height, kTileRows);
  array->slice = array->pitch * rows;
  return array->slice * AtLeastOne(shape.Depth);
}

uint64_t Halve(uint64_t edge, uint32_t level) { return edge == 0 ? 0 : AtLeastOne(edge >> level); }

CUDA_ARRAY3D_DESCRIPTOR LevelShape(const CUDA_ARRAY3D_DESCRIPTOR& shape, uint32_t level) {
  CUDA_ARRAY3D_DESCRIPTOR smaller = shape;
  smaller.Width = Halve(shape.Width, level);
  smaller.Height = Halve(shape.Height, level);
  if (!IsStacked(shape)) smaller.Depth = Halve(shape.Depth, level);
  return smaller;
}

// 1 + floor(log2 of the longest edge): more are not made (cuMipmappedArrayCreate).
uint32_t LevelsOf(const CUDA_ARRAY3D_DESCRIPTOR& shape, uint32_t asked) {
  uint64_t longest = shape.Width > shape.Height ? shape.Width : shape.Height;
  if (!IsStacked(shape) && shape.Depth > longest) longest = shape.Depth;
  uint32_t levels = 1;
  while (longest >> levels != 0) ++levels;
  return asked < levels ? asked : levels;
}

CUresult MakeArray(const CUDA_ARRAY3D_DESCRIPTOR& shape, CUarray* handle) {
  HAMI_ENTER(Need::kContext);
  const CUresult wrong = CheckShape(shape);
  if (wrong != CUDA_SUCCESS) return wrong;
  Array layout = {};
  layout.shape = shape;
  const uint64_t bytes = LayOut(&layout);
  const CUresult result = IsWithoutMemory(shape) ? MakeSparse(shape, 1, &layout.sparse)
                                                 : AllocatePlain(entry.context, bytes,
                                                                 MemoryKind::kArray, &layout.base);
  if (result != CUDA_SUCCESS) return result;
  auto* array = NewObject<Array>(entry.context);
  static_cast<Object&>(layout) = *array;
  *array = layout;
  *handle = reinterpret_cast<CUarray>(array);
  return CUDA_SUCCESS;
}

template <typename From>
CUDA_ARRAY3D_DESCRIPTOR Shape2d(const From& from) {
  return {from.Width, from.Height, 0, from.Format, from.NumChannels, 0};
}
template <typename From>
CUDA_ARRAY3D_DESCRIPTOR Shape3d(const From& from) {
  return {from.Width, from.Height, from.Depth, from.Format, from.NumChannels, from.Flags};
}

// The array's shape in a descriptor of either form.
template <typename Fill>
CUresult Describe(CUarray handle, const Fill& fill) {
  HAMI_ENTER(Need::kContext);
  const auto* array = Find<Array>(handle);
  if (array == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  fill(array->shape);
  return CUDA_SUCCESS;
}

}  // namespace

CUresult CheckArrayShape(const CUDA_ARRAY3D_DESCRIPTOR& shape) { return CheckShape(shape); }

uint32_t CountLevels(const CUDA_ARRAY3D_DESCRIPTOR& shape, uint32_t asked) {
  return LevelsOf(shape, asked);
}

uint64_t LayOutLevels(const CUDA_ARRAY3D_DESCRIPTOR& shape, uint32_t count, uint64_t* offsets) {
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < count; ++i) {
    Array layout = {};
    layout.shape = LevelShape(shape, i);
    offsets[i] = bytes;
    bytes += LayOut(&layout);
  }
  return bytes;
}

Mipmap* NewLevels(Context* context, const CUDA_ARRAY3D_DESCRIPTOR& shape, uint32_t count,
                  uint64_t base) {
  uint64_t offsets[Mipmap::kMaxLevels];
  LayOutLevels(shape, count, offsets);
  auto* mipmap = NewObject<Mipmap>(context);
  mipmap->base = base;
  mipmap->level_count = count;
  for (uint32_t i = 0; i < count; ++i) {
    auto* level = NewObject<Array>(context);
    level->shape = LevelShape(shape, i);
    LayOut(level);
    level->base = base + offsets[i];
    level->mipmap = mipmap;
    level->level = i;
    mipmap->levels[i] = level;
  }
  return mipmap;
}

void DestroyArray(Array* array) {
  if (array->mipmap != nullptr) {
    if (array->level < Mipmap::kMaxLevels) array->mipmap->levels[array->level] = nullptr;
  } else if (array->sparse == nullptr) {
    FreeOwnedMemory(array->base);
  }
  DeleteSparse(array->sparse);
  DeleteObject(array);
}

void DestroyMipmap(Mipmap* mipmap) {
  for (Array* level : mipmap->levels) {
    if (level != nullptr) DestroyArray(level);
  }
  if (mipmap->imported) {
    FreeExternal(mipmap->base);  // which may be gone already, with its context
  } else if (mipmap->sparse == nullptr && !mipmap->foreign) {
    FreeOwnedMemory(mipmap->base);
  }
  DeleteSparse(mipmap->sparse);
  DeleteObject(mipmap);
}

CUresult PlaceSide(const CopySide& side, const CopyParams& params, CopySide* placed) {
  *placed = side;
  if (side.type != MemoryType::kArray) return CUDA_SUCCESS;
  const auto* array = Find<Array>(side.array);
  if (array == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  const CUDA_ARRAY3D_DESCRIPTOR& shape = array->shape;
  if (IsWithoutMemory(shape)) return CUDA_ERROR_NOT_SUPPORTED;
  if (side.x_bytes + params.width_bytes > shape.Width * array->element_bytes ||
      side.y + params.height > AtLeastOne(shape.Height) ||
      side.z + params.depth > AtLeastOne(shape.Depth)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  placed->type = MemoryType::kDevice;
  placed->device = array->base;
  placed->pitch = array->pitch;
  placed->height = array->slice / array->pitch;
  return CUDA_SUCCESS;
}

}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

HAMI_SIM_API CUresult cuArrayCreate_v2(CUarray* array, const CUDA_ARRAY_DESCRIPTOR* shape) {
  if (array == nullptr || shape == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return MakeArray(Shape2d(*shape), array);
}
HAMI_SIM_API CUresult cuArrayCreate(CUarray* array, const CUDA_ARRAY_DESCRIPTOR_v1* shape) {
  if (array == nullptr || shape == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return MakeArray(Shape2d(*shape), array);
}
HAMI_SIM_API CUresult cuArray3DCreate_v2(CUarray* array, const CUDA_ARRAY3D_DESCRIPTOR* shape) {
  if (array == nullptr || shape == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return MakeArray(*shape, array);
}
HAMI_SIM_API CUresult cuArray3DCreate(CUarray* array, const CUDA_ARRAY3D_DESCRIPTOR_v1* shape) {
  if (array == nullptr || shape == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return MakeArray(Shape3d(*shape), array);
}

HAMI_SIM_API CUresult cuArrayGetDescriptor_v2(CUDA_ARRAY_DESCRIPTOR* out, CUarray handle) {
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return Describe(handle, [=](const CUDA_ARRAY3D_DESCRIPTOR& shape) {
    *out = {shape.Width, shape.Height, shape.Format, shape.NumChannels};
  });
}
HAMI_SIM_API CUresult cuArray3DGetDescriptor_v2(CUDA_ARRAY3D_DESCRIPTOR* out, CUarray handle) {
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return Describe(handle, [=](const CUDA_ARRAY3D_DESCRIPTOR& shape) { *out = shape; });
}

HAMI_SIM_API CUresult cuArrayDestroy(CUarray handle) {
  HAMI_ENTER(Need::kContext);
  auto* array = Find<Array>(handle);
  if (array == nullptr || array->mipmap != nullptr) return CUDA_ERROR_INVALID_HANDLE;
  DestroyArray(array);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuMipmappedArrayCreate(CUmipmappedArray* handle,
                                             const CUDA_ARRAY3D_DESCRIPTOR* shape,
                                             unsigned levels) {
  if (handle == nullptr || shape == nullptr || levels == 0) return CUDA_ERROR_INVALID_VALUE;
  HAMI_ENTER(Need::kContext);
  const CUresult wrong = CheckShape(*shape);
  if (wrong != CUDA_SUCCESS) return wrong;
  const uint32_t count = CountLevels(*shape, levels);
  uint64_t offsets[Mipmap::kMaxLevels];
  const uint64_t bytes = LayOutLevels(*shape, count, offsets);
  uint64_t base = 0;
  Sparse* sparse = nullptr;
  const CUresult result = IsWithoutMemory(*shape)
                              ? MakeSparse(*shape, count, &sparse)
                              : AllocatePlain(entry.context, bytes, MemoryKind::kArray, &base);
  if (result != CUDA_SUCCESS) return result;
  Mipmap* mipmap = NewLevels(entry.context, *shape, count, base);
  mipmap->sparse = sparse;
  *handle = reinterpret_cast<CUmipmappedArray>(mipmap);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuMipmappedArrayGetLevel(CUarray* level, CUmipmappedArray handle,
                                               unsigned number) {
  if (level == nullptr) return CUDA_ERROR_INVALID_VALUE;
  HAMI_ENTER(Need::kContext);
  auto* mipmap = Find<Mipmap>(handle);
  if (mipmap == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (number >= mipmap->level_count) return CUDA_ERROR_INVALID_VALUE;
  *level = reinterpret_cast<CUarray>(mipmap->levels[number]);
  return CUDA_SUCCESS;
}

HAMI_SIM_API CUresult cuMipmappedArrayDestroy(CUmipmappedArray handle) {
  HAMI_ENTER(Need::kContext);
  auto* mipmap = Find<Mipmap>(handle);
  if (mipmap == nullptr || mipmap->foreign) return CUDA_ERROR_INVALID_HANDLE;
  DestroyMipmap(mipmap);
  return CUDA_SUCCESS;
}
