// SPDX-License-Identifier: Apache-2.0

#include "top/plain_text.h"

#include <algorithm>

namespace hami::top {

std::string PlainText(std::string_view text, size_t most) {
  constexpr std::string_view kDots = "...";
  std::string plain(text.substr(0, most));
  std::ranges::replace_if(plain, [](char c) { return c < ' ' || c > '~'; }, '?');
  if (text.size() > most && most >= kDots.size()) {
    plain.replace(most - kDots.size(), kDots.size(), kDots);
  }
  return plain;
}

}  // namespace hami::top
