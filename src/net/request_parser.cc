// SPDX-License-Identifier: Apache-2.0
//
// Boost.Beast's parser is fed through its base class: with its own fields and bodies it would
// allocate for every header, and compile four times as long.

#include "net/request_parser.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <optional>
#include <utility>
#include <vector>

namespace hami::net {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;

// A part of a text that grows.
struct Place {
  size_t begin = 0;
  size_t size = 0;
};

struct FieldPlace {
  Place name;
  Place value;
};

// What is known of a request. Copied: what Beast shows lies in a buffer that moves.
struct Kept {
  std::string text;  // what the places are in
  Place method;
  Place target;
  int version = 11;
  std::vector<FieldPlace> fields;
  std::string body;  // of chunks

  void Clear() {
    text.clear();
    method = target = {};
    version = 11;
    fields.clear();
    body.clear();
    if (body.capacity() > kMaxKeptBody) body.shrink_to_fit();
  }
  Place Keep(beast::string_view part) {
    const Place place = {text.size(), part.size()};
    text.append(part.data(), part.size());
    return place;
  }
  std::string_view At(Place place) const {
    return std::string_view(text).substr(place.begin, place.size);
  }

  static constexpr size_t kMaxKeptBody = 16384;
};

class BeastReader : public http::basic_parser<true> {
 public:
  explicit BeastReader(Kept& kept) : kept_(kept) {}

 private:
  using Text = beast::string_view;
  using ErrorCode = beast::error_code;

  void on_request_impl(http::verb, Text method, Text target, int version, ErrorCode&) override {
    kept_.method = kept_.Keep(method);
    kept_.target = kept_.Keep(target);
    kept_.version = version;
  }
  void on_field_impl(http::field, Text name, Text value, ErrorCode&) override {
    if (is_header_done()) return;  // a trailer, for which nobody asked
    const Place kept_name = kept_.Keep(name);
    kept_.fields.push_back({kept_name, kept_.Keep(value)});
  }
  std::size_t on_chunk_body_impl(std::uint64_t, Text part, ErrorCode&) override {
    kept_.body.append(part.data(), part.size());
    return part.size();
  }
  // Bodies of a known size are not given to Beast.
  std::size_t on_body_impl(Text, ErrorCode& error) override {
    error = http::error::unexpected_body;
    return 0;
  }

  void on_response_impl(int, Text, int, ErrorCode&) override {}
  void on_header_impl(ErrorCode&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, ErrorCode&) override {}
  void on_chunk_header_impl(std::uint64_t, Text, ErrorCode&) override {}
  void on_finish_impl(ErrorCode&) override {}

  Kept& kept_;
};

RequestParser::Refusal RefusalOf(const beast::error_code& error) {
  if (error == http::error::header_limit) return {431, "the header is too large"};
  if (error == http::error::body_limit) return {413, "the body is too large"};
  return {400, "not HTTP: " + error.message()};
}

bool IsSameName(std::string_view a, std::string_view b) {
  return beast::iequals({a.data(), a.size()}, {b.data(), b.size()});
}

}  // namespace

class RequestParser::Reader {
 public:
  explicit Reader(const RequestLimits& limits) : limits_(limits) { Reset(); }

  void Reset() {
    kept.Clear();
    beast_.emplace(kept);
    beast_->header_limit(static_cast<std::uint32_t>(limits_.header_bytes));
    beast_->body_limit(limits_.body_bytes);
  }
  http::basic_parser<true>& beast() { return *beast_; }

  // All that Beast takes; what remains is not enough for it, or belongs to the next.
  size_t Put(std::string_view text, beast::error_code* error) {
    return beast_->put({text.data(), text.size()}, *error);
  }

  Kept kept;

 private:
  const RequestLimits limits_;
  std::optional<BeastReader> beast_;  // of one request
};

RequestParser::RequestParser(const RequestLimits& limits)
    : limits_(limits), reader_(std::make_unique<Reader>(limits)) {}
RequestParser::~RequestParser() = default;

void RequestParser::Reset() {
  reader_->Reset();
  header_bytes_ = 0;
  body_ = {};
  missing_bytes_ = 0;
}

RequestParser::Step RequestParser::Put(std::string_view text, size_t* used) {
  *used = 0;
  missing_bytes_ = 0;
  const auto& beast = reader_->beast();
  if (!beast.is_header_done()) return PutHeader(text, used);
  if (beast.is_done()) return Step::kWhole;
  return beast.chunked() ? PutChunks(text, used) : PutSized(text, used);
}

RequestParser::Step RequestParser::PutHeader(std::string_view text, size_t* used) {
  beast::error_code error;
  *used = reader_->Put(text, &error);
  header_bytes_ += *used;
  if (error == http::error::need_more) {
    // Beast limits what it has to see at once, not what came field by field.
    if (header_bytes_ <= limits_.header_bytes) return Step::kMore;
    error = http::error::header_limit;
  }
  if (!error) return Step::kHeaderRead;
  refusal_ = RefusalOf(error);
  return Step::kRefused;
}

// It stays where it came.
RequestParser::Step RequestParser::PutSized(std::string_view text, size_t* used) {
  const size_t size = *reader_->beast().content_length();
  if (text.size() < size) {
    missing_bytes_ = size - text.size();
    return Step::kMore;
  }
  body_ = text.substr(0, size);
  *used = size;
  return Step::kWhole;
}

RequestParser::Step RequestParser::PutChunks(std::string_view text, size_t* used) {
  while (!text.empty()) {
    beast::error_code error;
    const size_t taken = reader_->Put(text, &error);
    *used += taken;
    text.remove_prefix(taken);
    if (reader_->beast().is_done()) {
      body_ = reader_->kept.body;
      return Step::kWhole;
    }
    if (error == http::error::need_more) {
      // The sizes of chunks, their extensions, and trailers.
      if (text.size() <= limits_.header_bytes) return Step::kMore;
      error = http::error::bad_chunk_extension;
    }
    if (error) {
      refusal_ = RefusalOf(error);
      return Step::kRefused;
    }
  }
  return Step::kMore;
}

std::string_view RequestParser::method() const { return reader_->kept.At(reader_->kept.method); }
std::string_view RequestParser::target() const { return reader_->kept.At(reader_->kept.target); }
int RequestParser::version() const { return reader_->kept.version; }
bool RequestParser::keep_alive() const { return reader_->beast().keep_alive(); }
bool RequestParser::expects_continue() const { return Header("expect") == "100-continue"; }

std::string_view RequestParser::Header(std::string_view name) const {
  const Kept& kept = reader_->kept;
  for (const FieldPlace& field : kept.fields) {
    if (IsSameName(kept.At(field.name), name)) return kept.At(field.value);
  }
  return {};
}

}  // namespace hami::net
