// SPDX-License-Identifier: Apache-2.0
//
// Sparse arrays: tiles of 64 KiB (assumed, in the shapes that graphics interfaces have as the
// standard ones) with memory of a tile pool. Mapping is an operation in a stream: what it unmaps
// goes back to the device when the stream has got there and the process calls the driver next. Not
// simulated: content (copies to and from such arrays), and captures.

#include "simgpu/cuda/sparse_arrays.h"

#include "api/cuda/array_format.h"
#include "api/cuda/functions.h"
#include "simgpu/cuda/memory.h"
#include "simgpu/cuda/streams.h"
#include "simgpu/state/os.h"

namespace hami::simgpu::cuda {
namespace {

constexpr uint64_t kTileBytes = 65536;
constexpr uint64_t kMaxTiles = uint64_t{1} << 24;  // 1 TiB
constexpr uint64_t kMapNs = 5000;                  // an operation of a stream (assumed)

struct TileShape {
  uint64_t element_bytes;
  uint64_t flat[3];
  uint64_t solid[3];
};
constexpr TileShape kTileShapes[] = {
    {1, {256, 256, 1}, {64, 32, 32}}, {2, {256, 128, 1}, {32, 32, 32}},
    {4, {128, 128, 1}, {32, 32, 16}}, {8, {128, 64, 1}, {32, 16, 16}},
    {16, {64, 64, 1}, {16, 16, 16}},
};

struct Unmapped {
  Physical* physical;
  Place place;
  Unmapped* next;
};
Unmapped* unmapped;

uint64_t AtLeastOne(uint64_t value) { return value == 0 ? 1 : value; }
uint64_t Tiles(uint64_t edge, uint64_t tile) { return (edge + tile - 1) / tile; }
bool IsStacked(const CUDA_ARRAY3D_DESCRIPTOR& shape) {
  return (shape.Flags & (HAMI_CUDA_ARRAY3D_LAYERED | HAMI_CUDA_ARRAY3D_CUBEMAP)) != 0;
}

uint64_t EdgeOf(const Sparse& sparse, int axis, uint32_t level) {
  return AtLeastOne(sparse.edges[axis] >> level);
}
uint64_t TilesOf(const Sparse& sparse, int axis, uint32_t level) {
  return Tiles(EdgeOf(sparse, axis, level), sparse.tile[axis]);
}
uint64_t TilesOfLevel(const Sparse& sparse, uint32_t level) {
  return TilesOf(sparse, 0, level) * TilesOf(sparse, 1, level) * TilesOf(sparse, 2, level);
}
uint64_t FirstOfLevel(const Sparse& sparse, uint32_t level) {
  uint64_t first = 0;
  for (uint32_t i = 0; i < level; ++i) first += TilesOfLevel(sparse, i) * sparse.layers;
  return first;
}

// A level that is smaller than a tile along some axis lies in the mip tail, and all behind it.
bool IsInTail(const Sparse& sparse, uint32_t level) {
  for (int axis = 0; axis < 3; ++axis) {
    if (EdgeOf(sparse, axis, level) < sparse.tile[axis]) return true;
  }
  return false;
}

void Divide(const TileShape& shape, bool solid, uint32_t levels, Sparse* sparse) {
  uint64_t tail_bytes = 0;
  for (int axis = 0; axis < 3; ++axis) {
    sparse->tile[axis] = solid ? shape.solid[axis] : shape.flat[axis];
  }
  for (uint32_t level = 0; level < levels; ++level) {
    if (!IsInTail(*sparse, level)) {
      sparse->levels = level + 1;
      continue;
    }
    tail_bytes += EdgeOf(*sparse, 0, level) * EdgeOf(*sparse, 1, level) *
                  EdgeOf(*sparse, 2, level) * shape.element_bytes;
  }
  sparse->tail_tiles = Tiles(tail_bytes, kTileBytes);
  sparse->single_tail = sparse->levels == 0 && levels == 1;
  sparse->count =
      FirstOfLevel(*sparse, sparse->levels) + sparse->tail_tiles * AtLeastOne(sparse->layers);
  sparse->bytes = sparse->count * kTileBytes;
}

Sparse* SparseOf(const CUarrayMapInfo& operation, CUresult* wrong) {
  *wrong = CUDA_ERROR_INVALID_HANDLE;
  Sparse* found = nullptr;
  if (operation.resourceType == CU_RESOURCE_TYPE_ARRAY) {
    const auto* array = Find<Array>(operation.resource.array);
    if (array == nullptr) return nullptr;
    found = array->sparse;
  } else if (operation.resourceType == CU_RESOURCE_TYPE_MIPMAPPED_ARRAY) {
    const auto* mipmap = Find<Mipmap>(operation.resource.mipmap);
    if (mipmap == nullptr) return nullptr;
    found = mipmap->sparse;
  }
  *wrong = CUDA_ERROR_INVALID_VALUE;
  return found;
}

// Begins and ends at the edges of tiles; the end may be that of the level.
bool IsAligned(const Sparse& sparse, int axis, uint32_t level, uint64_t offset, uint64_t extent) {
  const uint64_t edge = EdgeOf(sparse, axis, level);
  const uint64_t end = offset + extent;
  return extent != 0 && offset % sparse.tile[axis] == 0 && end <= edge &&
         (end % sparse.tile[axis] == 0 || end == edge);
}

struct Block {
  uint64_t from[3];
  uint64_t count[3];
  uint32_t level;
  uint32_t layer;
};

bool ReadBlock(const Sparse& sparse, const CUarrayMapInfo& operation, Block* block) {
  const auto& told = operation.subresource.sparseLevel;
  const uint64_t offsets[3] = {told.offsetX, told.offsetY, told.offsetZ};
  const uint64_t extents[3] = {told.extentWidth, told.extentHeight, told.extentDepth};
  if (told.level >= sparse.levels || told.layer >= sparse.layers) return false;
  block->level = told.level;
  block->layer = told.layer;
  for (int axis = 0; axis < 3; ++axis) {
    if (!IsAligned(sparse, axis, told.level, offsets[axis], extents[axis])) return false;
    block->from[axis] = offsets[axis] / sparse.tile[axis];
    block->count[axis] = Tiles(extents[axis], sparse.tile[axis]);
  }
  return true;
}

// Calls `visit` with the number of each tile that the operation names. False: it names none, or not
// whole ones.
template <typename Visit>
bool VisitTiles(const Sparse& sparse, const CUarrayMapInfo& operation, const Visit& visit) {
  if (sparse.deferred) {
    for (uint64_t i = 0; i < sparse.count; ++i) visit(i);
    return true;
  }
  if (operation.subresourceType == CU_ARRAY_SPARSE_SUBRESOURCE_TYPE_MIPTAIL) {
    const auto& tail = operation.subresource.miptail;
    const uint64_t room = sparse.tail_tiles * kTileBytes;
    if (tail.layer >= AtLeastOne(sparse.layers) || tail.offset % kTileBytes != 0 ||
        tail.size % kTileBytes != 0 || tail.size == 0 || tail.size > room ||
        tail.offset > room - tail.size) {
      return false;
    }
    const uint64_t first = FirstOfLevel(sparse, sparse.levels) + tail.layer * sparse.tail_tiles;
    for (uint64_t i = 0; i < tail.size / kTileBytes; ++i)
      visit(first + tail.offset / kTileBytes + i);
    return true;
  }
  Block block;
  if (operation.subresourceType != CU_ARRAY_SPARSE_SUBRESOURCE_TYPE_SPARSE_LEVEL ||
      !ReadBlock(sparse, operation, &block)) {
    return false;
  }
  const uint64_t first =
      FirstOfLevel(sparse, block.level) + TilesOfLevel(sparse, block.level) * block.layer;
  const uint64_t row = TilesOf(sparse, 0, block.level);
  const uint64_t plane = row * TilesOf(sparse, 1, block.level);
  for (uint64_t z = block.from[2]; z < block.from[2] + block.count[2]; ++z) {
    for (uint64_t y = block.from[1]; y < block.from[1] + block.count[1]; ++y) {
      for (uint64_t x = 0; x < block.count[0]; ++x) {
        visit(first + z * plane + y * row + block.from[0] + x);
      }
    }
  }
  return true;
}

CUresult CheckPool(const CUarrayMapInfo& operation, uint32_t device, uint64_t tiles) {
  const CUmemGenericAllocationHandle handle = operation.memHandle.memHandle;
  if (operation.memOperationType == CU_MEM_OPERATION_TYPE_UNMAP) {
    return handle == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  }
  if (operation.memOperationType != CU_MEM_OPERATION_TYPE_MAP ||
      operation.memHandleType != CU_MEM_HANDLE_TYPE_GENERIC) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  const Physical* physical = FindPhysical(handle);
  if (physical == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  const bool fits = operation.offset % kTileBytes == 0 && operation.offset <= physical->bytes &&
                    tiles * kTileBytes <= physical->bytes - operation.offset;
  const bool pool = (physical->props.allocFlags.usage & CU_MEM_CREATE_USAGE_TILE_POOL) != 0;
  return fits && pool && physical->device == device ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult Check(const CUarrayMapInfo& operation, const Context& context) {
  CUresult wrong = CUDA_SUCCESS;
  const Sparse* sparse = SparseOf(operation, &wrong);
  if (sparse == nullptr) return wrong;
  if (operation.flags != 0 || operation.reserved[0] != 0 || operation.reserved[1] != 0 ||
      operation.deviceBitMask != 1U << context.ordinal) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  uint64_t tiles = 0;
  if (!VisitTiles(*sparse, operation, [&](uint64_t) { ++tiles; })) return CUDA_ERROR_INVALID_VALUE;
  return CheckPool(operation, context.device, tiles);
}

void UnmapAt(Physical* physical, const Place& place) {
  auto* left = static_cast<Unmapped*>(AllocateZeroed(sizeof(Unmapped)));
  *left = {physical, place, unmapped};
  unmapped = left;
}

void Carry(const CUarrayMapInfo& operation, const Place& place) {
  CUresult wrong = CUDA_SUCCESS;
  Sparse* sparse = SparseOf(operation, &wrong);
  Physical* physical = operation.memOperationType == CU_MEM_OPERATION_TYPE_MAP
                           ? FindPhysical(operation.memHandle.memHandle)
                           : nullptr;
  VisitTiles(*sparse, operation, [&](uint64_t tile) {
    Physical* before = sparse->tiles[tile];
    sparse->tiles[tile] = physical;
    if (physical != nullptr) HoldPhysical(physical);
    if (before != nullptr) UnmapAt(before, place);
  });
}

CUresult MapArrays(const CUarrayMapInfo* operations, unsigned count, CUstream handle,
                   bool per_thread) {
  HAMI_ENTER(Need::kContext);
  if (operations == nullptr || count == 0) return CUDA_ERROR_INVALID_VALUE;
  Stream* stream = ResolveStream(entry.context, handle, per_thread);
  if (stream == nullptr) return NoStream(handle);
  if (stream->capture != nullptr) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  for (unsigned i = 0; i < count; ++i) {
    const CUresult wrong = Check(operations[i], *entry.context);
    if (wrong != CUDA_SUCCESS) return wrong;
  }
  Op op = {};
  op.kind = OpKind::kSet;
  op.work = WorkKind::kKernel;
  op.ns = kMapNs * count;
  const CUresult result = Perform(entry, *stream, op);
  if (result != CUDA_SUCCESS) return result;
  const Place place = EndOf(*stream);
  for (unsigned i = 0; i < count; ++i) Carry(operations[i], place);
  return CUDA_SUCCESS;
}

CUresult Describe(const Sparse* sparse, CUDA_ARRAY_SPARSE_PROPERTIES* out) {
  if (sparse == nullptr || sparse->deferred) return CUDA_ERROR_INVALID_VALUE;
  *out = {};
  out->tileExtent = {static_cast<unsigned>(sparse->tile[0]), static_cast<unsigned>(sparse->tile[1]),
                     static_cast<unsigned>(sparse->tile[2])};
  out->miptailFirstLevel = sparse->levels;
  out->miptailSize = sparse->tail_tiles * kTileBytes;
  out->flags = sparse->single_tail ? CU_ARRAY_SPARSE_PROPERTIES_SINGLE_MIPTAIL : 0;
  return CUDA_SUCCESS;
}

CUresult Require(const Sparse* sparse, CUDA_ARRAY_MEMORY_REQUIREMENTS* out) {
  if (sparse == nullptr || !sparse->deferred) return CUDA_ERROR_INVALID_VALUE;
  *out = {sparse->bytes, kTileBytes, {}};
  return CUDA_SUCCESS;
}

}  // namespace

bool IsWithoutMemory(const CUDA_ARRAY3D_DESCRIPTOR& shape) {
  return (shape.Flags & (HAMI_CUDA_ARRAY3D_SPARSE | HAMI_CUDA_ARRAY3D_DEFERRED_MAPPING)) != 0;
}

CUresult MakeSparse(const CUDA_ARRAY3D_DESCRIPTOR& shape, uint32_t levels, Sparse** made) {
  const uint64_t element_bytes = HamiArrayElementBits(shape.Format, shape.NumChannels) / 8;
  if (shape.Height == 0) return CUDA_ERROR_INVALID_VALUE;  // 2D, 2D layered or 3D
  const TileShape* found = nullptr;
  for (const TileShape& known : kTileShapes) {
    if (known.element_bytes == element_bytes) found = &known;
  }
  if (found == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const bool stacked = IsStacked(shape);
  Sparse sparse = {};
  sparse.deferred = (shape.Flags & HAMI_CUDA_ARRAY3D_SPARSE) == 0;
  sparse.layers = stacked ? static_cast<uint32_t>(shape.Depth) : 1;
  sparse.edges[0] = shape.Width;
  sparse.edges[1] = shape.Height;
  sparse.edges[2] = stacked ? 1 : AtLeastOne(shape.Depth);
  Divide(*found, !stacked && shape.Depth > 0, levels, &sparse);
  if (sparse.count > kMaxTiles) return CUDA_ERROR_OUT_OF_MEMORY;
  sparse.tiles = static_cast<Physical**>(AllocateZeroed(sparse.count * sizeof(Physical*)));
  *made = static_cast<Sparse*>(AllocateZeroed(sizeof(Sparse)));
  **made = sparse;
  return CUDA_SUCCESS;
}

void DeleteSparse(Sparse* sparse) {
  if (sparse == nullptr) return;
  for (uint64_t i = 0; i < sparse->count; ++i) {
    if (sparse->tiles[i] != nullptr) LetPhysicalGo(sparse->tiles[i]);
  }
  Deallocate(sparse->tiles);
  Deallocate(sparse);
}

void DropUnmapped() {
  if (unmapped == nullptr) return;
  Unmapped* gone = nullptr;
  {
    LockGuard guard(process.machine);
    State& state = *process.machine.state;
    AdvanceAll(state, os::NowNs());
    for (Unmapped** at = &unmapped; *at != nullptr;) {
      Unmapped* seen = *at;
      if (!IsReached(state, seen->place)) {
        at = &seen->next;
        continue;
      }
      *at = seen->next;
      seen->next = gone;
      gone = seen;
    }
  }
  while (gone != nullptr) {
    Unmapped* next = gone->next;
    LetPhysicalGo(gone->physical);
    Deallocate(gone);
    gone = next;
  }
}

}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

HAMI_SIM_API CUresult cuMemMapArrayAsync(CUarrayMapInfo* operations, unsigned int count,
                                         CUstream stream) {
  return MapArrays(operations, count, stream, false);
}
HAMI_SIM_API CUresult cuMemMapArrayAsync_ptsz(CUarrayMapInfo* operations, unsigned int count,
                                              CUstream stream) {
  return MapArrays(operations, count, stream, true);
}

HAMI_SIM_API CUresult cuArrayGetSparseProperties(CUDA_ARRAY_SPARSE_PROPERTIES* properties,
                                                 CUarray handle) {
  HAMI_ENTER(Need::kContext);
  const auto* array = Find<Array>(handle);
  if (properties == nullptr || array == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return Describe(array->sparse, properties);
}
HAMI_SIM_API CUresult cuMipmappedArrayGetSparseProperties(CUDA_ARRAY_SPARSE_PROPERTIES* properties,
                                                          CUmipmappedArray handle) {
  HAMI_ENTER(Need::kContext);
  const auto* mipmap = Find<Mipmap>(handle);
  if (properties == nullptr || mipmap == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return Describe(mipmap->sparse, properties);
}
HAMI_SIM_API CUresult cuArrayGetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS* requirements,
                                                   CUarray handle, CUdevice) {
  HAMI_ENTER(Need::kContext);
  const auto* array = Find<Array>(handle);
  if (requirements == nullptr || array == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return Require(array->sparse, requirements);
}
HAMI_SIM_API CUresult cuMipmappedArrayGetMemoryRequirements(
    CUDA_ARRAY_MEMORY_REQUIREMENTS* requirements, CUmipmappedArray handle, CUdevice) {
  HAMI_ENTER(Need::kContext);
  const auto* mipmap = Find<Mipmap>(handle);
  if (requirements == nullptr || mipmap == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return Require(mipmap->sparse, requirements);
}
