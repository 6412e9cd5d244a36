// SPDX-License-Identifier: Apache-2.0
//
// The webhook's part of a command line, for the program that serves it.

#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "webhook/webhook.h"

namespace CLI {
class App;
}

namespace hami::webhook {

struct WebhookFlags {
  std::string bind;  // "[HOST]:PORT"; empty: no webhook
  std::string secret = "hami-scheduler-tls";
  std::string service = "hami-scheduler";
  std::vector<std::string> hosts;
  std::vector<std::string> configurations = {"hami-webhook"};
  std::vector<std::string> validating_configurations;
  std::vector<std::string> trusted_users;
  int threads = 1;
};

void AddWebhookFlags(CLI::App* app, WebhookFlags* flags);

// The options that they mean in this namespace. Where `certificate_file` is set, no certificate is
// managed. Of AdmissionOptions only trusted_users is filled in. kInvalidArgument names the flag.
Result<WebhookOptions> OptionsOf(const WebhookFlags& flags, const std::string& pod_namespace,
                                 const std::string& certificate_file, const std::string& key_file);

}  // namespace hami::webhook
