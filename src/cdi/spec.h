// SPDX-License-Identifier: Apache-2.0
//
// A document of the Container Device Interface: what a container runtime adds to a container that
// asks for a device by its name, VENDOR/CLASS=NAME. Plain values; nothing here touches a file
// (spec_folder.h does). Safe from any thread.
//
// Rules are those of container-device-interface, SPEC.md 1.1.0 and pkg/cdi, pkg/parser and
// specs-go, on which containerd, CRI-O and Docker stand. Ours are stricter where a runtime would
// fail later or worse: absolute paths only, two characters at least in vendor and class.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace hami::cdi {

struct DeviceNode {
  std::string path;         // in the container
  std::string host_path;    // on the node; empty: the same
  std::string type;         // "b", "c", "u", "p"; empty: the runtime looks at host_path
  int64_t major = 0;        // with type
  int64_t minor = 0;        // with type
  std::string permissions;  // of "rwm"; empty: all three
};

struct Mount {
  std::string host_path;
  std::string container_path;
  std::vector<std::string> options;  // "ro", "nosuid", "nodev", "bind", ...
  std::string type;                  // empty: a bind mount
};

struct Hook {
  std::string name;               // "createContainer", ...
  std::string path;               // on the node
  std::vector<std::string> args;  // args[0] is the program's name
  std::vector<std::string> env;   // all of it, at least one: else runc passes the container's on
  std::optional<int> timeout_s;
};

struct ContainerEdits {
  std::vector<std::string> env;  // "NAME=VALUE"; of equal names the last device's counts
  std::vector<DeviceNode> device_nodes;
  std::vector<Mount> mounts;
  std::vector<Hook> hooks;
  std::vector<uint32_t> additional_gids;  // 0 is ignored by runtimes, and an error here

  bool empty() const;
  // What `other` has, behind what is there.
  void Append(const ContainerEdits& other);
};

using Annotations = std::vector<std::pair<std::string, std::string>>;

struct Device {
  std::string name;  // of letters, digits and "_-.:", first and last a letter or digit
  Annotations annotations;
  ContainerEdits edits;  // not empty
};

struct Spec {
  std::string vendor;        // of letters, digits and "_-.", first a letter, last a letter or digit
  std::string device_class;  // likewise
  Annotations annotations;
  std::vector<Device> devices;  // at least one
  ContainerEdits edits;         // once for a container that gets any of the devices
};

// kInvalidArgument: the first thing that a runtime, or we, would not take.
Status Validate(const Spec& spec);

// The lowest cdiVersion that has everything the document uses, so that old runtimes read it.
std::string_view RequiredVersion(const Spec& spec);

// The document as JSON on one line, with a newline. Only for a spec that Validate accepts.
std::string WriteSpec(const Spec& spec);

// "vendor/class=device", the name that a runtime is asked for.
std::string QualifiedName(const Spec& spec, std::string_view device);

// The rule for vendors and classes; `what` names it in the error.
Status ValidateQualifier(std::string_view name, std::string_view what);
Status ValidateDeviceName(std::string_view name);

}  // namespace hami::cdi
