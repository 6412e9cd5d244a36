// SPDX-License-Identifier: Apache-2.0

#include "kube/request.h"

#include <gtest/gtest.h>

namespace hami::kube {
namespace {

TEST(RequestTest, PathsOfGroupsAndNamespaces) {
  EXPECT_EQ(Target(GetRequest(kNodes, {"", "n1"})), "/api/v1/nodes/n1");
  EXPECT_EQ(Target(GetRequest(kPods, {"a", "b"})), "/api/v1/namespaces/a/pods/b");
  EXPECT_EQ(Target(GetRequest(kResourceClaims, {"a", "b"})),
            "/apis/resource.k8s.io/v1/namespaces/a/resourceclaims/b");
  EXPECT_EQ(Target(ListRequest(kResourceSlices, {.page_size = 0})),
            "/apis/resource.k8s.io/v1/resourceslices");
  EXPECT_EQ(Target(Subresource(GetRequest(kPods, {"a", "b"}), "status")),
            "/api/v1/namespaces/a/pods/b/status");
  EXPECT_EQ(kResourceClaims.ApiVersion(), "resource.k8s.io/v1");
  EXPECT_EQ(kNodes.ApiVersion(), "v1");
}

TEST(RequestTest, EverythingThatIsNotPlainIsEscaped) {
  const ListOptions options{.name_space = "a b",
                            .field_selector = "spec.nodeName=n1,x!=%",
                            .label_selector = "a/b in (c,d)&\xc3\xa9",
                            .page_size = 3};
  EXPECT_EQ(Target(ListRequest(kPods, options, "c=/+", "12")),
            "/api/v1/namespaces/a%20b/pods?fieldSelector=spec.nodeName%3Dn1%2Cx%21%3D%25"
            "&labelSelector=a%2Fb%20in%20%28c%2Cd%29%26%C3%A9&limit=3&continue=c%3D%2F%2B"
            "&resourceVersion=12");
}

TEST(RequestTest, OnlyWhatDoesNoHarmTwiceIsRepeatable) {
  const ObjectKey key{"ns", "x"};
  EXPECT_TRUE(GetRequest(kPods, key).repeatable);
  EXPECT_TRUE(ListRequest(kPods, {}).repeatable);
  EXPECT_TRUE(UpdateRequest(kPods, key, "{}").repeatable);
  EXPECT_TRUE(PatchRequest(kPods, key, PatchKind::kMerge, "{}").repeatable);
  EXPECT_FALSE(PatchRequest(kPods, key, PatchKind::kJson, "[]").repeatable);
  EXPECT_TRUE(PatchRequest(kPods, key, PatchKind::kStrategic, "{}").repeatable);
  EXPECT_FALSE(CreateRequest(kPods, "ns", "{}").repeatable);
  EXPECT_FALSE(DeleteRequest(kPods, key, {}).repeatable);
  EXPECT_FALSE(DeleteRequest(kPods, key, {.resource_version = "1"}).repeatable);
  EXPECT_TRUE(DeleteRequest(kPods, key, {.uid = "u"}).repeatable);
}

}  // namespace
}  // namespace hami::kube
