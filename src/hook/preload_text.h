// SPDX-License-Identifier: Apache-2.0
//
// The text of a container's /etc/ld.so.preload: our library first, then what the image had. glibc's
// loader (elf/rtld.c) reads it as names between blanks, tabs, newlines and colons; from '#' to the
// end of a line is a comment; a zero byte ends it. First, so that nothing in the image's text can
// hide ours.

#pragma once

#include <stddef.h>

#include <span>
#include <string_view>

namespace hami::hook {

// Longest text that is accepted of an image, and longest path of a library.
inline constexpr size_t kMaxPreloadBytes = size_t{64} << 10;
inline constexpr size_t kMaxLibraryPathBytes = 1024;
inline constexpr size_t kMaxMergedBytes = kMaxPreloadBytes + kMaxLibraryPathBytes + 2;

// True if the loader can read the path back out of the file: absolute, no separator, no '#'.
bool IsPreloadPath(std::string_view library);

// Writes the merged text and returns its length, at most image_text.size() + library.size() + 2.
// Where the image names the library too, that name is left out. `out` must have the room.
size_t MergePreloadText(std::string_view library, std::string_view image_text, std::span<char> out);

}  // namespace hami::hook
