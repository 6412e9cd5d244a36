// SPDX-License-Identifier: Apache-2.0
//
// Serves the certificate of two files that others renew, as a mounted Secret or cert-manager has
// them: read again when their text changes, without dropping a connection. While they cannot be
// served (half written, not of each other) the old one stays, with a warning.

#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/periodic.h"
#include "base/result.h"
#include "net/server_tls.h"

namespace hami::webhook {

struct CertificateFileStats {
  uint64_t loaded = 0;
  uint64_t failures = 0;
};

class CertificateFiles {
 public:
  // Fails if they cannot be served now. `tls` outlives it.
  static Result<std::unique_ptr<CertificateFiles>> Start(const std::string& certificate_file,
                                                         const std::string& key_file,
                                                         int64_t poll_ms, net::ServerTls& tls);

  CertificateFileStats stats() const { return {loaded_, failures_}; }

 private:
  CertificateFiles(std::string certificate_file, std::string key_file, net::ServerTls& tls)
      : certificate_file_(std::move(certificate_file)), key_file_(std::move(key_file)), tls_(tls) {}

  Status Load();

  const std::string certificate_file_;
  const std::string key_file_;
  net::ServerTls& tls_;
  std::string certificate_;  // what is served
  std::string key_;
  std::atomic<uint64_t> loaded_{0};
  std::atomic<uint64_t> failures_{0};
  std::unique_ptr<base::Periodic> thread_;
};

}  // namespace hami::webhook
