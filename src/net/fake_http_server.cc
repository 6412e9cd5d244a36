// SPDX-License-Identifier: Apache-2.0

#include "net/fake_http_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>

#include <cctype>
#include <optional>
#include <utility>

#include "base/check.h"

namespace hami::net {
namespace {

SSL_CTX* MakeContext(const FakeHttpServer::Tls& tls) {
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  const auto read = [](const std::string& text) {
    return BIO_new_mem_buf(text.data(), static_cast<int>(text.size()));
  };
  BIO* bio = read(tls.certificates.server_certificate);
  X509* certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  bio = read(tls.certificates.server_key);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  CHECK(SSL_CTX_use_certificate(context, certificate) == 1);
  CHECK(SSL_CTX_use_PrivateKey(context, key) == 1);
  if (tls.ask_for_client_certificate) {
    bio = read(tls.certificates.ca);
    X509* ca = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
    BIO_free(bio);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca);
    X509_free(ca);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    SSL_CTX_set_session_id_context(context, reinterpret_cast<const unsigned char*>("x"), 1);
  }
  X509_free(certificate);
  EVP_PKEY_free(key);
  return context;
}

}  // namespace

void FakeConnection::Respond(int status, std::string_view body, std::string_view extra_headers,
                             std::string_view content_type) {
  Send(fmt::format("HTTP/1.1 {} x\r\nContent-Type: {}\r\nContent-Length: {}\r\n{}\r\n{}", status,
                   content_type, body.size(), extra_headers, body));
}

void FakeConnection::BeginChunks() {
  Send("HTTP/1.1 200 x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
}

bool FakeConnection::SendChunk(std::string_view data) {
  return Send(fmt::format("{:x}\r\n{}\r\n", data.size(), data));
}

void FakeConnection::EndChunks() { Send("0\r\n\r\n"); }

// Read and written by its own thread alone; Shut comes from others.
class FakeHttpServer::Connection : public FakeConnection {
 public:
  Connection(base::Fd fd, int number) : fd_(std::move(fd)), number_(number) {}
  ~Connection() override { SSL_free(ssl_); }

  void Serve(SSL_CTX* context, const Handler& handler) {
    if (context != nullptr) {
      ssl_ = SSL_new(context);
      SSL_set_fd(ssl_, fd_.get());
      if (SSL_accept(ssl_) != 1) return Close();
    }
    while (!closed_) {
      std::optional<FakeRequest> request = Read();
      if (!request) break;
      handler(*request, *this);
    }
    Close();
  }

  void Shut() { ::shutdown(fd_.get(), SHUT_RDWR); }

  bool Send(std::string_view raw) override {
    while (!raw.empty()) {
      if (closed_) return false;
      const auto sent =
          ssl_ != nullptr
              ? static_cast<ssize_t>(SSL_write(ssl_, raw.data(), static_cast<int>(raw.size())))
              : ::send(fd_.get(), raw.data(), raw.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      raw.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }

  void Close() override {
    if (closed_) return;
    closed_ = true;
    Shut();
  }

  void WaitForEnd() override {
    char buffer[4096];
    while (!closed_ && ReadSome(buffer, sizeof(buffer)) > 0) {
    }
    closed_ = true;
  }

 private:
  ssize_t ReadSome(char* buffer, size_t size) {
    return ssl_ != nullptr ? SSL_read(ssl_, buffer, static_cast<int>(size))
                           : ::recv(fd_.get(), buffer, size, 0);
  }

  bool ReadMore() {
    char buffer[16384];
    const ssize_t got = ReadSome(buffer, sizeof(buffer));
    if (got <= 0) return false;
    text_.append(buffer, static_cast<size_t>(got));
    return true;
  }

  std::optional<FakeRequest> Read() {
    size_t end = 0;
    while ((end = text_.find("\r\n\r\n")) == std::string::npos) {
      if (!ReadMore()) return std::nullopt;
    }
    FakeRequest request;
    request.connection = number_;
    const std::string head = text_.substr(0, end + 2);
    text_.erase(0, end + 4);
    const size_t first = head.find(' ');
    request.method = head.substr(0, first);
    request.target = head.substr(first + 1, head.find(' ', first + 1) - first - 1);
    for (size_t at = head.find("\r\n") + 2; at < head.size();) {
      const size_t line_end = head.find("\r\n", at);
      const size_t colon = head.find(':', at);
      std::string name = head.substr(at, colon - at);
      for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      request.headers[name] = head.substr(colon + 2, line_end - colon - 2);
      at = line_end + 2;
    }
    const auto length = request.headers.find("content-length");
    const size_t size = length == request.headers.end() ? 0 : std::stoul(length->second);
    while (text_.size() < size) {
      if (!ReadMore()) return std::nullopt;
    }
    request.body = text_.substr(0, size);
    text_.erase(0, size);
    request.client_name = ClientName();
    return request;
  }

  std::string ClientName() const {
    X509* certificate = ssl_ == nullptr ? nullptr : SSL_get_peer_certificate(ssl_);
    if (certificate == nullptr) return {};
    char name[128] = {};
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name,
                              sizeof(name));
    X509_free(certificate);
    return name;
  }

  const base::Fd fd_;
  const int number_;
  SSL* ssl_ = nullptr;
  std::string text_;
  bool closed_ = false;
};

FakeHttpServer::FakeHttpServer(Handler handler, const Tls* tls)
    : handler_(std::move(handler)), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  if (tls != nullptr) tls_ = MakeContext(*tls);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  CHECK(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
  CHECK(::listen(listener_.get(), 64) == 0);
  CHECK(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  port_ = ntohs(address.sin_port);
  accepting_ = std::thread([this] { Accept(); });
}

FakeHttpServer::~FakeHttpServer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const auto& connection : open_) connection->Shut();
  }
  ::shutdown(listener_.get(), SHUT_RDWR);
  accepting_.join();
  for (std::thread& thread : threads_) thread.join();
  SSL_CTX_free(static_cast<SSL_CTX*>(tls_));
}

std::string FakeHttpServer::url() const {
  return fmt::format("http{}://127.0.0.1:{}", tls_ != nullptr ? "s" : "", port_);
}

void FakeHttpServer::Accept() {
  while (true) {
    base::Fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) return;
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    auto connection = std::make_shared<Connection>(std::move(fd), ++connections_);
    open_.push_back(connection);
    threads_.emplace_back([this, connection] {
      sigset_t pipe;
      sigemptyset(&pipe);
      sigaddset(&pipe, SIGPIPE);
      pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
      connection->Serve(static_cast<SSL_CTX*>(tls_), handler_);
      const std::lock_guard held(mutex_);
      open_.remove(connection);
    });
  }
}

}  // namespace hami::net
