// SPDX-License-Identifier: Apache-2.0
//
// Reading JSON: a Document owns what was parsed, a Value is a cheap reference into it (copy it
// freely, but never let it outlive its Document or the Document's next Parse).
//
//   json::Document document;
//   RETURN_IF_ERROR(document.Parse(text));
//   for (const json::Value item : document.root()["items"].Elements()) {
//     names.emplace_back(item["metadata"]["name"].Text());
//   }
//
// Reading is lenient, as Kubernetes objects want it: what is absent, null or of another type reads
// as the fallback; who has to be strict asks kind(). The text itself is checked whole by Parse:
// grammar, UTF-8 and depth. A Document belongs to one thread at a time.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace hami::json {

enum class Kind : uint8_t { kMissing, kNull, kFlag, kNumber, kText, kArray, kObject };

class Value;

// What a range-for over Elements() or Members() walks along.
class Iterator {
 public:
  Iterator(const void* document, size_t index) : document_(document), index_(index) {}
  bool operator==(const Iterator& other) const { return index_ == other.index_; }

 protected:
  const void* document_;
  size_t index_;
};

class ElementIterator : public Iterator {
 public:
  using Iterator::Iterator;
  Value operator*() const;
  ElementIterator& operator++();
};

class MemberIterator : public Iterator {
 public:
  using Iterator::Iterator;
  std::pair<std::string_view, Value> operator*() const;
  MemberIterator& operator++();
};

template <typename T>
class Range {
 public:
  Range(T first, T last) : first_(first), last_(last) {}
  T begin() const { return first_; }
  T end() const { return last_; }

 private:
  T first_;
  T last_;
};

class Value {
 public:
  Value() = default;  // kMissing

  Kind kind() const;
  bool exists() const { return document_ != nullptr; }

  // The member of that name; missing if there is none or this is no object. Names that occur twice:
  // the first.
  Value operator[](std::string_view name) const;

  // Views live as long as the document.
  std::string_view Text(std::string_view fallback = {}) const;
  // Whole numbers only: 1.0 and what does not fit are the fallback.
  int64_t Int(int64_t fallback = 0) const;
  double Real(double fallback = 0) const;
  bool Flag(bool fallback = false) const;

  // Empty for what is no array, no object.
  Range<ElementIterator> Elements() const;
  Range<MemberIterator> Members() const;
  size_t size() const;  // elements or members
  // The elements of an array in one go: thousands of names come with each decision. False: one of
  // them is no text, or this is no array.
  bool ReadTexts(std::vector<std::string_view>* texts) const;

  // The value as JSON without spaces; "" if missing.
  std::string Json() const;

 private:
  friend class Document;
  friend class ElementIterator;
  friend class MemberIterator;
  Value(const void* document, size_t index) : document_(document), index_(index) {}

  const void* document_ = nullptr;
  size_t index_ = 0;
};

class Document {
 public:
  // How many bytes behind a text have to be readable for ParsePadded.
  static constexpr size_t kPadding = 64;

  Document();
  ~Document();
  Document(Document&&) noexcept;
  Document& operator=(Document&&) noexcept;

  // kInvalidArgument with the reason and place if it is not one JSON value. The text is not needed
  // afterwards. Memory is kept from one Parse to the next.
  Status Parse(std::string_view text);
  // The same without a copy of the text.
  Status ParsePadded(std::string_view text);

  Value root() const;  // missing before the first and after a failed Parse

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace hami::json
