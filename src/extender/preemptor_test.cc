// SPDX-License-Identifier: Apache-2.0

#include "extender/preemptor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <thread>

#include "extender/fake_extender.h"

namespace hami::extender {
namespace {

// A full card, and a pod of higher priority that wants it.
class PreemptorTest : public ExtenderTest {
 protected:
  PreemptorTest() : ExtenderTest({.preempt_patience_ms = 0}) {
    high_["spec"]["priority"] = 100;
    PutNode("n1", 1, 10'000);
    PutPod(PodJson("low", "u1", 1, 8'000, 10));
    PutHolder("low", "u1", "n1", 8'000);
  }
  void Start(const PreemptorOptions& options = {.retry_ms = 10}) {
    preemptor_ = std::make_unique<Preemptor>(options, registry_, client_, state_, leader_, events_,
                                             metrics_);
    extender_.SetPreemptor(preemptor_.get());
  }
  // Before what the hook uses is gone.
  void Stop() {
    extender_.SetPreemptor(nullptr);
    preemptor_.reset();
    api_.SetHook({});
  }
  bool Refused(const Json& pod) { return Filter(pod, {"n1"})["NodeNames"].empty(); }
  int Count(const std::string& result) {
    const std::string text = metrics_registry_.Text();
    const std::string name = "hami_scheduler_preemptions_total{result=\"" + result + "\"} ";
    const size_t at = text.find(name);
    return at == std::string::npos ? 0 : std::stoi(text.substr(at + name.size()));
  }
  static bool Eventually(const std::function<bool()>& holds) {
    for (int i = 0; i < 3'000 && !holds(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return holds();
  }
  // While the preemptor reads PodDisruptionBudgets, `meanwhile` happens.
  void MakeRoomWhile(const std::function<void()>& meanwhile) {
    std::promise<void> asked;
    std::promise<void> go_on;
    std::atomic<bool> first = true;
    const std::shared_future<void> gone_on = go_on.get_future().share();
    api_.SetHook([&asked, &first, gone_on](const net::FakeRequest& request, net::FakeConnection&) {
      if (IsAboutBudgets(request)) {
        if (first.exchange(false)) asked.set_value();
        gone_on.wait();
      }
      return false;
    });
    Start();
    EXPECT_TRUE(Refused(high_));
    asked.get_future().wait();
    meanwhile();
    go_on.set_value();
    EXPECT_TRUE(Eventually([this] { return Count("withdrawn") + Count("made_room") > 0; }));
    Stop();
  }
  static bool IsAboutBudgets(const net::FakeRequest& request) {
    return request.target.find("poddisruptionbudgets") != std::string::npos;
  }

  Json high_ = PodJson("high", "uh", 1, 6'000, 10);
  std::unique_ptr<Preemptor> preemptor_;
};

TEST_F(PreemptorTest, WhereKubeSchedulerMakesRoomNobodyElseIsEvicted) {
  const Json victims = {{"n1", {{"Pods", {{{"UID", "u1"}}}}, {"NumPDBViolations", 0}}}};
  MakeRoomWhile([&] { EXPECT_EQ(Preempt(high_, victims), victims); });
  EXPECT_EQ(Count("withdrawn"), 1);
  EXPECT_FALSE(state_.FindReservation("uh"));
  EXPECT_FALSE(Pod("low").is_null());
}

TEST_F(PreemptorTest, NobodyLeavesForAPodThatWasDeletedMeanwhile) {
  ShowPod(high_);
  MakeRoomWhile([this] { state_.pods().OnDelete({"default", "high"}, 0); });
  EXPECT_EQ(Count("withdrawn"), 1);
  EXPECT_FALSE(state_.FindReservation("uh"));
  EXPECT_FALSE(Pod("low").is_null());
}

TEST_F(PreemptorTest, NobodyLeavesForAPodThatWasBoundMeanwhile) {
  PutNode("n2", 1, 10'000);
  MakeRoomWhile([this] { PutHolder("high", "uh", "n2", 6'000, 100); });
  EXPECT_EQ(Count("withdrawn"), 1);
  EXPECT_FALSE(state_.FindReservation("uh"));
  EXPECT_FALSE(Pod("low").is_null());
}

TEST_F(PreemptorTest, WhatTheApiRefusesIsTriedAgain) {
  std::atomic<int> budgets = 0;
  std::atomic<int> evictions = 0;
  api_.SetHook([&](const net::FakeRequest& request, net::FakeConnection& connection) {
    const bool is_eviction = request.target.find("/eviction") != std::string::npos;
    const bool refuse =
        (IsAboutBudgets(request) && ++budgets <= 2) || (is_eviction && ++evictions <= 2);
    if (refuse) connection.Respond(403, R"({"kind":"Status","code":403,"reason":"Forbidden"})");
    return refuse;
  });
  Start();
  EXPECT_TRUE(Refused(high_));
  EXPECT_TRUE(Eventually([this] { return Count("made_room") > 0; }));
  EXPECT_EQ(Count("failed"), 2);
  EXPECT_EQ(Count("refused"), 2);
  EXPECT_TRUE(Pod("low").is_null());
  EXPECT_EQ(state_.FindReservation("uh")->hold, Hold::kNominated);
  Stop();
}

TEST_F(PreemptorTest, WhoIsAboutToBeBoundLeavesOnceTheApiShowsIt) {
  PutNode("n2", 1, 10'000);
  const Json late = PodJson("late", "u2", 1, 8'000, 10);
  PutPod(late);
  ASSERT_FALSE(Filter(late, {"n2"})["NodeNames"].empty());
  Start();
  EXPECT_TRUE(Filter(high_, {"n2"})["NodeNames"].empty());
  ASSERT_TRUE(Eventually([this] { return Count("nothing") >= 2; }));
  EXPECT_FALSE(Pod("late").is_null());
  PutHolder("late", "u2", "n2", 8'000);
  EXPECT_TRUE(Eventually([this] { return Count("made_room") > 0; }));
  EXPECT_TRUE(Pod("late").is_null());
  Stop();
}

TEST_F(PreemptorTest, WhoStoppedWaitingIsNotTriedAgain) {
  ShowPod(high_);
  std::atomic<int> budgets = 0;
  api_.SetHook([&](const net::FakeRequest& request, net::FakeConnection& connection) {
    if (!IsAboutBudgets(request)) return false;
    ++budgets;
    connection.Respond(403, R"({"kind":"Status","code":403,"reason":"Forbidden"})");
    return true;
  });
  Start();
  EXPECT_TRUE(Refused(high_));
  ASSERT_TRUE(Eventually([&] { return budgets >= 2; }));
  state_.pods().OnDelete({"default", "high"}, 0);
  // What was under way ends.
  ASSERT_TRUE(Eventually([&] { return !state_.Waits("uh"); }));
  const int before = budgets;
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_LE(budgets, before + 1);
  Stop();
}

TEST_F(PreemptorTest, WhoComesWhenTooManyWaitIsCounted) {
  api_.SetHook([](const net::FakeRequest& request, net::FakeConnection& connection) {
    if (!IsAboutBudgets(request)) return false;
    connection.Respond(403, R"({"kind":"Status","code":403,"reason":"Forbidden"})");
    return true;
  });
  Start({.retry_ms = 60'000});
  for (int i = 0; i < 256; ++i) {
    const std::string name = "high" + std::to_string(i);
    Json pod = PodJson(name, name, 1, 6'000, 10);
    pod["spec"]["priority"] = 100;
    EXPECT_TRUE(Refused(pod));
  }
  ASSERT_TRUE(Eventually([this] { return Count("failed") >= 256; }));
  EXPECT_TRUE(Refused(high_));
  EXPECT_EQ(Count("dropped"), 1);
  Stop();
}

}  // namespace
}  // namespace hami::extender
