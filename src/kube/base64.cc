// SPDX-License-Identifier: Apache-2.0

#include "kube/base64.h"

#include <cstdint>

namespace hami::kube {
namespace {

int ValueOf(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  if (c == '/') return 63;
  return -1;
}

}  // namespace

std::optional<std::string> DecodeBase64(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size() / 4 * 3);
  uint32_t bits = 0;
  int characters = 0;
  int padding = 0;
  for (const char c : text) {
    if (c == ' ' || c == '\n' || c == '\r' || c == '\t') continue;
    const int value = c == '=' ? 0 : ValueOf(c);
    if (c == '=') ++padding;
    if (value < 0 || (padding > 0 && c != '=')) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    if (++characters % 4 != 0) continue;
    if (padding > 2) return std::nullopt;
    decoded += static_cast<char>(bits >> 16 & 255);
    if (padding < 2) decoded += static_cast<char>(bits >> 8 & 255);
    if (padding < 1) decoded += static_cast<char>(bits & 255);
  }
  if (characters % 4 != 0) return std::nullopt;
  return decoded;
}

std::string EncodeBase64(std::string_view data) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((data.size() + 2) / 3 * 4);
  for (size_t i = 0; i < data.size(); i += 3) {
    const size_t left = data.size() - i;
    uint32_t bits = 0;
    for (size_t k = 0; k < 3; ++k) {
      bits = bits << 8 | (k < left ? static_cast<unsigned char>(data[i + k]) : 0U);
    }
    text += kDigits[bits >> 18 & 63];
    text += kDigits[bits >> 12 & 63];
    text += left > 1 ? kDigits[bits >> 6 & 63] : '=';
    text += left > 2 ? kDigits[bits & 63] : '=';
  }
  return text;
}

}  // namespace hami::kube
