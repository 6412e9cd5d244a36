// SPDX-License-Identifier: Apache-2.0
//
// Names by number, close together in memory: a decision compares thousands of them with those of
// its request. Numbers are given out again.

#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "placement/name_index.h"

namespace hami::placement {

class NameTable {
 public:
  static constexpr uint32_t kNone = NameIndex::kNone;

  // All numbers are below.
  uint32_t limit() const { return static_cast<uint32_t>(places_.size()); }
  std::string_view At(uint32_t number) const {
    return {text_.data() + places_[number].begin, places_[number].size};
  }

  // Whether that is the name of that number, which is below limit().
  bool Is(uint32_t number, std::string_view name) const {
    const Place& place = places_[number];
    if (place.size != name.size()) return false;
    const char* mine = text_.data() + place.begin;
    const char* theirs = name.data();
    if (place.size < 8) return std::memcmp(mine, theirs, place.size) == 0;
    // Whole words, the last one overlapping: a call of memcmp would cost more than all of this.
    uint64_t differ = Word(mine + place.size - 8) ^ Word(theirs + place.size - 8);
    for (size_t at = 0; at + 8 < place.size; at += 8) differ |= Word(mine + at) ^ Word(theirs + at);
    return differ == 0;
  }

  uint32_t Find(std::string_view name) const {
    return index_.Find(name, [this](uint32_t number) { return At(number); });
  }

  // The name must be new.
  uint32_t Add(std::string_view name) {
    uint32_t number = limit();
    if (unused_.empty()) {
      places_.emplace_back();
    } else {
      number = unused_.back();
      unused_.pop_back();
    }
    places_[number] = {static_cast<uint32_t>(text_.size()), static_cast<uint32_t>(name.size())};
    text_ += name;
    live_ += name.size();
    index_.Insert(name, number);
    return number;
  }

  void Remove(uint32_t number) {
    index_.Erase(At(number), number);
    live_ -= places_[number].size;
    places_[number] = {};
    unused_.push_back(number);
    if (text_.size() > 4096 && live_ * 2 < text_.size()) Compact();
  }

 private:
  struct Place {
    uint32_t begin = 0;
    uint32_t size = 0;
  };

  static uint64_t Word(const char* at) {
    uint64_t word = 0;
    std::memcpy(&word, at, sizeof(word));
    return word;
  }

  void Compact() {
    std::string text;
    text.reserve(live_);
    for (Place& place : places_) {
      const auto begin = static_cast<uint32_t>(text.size());
      text.append(text_, place.begin, place.size);
      place.begin = begin;
    }
    text_ = std::move(text);
  }

  std::string text_;
  std::vector<Place> places_;
  std::vector<uint32_t> unused_;
  size_t live_ = 0;  // bytes of text_ that are in use
  NameIndex index_;
};

}  // namespace hami::placement
