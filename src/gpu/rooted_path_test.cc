// SPDX-License-Identifier: Apache-2.0
//
// Links in a driver's root mean that root.

#include "gpu/rooted_path.h"

#include <gtest/gtest.h>

#include "gpu/fake_driver_tree.h"

namespace hami::gpu {
namespace {

class RootedPathTest : public ::testing::Test {
 protected:
  RootedPathTest() {
    tree_.File("usr/lib/libcuda.so.1");
    tree_.Link("lib", "usr/lib");
    tree_.Link("lib64", "/usr/lib");
    tree_.Link("up", "../../../../usr");
    tree_.Link("circle", "circle");
    tree_.Link("nowhere", "/etc/passwd");  // ours has it, the root has not
  }
  std::string Resolve(const std::string& path) {
    const Result<std::string> resolved = ResolveInRoot(tree_.path(), path);
    return resolved ? *resolved
                    : "error " + std::to_string(static_cast<int>(resolved.error().code));
  }
  FakeDriverTree tree_;
};

TEST_F(RootedPathTest, FollowsLinksInside) {
  EXPECT_EQ(Resolve("usr/lib/libcuda.so.1"), "/usr/lib/libcuda.so.1");
  EXPECT_EQ(Resolve("/usr//lib/./libcuda.so.1"), "/usr/lib/libcuda.so.1");
  EXPECT_EQ(Resolve("lib/libcuda.so.1"), "/usr/lib/libcuda.so.1");
  EXPECT_EQ(Resolve("lib64/libcuda.so.1"), "/usr/lib/libcuda.so.1");
}

TEST_F(RootedPathTest, NeverLeavesTheRoot) {
  EXPECT_EQ(Resolve("up/lib"), "/usr/lib");
  EXPECT_EQ(Resolve("../../usr"), "/usr");
  EXPECT_EQ(Resolve(".."), "/");
  EXPECT_EQ(Resolve(""), "/");
}

TEST_F(RootedPathTest, SaysWhatIsNotThere) {
  EXPECT_EQ(Resolve("nowhere"), "error 5");
  EXPECT_EQ(Resolve("usr/lib/libcuda.so.1/below"), "error 5");
  EXPECT_EQ(Resolve("circle"), "error 9");
}

TEST_F(RootedPathTest, OurOwnRootIsARootToo) {
  EXPECT_EQ(*ResolveInRoot("/", tree_.path() + "/lib"), tree_.path() + "/usr/lib");
}

}  // namespace
}  // namespace hami::gpu
