// SPDX-License-Identifier: Apache-2.0
//
// The decision table (contract hami-control-plane.md section 3), row by row. A patch is judged by
// what it makes of the pod, applied by another implementation of RFC 6902.

#include "webhook/admission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "net/fake_http_server.h"
#include "webhook/fake_reviews.h"

namespace hami::webhook {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class AdmissionTest : public ::testing::Test {
 protected:
  // As Mutate decides about it; what comes of the pod is in made_.
  Answer Mutate(const json& pod) { return MutateReview(FakeReview(pod), pod); }

  Answer MutateReview(const json& text, const json& pod) {
    json::array_t().swap(operations_);
    const PodAdmission admission(registry_, options_);
    json_ = text.dump();
    const Result<Review> review = ReadReview(json_, &document_);
    EXPECT_TRUE(review) << review.error().message;
    Answer answer = admission.Mutate(*review);
    made_ = pod;
    if (!answer.patch.empty()) {
      const json patch = json::parse(answer.patch);
      EXPECT_TRUE(answer.allowed);
      EXPECT_FALSE(patch.empty());
      made_ = pod.patch(patch);
      for (const json& operation : patch) operations_.push_back(operation["path"]);
    }
    return answer;
  }

  Answer Validate(const json& text) {
    const PodAdmission admission(registry_, options_);
    json_ = text.dump();
    const Result<Review> review = ReadReview(json_, &document_);
    EXPECT_TRUE(review);
    return admission.Validate(*review);
  }

  // device-config.yaml.
  void Configure(const std::string& yaml) {
    Result<vendor::Registry> read = vendor::Registry::FromDeviceConfig(yaml, nullptr);
    ASSERT_TRUE(read) << read.error().message;
    registry_ = std::move(*read);
  }

  json& container(size_t index = 0) { return made_["spec"]["containers"][index]; }

  vendor::Registry registry_ = vendor::Registry::Default();
  AdmissionOptions options_;
  std::string json_;
  hami::json::Document document_;
  json made_;
  json::array_t operations_;  // paths
};

// --- Traces ---

class TraceTest : public AdmissionTest {
 protected:
  // Ends the tracer, which then sends what it has.
  std::string Sent() {
    tracer_.reset();
    const std::lock_guard lock(mutex_);
    return bodies_;
  }

  std::mutex mutex_;
  std::string bodies_;
  net::FakeHttpServer collector_{
      [this](const net::FakeRequest& request, net::FakeConnection& client) {
        const std::lock_guard lock(mutex_);
        bodies_ += request.body;
        client.Respond(200, "{}");
      }};
  std::unique_ptr<trace::Tracer> tracer_ = std::make_unique<trace::Tracer>(
      trace::TracerOptions{.endpoint = collector_.url() + "/v1/traces",
                           .service = "hami-scheduler"},
      base::SystemClock());
};

TEST_F(TraceTest, ATraceBeginsWithThePodAndTravelsOnIt) {
  options_.tracer = tracer_.get();
  json pod = FakePod({{"nvidia.com/gpu", "1"}});
  EXPECT_TRUE(Mutate(pod).allowed);
  const std::string traceparent = made_["metadata"]["annotations"]["hami.io/traceparent"];
  ASSERT_EQ(traceparent.size(), 55U);
  // What the pod carries already goes on.
  pod["metadata"]["annotations"]["hami.io/traceparent"] =
      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  Mutate(pod);
  EXPECT_THAT(made_["metadata"]["annotations"]["hami.io/traceparent"].get<std::string>(),
              HasSubstr("4bf92f3577b34da6a3ce929d0e0e4736"));
  const std::string sent = Sent();
  EXPECT_THAT(sent, HasSubstr("\"name\":\"admission\""));
  EXPECT_THAT(sent, HasSubstr("\"traceId\":\"" + traceparent.substr(3, 32) + "\""));
  EXPECT_THAT(sent, HasSubstr("\"spanId\":\"" + traceparent.substr(36, 16) + "\""));
  EXPECT_THAT(sent, HasSubstr("\"parentSpanId\":\"00f067aa0ba902b7\""));
}

TEST_F(TraceTest, OfPodsThatAreNotOursNothingIsTraced) {
  options_.tracer = tracer_.get();
  EXPECT_EQ(Mutate(FakePod({})).patch, "");
  EXPECT_EQ(Sent(), "");
}

TEST_F(TraceTest, OffUnlessThereIsACollector) {
  Mutate(FakePod({{"nvidia.com/gpu", "1"}}));
  EXPECT_FALSE(made_["metadata"].contains("annotations"));
  EXPECT_EQ(Sent(), "");
}

// --- What concerns nobody here ---

TEST_F(AdmissionTest, APodWithoutOurResourcesIsLeftAlone) {
  const Answer answer =
      Mutate(FakePod({{"cpu", "1"}, {"memory", "1Gi"}, {"example.com/nic", "1"}}));
  EXPECT_TRUE(answer.allowed);
  EXPECT_EQ(answer.patch, "");
  EXPECT_THAT(answer.warnings, IsEmpty());
}

TEST_F(AdmissionTest, OnlyTheCreationOfPodsIsDecided) {
  const json pod = FakePod({{"nvidia.com/gpu", "1"}});
  json update = FakeReview(pod, "UPDATE");
  EXPECT_EQ(MutateReview(update, pod).patch, "");
  json binding = FakeReview(pod);
  binding["request"]["subResource"] = "binding";
  EXPECT_EQ(MutateReview(binding, pod).patch, "");
  json metrics = FakeReview(pod);
  metrics["request"]["kind"]["group"] = "metrics.k8s.io";
  EXPECT_EQ(MutateReview(metrics, pod).patch, "");
}

TEST_F(AdmissionTest, FieldsThatWeDoNotKnowSurvive) {
  json pod = FakePod({{"nvidia.com/gpu", "1"}, {"nvidia.com/gpumem", "3000"}});
  pod["spec"]["aFieldOfTomorrow"] = {{"deep", {1, 2, 3}}};
  pod["spec"]["containers"][0]["another"] = "x";
  json expected = pod;
  expected["spec"]["schedulerName"] = "hami-scheduler";
  Mutate(pod);
  EXPECT_EQ(made_, expected);
  EXPECT_THAT(operations_, ElementsAre("/spec/schedulerName"));
}

// --- Row 1 and 2: no pod, no containers ---

TEST_F(AdmissionTest, WhatIsNoPodIsABadRequest) {
  for (const json& object : {json(nullptr), json("pod"), json(5), json::array(), json::object(),
                             json({{"spec", nullptr}}), json({{"spec", "x"}}),
                             json({{"spec", {{"containers", {5}}}}})}) {
    const Answer answer = Mutate(object);
    EXPECT_FALSE(answer.allowed) << object;
    EXPECT_EQ(answer.code, 400) << object;
  }
}

TEST_F(AdmissionTest, APodWithoutContainersIsDenied) {
  json pod = FakePod(nullptr);
  for (const json& containers : {json::array(), json(nullptr), json("x")}) {
    pod["spec"]["containers"] = containers;
    const Answer answer = Mutate(pod);
    EXPECT_FALSE(answer.allowed);
    EXPECT_EQ(answer.message, "pod has no containers");
  }
}

// --- Row 3: schedulers ---

TEST_F(AdmissionTest, APodOfAnotherSchedulerIsNotOurs) {
  json pod = FakePod({{"nvidia.com/gpu", "1"}});
  pod["spec"]["schedulerName"] = "volcano";
  const Answer answer = Mutate(pod);
  EXPECT_TRUE(answer.allowed);
  EXPECT_EQ(answer.patch, "");
  EXPECT_EQ(answer.message, "pod already has different scheduler assigned");
  EXPECT_THAT(answer.warnings, ElementsAre(HasSubstr("write schedulerName: hami-scheduler")));
}

TEST_F(AdmissionTest, TheDefaultSchedulerIsOverwrittenOnlyByForce) {
  json pod = FakePod({{"nvidia.com/gpu", "1"}});
  Mutate(pod);
  EXPECT_EQ(made_["spec"]["schedulerName"], "hami-scheduler");
  options_.force_overwrite_default_scheduler = false;
  EXPECT_EQ(Mutate(pod).patch, "");
  pod["spec"]["schedulerName"] = "hami-scheduler";
  Mutate(pod);
  EXPECT_THAT(operations_, ElementsAre("/spec/containers/0/resources/limits/nvidia.com~1gpucores"));
  pod["spec"].erase("schedulerName");
  Mutate(pod);
  EXPECT_EQ(made_["spec"]["schedulerName"], "hami-scheduler") << "none yet is no other";
}

TEST_F(AdmissionTest, WithoutASchedulerOfOursThePodKeepsItsOwn) {
  options_.scheduler_name = "";
  Mutate(FakePod({{"nvidia.com/gpu", "1"}, {"nvidia.com/gpumem", "1"}}));
  EXPECT_EQ(made_["spec"]["schedulerName"], "default-scheduler");
}

// --- Row 4: what the vendor fills in (NVIDIA; others have their own tests in src/vendor) ---

TEST_F(AdmissionTest, ABareRequestIsExclusive) {
  Mutate(FakePod({{"nvidia.com/gpu", "1"}}));
  EXPECT_EQ(container()["resources"]["limits"]["nvidia.com/gpucores"], "100");
  Mutate(FakePod({{"nvidia.com/gpu", "1"}, {"nvidia.com/gpumem-percentage", "100"}}));
  EXPECT_EQ(container()["resources"]["limits"]["nvidia.com/gpucores"], "100");
  Mutate(FakePod({{"nvidia.com/gpu", "1"}, {"nvidia.com/gpumem-percentage", "50"}}));
  EXPECT_FALSE(container()["resources"]["limits"].contains("nvidia.com/gpucores"));
}

TEST_F(AdmissionTest, MemoryAloneAsksForOneGpu) {
  Mutate(FakePod({{"nvidia.com/gpumem", "3000"}}));
  EXPECT_EQ(container()["resources"]["limits"]["nvidia.com/gpu"], "1");
  EXPECT_EQ(made_["spec"]["schedulerName"], "hami-scheduler");
}

TEST_F(AdmissionTest, APercentageBeyond100IsDeniedAndSaysWhere) {
  for (const char* percent : {"101", "-1", "4000000000", "half"}) {
    const Answer answer =
        Mutate(FakePod({{"nvidia.com/gpu", "1"}, {"nvidia.com/gpumem-percentage", percent}}));
    EXPECT_FALSE(answer.allowed) << percent;
    EXPECT_EQ(answer.code, 422);
    EXPECT_THAT(answer.message, HasSubstr("nvidia.com/gpumem-percentage"));
  }
}

TEST_F(AdmissionTest, ThePriorityBecomesAVariable) {
  json pod =
      FakePod({{"nvidia.com/gpu", "1"}, {"nvidia.com/gpumem", "1"}, {"nvidia.com/priority", "1"}});
  Mutate(pod);
  EXPECT_EQ(container()["env"], json::parse(R"([{"name":"CUDA_TASK_PRIORITY","value":"1"}])"));

  // Appended behind what is there, in the container that asks.
  pod["spec"]["containers"][0]["env"] = json::parse(R"([{"name":"A","value":"b"}])");
  Mutate(pod);
  EXPECT_EQ(container()["env"],
            json::parse(R"([{"name":"A","value":"b"},{"name":"CUDA_TASK_PRIORITY","value":"1"}])"));
  pod["spec"]["containers"][0]["env"] = json::array();
  Mutate(pod);
  EXPECT_THAT(container()["env"], SizeIs(1));
  pod["spec"]["containers"][0]["env"] = nullptr;
  Mutate(pod);
  EXPECT_THAT(container()["env"], SizeIs(1));
}

TEST_F(AdmissionTest, AVariableThatIsThereIsReplacedNotRepeated) {
  json pod =
      FakePod({{"nvidia.com/gpu", "1"}, {"nvidia.com/gpumem", "1"}, {"nvidia.com/priority", "1"}});
  pod["spec"]["containers"][0]["env"] = json::parse(
      R"([{"name":"CUDA_TASK_PRIORITY","value":"0"},{"name":"A","value":"b"},
          {"name":"CUDA_TASK_PRIORITY","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}])");
  const Answer answer = Mutate(pod);
  EXPECT_EQ(container()["env"],
            json::parse(
                R"([{"name":"CUDA_TASK_PRIORITY","value":"0"},{"name":"A","value":"b"},
          {"name":"CUDA_TASK_PRIORITY","value":"1"}])"))
      << "of two the last counts";
  EXPECT_THAT(answer.warnings, ElementsAre(HasSubstr("CUDA_TASK_PRIORITY became 1")));

  pod["spec"]["containers"][0]["env"] =
      json::parse(R"([{"name":"CUDA_TASK_PRIORITY","value":"1"}])");
  EXPECT_THAT(Mutate(pod).warnings, IsEmpty()) << "it is so already";
  EXPECT_THAT(operations_, ElementsAre("/spec/schedulerName"));
}

TEST_F(AdmissionTest, RequestsAloneCountAndBecomeLimits) {
  json pod = FakePod(nullptr);
  pod["spec"]["containers"][0]["resources"]["requests"] = {{"nvidia.com/gpu", "1"},
                                                           {"nvidia.com/gpumem", "2000"}};
  Mutate(pod);
  EXPECT_EQ(container()["resources"]["limits"],
            json({{"nvidia.com/gpu", "1"}, {"nvidia.com/gpumem", "2000"}}));
  EXPECT_EQ(made_["spec"]["schedulerName"], "hami-scheduler");
}

TEST_F(AdmissionTest, ALimitThatChangesTakesItsRequestAlong) {
  // Extended resources must have equal ones.
  json pod = FakePod({{"nvidia.com/gpu", "2"}});
  pod["spec"]["containers"][0]["resources"]["requests"]["nvidia.com/gpu"] = "1";
  Mutate(pod);
  EXPECT_EQ(container()["resources"]["requests"]["nvidia.com/gpu"], "2");
}

TEST_F(AdmissionTest, EveryContainerIsSeenInitContainersFirst) {
  json pod = FakePod(nullptr);
  json init = FakePod({{"nvidia.com/gpu", "1"}})["spec"]["containers"][0];
  init["name"] = "prepare";
  json second = init;
  second["name"] = "second";
  pod["spec"]["initContainers"] = json::array({init});
  pod["spec"]["containers"].push_back(second);
  Mutate(pod);
  EXPECT_THAT(operations_,
              ElementsAre("/spec/initContainers/0/resources/limits/nvidia.com~1gpucores",
                          "/spec/containers/1/resources/limits/nvidia.com~1gpucores",
                          "/spec/schedulerName"));
}

TEST_F(AdmissionTest, NothingIsDoneTwice) {
  const json pod = FakePod({{"nvidia.com/gpu", "1"}, {"nvidia.com/priority", "1"}});
  Mutate(pod);
  const json once = made_;
  EXPECT_EQ(Mutate(once).patch, "") << "a webhook may be called again for what it has changed";
}

TEST_F(AdmissionTest, WhatAVendorRoundsIsALimitARequestAndAWarning) {
  const Answer answer =
      Mutate(FakePod({{"huawei.com/Ascend310P", "1"}, {"huawei.com/Ascend310P-memory", "5000"}}));
  for (const char* kind : {"limits", "requests"}) {
    EXPECT_EQ(container()["resources"][kind]["huawei.com/Ascend310P-memory"], "6144") << kind;
  }
  EXPECT_THAT(answer.warnings,
              ElementsAre("container main: huawei.com/Ascend310P-memory of 5000 became 6144"));
}

TEST_F(AdmissionTest, TheRuntimeClassIsThatOfThePodIfItHasOne) {
  Configure("nvidia: {resourceCountName: nvidia.com/gpu, runtimeClassName: nvidia}");
  json pod = FakePod({{"nvidia.com/gpu", "1"}});
  Mutate(pod);
  EXPECT_EQ(made_["spec"]["runtimeClassName"], "nvidia");
  pod["spec"]["runtimeClassName"] = "kata";
  Mutate(pod);
  EXPECT_EQ(made_["spec"]["runtimeClassName"], "kata");
  Mutate(FakePod({{"cpu", "1"}}));
  EXPECT_FALSE(made_["spec"].contains("runtimeClassName"));
}

// --- overwriteEnv: who asks for nothing sees nothing ---

class OverwriteEnvTest : public AdmissionTest {
 protected:
  OverwriteEnvTest() {
    Configure("nvidia: {resourceCountName: nvidia.com/gpu, overwriteEnv: true}");
  }

  const json none_ = {{"name", "NVIDIA_VISIBLE_DEVICES"}, {"value", "none"}};
};

TEST_F(OverwriteEnvTest, EveryContainerOfAPlainPodSeesNoGpu) {
  json pod = FakePod({{"cpu", "1"}, {"example.com/nic", "1"}});
  pod["spec"]["initContainers"] = json::array({{{"name", "init"}, {"image", "x"}}});
  EXPECT_THAT(Mutate(pod).warnings, IsEmpty());
  EXPECT_THAT(container()["env"], ElementsAre(none_));
  EXPECT_THAT(made_["spec"]["initContainers"][0]["env"], ElementsAre(none_));
  EXPECT_EQ(made_["spec"]["schedulerName"], "default-scheduler") << "and stays whose it was";
  EXPECT_EQ(Mutate(made_).patch, "");
}

TEST_F(OverwriteEnvTest, WhatAnImageOrAUserSaysIsReplaced) {
  json pod = FakePod({{"cpu", "1"}});
  pod["spec"]["containers"][0]["env"] =
      json::parse(R"([{"name":"NVIDIA_VISIBLE_DEVICES","value":"all"}])");
  EXPECT_THAT(Mutate(pod).warnings, ElementsAre(HasSubstr("NVIDIA_VISIBLE_DEVICES became none")));
  EXPECT_THAT(container()["env"], ElementsAre(none_));
}

TEST_F(OverwriteEnvTest, InAGpuPodItIsTheContainersThatAskForNone) {
  json pod = FakePod({{"nvidia.com/gpu", "1"}});
  json web = FakePod({{"cpu", "1"}})["spec"]["containers"][0];
  web["name"] = "web";
  pod["spec"]["containers"].push_back(web);
  Mutate(pod);
  EXPECT_FALSE(container(0).contains("env"));
  EXPECT_THAT(container(1)["env"], ElementsAre(none_));
}

TEST_F(OverwriteEnvTest, OfAnotherSchedulersPodOnlyContainersThatAskForNoDeviceOfAnyKind) {
  json pod = FakePod({{"cpu", "1"}});
  pod["spec"]["schedulerName"] = "volcano";
  json claims = pod["spec"]["containers"][0];
  claims["resources"]["claims"] = json::array({{{"name", "gpu"}}});
  json other = FakePod({{"volcano.sh/vgpu-number", "1"}})["spec"]["containers"][0];
  pod["spec"]["containers"].push_back(claims);
  pod["spec"]["containers"].push_back(other);
  Mutate(pod);
  EXPECT_THAT(container(0)["env"], ElementsAre(none_));
  EXPECT_FALSE(container(1).contains("env")) << "its plugin's variable would be overruled";
  EXPECT_FALSE(container(2).contains("env"));
}

// --- Row 5: privileged ---

TEST_F(AdmissionTest, APrivilegedContainerAndDevicesDoNotGoTogether) {
  json pod = FakePod({{"nvidia.com/gpu", "1"}});
  json init = FakePod(nullptr)["spec"]["containers"][0];
  init["name"] = "sysctl";
  init["securityContext"]["privileged"] = true;
  pod["spec"]["initContainers"] = json::array({init});
  Answer answer = Mutate(pod);
  EXPECT_FALSE(answer.allowed);
  EXPECT_EQ(answer.code, 403);
  EXPECT_THAT(answer.message, ::testing::StartsWith("container sysctl is privileged"));

  pod["spec"]["initContainers"][0]["securityContext"]["privileged"] = false;
  EXPECT_TRUE(Mutate(pod).allowed);
  json without = FakePod({{"cpu", "1"}});
  without["spec"]["containers"][0]["securityContext"]["privileged"] = true;
  EXPECT_TRUE(Mutate(without).allowed) << "is nobody's business without devices";
}

// --- Row 6: nodeName ---

TEST_F(AdmissionTest, ANodeThatIsChosenAlreadyIsDenied) {
  json pod = FakePod({{"nvidia.com/gpu", "1"}});
  pod["spec"]["nodeName"] = "gpu-7";
  const Answer answer = Mutate(pod);
  EXPECT_FALSE(answer.allowed);
  EXPECT_THAT(answer.message, ::testing::AllOf(::testing::StartsWith("pod has node assigned"),
                                               HasSubstr("kubernetes.io/hostname: gpu-7")));
  json without = FakePod({{"cpu", "1"}});
  without["spec"]["nodeName"] = "gpu-7";
  EXPECT_TRUE(Mutate(without).allowed);
}

// --- Row 7: quota ---

TEST_F(AdmissionTest, TheQuotaIsAskedAboutThePodAsItWillBe) {
  std::vector<domain::Pod> asked;
  options_.check = [&asked](const domain::Pod& pod) -> Status {
    asked.push_back(pod);
    return Fail(Code::kResourceExhausted, "nvidia.com/gpumem of team-a: 1 left");
  };
  json pod = FakePod({{"nvidia.com/gpumem", "3000"}});
  pod["metadata"].erase("namespace");
  const Answer answer = Mutate(pod);
  EXPECT_FALSE(answer.allowed);
  EXPECT_EQ(answer.code, 403);
  EXPECT_EQ(answer.message, "exceeding resource quota: nvidia.com/gpumem of team-a: 1 left");
  ASSERT_THAT(asked, SizeIs(1));
  EXPECT_EQ(asked[0].namespace_name, "team-a") << "of the request, where the pod says none";
  EXPECT_EQ(asked[0].containers[0].limits.at("nvidia.com/gpu"), "1");

  options_.check = [](const domain::Pod&) -> Status {
    return Fail(Code::kInvalidArgument, "no such policy");
  };
  EXPECT_EQ(Mutate(pod).code, 422);
  options_.check = [](const domain::Pod&) -> Status { return {}; };
  EXPECT_TRUE(Mutate(pod).allowed);
}

// --- Forged decisions ---

TEST_F(AdmissionTest, ForgedDecisionsAreTakenOutOfAnyPod) {
  for (const char* scheduler : {"default-scheduler", "volcano"}) {
    json pod = FakePod({{"cpu", "1"}});
    pod["spec"]["schedulerName"] = scheduler;
    const json clean = pod;
    pod["metadata"]["annotations"] = {{"hami.io/vgpu-node", "n1"},
                                      {"hami.io/vgpu-devices-allocated", "GPU-a,NVIDIA,1,1:;"},
                                      {"hami.io/bind-phase", "success"},
                                      {"hami.io/allocation", "v1,0123456789abcdef"},
                                      {"nvidia.com/use-gputype", "A100"}};
    pod["metadata"]["labels"] = {{"hami.io/vgpu-node", "n1"}, {"app", "x"}};
    const Answer answer = Mutate(pod);
    EXPECT_TRUE(answer.allowed);
    EXPECT_EQ(made_["metadata"]["annotations"], json({{"nvidia.com/use-gputype", "A100"}}));
    EXPECT_EQ(made_["metadata"]["labels"], json({{"app", "x"}}));
    EXPECT_EQ(made_["spec"], clean["spec"]);
    EXPECT_THAT(answer.warnings, Contains(HasSubstr("hami.io/vgpu-node")));
  }
}

TEST_F(AdmissionTest, AKeyThatStandsTwiceIsTakenOutOnce) {
  // An API server sends each once; a patch that removes it twice would fail.
  std::string text = FakeReview(FakePod({{"cpu", "1"}})).dump();
  const std::string place = "\"metadata\":{";
  text.insert(text.find(place) + place.size(),
              R"("annotations":{"hami.io/vgpu-node":"a","hami.io/vgpu-node":"b"},)");
  hami::json::Document document;
  const Result<Review> review = ReadReview(text, &document);
  ASSERT_TRUE(review);
  EXPECT_EQ(PodAdmission(registry_, options_).Mutate(*review).patch,
            R"([{"op":"remove","path":"/metadata/annotations/hami.io~1vgpu-node"}])");
}

// Every key that the contract (2.3, section 6) says the system writes on pods.
TEST_F(AdmissionTest, AllKeysOfTheSystemAreProtectedAndThoseOfUsersAreNot) {
  const ProtectedKeys keys(registry_);
  for (const char* key : {"hami.io/vgpu-node",
                          "hami.io/vgpu-time",
                          "hami.io/vgpu-devices-allocated",
                          "hami.io/vgpu-devices-to-allocate",
                          "hami.io/bind-phase",
                          "hami.io/bind-time",
                          "hami.io/vgpu-mig-allocations",
                          "hami.io/allocation",
                          "hami.io/cambricon-mlu-devices-allocated",
                          "hami.io/cambricon-mlu-devices-to-allocate",
                          "CAMBRICON_DSMLU_ASSIGNED",
                          "CAMBRICON_DSMLU_PROFILE",
                          "hami.io/dcu-devices-allocated",
                          "hami.io/Ascend910B3-devices-to-allocate",
                          "predicate-time",
                          "hami.io/MR-V100-devices-allocated",
                          "hami.io/mthreads-vgpu-devices-allocated",
                          "mthreads.com/gpu-index",
                          "mthreads.com/predicate-time",
                          "mthreads.com/predicate-node",
                          "hami.io/metax-gpu-devices-allocated",
                          "hami.io/metax-sgpu-devices-to-allocate",
                          "metax-tech.com/gpu-devices-allocated",
                          "metax-tech.com/predicate-time",
                          "hami.io/enflame-gcu-devices-allocated",
                          "hami.io/enflame-vgpu-devices-allocated",
                          "enflame.com/gcu-assigned",
                          "enflame.com/gcu-assigned-time",
                          "enflame.com/gcu-assigned-index",
                          "enflame.com/gcu-assigned-id",
                          "enflame.com/gcu-assigned-minor",
                          "enflame.com/gcu-request-size",
                          "enflame.com/assigned-containers",
                          "hami.io/kunlun-allocated",
                          "BAIDU_COM_DEVICE_IDX",
                          "hami.io/xpu-devices-allocated",
                          "hami.io/aws-neuron-devices-allocated",
                          "AWS_NEURON_IDS",
                          "NEURON_ALLOC_TIME",
                          "NEURON_RESOURCE_TYPE",
                          "NEURON_ALLOCATED",
                          "aws.amazon.com/predicate-node",
                          "hami.io/amd-devices-allocated",
                          "hami.io/Vastai-devices-to-allocate",
                          "hami.io/Biren-devices-allocated"}) {
    EXPECT_TRUE(keys.Has(key)) << key;
  }
  for (const char* key :
       {"nvidia.com/use-gputype", "nvidia.com/nouse-gpuuuid", "nvidia.com/vgpu-mode",
        "nvidia.com/numa-bind", "hami.io/node-scheduler-policy", "hami.io/gpu-scheduler-policy",
        "hami.io/device-scoring-weights", "huawei.com/vnpu-mode", "hami.io/use-Ascend910B3-uuid",
        "metax-tech.com/sgpu-qos-policy", "metax-tech.com/sgpu-app-class",
        "metax-tech.com/sgpu-topology-aware", "hami.io/use-xpu-uuid", "enflame.com/use-gpuuuid", "",
        "hami.io/", "vgpu-node", "example.com/x-devices-allocated"}) {
    EXPECT_FALSE(keys.Has(key)) << key;
  }
}

TEST_F(AdmissionTest, WhatAdmissionWritesComesFromNobodyElse) {
  json pod = FakePod({{"cpu", "1"}});
  pod["metadata"]["annotations"] = {{"mthreads.com/request-gpu-num", "8"}};
  Mutate(pod);
  EXPECT_EQ(made_["metadata"]["annotations"], json::object());
  EXPECT_TRUE(Validate(FakeReview(pod)).allowed) << "the mutating webhook has written it";
}

// --- The validating answer ---

TEST_F(AdmissionTest, ValidationRefusesForgedDecisionsOnCreation) {
  json pod = FakePod({{"cpu", "1"}});
  pod["metadata"]["annotations"] = {{"hami.io/vgpu-node", "n1"}};
  const Answer answer = Validate(FakeReview(pod));
  EXPECT_FALSE(answer.allowed);
  EXPECT_EQ(answer.code, 403);
  EXPECT_THAT(answer.message, HasSubstr("hami.io/vgpu-node"));
  EXPECT_THAT(answer.message, HasSubstr("leave it out"));
  options_.trusted_users = {"alice"};
  EXPECT_TRUE(Validate(FakeReview(pod)).allowed);
}

TEST_F(AdmissionTest, ValidationRefusesChangesOfDecisions) {
  json before = FakePod({{"cpu", "1"}});
  before["metadata"]["annotations"] = {{"hami.io/vgpu-node", "n1"}, {"a", "b"}};
  const auto validate = [&](const json& after, const char* subresource = "") {
    json review = FakeReview(after, "UPDATE");
    review["request"]["oldObject"] = before;
    review["request"]["subResource"] = subresource;
    return Validate(review);
  };
  json after = before;
  after["metadata"]["annotations"]["a"] = "c";
  EXPECT_TRUE(validate(after).allowed);
  after["metadata"]["annotations"]["hami.io/vgpu-node"] = "n2";
  EXPECT_THAT(validate(after).message, HasSubstr("leave it as it is"));
  EXPECT_FALSE(validate(after, "status").allowed) << "a status update writes annotations too";
  after["metadata"]["annotations"].erase("hami.io/vgpu-node");
  EXPECT_FALSE(validate(after).allowed) << "taken away";
  after = before;
  after["metadata"]["annotations"]["hami.io/bind-phase"] = "success";
  EXPECT_FALSE(validate(after).allowed) << "added";
  after = before;
  after["metadata"]["labels"] = {{"hami.io/vgpu-node", "n1"}};
  EXPECT_THAT(validate(after).message, HasSubstr("metadata.labels: hami.io/vgpu-node"));
}

TEST_F(AdmissionTest, ValidationRefusesBindingsThatCarryDecisions) {
  json review = FakeReview({{"metadata", {{"annotations", {{"hami.io/vgpu-node", "n1"}}}}},
                            {"target", {{"kind", "Node"}, {"name", "n1"}}}});
  review["request"]["kind"]["kind"] = "Binding";
  review["request"]["subResource"] = "binding";
  EXPECT_FALSE(Validate(review).allowed);
  review["request"]["subResource"] = "";
  review["request"]["resource"]["resource"] = "bindings";
  EXPECT_FALSE(Validate(review).allowed);
  options_.trusted_users = {"alice"};
  EXPECT_TRUE(Validate(review).allowed);
  options_.trusted_users = {};
  review["request"]["object"]["metadata"].erase("annotations");
  EXPECT_TRUE(Validate(review).allowed) << "as kube-scheduler binds plain pods";
}

TEST_F(AdmissionTest, ValidationDeniesWhatMutationWouldAndSaysWhatToWrite) {
  json pod = FakePod({{"nvidia.com/gpu", "1"}});
  EXPECT_THAT(Validate(FakeReview(pod)).message,
              HasSubstr("write spec.schedulerName: hami-scheduler"))
      << "the mutating webhook was not asked";
  pod["spec"]["schedulerName"] = "hami-scheduler";
  Answer answer = Validate(FakeReview(pod));
  EXPECT_TRUE(answer.allowed);
  EXPECT_EQ(answer.patch, "");
  pod["spec"]["nodeName"] = "n1";
  EXPECT_FALSE(Validate(FakeReview(pod)).allowed);
  pod["spec"]["schedulerName"] = "volcano";
  EXPECT_TRUE(Validate(FakeReview(pod)).allowed) << "somebody else's";
}

}  // namespace
}  // namespace hami::webhook
