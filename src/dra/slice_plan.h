// SPDX-License-Identifier: Apache-2.0
//
// What a node should publish: its GPUs as ResourceSlices, and whether the server keeps what it was
// sent. Pure.
//
// Contract: the published HAMi DRA guide (names, attributes, capacities) and what schedulers of
// each version can bear (contract section 1.8). Ours differs from HAMi's driver in one default:
// cores is 0, so that pods which ask for memory alone share a GPU (docs/adr/0013).

#pragma once

#include <string>
#include <vector>

#include "domain/resource_slice.h"
#include "gpu/inventory.h"

namespace hami::dra {

struct SlicePlanInput {
  std::string node_name;
  gpu::Inventory inventory;
  std::string sysfs = "/sys";  // where the PCIe tree is looked up
  int server_minor = 36;       // Kubernetes 1.<minor>
};

// "hami-gpu-0"; by index where the driver does not tell the minor number.
std::string DeviceName(const gpu::Device& device);

// "550.144.3" of "550.144.03": versions of the API have no leading zeros.
std::string DriverSemver(const std::string& driver_version);

// One slice with every GPU, in the order of their minor numbers. For a 1.34 server one slice for
// each GPU, because its scheduler tests a claim against the first device of a slice only. Without
// GPUs one empty slice, which says that the driver is there. Generations are 0: the publisher's
// business.
std::vector<domain::ResourceSlice> PlanSlices(const SlicePlanInput& input);

// Feature gates whose fields were in `sent` and are not in `stored`: a server drops what it has not
// enabled without a word. Sorted; empty: everything was kept.
std::vector<std::string> DroppedFields(const domain::ResourceSlice& sent,
                                       const domain::ResourceSlice& stored);

// Whether `stored` shows what `wanted` says, but for fields that the server drops: those of the
// gates in `dropped`, as DroppedFields found them. Without that knowledge missing fields are a
// difference: whoever took them away, they are sent again.
bool SameContent(const domain::ResourceSlice& wanted, const domain::ResourceSlice& stored,
                 const std::vector<std::string>& dropped);

}  // namespace hami::dra
