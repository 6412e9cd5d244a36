// SPDX-License-Identifier: Apache-2.0

#include "preload/pages.h"

#include "preload/allocations.h"

namespace hami::preload {
namespace {

// The partly filled pages at both ends (at most two) and how many lie full between them.
struct Extent {
  uint64_t full;
  uint64_t partial[2];
  int partial_count;
};

Extent ExtentOf(const Device& device, uint64_t address, uint64_t bytes) {
  const uint64_t page = device.page_bytes;
  const uint64_t first = address / page;
  const uint64_t last = (address + bytes - 1) / page;
  const bool starts_inside = address % page != 0;
  const bool ends_inside = (address + bytes) % page != 0;
  Extent extent = {last - first + 1, {}, 0};
  if (starts_inside || (first == last && ends_inside)) {
    extent.partial[extent.partial_count++] = first;
    --extent.full;
  }
  if (ends_inside && last != first) {
    extent.partial[extent.partial_count++] = last;
    --extent.full;
  }
  return extent;
}

}  // namespace

uint64_t PagesToReserve(const Device& device, uint64_t bytes) {
  return bytes / device.page_bytes + (bytes % device.page_bytes != 0 ? 1 : 0);
}

int64_t AddPages(const Device& device, int ordinal, uint64_t address, uint64_t bytes) {
  const Extent extent = ExtentOf(device, address, bytes);
  auto added = static_cast<int64_t>(extent.full);
  for (int i = 0; i < extent.partial_count; ++i) {
    const uint32_t references = AddReference(EntryKind::kPage, extent.partial[i], ordinal);
    if (references == 0) {
      Entry removed;
      if (i > 0) DropReference(EntryKind::kPage, extent.partial[0], &removed);
      return -1;
    }
    if (references == 1) ++added;
  }
  return added;
}

int64_t DropPages(const Device& device, uint64_t address, uint64_t bytes) {
  const Extent extent = ExtentOf(device, address, bytes);
  auto dropped = static_cast<int64_t>(extent.full);
  for (int i = 0; i < extent.partial_count; ++i) {
    Entry removed;
    if (DropReference(EntryKind::kPage, extent.partial[i], &removed) == 0) ++dropped;
  }
  return dropped;
}

}  // namespace hami::preload
