// SPDX-License-Identifier: Apache-2.0

#include "dra/slice_changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <limits>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "dra/fake_claims.h"
#include "dra/slice_plan.h"

namespace hami::dra {
namespace {

using domain::ResourceSlice;
using domain::SliceDevice;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Wanted = std::optional<std::vector<ResourceSlice>>;

std::vector<ResourceSlice> SlicesOf(int gpus, int server_minor = 36) {
  SlicePlanInput input = {
      .node_name = kGuideNode, .sysfs = "/nowhere", .server_minor = server_minor};
  for (int number = 0; number < gpus; ++number) input.inventory.devices.push_back(MakeA10(number));
  return PlanSlices(input);
}

// Sorted, because the order of slices says nothing.
std::multiset<std::string> TextsOf(const std::vector<ResourceSlice>& slices) {
  std::multiset<std::string> texts;
  for (ResourceSlice slice : slices) {
    slice.name = slice.uid = slice.resource_version = "";
    slice.pool_generation = 0;
    texts.insert(domain::WriteResourceSlice(slice, {}));
  }
  return texts;
}

// The API server's side, with its rules for writes.
class FakeSlices {
 public:
  const std::vector<ResourceSlice>& now() const { return now_; }
  std::vector<ResourceSlice>& edit() { return now_; }

  void Create(ResourceSlice slice) {
    EXPECT_EQ(slice.name, "");
    slice.name = "slice-" + std::to_string(++count_);
    slice.uid = "uid-" + slice.name;
    slice.resource_version = std::to_string(++version_);
    now_.push_back(std::move(slice));
  }
  void Update(ResourceSlice slice) {
    const auto found = std::ranges::find(now_, slice.name, &ResourceSlice::name);
    ASSERT_NE(found, now_.end()) << slice.name;
    EXPECT_EQ(slice.uid, found->uid);
    EXPECT_EQ(slice.resource_version, found->resource_version);
    // ValidateResourceSliceUpdate: these three can never change.
    EXPECT_EQ(slice.pool_name, found->pool_name);
    EXPECT_EQ(slice.driver, found->driver);
    EXPECT_EQ(slice.node_name, found->node_name);
    slice.resource_version = std::to_string(++version_);
    *found = std::move(slice);
  }
  void Remove(const ResourceSlice& slice) {
    const auto found = std::ranges::find(now_, slice.name, &ResourceSlice::name);
    ASSERT_NE(found, now_.end()) << slice.name;
    EXPECT_EQ(slice.uid, found->uid);
    now_.erase(found);
  }

  // In the publisher's order; stops after `writes`, as when the server fails. Looks after each.
  bool Apply(const SliceChanges& changes, int writes = 1000, std::function<void()> look = [] {}) {
    const auto each = [&](const std::vector<ResourceSlice>& slices, auto write) {
      for (const ResourceSlice& slice : slices) {
        if (writes-- == 0) return false;
        write(slice);
        look();
      }
      return true;
    };
    return each(changes.remove, [this](const ResourceSlice& slice) { Remove(slice); }) &&
           each(changes.update, [this](const ResourceSlice& slice) { Update(slice); }) &&
           each(changes.create, [this](const ResourceSlice& slice) { Create(slice); });
  }

 private:
  std::vector<ResourceSlice> now_;
  int count_ = 0;
  int version_ = 0;
};

class SliceChangesTest : public ::testing::Test {
 protected:
  SliceChanges Plan(const Wanted& wanted) const {
    return PlanChanges(wanted, api_.now(), generation_, {});
  }

  // As the publisher does, and looks that this was all.
  SliceChanges Publish(const Wanted& wanted) {
    SliceChanges changes = Plan(wanted);
    EXPECT_TRUE(api_.Apply(changes));
    generation_ = changes.generation;
    ExpectShown(wanted);
    return changes;
  }

  void ExpectShown(const Wanted& wanted) const {
    EXPECT_TRUE(Plan(wanted).empty());
    EXPECT_EQ(TextsOf(api_.now()), TextsOf(wanted.value_or(std::vector<ResourceSlice>())));
    for (const ResourceSlice& slice : api_.now()) EXPECT_EQ(slice.pool_generation, generation_);
  }

  FakeSlices api_;
  int64_t generation_ = 0;
};

TEST_F(SliceChangesTest, TheFirstGenerationIsOne) {
  const SliceChanges changes = Publish(SlicesOf(2));
  EXPECT_THAT(changes.create, SizeIs(1));
  EXPECT_EQ(changes.create[0].pool_generation, 1);
  EXPECT_EQ(changes.generation, 1);
}

TEST_F(SliceChangesTest, WhatIsRightIsLeftAlone) {
  Publish(SlicesOf(4, 34));
  EXPECT_TRUE(Plan(SlicesOf(4, 34)).empty());
  generation_ = 0;  // a driver that has just started
  const SliceChanges changes = Plan(SlicesOf(4, 34));
  EXPECT_TRUE(changes.empty());
  EXPECT_EQ(changes.generation, 1);
}

TEST_F(SliceChangesTest, ASliceThatSomebodyDeletedComesBackAsItWas) {
  Publish(SlicesOf(4, 34));
  Publish(SlicesOf(3, 34));
  api_.edit().erase(api_.edit().begin() + 1);
  const SliceChanges changes = Publish(SlicesOf(3, 34));
  EXPECT_THAT(changes.create, SizeIs(1));
  EXPECT_THAT(changes.update, IsEmpty());
  EXPECT_EQ(changes.generation, 2);
}

// The kubelet deletes all slices of its node when it starts (contract section 1.9).
TEST_F(SliceChangesTest, AfterAKubeletsStartAllComeBackAsTheyWere) {
  Publish(SlicesOf(1));
  Publish(SlicesOf(3));
  api_.edit().clear();
  const SliceChanges changes = Publish(SlicesOf(3));
  EXPECT_THAT(changes.create, SizeIs(1));
  EXPECT_EQ(changes.create[0].pool_generation, 2);
}

TEST_F(SliceChangesTest, WhatSomebodyEditedIsPutRightUnderANewGeneration) {
  Publish(SlicesOf(2, 34));
  api_.edit()[0].devices[0].attributes["productName"] = std::string("NVIDIA H100");
  const SliceChanges changes = Publish(SlicesOf(2, 34));
  EXPECT_THAT(changes.update, SizeIs(2)) << "readers take slices of one generation only";
  EXPECT_THAT(changes.create, IsEmpty());
  EXPECT_EQ(changes.generation, 2);
}

TEST_F(SliceChangesTest, AGenerationThatSomebodyRaisedIsGoneBeyond) {
  Publish(SlicesOf(2, 34));
  api_.edit()[1].pool_generation = 40;
  EXPECT_EQ(Publish(SlicesOf(2, 34)).generation, 41);
}

TEST_F(SliceChangesTest, AfterTheLastGenerationComesTheFirst) {
  Publish(SlicesOf(2, 34));
  api_.edit()[1].pool_generation = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(Publish(SlicesOf(2, 34)).generation, 1);
}

TEST_F(SliceChangesTest, MoreGpusAndFewer) {
  Publish(SlicesOf(2, 34));
  const SliceChanges more = Publish(SlicesOf(3, 34));
  EXPECT_THAT(more.update, SizeIs(2));
  EXPECT_THAT(more.create, SizeIs(1));
  const SliceChanges fewer = Publish(SlicesOf(1, 34));
  EXPECT_THAT(fewer.update, SizeIs(1));
  EXPECT_THAT(fewer.remove, SizeIs(2));
  EXPECT_EQ(fewer.generation, 3);
  EXPECT_THAT(Publish(SlicesOf(0)).update, SizeIs(1));
}

TEST_F(SliceChangesTest, WhatMayNotBePublishedIsWithdrawn) {
  Publish(SlicesOf(3, 34));
  EXPECT_THAT(Publish(std::nullopt).remove, SizeIs(3));
  EXPECT_TRUE(Plan(std::nullopt).empty());
  EXPECT_EQ(Publish(SlicesOf(3)).create[0].pool_generation, 1) << "nobody has seen another";
}

TEST_F(SliceChangesTest, AnotherLayoutIsReplaced) {
  Publish(SlicesOf(3, 34));
  generation_ = 0;  // the server was upgraded, the driver started anew
  const SliceChanges changes = Publish(SlicesOf(3, 36));
  EXPECT_THAT(changes.update, SizeIs(1));
  EXPECT_THAT(changes.remove, SizeIs(2));
  EXPECT_EQ(changes.generation, 2);
}

TEST_F(SliceChangesTest, ASliceOfAnotherPoolCannotBeMadeOurs) {
  ResourceSlice leftover = SlicesOf(2)[0];
  leftover.pool_name = "ecs-a10-sh/gpus";
  leftover.pool_generation = 5;
  api_.Create(leftover);
  const SliceChanges changes = Publish(SlicesOf(2));
  EXPECT_THAT(changes.remove, SizeIs(1));
  EXPECT_THAT(changes.create, SizeIs(1));

  api_.Create(leftover);
  EXPECT_THAT(Publish(SlicesOf(3)).remove, SizeIs(1));
}

TEST_F(SliceChangesTest, ADuplicateIsRemoved) {
  Publish(SlicesOf(2));
  ResourceSlice twin = api_.now()[0];
  twin.name = "";
  api_.Create(twin);
  EXPECT_THAT(Publish(SlicesOf(2)).remove, SizeIs(1));
}

// --- whatever happens ---------------------------------------------------------------------------

// What a scheduler makes of the pool: the devices of the highest generation once all its slices are
// there, else nothing.
std::optional<std::vector<std::string>> ReaderView(const std::vector<ResourceSlice>& now) {
  int64_t highest = 0;
  for (const ResourceSlice& slice : now) highest = std::max(highest, slice.pool_generation);
  std::vector<std::string> devices;
  int64_t there = 0;
  int64_t expected = 0;
  for (const ResourceSlice& slice : now) {
    if (slice.pool_generation != highest) continue;
    ++there;
    expected = slice.pool_slices;
    for (const SliceDevice& device : slice.devices) devices.push_back(device.name);
  }
  if (there == 0 || there != expected) return std::nullopt;
  std::ranges::sort(devices);
  return devices;
}

constexpr int64_t kLastGeneration = std::numeric_limits<int64_t>::max();

class SliceStormTest : public SliceChangesTest {
 protected:
  int Pick(int count) { return std::uniform_int_distribution<int>(0, count - 1)(random_); }

  Wanted AnyWanted() {
    if (Pick(6) == 0) return std::nullopt;
    return SlicesOf(Pick(5), Pick(2) == 0 ? 34 : 36);
  }

  // What somebody else may do to our slices.
  void Disturb() {
    std::vector<ResourceSlice>& slices = api_.edit();
    if (Pick(8) == 0) return slices.clear();
    if (slices.empty() || Pick(8) == 0) {
      ResourceSlice foreign = SlicesOf(Pick(3))[0];
      foreign.pool_generation = Pick(6);
      if (Pick(2) == 0) foreign.pool_name = "elsewhere";
      return api_.Create(foreign);
    }
    ResourceSlice& slice = slices[static_cast<size_t>(Pick(static_cast<int>(slices.size())))];
    switch (Pick(7)) {
      case 0:
        slices.erase(slices.begin());
        return;
      case 1:
        slice.pool_generation =
            std::clamp<int64_t>(slice.pool_generation, 2, kLastGeneration - 2) + (Pick(5) - 2);
        return;
      case 2:
        slice.pool_generation = kLastGeneration;
        return;
      case 3:
        slice.pool_slices += 1;
        return;
      case 4:
        slice.devices.clear();
        return;
      case 5:
        for (SliceDevice& device : slice.devices) device.shareable = false;
        return;
      default: {
        ResourceSlice twin = slice;
        twin.name = "";
        api_.Create(twin);
      }
    }
  }

  std::mt19937 random_;
};

TEST_F(SliceStormTest, TwoRoundsAreEnoughWhateverOthersDid) {
  for (unsigned seed = 0; seed < 2000; ++seed) {
    SCOPED_TRACE(seed);
    random_.seed(seed);
    api_ = FakeSlices();
    generation_ = 0;
    for (int step = 0; step < 6; ++step) {
      const Wanted wanted = AnyWanted();
      for (int edits = Pick(4); edits > 0; --edits) Disturb();
      if (Pick(4) == 0) generation_ = 0;  // the driver was restarted
      // The server fails somewhere in the first round; the second gets through.
      const SliceChanges first = Plan(wanted);
      if (api_.Apply(first, Pick(2) == 0 ? Pick(5) : 1000)) generation_ = first.generation;
      Publish(wanted);
      ASSERT_FALSE(HasFailure());
    }
  }
}

// As long as nobody disturbs, a reader sees the old pool, or none, or the new one.
TEST_F(SliceStormTest, ReadersNeverSeeAMixture) {
  for (unsigned seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(seed);
    random_.seed(seed);
    api_ = FakeSlices();
    generation_ = 0;
    for (int step = 0; step < 6; ++step) {
      const std::optional<std::vector<std::string>> before = ReaderView(api_.now());
      const SliceChanges changes = Plan(AnyWanted());
      std::vector<std::optional<std::vector<std::string>>> seen;
      ASSERT_TRUE(api_.Apply(changes, 1000, [&] { seen.push_back(ReaderView(api_.now())); }));
      generation_ = changes.generation;
      const std::optional<std::vector<std::string>> after = ReaderView(api_.now());
      for (const auto& view : seen) {
        EXPECT_TRUE(!view || view == before || view == after) << ::testing::PrintToString(view);
      }
      ASSERT_FALSE(HasFailure());
    }
  }
}

}  // namespace
}  // namespace hami::dra
