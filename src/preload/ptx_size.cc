// SPDX-License-Identifier: Apache-2.0

#include "preload/ptx_size.h"

namespace hami::preload {
namespace {

uint64_t Add(uint64_t a, uint64_t b) {
  uint64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

uint64_t Times(uint64_t a, uint64_t b) {
  uint64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || c == '%';
}

enum class Kind : uint8_t { kEnd, kDirective, kWord, kNumber, kString, kSign };

struct Token {
  Kind kind;
  char sign;  // of kSign
  const char* text;
  size_t length;

  bool Is(const char* word) const {
    for (size_t i = 0; i < length; ++i) {
      if (word[i] != text[i]) return false;  // also at the word's end
    }
    return word[length] == 0;
  }
};

// Directives come without their dot and one by one: ".visible.global" is two of them. An
// instruction with its suffixes ("ld.global.u32") is one word.
class Lexer {
 public:
  Lexer(const char* text, size_t length) : at_(text), end_(text + length) {}

  Token Next() {
    SkipBlanks();
    const char* begin = at_;
    if (Peek() == 0) return {Kind::kEnd, 0, begin, 0};
    const char first = *at_++;
    if (first == '.' && IsLetter(Peek())) {
      ++begin;
      while (IsLetter(Peek()) || IsDigit(Peek())) ++at_;
      return {Kind::kDirective, 0, begin, Length(begin)};
    }
    if (IsDigit(first)) {
      while (IsLetter(Peek()) || IsDigit(Peek())) ++at_;
      return {Kind::kNumber, 0, begin, Length(begin)};
    }
    if (IsLetter(first)) {
      while (IsLetter(Peek()) || IsDigit(Peek()) || Peek() == '.') ++at_;
      return {Kind::kWord, 0, begin, Length(begin)};
    }
    if (first == '"') {
      while (Peek() != 0 && Peek() != '"') at_ += Peek() == '\\' && at_ + 1 < end_ ? 2 : 1;
      const size_t length = Length(begin);
      if (Peek() == '"') ++at_;
      return {Kind::kString, 0, begin, length};
    }
    return {Kind::kSign, first, begin, 1};
  }

 private:
  char Peek() const { return at_ < end_ ? *at_ : '\0'; }
  bool Starts(char first, char second) const {
    return end_ - at_ >= 2 && at_[0] == first && at_[1] == second;
  }
  size_t Length(const char* begin) const { return static_cast<size_t>(at_ - begin); }

  void SkipBlanks() {
    while (true) {
      const char c = Peek();
      if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v') {
        ++at_;
      } else if (Starts('/', '/')) {
        while (Peek() != 0 && Peek() != '\n') ++at_;
      } else if (Starts('/', '*')) {
        at_ += 2;
        while (Peek() != 0 && !Starts('*', '/')) ++at_;
        at_ += Peek() != 0 ? 2 : 0;
      } else {
        return;
      }
    }
  }

  const char* at_;
  const char* const end_;
};

// PTX ISA, "Integer Constants": decimal, 0x, 0b, octal with 0; a U may follow.
uint64_t NumberOf(const Token& token) {
  size_t at = 0;
  unsigned base = 10;
  if (token.length > 1 && token.text[0] == '0') {
    const char mark = token.text[1];
    base = mark == 'x' || mark == 'X' ? 16 : mark == 'b' || mark == 'B' ? 2 : 8;
    at = base == 8 ? 1 : 2;
  }
  uint64_t number = 0;
  for (; at < token.length; ++at) {
    const char c = token.text[at];
    unsigned digit = 16;
    if (IsDigit(c)) digit = static_cast<unsigned>(c - '0');
    if (c >= 'a' && c <= 'f') digit = static_cast<unsigned>(c - 'a') + 10;
    if (c >= 'A' && c <= 'F') digit = static_cast<unsigned>(c - 'A') + 10;
    if (digit >= base) break;
    number = Add(Times(number, base), digit);
  }
  return number;
}

// PTX ISA, "Fundamental Types" and "Packed Data Types": the bits are the digits behind the letters,
// twice as many with x2, four times with x4. 0: not a type.
uint64_t TypeBytes(const Token& token) {
  size_t at = 0;
  while (at < token.length && !IsDigit(token.text[at])) ++at;
  if (at == 0 || at > 2 || at == token.length) return 0;
  const char first = token.text[0];
  const bool is_one = at == 1 && (first == 'b' || first == 'u' || first == 's' || first == 'f');
  const bool is_brain = at == 2 && first == 'b' && token.text[1] == 'f';
  if (!is_one && !is_brain) return 0;
  uint64_t bits = 0;
  for (; at < token.length && IsDigit(token.text[at]); ++at) {
    bits = Add(Times(bits, 10), static_cast<uint64_t>(token.text[at] - '0'));
  }
  if (at + 1 < token.length && token.text[at] == 'x') {
    bits = Times(bits, static_cast<uint64_t>(token.text[at + 1] - '0'));
  }
  return (bits > 1024 ? 1024 : bits + 7) / 8;
}

// PTX ISA, "Vectors": .v2, .v4, .v8. 0: not a vector.
uint64_t VectorLanes(const Token& token) {
  if (token.length != 2 || token.text[0] != 'v' || !IsDigit(token.text[1])) return 0;
  return static_cast<uint64_t>(token.text[1] - '0');
}

class Declarations {
 public:
  Declarations(const char* text, size_t length) : lexer_(text, length) { Advance(); }

  uint64_t Sum() {
    bool is_extern = false;
    bool is_pointer = false;  // of a kernel's parameter: .ptr .global says where it points
    while (token_.kind != Kind::kEnd) {
      const bool is_directive = token_.kind == Kind::kDirective;
      if (is_directive && !is_pointer && (token_.Is("global") || token_.Is("const"))) {
        const uint64_t bytes = Declaration();
        // Memory of a variable that another module defines is that module's.
        if (!is_extern) sum_ = Add(sum_, bytes);
        is_extern = false;
        continue;
      }
      if (is_directive && token_.Is("extern")) is_extern = true;
      if (!is_directive) is_extern = false;
      is_pointer = is_directive && token_.Is("ptr");
      Advance();
    }
    return sum_;
  }

 private:
  void Advance() { token_ = lexer_.Next(); }
  bool IsSign(char sign) const { return token_.kind == Kind::kSign && token_.sign == sign; }

  // From the state space to the semicolon.
  uint64_t Declaration() {
    uint64_t align = 1;
    uint64_t element = 0;
    uint64_t lanes = 1;
    uint64_t bytes = 0;
    Advance();
    while (token_.kind != Kind::kEnd && !IsSign(';') && !IsSign(')') && !IsSign('}')) {
      if (token_.kind == Kind::kWord) {
        Advance();
        const uint64_t size = Times(Times(element, lanes), Elements());
        const uint64_t padded = Add(size, align - 1);
        bytes = Add(bytes, padded == UINT64_MAX ? padded : padded / align * align);
        if (IsSign('=')) SkipTo(',', ';');
        continue;
      }
      if (token_.kind == Kind::kDirective) {
        if (token_.Is("align")) {
          Advance();
          const uint64_t number = token_.kind == Kind::kNumber ? NumberOf(token_) : 1;
          align = number > 0 ? number : 1;
        } else if (token_.Is("attribute")) {
          SkipTo(')', ';');
        } else if (const uint64_t vector = VectorLanes(token_); vector > 0) {
          lanes = vector;
        } else if (const uint64_t type = TypeBytes(token_); type > 0) {
          element = type;
        }
        if (IsSign(';')) break;
      }
      Advance();
    }
    return bytes;
  }

  void SkipTo(char one, char other) {
    int depth = 0;
    while (token_.kind != Kind::kEnd) {
      if (depth == 0 && (IsSign(one) || IsSign(other))) return;
      if (IsSign('{')) ++depth;
      if (IsSign('}')) --depth;
      Advance();
    }
  }

  // The dimensions behind a name, and the initialiser if it decides the first of them.
  uint64_t Elements() {
    uint64_t known = 1;
    bool is_open = false;
    while (IsSign('[')) {
      Advance();
      if (IsSign(']')) {
        is_open = true;
      } else {
        known = Times(known, Bound());
      }
      if (IsSign(']')) Advance();
    }
    if (!is_open) return known;
    if (!IsSign('=')) return 0;
    const uint64_t values = Values();
    return known == 0 ? 0 : Times(Add(values, known - 1) / known, known);
  }

  // At least the value of a constant expression up to the bracket ("Constant Expressions"), however
  // it is bracketed; a plain number is exact.
  uint64_t Bound() {
    uint64_t bound = 0;
    char operation = 0;
    bool is_shift = false;
    for (; token_.kind != Kind::kEnd && !IsSign(']') && !IsSign(';'); Advance()) {
      if (IsSign('(') || IsSign(')')) continue;
      if (token_.kind == Kind::kSign) {
        is_shift = operation == '<' && token_.sign == '<';
        operation = token_.sign;
        continue;
      }
      const uint64_t number = token_.kind == Kind::kNumber ? NumberOf(token_) : UINT64_MAX;
      if (operation == 0) {
        bound = number;
      } else if (is_shift) {
        bound = number < 64 ? Times(bound, uint64_t{1} << number) : UINT64_MAX;
      } else if (operation == '*' || operation == '+' || operation == '|') {
        bound = Times(bound > 2 ? bound : 2, number > 2 ? number : 2);
      } else if (operation != '-' && operation != '/' && operation != '%' && operation != '>') {
        bound = UINT64_MAX;
      }  // these four make no number larger
    }
    return bound;
  }

  // How many values an initialiser lists, up to its end.
  uint64_t Values() {
    uint64_t values = 0;
    bool has_value = false;
    int depth = 0;
    for (Advance(); token_.kind != Kind::kEnd && !IsSign(';'); Advance()) {
      if (depth == 0 && IsSign(',')) break;
      if (token_.kind == Kind::kString) {
        values = Add(values, token_.length);  // the opening quote stands for the NUL
      } else if (IsSign('{')) {
        ++depth;
      } else if (IsSign('}') || IsSign(',')) {
        if (has_value) ++values;
        has_value = false;
        depth -= IsSign('}') ? 1 : 0;
      } else {
        has_value = true;
      }
    }
    return has_value ? values + 1 : values;
  }

  Lexer lexer_;
  Token token_ = {};
  uint64_t sum_ = 0;
};

}  // namespace

uint64_t PtxVariableBytes(const char* text, size_t length) {
  return Declarations(text, length).Sum();
}

}  // namespace hami::preload
