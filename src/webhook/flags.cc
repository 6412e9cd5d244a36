// SPDX-License-Identifier: Apache-2.0

#include "webhook/flags.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <utility>

namespace hami::webhook {
namespace {

// An empty word after a flag is not seen.
bool IsNone(const std::string& word) { return word.empty() || word == "none"; }

}  // namespace

void AddWebhookFlags(CLI::App* app, WebhookFlags* flags) {
  app->add_option("--webhook-bind", flags->bind,
                  "where the API server asks about pods, [HOST]:PORT; none: nowhere");
  app->add_option("--webhook-secret", flags->secret,
                  "the Secret with the serving certificate, made and renewed by the scheduler; "
                  "none: no TLS, unless there is --cert_file")
      ->capture_default_str();
  app->add_option("--webhook-service", flags->service,
                  "the Service by which the API server finds it, or none")
      ->capture_default_str();
  app->add_option("--webhook-host", flags->hosts,
                  "a further name or address that the certificate is good for");
  app->add_option("--webhook-configuration", flags->configurations,
                  "the MutatingWebhookConfiguration that gets the certificate's authorities")
      ->capture_default_str();
  app->add_option("--validating-webhook-configuration", flags->validating_configurations,
                  "a ValidatingWebhookConfiguration for /validate, likewise");
  app->add_option("--webhook-trusted-user", flags->trusted_users,
                  "who else may write decisions on pods, as /validate sees it: the account of a "
                  "vendor's device plugin");
  app->add_option("--webhook-threads", flags->threads, "threads that answer reviews")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
}

Result<WebhookOptions> OptionsOf(const WebhookFlags& flags, const std::string& pod_namespace,
                                 const std::string& certificate_file, const std::string& key_file) {
  WebhookOptions options;
  const size_t colon = flags.bind.rfind(':');
  const std::string port = colon == std::string::npos ? "" : flags.bind.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), options.port);
  if (port.empty() || error != std::errc() || end != port.data() + port.size()) {
    return Fail(Code::kInvalidArgument,
                fmt::format("--webhook-bind \"{}\" is no [HOST]:PORT", flags.bind));
  }
  if (colon > 0) options.address = flags.bind.substr(0, colon);
  if (options.address.starts_with('[') && options.address.ends_with(']')) {
    options.address = options.address.substr(1, options.address.size() - 2);
  }
  options.threads = flags.threads;
  options.certificate_file = certificate_file;
  options.key_file = key_file;
  for (const char* account : {"hami-scheduler", "hami-device-plugin"}) {
    options.admission.trusted_users.insert(
        fmt::format("system:serviceaccount:{}:{}", pod_namespace, account));
  }
  options.admission.trusted_users.insert(flags.trusted_users.begin(), flags.trusted_users.end());
  if (!certificate_file.empty() || IsNone(flags.secret)) return options;
  if (pod_namespace.empty()) {
    return Fail(Code::kInvalidArgument, "--webhook-secret: in which namespace? Set POD_NAMESPACE");
  }
  KeeperOptions& managed = options.managed;
  managed.secret_namespace = pod_namespace;
  managed.secret_name = flags.secret;
  managed.mutating_configurations = flags.configurations;
  managed.validating_configurations = flags.validating_configurations;
  managed.host_names = flags.hosts;
  if (!IsNone(flags.service)) {
    managed.host_names.push_back(fmt::format("{}.{}.svc", flags.service, pod_namespace));
  }
  return options;
}

}  // namespace hami::webhook
