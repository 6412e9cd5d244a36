// SPDX-License-Identifier: Apache-2.0
//
// Where `hami top` looks. The program that it is part of knows where local runs lie and what their
// bookings say; this folder does not (tools/layers.txt).

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "gpu/nvml.h"

namespace hami::top {

// What a local run has noted of its slice.
struct RunNote {
  std::string device_name;
  int device_index = 0;
  std::string simulation;  // its folder; empty: a real device
  bool degraded = false;
};

struct Sources {
  std::string runs;           // folders with shares of local runs; NAME/region
  std::string claims;         // of prepared claims; UID/N/region
  std::string claim_records;  // UID.json
  std::string containers;     // of HAMi's own device plugin; POD_CONTAINER/*.cache
  std::string own;            // in a container its own shares; NAME/region

  // The note in a share's folder, if there is one and it can be read.
  std::function<std::optional<RunNote>(const std::string& folder)> read_note;
  // The machine's driver or, where there is none, one of the simulations in use.
  std::function<Result<std::unique_ptr<gpu::Nvml>>(const std::vector<std::string>& simulations)>
      load_driver;
};

// The folders of a node, without what only the program knows: runs, read_note, load_driver.
Sources NodeSources();

}  // namespace hami::top
