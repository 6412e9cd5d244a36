// SPDX-License-Identifier: Apache-2.0
//
// The text with colons.

#include "domain/go_bool.h"
#include "domain/node_devices.h"
#include "domain/split.h"

namespace hami::domain {
namespace {

constexpr size_t kOldFields = 7;
constexpr size_t kFields = 9;
constexpr std::string_view kDefaultMode = "hami-core";

tl::unexpected<Error> Malformed(std::string_view why, std::string_view piece) {
  return Fail(Code::kInvalidArgument, "a device of a node " + std::string(why) + ": \"" +
                                          std::string(piece.substr(0, 128)) + "\"");
}

Result<NodeDevice> ParseDevice(std::string_view piece) {
  const std::vector<std::string_view> fields = Split(piece, ',');
  if (fields.size() != kOldFields && fields.size() != kFields) {
    return Malformed("has " + std::to_string(fields.size()) + " fields, not 7 or 9", piece);
  }
  const auto count = ParseInt32(fields[1]);
  const auto memory_mib = ParseInt32(fields[2]);
  const auto cores = ParseInt32(fields[3]);
  const auto numa = ParseInt32(fields[5]);
  const auto index = fields.size() == kFields ? ParseInt32(fields[7]) : 0;
  if (!count || !memory_mib || !cores || !numa || !index) {
    return Malformed("has a number that is none", piece);
  }
  if (*index < 0) return Malformed("has a negative index", piece);
  const auto health = ParseGoBool(fields[6]);
  if (!health) return Malformed("is neither healthy nor not", piece);
  NodeDevice device;
  device.id = fields[0];
  device.index = *index;
  device.count = *count;
  device.memory_mib = *memory_mib;
  device.cores = *cores;
  device.type = fields[4];
  device.numa = *numa;
  device.mode = fields.size() == kFields ? fields[8] : kDefaultMode;
  device.health = *health;
  return device;
}

}  // namespace

Result<std::vector<NodeDevice>> ParseNodeDevicesText(std::string_view text) {
  if (text.find(':') == std::string_view::npos) {
    return Fail(Code::kInvalidArgument, "a list of devices without \":\"");
  }
  std::vector<NodeDevice> devices;
  for (const std::string_view piece : Split(text, ':')) {
    if (piece.empty()) continue;
    ASSIGN_OR_RETURN(NodeDevice device, ParseDevice(piece));
    devices.push_back(std::move(device));
  }
  return devices;
}

std::string FormatNodeDevicesText(const std::vector<NodeDevice>& devices) {
  std::string text;
  for (const NodeDevice& device : devices) {
    for (const std::string& field :
         {device.id, std::to_string(device.count), std::to_string(device.memory_mib),
          std::to_string(device.cores), device.type, std::to_string(device.numa),
          std::string(device.health ? "true" : "false"), std::to_string(device.index)}) {
      text += field;
      text += ',';
    }
    text += device.mode;
    text += ':';
  }
  return text;
}

}  // namespace hami::domain
