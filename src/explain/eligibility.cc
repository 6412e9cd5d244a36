// SPDX-License-Identifier: Apache-2.0

#include "explain/eligibility.h"

#include <algorithm>

#include "dra/names.h"

namespace hami::explain {
namespace {

constexpr std::string_view kDriverField = "device.driver";

void SkipSpaces(std::string_view* text) {
  text->remove_prefix(std::min(text->find_first_not_of(" \t\r\n"), text->size()));
}

// The text of a literal at the beginning; nullopt: there is none without an escape.
std::optional<std::string> Literal(std::string_view text) {
  if (text.empty() || (text[0] != '"' && text[0] != '\'')) return std::nullopt;
  const size_t end = text.find(text[0], 1);
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view literal = text.substr(1, end - 1);
  if (literal.find('\\') != std::string_view::npos) return std::nullopt;
  return std::string(literal);
}

// Whether something decides between parts of the expression: then no part has to hold.
bool HasChoice(std::string_view expression) {
  if (expression.find("||") != std::string_view::npos) return true;
  for (size_t at = expression.find('?'); at != std::string_view::npos;
       at = expression.find('?', at + 1)) {
    const bool optional_field = at > 0 && (expression[at - 1] == '.' || expression[at - 1] == '[');
    if (!optional_field) return true;
  }
  return false;
}

// Nothing in front but what leaves the comparison a conjunct of its own.
bool StandsAlone(std::string_view before) {
  const size_t last = before.find_last_not_of(" \t\r\n");
  if (last == std::string_view::npos) return true;
  before = before.substr(0, last + 1);
  if (before.ends_with("&&")) return true;
  if (!before.ends_with('(')) return false;
  return StandsAlone(before.substr(0, before.size() - 1));  // neither !( nor a call f(
}

}  // namespace

std::optional<std::string> DriverOfSelector(std::string_view expression) {
  if (HasChoice(expression)) return std::nullopt;
  for (size_t at = expression.find(kDriverField); at != std::string_view::npos;
       at = expression.find(kDriverField, at + 1)) {
    if (!StandsAlone(expression.substr(0, at))) continue;
    std::string_view rest = expression.substr(at + kDriverField.size());
    SkipSpaces(&rest);
    if (!rest.starts_with("==")) continue;
    rest.remove_prefix(2);
    SkipSpaces(&rest);
    if (std::optional<std::string> driver = Literal(rest)) return driver;
  }
  return std::nullopt;
}

const ClassFacts* FindClass(const ClusterFacts& cluster, std::string_view name) {
  if (!cluster.classes) return nullptr;
  const auto found = std::ranges::find(*cluster.classes, name, &ClassFacts::name);
  return found == cluster.classes->end() ? nullptr : &*found;
}

std::string DriverOfRequest(const domain::DeviceRequest& request, const ClusterFacts& cluster) {
  for (const std::string& selector : request.selectors) {
    if (const auto driver = DriverOfSelector(selector)) return *driver;
  }
  if (const ClassFacts* device_class = FindClass(cluster, request.device_class)) {
    for (const std::string& selector : device_class->selectors) {
      if (const auto driver = DriverOfSelector(selector)) return *driver;
    }
  }
  return request.device_class == dra::kDriverName ? dra::kDriverName : "";
}

domain::Eligible EligibleIn(const ClusterFacts& cluster, const domain::DevicePools& pools) {
  return
      [&cluster, &pools](const domain::DeviceRequest& request, const domain::PooledDevice& device) {
        const std::string driver = DriverOfRequest(request, cluster);
        if (!driver.empty() && driver != device.driver) return false;
        return std::ranges::find(pools.incomplete, device.driver + "/" + device.pool) ==
               pools.incomplete.end();
      };
}

}  // namespace hami::explain
