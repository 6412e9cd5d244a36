// SPDX-License-Identifier: Apache-2.0
//
// When a serving certificate is renewed, and how two generations overlap so that no caller ever
// meets one that it does not trust. Pure: time is an argument, nothing is read or sent.
//
//   active only            until `renew_before_s` before its end
//   active and next        both authorities are trusted; the active one is served
//   next becomes active    once callers have trusted it for `overlap_s`; the old authority stays in
//                          the bundle until it ends by itself: nobody has its key

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "webhook/certificate.h"

namespace hami::webhook {

struct CertificateTimes {
  int64_t valid_s = int64_t{90} * 24 * 3600;
  int64_t renew_before_s = int64_t{30} * 24 * 3600;
  // API servers learn of a new caBundle, and replicas of a new certificate, well within it.
  int64_t overlap_s = 600;
};

// What the Secret holds: its data, decoded. Whoever may write it can also be us of another version,
// or a person with an editor.
struct StoredCertificates {
  std::string certificate;  // tls.crt
  std::string key;          // tls.key
  std::string authorities;  // ca.crt: a bundle
  std::string next_certificate;
  std::string next_key;

  bool operator==(const StoredCertificates&) const = default;
};

StoredCertificates FromSecretData(const std::map<std::string, std::string>& data);
std::map<std::string, std::string> ToSecretData(const StoredCertificates& stored);

enum class CertificateStep : uint8_t {
  kNone,
  kMake,     // nothing that is stored can be served: make one and serve it at once
  kPrepare,  // make the next one
  kPromote,  // serve the next one
};

// `trusted_since_s`: since when all callers' configurations have had all stored authorities, as far
// as the caller has seen; none: they have not.
CertificateStep NextStep(const StoredCertificates& stored, const std::vector<std::string>& hosts,
                         const CertificateTimes& times, int64_t now_s,
                         std::optional<int64_t> trusted_since_s);

// What is stored after the step; `made` is the new identity of kMake and kPrepare. Authorities that
// have ended are gone.
StoredCertificates After(CertificateStep step, const StoredCertificates& stored,
                         const Identity& made, int64_t now_s);

}  // namespace hami::webhook
