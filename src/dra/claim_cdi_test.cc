// SPDX-License-Identifier: Apache-2.0

#include "dra/claim_cdi.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "dra/fake_claims.h"

namespace hami::dra {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// Two slices of one GPU for one claim. What both need stands once, below.
constexpr char kTwoSlices[] =
    R"({"cdiVersion":"0.3.0","kind":"k8s.hami-core-gpu.project-hami.io/claim","devices":[)"
    R"({"name":"uid-a-one-0","containerEdits":{)"
    R"("deviceNodes":[{"path":"/dev/nvidia0"},{"path":"/dev/dri/card1"}],)"
    R"("mounts":[)"
    R"({"hostPath":"/run/hami/claims/uid-a/0","containerPath":"/etc/hami/shares/uid-a-0",)"
    R"("options":["ro","nosuid","nodev","noexec","bind"]},)"
    R"({"hostPath":"/run/hami/claims/uid-a/0/region",)"
    R"("containerPath":"/etc/hami/shares/uid-a-0/region",)"
    R"("options":["rw","nosuid","nodev","noexec","bind"]}]}},)"
    R"({"name":"uid-a-any-1","containerEdits":{)"
    R"("deviceNodes":[{"path":"/dev/nvidia0"},{"path":"/dev/dri/card1"}],)"
    R"("mounts":[)"
    R"({"hostPath":"/run/hami/claims/uid-a/1","containerPath":"/etc/hami/shares/uid-a-1",)"
    R"("options":["ro","nosuid","nodev","noexec","bind"]},)"
    R"({"hostPath":"/run/hami/claims/uid-a/1/region",)"
    R"("containerPath":"/etc/hami/shares/uid-a-1/region",)"
    R"("options":["rw","nosuid","nodev","noexec","bind"]}]}}],)"
    R"("containerEdits":{)"
    R"("env":["NVIDIA_DRIVER=here","NVIDIA_VISIBLE_DEVICES=void"],)"
    R"("deviceNodes":[{"path":"/dev/nvidiactl"}],)"
    R"("mounts":[)"
    R"({"hostPath":"/opt/nvidia/bin/nvidia-smi","containerPath":"/usr/bin/nvidia-smi",)"
    R"("options":["ro","nosuid","nodev","bind"]},)"
    R"({"hostPath":"/var/lib/hami/lib/0.1.0-abc/libvgpu.so",)"
    R"("containerPath":"/usr/local/vgpu/libvgpu.so",)"
    R"("options":["ro","nosuid","nodev","bind"]}],)"
    R"("hooks":[{"hookName":"createContainer",)"
    R"("path":"/var/lib/hami/lib/0.1.0-abc/hami-cdi-hook",)"
    R"("args":["hami-cdi-hook","preload","--library=/usr/local/vgpu/libvgpu.so",)"
    R"("--folder=/run/hami/claims/uid-a/hook"],)"
    R"("env":["HAMI_HOOK=preload"]}]}})"
    "\n";

const FakeShare kWhole = {.memory_mib = kA10Mib, .cores_pct = 0};

class ClaimCdiTest : public ::testing::Test {
 protected:
  static ClaimGrant MakeGrant(const std::vector<FakeShare>& shares) {
    return PlanGrant(MakeClaim("a", shares), MakeGpus(2), kGuideNode).value();
  }

  cdi::Spec Make(const std::vector<FakeShare>& shares) const {
    const ClaimGrant grant = MakeGrant(shares);
    cdi::Spec spec = MakeClaimSpec({.grant = &grant,
                                    .driver = &node_->files,
                                    .shares = &shares_,
                                    .library_folder = "/var/lib/hami/lib/0.1.0-abc"});
    const Status valid = cdi::Validate(spec);
    EXPECT_TRUE(valid) << valid.error().message;
    return spec;
  }

  const std::shared_ptr<NodeView> node_ = MakeNode(2);
  const ShareRoot shares_{"/run/hami/claims"};
};

// Contract section 4, fault 2: two shares of one GPU are two devices, each with its own limits.
TEST_F(ClaimCdiTest, TwoSlicesOfOneGpu) {
  node_->files.env = {"NVIDIA_DRIVER=here"};
  node_->files.gpu_nodes[0].nodes.push_back({"/dev/dri/card1", "/dev/dri/card1"});
  const cdi::Spec spec = Make({{.request = "one"}, {.request = "any/small"}});
  EXPECT_EQ(cdi::WriteSpec(spec), kTwoSlices);
}

TEST_F(ClaimCdiTest, DevicesAreCalledAsTheAnswerSays) {
  const ClaimGrant grant = MakeGrant({{.request = "one"}, {.request = "any/small"}});
  EXPECT_EQ(CdiDeviceName(grant, 1), "uid-a-any-1");
  EXPECT_EQ(CdiDeviceId(grant, 1), "k8s.hami-core-gpu.project-hami.io/claim=uid-a-any-1");
  const cdi::Spec spec = Make({{.request = "one"}, {.request = "any/small"}});
  EXPECT_EQ(cdi::QualifiedName(spec, spec.devices[1].name), CdiDeviceId(grant, 1));
}

// All slices of a request with several devices have its name.
TEST_F(ClaimCdiTest, SlicesOfOneRequestAreTwoDevices) {
  const cdi::Spec spec = Make({{}, {.device = "hami-gpu-1"}});
  ASSERT_THAT(spec.devices, SizeIs(2));
  EXPECT_EQ(spec.devices[0].name, "uid-a-gpu-0");
  EXPECT_EQ(spec.devices[1].name, "uid-a-gpu-1");
  ASSERT_THAT(spec.devices[1].edits.device_nodes, SizeIs(1));
  EXPECT_EQ(spec.devices[1].edits.device_nodes[0].path, "/dev/nvidia1");
}

TEST_F(ClaimCdiTest, WholeGpusGetNothingOfOurs) {
  const cdi::Spec spec = Make({kWhole,
                               {.device = "hami-gpu-1",
                                .memory_mib = std::nullopt,
                                .cores_pct = std::nullopt,
                                .request = "second"}});
  EXPECT_THAT(spec.edits.hooks, IsEmpty());
  EXPECT_THAT(cdi::WriteSpec(spec), Not(HasSubstr("libvgpu")));
  EXPECT_THAT(cdi::WriteSpec(spec), HasSubstr("/dev/nvidia1"));
}

TEST_F(ClaimCdiTest, OneShareAmongWholeGpusNeedsTheLibrary) {
  const cdi::Spec spec = Make({kWhole, {.device = "hami-gpu-1"}});
  EXPECT_THAT(spec.edits.hooks, SizeIs(1));
}

TEST_F(ClaimCdiTest, NothingIsSetPerDeviceThatAnotherWouldOverwrite) {
  // Contract section 3.1: of equal variables the last device's counts, so limits are never there.
  for (const cdi::Device& device : Make({{.request = "one"}, {.request = "two"}}).devices) {
    EXPECT_THAT(device.edits.env, IsEmpty());
    EXPECT_THAT(device.edits.hooks, IsEmpty());
  }
}

TEST_F(ClaimCdiTest, ASimulatedGpuHasNoNodes) {
  node_->files.gpu_nodes[0].nodes.clear();
  const cdi::Spec spec = Make({{}});
  EXPECT_THAT(spec.devices[0].edits.device_nodes, IsEmpty());
  EXPECT_THAT(spec.devices[0].edits.mounts, SizeIs(2));
}

}  // namespace
}  // namespace hami::dra
