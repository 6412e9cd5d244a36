// SPDX-License-Identifier: Apache-2.0

#include "hook/preload_text.h"

#include <gtest/gtest.h>

#include <string>

namespace hami::hook {
namespace {

std::string Merge(std::string_view image_text) {
  static char out[kMaxMergedBytes];
  const size_t bytes = MergePreloadText("/opt/ours.so", image_text, out);
  EXPECT_LE(bytes, image_text.size() + std::string_view("/opt/ours.so").size() + 2);
  return {out, bytes};
}

TEST(PreloadTextTest, OursComesFirst) {
  EXPECT_EQ(Merge(""), "/opt/ours.so\n");
  EXPECT_EQ(Merge("/usr/lib/libjemalloc.so.2\n"), "/opt/ours.so\n/usr/lib/libjemalloc.so.2\n");
  EXPECT_EQ(Merge("/a.so:/b.so /c.so"), "/opt/ours.so\n/a.so:/b.so /c.so\n");
  EXPECT_EQ(Merge("# a comment\n\n/a.so # another"),
            "/opt/ours.so\n# a comment\n\n/a.so # another\n");
}

TEST(PreloadTextTest, OursIsNotDoubled) {
  EXPECT_EQ(Merge("/opt/ours.so"), "/opt/ours.so\n");
  EXPECT_EQ(Merge("/opt/ours.so\n"), "/opt/ours.so\n");
  EXPECT_EQ(Merge("/a.so\n/opt/ours.so\n/b.so\n"), "/opt/ours.so\n/a.so\n/b.so\n");
  EXPECT_EQ(Merge("/a.so:/opt/ours.so:/opt/ours.so#c"), "/opt/ours.so\n/a.so:#c\n");
  EXPECT_EQ(Merge("/opt/ours.so.1\n#/opt/ours.so\n"),
            "/opt/ours.so\n/opt/ours.so.1\n#/opt/ours.so\n");
}

TEST(PreloadTextTest, NothingHidesOurs) {
  EXPECT_EQ(Merge(std::string("\0/a.so", 6)), "/opt/ours.so\n");
  EXPECT_EQ(Merge("#"), "/opt/ours.so\n#\n");
  const std::string most(kMaxPreloadBytes, 'x');
  EXPECT_EQ(Merge(most), "/opt/ours.so\n" + most + "\n");
}

TEST(PreloadTextTest, KnowsWhatTheLoaderCanRead) {
  EXPECT_TRUE(IsPreloadPath("/etc/hami/lib/libvgpu.so"));
  EXPECT_TRUE(IsPreloadPath("/" + std::string(kMaxLibraryPathBytes - 1, 'x')));
  EXPECT_FALSE(IsPreloadPath("/" + std::string(kMaxLibraryPathBytes, 'x')));
  for (const char* path : {"", "/", "a.so", "/a b", "/a:b", "/a#b", "/a\nb", "/a\tb", "/a\rb"}) {
    EXPECT_FALSE(IsPreloadPath(path)) << path;
  }
}

}  // namespace
}  // namespace hami::hook
