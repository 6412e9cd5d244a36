// SPDX-License-Identifier: Apache-2.0
//
// The kubelet's side is played by a gRPC client that knows the protocols and nothing of ours.

#include "dra/kubelet_plugin.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "api/proto/dra_v1.grpc.pb.h"
#include "api/proto/dra_v1beta1.grpc.pb.h"
#include "api/proto/plugin_registration.grpc.pb.h"
#include "base/file.h"
#include "base/temporary_folder.h"

namespace hami::dra {
namespace {

namespace v1 = k8s::io::kubelet::pkg::apis::dra::v1;
namespace v1beta1 = k8s::io::kubelet::pkg::apis::dra::v1beta1;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr char kDriver[] = "hami-core-gpu.project-hami.io";

// Answers by the claim's name: "bad..." fails, "two" has two devices, of which one is shared.
class Service : public ClaimService {
 public:
  Result<std::vector<PreparedDevice>> Prepare(const ClaimRef& claim) override {
    Note("+" + claim.namespace_name + "/" + claim.name + "/" + claim.uid);
    if (hold != nullptr) hold->wait();
    if (claim.name.starts_with("bad")) return Fail(Code::kUnavailable, claim.name + " is bad");
    std::vector<PreparedDevice> devices = {
        {"one", "pool", "hami-gpu-0", "share-" + claim.name, "vendor/class=" + claim.uid}};
    if (claim.name == "two") devices.push_back({"two", "pool", "hami-gpu-1", "", "vendor/class=w"});
    return devices;
  }
  Status Unprepare(const ClaimRef& claim) override {
    Note("-" + claim.namespace_name + "/" + claim.name + "/" + claim.uid);
    if (claim.name.starts_with("bad")) return Fail(Code::kInternal, claim.name + " stays");
    return {};
  }

  std::vector<std::string> asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  size_t calls() const { return calls_; }

  std::shared_future<void>* hold = nullptr;  // until then Prepare does not return

 private:
  void Note(std::string what) {
    const std::lock_guard lock(mutex_);
    asked_.push_back(std::move(what));
    ++calls_;
  }

  std::mutex mutex_;
  std::vector<std::string> asked_;
  std::atomic<size_t> calls_{0};
};

class KubeletPluginTest : public ::testing::Test {
 protected:
  KubeletPluginTest() { EXPECT_TRUE(base::MakeFolders(options_.registry_folder, 0755)); }

  void Start() {
    Result<std::unique_ptr<KubeletPlugin>> started = KubeletPlugin::Start(options_, &service_);
    ASSERT_TRUE(started) << started.error().message;
    plugin_ = std::move(*started);
  }

  static std::shared_ptr<grpc::Channel> Dial(const std::string& socket) {
    return grpc::CreateChannel("unix:" + socket, grpc::InsecureChannelCredentials());
  }
  std::unique_ptr<v1::DRAPlugin::Stub> DialV1() const {
    return v1::DRAPlugin::NewStub(Dial(service_socket_));
  }
  std::unique_ptr<v1beta1::DRAPlugin::Stub> DialV1beta1() const {
    return v1beta1::DRAPlugin::NewStub(Dial(service_socket_));
  }

  // Prepares claims of these names; UIDs are "uid-<name>".
  template <typename Request, typename Response, typename Stub>
  Response Prepare(Stub& stub, const std::vector<std::string>& names) {
    Request request;
    for (const std::string& name : names) AddClaim(name, &request);
    Response response;
    grpc::ClientContext context;
    const grpc::Status status = stub->NodePrepareResources(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  v1::NodePrepareResourcesResponse PrepareV1(const std::vector<std::string>& names) {
    auto stub = DialV1();
    return Prepare<v1::NodePrepareResourcesRequest, v1::NodePrepareResourcesResponse>(stub, names);
  }
  template <typename Request>
  static void AddClaim(const std::string& name, Request* request) {
    auto* claim = request->add_claims();
    claim->set_namespace_("ns");
    claim->set_name(name);
    claim->set_uid("uid-" + name);
  }
  template <typename Map>
  static std::set<std::string> KeysOf(const Map& map) {
    std::set<std::string> keys;
    for (const auto& [key, value] : map) keys.insert(key);
    return keys;
  }

  const base::TemporaryFolder root_;
  KubeletPluginOptions options_ = {.driver_name = kDriver,
                                   .plugin_folder = root_ / "plugins/driver",
                                   .registry_folder = root_ / "plugins_registry"};
  const std::string service_socket_ = root_ / "plugins/driver/dra.sock";
  const std::string registry_socket_ =
      root_ / "plugins_registry/hami-core-gpu.project-hami.io-reg.sock";
  Service service_;
  std::unique_ptr<KubeletPlugin> plugin_;
};

TEST_F(KubeletPluginTest, TellsTheKubeletWhereToCall) {
  Start();
  const auto stub = pluginregistration::Registration::NewStub(Dial(registry_socket_));
  pluginregistration::PluginInfo info;
  grpc::ClientContext context;
  const grpc::Status status = stub->GetInfo(&context, {}, &info);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(info.type(), "DRAPlugin");
  EXPECT_EQ(info.name(), kDriver);
  EXPECT_EQ(info.endpoint(), service_socket_);
  EXPECT_THAT(info.supported_versions(), UnorderedElementsAre("v1.DRAPlugin", "v1beta1.DRAPlugin"));
}

TEST_F(KubeletPluginTest, KnowsWhatTheKubeletThinksOfIt) {
  Start();
  EXPECT_FALSE(plugin_->registered());
  EXPECT_EQ(plugin_->refusal(), "");
  const auto stub = pluginregistration::Registration::NewStub(Dial(registry_socket_));
  const auto notify = [&](bool registered, const std::string& error) {
    pluginregistration::RegistrationStatus status;
    status.set_plugin_registered(registered);
    status.set_error(error);
    pluginregistration::RegistrationStatusResponse response;
    grpc::ClientContext context;
    EXPECT_TRUE(stub->NotifyRegistrationStatus(&context, status, &response).ok());
  };
  notify(false, "an older one is there");
  EXPECT_FALSE(plugin_->registered());
  EXPECT_EQ(plugin_->refusal(), "an older one is there");
  notify(true, "");
  EXPECT_TRUE(plugin_->registered());
  EXPECT_EQ(plugin_->refusal(), "");
}

// Contract section 4, fault 2: the share's id is part of the answer.
TEST_F(KubeletPluginTest, V1HasEveryDeviceWithItsShare) {
  Start();
  const auto response = PrepareV1({"two"});
  ASSERT_THAT(KeysOf(response.claims()), ElementsAre("uid-two"));
  const v1::NodePrepareResourceResponse& claim = response.claims().at("uid-two");
  EXPECT_EQ(claim.error(), "");
  ASSERT_EQ(claim.devices_size(), 2);
  EXPECT_THAT(claim.devices(0).request_names(), ElementsAre("one"));
  EXPECT_EQ(claim.devices(0).pool_name(), "pool");
  EXPECT_EQ(claim.devices(0).device_name(), "hami-gpu-0");
  EXPECT_THAT(claim.devices(0).cdi_device_ids(), ElementsAre("vendor/class=uid-two"));
  EXPECT_EQ(claim.devices(0).share_id(), "share-two");
  EXPECT_THAT(claim.devices(1).request_names(), ElementsAre("two"));
  EXPECT_FALSE(claim.devices(1).has_share_id()) << "a device that is not shared has none";
  EXPECT_THAT(service_.asked(), ElementsAre("+ns/two/uid-two"));
}

TEST_F(KubeletPluginTest, V1beta1HasTheSameWithoutShares) {
  Start();
  auto stub = DialV1beta1();
  const auto response =
      Prepare<v1beta1::NodePrepareResourcesRequest, v1beta1::NodePrepareResourcesResponse>(
          stub, {"two", "bad"});
  ASSERT_THAT(KeysOf(response.claims()), ElementsAre("uid-bad", "uid-two"));
  const v1beta1::NodePrepareResourceResponse& claim = response.claims().at("uid-two");
  ASSERT_EQ(claim.devices_size(), 2);
  EXPECT_THAT(claim.devices(0).request_names(), ElementsAre("one"));
  EXPECT_EQ(claim.devices(1).device_name(), "hami-gpu-1");
  EXPECT_THAT(claim.devices(1).cdi_device_ids(), ElementsAre("vendor/class=w"));
  EXPECT_EQ(response.claims().at("uid-bad").error(), "bad is bad");

  v1beta1::NodeUnprepareResourcesRequest request;
  AddClaim("two", &request);
  v1beta1::NodeUnprepareResourcesResponse unprepared;
  grpc::ClientContext context;
  ASSERT_TRUE(stub->NodeUnprepareResources(&context, request, &unprepared).ok());
  EXPECT_THAT(KeysOf(unprepared.claims()), ElementsAre("uid-two"));
  EXPECT_EQ(unprepared.claims().at("uid-two").error(), "");
}

// Contract section 2.2: an error is its claim's own; one entry for each UID, and no other.
TEST_F(KubeletPluginTest, OneBadClaimIsNoneOfTheOthersBusiness) {
  Start();
  std::vector<std::string> names = {"bad"};
  std::set<std::string> uids = {"uid-bad"};
  for (int number = 0; number < 30; ++number) {
    names.push_back("c" + std::to_string(number));
    uids.insert("uid-" + names.back());
  }
  const auto response = PrepareV1(names);
  EXPECT_EQ(KeysOf(response.claims()), uids);
  for (const auto& [uid, claim] : response.claims()) {
    EXPECT_EQ(claim.error(), uid == "uid-bad" ? "bad is bad" : "");
    ASSERT_EQ(claim.devices_size(), uid == "uid-bad" ? 0 : 1) << uid;
    if (uid == "uid-bad") continue;
    EXPECT_THAT(claim.devices(0).cdi_device_ids(), ElementsAre("vendor/class=" + uid));
  }
}

TEST_F(KubeletPluginTest, UnprepareAnswersForEachClaim) {
  Start();
  v1::NodeUnprepareResourcesRequest request;
  for (const char* name : {"a", "bad", "b"}) AddClaim(name, &request);
  v1::NodeUnprepareResourcesResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(DialV1()->NodeUnprepareResources(&context, request, &response).ok());
  EXPECT_THAT(KeysOf(response.claims()), ElementsAre("uid-a", "uid-b", "uid-bad"));
  EXPECT_EQ(response.claims().at("uid-a").error(), "");
  EXPECT_EQ(response.claims().at("uid-bad").error(), "bad stays");
  EXPECT_THAT(service_.asked(),
              UnorderedElementsAre("-ns/a/uid-a", "-ns/bad/uid-bad", "-ns/b/uid-b"));
}

TEST_F(KubeletPluginTest, NoClaimsNoEntries) {
  Start();
  EXPECT_THAT(KeysOf(PrepareV1({}).claims()), IsEmpty());
  EXPECT_THAT(KeysOf(PrepareV1({"a", "a"}).claims()), ElementsAre("uid-a")) << "twice is once";
}

// Contract section 4, fault 7: claims of one call, and of several, are prepared side by side.
TEST_F(KubeletPluginTest, ClaimsDoNotWaitForEachOther) {
  std::promise<void> go;
  std::shared_future<void> hold = go.get_future().share();
  service_.hold = &hold;
  Start();
  auto first = std::async(std::launch::async, [&] { return PrepareV1({"a", "b", "c"}); });
  auto second = std::async(std::launch::async, [&] { return PrepareV1({"d"}); });
  // Would wait for ever if one had to end before the next begins.
  while (service_.calls() < 4) std::this_thread::yield();
  go.set_value();
  EXPECT_EQ(first.get().claims_size(), 3);
  EXPECT_EQ(second.get().claims_size(), 1);
}

TEST_F(KubeletPluginTest, ParallelWorkHasABound) {
  std::promise<void> go;
  std::shared_future<void> hold = go.get_future().share();
  service_.hold = &hold;
  options_.parallel_claims = 2;
  Start();
  auto answer = std::async(std::launch::async, [&] { return PrepareV1({"a", "b", "c", "d"}); });
  while (service_.calls() < 2) std::this_thread::yield();
  EXPECT_EQ(service_.calls(), 2U);
  go.set_value();
  EXPECT_EQ(answer.get().claims_size(), 4);
}

// --- sockets ------------------------------------------------------------------------------------

TEST_F(KubeletPluginTest, SocketsAreThereAsLongAsItLives) {
  Start();
  EXPECT_TRUE(plugin_->SocketsExist());
  struct stat info = {};
  ASSERT_EQ(stat(registry_socket_.c_str(), &info), 0);
  EXPECT_TRUE(S_ISSOCK(info.st_mode));
  plugin_.reset();
  EXPECT_THAT(base::ListFolder(options_.registry_folder).value(), IsEmpty());
  EXPECT_THAT(base::ListFolder(options_.plugin_folder).value(), IsEmpty());
}

TEST_F(KubeletPluginTest, NoticesThatSomebodyTookItsSockets) {
  for (const std::string& socket : {service_socket_, registry_socket_}) {
    Start();
    ASSERT_TRUE(base::RemoveTree(socket));
    EXPECT_FALSE(plugin_->SocketsExist());
    plugin_.reset();
  }
}

TEST_F(KubeletPluginTest, WhatAKilledProcessLeftIsReplaced) {
  ASSERT_TRUE(base::MakeFolders(options_.plugin_folder, 0750));
  for (const std::string& path : {service_socket_, registry_socket_}) {
    ASSERT_TRUE(base::WriteFileAtomically(path, "", 0600));
  }
  Start();
  EXPECT_THAT(KeysOf(PrepareV1({"a"}).claims()), SizeIs(1));
}

TEST_F(KubeletPluginTest, ACallUnderWayIsAnsweredBeforeTheEnd) {
  std::promise<void> go;
  std::shared_future<void> hold = go.get_future().share();
  service_.hold = &hold;
  Start();
  auto answer = std::async(std::launch::async, [&] { return PrepareV1({"a"}); });
  while (service_.calls() < 1) std::this_thread::yield();
  auto end = std::async(std::launch::async, [&] { plugin_.reset(); });
  while (base::Exists(service_socket_)) std::this_thread::yield();  // nobody else can call now
  go.set_value();
  EXPECT_EQ(answer.get().claims().at("uid-a").error(), "");
  end.get();
}

TEST_F(KubeletPluginTest, APathThatNoSocketCanHaveIsRefused) {
  const std::string long_name(100, 'k');
  KubeletPluginOptions options = options_;
  options.plugin_folder = root_ / long_name;
  const auto service = KubeletPlugin::Start(options, &service_);
  ASSERT_FALSE(service);
  EXPECT_EQ(service.error().code, Code::kInvalidArgument);
  EXPECT_THAT(service.error().message, HasSubstr("107"));
  EXPECT_FALSE(base::Exists(options.plugin_folder)) << "before anything is made";

  options = options_;
  options.registry_folder = root_ / long_name;
  const auto registry = KubeletPlugin::Start(options, &service_);
  ASSERT_FALSE(registry);
  EXPECT_EQ(registry.error().code, Code::kInvalidArgument);
  EXPECT_FALSE(base::Exists(service_socket_));
}

TEST_F(KubeletPluginTest, TheLongestPathWorks) {
  const size_t left = 107 - std::string(root_ / "/dra.sock").size();
  options_.plugin_folder = root_ / std::string(left, 'k');
  ASSERT_EQ(std::string(options_.plugin_folder + "/dra.sock").size(), 107U);
  Start();
  EXPECT_TRUE(plugin_->SocketsExist());
}

TEST_F(KubeletPluginTest, WithoutARegistryNothingIsLeft) {
  ASSERT_TRUE(base::RemoveTree(options_.registry_folder));
  const auto started = KubeletPlugin::Start(options_, &service_);
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, Code::kUnavailable);
  EXPECT_THAT(started.error().message, HasSubstr(registry_socket_));
  EXPECT_FALSE(base::Exists(service_socket_));
}

}  // namespace
}  // namespace hami::dra
