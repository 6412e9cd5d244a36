// SPDX-License-Identifier: Apache-2.0

#include "webhook/certificate.h"

#include <arpa/inet.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>
#include <memory>
#include <utility>

#include "base/freed.h"

namespace hami::webhook {
namespace {

constexpr int64_t kClocksDifferS = 3600;
constexpr int kSerialBits = 127;
constexpr size_t kMaxBundle = 64;

using Bio = std::unique_ptr<BIO, base::Freed<BIO_free>>;
using Certificate = std::unique_ptr<X509, base::Freed<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, base::Freed<EVP_PKEY_free>>;
using Number = std::unique_ptr<BIGNUM, base::Freed<BN_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, base::Freed<X509_EXTENSION_free>>;

tl::unexpected<Error> TlsFail(std::string what) {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  if (reason != nullptr) what.append(": ").append(reason);
  ERR_clear_error();
  return Fail(Code::kInternal, std::move(what));
}

Bio Open(std::string_view text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// Without a passphrase there is nobody to ask.
int NoPassphrase(char*, int, int, void*) { return 0; }

Certificate ReadOne(BIO* bio) {
  Certificate certificate(PEM_read_bio_X509(bio, nullptr, NoPassphrase, nullptr));
  ERR_clear_error();
  return certificate;
}

std::string Text(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}

std::string Pem(X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  return PEM_write_bio_X509(bio.get(), certificate) == 1 ? Text(bio.get()) : std::string();
}

std::string Pem(EVP_PKEY* key) {
  const Bio bio(BIO_new(BIO_s_mem()));
  const int written =
      PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  return written == 1 ? Text(bio.get()) : std::string();
}

Key MakeKey() {
  char curve[] = "P-256";  // OpenSSL's own macro for this casts away a const
  return Key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve));
}

bool IsAddress(const std::string& host) {
  unsigned char address[16];
  return inet_pton(AF_INET, host.c_str(), address) == 1 ||
         inet_pton(AF_INET6, host.c_str(), address) == 1;
}

// The value goes through OpenSSL's configuration language.
bool IsPlain(const std::string& host) {
  return !host.empty() && std::ranges::all_of(host, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == ':' || c == '*';
  });
}

bool Extend(X509* certificate, X509* issuer, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str()));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool SetSerial(X509* certificate) {
  const Number number(BN_new());
  return number != nullptr &&
         BN_rand(number.get(), kSerialBits, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

struct Span {
  int64_t from_s;
  int64_t to_s;
};

// Not signed yet; without an issuer it is its own.
Certificate Make(const std::string& name, EVP_PKEY* key, X509* issuer, const Span& span) {
  Certificate certificate(X509_new());
  X509* const made = certificate.get();
  if (made == nullptr || X509_set_version(made, 2) != 1 || !SetSerial(made) ||
      ASN1_TIME_set(X509_getm_notBefore(made), span.from_s) == nullptr ||
      ASN1_TIME_set(X509_getm_notAfter(made), span.to_s) == nullptr ||
      X509_set_pubkey(made, key) != 1) {
    return nullptr;
  }
  X509_NAME* const subject = X509_get_subject_name(made);
  const auto* const text = reinterpret_cast<const unsigned char*>(name.c_str());
  if (X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, text, -1, -1, 0) != 1) {
    return nullptr;
  }
  X509_set_issuer_name(made, issuer == nullptr ? subject : X509_get_subject_name(issuer));
  return certificate;
}

Result<int64_t> SecondsOf(const ASN1_TIME* time) {
  std::tm parts = {};
  if (ASN1_TIME_to_tm(time, &parts) != 1) {
    return Fail(Code::kInvalidArgument, "a certificate without a time");
  }
  return timegm(&parts);
}

std::vector<std::string> HostsOf(const X509* certificate) {
  std::vector<std::string> hosts;
  auto* const names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names, i);
    if (name->type == GEN_DNS) {
      hosts.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                         static_cast<size_t>(ASN1_STRING_length(name->d.dNSName)));
    } else if (name->type == GEN_IPADD) {
      char text[INET6_ADDRSTRLEN] = {};
      const int family = ASN1_STRING_length(name->d.iPAddress) == 4 ? AF_INET : AF_INET6;
      inet_ntop(family, ASN1_STRING_get0_data(name->d.iPAddress), text, sizeof(text));
      hosts.emplace_back(text);
    }
  }
  GENERAL_NAMES_free(names);
  std::ranges::sort(hosts);
  return hosts;
}

}  // namespace

Result<Identity> MakeIdentity(const std::vector<std::string>& hosts, int64_t now_s,
                              int64_t valid_s) {
  std::string names;
  for (const std::string& host : hosts) {
    if (!IsPlain(host)) {
      return Fail(Code::kInvalidArgument, "\"" + host + "\" is neither a DNS name nor an address");
    }
    names += (names.empty() ? "" : ",") + std::string(IsAddress(host) ? "IP:" : "DNS:") + host;
  }
  if (names.empty()) return Fail(Code::kInvalidArgument, "a certificate needs a host name");
  const Span span = {now_s - kClocksDifferS, now_s + valid_s};
  const Key authority_key = MakeKey();
  const Key key = MakeKey();
  if (authority_key == nullptr || key == nullptr) return TlsFail("make a key");
  const Certificate authority = Make("hami-webhook-authority", authority_key.get(), nullptr, span);
  if (authority == nullptr ||
      !Extend(authority.get(), authority.get(), NID_basic_constraints,
              "critical,CA:TRUE,pathlen:0") ||
      !Extend(authority.get(), authority.get(), NID_key_usage, "critical,keyCertSign") ||
      !Extend(authority.get(), authority.get(), NID_subject_key_identifier, "hash") ||
      X509_sign(authority.get(), authority_key.get(), EVP_sha256()) == 0) {
    return TlsFail("make the authority");
  }
  const Certificate certificate = Make("hami-webhook", key.get(), authority.get(), span);
  if (certificate == nullptr ||
      !Extend(certificate.get(), authority.get(), NID_basic_constraints, "critical,CA:FALSE") ||
      !Extend(certificate.get(), authority.get(), NID_key_usage, "critical,digitalSignature") ||
      !Extend(certificate.get(), authority.get(), NID_ext_key_usage, "serverAuth") ||
      !Extend(certificate.get(), authority.get(), NID_authority_key_identifier, "keyid:always") ||
      !Extend(certificate.get(), authority.get(), NID_subject_alt_name, names) ||
      X509_sign(certificate.get(), authority_key.get(), EVP_sha256()) == 0) {
    return TlsFail("make the certificate");
  }
  return Identity{Pem(authority.get()), Pem(certificate.get()), Pem(key.get())};
}

Result<CertificateFacts> ReadCertificate(std::string_view certificate) {
  const Certificate read = ReadOne(Open(certificate).get());
  if (read == nullptr) return Fail(Code::kInvalidArgument, "no certificate");
  CertificateFacts facts;
  ASSIGN_OR_RETURN(facts.not_before_s, SecondsOf(X509_get0_notBefore(read.get())));
  ASSIGN_OR_RETURN(facts.not_after_s, SecondsOf(X509_get0_notAfter(read.get())));
  facts.hosts = HostsOf(read.get());
  return facts;
}

bool BelongTogether(std::string_view certificate, std::string_view key,
                    std::string_view authorities) {
  const Certificate own = ReadOne(Open(certificate).get());
  const Key own_key(PEM_read_bio_PrivateKey(Open(key).get(), nullptr, NoPassphrase, nullptr));
  bool together =
      own != nullptr && own_key != nullptr && X509_check_private_key(own.get(), own_key.get()) == 1;
  if (together) {
    together = false;
    const Bio bio = Open(authorities);
    for (size_t i = 0; i < kMaxBundle && !together; ++i) {
      const Certificate authority = ReadOne(bio.get());
      if (authority == nullptr) break;
      together = X509_verify(own.get(), X509_get0_pubkey(authority.get())) == 1;
    }
  }
  ERR_clear_error();
  return together;
}

std::vector<std::string> SplitBundle(std::string_view bundle) {
  std::vector<std::string> texts;
  const Bio bio = Open(bundle);
  while (texts.size() < kMaxBundle) {
    const Certificate certificate = ReadOne(bio.get());
    if (certificate == nullptr) break;
    texts.push_back(Pem(certificate.get()));
  }
  return texts;
}

}  // namespace hami::webhook
