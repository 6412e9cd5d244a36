// SPDX-License-Identifier: Apache-2.0
//
// Makes and reads X.509 certificates (OpenSSL, ECDSA on P-256). A generation is an authority and
// the one certificate that it ever signs: its key is thrown away at once, so nobody, not even we,
// can sign another in its name. PEM throughout. Any thread.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hami::webhook {

struct Identity {
  std::string authority;
  std::string certificate;
  std::string key;
};

// `hosts`: DNS names and IP addresses. Good from an hour before `now_s`, because clocks differ, for
// `valid_s` from `now_s` on.
Result<Identity> MakeIdentity(const std::vector<std::string>& hosts, int64_t now_s,
                              int64_t valid_s);

struct CertificateFacts {
  int64_t not_before_s = 0;  // unix seconds
  int64_t not_after_s = 0;
  std::vector<std::string> hosts;  // ordered
};

// kInvalidArgument: no certificate stands at the beginning of the text.
Result<CertificateFacts> ReadCertificate(std::string_view certificate);

// The key is the certificate's, and one of the authorities signed it.
bool BelongTogether(std::string_view certificate, std::string_view key,
                    std::string_view authorities);

// One text for each certificate of a bundle, written alike; what cannot be read is left out.
std::vector<std::string> SplitBundle(std::string_view bundle);

}  // namespace hami::webhook
