// SPDX-License-Identifier: Apache-2.0

#include "kube/discovery.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "kube/status.h"

namespace hami::kube {
namespace {

// "36", "36+", "36-gke.1"; -1 if there is no number.
int LeadingNumber(std::string_view text) {
  int number = -1;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

Result<ServerVersion> ParseServerVersion(std::string_view text) {
  json::Document document;
  RETURN_IF_ERROR(document.Parse(text));
  const json::Value root = document.root();
  ServerVersion version{.major = LeadingNumber(root["major"].Text()),
                        .minor = LeadingNumber(root["minor"].Text()),
                        .git = std::string(root["gitVersion"].Text())};
  if (version.major < 0 || version.minor < 0) {
    // Builds that were not stamped say it in gitVersion alone, if at all.
    std::string_view git = version.git;
    if (git.starts_with('v')) git.remove_prefix(1);
    const size_t dot = git.find('.');
    version.major = LeadingNumber(git);
    version.minor = dot == std::string_view::npos ? -1 : LeadingNumber(git.substr(dot + 1));
  }
  if (version.major < 0 || version.minor < 0) {
    return Fail(Code::kInvalidArgument,
                fmt::format("the API server's version is \"{}\"", version.git));
  }
  return version;
}

Result<ServerVersion> GetServerVersion(Client& client) {
  ASSIGN_OR_RETURN(const std::string text, client.Do({.path = "/version"}));
  return ParseServerVersion(text);
}

Result<bool> IsServed(Client& client, const ResourceType& type) {
  const std::string path = (type.group.empty() ? "/api/" : "/apis/") + type.ApiVersion();
  const Result<std::string> text = client.Do({.path = path});
  if (!text && (text.error().reason == kNotServed || text.error().code == Code::kNotFound)) {
    return false;
  }
  if (!text) return Fail(text.error());
  json::Document document;
  RETURN_IF_ERROR(document.Parse(*text));
  for (const json::Value resource : document.root()["resources"].Elements()) {
    if (resource["name"].Text() == type.plural) return true;
  }
  return false;
}

Result<ResourceType> FirstServed(Client& client, const std::vector<ResourceType>& types) {
  std::string names;
  for (const ResourceType& type : types) {
    ASSIGN_OR_RETURN(const bool served, IsServed(client, type));
    if (served) return type;
    names += fmt::format("{}{} {}", names.empty() ? "" : ", ", type.ApiVersion(), type.plural);
  }
  return Fail(Code::kUnimplemented, fmt::format("the API server serves none of: {}", names));
}

}  // namespace hami::kube
