// SPDX-License-Identifier: Apache-2.0
//
// The whole process but its command line, before an API server's memory.

#include "scheduler/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/timestamp.h"
#include "extender/fake_api.h"
#include "net/http_client.h"
#include "net/io_thread.h"

namespace hami::scheduler {
namespace {

using extender::FakeApi;
using extender::NodeJson;
using extender::PodJson;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Json = FakeApi::Json;

constexpr char kPods[] = "/api/v1/namespaces/default/pods/";
constexpr char kLease[] = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/hami";

class SchedulerTest : public ::testing::Test {
 protected:
  void StartScheduler(Options options = {}) {
    options.http_bind = "127.0.0.1:0";
    options.metrics_bind_address = "127.0.0.1:0";
    if (options.holder.empty()) options.holder = "hami-1";
    auto made = Scheduler::Make(options, api_.Config());
    ASSERT_TRUE(made) << made.error().message;
    scheduler_ = std::move(*made);
    ASSERT_TRUE(scheduler_->Start());
  }
  net::HttpResponse Ask(const std::string& method, const std::string& path,
                        const std::string& body = "", bool metrics = false) {
    net::HttpRequest request;
    request.method = method;
    const uint16_t port = metrics ? scheduler_->metrics_port() : scheduler_->extender_port();
    request.url = "http://127.0.0.1:" + std::to_string(port) + path;
    request.body = body;
    auto answer = std::make_shared<std::promise<net::HttpResult>>();
    http_.Start(std::move(request),
                [answer](net::HttpResult result) { answer->set_value(std::move(result)); });
    net::HttpResult result = answer->get_future().get();
    EXPECT_TRUE(result.transport);
    return std::move(result.response);
  }
  Json Filter(const Json& pod, const Json& names) {
    const net::HttpResponse answer =
        Ask("POST", "/filter", Json({{"Pod", pod}, {"NodeNames", names}}).dump());
    EXPECT_EQ(answer.status, 200);
    return Json::parse(answer.body);
  }
  Json Bind(const std::string& name, const std::string& uid, const std::string& node) {
    const Json body = {
        {"PodName", name}, {"PodNamespace", "default"}, {"PodUID", uid}, {"Node", node}};
    return Json::parse(Ask("POST", "/bind", body.dump()).body);
  }
  // True once it holds, within half a minute.
  static bool Eventually(const std::function<bool()>& holds) {
    for (int i = 0; i < 3'000; ++i) {
      if (holds()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  // For a hook: pods are listed in pages, and their watch stays silent.
  static bool SaysNothingOfPods(const net::FakeRequest& request, net::FakeConnection& connection) {
    if (request.target.find("/pods?") == std::string::npos ||
        request.target.find("watch=1") == std::string::npos) {
      return false;
    }
    if (request.target.find("sendInitialEvents=true") != std::string::npos) {
      connection.Respond(422, R"({"kind":"Status","reason":"Invalid","code":422})");
      return true;
    }
    connection.BeginChunks();
    connection.WaitForEnd();
    return true;
  }
  bool IsReady() { return Ask("GET", "/readyz").status == 200; }
  bool Leads() { return Ask("GET", "/leaderz").status == 200; }
  bool MetricsHave(const std::string& line) {
    return Ask("GET", "/metrics", "", true).body.find(line + "\n") != std::string::npos;
  }
  static Json Lease(const std::string& holder, int seconds) {
    return {{"metadata", {{"name", "hami"}, {"namespace", "kube-system"}}},
            {"spec",
             {{"holderIdentity", holder},
              {"leaseDurationSeconds", seconds},
              {"renewTime", base::FormatMicroTimestamp(base::SystemClock().WallNs())}}}};
  }
  void PutNode(const std::string& name, int memory_mib = 10'000) {
    api_.Put("/api/v1/nodes/" + name, NodeJson(name, true, 1, memory_mib));
  }
  Json PutPod(const Json& pod) {
    api_.Put(kPods + pod["metadata"]["name"].get<std::string>(), pod);
    return pod;
  }

  // As who leads, or led, bound it: 6 000 MiB of n1's card.
  void PutBoundPod() {
    Json pod = PodJson("a", "ua", 1, 6'000, 10);
    pod["spec"]["nodeName"] = "n1";
    pod["metadata"]["annotations"] = {
        {"hami.io/vgpu-node", "n1"},
        {"hami.io/vgpu-devices-allocated", "GPU-n1-0,NVIDIA,6000,10:;"}};
    PutPod(pod);
  }
  static Options Electing() {
    Options options;
    options.leader_elect = true;
    options.lease_name = "hami";
    options.lease_namespace = "kube-system";
    return options;
  }
  // Watches of pods say nothing until watches_are_silent_ is false again.
  void SilenceWatches() {
    watches_are_silent_ = true;
    api_.SetHook([this](const net::FakeRequest& request, net::FakeConnection& connection) {
      return watches_are_silent_ && SaysNothingOfPods(request, connection);
    });
  }

  std::atomic<bool> watches_are_silent_{false};
  FakeApi api_;
  net::IoThread io_{"tester"};
  net::HttpClient http_{io_, "tester"};
  std::unique_ptr<Scheduler> scheduler_;  // ends first
};

TEST_F(SchedulerTest, PlacesAndBindsAPod) {
  PutNode("n1");
  const Json pod = PutPod(PodJson("a", "ua", 1, 6'000, 10));
  StartScheduler();
  ASSERT_TRUE(Eventually([this] { return IsReady() && Leads(); }));
  EXPECT_EQ(Ask("GET", "/healthz").status, 200);
  EXPECT_EQ(Filter(pod, {"n1"})["NodeNames"], Json({"n1"}));
  EXPECT_EQ(Bind("a", "ua", "n1")["Error"], "");
  EXPECT_THAT(api_.Writes(), ::testing::ElementsAre(std::string("POST ") + kPods + "a/binding"));
  // The watch shows it, and its reservation is over.
  EXPECT_TRUE(
      Eventually([this] { return MetricsHave("hami_scheduler_reservations{state=\"bound\"} 0"); }));
  EXPECT_TRUE(MetricsHave(R"(hami_vgpu_memory_allocated_bytes{zone="vGPU",namespace="default",)"
                          R"(node="n1",pod="a",container_index="0",device_uuid="GPU-n1-0"} )"
                          "6291456000"));
  api_.Delete(std::string(kPods) + "a");
  EXPECT_TRUE(Eventually([this] { return MetricsHave("hami_scheduler_pods 0"); }));
}

// Contract 1.13: the source of events is the scheduler's name, by which people look for them.
TEST_F(SchedulerTest, EventsComeFromTheSchedulersName) {
  struct Seen {
    std::mutex mutex;
    std::map<std::string, std::string> sources;  // by reason
  };
  const auto seen = std::make_shared<Seen>();  // the hook may be running still
  api_.SetHook([seen](const net::FakeRequest& request, net::FakeConnection&) {
    if (request.target.find("/events") == std::string::npos || request.method != "POST") {
      return false;
    }
    const Json event = Json::parse(request.body);
    const std::lock_guard lock(seen->mutex);
    seen->sources[event["reason"]] = event["source"]["component"];
    return false;
  });
  PutNode("n1");
  const Json pod = PutPod(PodJson("a", "ua", 1, 6'000, 10));
  Options options;
  options.scheduler_name = "our-scheduler";
  StartScheduler(options);
  ASSERT_TRUE(Eventually([this] { return IsReady() && Leads(); }));
  Filter(pod, {"n1"});
  Bind("a", "ua", "n1");
  EXPECT_TRUE(Eventually([&] {
    const std::lock_guard lock(seen->mutex);
    return seen->sources["FilteringSucceed"] == "our-scheduler" &&
           seen->sources["BindingSucceed"] == "our-scheduler";
  }));
}

TEST_F(SchedulerTest, WhatWasBoundBeforeItStartedCounts) {
  PutNode("n1");
  PutBoundPod();
  StartScheduler();
  ASSERT_TRUE(Eventually([this] { return IsReady() && Leads(); }));
  const Json answer = Filter(PodJson("b", "ub", 1, 6'000, 10), {"n1"});
  EXPECT_EQ(answer["FailedNodes"]["n1"], "1/1 CardInsufficientMemory");
}

// Contract 11.15: HAMi's scheduler stamps its handshakes on every node, with devices or without.
// A node of a plugin that awaits the answer to one is no exception.
TEST_F(SchedulerTest, NodesAreNotWritten) {
  PutNode("n1");
  api_.Put("/api/v1/nodes/plain", NodeJson("plain", false, 0, 0));
  Json asked = NodeJson("asked", false, 1, 10'000);
  asked["metadata"]["annotations"]["hami.io/node-handshake"] = "Reported_2026-08-21 10:00:00";
  asked["metadata"]["annotations"]["hami.io/node-dcu-register"] =
      "DCU-1,4,32768,100,DCU-Z100L,0,true,0,hami-core:";
  api_.Put("/api/v1/nodes/asked", asked);
  StartScheduler();
  ASSERT_TRUE(Eventually([this] { return IsReady() && Leads(); }));
  PutPod(PodJson("a", "ua", 1, 6'000, 10));
  ASSERT_THAT(Filter(PodJson("a", "ua", 1, 6'000, 10), {"n1", "asked"})["NodeNames"], SizeIs(1));
  // What came later was read too: everything that a node could cause has been.
  PutNode("last");
  EXPECT_TRUE(Eventually([this] { return MetricsHave("hami_scheduler_nodes 4"); }));
  EXPECT_THAT(api_.Writes(), IsEmpty());
}

TEST_F(SchedulerTest, DecidesOnlyWhileTheLeaseIsHere) {
  PutNode("n1");
  StartScheduler(Electing());
  ASSERT_TRUE(Eventually([this] {
    return IsReady() && Ask("GET", "/leaderz").body.find("no Lease") != std::string::npos;
  }));
  const Json pod = PutPod(PodJson("a", "ua", 1, 6'000, 10));
  EXPECT_THAT(Filter(pod, {"n1"})["Error"].get<std::string>(), HasSubstr("no Lease"));
  api_.Put(kLease, Lease("hami-10_x", 3));
  EXPECT_TRUE(Eventually([this] {
    return Ask("GET", "/leaderz").body.find("held by hami-10_x") != std::string::npos;
  }));
  api_.Put(kLease, Lease("hami-1_x", 600));
  EXPECT_TRUE(Eventually([this] { return Leads(); }));
  EXPECT_EQ(Filter(pod, {"n1"})["NodeNames"], Json({"n1"}));
  api_.Put(kLease, Lease("hami-2_x", 600));
  EXPECT_TRUE(Eventually([this] { return !Leads(); }));
  EXPECT_THAT(Bind("a", "ua", "n1")["Error"].get<std::string>(), HasSubstr("may not bind"));
  EXPECT_THAT(api_.Writes(), IsEmpty());
}

// Eight callers over HTTP, each binds what it got while the others choose: twice as many pods as
// there is room for. What the API objects hold is added up.
TEST_F(SchedulerTest, EightCallersNeverGetMoreThanThereIs) {
  constexpr int kNodes = 4;
  constexpr int kMemoryMib = 10'000;
  constexpr int kPodsEach = 10;  // of 4 000 MiB: two on each of the 4 x 2 cards
  Json names = Json::array();
  for (int i = 0; i < kNodes; ++i) {
    names.push_back("n" + std::to_string(i));
    api_.Put("/api/v1/nodes/" + names.back().get<std::string>(),
             NodeJson(names.back(), true, 2, kMemoryMib));
  }
  StartScheduler();
  ASSERT_TRUE(Eventually([this] { return IsReady() && Leads(); }));
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 8; ++caller) {
    callers.emplace_back([&, caller] {
      for (int i = 0; i < kPodsEach; ++i) {
        const std::string name = std::to_string(caller) + "-" + std::to_string(i);
        const Json answer = Filter(PutPod(PodJson(name, "u" + name, 1, 4'000, 10)), names);
        if (answer["NodeNames"].size() == 1) Bind(name, "u" + name, answer["NodeNames"][0]);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  std::map<std::string, int> held_mib;
  int bound = 0;
  for (int caller = 0; caller < 8; ++caller) {
    for (int i = 0; i < kPodsEach; ++i) {
      const Json pod = api_.Get(kPods + std::to_string(caller) + "-" + std::to_string(i));
      if (!pod["spec"].contains("nodeName")) continue;
      const std::string text = pod["metadata"]["annotations"]["hami.io/vgpu-devices-allocated"];
      held_mib[text.substr(0, text.find(','))] += 4'000;
      ++bound;
    }
  }
  EXPECT_EQ(bound, kNodes * 2 * 2);
  for (const auto& [card, mib] : held_mib) EXPECT_LE(mib, kMemoryMib) << card;
}

TEST_F(SchedulerTest, TheLeaseOfADeadLeaderIsReleased) {
  api_.Put(kLease, Lease("hami-2_x", 3));
  StartScheduler(Electing());
  EXPECT_TRUE(Eventually([this] { return api_.Get(kLease)["spec"]["holderIdentity"] == ""; }));
  EXPECT_THAT(api_.Writes(), ::testing::ElementsAre(std::string("PATCH ") + kLease));
  EXPECT_TRUE(Eventually([this] {
    return MetricsHave("hami_scheduler_lease_releases_total{result=\"released\"} 1");
  }));
}

// A kube-scheduler asks as soon as it has its Lease; a pod that is refused then rests for a second.
TEST_F(SchedulerTest, AFilterWaitsUntilTheHoldingBeforeIsOver) {
  PutNode("n1");
  api_.Put(kLease, Lease("hami-2_x", 3));
  StartScheduler(Electing());
  ASSERT_TRUE(Eventually([this] {
    return IsReady() && Ask("GET", "/leaderz").body.find("held by hami-2_x") != std::string::npos;
  }));
  api_.Put(kLease, Lease("hami-1_x", 600));
  EXPECT_EQ(Filter(PutPod(PodJson("a", "ua", 1, 6'000, 10)), {"n1"})["NodeNames"], Json({"n1"}));
}

TEST_F(SchedulerTest, AFollowerIsUnreadyWhereThatIsAsked) {
  Options options = Electing();
  options.readyz = "leader";
  api_.Put(kLease, Lease("hami-2_x", 600));
  StartScheduler(options);
  EXPECT_TRUE(Eventually(
      [this] { return Ask("GET", "/readyz").body.find("held by hami-2_x") != std::string::npos; }));
  EXPECT_EQ(Ask("GET", "/readyz").status, 503);
}

TEST_F(SchedulerTest, ANewLeaderReadsWhatItsWatchHasNotSaidYet) {
  PutNode("n1");
  SilenceWatches();
  StartScheduler(Electing());
  ASSERT_TRUE(Eventually([this] { return IsReady(); }));
  // The leader before bound this; our watch is deaf.
  PutBoundPod();
  api_.Put(kLease, Lease("hami-1_x", 600));
  ASSERT_TRUE(Eventually([this] { return Leads(); }));
  EXPECT_THAT(Filter(PodJson("b", "ub", 1, 6'000, 10), {"n1"})["NodeNames"], SizeIs(0));
  watches_are_silent_ = false;
}

TEST_F(SchedulerTest, AWaitingPodIsWokenWhenAReservationRunsOut) {
  PutNode("n1");
  Options options;
  options.reservation_ms = 1'000;
  StartScheduler(options);
  ASSERT_TRUE(Eventually([this] { return IsReady() && Leads(); }));
  EXPECT_THAT(Filter(PodJson("a", "ua", 1, 6'000, 10), {"n1"})["NodeNames"], SizeIs(1));
  const Json b = PutPod(PodJson("b", "ub", 1, 6'000, 10));
  EXPECT_THAT(Filter(b, {"n1"})["NodeNames"], SizeIs(0));
  EXPECT_THAT(api_.Writes(), IsEmpty());
  ASSERT_TRUE(Eventually([this] { return !api_.Writes().empty(); }));
  EXPECT_EQ(api_.Writes()[0], std::string("PATCH ") + kPods + "b/status");
  EXPECT_EQ(api_.Get(std::string(kPods) + "b")["status"]["conditions"][0]["type"],
            "hami.io/RoomFound");
  EXPECT_TRUE(
      Eventually([this] { return MetricsHave("hami_scheduler_wakes_total{result=\"woken\"} 1"); }));
}

TEST_F(SchedulerTest, APodThatComesByItselfIsNotWoken) {
  PutNode("n1");
  StartScheduler();
  ASSERT_TRUE(Eventually([this] { return IsReady() && Leads(); }));
  const Json a = PutPod(PodJson("a", "ua", 1, 6'000, 10));
  Filter(a, {"n1"});
  ASSERT_EQ(Bind("a", "ua", "n1")["Error"], "");
  const Json b = PutPod(PodJson("b", "ub", 1, 6'000, 10));
  EXPECT_THAT(Filter(b, {"n1"})["NodeNames"], SizeIs(0));
  api_.Delete(std::string(kPods) + "a");
  // kube-scheduler hears of it, too.
  ASSERT_TRUE(Eventually([&] { return Filter(b, {"n1"})["NodeNames"].size() == 1; }));
  EXPECT_EQ(Bind("b", "ub", "n1")["Error"], "");
  EXPECT_THAT(api_.Writes(), ::testing::Each(HasSubstr("/binding")));
}

TEST_F(SchedulerTest, PodsOfLowerPriorityMakeRoom) {
  PutNode("n1");
  StartScheduler();
  ASSERT_TRUE(Eventually([this] { return IsReady() && Leads(); }));
  const Json low = PutPod(PodJson("low", "ul", 1, 6'000, 10));
  Filter(low, {"n1"});
  ASSERT_EQ(Bind("low", "ul", "n1")["Error"], "");
  ASSERT_TRUE(
      Eventually([this] { return MetricsHave("hami_scheduler_reservations{state=\"bound\"} 0"); }));
  Json never = PodJson("never", "un", 1, 6'000, 10);
  never["spec"]["priority"] = 100;
  never["spec"]["preemptionPolicy"] = "Never";
  EXPECT_THAT(Filter(PutPod(never), {"n1"})["NodeNames"], SizeIs(0));
  Json high = PodJson("high", "uh", 1, 6'000, 10);
  high["spec"]["priority"] = 100;
  EXPECT_THAT(Filter(PutPod(high), {"n1"})["NodeNames"], SizeIs(0));
  ASSERT_TRUE(Eventually([this] { return api_.Get(std::string(kPods) + "low").is_null(); }));
  EXPECT_TRUE(Eventually([this] {  // told after the victims were
    const Json status = api_.Get(std::string(kPods) + "high")["status"];
    return status.value("nominatedNodeName", "") == "n1";
  }));
  EXPECT_FALSE(api_.Get(std::string(kPods) + "never")["status"].contains("nominatedNodeName"));
  // The room is its own, and it is told so where kube-scheduler does not come by itself.
  ASSERT_TRUE(Eventually([this] { return MetricsHave("hami_scheduler_pods 2"); }));
  EXPECT_TRUE(
      Eventually([this] { return MetricsHave("hami_scheduler_wakes_total{result=\"woken\"} 1"); }));
  EXPECT_THAT(Filter(PodJson("third", "u3", 1, 6'000, 10), {"n1"})["NodeNames"], SizeIs(0));
  EXPECT_THAT(Filter(high, {"n1"})["NodeNames"], SizeIs(1));
  EXPECT_EQ(Bind("high", "uh", "n1")["Error"], "");
  EXPECT_TRUE(MetricsHave("hami_scheduler_preemptions_total{result=\"made_room\"} 1"));
}

TEST_F(SchedulerTest, ABudgetKeepsPodsFromLeaving) {
  PutNode("n1");
  api_.Put("/apis/policy/v1/namespaces/default/poddisruptionbudgets/keep",
           {{"metadata", {{"name", "keep"}, {"namespace", "default"}}},
            {"spec", {{"selector", {{"matchLabels", {{"app", "x"}}}}}}},
            {"status", {{"disruptionsAllowed", 0}}}});
  StartScheduler();
  ASSERT_TRUE(Eventually([this] { return IsReady() && Leads(); }));
  Json low = PodJson("low", "ul", 1, 6'000, 10);
  low["metadata"]["labels"] = {{"app", "x"}};
  PutPod(low);
  Filter(low, {"n1"});
  ASSERT_EQ(Bind("low", "ul", "n1")["Error"], "");
  ASSERT_TRUE(
      Eventually([this] { return MetricsHave("hami_scheduler_reservations{state=\"bound\"} 0"); }));
  Json high = PodJson("high", "uh", 1, 6'000, 10);
  high["spec"]["priority"] = 100;
  EXPECT_THAT(Filter(PutPod(high), {"n1"})["NodeNames"], SizeIs(0));
  ASSERT_TRUE(Eventually(
      [this] { return MetricsHave("hami_scheduler_preemptions_total{result=\"nothing\"} 1"); }));
  EXPECT_FALSE(api_.Get(std::string(kPods) + "low").is_null());
}

TEST_F(SchedulerTest, WhatTheWatchNeverSaysIsFoundAndCounted) {
  PutNode("n1");
  SilenceWatches();
  Options options;
  options.reconcile_ms = 1'000;
  StartScheduler(options);
  ASSERT_TRUE(Eventually([this] { return IsReady() && Leads(); }));
  ASSERT_TRUE(Eventually(
      [this] { return MetricsHave("hami_scheduler_reconciliations_total{result=\"ok\"} 1"); }));
  EXPECT_TRUE(MetricsHave("hami_scheduler_drift_pods 0"));
  PutBoundPod();
  ASSERT_TRUE(Eventually([this] { return MetricsHave("hami_scheduler_watch_behind_pods 1"); }));
  EXPECT_THAT(Filter(PodJson("b", "ub", 1, 6'000, 10), {"n1"})["NodeNames"], SizeIs(0));
  // And then it is right again.
  ASSERT_TRUE(Eventually([this] { return MetricsHave("hami_scheduler_watch_behind_pods 0"); }));
  watches_are_silent_ = false;
}

TEST_F(SchedulerTest, ABodyOfNineMebibytesIsRead) {
  PutNode("n1");
  StartScheduler();
  ASSERT_TRUE(Eventually([this] { return IsReady() && Leads(); }));
  Json names = {"n1"};
  while (names.size() * 100 < (9U << 20U)) {
    names.push_back(std::string(90, 'x') + std::to_string(names.size()));
  }
  EXPECT_EQ(Filter(PodJson("a", "ua", 1, 6'000, 10), names)["NodeNames"], Json({"n1"}));
}

TEST_F(SchedulerTest, KubeSchedulersPreemptionIsAskedAbout) {
  PutNode("n1");
  PutBoundPod();
  StartScheduler();
  ASSERT_TRUE(Eventually([this] { return IsReady() && Leads(); }));
  const auto left = [this](const char* victim) {
    const Json body = {{"Pod", PodJson("b", "ub", 1, 6'000, 10)},
                       {"NodeNameToMetaVictims", {{"n1", {{"Pods", {{{"UID", victim}}}}}}}}};
    const net::HttpResponse answer = Ask("POST", "/preempt", body.dump());
    EXPECT_EQ(answer.status, 200);
    return Json::parse(answer.body)["NodeNameToMetaVictims"];
  };
  EXPECT_TRUE(left("another").empty());
  EXPECT_TRUE(left("ua").contains("n1"));
}

TEST_F(SchedulerTest, ThePodOfWhoLeadsIsLabelled) {
  const std::string path = "/api/v1/namespaces/hami-system/pods/s-0";
  api_.Put(path, {{"metadata",
                   {{"name", "s-0"},
                    {"namespace", "hami-system"},
                    {"labels", {{"app.kubernetes.io/component", "hami-scheduler"}}}}}});
  Options options = Electing();
  options.pod_name = "s-0";
  options.pod_namespace = "hami-system";
  StartScheduler(options);
  const auto role = [&] {
    return api_.Get(path)["metadata"]["labels"].value("hami.io/scheduler-role", "");
  };
  EXPECT_TRUE(Eventually([&] { return role() == "follower"; }));
  api_.Put(kLease, Lease("hami-1_x", 600));
  EXPECT_TRUE(Eventually([&] { return role() == "leader"; }));
}

TEST_F(SchedulerTest, AFilterAndItsBindAreOneTrace) {
  std::mutex mutex;
  std::string bodies;
  net::FakeHttpServer collector([&](const net::FakeRequest& request, net::FakeConnection& client) {
    const std::lock_guard lock(mutex);
    bodies += request.body;
    client.Respond(200, "{}");
  });
  PutNode("n1");
  Options options;
  options.trace_endpoint = collector.url() + "/v1/traces";
  StartScheduler(options);
  ASSERT_TRUE(Eventually([this] { return IsReady() && Leads(); }));
  Json pod = PodJson("a", "ua", 1, 6'000, 10);
  pod["metadata"]["annotations"] = {
      {"hami.io/traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}};
  PutPod(pod);
  Filter(pod, {"n1"});
  ASSERT_EQ(Bind("a", "ua", "n1")["Error"], "");
  const std::string traceparent =
      api_.Get(std::string(kPods) + "a")["metadata"]["annotations"]["hami.io/traceparent"];
  EXPECT_THAT(traceparent, HasSubstr("4bf92f3577b34da6a3ce929d0e0e4736"));
  EXPECT_TRUE(Eventually([&] {
    const std::lock_guard lock(mutex);
    return bodies.find("\"name\":\"bind\"") != std::string::npos &&
           bodies.find("\"name\":\"filter\"") != std::string::npos;
  }));
  // What stands on the pod is the bind's span.
  const std::lock_guard lock(mutex);
  EXPECT_THAT(bodies, HasSubstr("\"spanId\":\"" + traceparent.substr(36, 16) + "\""));
  scheduler_.reset();
}

TEST_F(SchedulerTest, WrongPoliciesAndConfigurationsDoNotStart) {
  Options options;
  options.node_scheduler_policy = "dice";
  EXPECT_EQ(Scheduler::Make(options, api_.Config()).error().code, Code::kInvalidArgument);
  options = {};
  options.device_config_file = "/nonexistent/file.yaml";
  EXPECT_FALSE(Scheduler::Make(options, api_.Config()));
}

}  // namespace
}  // namespace hami::scheduler
