// SPDX-License-Identifier: Apache-2.0
//
// Arrays and mipmapped arrays. Their size on the device is the driver's secret: it rounds rows and
// planes up to tiles, and places small arrays of one context side by side in pages. So what is
// charged is an estimate, and the agent's comparison with the driver's figure (docs/adr/0011) finds
// what it misses. Arrays of at most half a page are counted with the next power of two, which is
// what bounds the pages of any allocator that fills holes; others take pages of their own.

#include "preload/memory_arrays.h"

#include <bit>
#include <type_traits>

#include "api/cuda/array_format.h"
#include "preload/contexts.h"
#include "preload/devices.h"
#include "preload/driver.h"
#include "preload/external_memory.h"
#include "preload/lock.h"
#include "preload/process.h"
#include "preload/sparse_arrays.h"
#include "preload/table.h"

namespace hami::preload {
namespace {

using region::ChargeKind;

struct ArrayEntry {
  uint64_t key;  // the array, or the mipmapped array
  uint64_t context;
  uint64_t bytes : 56;  // as counted
  uint64_t ordinal : 8;
};
constinit Table<ArrayEntry> arrays;

// What the small arrays of a context take together.
struct Arena {
  uint64_t key;  // the context
  uint64_t bytes;
  uint64_t charged_pages;
};
constinit Table<Arena> arenas;
// Held while an arena and its charge change together; never across a call that makes an array.
constinit SpinLock arenas_lock;

constexpr uint64_t kTileBytes = 64;
constexpr uint64_t kTileRows = 8;
constexpr uint64_t kSmallestBytes = 512;
// A format that we do not know: as large as any that the driver has.
constexpr uint64_t kUnknownElementBits = 128;

constexpr unsigned kWithoutMemory = HAMI_CUDA_ARRAY3D_SPARSE | HAMI_CUDA_ARRAY3D_DEFERRED_MAPPING;

uint64_t RoundUp(uint64_t value, uint64_t step) { return (value + step - 1) / step * step; }

// Saturates: an array of this size is the driver's to refuse.
uint64_t PlaneBytes(uint64_t width, uint64_t height, uint64_t element_bits) {
  uint64_t bits = 0;
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(width, element_bits, &bits) || bits > UINT64_MAX / 2 ||
      height > UINT64_MAX / 2) {
    return UINT64_MAX;
  }
  const uint64_t rows = height <= 1 ? 1 : RoundUp(height, kTileRows);
  return __builtin_mul_overflow(RoundUp((bits + 7) / 8, kTileBytes), rows, &bytes) ? UINT64_MAX
                                                                                   : bytes;
}

uint64_t AtLeastOne(uint64_t value) { return value == 0 ? 1 : value; }

uint64_t EstimateBytes(const CUDA_ARRAY3D_DESCRIPTOR& shape, unsigned levels) {
  if ((shape.Flags & kWithoutMemory) != 0) return 0;
  const uint32_t bits = HamiArrayElementBits(shape.Format, shape.NumChannels);
  const bool stacked = (shape.Flags & (HAMI_CUDA_ARRAY3D_LAYERED | HAMI_CUDA_ARRAY3D_CUBEMAP)) != 0;
  uint64_t total = 0;
  for (unsigned level = 0; level < levels && level < 64; ++level) {
    const uint64_t width = shape.Width >> level;
    const uint64_t height = shape.Height >> level;
    const uint64_t depth = stacked ? shape.Depth : shape.Depth >> level;
    if (level > 0 && width == 0 && height == 0 && (stacked || depth == 0)) break;
    uint64_t bytes = 0;
    const uint64_t plane =
        PlaneBytes(AtLeastOne(width), height, bits != 0 ? bits : kUnknownElementBits);
    if (__builtin_mul_overflow(plane, AtLeastOne(depth), &bytes) ||
        __builtin_add_overflow(total, bytes, &total)) {
      return UINT64_MAX;
    }
  }
  return total;
}

bool IsSmall(const Device& device, uint64_t bytes) { return bytes <= device.page_bytes / 2; }

uint64_t CountedBytes(const Device& device, uint64_t bytes) {
  if (bytes > UINT64_MAX / 2) return UINT64_MAX;
  if (!IsSmall(device, bytes)) return RoundUp(bytes, device.page_bytes);
  return bytes <= kSmallestBytes ? kSmallestBytes : std::bit_ceil(bytes);
}

// The arenas' lock is held.
Arena ArenaOf(uint64_t context) {
  Arena arena = {context, 0, 0};
  arenas.Find(context, &arena);
  return arena;
}

bool ChargeSmall(Device& device, uint64_t context, uint64_t bytes) {
  const SpinLock::Holder holder(arenas_lock);
  Arena arena = ArenaOf(context);
  arena.bytes += bytes;
  const uint64_t pages = RoundUp(arena.bytes, device.page_bytes) / device.page_bytes;
  const uint64_t more = pages > arena.charged_pages ? pages - arena.charged_pages : 0;
  if (more > 0 && !Charge(device, more * device.page_bytes, ChargeKind::kData)) return false;
  arena.charged_pages += more;
  if (arenas.Insert(arena)) return true;
  if (more > 0) Refund(device, more * device.page_bytes, ChargeKind::kData);
  return false;
}

void RefundSmall(Device& device, uint64_t context, uint64_t bytes) {
  const SpinLock::Holder holder(arenas_lock);
  Arena arena = ArenaOf(context);
  arena.bytes -= bytes < arena.bytes ? bytes : arena.bytes;
  const uint64_t pages = RoundUp(arena.bytes, device.page_bytes) / device.page_bytes;
  const uint64_t fewer = arena.charged_pages - pages;
  arena.charged_pages = pages;
  if (pages == 0) {
    arenas.Take(context, &arena);
  } else {
    arenas.Insert(arena);
  }
  if (fewer > 0) Refund(device, fewer * device.page_bytes, ChargeKind::kData);
}

bool ChargeArray(Device& device, uint64_t context, uint64_t bytes) {
  return IsSmall(device, bytes) ? ChargeSmall(device, context, bytes)
                                : Charge(device, bytes, ChargeKind::kData);
}

void RefundArray(const ArrayEntry& entry) {
  Device& device = *DeviceOfOrdinal(entry.ordinal);
  if (IsSmall(device, entry.bytes)) {
    RefundSmall(device, entry.context, entry.bytes);
  } else {
    Refund(device, entry.bytes, ChargeKind::kData);
  }
}

// The memory of such an array is charged when cuMemCreate makes it.
template <typename Handle, typename Create>
CUresult MakeWithoutMemory(Handle* handle, const CUDA_ARRAY3D_DESCRIPTOR& shape, unsigned levels,
                           CUcontext context, const Create& create) {
  const CUresult result = create();
  if (result != CUDA_SUCCESS) return result;
  const bool mipmapped = std::is_same_v<Handle, CUmipmappedArray>;
  NoteSparseArray(reinterpret_cast<uint64_t>(*handle), mipmapped ? levels : 0, shape, context);
  return result;
}

// `handle` is where the driver puts what it makes; `destroy` undoes that.
template <typename Handle, typename Create, typename Destroy>
CUresult MakeArray(Handle* handle, const CUDA_ARRAY3D_DESCRIPTOR* shape, unsigned levels,
                   const Create& create, const Destroy& destroy) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  CurrentDevice current;
  const Mode mode = PrepareAllocation(&current);
  if (mode == Mode::kRefuse) return CUDA_ERROR_OUT_OF_MEMORY;
  if (mode != Mode::kLimit || handle == nullptr || shape == nullptr) return create();
  const uint64_t estimate = EstimateBytes(*shape, levels);
  CUcontext context = nullptr;
  if (cuda.cuCtxGetCurrent(&context) != CUDA_SUCCESS) return create();
  context = PrimaryIfGreen(context, current.ordinal);
  if (estimate == 0) return MakeWithoutMemory(handle, *shape, levels, context, create);
  Device& device = *current.device;
  ArrayEntry entry = {0, reinterpret_cast<uint64_t>(context), 0, 0};
  const uint64_t bytes = CountedBytes(device, estimate);
  if (!ChargeArray(device, entry.context, bytes)) return CUDA_ERROR_OUT_OF_MEMORY;
  entry.bytes = bytes;
  entry.ordinal = static_cast<uint8_t>(current.ordinal);
  const CUresult result = create();
  if (result == CUDA_SUCCESS) {
    entry.key = reinterpret_cast<uint64_t>(*handle);
    if (arrays.Insert(entry)) return CUDA_SUCCESS;
    destroy(*handle);
  }
  RefundArray(entry);
  return result != CUDA_SUCCESS ? result : CUDA_ERROR_OUT_OF_MEMORY;
}

// An array without a charge of its own: a sparse one, or one on imported memory.
template <typename Handle, typename Destroy>
CUresult DestroyUncharged(Handle handle, const Destroy& destroy) {
  const auto key = reinterpret_cast<uint64_t>(handle);
  SparseArray sparse;
  if (!TakeSparseArray(key, &sparse)) return FreeExternal(key, [&] { return destroy(handle); });
  const CUresult result = destroy(handle);
  if (result == CUDA_SUCCESS) {
    DropSparseArray(sparse);
  } else {
    RestoreSparseArray(sparse);
  }
  return result;
}

template <typename Handle, typename Destroy>
CUresult DestroyArray(Handle handle, const Destroy& destroy) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  if (EnterCuda() != Mode::kLimit) return destroy(handle);
  // The driver may give the handle out again the moment it is free.
  ArrayEntry entry;
  const auto key = reinterpret_cast<uint64_t>(handle);
  if (!arrays.Take(key, &entry)) return DestroyUncharged(handle, destroy);
  const CUresult result = destroy(handle);
  if (result == CUDA_SUCCESS) {
    RefundArray(entry);
  } else {
    arrays.Insert(entry);
  }
  return result;
}

template <typename Shape>
CUresult MakePlainArray(CUarray* handle, const Shape* shape,
                        CUresult (*create)(CUarray*, const Shape*)) {
  CUDA_ARRAY3D_DESCRIPTOR full = {};
  if (shape != nullptr) {
    full.Width = shape->Width;
    full.Height = shape->Height;
    full.Format = shape->Format;
    full.NumChannels = shape->NumChannels;
    if constexpr (requires { shape->Depth; }) {
      full.Depth = shape->Depth;
      full.Flags = shape->Flags;
    }
  }
  return MakeArray(
      handle, shape != nullptr ? &full : nullptr, 1, [=] { return create(handle, shape); },
      cuda.cuArrayDestroy);
}

}  // namespace

uint64_t EstimateArray(const CUDA_ARRAY3D_DESCRIPTOR& shape) { return EstimateBytes(shape, 1); }

void ForgetArraysOf(CUcontext context) {
  ForgetSparseArraysOf(context);
  const auto key = reinterpret_cast<uint64_t>(context);
  bool removed = true;
  while (removed) {
    removed = false;
    arrays.VisitAll([&](const ArrayEntry& seen) {
      ArrayEntry entry;
      if (seen.context != key || !arrays.Take(seen.key, &entry)) return;
      removed = true;
      RefundArray(entry);
    });
  }
}

void ResetArraysAfterFork() {
  arrays.ResetAfterFork();
  arenas.ResetAfterFork();
  arenas_lock.ResetAfterFork();
  ResetSparseArraysAfterFork();
}

}  // namespace hami::preload

using namespace hami::preload;

extern "C" {

HAMI_EXPORT CUresult cuArrayCreate(CUarray* array, const CUDA_ARRAY_DESCRIPTOR_v1* shape) {
  return MakePlainArray(array, shape, cuda.cuArrayCreate);
}

HAMI_EXPORT CUresult cuArrayCreate_v2(CUarray* array, const CUDA_ARRAY_DESCRIPTOR* shape) {
  return MakePlainArray(array, shape, cuda.cuArrayCreate_v2);
}

HAMI_EXPORT CUresult cuArray3DCreate(CUarray* array, const CUDA_ARRAY3D_DESCRIPTOR_v1* shape) {
  return MakePlainArray(array, shape, cuda.cuArray3DCreate);
}

HAMI_EXPORT CUresult cuArray3DCreate_v2(CUarray* array, const CUDA_ARRAY3D_DESCRIPTOR* shape) {
  return MakePlainArray(array, shape, cuda.cuArray3DCreate_v2);
}

HAMI_EXPORT CUresult cuArrayDestroy(CUarray array) {
  return DestroyArray(array, [](CUarray handle) { return cuda.cuArrayDestroy(handle); });
}

HAMI_EXPORT CUresult cuMipmappedArrayCreate(CUmipmappedArray* array,
                                            const CUDA_ARRAY3D_DESCRIPTOR* shape, unsigned levels) {
  return MakeArray(
      array, shape, levels, [=] { return cuda.cuMipmappedArrayCreate(array, shape, levels); },
      cuda.cuMipmappedArrayDestroy);
}

HAMI_EXPORT CUresult cuMipmappedArrayDestroy(CUmipmappedArray array) {
  return DestroyArray(array,
                      [](CUmipmappedArray handle) { return cuda.cuMipmappedArrayDestroy(handle); });
}

}  // extern "C"
