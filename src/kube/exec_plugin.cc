// SPDX-License-Identifier: Apache-2.0

#include "kube/exec_plugin.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json_writer.h"
#include "base/subprocess.h"
#include "base/timestamp.h"
#include "json/value.h"

namespace hami::kube {
namespace {

constexpr int kTimeoutMs = 60'000;
constexpr size_t kMaxOutputBytes = 1 << 20;

std::vector<std::string> Environment(const ExecPlugin& plugin) {
  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) variables.emplace_back(*entry);
  const auto set = [&variables](const std::string& name, const std::string& value) {
    std::erase_if(variables, [&name](const std::string& entry) {
      return entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=';
    });
    variables.push_back(name + "=" + value);
  };
  for (const auto& [name, value] : plugin.environment) set(name, value);
  base::JsonWriter info;
  info.BeginObject().Member("apiVersion", plugin.api_version).Member("kind", "ExecCredential");
  info.Key("spec").BeginObject().Member("interactive", false).EndObject().EndObject();
  set("KUBERNETES_EXEC_INFO", std::move(info).Take());
  return variables;
}

}  // namespace

Result<ExecCredential> ParseExecCredential(const ExecPlugin& plugin, std::string_view text) {
  const auto bad = [&plugin](std::string_view what) {
    return Fail(Code::kInvalidArgument, fmt::format("{}: {}", plugin.command, what));
  };
  json::Document document;
  if (!document.Parse(text)) return bad("what it printed is no JSON");
  const json::Value root = document.root();
  if (root["kind"].Text() != "ExecCredential") return bad("what it printed is no ExecCredential");
  if (!plugin.api_version.empty() && root["apiVersion"].Text() != plugin.api_version) {
    return bad(fmt::format("it speaks {}, the kubeconfig wants {}", root["apiVersion"].Text(),
                           plugin.api_version));
  }
  const json::Value status = root["status"];
  ExecCredential credential{.token = std::string(status["token"].Text()),
                            .certificate = std::string(status["clientCertificateData"].Text()),
                            .key = std::string(status["clientKeyData"].Text()),
                            .expires_wall_ns = std::nullopt};
  if (credential.certificate.empty() != credential.key.empty()) {
    return bad("a certificate and its key belong together");
  }
  if (credential.token.empty() && credential.certificate.empty()) {
    return bad("there is neither a token nor a certificate in what it printed");
  }
  if (std::any_of(credential.token.begin(), credential.token.end(),
                  [](char c) { return c <= ' ' || c == 127; })) {
    return bad("what it printed holds no token");
  }
  const std::string_view expires = status["expirationTimestamp"].Text();
  if (!expires.empty()) {
    credential.expires_wall_ns = base::ParseTimestamp(expires);
    if (!credential.expires_wall_ns) return bad("expirationTimestamp is no time");
  }
  return credential;
}

Result<ExecCredential> RunExecPlugin(const ExecPlugin& plugin) {
  const auto output = base::RunProgram({.path = plugin.command,
                                        .arguments = plugin.arguments,
                                        .environment = Environment(plugin),
                                        .timeout_ms = kTimeoutMs,
                                        .max_output_bytes = kMaxOutputBytes,
                                        .errors_apart = true});
  if (!output && output.error().code == Code::kNotFound) {
    return Fail(Code::kNotFound,
                fmt::format("{}, which the kubeconfig names, is not installed{}{}", plugin.command,
                            plugin.install_hint.empty() ? "" : ": ", plugin.install_hint));
  }
  if (!output) return Fail(output.error());
  if (output->exit_code != 0) {
    return Fail(Code::kUnauthenticated,
                fmt::format("{} ended with exit code {}", plugin.command, output->exit_code));
  }
  return ParseExecCredential(plugin, output->text);
}

}  // namespace hami::kube
