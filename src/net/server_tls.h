// SPDX-License-Identifier: Apache-2.0
//
// The identity that a server shows: a certificate and its key, which can be replaced while the
// server runs. Connections that are there keep theirs; a new one gets what was set last. TLS 1.2
// and up; of ALPN only http/1.1 is taken, because the callers that we serve want it so (Kubernetes'
// webhook clients spread their calls over connections); sessions are resumed. Any thread.

#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

struct ssl_ctx_st;  // OpenSSL's

namespace hami::net {

class ServerTls {
 public:
  // Has no certificate yet: connections are ended before the handshake.
  ServerTls() = default;
  ServerTls(const ServerTls&) = delete;
  ServerTls& operator=(const ServerTls&) = delete;

  // PEM: the server's own certificate first, then those that lead to the authority; its key.
  // kInvalidArgument, and the old one stays: they cannot be read, or are not of each other.
  Status Set(std::string_view certificates, std::string_view key);

  bool IsSet() const { return Context() != nullptr; }
  // Of the server's own certificate: notAfter, unix seconds. None: not set.
  std::optional<int64_t> ExpiresAtS() const;

  // For the server: owned by whoever asks as long as he holds it; null: not set.
  std::shared_ptr<ssl_ctx_st> Context() const;

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<ssl_ctx_st> context_;  // with connections that are being made
  std::optional<int64_t> expires_at_s_;
};

}  // namespace hami::net
