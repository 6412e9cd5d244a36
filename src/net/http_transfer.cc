// SPDX-License-Identifier: Apache-2.0

#include "net/http_transfer.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/clock.h"

namespace hami::net {
namespace {

// A peer that vanished without a word is noticed within 15 + 15 seconds on an idle connection, and
// within 20 on one that has something to send.
constexpr long kKeepAliveIdleS = 15;
constexpr long kKeepAliveIntervalS = 5;
constexpr unsigned kUnacknowledgedMs = 20'000;
constexpr long kConnectTimeoutMs = 10'000;

static_assert(CURL_ERROR_SIZE <= sizeof(HttpTransfer::error_text));

size_t OnHeader(const char* text, size_t, size_t size, void* self) {
  auto* transfer = static_cast<HttpTransfer*>(self);
  transfer->last_byte_ns = base::SystemClock().MonotonicNs();
  std::string_view line(text, size);
  while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) line.remove_suffix(1);
  if (line.starts_with("HTTP/")) {  // a new answer: the one after 100 Continue, or a proxy's
    transfer->response.headers.clear();
    return size;
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return size;
  std::string name(line.substr(0, colon));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::string_view value = line.substr(colon + 1);
  while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
  transfer->response.headers.emplace_back(std::move(name), value);
  return size;
}

size_t OnBody(const char* text, size_t, size_t size, void* self) {
  auto* transfer = static_cast<HttpTransfer*>(self);
  if (transfer->cancelled) return 0;
  transfer->last_byte_ns = base::SystemClock().MonotonicNs();
  if (transfer->data) {
    long status = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200 && status < 300) {
      transfer->data(std::string_view(text, size));
      return transfer->cancelled ? 0 : size;
    }
  }
  std::string& body = transfer->response.body;
  if (body.size() + size > transfer->request.max_body_bytes) {
    transfer->body_too_large = true;
    return 0;
  }
  body.append(text, size);
  return size;
}

size_t OnSend(char* buffer, size_t, size_t size, void* self) {
  auto* transfer = static_cast<HttpTransfer*>(self);
  const std::string_view left =
      std::string_view(transfer->request.body).substr(transfer->body_sent);
  const size_t part = std::min(size, left.size());
  std::memcpy(buffer, left.data(), part);
  transfer->body_sent += part;
  return part;
}

// libcurl wants to send the body again because the connection broke before an answer.
int OnRewind(void* self, curl_off_t offset, int origin) {
  auto* transfer = static_cast<HttpTransfer*>(self);
  if (!transfer->request.repeatable || origin != SEEK_SET) return CURL_SEEKFUNC_FAIL;
  transfer->body_sent = static_cast<size_t>(offset);
  return CURL_SEEKFUNC_OK;
}

int OnSocket(void*, curl_socket_t fd, curlsocktype) {
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUnacknowledgedMs, sizeof(kUnacknowledgedMs));
  return CURL_SOCKOPT_OK;
}

std::string HostOf(const std::string& url) {
  CURLU* parts = curl_url();
  char* host = nullptr;
  std::string found;
  if (curl_url_set(parts, CURLUPART_URL, url.c_str(), 0) == CURLUE_OK &&
      curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
    found = host;
  }
  curl_free(host);
  curl_url_cleanup(parts);
  return found;
}

bool IsLoopback(const std::string& host) {
  return host == "localhost" || host == "[::1]" || host.starts_with("127.");
}

// The URL with another host, and "host:port" as the server has to see it.
struct Renamed {
  std::string url;
  std::string connect_to;
  std::string host_header;
};

Renamed Rename(const std::string& url, const std::string& host) {
  Renamed renamed;
  CURLU* parts = curl_url();
  char* text = nullptr;
  char* port = nullptr;
  if (curl_url_set(parts, CURLUPART_URL, url.c_str(), 0) == CURLUE_OK &&
      curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK) {
    const std::string real_host = HostOf(url);
    renamed.connect_to = fmt::format("{}:{}:{}:{}", host, port, real_host, port);
    renamed.host_header = fmt::format("{}:{}", real_host, port);
    if (curl_url_set(parts, CURLUPART_HOST, host.c_str(), 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_URL, &text, 0) == CURLUE_OK) {
      renamed.url = text;
    }
  }
  curl_free(text);
  curl_free(port);
  curl_url_cleanup(parts);
  return renamed;
}

void SetBlob(CURL* easy, CURLoption option, const std::string& text) {
  if (text.empty()) return;
  curl_blob blob = {};
  blob.data = const_cast<char*>(text.data());
  blob.len = text.size();
  blob.flags = CURL_BLOB_COPY;  // the connection may outlive the transfer
  curl_easy_setopt(easy, option, &blob);
}

void SetTls(CURL* easy, const TlsSettings& tls) {
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  SetBlob(easy, CURLOPT_CAINFO_BLOB, tls.ca);
  // The system's folder of certificates would be trusted besides the blob.
  if (!tls.ca.empty()) curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
  SetBlob(easy, CURLOPT_SSLCERT_BLOB, tls.certificate);
  SetBlob(easy, CURLOPT_SSLKEY_BLOB, tls.key);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, tls.verify_peer ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, tls.verify_peer ? 2L : 0L);
}

void SetMethod(CURL* easy, HttpTransfer* transfer) {
  const HttpRequest& request = transfer->request;
  const auto size = static_cast<curl_off_t>(request.body.size());
  if (request.method != "GET" && (request.method == "POST" || !request.body.empty())) {
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, size);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, &OnSend);
    curl_easy_setopt(easy, CURLOPT_READDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, &OnRewind);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, transfer);
  }
  if (request.method != "GET" && request.method != "POST") {
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
}

Code CodeOf(CURLcode code) {
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return Code::kDeadlineExceeded;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return Code::kFailedPrecondition;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return Code::kInvalidArgument;
    default:
      return Code::kUnavailable;
  }
}

bool NeverConnected(CURLcode code) {
  switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
      return true;
    default:
      return false;
  }
}

}  // namespace

HttpTransfer::HttpTransfer(HttpRequest request_made, HttpClient::Done done_handler,
                           HttpClient::Data data_handler)
    : request(std::move(request_made)),
      done(std::move(done_handler)),
      data(std::move(data_handler)),
      easy(curl_easy_init()) {
  CHECK(easy != nullptr);
}

HttpTransfer::~HttpTransfer() {
  curl_easy_cleanup(easy);
  curl_slist_free_all(static_cast<curl_slist*>(header_list));
  curl_slist_free_all(static_cast<curl_slist*>(connect_list));
}

Status HttpTransfer::Prepare(const std::string& user_agent) {
  const std::string host = HostOf(request.url);
  if (host.empty()) return Fail(Code::kInvalidArgument, "not a URL: " + request.url);
  std::string url = request.url;
  curl_slist* list = curl_slist_append(nullptr, "Expect:");
  if (request.tls != nullptr && !request.tls->server_name.empty() &&
      request.tls->server_name != host) {
    const Renamed renamed = Rename(url, request.tls->server_name);
    if (renamed.url.empty()) {
      curl_slist_free_all(list);
      return Fail(Code::kInvalidArgument, "not a server name: " + request.tls->server_name);
    }
    url = renamed.url;
    list = curl_slist_append(list, ("Host: " + renamed.host_header).c_str());
    curl_slist* connect_to = curl_slist_append(nullptr, renamed.connect_to.c_str());
    curl_easy_setopt(easy, CURLOPT_CONNECT_TO, connect_to);
    connect_list = connect_to;
  }
  for (const auto& [name, value] : request.headers) {
    list = curl_slist_append(list, fmt::format("{}: {}", name, value).c_str());
  }
  header_list = list;
  curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, this);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error_text);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, user_agent.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  // Without TLS nothing says early that a connection cannot be shared, and requests would wait for
  // each other.
  const bool may_share = url.starts_with("https:");
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                   static_cast<long>(may_share ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy, CURLOPT_PIPEWAIT, may_share ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout_ms));
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, kKeepAliveIdleS);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, kKeepAliveIntervalS);
  curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, &OnSocket);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &OnHeader);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &OnBody);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 128L * 1024);
  if (!request.proxy.empty()) {
    curl_easy_setopt(easy, CURLOPT_PROXY, request.proxy.c_str());
  } else if (IsLoopback(host)) {
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
  }
  if (request.tls != nullptr) SetTls(easy, *request.tls);
  SetMethod(easy, this);
  return {};
}

HttpResult HttpTransfer::Finish(int code) {
  const auto curl_code = static_cast<CURLcode>(code);
  HttpResult result;
  long status = 0;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  response.status = static_cast<int>(status);
  result.response = std::move(response);
  if (curl_code == CURLE_OK) return result;

  long sent = 0;
  curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &sent);
  result.maybe_executed = sent > 0 && !NeverConnected(curl_code);
  const char* text = error_text[0] != 0 ? error_text : curl_easy_strerror(curl_code);
  Code meaning = CodeOf(curl_code);
  // An authority of the right name and another key fails deep in OpenSSL, in words of its own.
  long verified = 0;
  curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &verified);
  if (curl_code == CURLE_SSL_CONNECT_ERROR && verified != 0) {
    meaning = Code::kFailedPrecondition;
    text = "the server's certificate is not signed by the authority that is trusted";
  }
  result.transport =
      body_too_large
          ? Fail(Code::kResourceExhausted,
                 fmt::format("the answer has more than {} bytes", request.max_body_bytes))
          : Fail(meaning, text);
  return result;
}

}  // namespace hami::net
