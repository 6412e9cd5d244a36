// SPDX-License-Identifier: Apache-2.0
//
// For tests and benchmarks: the AdmissionReviews that an API server sends.

#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace hami::webhook {

// A pod as the API server has defaulted it, with one container "main" that has these limits.
inline nlohmann::json FakePod(const nlohmann::json& limits) {
  nlohmann::json container = {{"name", "main"},
                              {"image", "registry.example/app:1"},
                              {"terminationMessagePath", "/dev/termination-log"}};
  container["resources"] = nlohmann::json::object();
  if (!limits.is_null()) {
    container["resources"] = {{"limits", limits}, {"requests", limits}};
  }
  return {{"kind", "Pod"},
          {"apiVersion", "v1"},
          {"metadata", {{"name", "train"}, {"namespace", "team-a"}}},
          {"spec",
           {{"containers", nlohmann::json::array({container})},
            {"restartPolicy", "Always"},
            {"schedulerName", "default-scheduler"}}},
          {"status", nlohmann::json::object()}};
}

inline nlohmann::json FakeReview(const nlohmann::json& pod, const std::string& operation = "CREATE",
                                 const std::string& user = "alice") {
  return {{"kind", "AdmissionReview"},
          {"apiVersion", "admission.k8s.io/v1"},
          {"request",
           {{"uid", "705ab4f5-6393-11e8-b7cc-42010a800002"},
            {"kind", {{"group", ""}, {"version", "v1"}, {"kind", "Pod"}}},
            {"resource", {{"group", ""}, {"version", "v1"}, {"resource", "pods"}}},
            {"name", "train"},
            {"namespace", "team-a"},
            {"operation", operation},
            {"userInfo", {{"username", user}}},
            {"object", pod},
            {"oldObject", nullptr},
            {"dryRun", false}}}};
}

}  // namespace hami::webhook
