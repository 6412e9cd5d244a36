// SPDX-License-Identifier: Apache-2.0

#include "preload/pages.h"

#include "preload/table.h"

namespace hami::preload {
namespace {

// Address / page size -> how many allocations touch the page partly.
constinit Table<CountEntry> partial_pages;

// Returns the references afterwards; 0: no memory for the table.
uint64_t AddReference(uint64_t page, int ordinal) {
  uint64_t references = 0;
  partial_pages.Update(page, [&](CountEntry& entry) {
    entry.ordinal = static_cast<uint8_t>(ordinal);
    references = ++entry.count;
  });
  return references;
}

// True if that was the last one.
bool DropReference(uint64_t page) {
  bool last = false;
  partial_pages.Edit(page, [&](CountEntry& entry) {
    last = --entry.count == 0;
    return last ? Table<CountEntry>::Verdict::kRemove : Table<CountEntry>::Verdict::kKeep;
  });
  return last;
}

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
    const uint64_t references = AddReference(extent.partial[i], ordinal);
    if (references == 0) {
      if (i > 0) DropReference(extent.partial[0]);
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
    if (DropReference(extent.partial[i])) ++dropped;
  }
  return dropped;
}

void ResetPagesAfterFork() { partial_pages.ResetAfterFork(); }

}  // namespace hami::preload
