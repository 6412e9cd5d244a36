// SPDX-License-Identifier: Apache-2.0

#include "hook/preload_text.h"

namespace hami::hook {
namespace {

constexpr std::string_view kSeparators = " \t\n:";

bool IsSeparator(char c) { return kSeparators.find(c) != std::string_view::npos; }

class Output {
 public:
  explicit Output(std::span<char> out) : out_(out) {}
  void Append(std::string_view text) {
    for (const char c : text) {
      if (bytes_ < out_.size()) out_[bytes_++] = c;
    }
  }
  void EndLine() {
    if (bytes_ == 0 || out_[bytes_ - 1] != '\n') Append("\n");
  }
  size_t bytes() const { return bytes_; }

 private:
  std::span<char> out_;
  size_t bytes_ = 0;
};

// The comment, separator or name at the beginning of `text`.
std::string_view FirstPiece(std::string_view text) {
  if (text[0] == '#') return text.substr(0, text.find('\n'));
  size_t end = 1;
  if (!IsSeparator(text[0])) {
    while (end < text.size() && !IsSeparator(text[end]) && text[end] != '#') ++end;
  }
  return text.substr(0, end);
}

}  // namespace

bool IsPreloadPath(std::string_view library) {
  if (library.size() < 2 || library.size() > kMaxLibraryPathBytes || library[0] != '/') {
    return false;
  }
  for (const char c : library) {
    if (IsSeparator(c) || c == '#' || static_cast<unsigned char>(c) < ' ') return false;
  }
  return true;
}

size_t MergePreloadText(std::string_view library, std::string_view image_text,
                        std::span<char> out) {
  Output merged(out);
  merged.Append(library);
  merged.Append("\n");
  // The loader reads no further than a zero byte.
  image_text = image_text.substr(0, image_text.find('\0'));
  while (!image_text.empty()) {
    const std::string_view piece = FirstPiece(image_text);
    image_text.remove_prefix(piece.size());
    if (piece == library) {
      // With what separates it from the next one.
      if (!image_text.empty() && IsSeparator(image_text[0])) image_text.remove_prefix(1);
      continue;
    }
    merged.Append(piece);
  }
  merged.EndLine();
  return merged.bytes();
}

}  // namespace hami::hook
