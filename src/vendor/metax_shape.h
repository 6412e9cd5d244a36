// SPDX-License-Identifier: Apache-2.0
//
// What stands in the shape of requests and slices of shared MetaX cards:
//   "best-effort"           a policy; "" for a whole card
//   "online"                an application class, which has no policy
//   "offline/best-effort"   a class with its policy

#pragma once

#include <string_view>

namespace hami::vendor {

inline constexpr std::string_view kMetaxOnline = "online";
inline constexpr std::string_view kMetaxOffline = "offline";

struct MetaxShape {
  std::string_view app_class;  // "", "online", "offline"
  std::string_view policy;
};

inline MetaxShape ReadMetaxShape(std::string_view name) {
  if (name == kMetaxOnline) return {.app_class = name, .policy = {}};
  const size_t slash = name.find('/');
  if (slash == std::string_view::npos) return {.app_class = {}, .policy = name};
  return {.app_class = name.substr(0, slash), .policy = name.substr(slash + 1)};
}

}  // namespace hami::vendor
