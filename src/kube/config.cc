// SPDX-License-Identifier: Apache-2.0

#include "kube/config.h"

#include <fmt/format.h>

#include <cstdlib>
#include <string_view>

#include "base/file.h"
#include "kube/config_rules.h"

namespace hami::kube {
namespace {

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t end = std::min(text.find(separator, begin), text.size());
    if (end > begin) parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

// Of "host", "host:port", "host/path". Names are not looked up.
bool IsThisMachine(std::string_view address) {
  const size_t end = address.starts_with("[::1]") ? 5 : address.find_first_of(":/");
  const std::string_view host = address.substr(0, end);
  const bool is_loopback =
      host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string_view::npos;
  return host == "localhost" || host == "[::1]" || is_loopback;
}

}  // namespace

Status FinishConfig(ClusterConfig* config) {
  std::string& server = config->server;
  if (server.empty()) {
    return Fail(Code::kInvalidArgument, config->origin + ": no address of a server");
  }
  // As kubectl has it.
  if (server.find("://") == std::string::npos) server = "https://" + server;
  while (server.back() == '/') server.pop_back();
  const std::string_view view = server;
  const bool is_plain = view.starts_with("http://");
  if (!is_plain && !view.starts_with("https://")) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{}: {} is no https:// address", config->origin, server));
  }
  if (view.find('@') != std::string_view::npos) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{}: a server's address holds no user", config->origin));
  }
  if (is_plain && !IsThisMachine(view.substr(7))) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{}: {} has no TLS; http:// is accepted for this machine only",
                            config->origin, server));
  }
  if (config->insecure && !config->ca.empty()) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{}: insecure-skip-tls-verify together with a certificate authority; "
                            "remove one of them",
                            config->origin));
  }
  if (config->certificate.empty() != config->key.empty()) {
    return Fail(
        Code::kInvalidArgument,
        fmt::format("{}: a client certificate and its key belong together", config->origin));
  }
  return {};
}

Result<ClusterConfig> LoadInCluster(const std::string& folder) {
  const std::string host = Environment("KUBERNETES_SERVICE_HOST");
  const std::string port = Environment("KUBERNETES_SERVICE_PORT");
  if (host.empty() || port.empty()) {
    return Fail(Code::kNotFound,
                "not in a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set");
  }
  ClusterConfig config;
  config.origin = "the pod's service account";
  const bool is_v6 = host.find(':') != std::string::npos;
  config.server = fmt::format("https://{}{}{}:{}", is_v6 ? "[" : "", host, is_v6 ? "]" : "", port);
  config.token_file = base::JoinPath(folder, "token");
  config.ca.file = base::JoinPath(folder, "ca.crt");
  if (!base::Exists(config.token_file)) {
    return Fail(Code::kNotFound, fmt::format("no {}: the pod has no service account token "
                                             "(automountServiceAccountToken)",
                                             config.token_file));
  }
  if (!base::Exists(config.ca.file)) config.ca.file.clear();
  if (const auto text = base::ReadFile(base::JoinPath(folder, "namespace"), 4096); text) {
    const size_t end = text->find_last_not_of(" \n");
    if (end != std::string::npos) config.name_space = text->substr(0, end + 1);
  }
  RETURN_IF_ERROR(FinishConfig(&config));
  return config;
}

Result<ClusterConfig> LoadConfig(const std::string& kubeconfig_flag, const std::string& context) {
  if (!kubeconfig_flag.empty()) return LoadKubeconfig({kubeconfig_flag}, context);
  if (const std::string list = Environment("KUBECONFIG"); !list.empty()) {
    return LoadKubeconfig(Split(list, ':'), context);
  }
  if (context.empty()) {
    auto in_cluster = LoadInCluster();
    if (in_cluster || in_cluster.error().code != Code::kNotFound) return in_cluster;
  }
  return LoadKubeconfig({base::JoinPath(Environment("HOME"), ".kube/config")}, context);
}

}  // namespace hami::kube
