// SPDX-License-Identifier: Apache-2.0

#include "top/filter.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>

namespace hami::top {
namespace {

struct KeyName {
  FilterKey key;
  std::string_view name;
};
constexpr KeyName kKeyNames[] = {
    {FilterKey::kGpu, "gpu"},   {FilterKey::kSlice, "slice"}, {FilterKey::kKind, "kind"},
    {FilterKey::kRung, "rung"}, {FilterKey::kPid, "pid"},
};

// ASCII alone: names are cleaned before.
std::string Small(std::string_view text) {
  std::string small(text);
  std::ranges::transform(small, small.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return small;
}

bool Contains(std::string_view text, const std::string& part) {
  return Small(text).find(part) != std::string::npos;
}

bool IsDevice(const std::string& value, const std::optional<int>& index, const std::string& uuid) {
  return (index && std::to_string(*index) == value) || Small(uuid).starts_with(value);
}

bool HoldsForProcess(const FilterTerm& term, const Process& process) {
  switch (term.key) {
    case FilterKey::kPid:
      return std::to_string(process.pid) == term.value ||
             (process.host_pid && std::to_string(*process.host_pid) == term.value);
    case FilterKey::kAny:
      return Contains(process.command, term.value);
    default:
      return false;
  }
}

bool HoldsForSlice(const FilterTerm& term, const Slice& slice) {
  switch (term.key) {
    case FilterKey::kGpu:
      return IsDevice(term.value, slice.device_index, slice.device_uuid);
    case FilterKey::kSlice:
      return Contains(slice.name, term.value);
    case FilterKey::kKind:
      return KindName(slice.kind) == term.value;
    case FilterKey::kRung:
      return Small(slice.rung) == term.value;
    case FilterKey::kPid:
      return false;
    case FilterKey::kAny:
      break;
  }
  return Contains(slice.name, term.value) || Contains(slice.device_uuid, term.value) ||
         Contains(slice.device_name, term.value);
}

bool HoldsForDevice(const FilterTerm& term, const Device& device) {
  switch (term.key) {
    case FilterKey::kGpu:
      return IsDevice(term.value, device.index, device.uuid);
    case FilterKey::kAny:
      return Contains(device.name, term.value) || Contains(device.uuid, term.value);
    default:
      return false;
  }
}

}  // namespace

Result<FilterTerm> ParseFilterTerm(std::string_view text) {
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos) return FilterTerm{FilterKey::kAny, Small(text)};
  const std::string_view name = text.substr(0, equals);
  const auto* const found = std::ranges::find(kKeyNames, name, &KeyName::name);
  if (found == std::end(kKeyNames)) {
    return Fail(
        Code::kInvalidArgument,
        fmt::format("a filter is TEXT, gpu=, slice=, kind=, rung= or pid=, not \"{}\"", text));
  }
  FilterTerm term = {found->key, Small(text.substr(equals + 1))};
  if (term.value.empty()) {
    return Fail(Code::kInvalidArgument, fmt::format("a filter \"{}\" without a value", text));
  }
  int pid = 0;
  const char* const end = term.value.data() + term.value.size();
  const auto [rest, error] = std::from_chars(term.value.data(), end, pid);
  if (term.key == FilterKey::kPid && (error != std::errc() || rest != end)) {
    return Fail(Code::kInvalidArgument, fmt::format("a filter \"{}\" without a number", text));
  }
  return term;
}

Result<std::vector<FilterTerm>> ParseFilter(std::string_view text) {
  std::vector<FilterTerm> terms;
  while (!text.empty()) {
    const size_t length = std::min(text.find(' '), text.size());
    if (length > 0) {
      ASSIGN_OR_RETURN(FilterTerm term, ParseFilterTerm(text.substr(0, length)));
      terms.push_back(std::move(term));
    }
    text.remove_prefix(std::min(length + 1, text.size()));
  }
  return terms;
}

void ApplyFilter(const std::vector<FilterTerm>& terms, Snapshot* snapshot) {
  if (terms.empty()) return;
  std::erase_if(snapshot->slices, [&](Slice& slice) {
    const bool whole = std::ranges::all_of(
        terms, [&](const FilterTerm& term) { return HoldsForSlice(term, slice); });
    if (whole) return false;
    std::erase_if(slice.processes, [&](const Process& process) {
      return !std::ranges::all_of(terms, [&](const FilterTerm& term) {
        return HoldsForSlice(term, slice) || HoldsForProcess(term, process);
      });
    });
    return slice.processes.empty();
  });
  std::erase_if(snapshot->devices, [&](const Device& device) {
    const bool used = std::ranges::find(snapshot->slices, device.uuid, &Slice::device_uuid) !=
                      snapshot->slices.end();
    return !used && !std::ranges::all_of(terms, [&](const FilterTerm& term) {
      return HoldsForDevice(term, device);
    });
  });
}

}  // namespace hami::top
