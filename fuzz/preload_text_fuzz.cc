// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as an image's /etc/ld.so.preload. What must hold: the merged text begins with our line,
// fits its bound, ends in a newline, and merged again it is the same.

#include <stdint.h>
#include <stdlib.h>

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "hook/preload_text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  using hami::hook::kMaxMergedBytes;
  using hami::hook::MergePreloadText;
  constexpr std::string_view kLibrary = "/a";
  static char first[kMaxMergedBytes];
  static char second[kMaxMergedBytes];
  const std::string_view image(reinterpret_cast<const char*>(data),
                               std::min(bytes, hami::hook::kMaxPreloadBytes));
  const size_t merged = MergePreloadText(kLibrary, image, first);
  const std::string_view text(first, merged);
  if (!text.starts_with("/a\n") || !text.ends_with('\n')) abort();
  if (merged > image.size() + kLibrary.size() + 2) abort();
  const size_t again = MergePreloadText(kLibrary, text, second);
  if (std::string_view(second, again) != text) abort();
  return 0;
}
