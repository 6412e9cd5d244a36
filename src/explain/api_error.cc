// SPDX-License-Identifier: Apache-2.0

#include "explain/api_error.h"

#include <fmt/format.h>

namespace hami::explain {

std::string ConfigErrorText(const Error& error) {
  if (error.code != Code::kNotFound) return error.message;
  return error.message +
         ". Name one with --kubeconfig FILE or in KUBECONFIG, or copy it to ~/.kube/config.";
}

std::string ApiErrorText(const Error& error, const std::string& server, const std::string& origin) {
  const std::string from = fmt::format("{} (of {})", server, origin);
  switch (error.code) {
    case Code::kUnavailable:
    case Code::kDeadlineExceeded:
      return fmt::format("no answer from {}: {}. Is the API server up, and reachable from here?",
                         from, error.message);
    case Code::kFailedPrecondition:
      return fmt::format(
          "{}: {}. Compare certificate-authority-data in the kubeconfig with the cluster's CA; the "
          "machine's clock counts too.",
          from, error.message);
    case Code::kUnauthenticated:
      return fmt::format("{} does not know you: {}. Log in again, or take another --context.", from,
                         error.message);
    case Code::kPermissionDenied:
      return fmt::format("{}. Ask an administrator for that right.", error.message);
    default:
      return error.message;
  }
}

}  // namespace hami::explain
