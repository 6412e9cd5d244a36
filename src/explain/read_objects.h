// SPDX-License-Identifier: Apache-2.0
//
// Pods, nodes, events, classes as the API server writes them, read into facts. Lenient: what is
// absent stays empty. Pure.

#pragma once

#include <string_view>

#include "explain/facts.h"
#include "json/value.h"

namespace hami::explain {

PodFacts ReadPod(const json::Value& object);
ClassFacts ReadClass(const json::Value& object);
NodeFacts ReadNode(const json::Value& object);
PodEvent ReadEvent(const json::Value& object);
PluginFacts ReadPlugin(const json::Value& object);

// Whether it needs the claim of this name, in its namespace.
bool Names(const PodFacts& pod, std::string_view claim);

// All containers run, or it has ended well.
bool IsWell(const PodFacts& pod);

}  // namespace hami::explain
