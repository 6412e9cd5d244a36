// SPDX-License-Identifier: Apache-2.0

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/check.h"
#include "net/fake_http_server.h"

namespace hami::net {
namespace {

constexpr long kDay = 24L * 3600;

EVP_PKEY* MakeKey() {
  char curve[] = "P-256";  // OpenSSL's own macro for this casts away a const
  EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve);
  CHECK(key != nullptr);
  return key;
}

std::string TakeText(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<size_t>(size));
  BIO_free(bio);
  return text;
}

std::string KeyText(EVP_PKEY* key) {
  BIO* bio = BIO_new(BIO_s_mem());
  CHECK(PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
  return TakeText(bio);
}

std::string CertificateText(X509* certificate) {
  BIO* bio = BIO_new(BIO_s_mem());
  CHECK(PEM_write_bio_X509(bio, certificate) == 1);
  return TakeText(bio);
}

void Extend(X509* certificate, X509* issuer, int id, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, id, value);
  CHECK(extension != nullptr);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

// Not signed yet; the issuer's name is its own when there is no issuer.
X509* Make(const char* name, EVP_PKEY* key, X509* issuer, long serial) {
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -kDay);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 30 * kDay);
  X509_set_pubkey(certificate, key);
  X509_NAME* subject = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  X509_set_issuer_name(certificate, issuer == nullptr ? subject : X509_get_subject_name(issuer));
  return certificate;
}

}  // namespace

FakeCertificates MakeFakeCertificates() {
  FakeCertificates made;
  EVP_PKEY* const ca_key = MakeKey();
  X509* const ca = Make("fake authority", ca_key, nullptr, 1);
  Extend(ca, ca, NID_basic_constraints, "critical,CA:TRUE");
  CHECK(X509_sign(ca, ca_key, EVP_sha256()) > 0);
  made.ca = CertificateText(ca);
  for (const bool is_server : {true, false}) {
    EVP_PKEY* const key = MakeKey();
    X509* const certificate = Make(is_server ? "server" : "client", key, ca, is_server ? 2 : 3);
    Extend(certificate, ca, NID_ext_key_usage, is_server ? "serverAuth" : "clientAuth");
    if (is_server) {
      Extend(certificate, ca, NID_subject_alt_name, "IP:127.0.0.1,DNS:fake.example");
    }
    CHECK(X509_sign(certificate, ca_key, EVP_sha256()) > 0);
    (is_server ? made.server_certificate : made.client_certificate) = CertificateText(certificate);
    (is_server ? made.server_key : made.client_key) = KeyText(key);
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
  X509_free(ca);
  EVP_PKEY_free(ca_key);
  return made;
}

}  // namespace hami::net
