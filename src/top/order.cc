// SPDX-License-Identifier: Apache-2.0

#include "top/order.h"

#include <fmt/format.h>

#include <algorithm>
#include <climits>
#include <iterator>
#include <tuple>

namespace hami::top {
namespace {

struct KeyName {
  SortKey key;
  std::string_view name;
};
constexpr KeyName kKeyNames[] = {
    {SortKey::kGpu, "gpu"},
    {SortKey::kName, "name"},
    {SortKey::kMemory, "memory"},
    {SortKey::kCompute, "compute"},
    {SortKey::kThrottled, "throttled"},
    {SortKey::kRefused, "refused"},
};

// What comes first where nothing else decides.
auto Place(const Slice& slice) {
  return std::tuple(slice.device_index.value_or(INT_MAX), std::string_view(slice.device_uuid),
                    std::string_view(slice.name), std::string_view(slice.path), slice.number);
}

// Below 0: `left` comes first.
int Compare(SortKey key, const Slice& left, const Slice& right) {
  const auto larger_first = [](const auto& a, const auto& b) { return a > b ? -1 : a < b ? 1 : 0; };
  switch (key) {
    case SortKey::kGpu:
      return 0;
    case SortKey::kName:
      return left.name.compare(right.name);
    case SortKey::kMemory:
      return larger_first(left.used_bytes, right.used_bytes);
    case SortKey::kCompute:
      return larger_first(left.compute_pct.value_or(-1), right.compute_pct.value_or(-1));
    case SortKey::kThrottled: {
      const int lately =
          larger_first(left.throttled_pct.value_or(0), right.throttled_pct.value_or(0));
      return lately != 0
                 ? lately
                 : larger_first(left.throttled_ns.value_or(0), right.throttled_ns.value_or(0));
    }
    case SortKey::kRefused:
      return larger_first(left.refused.value_or(0), right.refused.value_or(0));
  }
  return 0;
}

bool ProcessComesFirst(SortKey key, const Process& left, const Process& right) {
  if (key == SortKey::kMemory && left.used_bytes != right.used_bytes) {
    return left.used_bytes > right.used_bytes;
  }
  if (key == SortKey::kCompute && left.compute_pct != right.compute_pct) {
    return left.compute_pct.value_or(-1) > right.compute_pct.value_or(-1);
  }
  return left.slot < right.slot;
}

}  // namespace

std::string_view SortKeyName(SortKey key) {
  return std::ranges::find(kKeyNames, key, &KeyName::key)->name;
}

Result<SortKey> ParseSortKey(std::string_view name) {
  const auto* const found = std::ranges::find(kKeyNames, name, &KeyName::name);
  if (found != std::end(kKeyNames)) return found->key;
  return Fail(Code::kInvalidArgument,
              fmt::format("--sort takes gpu, name, memory, compute, throttled or refused, not "
                          "\"{}\"",
                          name));
}

void ApplyOrder(const Order& order, Snapshot* snapshot) {
  std::ranges::sort(snapshot->slices, [&](const Slice& left, const Slice& right) {
    const Slice& first = order.reversed ? right : left;
    const Slice& second = order.reversed ? left : right;
    const int compared = Compare(order.key, first, second);
    return compared != 0 ? compared < 0 : Place(first) < Place(second);
  });
  for (Slice& slice : snapshot->slices) {
    std::ranges::sort(slice.processes, [&](const Process& left, const Process& right) {
      return order.reversed ? ProcessComesFirst(order.key, right, left)
                            : ProcessComesFirst(order.key, left, right);
    });
  }
}

}  // namespace hami::top
