// SPDX-License-Identifier: Apache-2.0
//
// The process' range of device addresses, what lies where, and the content behind it. The content
// of address A is at A + shadow_offset in a second range of ordinary memory, so the kernel keeps
// the pages and a page that was never written takes nothing and reads as zero.

#include <stdio.h>
#include <string.h>

#include "simgpu/cuda/memory.h"
#include "simgpu/cuda/small_chunk.h"
#include "simgpu/state/os.h"

namespace hami::simgpu::cuda {
namespace {

constexpr uint64_t kRangeBytes = uint64_t{1} << 42;
constexpr uint64_t kSmallestRangeBytes = uint64_t{1} << 36;
constexpr uint64_t kPageBytes = 64 << 10;  // content is counted in these
constexpr uint64_t kDefaultCap = uint64_t{1} << 30;
constexpr uint64_t kSmallTag = 1;  // in the map: a SmallChunk, not an Allocation
constexpr int kFreeSizes = 64;

// A freed range of addresses; kept by exact size, the most recent first.
struct FreeRange {
  uint64_t base;
  uint64_t bytes;
  FreeRange* next;
};

struct Space {
  uint64_t base;
  uint64_t end;
  uint64_t next;
  uint64_t* map;          // per 2 MiB
  uint32_t* written;      // per 2 MiB: bit per 64 KiB that has content
  uint8_t* foreign;       // per 2 MiB: the content is a file's
  int64_t shadow_offset;  // 0: no content
  uint64_t content_bytes;
  bool warned;
  FreeRange* free[kFreeSizes];
};
Space space;

uint64_t IndexOf(uint64_t address) { return (address - space.base) / kChunkBytes; }

bool Prepare() {
  if (space.base != 0) return true;
  uint64_t bytes = kRangeBytes;
  void* range = nullptr;
  for (; range == nullptr && bytes >= kSmallestRangeBytes; bytes /= 4) {
    range = os::MapPrivate(bytes, false);
    if (range != nullptr) break;
  }
  if (range == nullptr) return false;
  space.map = static_cast<uint64_t*>(os::MapPrivate(bytes / kChunkBytes * sizeof(uint64_t), true));
  space.written = static_cast<uint32_t*>(os::MapPrivate(bytes / kChunkBytes * 4, true));
  space.foreign = static_cast<uint8_t*>(os::MapPrivate(bytes / kChunkBytes, true));
  if (space.map == nullptr || space.written == nullptr || space.foreign == nullptr) return false;
  const auto address = reinterpret_cast<uint64_t>(range);
  space.base = RoundUp(address, kChunkBytes);
  space.end = address + bytes - (space.base - address) / kChunkBytes * kChunkBytes;
  space.end -= space.end % kChunkBytes;
  space.next = space.base;
  void* shadow = os::MapPrivate(bytes, true);
  if (shadow != nullptr) {
    space.shadow_offset = static_cast<int64_t>(reinterpret_cast<uint64_t>(shadow) - address);
  }
  return true;
}

char* ShadowOf(uint64_t address) {
  return reinterpret_cast<char*>(address + static_cast<uint64_t>(space.shadow_offset));
}

// True if [address, +bytes) of one 64 KiB page may hold content.
bool MayWrite(uint64_t address, uint64_t bytes) {
  if (space.shadow_offset == 0) return false;
  uint32_t& mask = space.written[IndexOf(address)];
  const uint32_t bit = 1U << address % kChunkBytes / kPageBytes;
  if ((mask & bit) != 0) return true;
  const uint64_t asked = MachineOf().content_cap_bytes;
  if (space.content_bytes + kPageBytes <= (asked == 0 ? kDefaultCap : asked)) {
    mask |= bit;
    space.content_bytes += kPageBytes;
    return true;
  }
  __atomic_fetch_add(&process.machine.state->clients[process.machine.client].dropped_content_bytes,
                     bytes, __ATOMIC_RELAXED);
  if (!space.warned) {
    space.warned = true;
    fprintf(stderr,
            "simulated GPU: this process has written more device memory than its cap; "
            "further content is dropped and reads as zero (simgpu/README.md)\n");
  }
  return false;
}

// Visits [address, +bytes) in pieces that do not cross a page.
template <typename Visit>
void ForEachPiece(uint64_t address, uint64_t bytes, Visit visit) {
  while (bytes > 0) {
    const uint64_t in_page = kPageBytes - address % kPageBytes;
    const uint64_t piece = bytes < in_page ? bytes : in_page;
    visit(address, piece);
    address += piece;
    bytes -= piece;
  }
}

}  // namespace

bool TakePhysical(uint32_t device, uint64_t bytes) {
  LockGuard guard(process.machine);
  return ReserveMemory(process.machine, *process.machine.state, device, bytes);
}

void GivePhysical(uint32_t device, uint64_t bytes) {
  LockGuard guard(process.machine);
  ReleaseMemory(process.machine, *process.machine.state, device, bytes);
}

uint64_t ReserveAddresses(uint64_t bytes) {
  if (!Prepare()) return 0;
  for (FreeRange** at = &space.free[bytes / kChunkBytes % kFreeSizes]; *at != nullptr;
       at = &(*at)->next) {
    if ((*at)->bytes != bytes) continue;
    FreeRange* found = *at;
    const uint64_t base = found->base;
    *at = found->next;
    Deallocate(found);
    return base;
  }
  if (space.end - space.next < bytes) return 0;
  const uint64_t base = space.next;
  space.next += bytes;
  return base;
}

void ReleaseAddresses(uint64_t base, uint64_t bytes) {
  auto* range = static_cast<FreeRange*>(AllocateZeroed(sizeof(FreeRange)));
  FreeRange** list = &space.free[bytes / kChunkBytes % kFreeSizes];
  *range = {base, bytes, *list};
  *list = range;
}

bool IsDeviceAddress(uint64_t address) { return address >= space.base && address < space.next; }

void EnterAllocation(Allocation* allocation) {
  allocation->buffer_id = ++process.next_id;
  for (uint64_t at = 0; at < allocation->physical_bytes || at == 0; at += kChunkBytes) {
    space.map[IndexOf(allocation->base + at)] = reinterpret_cast<uint64_t>(allocation);
  }
}

void RemoveAllocation(Allocation* allocation) {
  for (uint64_t at = 0; at < allocation->physical_bytes || at == 0; at += kChunkBytes) {
    space.map[IndexOf(allocation->base + at)] = 0;
  }
  DiscardContent(allocation->base, allocation->physical_bytes);
}

void EnterSmallChunk(SmallChunk* chunk) {
  space.map[IndexOf(chunk->base)] = reinterpret_cast<uint64_t>(chunk) | kSmallTag;
}

void RemoveSmallChunk(SmallChunk* chunk) {
  space.map[IndexOf(chunk->base)] = 0;
  DiscardContent(chunk->base, kChunkBytes);
}

SmallChunk* FindSmallChunk(uint64_t address) {
  if (!IsDeviceAddress(address)) return nullptr;
  const uint64_t entry = space.map[IndexOf(address)];
  return (entry & kSmallTag) != 0 ? reinterpret_cast<SmallChunk*>(entry & ~kSmallTag) : nullptr;
}

Allocation* FindEntered(uint64_t address) {
  if (!IsDeviceAddress(address)) return nullptr;
  const uint64_t entry = space.map[IndexOf(address)];
  return (entry & kSmallTag) == 0 ? reinterpret_cast<Allocation*>(entry) : nullptr;
}

void ForEachEntry(void* with, void (*visit)(void*, Allocation*, SmallChunk*)) {
  for (uint64_t at = space.base; at < space.next; at += kChunkBytes) {
    const uint64_t entry = space.map[IndexOf(at)];
    if (entry == 0) continue;
    if ((entry & kSmallTag) != 0) {
      visit(with, nullptr, reinterpret_cast<SmallChunk*>(entry & ~kSmallTag));
    } else if (reinterpret_cast<Allocation*>(entry)->base == at) {
      visit(with, reinterpret_cast<Allocation*>(entry), nullptr);
    }
  }
}

bool IsBacked(uint64_t address, uint64_t bytes) {
  if (bytes == 0) return true;
  if (!IsDeviceAddress(address) || space.next - address < bytes) return false;
  for (uint64_t at = address / kChunkBytes * kChunkBytes; at < address + bytes; at += kChunkBytes) {
    const uint64_t entry = space.map[IndexOf(at)];
    if (entry == 0) return false;
    if ((entry & kSmallTag) == 0 &&
        reinterpret_cast<Allocation*>(entry)->kind == MemoryKind::kReserved) {
      return false;
    }
  }
  return true;
}

void ReadContent(uint64_t address, void* out, uint64_t bytes) {
  auto* to = static_cast<char*>(out);
  ForEachPiece(address, bytes, [&](uint64_t at, uint64_t piece) {
    const uint32_t bit = 1U << at % kChunkBytes / kPageBytes;
    if ((space.written[IndexOf(at)] & bit) != 0)
      memcpy(to, ShadowOf(at), piece);
    else
      memset(to, 0, piece);
    to += piece;
  });
}

void WriteContent(uint64_t address, const void* in, uint64_t bytes) {
  const auto* from = static_cast<const char*>(in);
  ForEachPiece(address, bytes, [&](uint64_t at, uint64_t piece) {
    if (MayWrite(at, piece)) memcpy(ShadowOf(at), from, piece);
    from += piece;
  });
}

void CopyContent(uint64_t to, uint64_t from, uint64_t bytes) {
  ForEachPiece(from, bytes, [&](uint64_t at, uint64_t piece) {
    const uint32_t bit = 1U << at % kChunkBytes / kPageBytes;
    if ((space.written[IndexOf(at)] & bit) != 0)
      WriteContent(to, ShadowOf(at), piece);
    else
      FillContent(to, 0, 1, piece);
    to += piece;
  });
}

void FillContent(uint64_t address, uint32_t pattern, uint32_t width, uint64_t count) {
  ForEachPiece(address, count * width, [&](uint64_t at, uint64_t piece) {
    const uint32_t bit = 1U << at % kChunkBytes / kPageBytes;
    // Zeros over what was never written need no page.
    if (pattern == 0 && (space.written[IndexOf(at)] & bit) == 0) return;
    if (!MayWrite(at, piece)) return;
    for (uint64_t i = 0; i < piece; i += width) memcpy(ShadowOf(at) + i, &pattern, width);
  });
}

// All of it counts as written from then on, and none of it against the cap: it is no memory of this
// process.
void MapContent(uint64_t address, uint64_t bytes, int fd, bool keep) {
  const uint64_t asked = MachineOf().content_cap_bytes;
  if (space.shadow_offset == 0 || bytes > (asked == 0 ? kDefaultCap : asked)) return;
  if (keep) {
    for (uint64_t at = address; at < address + bytes; at += kPageBytes) {
      const uint32_t bit = 1U << at % kChunkBytes / kPageBytes;
      if ((space.written[IndexOf(at)] & bit) == 0) continue;
      os::WriteAt(fd, ShadowOf(at), kPageBytes, at - address);
    }
  }
  DiscardContent(address, bytes);
  if (!os::MapSharedAt(ShadowOf(address), fd, bytes)) return;
  for (uint64_t at = address; at < address + bytes; at += kChunkBytes) {
    space.written[IndexOf(at)] = UINT32_MAX;
    space.foreign[IndexOf(at)] = 1;
  }
}

void DiscardContent(uint64_t address, uint64_t bytes) {
  for (uint64_t at = address; at < address + bytes; at += kChunkBytes) {
    uint32_t& mask = space.written[IndexOf(at)];
    if (mask == 0) continue;
    if (space.foreign[IndexOf(at)] != 0) {
      os::MapPrivateAt(ShadowOf(at), kChunkBytes);
      space.foreign[IndexOf(at)] = 0;
      mask = 0;
      continue;
    }
    os::Discard(ShadowOf(at), kChunkBytes);
    space.content_bytes -= static_cast<uint64_t>(__builtin_popcount(mask)) * kPageBytes;
    mask = 0;
  }
}

}  // namespace hami::simgpu::cuda
