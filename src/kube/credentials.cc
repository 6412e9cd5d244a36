// SPDX-License-Identifier: Apache-2.0

#include "kube/credentials.h"

#include <utility>

#include "base/file.h"
#include "base/log.h"

namespace hami::kube {
namespace {

constexpr size_t kMaxTokenBytes = 1 << 20;
constexpr size_t kMaxPemBytes = 4 << 20;
// What ends so soon would end on its way.
constexpr int64_t kEarlyNs = 10'000'000'000;

// A token ends where white space begins: what follows would end the header.
Result<std::string> ReadToken(const std::string& path) {
  ASSIGN_OR_RETURN(std::string token, base::ReadFile(path, kMaxTokenBytes));
  const size_t end = token.find_last_not_of(" \r\n\t");
  token.resize(end == std::string::npos ? 0 : end + 1);
  if (token.empty()) return Fail(Code::kInvalidArgument, path + " is empty");
  for (const char c : token) {
    if (c <= ' ' || c == 127) return Fail(Code::kInvalidArgument, path + " is no token");
  }
  return token;
}

Result<std::string> ReadPem(const PemSource& source) {
  if (source.file.empty()) return source.text;
  return base::ReadFile(source.file, kMaxPemBytes);
}

}  // namespace

Credentials::Credentials(ClusterConfig config, const base::Clock& clock)
    : config_(std::move(config)), clock_(clock) {}

Status Credentials::Read() {
  net::TlsSettings tls;
  tls.verify_peer = !config_.insecure;
  tls.server_name = config_.tls_server_name;
  ASSIGN_OR_RETURN(tls.ca, ReadPem(config_.ca));
  ASSIGN_OR_RETURN(tls.certificate, ReadPem(config_.certificate));
  ASSIGN_OR_RETURN(tls.key, ReadPem(config_.key));
  std::string token = config_.token;
  if (from_plugin_) {
    token = from_plugin_->token;
    tls.certificate = from_plugin_->certificate;
    tls.key = from_plugin_->key;
  }
  if (!config_.token_file.empty()) {
    ASSIGN_OR_RETURN(token, ReadToken(config_.token_file));
  }
  if (identity_.tls == nullptr || !(*identity_.tls == tls)) {
    identity_.tls = std::make_shared<const net::TlsSettings>(std::move(tls));
  }
  identity_.authorization = token.empty() ? "" : "Bearer " + token;
  return {};
}

Result<Identity> Credentials::Current() {
  const std::lock_guard lock(mutex_);
  const int64_t now_ns = clock_.MonotonicNs();
  if (was_read_ && now_ns - read_ns_ < kFreshMs * 1'000'000) return identity_;
  read_ns_ = now_ns;
  if (const Status status = Read(); status) {
    was_read_ = true;
  } else if (was_read_) {
    LOG_WARN_EVERY(60'000, "credentials cannot be read again; the last ones stay in use",
                   Field("error", status.error()));
  } else {
    return Fail(Error(status.error()).Wrap(config_.origin));
  }
  return identity_;
}

bool Credentials::NeedsPlugin() {
  if (config_.exec.command.empty()) return false;
  const std::lock_guard lock(mutex_);
  return !from_plugin_ || (from_plugin_->expires_wall_ns &&
                           *from_plugin_->expires_wall_ns <= clock_.WallNs() + kEarlyNs);
}

Status Credentials::RunPlugin() {
  ASSIGN_OR_RETURN(ExecCredential credential, RunExecPlugin(config_.exec));
  const std::lock_guard lock(mutex_);
  from_plugin_ = std::move(credential);
  was_read_ = false;
  return {};
}

bool Credentials::Renew() {
  if (!config_.exec.command.empty()) {
    const std::lock_guard lock(mutex_);
    from_plugin_.reset();
    return true;
  }
  if (config_.token_file.empty() && config_.certificate.file.empty()) return false;
  const std::lock_guard lock(mutex_);
  read_ns_ = clock_.MonotonicNs() - kFreshMs * 1'000'000;
  return true;
}

}  // namespace hami::kube
