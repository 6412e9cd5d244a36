// SPDX-License-Identifier: Apache-2.0

#include "simctl/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "simctl/builtin_profiles.h"
#include "simctl/machine_state.h"
#include "simgpu/state/fake_machine.h"

namespace hami::simctl {
namespace {

namespace fs = std::filesystem;
using simgpu::AttachedMachine;
using testing::EndsWith;
using testing::HasSubstr;

class StoreTest : public testing::Test {
 protected:
  StoreTest() {
    folder_ = fs::temp_directory_path() / "hami-store-XXXXXX";
    if (mkdtemp(folder_.data()) == nullptr) abort();
    setenv("HAMI_STATE_DIR", folder_.c_str(), 1);
  }
  ~StoreTest() override {
    unsetenv("HAMI_STATE_DIR");
    fs::remove_all(folder_);
  }

  static Result<Simulation> Create(const Store& store, const char* name, const char* profile) {
    return store.Create(name, *LoadBuiltinProfile(profile));
  }

  const std::string& folder() const { return folder_; }

 private:
  std::string folder_;
};

TEST_F(StoreTest, ASimulationHasAllThatProgramsLookFor) {
  const Result<Store> store = Store::Open();
  ASSERT_TRUE(store.has_value()) << store.error().message;
  EXPECT_EQ(store->root(), folder() + "/sim");
  const Result<Simulation> made = Create(*store, "one", "a10-550");
  ASSERT_TRUE(made.has_value()) << made.error().message;
  for (const char* file : {"lib/libcuda.so.1", "lib/libcuda.so", "lib/libnvidia-ml.so.1",
                           "lib/libnvidia-ml.so", "bin/nvidia-smi", "state", "sim.yaml"}) {
    EXPECT_TRUE(fs::is_regular_file(fs::path(made->folder) / file)) << file;
  }
  EXPECT_THAT(fs::read_symlink(made->folder + "/lib/libcuda.so.1").string(),
              EndsWith("/550/libcuda.so.1"));
  EXPECT_EQ(made->profile.kernels, LoadBuiltinProfile("a10-550")->kernels);
  std::vector<std::string> broken;
  ASSERT_EQ(store->List(&broken)->size(), 1U);
  EXPECT_TRUE(broken.empty());
  const Result<Simulation> again = Create(*store, "one", "a10-550");
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, Code::kAlreadyExists);
}

TEST_F(StoreTest, TheDriversBranchDecidesTheLibraries) {
  const Result<Store> store = Store::Open();
  const Result<Simulation> made = Create(*store, "big", "h200-580");
  ASSERT_TRUE(made.has_value()) << made.error().message;
  EXPECT_THAT(fs::read_symlink(made->folder + "/lib/libnvidia-ml.so.1").string(),
              EndsWith("/580/libnvidia-ml.so.1"));
}

TEST_F(StoreTest, InUseItIsOnlyForcedAway) {
  const Result<Store> store = Store::Open();
  const Result<Simulation> made = Create(*store, "one", "a10-550");
  ASSERT_TRUE(made.has_value()) << made.error().message;
  {
    const AttachedMachine user(made->StatePath());
    ASSERT_TRUE(user.Reserve(1 << 20));
    const Status reset = store->Reset(*made, false);
    ASSERT_FALSE(reset.has_value());
    EXPECT_EQ(reset.error().code, Code::kFailedPrecondition);
    EXPECT_THAT(reset.error().message, HasSubstr("--force"));
    EXPECT_FALSE(store->Delete(*made, false).has_value());
    EXPECT_TRUE(store->Reset(*made, true).has_value());
    // The user keeps the old machine; the new one is empty.
    EXPECT_EQ(user.Used(), 1U << 20);
    EXPECT_EQ((*ReadMachineState(made->StatePath()))[0].used_bytes, 0U);
  }
  EXPECT_TRUE(store->Reset(*made, false).has_value());
  EXPECT_TRUE(store->Delete(*made, false).has_value());
  EXPECT_FALSE(fs::exists(made->folder));
  EXPECT_EQ(store->Find("one").error().code, Code::kNotFound);
}

TEST_F(StoreTest, WhatCannotBeReadIsNamed) {
  const Result<Store> store = Store::Open();
  ASSERT_TRUE(Create(*store, "one", "a10-550").has_value());
  fs::create_directories(store->root() + "/torn");
  std::vector<std::string> broken;
  EXPECT_EQ(store->List(&broken)->size(), 1U);
  ASSERT_EQ(broken.size(), 1U);
  EXPECT_THAT(broken[0], HasSubstr("torn"));
}

}  // namespace
}  // namespace hami::simctl
