// SPDX-License-Identifier: Apache-2.0

#include "hook/json.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace hami::hook {
namespace {

constexpr int kMaxDepth = 128;
constexpr size_t kMaxNameBytes = 64;  // a longer name is none that is looked for

using Path = std::span<const std::string_view>;

// Where the characters of a string go. Counts on when it is full, so that too long shows.
class Sink {
 public:
  explicit Sink(std::span<char> room) : room_(room) {}
  void Put(char c) {
    if (bytes_ < room_.size()) room_[bytes_] = c;
    ++bytes_;
  }
  bool fits() const { return bytes_ <= room_.size(); }
  std::string_view text() const { return {room_.data(), fits() ? bytes_ : 0}; }
  size_t bytes() const { return bytes_; }

 private:
  std::span<char> room_;
  size_t bytes_ = 0;
};

void PutUtf8(uint32_t code, Sink* sink) {
  const auto put = [sink](uint32_t byte) { sink->Put(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | code >> 6);
    put(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    put(0xe0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  } else {
    put(0xf0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3f));
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  }
}

class Reader {
 public:
  Reader(std::string_view text, std::span<char> out) : text_(text), out_(out) {}

  JsonFinding Run(Path path) {
    const bool whole = ReadValue(path, true, 0) && (SkipBlanks(), at_ == text_.size());
    return whole ? finding_ : JsonFinding::kBroken;
  }

 private:
  char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool Take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void SkipBlanks() {
    while (at_ < text_.size() && strchr(" \t\r\n", text_[at_]) != nullptr && text_[at_] != '\0') {
      ++at_;
    }
  }

  // A value; `wanted`: what is looked for lies below it, at `path` (empty: it is the value).
  bool ReadValue(Path path, bool wanted, int depth) {
    SkipBlanks();
    // What was found before under the same name no longer counts.
    if (wanted) finding_ = JsonFinding::kMissing;
    if (Peek() == '{') return ReadObject(path, wanted && !path.empty(), depth + 1);
    if (Peek() == '[') return ReadArray(depth + 1);
    if (Peek() == '"') return wanted && path.empty() ? ReadWanted() : SkipString();
    return ReadWord();
  }

  bool ReadObject(Path path, bool wanted, int depth) {
    if (depth > kMaxDepth || !Take('{')) return false;
    SkipBlanks();
    if (Take('}')) return true;
    for (;;) {
      char room[kMaxNameBytes];
      Sink name(room);
      SkipBlanks();
      if (!ReadString(&name)) return false;
      SkipBlanks();
      if (!Take(':')) return false;
      const bool named = wanted && name.fits() && name.text() == path[0];
      if (!ReadValue(named ? path.subspan(1) : Path(), named, depth)) return false;
      SkipBlanks();
      if (Take('}')) return true;
      if (!Take(',')) return false;
    }
  }

  bool ReadArray(int depth) {
    if (depth > kMaxDepth || !Take('[')) return false;
    SkipBlanks();
    if (Take(']')) return true;
    for (;;) {
      if (!ReadValue(Path(), false, depth)) return false;
      SkipBlanks();
      if (Take(']')) return true;
      if (!Take(',')) return false;
    }
  }

  // true, false, null or a number; the alphabet is all that is checked.
  bool ReadWord() {
    const size_t begin = at_;
    while (at_ < text_.size() && IsOfWord(text_[at_])) ++at_;
    return at_ > begin;
  }
  static bool IsOfWord(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == 'E' || c == '+' || c == '-' ||
           c == '.';
  }

  bool ReadWanted() {
    Sink sink(out_.first(out_.empty() ? 0 : out_.size() - 1));
    if (!ReadString(&sink)) return false;
    if (!sink.fits() || out_.empty()) {
      finding_ = JsonFinding::kTooLong;
      return true;
    }
    if (sink.text().find('\0') != std::string_view::npos) return false;
    out_[sink.bytes()] = '\0';
    finding_ = JsonFinding::kFound;
    return true;
  }

  bool SkipString() {
    Sink nowhere({});
    return ReadString(&nowhere);
  }

  bool ReadString(Sink* sink) {
    if (!Take('"')) return false;
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == '"') return true;
      if (static_cast<unsigned char>(c) < ' ') return false;
      if (c != '\\') {
        sink->Put(c);
      } else if (!ReadEscape(sink)) {
        return false;
      }
    }
    return false;
  }

  bool ReadEscape(Sink* sink) {
    constexpr std::string_view kLetters = "\"\\/bfnrt";
    constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    if (at_ >= text_.size()) return false;
    const char letter = text_[at_++];
    const size_t known = kLetters.find(letter);
    if (known != std::string_view::npos) {
      sink->Put(kMeanings[known]);
      return true;
    }
    uint32_t code = 0;
    if (letter != 'u' || !ReadHex(&code)) return false;
    if (code >= 0xd800 && code < 0xdc00) {  // the first half of a pair
      uint32_t low = 0;
      if (!Take('\\') || !Take('u') || !ReadHex(&low) || low < 0xdc00 || low > 0xdfff) return false;
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    PutUtf8(code, sink);
    return true;
  }

  bool ReadHex(uint32_t* code) {
    if (text_.size() - at_ < 4) return false;
    for (int i = 0; i < 4; ++i) {
      const char c = text_[at_++];
      const char lower = static_cast<char>(c | 0x20);
      if (c >= '0' && c <= '9') {
        *code = *code * 16 + static_cast<uint32_t>(c - '0');
      } else if (lower >= 'a' && lower <= 'f') {
        *code = *code * 16 + static_cast<uint32_t>(lower - 'a' + 10);
      } else {
        return false;
      }
    }
    return true;
  }

  std::string_view text_;
  std::span<char> out_;
  size_t at_ = 0;
  JsonFinding finding_ = JsonFinding::kMissing;
};

}  // namespace

JsonFinding FindJsonString(std::string_view document, Path path, std::span<char> out) {
  return Reader(document, out).Run(path);
}

}  // namespace hami::hook
