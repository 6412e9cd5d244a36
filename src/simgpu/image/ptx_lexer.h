// SPDX-License-Identifier: Apache-2.0
//
// Tokens of PTX text (PTX ISA, "Syntax"): comments and blanks are skipped, a leading dot makes a
// directive, everything else that is neither word, number nor string is one punctuation character.
// Reads only inside its text. Inline, because the parser asks for every token of large texts.

#pragma once

#include <stddef.h>

#include <string_view>

namespace hami::simgpu {

struct PtxToken {
  enum class Kind { kEnd, kDirective, kWord, kNumber, kString, kPunctuation, kError };
  Kind kind = Kind::kEnd;
  std::string_view text;

  bool Is(std::string_view expected) const { return text == expected && kind != Kind::kString; }
  bool IsDirective() const { return kind == Kind::kDirective; }
  bool IsWord() const { return kind == Kind::kWord; }
  bool Ends() const { return kind == Kind::kEnd || kind == Kind::kError; }
};

class PtxLexer {
 public:
  explicit PtxLexer(std::string_view text) : text_(text) {}

  PtxToken Next() {
    using Kind = PtxToken::Kind;
    if (!SkipBlank()) return Make(Kind::kError, at_);
    if (at_ >= text_.size()) return Make(Kind::kEnd, at_);
    const size_t start = at_;
    const char first = text_[at_];
    if (first == '"') {
      for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
        if (text_[at_] == '\\') ++at_;
      }
      if (at_ >= text_.size()) return Make(Kind::kError, start);
      ++at_;
      return Make(Kind::kString, start);
    }
    if (first == '.' && IsLetter(Peek(1))) {
      ++at_;
      while (IsWordCharacter(Peek(0))) ++at_;
      return Make(Kind::kDirective, start);
    }
    if (IsDigit(first)) {
      while (IsWordCharacter(Peek(0)) || (Peek(0) == '.' && IsDigit(Peek(1)))) ++at_;
      return Make(Kind::kNumber, start);
    }
    if (IsWordCharacter(first)) {
      while (IsWordCharacter(Peek(0))) ++at_;
      return Make(Kind::kWord, start);
    }
    ++at_;
    return Make(first > ' ' && first < 127 ? Kind::kPunctuation : Kind::kError, start);
  }

  // To the end of the line: .loc and .file have no other.
  void SkipLine() {
    while (at_ < text_.size() && text_[at_] != '\n') ++at_;
  }

 private:
  static bool IsDigit(char c) { return c >= '0' && c <= '9'; }
  static bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
  static bool IsWordCharacter(char c) {
    return IsLetter(c) || IsDigit(c) || c == '_' || c == '$' || c == '%';
  }
  char Peek(size_t ahead) const { return ahead < text_.size() - at_ ? text_[at_ + ahead] : '\0'; }
  PtxToken Make(PtxToken::Kind kind, size_t start) const {
    return PtxToken{kind, std::string_view(text_.data() + start, at_ - start)};
  }

  // False where a comment does not end.
  bool SkipBlank() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == ' ' || (c >= '\t' && c <= '\r')) {
        ++at_;
      } else if (c == '/' && Peek(1) == '/') {
        SkipLine();
      } else if (c == '/' && Peek(1) == '*') {
        at_ += 2;
        while (!(Peek(0) == '*' && Peek(1) == '/')) {
          if (at_ >= text_.size()) return false;
          ++at_;
        }
        at_ += 2;
      } else {
        break;
      }
    }
    return true;
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace hami::simgpu
