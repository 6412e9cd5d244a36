// SPDX-License-Identifier: Apache-2.0

#include "webhook/certificate_files.h"

#include <utility>

#include "base/file.h"
#include "base/log.h"

namespace hami::webhook {
namespace {

constexpr size_t kMaxBytes = 1 << 20;

}  // namespace

Result<std::unique_ptr<CertificateFiles>> CertificateFiles::Start(
    const std::string& certificate_file, const std::string& key_file, int64_t poll_ms,
    net::ServerTls& tls) {
  std::unique_ptr<CertificateFiles> files(new CertificateFiles(certificate_file, key_file, tls));
  RETURN_IF_ERROR(files->Load());
  files->thread_ = std::make_unique<base::Periodic>([self = files.get(), poll_ms] {
    const Status loaded = self->Load();
    if (!loaded) {
      ++self->failures_;
      LOG_WARN_EVERY(60'000, "the serving certificate was not read again, the old one stays",
                     Field("error", loaded.error()));
    }
    return poll_ms;
  });
  return files;
}

Status CertificateFiles::Load() {
  ASSIGN_OR_RETURN(std::string certificate, base::ReadFile(certificate_file_, kMaxBytes));
  ASSIGN_OR_RETURN(std::string key, base::ReadFile(key_file_, kMaxBytes));
  if (certificate == certificate_ && key == key_) return {};
  if (Status set = tls_.Set(certificate, key); !set) {
    return Fail(std::move(set.error()).Wrap(certificate_file_));
  }
  certificate_ = std::move(certificate);
  key_ = std::move(key);
  ++loaded_;
  LOG_INFO("serving the certificate of a file", Field("file", certificate_file_),
           Field("expires_at", tls_.ExpiresAtS().value_or(0)));
  return {};
}

}  // namespace hami::webhook
