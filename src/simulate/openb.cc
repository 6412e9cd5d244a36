// SPDX-License-Identifier: Apache-2.0

#include "simulate/openb.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

namespace hami::simulate {
namespace {

constexpr std::string_view kVendor = "NVIDIA";
constexpr int64_t kMostCpuMilli = 1'000'000'000;
constexpr int64_t kMostMemoryMib = int64_t{1} << 32;
constexpr int64_t kMostGpus = 64;  // of one node
constexpr int64_t kWholeGpu = 1000;
constexpr int32_t kMibPerMilli = kTraceGpuMib / kWholeGpu;

Result<const vendor::Spec*> VendorOf(const vendor::Registry& registry) {
  const vendor::Spec* const spec = registry.Find(kVendor);
  if (spec != nullptr) return spec;
  return Fail(Code::kInvalidArgument,
              "a trace needs the vendor NVIDIA, which the device configuration does not have");
}

vendor::VendorId IdOf(const vendor::Registry& registry, const vendor::Spec* spec) {
  return static_cast<vendor::VendorId>(spec - &registry.at(0));
}

// "V100M16|V100M32" as the annotation wants it.
std::string TypesOf(std::string models) {
  std::ranges::replace(models, '|', ',');
  return models;
}

struct PodColumns {
  size_t name = 0;
  size_t cpu = 0;
  size_t memory = 0;
  size_t gpus = 0;
  size_t gpu_milli = 0;
  std::optional<size_t> models;
  std::optional<size_t> created;
  std::optional<size_t> deleted;
};

Result<PodColumns> FindPodColumns(const CsvTable& table) {
  PodColumns columns;
  ASSIGN_OR_RETURN(columns.name, table.Required("name"));
  ASSIGN_OR_RETURN(columns.cpu, table.Required("cpu_milli"));
  ASSIGN_OR_RETURN(columns.memory, table.Required("memory_mib"));
  ASSIGN_OR_RETURN(columns.gpus, table.Required("num_gpu"));
  ASSIGN_OR_RETURN(columns.gpu_milli, table.Required("gpu_milli"));
  columns.models = table.Column("gpu_spec");
  columns.created = table.Column("creation_time");
  columns.deleted = table.Column("deletion_time");
  return columns;
}

Status AskForGpus(const CsvTable& table, const CsvRow& row, const PodColumns& columns,
                  const vendor::Spec& spec, domain::PodContainer* container) {
  ASSIGN_OR_RETURN(const int64_t gpus, table.Number(row, columns.gpus, kMostGpus));
  ASSIGN_OR_RETURN(const int64_t milli, table.Number(row, columns.gpu_milli, kWholeGpu));
  if (gpus == 0) return {};
  if (milli == 0) return Fail(table.At(row, "num_gpu says GPUs, gpu_milli none of them"));
  if (gpus > 1 && milli < kWholeGpu) {
    return Fail(table.At(
        row, fmt::format("{} GPUs and {} thousandths: a share is of one GPU", gpus, milli)));
  }
  container->limits[spec.resources.count] = fmt::format("{}", gpus);
  container->limits[spec.resources.memory] = fmt::format("{}", milli * kMibPerMilli);
  container->limits[spec.resources.cores] = fmt::format("{}", milli / 10);
  return {};
}

Result<WantedPod> ReadTracePod(const std::string& file, const CsvTable& table, const CsvRow& row,
                               const PodColumns& columns, const vendor::Spec& spec) {
  WantedPod wanted;
  wanted.source = fmt::format("{}:{}", file, row.line);
  domain::Pod& pod = wanted.pod;
  pod.name = row.cells[columns.name];
  if (pod.name.empty()) return Fail(table.At(row, "a pod without a name"));
  pod.namespace_name = "trace";
  pod.init_done = true;
  domain::PodContainer container;
  container.name = "main";
  ASSIGN_OR_RETURN(const int64_t cpu, table.Number(row, columns.cpu, kMostCpuMilli));
  ASSIGN_OR_RETURN(const int64_t memory, table.Number(row, columns.memory, kMostMemoryMib));
  container.requests["cpu"] = fmt::format("{}m", cpu);
  container.requests["memory"] = fmt::format("{}Mi", memory);
  RETURN_IF_ERROR(AskForGpus(table, row, columns, spec, &container));
  if (columns.models && !row.cells[*columns.models].empty() && !container.limits.empty()) {
    pod.annotations[spec.selectors.use_types.front()] = TypesOf(row.cells[*columns.models]);
  }
  pod.containers.push_back(std::move(container));
  if (columns.created) {
    ASSIGN_OR_RETURN(const std::optional<double> created, table.Seconds(row, *columns.created));
    wanted.arrives_s = created.value_or(0);
  }
  if (columns.deleted) {
    ASSIGN_OR_RETURN(wanted.leaves_s, table.Seconds(row, *columns.deleted));
    if (wanted.leaves_s && *wanted.leaves_s < wanted.arrives_s) {
      return Fail(table.At(row, "deletion_time is before creation_time"));
    }
  }
  return wanted;
}

}  // namespace

Result<TableKind> KindOfTable(const CsvTable& table) {
  if (table.Column("sn") && table.Column("gpu")) return TableKind::kNodes;
  if (table.Column("num_gpu") && table.Column("gpu_milli")) return TableKind::kPods;
  // The message of the kind that is nearer.
  ASSIGN_OR_RETURN([[maybe_unused]] const size_t column,
                   table.Required(table.Column("name") ? "num_gpu" : "sn"));
  return TableKind::kPods;
}

Result<std::vector<placement::NodeFacts>> ReadTraceNodes(const CsvTable& table,
                                                         const vendor::Registry& registry) {
  ASSIGN_OR_RETURN(const vendor::Spec* const spec, VendorOf(registry));
  ASSIGN_OR_RETURN(const size_t name, table.Required("sn"));
  ASSIGN_OR_RETURN(const size_t cpu, table.Required("cpu_milli"));
  ASSIGN_OR_RETURN(const size_t memory, table.Required("memory_mib"));
  ASSIGN_OR_RETURN(const size_t gpu, table.Required("gpu"));
  const std::optional<size_t> model = table.Column("model");
  std::vector<placement::NodeFacts> nodes;
  std::set<std::string> names;
  for (const CsvRow& row : table.rows()) {
    placement::NodeFacts node;
    node.name = row.cells[name];
    if (node.name.empty()) return Fail(table.At(row, "a node without a name"));
    if (!names.insert(node.name).second) {
      return Fail(table.At(row, fmt::format("a second node \"{}\"", node.name)));
    }
    ASSIGN_OR_RETURN(node.cpu_milli, table.Number(row, cpu, kMostCpuMilli));
    ASSIGN_OR_RETURN(const int64_t memory_mib, table.Number(row, memory, kMostMemoryMib));
    node.memory_bytes = memory_mib << 20;
    ASSIGN_OR_RETURN(const int64_t gpus, table.Number(row, gpu, kMostGpus));
    for (int32_t i = 0; i < gpus; ++i) {
      vendor::Device device;
      device.vendor = IdOf(registry, spec);
      device.id = fmt::format("{}-gpu-{}", node.name, i);
      device.index = i;
      device.slots = kWholeGpu;
      device.memory_mib = kTraceGpuMib;
      device.cores = 100;
      device.type = model ? row.cells[*model] : "";
      device.mode = "hami-core";
      node.devices.push_back(std::move(device));
    }
    nodes.push_back(std::move(node));
  }
  return nodes;
}

Result<TracePods> ReadTracePods(const std::string& file, const CsvTable& table,
                                const vendor::Registry& registry) {
  ASSIGN_OR_RETURN(const vendor::Spec* const spec, VendorOf(registry));
  ASSIGN_OR_RETURN(const PodColumns columns, FindPodColumns(table));
  TracePods trace;
  trace.timed = columns.created && columns.deleted;
  for (const CsvRow& row : table.rows()) {
    ASSIGN_OR_RETURN(WantedPod wanted, ReadTracePod(file, table, row, columns, *spec));
    trace.pods.push_back(std::move(wanted));
  }
  return trace;
}

}  // namespace hami::simulate
