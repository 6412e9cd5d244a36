// SPDX-License-Identifier: Apache-2.0
//
// Credentials that another program hands out (client.authentication.k8s.io/v1 and v1beta1), as
// cloud providers' kubeconfig files name one. It gets no terminal; what it says on standard error
// goes to ours. Waits for the program: not for an I/O thread.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "kube/config.h"

namespace hami::kube {

struct ExecCredential {
  std::string token;
  std::string certificate;  // PEM, like the key
  std::string key;
  std::optional<int64_t> expires_wall_ns;
};

// kNotFound: there is no such program, with the kubeconfig's hint how to install it.
// kUnauthenticated: it failed. kInvalidArgument: what it said is no credential. Never with the
// secrets in the message.
Result<ExecCredential> RunExecPlugin(const ExecPlugin& plugin);

// What the program said on standard output.
Result<ExecCredential> ParseExecCredential(const ExecPlugin& plugin, std::string_view text);

}  // namespace hami::kube
