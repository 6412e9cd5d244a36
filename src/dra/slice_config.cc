// SPDX-License-Identifier: Apache-2.0

#include "dra/slice_config.h"

#include <fmt/format.h>

#include "json/value.h"

namespace hami::dra {
namespace {

constexpr char kApiVersion[] = "hami.io/v1";
constexpr char kKind[] = "SliceConfig";

}  // namespace

Result<SliceConfig> ParseSliceConfig(std::string_view parameters) {
  json::Document document;
  RETURN_IF_ERROR(document.Parse(parameters));
  const json::Value root = document.root();
  if (root["apiVersion"].Text() != kApiVersion || root["kind"].Text() != kKind) {
    return Fail(
        Code::kInvalidArgument,
        fmt::format("parameters of kind \"{}\" {} are unknown; this driver understands kind "
                    "{} of {}, or no config at all",
                    root["kind"].Text(), root["apiVersion"].Text(), kKind, kApiVersion));
  }
  SliceConfig config;
  for (const auto& [name, value] : root.Members()) {
    if (name == "apiVersion" || name == "kind") continue;
    if (name != "corePolicy") {
      return Fail(Code::kInvalidArgument,
                  fmt::format("{} has no field \"{}\"; there is corePolicy", kKind, name));
    }
    config.core_policy = value.Text();
    if (config.core_policy != "default" && config.core_policy != "force" &&
        config.core_policy != "disable" && config.core_policy != "burst") {
      return Fail(Code::kInvalidArgument,
                  fmt::format("corePolicy {} is none; write default, force, disable or burst",
                              value.Json()));
    }
  }
  return config;
}

}  // namespace hami::dra
