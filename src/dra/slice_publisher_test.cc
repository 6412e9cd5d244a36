// SPDX-License-Identifier: Apache-2.0
//
// Against a small API server of ResourceSlices over HTTP; the real ones are in tests/cluster.

#include "dra/slice_publisher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "dra/fake_claims.h"
#include "dra/slice_plan.h"
#include "kube/client.h"
#include "net/fake_http_server.h"

namespace hami::dra {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Long enough for any machine; reached by tests that fail only.
constexpr int64_t kLongMs = 60'000;

std::vector<domain::ResourceSlice> SlicesOf(int gpus, int server_minor = 36) {
  SlicePlanInput input = {
      .node_name = kGuideNode, .sysfs = "/nowhere", .server_minor = server_minor};
  for (int number = 0; number < gpus; ++number) input.inventory.devices.push_back(MakeA10(number));
  return PlanSlices(input);
}

class FakeSliceServer {
 public:
  ~FakeSliceServer() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
  }

  kube::ClusterConfig config() const {
    kube::ClusterConfig config;
    config.server = server_.url();
    return config;
  }

  // By name.
  std::map<std::string, json> objects() {
    const std::lock_guard lock(mutex_);
    return objects_;
  }
  std::vector<std::string> writes() {
    const std::lock_guard lock(mutex_);
    return writes_;
  }
  std::vector<std::string> lists() {
    const std::lock_guard lock(mutex_);
    return lists_;
  }

  // Waits until that holds, with the objects and the writes that were accepted.
  void WaitFor(const std::function<bool(const std::map<std::string, json>&,
                                        const std::vector<std::string>&)>& holds) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::milliseconds(kLongMs),
                                  [&] { return holds(objects_, writes_); }));
  }

  // What somebody else does.
  void Delete(const std::string& name) {
    const std::lock_guard lock(mutex_);
    DeleteLocked(name);
  }
  void Put(const std::string& name, json object) {
    const std::lock_guard lock(mutex_);
    object["metadata"]["name"] = name;
    object["metadata"]["uid"] = "uid-" + name;
    objects_[name] = std::move(object);
    Store("ADDED", name);
  }
  void Edit(const std::string& name, const std::function<void(json*)>& edit) {
    const std::lock_guard lock(mutex_);
    edit(&objects_.at(name));
    Store("MODIFIED", name);
  }

  void FailWrites(int count) {
    const std::lock_guard lock(mutex_);
    failures_left_ = count;
  }

  bool drops_sharing = false;
  // Called after a POST was executed and before it is answered.
  std::function<void(const std::string& name)> before_answer;

 private:
  void Store(const std::string& type, const std::string& name) {
    json& object = objects_.at(name);
    object["metadata"]["resourceVersion"] = std::to_string(++version_);
    if (drops_sharing) {
      for (json& device : object["spec"]["devices"]) {
        device.erase("allowMultipleAllocations");
        for (json& capacity : device["capacity"]) capacity.erase("requestPolicy");
      }
    }
    events_.push_back(json{{"type", type}, {"object", object}}.dump() + "\n");
    changed_.notify_all();
  }

  void DeleteLocked(const std::string& name) {
    json object = objects_.at(name);
    object["metadata"]["resourceVersion"] = std::to_string(++version_);
    objects_.erase(name);
    events_.push_back(json{{"type", "DELETED"}, {"object", object}}.dump() + "\n");
    changed_.notify_all();
  }

  void Handle(const net::FakeRequest& request, net::FakeConnection& connection) {
    if (request.target.find("watch=1") != std::string::npos) return Watch(connection);
    if (request.method == "GET") return List(request, connection);
    const std::string name = request.target.substr(request.target.rfind('/') + 1);
    std::unique_lock lock(mutex_);
    if (failures_left_ > 0) {
      --failures_left_;
      lock.unlock();
      return Refuse(500, "InternalError", connection);
    }
    if (request.method == "POST") return Post(json::parse(request.body), &lock, connection);
    if (!objects_.contains(name)) {
      lock.unlock();
      return Refuse(404, "NotFound", connection);
    }
    if (request.method == "DELETE") {
      DeleteLocked(name);
      writes_.push_back("DELETE");
      changed_.notify_all();
      lock.unlock();
      return connection.Respond(200, R"({"kind":"Status","status":"Success"})");
    }
    const json body = json::parse(request.body);
    if (body["metadata"]["resourceVersion"] != objects_[name]["metadata"]["resourceVersion"]) {
      lock.unlock();
      return Refuse(409, "Conflict", connection);
    }
    objects_[name] = body;
    Store("MODIFIED", name);
    writes_.push_back("PUT");
    const std::string answer = objects_[name].dump();
    lock.unlock();
    connection.Respond(200, answer);
  }

  void Post(json object, std::unique_lock<std::mutex>* lock, net::FakeConnection& connection) {
    const std::string name =
        object["metadata"]["generateName"].get<std::string>() + std::to_string(++count_);
    object["metadata"]["name"] = name;
    object["metadata"]["uid"] = "uid-" + name;
    objects_[name] = std::move(object);
    Store("ADDED", name);
    writes_.push_back("POST");
    const std::string answer = objects_[name].dump();
    const auto call = before_answer;
    lock->unlock();
    if (call) call(name);
    connection.Respond(201, answer);
  }

  static void Refuse(int status, const std::string& reason, net::FakeConnection& connection) {
    connection.Respond(status, json{{"kind", "Status"},
                                    {"status", "Failure"},
                                    {"reason", reason},
                                    {"message", "no: " + reason},
                                    {"code", status}}
                                   .dump());
  }

  void List(const net::FakeRequest& request, net::FakeConnection& connection) {
    std::unique_lock lock(mutex_);
    lists_.push_back(request.target);
    json list = {{"kind", "ResourceSliceList"},
                 {"metadata", {{"resourceVersion", std::to_string(events_.size())}}},
                 {"items", json::array()}};
    for (const auto& [name, object] : objects_) list["items"].push_back(object);
    first_event_ = events_.size();
    lock.unlock();
    connection.Respond(200, list.dump());
  }

  // From the last list on: there is one client at a time.
  void Watch(net::FakeConnection& connection) {
    connection.BeginChunks();
    std::unique_lock lock(mutex_);
    size_t next = first_event_;
    for (;;) {
      changed_.wait(lock, [&] { return stop_ || next < events_.size(); });
      if (stop_) return connection.Close();
      const std::string event = events_[next++];
      lock.unlock();
      if (!connection.SendChunk(event)) return;
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stop_ = false;
  std::map<std::string, json> objects_;
  std::vector<std::string> events_;
  size_t first_event_ = 0;
  std::vector<std::string> writes_;
  std::vector<std::string> lists_;
  int version_ = 100;
  int count_ = 0;
  int failures_left_ = 0;
  net::FakeHttpServer server_{
      [this](const net::FakeRequest& request, net::FakeConnection& connection) {
        Handle(request, connection);
      }};
};

class SlicePublisherTest : public ::testing::Test {
 protected:
  SlicePublisherTest() { Begin(); }
  ~SlicePublisherTest() override { publisher_.reset(); }

  void Begin() {
    publisher_.reset();
    client_ = std::make_unique<kube::Client>(api_.config(), kube::ClientOptions{});
    publisher_ = std::make_unique<SlicePublisher>(*client_, kDriverName, kGuideNode);
    publisher_->OnDropped([this](const std::vector<std::string>& gates) {
      const std::lock_guard lock(mutex_);
      dropped_.push_back(gates);
    });
  }

  void Want(std::optional<std::vector<domain::ResourceSlice>> wanted) {
    publisher_->SetWanted(std::move(wanted), {.node_name = kGuideNode, .node_uid = "n1"});
  }
  void WantAndWait(std::optional<std::vector<domain::ResourceSlice>> wanted) {
    Want(std::move(wanted));
    EXPECT_TRUE(publisher_->WaitUntilSettled(kLongMs));
  }
  void WaitForWrites(size_t count) {
    api_.WaitFor([count](const auto&, const auto& writes) { return writes.size() >= count; });
    EXPECT_TRUE(publisher_->WaitUntilSettled(kLongMs));
  }
  void WaitUntilSlicesAre(size_t count) const {
    while (publisher_->stats().slices != count) std::this_thread::yield();
  }
  std::string OnlyName() {
    const auto objects = api_.objects();
    EXPECT_THAT(objects, SizeIs(1));
    return objects.empty() ? "" : objects.begin()->first;
  }

  FakeSliceServer api_;
  std::unique_ptr<kube::Client> client_;
  std::unique_ptr<SlicePublisher> publisher_;
  std::mutex mutex_;
  std::vector<std::vector<std::string>> dropped_;
};

TEST_F(SlicePublisherTest, NothingIsWrittenBeforeItIsToldWhat) {
  while (api_.lists().empty()) std::this_thread::yield();
  EXPECT_THAT(api_.lists()[0], HasSubstr("fieldSelector=spec.nodeName%3Decs-a10-sh%2C"
                                         "spec.driver%3Dhami-core-gpu.project-hami.io"));
  EXPECT_FALSE(publisher_->WaitUntilSettled(0));
  EXPECT_THAT(api_.writes(), IsEmpty());
  EXPECT_FALSE(publisher_->stats().settled);
}

TEST_F(SlicePublisherTest, PublishesOnce) {
  WantAndWait(SlicesOf(2));
  EXPECT_THAT(api_.writes(), ElementsAre("POST"));
  const json slice = api_.objects().at(OnlyName());
  EXPECT_EQ(slice["spec"]["devices"].size(), 2U);
  EXPECT_EQ(slice["metadata"]["ownerReferences"][0]["uid"], "n1");
  const PublisherStats stats = publisher_->stats();
  EXPECT_EQ(stats.generation, 1);
  EXPECT_EQ(stats.writes, 1U);
  EXPECT_EQ(stats.failures, 0U);
  EXPECT_EQ(stats.slices, 1U);
  EXPECT_TRUE(stats.settled);
  EXPECT_EQ(stats.last_error, "");
  WantAndWait(SlicesOf(2));
  EXPECT_THAT(api_.writes(), SizeIs(1));
}

TEST_F(SlicePublisherTest, AnotherProcessLeavesWhatIsRightAlone) {
  WantAndWait(SlicesOf(4, 34));
  EXPECT_THAT(api_.writes(), SizeIs(4));
  Begin();
  WantAndWait(SlicesOf(4, 34));
  EXPECT_THAT(api_.writes(), SizeIs(4));
  EXPECT_EQ(publisher_->stats().generation, 1);
}

TEST_F(SlicePublisherTest, WhatSomebodyDeletesComesBack) {
  WantAndWait(SlicesOf(2));
  api_.Delete(OnlyName());
  WaitForWrites(2);
  EXPECT_EQ(api_.objects().at(OnlyName())["spec"]["pool"]["generation"], 1);
  EXPECT_THAT(api_.writes(), ElementsAre("POST", "POST"));
}

TEST_F(SlicePublisherTest, WhatSomebodyEditsIsPutRight) {
  WantAndWait(SlicesOf(2));
  api_.Edit(OnlyName(), [](json* object) {
    (*object)["spec"]["devices"][0].erase("allowMultipleAllocations");
    for (json& capacity : (*object)["spec"]["devices"][0]["capacity"]) {
      capacity.erase("requestPolicy");
    }
  });
  WaitForWrites(2);
  const json slice = api_.objects().at(OnlyName());
  EXPECT_EQ(slice["spec"]["pool"]["generation"], 2);
  EXPECT_EQ(slice["spec"]["devices"][0]["allowMultipleAllocations"], true);
  EXPECT_EQ(publisher_->stats().generation, 2);
}

TEST_F(SlicePublisherTest, WithdrawsEverything) {
  WantAndWait(SlicesOf(3, 34));
  WantAndWait(std::nullopt);
  EXPECT_THAT(api_.objects(), IsEmpty());
  EXPECT_EQ(publisher_->stats().slices, 0U);
  EXPECT_TRUE(publisher_->stats().settled);
}

TEST_F(SlicePublisherTest, AServerThatFailsIsAskedAgain) {
  api_.FailWrites(2);
  Want(SlicesOf(2));
  while (publisher_->stats().failures == 0) std::this_thread::yield();
  EXPECT_THAT(publisher_->stats().last_error, HasSubstr("create a ResourceSlice"));
  EXPECT_THAT(publisher_->stats().last_error, HasSubstr("no: InternalError"));
  EXPECT_FALSE(publisher_->stats().settled);
  EXPECT_TRUE(publisher_->WaitUntilSettled(kLongMs));
  const PublisherStats stats = publisher_->stats();
  EXPECT_EQ(stats.failures, 2U);
  EXPECT_EQ(stats.writes, 1U);
  EXPECT_EQ(stats.last_error, "");
}

TEST_F(SlicePublisherTest, AServerThatFailsHalfWayEndsWithOneGeneration) {
  WantAndWait(SlicesOf(3, 34));
  api_.before_answer = [this](const std::string&) { api_.FailWrites(1); };
  WantAndWait(SlicesOf(6, 34));
  EXPECT_THAT(api_.objects(), SizeIs(6));
  for (const auto& [name, slice] : api_.objects()) {
    EXPECT_EQ(slice["spec"]["pool"]["generation"], publisher_->stats().generation);
  }
}

TEST_F(SlicePublisherTest, FieldsThatTheServerDropsAreToldOnce) {
  api_.drops_sharing = true;
  WantAndWait(SlicesOf(2, 34));
  EXPECT_THAT(publisher_->stats().dropped, ElementsAre("DRAConsumableCapacity"));
  WantAndWait(SlicesOf(2, 34));
  EXPECT_THAT(api_.writes(), SizeIs(2)) << "it does not fight the server";
  const std::lock_guard lock(mutex_);
  EXPECT_THAT(dropped_, ElementsAre(ElementsAre("DRAConsumableCapacity")));
}

TEST_F(SlicePublisherTest, AServerThatHasLearnedGetsTheFieldsFromANewProcess) {
  api_.drops_sharing = true;
  WantAndWait(SlicesOf(2));
  Begin();
  WantAndWait(SlicesOf(2));
  EXPECT_THAT(publisher_->stats().dropped, SizeIs(1)) << "told again";
  api_.drops_sharing = false;
  Begin();
  WantAndWait(SlicesOf(2));
  EXPECT_THAT(publisher_->stats().dropped, IsEmpty());
  EXPECT_EQ(api_.objects().at(OnlyName())["spec"]["devices"][0]["allowMultipleAllocations"], true);
}

// The watch may tell of a slice's end before the answer tells of its beginning, as when a kubelet
// starts and deletes all slices.
TEST_F(SlicePublisherTest, ASliceDeletedBeforeTheAnswerComesBack) {
  bool first = true;
  api_.before_answer = [&](const std::string& name) {
    if (!first) return;
    first = false;
    WaitUntilSlicesAre(1);
    api_.Delete(name);
    WaitUntilSlicesAre(0);
  };
  Want(SlicesOf(2));
  WaitForWrites(2);
  EXPECT_THAT(api_.objects(), SizeIs(1));
  EXPECT_EQ(publisher_->stats().slices, 1U);
}

TEST_F(SlicePublisherTest, ASliceEditedBeforeTheAnswerIsPutRight) {
  bool first = true;
  api_.before_answer = [&](const std::string& name) {
    if (!first) return;
    first = false;
    api_.Edit(name, [](json* object) { (*object)["spec"]["devices"].clear(); });
    // Somebody else's slice, by which one sees that the edit has been told.
    json twin = api_.objects().at(name);
    api_.Put("twin", twin);
    WaitUntilSlicesAre(2);
  };
  Want(SlicesOf(2));
  api_.WaitFor([](const auto& objects, const auto& writes) {
    return writes.size() >= 3 && objects.size() == 1 &&
           objects.begin()->second["spec"]["devices"].size() == 2;
  });
  EXPECT_TRUE(publisher_->WaitUntilSettled(kLongMs));
}

}  // namespace
}  // namespace hami::dra
