// SPDX-License-Identifier: Apache-2.0
//
// The numbers are those of core/v1: Pod, PodSpec, PodStatus, Container and what they hold.

#include "domain/pod_parts.h"
#include "domain/protobuf_fields.h"
#include "domain/protobuf_objects.h"
#include "protobuf/reader.h"

namespace hami::domain {
namespace {

using protobuf::Reader;

Status ReadRequirements(std::string_view message, PodContainer* container) {
  Reader fields(message);
  while (fields.Next()) {
    if (fields.number() == 1) {
      RETURN_IF_ERROR(ReadResourceProtobuf(fields.Text(), &container->limits));
    } else if (fields.number() == 2) {
      RETURN_IF_ERROR(ReadResourceProtobuf(fields.Text(), &container->requests));
    }
  }
  return fields.End();
}

Status ReadSecurityContext(std::string_view message, PodContainer* container) {
  Reader fields(message);
  while (fields.Next()) {
    if (fields.number() == 2) container->privileged = fields.Flag();
  }
  return fields.End();
}

Result<PodContainer> ReadContainer(std::string_view message, bool is_init) {
  PodContainer container;
  if (is_init) container.kind = ContainerKind::kInit;
  Reader fields(message);
  while (fields.Next()) {
    switch (fields.number()) {
      case 1:
        container.name = fields.Text();
        break;
      case 8:
        RETURN_IF_ERROR(ReadRequirements(fields.Text(), &container));
        break;
      case 15:
        RETURN_IF_ERROR(ReadSecurityContext(fields.Text(), &container));
        break;
      case 24:
        if (is_init && fields.Text() == "Always") container.kind = ContainerKind::kSidecar;
        break;
      default:
        break;
    }
  }
  RETURN_IF_ERROR(fields.End());
  return container;
}

Status ReadSchedulingGroup(std::string_view message, std::string* pod_group) {
  Reader fields(message);
  while (fields.Next()) {
    if (fields.number() == 1) *pod_group = fields.Text();
  }
  return fields.End();
}

Status ReadSpec(std::string_view message, PodParts* parts) {
  Pod& pod = parts->pod;
  std::vector<PodContainer> apps;  // init containers come first, whatever their place in the bytes
  Reader fields(message);
  while (fields.Next()) {
    switch (fields.number()) {
      case 2: {
        ASSIGN_OR_RETURN(PodContainer container, ReadContainer(fields.Text(), false));
        apps.push_back(std::move(container));
        break;
      }
      case 20: {
        ASSIGN_OR_RETURN(PodContainer container, ReadContainer(fields.Text(), true));
        pod.containers.push_back(std::move(container));
        break;
      }
      case 5:
        pod.has_deadline = true;
        break;
      case 10:
        pod.node_name = fields.Text();
        break;
      case 19:
        pod.scheduler_name = fields.Text();
        break;
      case 24:
        pod.priority_class = fields.Text();
        break;
      case 25:
        pod.priority = fields.Signed32();
        break;
      case 31:
        pod.never_preempts = fields.Text() == "Never";
        break;
      case 32:
        RETURN_IF_ERROR(ReadResourceProtobuf(fields.Text(), &pod.overhead));
        break;
      case 38:
        pod.gated = true;
        break;
      case 43:
        RETURN_IF_ERROR(ReadSchedulingGroup(fields.Text(), &parts->spec_pod_group));
        break;
      default:
        break;
    }
  }
  RETURN_IF_ERROR(fields.End());
  for (PodContainer& container : apps) pod.containers.push_back(std::move(container));
  return {};
}

// ContainerState: 3 is terminated, in which 1 is the exit code.
Status ReadState(std::string_view message, bool* ended_well) {
  Reader fields(message);
  while (fields.Next()) {
    if (fields.number() != 3) continue;
    int32_t exit_code = 0;
    Reader ended(fields.Text());
    while (ended.Next()) {
      if (ended.number() == 1) exit_code = ended.Signed32();
    }
    RETURN_IF_ERROR(ended.End());
    *ended_well = exit_code == 0;
  }
  return fields.End();
}

Status ReadInitStatus(std::string_view message, PodParts* parts) {
  std::string_view name;
  bool ended_well = false;
  Reader fields(message);
  while (fields.Next()) {
    if (fields.number() == 1) name = fields.Text();
    if (fields.number() == 2) RETURN_IF_ERROR(ReadState(fields.Text(), &ended_well));
  }
  RETURN_IF_ERROR(fields.End());
  if (ended_well) parts->ended_inits.emplace_back(name);
  return {};
}

Status ReadStatus(std::string_view message, PodParts* parts) {
  Reader fields(message);
  while (fields.Next()) {
    if (fields.number() == 1) parts->pod.phase = fields.Text();
    if (fields.number() == 10) RETURN_IF_ERROR(ReadInitStatus(fields.Text(), parts));
    if (fields.number() == 11) parts->pod.nominated_node_name = fields.Text();
  }
  return fields.End();
}

}  // namespace

Result<Pod> ReadPodProtobuf(std::string_view message) {
  PodParts parts;
  Pod& pod = parts.pod;
  const MetadataFields metadata{.namespace_name = &pod.namespace_name,
                                .name = &pod.name,
                                .uid = &pod.uid,
                                .resource_version = &pod.resource_version,
                                .labels = &pod.labels,
                                .annotations = &pod.annotations,
                                .created_s = &pod.created_s,
                                .terminating = &pod.terminating};
  bool has_spec = false;
  Reader fields(message);
  while (fields.Next()) {
    if (fields.number() == 1) RETURN_IF_ERROR(ReadMetadataProtobuf(fields.Text(), metadata));
    if (fields.number() == 2) RETURN_IF_ERROR(ReadSpec(fields.Text(), &parts));
    if (fields.number() == 3) RETURN_IF_ERROR(ReadStatus(fields.Text(), &parts));
    has_spec = has_spec || fields.number() == 2;
  }
  RETURN_IF_ERROR(fields.End());
  if (!has_spec) return Fail(Code::kInvalidArgument, "a pod without a spec");
  return Complete(std::move(parts));
}

}  // namespace hami::domain
