// SPDX-License-Identifier: Apache-2.0
//
// For tests: pods and nodes as the API server sends them, and the same as protobuf messages, made
// from the JSON by a table of the API's fields of its own.

#pragma once

#include <nlohmann/json.hpp>
#include <random>
#include <string>

namespace hami::domain {

// With most of what a real object has, also what nobody here reads.
nlohmann::json FakePod();
nlohmann::json FakeNode();

// FakePod with parts of it left out, changed, repeated.
nlohmann::json RandomPod(std::mt19937* random);
nlohmann::json RandomNode(std::mt19937* random);

std::string PodMessage(const nlohmann::json& pod);
std::string NodeMessage(const nlohmann::json& node);

}  // namespace hami::domain
