// SPDX-License-Identifier: Apache-2.0
//
// Files of nodes and of pods, whatever their form: a table in CSV is told by its name or its first
// row, everything else is YAML, of which JSON is a part. "-" is standard input. Reads files.

#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "simulate/scenario.h"
#include "vendor/registry.h"

namespace hami::simulate {

// Adds what the text holds. Errors name file and line.
Status AddText(const vendor::Registry& registry, const std::string& file, std::string_view text,
               Scenario* scenario);

// kNotFound and the like for what cannot be read.
Status AddFile(const vendor::Registry& registry, const std::string& path, Scenario* scenario);

}  // namespace hami::simulate
