// SPDX-License-Identifier: Apache-2.0

#include "net/server_tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <ctime>
#include <utility>

#include "base/freed.h"

namespace hami::net {
namespace {

constexpr unsigned char kHttp1[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
constexpr unsigned char kSessionContext[] = "hami";
constexpr int kMaxCertificates = 16;

using Bio = std::unique_ptr<BIO, base::Freed<BIO_free>>;
using Certificate = std::unique_ptr<X509, base::Freed<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, base::Freed<EVP_PKEY_free>>;

Error TlsError(std::string what) {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  if (reason != nullptr) what.append(": ").append(reason);
  ERR_clear_error();
  return {Code::kInvalidArgument, std::move(what)};
}

Bio Open(std::string_view text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// No passphrases: there is nobody to ask.
int NoPassphrase(char*, int, int, void*) { return 0; }

int ChooseProtocol(SSL*, const unsigned char** chosen, unsigned char* size,
                   const unsigned char* offered, unsigned offered_size, void*) {
  unsigned char* found = nullptr;
  if (SSL_select_next_proto(&found, size, kHttp1, sizeof(kHttp1), offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

Status UseCertificates(SSL_CTX* context, std::string_view text, int64_t* expires_at_s) {
  const Bio bio = Open(text);
  const Certificate own(PEM_read_bio_X509(bio.get(), nullptr, NoPassphrase, nullptr));
  if (own == nullptr) return Fail(TlsError("read the certificate"));
  if (SSL_CTX_use_certificate(context, own.get()) != 1) {
    return Fail(TlsError("use the certificate"));
  }
  for (int i = 0; i < kMaxCertificates; ++i) {
    Certificate next(PEM_read_bio_X509(bio.get(), nullptr, NoPassphrase, nullptr));
    if (next == nullptr) break;
    if (SSL_CTX_add0_chain_cert(context, next.get()) != 1) {
      return Fail(TlsError("use the authority's certificate"));
    }
    next.release();  // the context's now
  }
  ERR_clear_error();  // that the text has ended is one
  std::tm ends = {};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(own.get()), &ends) != 1) {
    return Fail(TlsError("read the certificate's end"));
  }
  *expires_at_s = timegm(&ends);
  return {};
}

Status UseKey(SSL_CTX* context, std::string_view text) {
  const Bio bio = Open(text);
  const Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassphrase, nullptr));
  if (key == nullptr) return Fail(TlsError("read the certificate's key"));
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1) {
    return Fail(TlsError("the key is not that of the certificate"));
  }
  return {};
}

}  // namespace

Status ServerTls::Set(std::string_view certificates, std::string_view key) {
  ERR_clear_error();
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (context == nullptr) return Fail(TlsError("prepare TLS"));
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                         SSL_OP_CIPHER_SERVER_PREFERENCE |
                                         SSL_OP_PRIORITIZE_CHACHA);
  // Idle connections are many and need none of the 34 KB of buffers.
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_id_context(context.get(), kSessionContext, sizeof(kSessionContext) - 1);
  SSL_CTX_set_alpn_select_cb(context.get(), ChooseProtocol, nullptr);
  int64_t expires_at_s = 0;
  RETURN_IF_ERROR(UseCertificates(context.get(), certificates, &expires_at_s));
  RETURN_IF_ERROR(UseKey(context.get(), key));
  const std::lock_guard lock(mutex_);
  context_ = std::move(context);
  expires_at_s_ = expires_at_s;
  return {};
}

std::optional<int64_t> ServerTls::ExpiresAtS() const {
  const std::lock_guard lock(mutex_);
  return expires_at_s_;
}

std::shared_ptr<ssl_ctx_st> ServerTls::Context() const {
  const std::lock_guard lock(mutex_);
  return context_;
}

}  // namespace hami::net
