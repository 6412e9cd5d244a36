// SPDX-License-Identifier: Apache-2.0
//
// The only file that knows simdjson. A Value is the document's address and an index on its tape,
// which is what simdjson's element, array, object and their iterators are too: they are turned into
// each other bit by bit, and the asserts below fail if a release changes that.

#include "json/value.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <bit>
#include <type_traits>

namespace hami::json {
namespace {

namespace dom = simdjson::dom;

struct Place {
  const void* document;
  size_t index;
};

template <typename T>
T As(const void* document, size_t index) {
  static_assert(sizeof(T) == sizeof(Place) && std::is_trivially_copyable_v<T>);
  return std::bit_cast<T>(Place{document, index});
}

template <typename T>
Place PlaceOf(const T& value) {
  static_assert(sizeof(T) == sizeof(Place) && std::is_trivially_copyable_v<T>);
  return std::bit_cast<Place>(value);
}

// Of the copy of a text, for the next one.
constexpr size_t kMostKept = 512 << 10;

static_assert(Document::kPadding >= simdjson::SIMDJSON_PADDING);

}  // namespace

struct Document::Parser {
  dom::parser parser;
  std::string padded;
  bool parsed = false;
};

Document::Document() : parser_(std::make_unique<Parser>()) {}
Document::~Document() = default;
Document::Document(Document&&) noexcept = default;
Document& Document::operator=(Document&&) noexcept = default;

Status Document::Parse(std::string_view text) {
  std::string& padded = parser_->padded;
  padded.reserve(text.size() + kPadding);
  padded = text;
  const Status parsed = ParsePadded(padded);
  if (padded.capacity() > kMostKept) padded = {};
  return parsed;
}

Status Document::ParsePadded(std::string_view text) {
  parser_->parsed = false;
  const auto result = parser_->parser.parse(text.data(), text.size(), false);
  if (result.error() != simdjson::SUCCESS) {
    return Fail(Code::kInvalidArgument,
                fmt::format("JSON: {}", simdjson::error_message(result.error())));
  }
  parser_->parsed = true;
  return {};
}

Value Document::root() const {
  if (!parser_->parsed) return {};
  const Place place = PlaceOf(parser_->parser.doc.root());
  return {place.document, place.index};
}

Kind Value::kind() const {
  if (document_ == nullptr) return Kind::kMissing;
  switch (As<dom::element>(document_, index_).type()) {
    case dom::element_type::ARRAY:
      return Kind::kArray;
    case dom::element_type::OBJECT:
      return Kind::kObject;
    case dom::element_type::STRING:
      return Kind::kText;
    case dom::element_type::BOOL:
      return Kind::kFlag;
    case dom::element_type::NULL_VALUE:
      return Kind::kNull;
    default:
      return Kind::kNumber;
  }
}

Value Value::operator[](std::string_view name) const {
  for (const auto [key, value] : Members()) {
    if (key == name) return value;
  }
  return {};
}

std::string_view Value::Text(std::string_view fallback) const {
  if (document_ == nullptr) return fallback;
  std::string_view text;
  return As<dom::element>(document_, index_).get(text) == simdjson::SUCCESS ? text : fallback;
}

int64_t Value::Int(int64_t fallback) const {
  if (document_ == nullptr) return fallback;
  int64_t number = 0;
  return As<dom::element>(document_, index_).get(number) == simdjson::SUCCESS ? number : fallback;
}

double Value::Real(double fallback) const {
  if (document_ == nullptr) return fallback;
  double number = 0;
  return As<dom::element>(document_, index_).get(number) == simdjson::SUCCESS ? number : fallback;
}

bool Value::Flag(bool fallback) const {
  if (document_ == nullptr) return fallback;
  bool flag = false;
  return As<dom::element>(document_, index_).get(flag) == simdjson::SUCCESS ? flag : fallback;
}

Range<ElementIterator> Value::Elements() const {
  dom::array array;
  if (document_ == nullptr || As<dom::element>(document_, index_).get(array) != simdjson::SUCCESS) {
    return {ElementIterator(nullptr, 0), ElementIterator(nullptr, 0)};
  }
  const Place first = PlaceOf(array.begin());
  const Place last = PlaceOf(array.end());
  return {ElementIterator(first.document, first.index), ElementIterator(last.document, last.index)};
}

Range<MemberIterator> Value::Members() const {
  dom::object object;
  if (document_ == nullptr ||
      As<dom::element>(document_, index_).get(object) != simdjson::SUCCESS) {
    return {MemberIterator(nullptr, 0), MemberIterator(nullptr, 0)};
  }
  const Place first = PlaceOf(object.begin());
  const Place last = PlaceOf(object.end());
  return {MemberIterator(first.document, first.index), MemberIterator(last.document, last.index)};
}

size_t Value::size() const {
  if (document_ == nullptr) return 0;
  const dom::element element = As<dom::element>(document_, index_);
  dom::array array;
  if (element.get(array) == simdjson::SUCCESS) {
    // The tape has room for this number; beyond, all of them have to be counted.
    constexpr size_t kMostKnown = 0xFFFFFF;
    if (array.size() < kMostKnown) return array.size();
    size_t count = 0;
    for ([[maybe_unused]] const dom::element entry : array) ++count;
    return count;
  }
  dom::object object;
  if (element.get(object) == simdjson::SUCCESS) {
    size_t count = 0;
    for ([[maybe_unused]] const auto entry : object) ++count;
    return count;
  }
  return 0;
}

bool Value::ReadTexts(std::vector<std::string_view>* texts) const {
  texts->clear();
  dom::array array;
  if (document_ == nullptr || As<dom::element>(document_, index_).get(array) != simdjson::SUCCESS) {
    return false;
  }
  texts->reserve(array.size());
  for (const dom::element element : array) {
    if (element.get(texts->emplace_back()) != simdjson::SUCCESS) return false;
  }
  return true;
}

std::string Value::Json() const {
  if (document_ == nullptr) return {};
  return simdjson::minify(As<dom::element>(document_, index_));
}

Value ElementIterator::operator*() const {
  const Place place = PlaceOf(*As<dom::array::iterator>(document_, index_));
  return {place.document, place.index};
}

ElementIterator& ElementIterator::operator++() {
  auto iterator = As<dom::array::iterator>(document_, index_);
  ++iterator;
  index_ = PlaceOf(iterator).index;
  return *this;
}

std::pair<std::string_view, Value> MemberIterator::operator*() const {
  const auto iterator = As<dom::object::iterator>(document_, index_);
  const Place place = PlaceOf(iterator.value());
  return {iterator.key(), Value(place.document, place.index)};
}

MemberIterator& MemberIterator::operator++() {
  auto iterator = As<dom::object::iterator>(document_, index_);
  ++iterator;
  index_ = PlaceOf(iterator).index;
  return *this;
}

}  // namespace hami::json
