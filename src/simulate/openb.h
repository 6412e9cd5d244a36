// SPDX-License-Identifier: Apache-2.0
//
// Cluster traces in the form of "openb" (Alibaba's cluster-trace-gpu-v2023). Nodes: sn, cpu_milli,
// memory_mib, gpu, model. Pods: name, cpu_milli, memory_mib, num_gpu, gpu_milli, and where the file
// has them gpu_spec, creation_time, deletion_time; other columns are passed over.
//
// A trace knows thousandths of a GPU; here each GPU is an NVIDIA device of 10 000 MiB and 100
// cores, and a share is so much of both: memory to the thousandth, cores in whole percents, rounded
// down. Pure.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "simulate/csv.h"
#include "simulate/scenario.h"
#include "vendor/registry.h"

namespace hami::simulate {

inline constexpr int32_t kTraceGpuMib = 10'000;

enum class TableKind : uint8_t { kNodes, kPods };

// By the columns; kInvalidArgument says what is missing for either.
Result<TableKind> KindOfTable(const CsvTable& table);

// `registry` must have the vendor "NVIDIA".
Result<std::vector<placement::NodeFacts>> ReadTraceNodes(const CsvTable& table,
                                                         const vendor::Registry& registry);

struct TracePods {
  std::vector<WantedPod> pods;
  bool timed = false;
};
// In the order of the file.
Result<TracePods> ReadTracePods(const std::string& file, const CsvTable& table,
                                const vendor::Registry& registry);

}  // namespace hami::simulate
