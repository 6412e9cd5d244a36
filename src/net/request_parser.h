// SPDX-License-Identifier: Apache-2.0
//
// One HTTP/1.x request after another out of the bytes of a connection. What it is fed is hostile.
// RFC 9112; what is no HTTP is left to Boost.Beast's parser to find. One owner at a time.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace hami::net {

struct RequestLimits {
  size_t header_bytes = 0;
  size_t body_bytes = 0;
};

class RequestParser {
 public:
  enum class Step : uint8_t {
    kMore,        // what has come is not enough
    kHeaderRead,  // once a request, also if it has no body; what is behind it has not been looked
                  // at
    kWhole,
    kRefused,  // refusal() says why; nothing more can be read
  };

  explicit RequestParser(const RequestLimits& limits);
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  // Takes `*used` bytes of `text`; the rest has to come again, with more behind it after kMore. Not
  // after kWhole and kRefused.
  Step Put(std::string_view text, size_t* used);
  // Forgets the request; memory is kept.
  void Reset();

  // 10 or 11, of HTTP/1.0 and 1.1; 11 while it is not known.
  int version() const;
  std::string_view method() const;  // "" while it is not known

  // After kHeaderRead; until Reset.
  std::string_view target() const;
  std::string_view Header(std::string_view name) const;  // the first of that name, any case; or ""
  bool keep_alive() const;
  bool expects_continue() const;

  // After kWhole. It may lie in the text that Put was given last.
  std::string_view body() const { return body_; }
  // After kMore: so many bytes more are certainly needed; 0: unknown.
  size_t missing_bytes() const { return missing_bytes_; }

  // After kRefused.
  struct Refusal {
    int status = 0;
    std::string text;
  };
  const Refusal& refusal() const { return refusal_; }

 private:
  class Reader;

  Step PutHeader(std::string_view text, size_t* used);
  Step PutSized(std::string_view text, size_t* used);
  Step PutChunks(std::string_view text, size_t* used);

  const RequestLimits limits_;
  std::unique_ptr<Reader> reader_;
  size_t header_bytes_ = 0;
  std::string_view body_;
  size_t missing_bytes_ = 0;
  Refusal refusal_;
};

}  // namespace hami::net
