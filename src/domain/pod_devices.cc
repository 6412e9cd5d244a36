// SPDX-License-Identifier: Apache-2.0

#include "domain/pod_devices.h"

#include <algorithm>

#include "domain/split.h"

namespace hami::domain {
namespace {

constexpr size_t kFields = 4;

Result<PodDevice> ParseDevice(std::string_view piece) {
  const std::vector<std::string_view> fields = Split(piece, ',');
  if (fields.size() < kFields) {
    return Fail(Code::kInvalidArgument, "a device of a pod has " + std::to_string(fields.size()) +
                                            " fields, fewer than 4: \"" +
                                            std::string(piece.substr(0, 128)) + "\"");
  }
  const auto memory_mib = ParseInt32(fields[2]);
  const auto cores = ParseInt32(fields[3]);
  if (!memory_mib || !cores || *memory_mib < 0 || *cores < 0) {
    return Fail(Code::kInvalidArgument, "memory or cores are no number of 31 bits: \"" +
                                            std::string(piece.substr(0, 128)) + "\"");
  }
  return PodDevice{std::string(fields[0]), std::string(fields[1]), *memory_mib, *cores};
}

bool HasDevices(const ContainerDevices& devices) { return !devices.empty(); }

}  // namespace

Result<std::vector<ContainerDevices>> ParsePodDevices(std::string_view text) {
  std::vector<ContainerDevices> containers;
  for (const std::string_view entry : Split(text, ';')) {
    ContainerDevices& devices = containers.emplace_back();
    for (const std::string_view piece : Split(entry, ':')) {
      if (piece.find(',') == std::string_view::npos) continue;
      ASSIGN_OR_RETURN(PodDevice device, ParseDevice(piece));
      devices.push_back(std::move(device));
    }
  }
  while (!containers.empty() && containers.back().empty()) containers.pop_back();
  return containers;
}

std::string FormatPodDevices(std::span<const ContainerDevices> containers) {
  std::string text;
  for (const ContainerDevices& devices : containers) {
    for (const PodDevice& device : devices) {
      text += device.id;
      text += ',';
      text += device.common_word;
      text += ',';
      text += std::to_string(device.memory_mib);
      text += ',';
      text += std::to_string(device.cores);
      text += ':';
    }
    text += ';';
  }
  return text;
}

std::optional<std::vector<ContainerDevices>> AssignToContainers(
    std::vector<ContainerDevices> entries, std::span<const int32_t> counts) {
  std::vector<size_t> filled;  // entries with devices
  for (size_t i = 0; i < entries.size(); ++i) {
    if (HasDevices(entries[i])) filled.push_back(i);
  }
  std::vector<size_t> asking;  // containers that ask for devices
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] > 0) asking.push_back(i);
  }
  const bool in_place = std::ranges::all_of(
      filled, [&counts](size_t entry) { return entry < counts.size() && counts[entry] > 0; });
  if (!in_place && filled.size() != asking.size()) return std::nullopt;

  std::vector<ContainerDevices> assigned(counts.size());
  for (size_t i = 0; i < filled.size(); ++i) {
    const size_t container = in_place ? filled[i] : asking[i];
    assigned[container] = std::move(entries[filled[i]]);
  }
  return assigned;
}

Result<std::string> ConsumeFirst(std::string_view text) {
  ASSIGN_OR_RETURN(std::vector<ContainerDevices> entries, ParsePodDevices(text));
  const auto first = std::ranges::find_if(entries, HasDevices);
  if (first == entries.end()) return std::string(text);
  first->clear();
  return FormatPodDevices(entries);
}

bool IsAllAllocated(std::string_view text, std::span<const std::string_view> common_words) {
  return std::ranges::none_of(common_words, [text](std::string_view word) {
    return text.find(word) != std::string_view::npos;
  });
}

}  // namespace hami::domain
