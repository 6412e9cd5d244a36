// SPDX-License-Identifier: Apache-2.0
//
// Sparse arrays. Physical memory is charged when cuMemCreate makes it (memory_vmm.cc); a tile of an
// array that it is mapped into keeps it as a mapping at an address does. So every tile that has
// memory has an entry here, which is a reference to the memory. A tile is given up by unmapping it,
// by mapping it anew, or with its array. Unmapping happens in stream order: memory that nothing
// else keeps is refunded when an event behind it has happened.
//
// The entries say what the driver was told; they are changed around its call by the calling thread.
// (CUDA Driver API, cuMemMapArrayAsync.)

#include "preload/sparse_arrays.h"

#include <atomic>

#include "preload/capture.h"
#include "preload/contexts.h"
#include "preload/driver.h"
#include "preload/log.h"
#include "preload/memory_vmm.h"
#include "preload/process.h"
#include "preload/stream_context.h"
#include "preload/table.h"

namespace hami::preload {
namespace {

using region::ChargeKind;

constexpr uint64_t kTileBytes = 65536;
constexpr unsigned kMaxLevels = 18;  // of the largest array
constexpr unsigned kTileBits = 40;   // of an entry's key; above it the array's serial number
constexpr uint64_t kMaxSerial = (uint64_t{1} << (64 - kTileBits)) - 1;

constinit Table<SparseArray> arrays;
constinit std::atomic<uint64_t> last_serial = 0;  // 0: there was never a sparse array

// A tile with memory.
enum class TileState : uint8_t { kMapped, kLeaving };  // leaving: its reference is dropped already
struct Tile {
  uint64_t key;
  uint64_t handle;
  uint64_t bytes : 48;  // leaving, and nothing else keeps the memory: what it was charged
  uint64_t ordinal : 8;
  uint64_t state : 8;
};
constinit Table<Tile> tiles;

// Memory that goes when an event has happened.
struct Leaving {
  uint64_t key;  // the event
  uint64_t context;
  uint64_t bytes;
  uint64_t ordinal;
};
constinit Table<Leaving> leaving;

uint64_t AtLeastOne(uint64_t value) { return value == 0 ? 1 : value; }
uint64_t Tiles(uint64_t edge, uint64_t tile) { return (AtLeastOne(edge) + tile - 1) / tile; }

struct Extent {
  uint64_t x, y, z;
};

Extent TilesOfLevel(const SparseArray& array, uint32_t level) {
  return {Tiles(array.width >> level, array.tile_width),
          Tiles(array.height >> level, array.tile_height),
          Tiles(array.depth >> level, array.tile_depth)};
}

// Tiles of the levels before this one, in all layers.
uint64_t TilesBefore(const SparseArray& array, uint32_t level) {
  uint64_t count = 0;
  for (uint32_t i = 0; i < level && i < array.levels; ++i) {
    const Extent extent = TilesOfLevel(array, i);
    count += extent.x * extent.y * extent.z * array.layers;
  }
  return count;
}

uint64_t KeyOf(const SparseArray& array, uint64_t tile) {
  return array.serial << kTileBits | (tile & ((uint64_t{1} << kTileBits) - 1));
}

template <typename Visit>
void VisitTail(const SparseArray& array, const CUarrayMapInfo& operation, const Visit& visit) {
  const auto& tail = operation.subresource.miptail;
  const uint64_t layer = array.single_tail ? 0 : tail.layer;
  const uint64_t room = uint64_t{array.tail_tiles} * kTileBytes;
  if (layer >= array.layers || tail.size > room || tail.offset > room - tail.size) return;
  const uint64_t first = TilesBefore(array, array.tail_level) + layer * array.tail_tiles;
  for (uint64_t at = tail.offset / kTileBytes; at * kTileBytes < tail.offset + tail.size; ++at) {
    visit(KeyOf(array, first + at));
  }
}

template <typename Visit>
void VisitBlock(const SparseArray& array, const CUarrayMapInfo& operation, const Visit& visit) {
  const auto& block = operation.subresource.sparseLevel;
  const Extent all = TilesOfLevel(array, block.level);
  const uint64_t first = TilesBefore(array, block.level) + all.x * all.y * all.z * block.layer;
  const Extent from = {block.offsetX / array.tile_width, block.offsetY / array.tile_height,
                       block.offsetZ / array.tile_depth};
  const Extent count = {Tiles(block.extentWidth, array.tile_width),
                        Tiles(block.extentHeight, array.tile_height),
                        Tiles(block.extentDepth, array.tile_depth)};
  const bool inside = block.layer < array.layers && from.x + count.x <= all.x &&
                      from.y + count.y <= all.y && from.z + count.z <= all.z;
  if (!inside) return;
  for (uint64_t z = from.z; z < from.z + count.z; ++z) {
    for (uint64_t y = from.y; y < from.y + count.y; ++y) {
      for (uint64_t x = from.x; x < from.x + count.x; ++x) {
        visit(KeyOf(array, first + (z * all.y + y) * all.x + x));
      }
    }
  }
}

// The keys of all tiles that an operation names; none of one that the driver is going to refuse.
template <typename Visit>
void VisitTiles(const CUarrayMapInfo& operation, const Visit& visit) {
  SparseArray array;
  const auto handle = operation.resourceType == CU_RESOURCE_TYPE_MIPMAPPED_ARRAY
                          ? reinterpret_cast<uint64_t>(operation.resource.mipmap)
                          : reinterpret_cast<uint64_t>(operation.resource.array);
  if (!arrays.Find(handle, &array)) return;
  if (array.tile_width == 0) {
    visit(KeyOf(array, 0));
  } else if (operation.subresourceType == CU_ARRAY_SPARSE_SUBRESOURCE_TYPE_MIPTAIL) {
    VisitTail(array, operation, visit);
  } else if (operation.subresource.sparseLevel.level < array.levels) {
    VisitBlock(array, operation, visit);
  }
}

// Drops the tile's reference; the entry says what that was.
void Leave(Tile& tile) {
  if (tile.state != static_cast<uint8_t>(TileState::kMapped)) return;
  const Dropped dropped = Drop(tile.handle);
  tile.state = static_cast<uint8_t>(TileState::kLeaving);
  tile.bytes = dropped.last ? dropped.physical.bytes : 0;
  tile.ordinal = dropped.last ? static_cast<uint8_t>(dropped.physical.ordinal) : 0;
}

// Handle values are used again as soon as the memory is gone: before the call references go.
void Vacate(const CUarrayMapInfo& operation) {
  VisitTiles(operation, [](uint64_t key) {
    tiles.Edit(key, [](Tile& tile) {
      Leave(tile);
      return Table<Tile>::Verdict::kKeep;
    });
  });
}

// The driver has refused. `last`: those that were the last reference, which must come back first.
void Reoccupy(const CUarrayMapInfo& operation, bool last) {
  VisitTiles(operation, [=](uint64_t key) {
    tiles.Edit(key, [=](Tile& tile) {
      const bool is_last = tile.bytes != 0;
      if (tile.state == static_cast<uint8_t>(TileState::kMapped) || is_last != last) {
        return Table<Tile>::Verdict::kKeep;
      }
      const Physical physical = {tile.handle, tile.bytes, 1, static_cast<int32_t>(tile.ordinal)};
      Restore({tile.handle, true, is_last, physical});
      tile.state = static_cast<uint8_t>(TileState::kMapped);
      tile.bytes = 0;
      return Table<Tile>::Verdict::kKeep;
    });
  });
}

// What one call has let go on one device.
struct Gone {
  uint64_t bytes;
  uint64_t ordinal;
};

bool RecordBehind(CUstream stream, StreamForm form, const Gone& gone) {
  const RelaxedCapture relaxed;
  const InContextOf where(stream);
  CUevent event = nullptr;
  if (cuda.cuEventCreate(&event, CU_EVENT_DISABLE_TIMING) != CUDA_SUCCESS) return false;
  const CUresult recorded = form == StreamForm::kPerThread ? cuda.cuEventRecord_ptsz(event, stream)
                                                           : cuda.cuEventRecord(event, stream);
  CUcontext context = PrimaryIfGreen(where.context(), static_cast<int>(gone.ordinal));
  if (recorded == CUDA_SUCCESS &&
      leaving.Insert({reinterpret_cast<uint64_t>(event), reinterpret_cast<uint64_t>(context),
                      gone.bytes, gone.ordinal})) {
    return true;
  }
  cuda.cuEventDestroy_v2(event);
  return false;
}

void RefundInOrder(CUstream stream, StreamForm form, const Gone& gone) {
  if (gone.bytes == 0) return;
  if (!RecordBehind(stream, form, gone)) {
    Log(LogLevel::kWarning, "no event behind unmapped tiles: %u bytes stay charged", gone.bytes);
    return;
  }
  ReconcileSparseArrays(*DeviceOfOrdinal(static_cast<int>(gone.ordinal)));
}

// The driver has accepted: tiles that were mapped before are given up, new ones entered.
void Settle(const CUarrayMapInfo& operation, CUstream stream, StreamForm form, Gone* gone) {
  const bool maps = operation.memOperationType == CU_MEM_OPERATION_TYPE_MAP;
  const CUmemGenericAllocationHandle handle = operation.memHandle.memHandle;
  VisitTiles(operation, [&](uint64_t key) {
    Tile tile;
    if (tiles.Take(key, &tile)) {
      Leave(tile);
      if (tile.bytes != 0 && tile.ordinal != gone->ordinal) {
        RefundInOrder(stream, form, *gone);
        *gone = {0, tile.ordinal};
      }
      gone->bytes += tile.bytes;
    }
    // The reference first: should the tile not be remembered, the charge stays until the end.
    if (maps && AddReference(handle)) {
      tiles.Insert({key, handle, 0, 0, static_cast<uint8_t>(TileState::kMapped)});
    }
  });
}

template <typename Call>
CUresult MapArrays(const CUarrayMapInfo* operations, unsigned count, CUstream stream,
                   StreamForm form, const Call& call) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  if (EnterCuda() != Mode::kLimit || operations == nullptr || last_serial == 0) return call();
  for (unsigned i = 0; i < count; ++i) Vacate(operations[i]);
  const CUresult result = call();
  if (result != CUDA_SUCCESS) {
    for (const bool last : {true, false}) {
      for (unsigned i = 0; i < count; ++i) Reoccupy(operations[i], last);
    }
    return result;
  }
  Gone gone = {0, 0};
  for (unsigned i = 0; i < count; ++i) Settle(operations[i], stream, form, &gone);
  RefundInOrder(stream, form, gone);
  return result;
}

// Gives up every tile of an array whose memory nobody uses any more.
void DropTiles(const SparseArray& array) {
  bool removed = true;
  while (removed) {
    removed = false;
    tiles.VisitAll([&](const Tile& seen) {
      Tile tile;
      if (seen.key >> kTileBits != array.serial || !tiles.Take(seen.key, &tile)) return;
      removed = true;
      Leave(tile);
      if (tile.bytes == 0) return;
      Refund(*DeviceOfOrdinal(static_cast<int>(tile.ordinal)), tile.bytes, ChargeKind::kData);
    });
  }
}

// False: the driver does not say how the array is divided.
bool AskForTiles(bool mipmapped, SparseArray* array) {
  CUDA_ARRAY_SPARSE_PROPERTIES properties = {};
  const CUresult result =
      mipmapped
          ? cuda.cuMipmappedArrayGetSparseProperties(&properties,
                                                     reinterpret_cast<CUmipmappedArray>(array->key))
          : cuda.cuArrayGetSparseProperties(&properties, reinterpret_cast<CUarray>(array->key));
  if (result != CUDA_SUCCESS || properties.tileExtent.width == 0) return false;
  array->tile_width = properties.tileExtent.width;
  array->tile_height = static_cast<uint32_t>(AtLeastOne(properties.tileExtent.height));
  array->tile_depth = static_cast<uint32_t>(AtLeastOne(properties.tileExtent.depth));
  const bool has_tail = properties.miptailSize != 0;
  array->tail_level = has_tail ? properties.miptailFirstLevel : array->levels;
  array->tail_tiles = static_cast<uint32_t>((properties.miptailSize + kTileBytes - 1) / kTileBytes);
  array->single_tail = (properties.flags & CU_ARRAY_SPARSE_PROPERTIES_SINGLE_MIPTAIL) != 0;
  return true;
}

}  // namespace

void NoteSparseArray(uint64_t array, unsigned levels, const CUDA_ARRAY3D_DESCRIPTOR& shape,
                     CUcontext context) {
  const bool stacked = (shape.Flags & (HAMI_CUDA_ARRAY3D_LAYERED | HAMI_CUDA_ARRAY3D_CUBEMAP)) != 0;
  const auto depth = static_cast<uint32_t>(AtLeastOne(shape.Depth));
  SparseArray noted = {};
  noted.key = array;
  noted.context = reinterpret_cast<uint64_t>(context);
  noted.width = static_cast<uint32_t>(shape.Width);
  noted.height = static_cast<uint32_t>(shape.Height);
  noted.depth = stacked ? 1 : depth;
  noted.layers = stacked ? depth : 1;
  noted.levels = static_cast<uint32_t>(AtLeastOne(levels < kMaxLevels ? levels : kMaxLevels));
  if ((shape.Flags & HAMI_CUDA_ARRAY3D_SPARSE) != 0 && !AskForTiles(levels != 0, &noted)) {
    Log(LogLevel::kWarning, "a sparse array is not followed: %s", "the driver does not divide it");
    return;
  }
  noted.serial = last_serial.fetch_add(1, std::memory_order_relaxed) + 1;
  if (noted.serial <= kMaxSerial) arrays.Insert(noted);
}

bool TakeSparseArray(uint64_t array, SparseArray* sparse) {
  return last_serial.load(std::memory_order_relaxed) != 0 && arrays.Take(array, sparse);
}

void DropSparseArray(const SparseArray& sparse) { DropTiles(sparse); }

void RestoreSparseArray(const SparseArray& sparse) { arrays.Insert(sparse); }

bool ReconcileSparseArrays(const Device& device) {
  if (last_serial.load(std::memory_order_relaxed) == 0) return false;
  bool refunded = false;
  const RelaxedCapture relaxed;
  leaving.VisitAll([&](const Leaving& seen) {
    Device* held = DeviceOfOrdinal(static_cast<int>(seen.ordinal));
    if (held != &device) return;
    auto* event = reinterpret_cast<CUevent>(seen.key);
    const CUresult result = cuda.cuEventQuery(event);
    if (result == CUDA_ERROR_NOT_READY || result == CUDA_ERROR_INVALID_CONTEXT) return;
    Leaving gone;
    if (!leaving.Take(seen.key, &gone)) return;
    if (result == CUDA_SUCCESS) cuda.cuEventDestroy_v2(event);
    Refund(*held, gone.bytes, ChargeKind::kData);
    refunded = true;
  });
  return refunded;
}

void ForgetSparseArraysOf(CUcontext context) {
  if (last_serial.load(std::memory_order_relaxed) == 0) return;
  const auto key = reinterpret_cast<uint64_t>(context);
  arrays.VisitAll([=](const SparseArray& seen) {
    SparseArray array;
    if (seen.context == key && arrays.Take(seen.key, &array)) DropTiles(array);
  });
  leaving.VisitAll([=](const Leaving& seen) {
    Leaving gone;
    if (seen.context != key || !leaving.Take(seen.key, &gone)) return;
    Refund(*DeviceOfOrdinal(static_cast<int>(gone.ordinal)), gone.bytes, ChargeKind::kData);
  });
}

void ResetSparseArraysAfterFork() {
  arrays.ResetAfterFork();
  tiles.ResetAfterFork();
  leaving.ResetAfterFork();
  last_serial.store(0, std::memory_order_relaxed);
}

}  // namespace hami::preload

using namespace hami::preload;

extern "C" {

HAMI_EXPORT CUresult cuMemMapArrayAsync(CUarrayMapInfo* operations, unsigned int count,
                                        CUstream stream) {
  return MapArrays(operations, count, stream, StreamForm::kLegacy,
                   [=] { return cuda.cuMemMapArrayAsync(operations, count, stream); });
}

HAMI_EXPORT CUresult cuMemMapArrayAsync_ptsz(CUarrayMapInfo* operations, unsigned int count,
                                             CUstream stream) {
  return MapArrays(operations, count, stream, StreamForm::kPerThread,
                   [=] { return cuda.cuMemMapArrayAsync_ptsz(operations, count, stream); });
}

}  // extern "C"
