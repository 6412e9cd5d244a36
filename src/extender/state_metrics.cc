// SPDX-License-Identifier: Apache-2.0

#include "extender/state_metrics.h"

#include <cmath>
#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/version.h"

namespace hami::extender {
namespace {

using metrics::Samples;
using metrics::Type;
using Labels = metrics::Registry::Labels;

constexpr double kMib = 1024.0 * 1024.0;
// HAMi's charts join on it.
constexpr char kZone[] = "vGPU";

struct DeviceNow {
  const std::string& node;
  const vendor::Device& device;
  const placement::DeviceUse& use;
  bool percent_cores;  // of AMD's compute units: normalised in the new names
  std::string index;
  std::string cores;  // what the device has, in its own unit, as in HAMi
};

using ReadDevice = std::function<void(const DeviceNow&, Samples*)>;
using ReadPod =
    std::function<void(const placement::Cluster&, const placement::PodFacts&, Samples*)>;
using ReadQuota = std::function<void(const placement::QuotaUse&, const vendor::Spec&, Samples*)>;

class Maker {
 public:
  Maker(const vendor::Registry& registry, const ClusterState& state, metrics::Registry* metrics)
      : registry_(registry), state_(state), metrics_(metrics) {}

  void AddDevices(const char* name, const char* help, const Labels& labels, ReadDevice read) {
    Add(name, help, labels,
        [this_registry = &registry_, read = std::move(read)](
            const placement::Cluster& cluster, const std::string& node, Samples* samples) {
          const placement::NodeFacts* facts = cluster.FindNode(node);
          if (facts == nullptr || facts->devices.empty()) return;
          const std::vector<placement::DeviceUse> uses = cluster.UseOf(node);
          for (size_t i = 0; i < facts->devices.size() && i < uses.size(); ++i) {
            const vendor::Device& device = facts->devices[i];
            const vendor::Spec& spec = this_registry->at(device.vendor);
            read({node, device, uses[i], spec.core_unit != vendor::CoreUnit::kPercent,
                  std::to_string(device.index), std::to_string(device.cores)},
                 samples);
          }
        });
  }

  void AddPods(const char* name, const char* help, const Labels& labels, ReadPod read) {
    Add(name, help, labels,
        [read = std::move(read)](const placement::Cluster& cluster, const std::string& node,
                                 Samples* samples) {
          for (const placement::PodFacts& pod : cluster.PodsOn(node)) {
            if (!pod.slices.empty()) read(cluster, pod, samples);
          }
        });
  }

  void AddQuotas(const char* name, const char* help, const Labels& labels, ReadQuota read) {
    metrics_->AddCallback(
        Type::kGauge, name, help, labels,
        [registry = &registry_, state = &state_, read = std::move(read)](Samples* samples) {
          std::vector<placement::QuotaUse> uses;
          state->Look([&uses](const placement::Cluster& cluster) { uses = cluster.QuotaUses(); });
          for (const placement::QuotaUse& use : uses) {
            read(use, registry->at(use.vendor), samples);
          }
        });
  }

 private:
  using ReadNode =
      std::function<void(const placement::Cluster&, const std::string& node, Samples*)>;

  // One node at a time, so that decisions go on.
  void Add(const char* name, const char* help, const Labels& labels, ReadNode read) {
    metrics_->AddCallback(
        Type::kGauge, name, help, labels,
        [state = &state_, read = std::move(read)](Samples* samples) {
          std::vector<std::string> nodes;
          state->Look([&nodes](const placement::Cluster& cluster) { nodes = cluster.NodeNames(); });
          for (const std::string& node : nodes) {
            samples->MakeRoom();
            state->Look([&](const placement::Cluster& cluster) { read(cluster, node, samples); });
          }
        });
  }

  const vendor::Registry& registry_;
  const ClusterState& state_;
  metrics::Registry* const metrics_;
};

double Percent(int64_t cores, int32_t of) { return std::ceil(100.0 * cores / of); }

double CoresPercent(const DeviceNow& now) {
  if (!now.percent_cores || now.device.cores <= 0) return now.use.cores;
  return Percent(now.use.cores, now.device.cores);
}

// Null: the node or its device is not known.
const vendor::Device* DeviceOf(const placement::Cluster& cluster, const std::string& node,
                               const std::string& id) {
  if (const placement::NodeFacts* facts = cluster.FindNode(node)) {
    for (const vendor::Device& device : facts->devices) {
      if (device.id == id) return &device;
    }
  }
  return nullptr;
}

std::string IndexOf(const placement::Cluster& cluster, const std::string& node,
                    const std::string& id) {
  const vendor::Device* device = DeviceOf(cluster, node, id);
  return device == nullptr ? "" : std::to_string(device->index);
}

// A slice that its pod holds now: those of init containers end with them.
bool IsHeld(const placement::PodFacts& pod, const domain::Slice& slice) {
  return !pod.init_done || slice.container >= pod.kinds.size() ||
         pod.kinds[slice.container] != domain::ContainerKind::kInit;
}

struct Holding {
  int64_t memory_mib = 0;
  int64_t cores = 0;     // of the device: percent, units
  int64_t as_noted = 0;  // cores as the pod's annotation has them, a mask for AWS Neuron
};

// By container and device: a container may have several slices of a MIG device.
std::map<std::pair<uint16_t, std::string>, Holding> HeldBy(const placement::Cluster& cluster,
                                                           const placement::PodFacts& pod) {
  std::map<std::pair<uint16_t, std::string>, Holding> held;
  for (const domain::Slice& slice : pod.slices) {
    if (!IsHeld(pod, slice)) continue;
    Holding& holding = held[{slice.container, slice.device}];
    holding.memory_mib += slice.memory_mib;
    holding.cores += cluster.UseOf(pod.node, slice).cores;
    holding.as_noted += slice.cores;
  }
  return held;
}

// Labels: zone, namespace, node, pod, container, device.
ReadPod HoldingSamples(std::function<double(const placement::Cluster&, const std::string& node,
                                            const std::string& device, const Holding&)>
                           value) {
  return [value = std::move(value)](const placement::Cluster& cluster,
                                    const placement::PodFacts& facts, Samples* samples) {
    for (const auto& [key, holding] : HeldBy(cluster, facts)) {
      const auto& [container, device] = key;
      samples->Add(
          {kZone, facts.namespace_name, facts.node, facts.name, std::to_string(container), device},
          value(cluster, facts.node, device, holding));
    }
  };
}

ReadPod MemorySamples() {
  return HoldingSamples([](const placement::Cluster&, const std::string&, const std::string&,
                           const Holding& holding) { return holding.memory_mib * kMib; });
}

// Labels: zone, namespace, resource, limit.
void AddQuotaUse(const placement::QuotaUse& use, const vendor::Spec& spec, Samples* samples) {
  const auto add = [&](const std::string& name, int64_t used, const std::optional<int64_t>& limit) {
    if (name.empty()) return;
    samples->Add({kZone, use.namespace_name, name, std::to_string(limit.value_or(0))},
                 static_cast<double>(used));
  };
  add(spec.resources.memory, use.memory_mib, use.memory_limit_mib);
  add(spec.resources.cores, use.cores, use.cores_limit);
}

// Labels: zone, namespace, resource.
void AddQuotaLimit(const placement::QuotaUse& use, const vendor::Spec& spec, Samples* samples) {
  const auto add = [&](const std::string& name, const std::optional<int64_t>& limit) {
    if (name.empty() || !limit) return;
    samples->Add({kZone, use.namespace_name, name}, static_cast<double>(*limit));
  };
  add(spec.resources.memory, use.memory_limit_mib);
  add(spec.resources.cores, use.cores_limit);
}

double MemoryLimit(const DeviceNow& now) { return now.device.memory_mib * kMib; }
double MemoryHeld(const DeviceNow& now) { return now.use.memory_mib * kMib; }
double Sharing(const DeviceNow& now) { return now.use.slots; }

// Labels: zone, node, device, index, type.
ReadDevice DeviceSamples(std::function<double(const DeviceNow&)> value) {
  return [value = std::move(value)](const DeviceNow& now, Samples* samples) {
    samples->Add({kZone, now.node, now.device.id, now.index, now.device.type}, value(now));
  };
}

void AddDeviceMetrics(Maker* maker) {
  const Labels device = {"zone", "node", "device_uuid", "device_index", "device_type"};
  const auto with = [&device](std::initializer_list<std::string> more) {
    Labels labels = device;
    labels.insert(labels.end(), more.begin(), more.end());
    return labels;
  };
  maker->AddDevices("hami_gpu_memory_limit_bytes", "Memory of a device.", device,
                    DeviceSamples(MemoryLimit));
  maker->AddDevices("hami_gpu_core_limit_ratio", "Cores of a device, in percent.", device,
                    DeviceSamples([](const DeviceNow& now) -> double {
                      return now.percent_cores ? 100 : now.device.cores;
                    }));
  maker->AddDevices("hami_gpu_memory_allocated_bytes", "Memory of a device that pods hold.",
                    with({"device_cores"}), [](const DeviceNow& now, Samples* samples) {
                      samples->Add(
                          {kZone, now.node, now.device.id, now.index, now.device.type, now.cores},
                          MemoryHeld(now));
                    });
  maker->AddDevices("hami_gpu_shared_count", "Containers that share a device.", device,
                    DeviceSamples(Sharing));
  maker->AddDevices("hami_gpu_core_allocated_ratio", "Cores of a device that pods hold, percent.",
                    device, DeviceSamples(CoresPercent));
  maker->AddDevices("hami_node_gpu_overview", "Memory of a device that pods hold, with its limits.",
                    with({"device_cores", "device_memory_limit"}),
                    [](const DeviceNow& now, Samples* samples) {
                      samples->Add({kZone, now.node, now.device.id, now.index, now.device.type,
                                    now.cores, std::to_string(now.device.memory_mib)},
                                   MemoryHeld(now));
                    });
  maker->AddDevices("hami_node_gpu_memory_allocated_ratio", "Part of a device's memory, 0 to 1.",
                    device, [](const DeviceNow& now, Samples* samples) {
                      if (now.device.memory_mib <= 0) return;
                      samples->Add({kZone, now.node, now.device.id, now.index, now.device.type},
                                   MemoryHeld(now) / MemoryLimit(now));
                    });
}

void AddPodMetrics(const vendor::Registry& registry, Maker* maker) {
  const Labels pod = {"zone", "namespace", "node", "pod", "container_index", "device_uuid"};
  maker->AddPods("hami_vgpu_memory_allocated_bytes", "Memory of a device that a container holds.",
                 pod, MemorySamples());
  maker->AddPods(
      "hami_vgpu_core_allocated_ratio", "Cores of a device that a container holds, percent.", pod,
      HoldingSamples([&registry](const placement::Cluster& cluster, const std::string& node,
                                 const std::string& id, const Holding& holding) -> double {
        const vendor::Device* device = DeviceOf(cluster, node, id);
        const bool in_units = device != nullptr && device->cores > 0 &&
                              registry.at(device->vendor).core_unit != vendor::CoreUnit::kPercent;
        if (!in_units) return static_cast<double>(holding.cores);
        return Percent(holding.cores, device->cores);
      }));
  maker->AddPods(
      "hami_node_gpu_mig_instance_info", "MIG instances that nodes have made for containers.",
      {"zone", "node", "device_uuid", "device_index", "mig_uuid", "profile", "gpu_instance_id",
       "compute_instance_id", "placement_start", "placement_size"},
      [](const placement::Cluster& cluster, const placement::PodFacts& facts, Samples* samples) {
        for (const domain::Slice& slice : facts.slices) {
          if (!slice.mig || slice.mig->mig_uuid.empty() || !IsHeld(facts, slice)) continue;
          const domain::MigPlacement& mig = *slice.mig;
          samples->Add({kZone, facts.node, slice.device, IndexOf(cluster, facts.node, slice.device),
                        mig.mig_uuid, mig.profile, std::to_string(mig.gpu_instance),
                        std::to_string(mig.compute_instance), std::to_string(mig.start),
                        std::to_string(mig.size)},
                       1);
        }
      });
}

void AddQuotaMetrics(Maker* maker) {
  maker->AddQuotas("hami_resource_quota_used", "What a namespace holds of a resource.",
                   {"zone", "namespace", "quota_name", "limit"}, AddQuotaUse);
  maker->AddQuotas("hami_resource_quota_limit", "What a namespace may hold of a resource.",
                   {"zone", "namespace", "quota_name"}, AddQuotaLimit);
}

// The names from before 2.9. AMD's values are not normalised there.
void AddLegacyDeviceMetrics(Maker* maker) {
  const Labels device = {"zone", "nodeid", "deviceuuid", "deviceidx", "devicetype"};
  maker->AddDevices("GPUDeviceMemoryLimit", "Legacy: hami_gpu_memory_limit_bytes.", device,
                    DeviceSamples(MemoryLimit));
  maker->AddDevices("GPUDeviceCoreLimit", "Legacy: hami_gpu_core_limit_ratio.", device,
                    DeviceSamples([](const DeviceNow& now) -> double { return now.device.cores; }));
  maker->AddDevices("GPUDeviceSharedNum", "Legacy: hami_gpu_shared_count.", device,
                    DeviceSamples(Sharing));
  maker->AddDevices("GPUDeviceCoreAllocated", "Legacy: hami_gpu_core_allocated_ratio.", device,
                    DeviceSamples([](const DeviceNow& now) -> double { return now.use.cores; }));
  maker->AddDevices("GPUDeviceMemoryAllocated", "Legacy: hami_gpu_memory_allocated_bytes.",
                    {"zone", "nodeid", "deviceuuid", "deviceidx", "devicetype", "devicecores"},
                    [](const DeviceNow& now, Samples* samples) {
                      samples->Add(
                          {kZone, now.node, now.device.id, now.index, now.device.type, now.cores},
                          MemoryHeld(now));
                    });
  maker->AddDevices("nodeGPUOverview", "Legacy: hami_node_gpu_overview.",
                    {"zone", "nodeid", "deviceuuid", "deviceidx", "devicecores",
                     "devicememorylimit", "devicetype"},
                    [](const DeviceNow& now, Samples* samples) {
                      samples->Add({kZone, now.node, now.device.id, now.index, now.cores,
                                    std::to_string(now.device.memory_mib), now.device.type},
                                   MemoryHeld(now));
                    });
  maker->AddDevices("nodeGPUMemoryPercentage", "Legacy: hami_node_gpu_memory_allocated_ratio.",
                    {"zone", "nodeid", "deviceuuid", "deviceidx"},
                    [](const DeviceNow& now, Samples* samples) {
                      if (now.device.memory_mib <= 0) return;
                      samples->Add({kZone, now.node, now.device.id, now.index},
                                   MemoryHeld(now) / MemoryLimit(now));
                    });
}

void AddLegacyPodMetrics(Maker* maker) {
  const Labels pod = {"zone", "podnamespace", "nodename", "podname", "containeridx", "deviceuuid"};
  maker->AddPods("vGPUMemoryAllocated", "Legacy: hami_vgpu_memory_allocated_bytes.", pod,
                 MemorySamples());
  maker->AddPods(
      "vGPUCoreAllocated", "Legacy: hami_vgpu_core_allocated_ratio.", pod,
      HoldingSamples([](const placement::Cluster&, const std::string&, const std::string&,
                        const Holding& holding) { return static_cast<double>(holding.as_noted); }));
  maker->AddPods(
      "nodeGPUMigInstance", "Legacy: hami_node_gpu_mig_instance_info.",
      {"zone", "nodeid", "deviceuuid", "deviceidx", "migname"},
      [](const placement::Cluster& cluster, const placement::PodFacts& facts, Samples* samples) {
        for (const domain::Slice& slice : facts.slices) {
          if (!slice.mig || slice.mig->mig_uuid.empty() || !IsHeld(facts, slice)) continue;
          samples->Add({kZone, facts.node, slice.device, IndexOf(cluster, facts.node, slice.device),
                        slice.mig->profile + "-" + std::to_string(slice.mig->gpu_instance)},
                       1);
        }
      });
  maker->AddQuotas("QuotaUsed", "Legacy: hami_resource_quota_used.",
                   {"zone", "quotanamespace", "quotaName", "limit"}, AddQuotaUse);
}

const char* NameOf(Hold hold) {
  switch (hold) {
    case Hold::kReserved:
      return "reserved";
    case Hold::kBinding:
      return "binding";
    case Hold::kBound:
      return "bound";
    case Hold::kUncertain:
      return "uncertain";
    case Hold::kNominated:
      return "nominated";
  }
  return "";
}

}  // namespace

void AddStateMetrics(const vendor::Registry& registry, const ClusterState& state, bool legacy,
                     metrics::Registry* metrics) {
  Maker maker(registry, state, metrics);
  AddDeviceMetrics(&maker);
  AddPodMetrics(registry, &maker);
  AddQuotaMetrics(&maker);
  if (!legacy) return;
  AddLegacyDeviceMetrics(&maker);
  AddLegacyPodMetrics(&maker);
}

void AddOwnMetrics(const ClusterState& state, const Leadership& leadership,
                   metrics::Registry* metrics) {
  metrics
      ->AddGauge("hami_build_info", "Which build this is.",
                 {"version", "revision", "build_date", "go_version", "compiler", "platform"})
      .With({std::string(base::Version()), std::string(base::Commit()), "", "",
             std::string(base::Build()), "linux"})
      .Set(1);
  metrics->AddCallback(
      Type::kGauge, "hami_scheduler_reservations",
      "Room that is promised to pods which the API does not show on a node yet.", {"state"},
      [&state](Samples* samples) {
        StateFigures figures = state.Figures();
        for (const Hold hold :
             {Hold::kReserved, Hold::kBinding, Hold::kBound, Hold::kUncertain, Hold::kNominated}) {
          samples->Add({NameOf(hold)}, static_cast<double>(figures.reservations[hold]));
        }
      });
  const auto add = [&](Type type, const char* name, const char* help,
                       std::function<double(const StateFigures&)> read) {
    metrics->AddCallback(type, name, help,
                         [&state, read = std::move(read)] { return read(state.Figures()); });
  };
  add(Type::kCounter, "hami_scheduler_reservations_expired_total",
      "Reservations that nobody bound in time.",
      [](const StateFigures& now) { return static_cast<double>(now.expired); });
  add(Type::kCounter, "hami_scheduler_reservations_overridden_total",
      "Pods that came to lie elsewhere than reserved: somebody else placed them.",
      [](const StateFigures& now) { return static_cast<double>(now.overridden); });
  add(Type::kGauge, "hami_scheduler_waiting_pods", "Pods that fit nowhere.",
      [](const StateFigures& now) { return static_cast<double>(now.waiting); });
  add(Type::kGauge, "hami_scheduler_unreadable_pods",
      "Pods whose allocation is malformed or forged; they count as holding no device.",
      [](const StateFigures& now) { return static_cast<double>(now.unreadable_pods); });
  add(Type::kGauge, "hami_scheduler_nodes", "Nodes that are known.",
      [](const StateFigures& now) { return static_cast<double>(now.nodes); });
  add(Type::kGauge, "hami_scheduler_pods", "Pods that are known.",
      [](const StateFigures& now) { return static_cast<double>(now.pods); });
  metrics->AddCallback(Type::kGauge, "hami_scheduler_overcommitted_devices",
                       "Devices on which more is held than there is. Must be 0.", [&state] {
                         size_t count = 0;
                         state.Look([&count](const placement::Cluster& cluster) {
                           count = cluster.Overcommitted().size();
                         });
                         return static_cast<double>(count);
                       });
  metrics->AddCallback(Type::kGauge, "hami_scheduler_leader",
                       "1 if this replica decides and binds.",
                       [&leadership] { return leadership.LeftMs() > 0 ? 1.0 : 0.0; });
}

}  // namespace hami::extender
