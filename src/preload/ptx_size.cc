// SPDX-License-Identifier: Apache-2.0

#include "preload/ptx_size.h"

#include <string_view>

// Names in quotes are sections of the PTX ISA document.
namespace hami::preload {
namespace {

constexpr uint64_t kTooMany = UINT64_MAX;
// Of a type that we do not know. The opaque ones ("Texture Sampler and Surface Types") take up to
// 52 bytes with ptxas 11.8, all others 16 or less.
constexpr uint64_t kUnknownTypeBytes = 64;
constexpr uint64_t kWarpThreads = 32;

uint64_t Add(uint64_t a, uint64_t b) {
  uint64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? kTooMany : sum;
}

uint64_t Times(uint64_t a, uint64_t b) {
  uint64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? kTooMany : product;
}

uint64_t AlignUp(uint64_t bytes, uint64_t alignment) {
  const uint64_t beyond = bytes % alignment;
  return beyond == 0 ? bytes : Add(bytes, alignment - beyond);
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
// "Identifiers".
bool IsLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || c == '%';
}

struct Token {
  enum class Kind : uint8_t { kEnd, kDirective, kWord, kNumber, kString, kSign };
  Kind kind;
  bool is_attached;  // nothing lies between it and the token before
  std::string_view text;

  bool Is(std::string_view expected) const { return text == expected && kind != Kind::kString; }
};

class Lexer {
 public:
  Lexer(const char* text, size_t length) : at_(text), end_(text + length) {}

  Token Next() {
    using Kind = Token::Kind;
    const char* const before = at_;
    SkipBlanks();
    const char* const begin = at_;
    const auto make = [&](Kind kind) {
      return Token{kind, begin == before,
                   std::string_view(begin, static_cast<size_t>(at_ - begin))};
    };
    const char first = Peek();
    if (first == 0) return make(Kind::kEnd);
    ++at_;
    if (first == '.' && IsLetter(Peek())) {
      SkipWord();
      return make(Kind::kDirective);
    }
    if (IsDigit(first) || IsLetter(first)) {
      SkipWord();
      return make(IsDigit(first) ? Kind::kNumber : Kind::kWord);
    }
    if (first != '"') return make(Kind::kSign);
    // Over line ends to the next quote; a backslash is a character like others.
    while (Peek() != 0 && Peek() != '"') ++at_;
    if (Peek() == 0) return make(Kind::kEnd);
    ++at_;
    return make(Kind::kString);
  }

 private:
  char Peek() const { return at_ < end_ ? *at_ : '\0'; }
  bool Starts(char first, char second) const {
    return end_ - at_ >= 2 && at_[0] == first && at_[1] == second;
  }
  void SkipWord() {
    while (IsLetter(Peek()) || IsDigit(Peek())) ++at_;
  }

  // "Comments" and "Source Format". Only a line feed ends a // comment, not a carriage return.
  void SkipBlanks() {
    while (true) {
      const char c = Peek();
      if (c == ' ' || (c >= '\t' && c <= '\r')) {
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

// "Integer Constants": decimal, 0x, 0b, octal with 0; a U may follow. False: not one of them.
bool ParseNumber(std::string_view text, uint64_t* out) {
  if (!text.empty() && text.back() == 'U') text.remove_suffix(1);
  unsigned base = 10;
  if (text.size() > 1 && text[0] == '0') {
    const char mark = text[1];
    base = mark == 'x' || mark == 'X' ? 16 : mark == 'b' || mark == 'B' ? 2 : 8;
    text.remove_prefix(base == 8 ? 1 : 2);
  }
  if (text.empty()) return false;
  uint64_t number = 0;
  for (const char c : text) {
    unsigned digit = 16;
    if (IsDigit(c)) digit = static_cast<unsigned>(c - '0');
    if (c >= 'a' && c <= 'f') digit = static_cast<unsigned>(c - 'a') + 10;
    if (c >= 'A' && c <= 'F') digit = static_cast<unsigned>(c - 'A') + 10;
    if (digit >= base) return false;
    number = Add(Times(number, base), digit);
  }
  *out = number;
  return true;
}

// "Fundamental Types", "Alternate Floating-Point Data Formats" and "Packed Data Types": the bits
// are the number behind the letters, x2 and x4 that many of them. 0: not such a type.
uint64_t TypeBytes(std::string_view word) {
  word.remove_prefix(1);  // the dot
  if (word.starts_with("bf") || word.starts_with("tf")) word.remove_prefix(1);
  if (word[0] != 'b' && word[0] != 'u' && word[0] != 's' && word[0] != 'f') return 0;
  word.remove_prefix(1);
  uint64_t bits = 0;
  while (!word.empty() && IsDigit(word[0])) {
    bits = Add(Times(bits, 10), static_cast<uint64_t>(word[0] - '0'));
    word.remove_prefix(1);
  }
  if (word.size() == 2 && word[0] == 'x' && IsDigit(word[1])) {
    bits = Times(bits, static_cast<uint64_t>(word[1] - '0'));
  } else if (!word.empty()) {
    return 0;
  }
  return bits % 8 == 0 && bits <= 128 ? bits / 8 : 0;
}

// "Vectors": .v2, .v4, .v8. 0: not a vector.
uint64_t VectorLanes(std::string_view word) {
  if (word.size() != 3 || word[1] != 'v' || !IsDigit(word[2])) return 0;
  return static_cast<uint64_t>(word[2] - '0');
}

class Scanner {
 public:
  Scanner(const char* text, size_t length) : lexer_(text, length), token_(lexer_.Next()) {}

  uint64_t Sum();

 private:
  using Kind = Token::Kind;

  // What stands before the names of a declaration and holds for each of them.
  struct Type {
    uint64_t bytes;
    uint64_t alignment;
  };

  // "State Spaces". In old texts .tex is another way to say .global ("Texture State Space").
  bool IsSpace() const {
    return token_.kind == Kind::kDirective &&
           (token_.Is(".global") || token_.Is(".const") || token_.Is(".tex"));
  }
  bool EndsStatement() const { return token_.Is(";") || token_.Is("{") || token_.Is("}"); }
  void Advance();
  void SkipBehind(std::string_view sign);
  void TakeAlignment();
  Type TakeType();
  void CountDeclaration();
  void CountVariable(const Type& type);
  uint64_t TakeNumber(std::string_view closing);
  uint64_t TakeInitialiser();

  Lexer lexer_;
  Token token_;
  // "Instruction Statements": ".global" of "ld.global.u32" belongs to the instruction's name. There
  // are no instructions outside of functions, where it may stand right behind a word and be a state
  // space (".target sm_80.global").
  bool is_suffix_ = false;
  uint32_t braces_ = 0;
  uint32_t brackets_ = 0;
  uint64_t alignment_ = 0;  // what .align said in this statement so far
  uint64_t sum_ = 0;
};

void Scanner::Advance() {
  const bool was_name = token_.kind == Kind::kWord || is_suffix_;
  if (token_.Is("{")) ++braces_;
  if (token_.Is("}") && braces_ > 0) --braces_;
  token_ = lexer_.Next();
  is_suffix_ = braces_ > 0 && was_name && token_.is_attached && token_.kind == Kind::kDirective;
}

// Or to the end of the statement, which is not skipped.
void Scanner::SkipBehind(std::string_view sign) {
  while (token_.kind != Kind::kEnd && !EndsStatement()) {
    const bool is_found = token_.Is(sign);
    Advance();
    if (is_found) return;
  }
}

uint64_t Scanner::Sum() {
  while (token_.kind != Kind::kEnd) {
    if (EndsStatement()) {
      brackets_ = 0;
      alignment_ = 0;
    }
    if (token_.Is("(")) ++brackets_;
    if (token_.Is(")") && brackets_ > 0) --brackets_;
    // In the list of parameters it says where a pointer points to ("Kernel Function Parameter
    // Attribute: .ptr").
    if (IsSpace() && !is_suffix_ && brackets_ == 0) {
      CountDeclaration();
    } else if (token_.Is(".align") && brackets_ == 0) {
      TakeAlignment();
    } else {
      Advance();
    }
  }
  return sum_;
}

// "Alignment". ptxas takes it on either side of the state space, and more than once.
void Scanner::TakeAlignment() {
  Advance();
  uint64_t value = 0;
  if (token_.kind == Kind::kNumber && ParseNumber(token_.text, &value) && value > alignment_) {
    alignment_ = value;
  }
}

// "Variable Declarations": behind the state space, in this order, alignment, vector, type and name;
// ".attribute(.managed)" anywhere before the type ("Variable and Function Attribute Directive").
Scanner::Type Scanner::TakeType() {
  uint64_t bytes = 0;
  uint64_t lanes = 1;
  uint32_t depth = 0;  // ".attribute(.unified(1, 2))"
  Advance();
  while (token_.kind != Kind::kEnd && !EndsStatement()) {
    if (depth == 0 && token_.kind == Kind::kWord) break;
    if (depth == 0 && token_.Is(".align")) {
      TakeAlignment();
      continue;
    }
    if (token_.Is("[")) {
      SkipBehind("]");  // the bank of a constant, until PTX 2.2
      continue;
    }
    if (token_.Is("(")) ++depth;
    if (token_.Is(")") && depth > 0) --depth;
    if (depth == 0 && token_.kind == Kind::kDirective) {
      const uint64_t type = TypeBytes(token_.text);
      const uint64_t vector = VectorLanes(token_.text);
      if (type > bytes) bytes = type;
      if (vector > lanes) lanes = vector;
    }
    Advance();
  }
  bytes = Times(bytes != 0 ? bytes : kUnknownTypeBytes, lanes);
  return {bytes, alignment_ != 0 ? alignment_ : bytes};  // by default that of one element
}

void Scanner::CountDeclaration() {
  const Type type = TakeType();
  while (token_.kind == Kind::kWord) {
    CountVariable(type);
    if (!token_.Is(",")) return;
    Advance();
  }
}

// A name and its size. An .extern variable counts like others: ptxas makes it here unless its size
// is open ("Linking Directives: .extern" would have it elsewhere).
void Scanner::CountVariable(const Type& type) {
  uint64_t elements = 1;
  uint64_t variables = 1;
  bool is_open = false;
  Advance();
  // "Parameterized Variable Names": name<8> declares name0 to name7, made if they are used.
  if (token_.Is("<")) {
    Advance();
    variables = TakeNumber(">");
  }
  // "Array Declarations": the first dimension may be left to the initialiser.
  while (token_.Is("[")) {
    Advance();
    if (token_.Is("]")) {
      is_open = true;
      Advance();
    } else {
      elements = Times(elements, TakeNumber("]"));
    }
  }
  uint64_t initialised = 0;
  if (token_.Is("=")) initialised = TakeInitialiser();
  if (is_open) elements = Times(elements, initialised);
  const uint64_t bytes = AlignUp(Times(type.bytes, elements), type.alignment);
  sum_ = Add(AlignUp(sum_, type.alignment), Times(bytes, variables));
}

// What stands in brackets: an integer constant or WARP_SZ ("Predefined Constants"). Constant
// expressions ptxas refuses here.
uint64_t Scanner::TakeNumber(std::string_view closing) {
  uint64_t number = kTooMany;
  if (token_.Is("WARP_SZ")) {
    number = kWarpThreads;
    Advance();
  } else if (token_.kind == Kind::kNumber) {
    if (!ParseNumber(token_.text, &number)) number = kTooMany;
    Advance();
  }
  if (!token_.Is(closing)) number = kTooMany;
  SkipBehind(closing);
  return number;
}

// "Initializers": the number of elements of the outermost list, which are lists themselves if there
// are more dimensions, perhaps shorter than these say; so are vectors. There are no strings, but
// who would take them would make a byte of each character.
uint64_t Scanner::TakeInitialiser() {
  uint64_t elements = 1;
  uint32_t depth = 0;
  while (token_.kind != Kind::kEnd && !token_.Is(";")) {
    if (depth == 0 && (token_.Is(",") || token_.Is("}"))) break;
    if (token_.Is("{")) ++depth;
    if (token_.Is("}")) --depth;
    if (depth == 1 && token_.Is(",")) elements = Add(elements, 1);
    if (token_.kind == Kind::kString) elements = Add(elements, token_.text.size());
    Advance();
  }
  return elements;
}

}  // namespace

uint64_t PtxVariableBytes(const char* text, size_t length) { return Scanner(text, length).Sum(); }

}  // namespace hami::preload
