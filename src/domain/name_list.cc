// SPDX-License-Identifier: Apache-2.0

#include "domain/name_list.h"

#include <algorithm>

#include "domain/split.h"

namespace hami::domain {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool Contains(std::string_view text, std::string_view part) {
  return !std::ranges::search(text, part, {}, Lower, Lower).empty();
}

}  // namespace

std::vector<std::string> ParseNameList(std::string_view text) {
  std::vector<std::string> names;
  for (const std::string_view piece : Split(text, ',')) {
    if (const std::string_view name = Trim(piece); !name.empty()) names.emplace_back(name);
  }
  return names;
}

bool NamesType(std::span<const std::string> names, std::string_view type) {
  return std::ranges::any_of(names,
                             [type](const std::string& name) { return Contains(type, name); });
}

bool NamesId(std::span<const std::string> names, std::string_view id) {
  return std::ranges::find(names, id) != names.end();
}

bool TypeMatches(std::span<const std::string> use, std::span<const std::string> avoid,
                 std::string_view type) {
  return (use.empty() || NamesType(use, type)) && !NamesType(avoid, type);
}

bool IdMatches(std::span<const std::string> use, std::span<const std::string> avoid,
               std::string_view id) {
  return (use.empty() || NamesId(use, id)) && !NamesId(avoid, id);
}

}  // namespace hami::domain
