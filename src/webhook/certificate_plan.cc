// SPDX-License-Identifier: Apache-2.0

#include "webhook/certificate_plan.h"

#include <algorithm>
#include <utility>

namespace hami::webhook {
namespace {

constexpr char kCertificate[] = "tls.crt";
constexpr char kKey[] = "tls.key";
constexpr char kAuthorities[] = "ca.crt";
constexpr char kNextCertificate[] = "next-tls.crt";
constexpr char kNextKey[] = "next-tls.key";
// More would mean that somebody fills the bundle.
constexpr size_t kMaxAuthorities = 8;

std::string Get(const std::map<std::string, std::string>& data, const char* key) {
  const auto found = data.find(key);
  return found == data.end() ? std::string() : found->second;
}

// When the certificate ends, if it can be served now.
std::optional<int64_t> UsableUntil(const std::string& certificate, const std::string& key,
                                   const std::string& authorities,
                                   const std::vector<std::string>& hosts, int64_t now_s) {
  const Result<CertificateFacts> facts = ReadCertificate(certificate);
  if (!facts || facts->not_before_s > now_s || facts->not_after_s <= now_s) return std::nullopt;
  const bool has_hosts = std::ranges::all_of(hosts, [&facts](const std::string& host) {
    return std::ranges::binary_search(facts->hosts, host);
  });
  if (!has_hosts || !BelongTogether(certificate, key, authorities)) return std::nullopt;
  return facts->not_after_s;
}

void DropEnded(std::string* authorities, int64_t now_s) {
  std::string kept;
  size_t count = 0;
  for (const std::string& authority : SplitBundle(*authorities)) {
    const Result<CertificateFacts> facts = ReadCertificate(authority);
    const bool has_ended = !facts || facts->not_after_s <= now_s;
    if (has_ended || kept.find(authority) != std::string::npos) continue;
    if (count++ < kMaxAuthorities) kept += authority;
  }
  *authorities = std::move(kept);
}

}  // namespace

StoredCertificates FromSecretData(const std::map<std::string, std::string>& data) {
  return {Get(data, kCertificate), Get(data, kKey), Get(data, kAuthorities),
          Get(data, kNextCertificate), Get(data, kNextKey)};
}

std::map<std::string, std::string> ToSecretData(const StoredCertificates& stored) {
  return {{kCertificate, stored.certificate},
          {kKey, stored.key},
          {kAuthorities, stored.authorities},
          {kNextCertificate, stored.next_certificate},
          {kNextKey, stored.next_key}};
}

CertificateStep NextStep(const StoredCertificates& stored, const std::vector<std::string>& hosts,
                         const CertificateTimes& times, int64_t now_s,
                         std::optional<int64_t> trusted_since_s) {
  const std::optional<int64_t> active_until =
      UsableUntil(stored.certificate, stored.key, stored.authorities, hosts, now_s);
  const std::optional<int64_t> next_until =
      UsableUntil(stored.next_certificate, stored.next_key, stored.authorities, hosts, now_s);
  if (!active_until) return next_until ? CertificateStep::kPromote : CertificateStep::kMake;
  if (!next_until) {
    return *active_until - now_s <= times.renew_before_s ? CertificateStep::kPrepare
                                                         : CertificateStep::kNone;
  }
  // An unknown authority is better than an end that is certain.
  if (*active_until - now_s <= times.overlap_s) return CertificateStep::kPromote;
  const bool is_trusted = trusted_since_s && now_s - *trusted_since_s >= times.overlap_s;
  return is_trusted ? CertificateStep::kPromote : CertificateStep::kNone;
}

StoredCertificates After(CertificateStep step, const StoredCertificates& stored,
                         const Identity& made, int64_t now_s) {
  StoredCertificates after = stored;
  switch (step) {
    case CertificateStep::kNone:
      return after;
    case CertificateStep::kMake:
      after = {made.certificate, made.key, made.authority + stored.authorities, "", ""};
      break;
    case CertificateStep::kPrepare:
      after.authorities = made.authority + stored.authorities;
      after.next_certificate = made.certificate;
      after.next_key = made.key;
      break;
    case CertificateStep::kPromote:
      after.certificate = std::exchange(after.next_certificate, "");
      after.key = std::exchange(after.next_key, "");
      break;
  }
  DropEnded(&after.authorities, now_s);
  return after;
}

}  // namespace hami::webhook
