// SPDX-License-Identifier: Apache-2.0

#include "domain/fake_objects.h"

#include <map>
#include <vector>

#include "base/timestamp.h"
#include "protobuf/fake_writer.h"

namespace hami::domain {
namespace {

using nlohmann::json;
using protobuf::FakeWriter;

enum class Form : uint8_t { kText, kNumber, kMessage, kTexts, kQuantities, kTime };

struct Field {
  const char* name;
  uint32_t number;
  Form form;
  const char* message = nullptr;  // of kMessage, repeated if the JSON is an array
};

// k8s.io/api/core/v1 and apimachinery's meta/v1, in part.
using Messages = std::map<std::string, std::vector<Field>>;

const Messages& SpecMessages() {
  static const Messages kMessages = {
      {"Pod",
       {{"metadata", 1, Form::kMessage, "ObjectMeta"},
        {"spec", 2, Form::kMessage, "PodSpec"},
        {"status", 3, Form::kMessage, "PodStatus"}}},
      {"ObjectMeta",
       {{"name", 1, Form::kText},
        {"generateName", 2, Form::kText},
        {"namespace", 3, Form::kText},
        {"uid", 5, Form::kText},
        {"resourceVersion", 6, Form::kText},
        {"generation", 7, Form::kNumber},
        {"creationTimestamp", 8, Form::kTime},
        {"deletionTimestamp", 9, Form::kTime},
        {"deletionGracePeriodSeconds", 10, Form::kNumber},
        {"labels", 11, Form::kTexts},
        {"annotations", 12, Form::kTexts},
        {"ownerReferences", 13, Form::kMessage, "OwnerReference"}}},
      {"OwnerReference",
       {{"kind", 1, Form::kText}, {"name", 3, Form::kText}, {"uid", 4, Form::kText}}},
      {"PodSpec",
       {{"containers", 2, Form::kMessage, "Container"},
        {"restartPolicy", 3, Form::kText},
        {"terminationGracePeriodSeconds", 4, Form::kNumber},
        {"activeDeadlineSeconds", 5, Form::kNumber},
        {"nodeSelector", 7, Form::kTexts},
        {"nodeName", 10, Form::kText},
        {"hostNetwork", 11, Form::kNumber},
        {"schedulerName", 19, Form::kText},
        {"initContainers", 20, Form::kMessage, "Container"},
        {"priorityClassName", 24, Form::kText},
        {"priority", 25, Form::kNumber},
        {"preemptionPolicy", 31, Form::kText},
        {"overhead", 32, Form::kQuantities},
        {"schedulingGates", 38, Form::kMessage, "PodSchedulingGate"},
        {"schedulingGroup", 43, Form::kMessage, "PodSchedulingGroup"}}},
      {"PodSchedulingGate", {{"name", 1, Form::kText}}},
      {"PodSchedulingGroup", {{"podGroupName", 1, Form::kText}}},
      {"Container",
       {{"name", 1, Form::kText},
        {"image", 2, Form::kText},
        {"env", 7, Form::kMessage, "EnvVar"},
        {"resources", 8, Form::kMessage, "ResourceRequirements"},
        {"securityContext", 15, Form::kMessage, "SecurityContext"},
        {"tty", 18, Form::kNumber},
        {"restartPolicy", 24, Form::kText}}},
      {"EnvVar", {{"name", 1, Form::kText}, {"value", 2, Form::kText}}},
      {"ResourceRequirements",
       {{"limits", 1, Form::kQuantities}, {"requests", 2, Form::kQuantities}}},
      {"SecurityContext", {{"privileged", 2, Form::kNumber}, {"runAsUser", 4, Form::kNumber}}}};
  return kMessages;
}

const Messages& StatusMessages() {
  static const Messages kMessages = {
      {"PodStatus",
       {{"phase", 1, Form::kText},
        {"podIP", 6, Form::kText},
        {"initContainerStatuses", 10, Form::kMessage, "ContainerStatus"},
        {"containerStatuses", 8, Form::kMessage, "ContainerStatus"},
        {"nominatedNodeName", 11, Form::kText}}},
      {"ContainerStatus",
       {{"name", 1, Form::kText},
        {"state", 2, Form::kMessage, "ContainerState"},
        {"lastState", 3, Form::kMessage, "ContainerState"},
        {"ready", 4, Form::kNumber},
        {"restartCount", 5, Form::kNumber}}},
      {"ContainerState",
       {{"waiting", 1, Form::kMessage, "ContainerStateWaiting"},
        {"running", 2, Form::kMessage, "ContainerStateRunning"},
        {"terminated", 3, Form::kMessage, "ContainerStateTerminated"}}},
      {"ContainerStateWaiting", {{"reason", 1, Form::kText}}},
      {"ContainerStateRunning", {{"startedAt", 1, Form::kTime}}},
      {"ContainerStateTerminated", {{"exitCode", 1, Form::kNumber}, {"reason", 3, Form::kText}}},
      {"Node",
       {{"metadata", 1, Form::kMessage, "ObjectMeta"},
        {"spec", 2, Form::kMessage, "NodeSpec"},
        {"status", 3, Form::kMessage, "NodeStatus"}}},
      {"NodeSpec",
       {{"podCIDR", 1, Form::kText},
        {"providerID", 3, Form::kText},
        {"unschedulable", 4, Form::kNumber},
        {"taints", 5, Form::kMessage, "Taint"}}},
      {"Taint", {{"key", 1, Form::kText}, {"value", 2, Form::kText}, {"effect", 3, Form::kText}}},
      {"NodeStatus",
       {{"capacity", 1, Form::kQuantities},
        {"allocatable", 2, Form::kQuantities},
        {"conditions", 4, Form::kMessage, "NodeCondition"}}},
      {"NodeCondition",
       {{"type", 1, Form::kText}, {"status", 2, Form::kText}, {"reason", 5, Form::kText}}}};
  return kMessages;
}

std::string Encode(const json& object, const std::string& message);

uint64_t NumberOf(const json& value) {
  return value.is_boolean() ? static_cast<uint64_t>(value.get<bool>())
                            : static_cast<uint64_t>(value.get<int64_t>());
}

void EncodeField(const json& value, const Field& field, FakeWriter* out) {
  switch (field.form) {
    case Form::kText:
      out->Text(field.number, value.get<std::string>());
      break;
    case Form::kNumber:
      out->Number(field.number, NumberOf(value));
      break;
    case Form::kMessage:
      if (value.is_array()) {
        for (const json& item : value) out->Text(field.number, Encode(item, field.message));
      } else {
        out->Text(field.number, Encode(value, field.message));
      }
      break;
    case Form::kTexts:
      for (const auto& [key, text] : value.items()) {
        out->Entry(field.number, key, text.get<std::string>());
      }
      break;
    case Form::kQuantities:
      for (const auto& [key, text] : value.items()) {
        const std::string quantity = FakeWriter().Text(1, text.get<std::string>()).bytes();
        out->Entry(field.number, key, quantity);
      }
      break;
    case Form::kTime: {
      FakeWriter time;
      if (value.is_string()) {
        const int64_t wall_ns = base::ParseTimestamp(value.get<std::string>()).value();
        time.Number(1, static_cast<uint64_t>(wall_ns / 1'000'000'000)).Number(2, 0);
      }
      out->Text(field.number, time.bytes());  // empty: no time
      break;
    }
  }
}

std::string Encode(const json& object, const std::string& message) {
  FakeWriter out;
  const Messages& messages = SpecMessages().contains(message) ? SpecMessages() : StatusMessages();
  for (const Field& field : messages.at(message)) {
    if (object.contains(field.name)) EncodeField(object[field.name], field, &out);
  }
  return out.bytes();
}

bool Chance(std::mt19937* random, unsigned of) { return (*random)() % of == 0; }

// Leaves out members, at any depth, but keeps what makes a pod a pod.
void Thin(json* object, std::mt19937* random, bool is_top) {
  if (object->is_array()) {
    for (json& item : *object) Thin(&item, random, false);
    if (!object->empty() && Chance(random, 4)) object->erase(0);
    if (!object->empty() && Chance(random, 4)) object->push_back(object->front());
  }
  if (!object->is_object()) return;
  for (auto member = object->begin(); member != object->end();) {
    const bool needed = is_top || member.key() == "name" || member.key() == "state";
    if (!needed && Chance(random, 8)) {
      member = object->erase(member);
      continue;
    }
    Thin(&member.value(), random, false);
    ++member;
  }
}

}  // namespace

json FakePod() {
  return json::parse(R"({
    "apiVersion": "v1", "kind": "Pod",
    "metadata": {
      "name": "train-0", "namespace": "team-a", "generateName": "train-",
      "uid": "0e6bd8c8-5f2c-4b4e-9c7e-0a4f6ad7f2b1", "resourceVersion": "4711", "generation": 2,
      "creationTimestamp": "2026-08-21T10:00:00Z",
      "deletionTimestamp": "2026-08-21T11:00:00Z", "deletionGracePeriodSeconds": 30,
      "labels": {"app": "train", "hami.io/vgpu-node": "node-1",
                 "scheduling.x-k8s.io/pod-group": "gang"},
      "annotations": {"hami.io/vgpu-node": "node-1", "empty": "",
                      "kubectl.kubernetes.io/last-applied-configuration": "{\"large\":1}"},
      "ownerReferences": [{"kind": "Job", "name": "train", "uid": "1"}]},
    "spec": {
      "initContainers": [
        {"name": "fetch", "image": "fetch:1",
         "resources": {"limits": {"nvidia.com/gpu": "1", "nvidia.com/gpumem": "1000"}}},
        {"name": "proxy", "image": "proxy:1", "restartPolicy": "Always",
         "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}],
      "containers": [
        {"name": "web", "image": "web:1", "env": [{"name": "A", "value": "b"}], "tty": true},
        {"name": "train", "image": "train:1", "restartPolicy": "Never",
         "securityContext": {"privileged": true, "runAsUser": 0},
         "resources": {"limits": {"nvidia.com/gpu": "2", "nvidia.com/gpucores": "30"},
                       "requests": {"nvidia.com/gpu": "2", "cpu": "1500m"}}}],
      "restartPolicy": "Never", "terminationGracePeriodSeconds": 30, "hostNetwork": false,
      "nodeSelector": {"gpu": "on"}, "nodeName": "node-1", "schedulerName": "hami-scheduler",
      "activeDeadlineSeconds": 3600, "priorityClassName": "batch",
      "priority": -5, "preemptionPolicy": "Never", "overhead": {"cpu": "250m", "memory": "120Mi"},
      "schedulingGates": [{"name": "example.com/wait"}],
      "schedulingGroup": {"podGroupName": "group-of-the-spec"}},
    "status": {
      "phase": "Pending", "nominatedNodeName": "node-2", "podIP": "10.0.0.7",
      "initContainerStatuses": [
        {"name": "fetch", "ready": true, "restartCount": 1,
         "state": {"terminated": {"exitCode": 0, "reason": "Completed"}},
         "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}},
        {"name": "proxy", "ready": true, "restartCount": 0,
         "state": {"running": {"startedAt": "2026-08-21T10:00:05Z"}}}],
      "containerStatuses": [
        {"name": "web", "ready": false, "state": {"waiting": {"reason": "PodInitializing"}}}]}})");
}

json FakeNode() {
  return json::parse(R"({
    "apiVersion": "v1", "kind": "Node",
    "metadata": {
      "name": "node-1", "uid": "7a3c", "resourceVersion": "99",
      "creationTimestamp": "2026-08-01T00:00:00Z",
      "labels": {"gpu": "on", "kubernetes.io/hostname": "node-1"},
      "annotations": {"hami.io/device-cordon": "GPU-a",
                      "kubectl.kubernetes.io/last-applied-configuration": "{}"}},
    "spec": {"podCIDR": "10.1.0.0/24", "providerID": "x://1", "unschedulable": true,
             "taints": [{"key": "dedicated", "value": "train", "effect": "NoSchedule"},
                        {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]},
    "status": {
      "capacity": {"cpu": "64", "memory": "528214456Ki", "nvidia.com/gpu": "80"},
      "allocatable": {"cpu": "63500m", "memory": "520Gi", "nvidia.com/gpu": "80"},
      "conditions": [
        {"type": "MemoryPressure", "status": "False", "reason": "KubeletHasSufficientMemory"},
        {"type": "Ready", "status": "True", "reason": "KubeletReady"}]}})");
}

json RandomPod(std::mt19937* random) {
  json pod = FakePod();
  Thin(&pod, random, true);
  json& spec = pod["spec"];
  if (spec.contains("priority")) spec["priority"] = static_cast<int32_t>((*random)());
  json& status = pod["status"];
  if (!status.contains("initContainerStatuses")) return pod;
  for (json& item : status["initContainerStatuses"]) {
    if (Chance(random, 3)) item["state"] = {{"terminated", {{"exitCode", (*random)() % 3}}}};
  }
  return pod;
}

json RandomNode(std::mt19937* random) {
  json node = FakeNode();
  Thin(&node, random, true);
  return node;
}

std::string PodMessage(const json& pod) { return Encode(pod, "Pod"); }
std::string NodeMessage(const json& node) { return Encode(node, "Node"); }

}  // namespace hami::domain
