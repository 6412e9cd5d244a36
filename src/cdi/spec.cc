// SPDX-License-Identifier: Apache-2.0

#include "cdi/spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/json_writer.h"

namespace hami::cdi {
namespace {

using base::JsonWriter;

constexpr std::array<std::string_view, 6> kHookNames = {
    "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"};

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsLetterOrDigit(char c) { return IsLetter(c) || (c >= '0' && c <= '9'); }

bool HasOnly(std::string_view name, std::string_view others) {
  return std::ranges::all_of(
      name, [&](char c) { return IsLetterOrDigit(c) || others.find(c) != std::string_view::npos; });
}

tl::unexpected<Error> Invalid(std::string message) {
  return Fail(Code::kInvalidArgument, std::move(message));
}

Status ValidatePath(std::string_view path, std::string_view what) {
  if (!path.starts_with('/') || path.find('\0') != std::string_view::npos) {
    return Invalid(fmt::format("{} \"{}\" is not an absolute path", what, path));
  }
  return {};
}

Status ValidateEnv(const std::vector<std::string>& env) {
  for (const std::string& entry : env) {
    const size_t equals = entry.find('=');
    if (equals == 0 || equals == std::string::npos || entry.find('\0') != std::string::npos) {
      return Invalid(fmt::format("environment \"{}\" is not NAME=VALUE", entry));
    }
  }
  return {};
}

Status ValidateNode(const DeviceNode& node) {
  RETURN_IF_ERROR(ValidatePath(node.path, "device node"));
  if (!node.host_path.empty()) {
    RETURN_IF_ERROR(ValidatePath(node.host_path, "host path of a device node"));
  }
  constexpr std::string_view kTypes = "bcup";
  if (!node.type.empty() &&
      (node.type.size() != 1 || kTypes.find(node.type[0]) == std::string_view::npos)) {
    return Invalid(fmt::format("device node {}: type \"{}\"", node.path, node.type));
  }
  // A negative number is a wildcard in a device cgroup.
  const bool numbers_without_type = node.type.empty() && (node.major != 0 || node.minor != 0);
  if (node.major < 0 || node.minor < 0 || numbers_without_type) {
    return Invalid(fmt::format("device node {}: {}:{} is not the number of a device of type \"{}\"",
                               node.path, node.major, node.minor, node.type));
  }
  if (node.permissions.find_first_not_of("rwm") != std::string::npos) {
    return Invalid(fmt::format("device node {}: permissions \"{}\" are not of \"rwm\"", node.path,
                               node.permissions));
  }
  return {};
}

Status ValidateMount(const Mount& mount) {
  RETURN_IF_ERROR(ValidatePath(mount.host_path, "host path of a mount"));
  RETURN_IF_ERROR(ValidatePath(mount.container_path, "container path of a mount"));
  for (const std::string& option : mount.options) {
    if (!option.empty() && option.find(',') == std::string::npos) continue;
    return Invalid(fmt::format("mount {}: option \"{}\"", mount.container_path, option));
  }
  return {};
}

Status ValidateHook(const Hook& hook) {
  if (std::ranges::find(kHookNames, hook.name) == kHookNames.end()) {
    return Invalid(fmt::format("\"{}\" is not the name of a hook", hook.name));
  }
  RETURN_IF_ERROR(ValidatePath(hook.path, "path of a hook"));
  // runc and crun: args[0] is the program's name, and a timeout must be positive.
  if (hook.args.empty()) {
    return Invalid(fmt::format("hook {}: args[0], the program's name, is missing", hook.path));
  }
  if (hook.timeout_s && *hook.timeout_s <= 0) {
    return Invalid(fmt::format("hook {}: a timeout of {} seconds", hook.path, *hook.timeout_s));
  }
  // runc gives a hook without an environment the container's, which the tenant has chosen.
  if (hook.env.empty()) {
    return Invalid(
        fmt::format("hook {}: without an environment it gets the container's; set one "
                    "variable",
                    hook.path));
  }
  return ValidateEnv(hook.env);
}

Status ValidateEdits(const ContainerEdits& edits) {
  RETURN_IF_ERROR(ValidateEnv(edits.env));
  std::set<std::string_view> places;
  for (const DeviceNode& node : edits.device_nodes) {
    RETURN_IF_ERROR(ValidateNode(node));
    if (!places.insert(node.path).second) {
      return Invalid(fmt::format("device node {} stands there twice", node.path));
    }
  }
  for (const Mount& mount : edits.mounts) {
    RETURN_IF_ERROR(ValidateMount(mount));
    // Of two mounts at one place a runtime drops the first without a word.
    if (!places.insert(mount.container_path).second) {
      return Invalid(fmt::format("{} is filled twice", mount.container_path));
    }
  }
  for (const Hook& hook : edits.hooks) RETURN_IF_ERROR(ValidateHook(hook));
  if (std::ranges::find(edits.additional_gids, 0U) != edits.additional_gids.end()) {
    return Invalid("additional group 0, which runtimes ignore");
  }
  return {};
}

Status ValidateAnnotations(const Annotations& annotations) {
  std::set<std::string_view> names;
  for (const auto& [name, value] : annotations) {
    if (name.empty()) return Invalid("an annotation without a name");
    if (!names.insert(name).second) {
      return Invalid(fmt::format("annotation {} stands there twice", name));
    }
  }
  return {};
}

// True if `test` holds for the edits of the document or of any device.
template <typename Test>
bool AnyEdits(const Spec& spec, Test test) {
  return test(spec.edits) ||
         std::ranges::any_of(spec.devices, [&](const Device& d) { return test(d.edits); });
}

void WriteStrings(std::string_view name, const std::vector<std::string>& values, JsonWriter* json) {
  if (values.empty()) return;
  json->Key(name).BeginArray();
  for (const std::string& value : values) json->Value(value);
  json->EndArray();
}

void WriteIfSet(std::string_view name, const std::string& value, JsonWriter* json) {
  if (!value.empty()) json->Member(name, value);
}

void WriteNode(const DeviceNode& node, JsonWriter* json) {
  json->BeginObject().Member("path", node.path);
  if (node.host_path != node.path) WriteIfSet("hostPath", node.host_path, json);
  if (!node.type.empty()) {
    json->Member("type", node.type).Member("major", node.major).Member("minor", node.minor);
  }
  WriteIfSet("permissions", node.permissions, json);
  json->EndObject();
}

void WriteMount(const Mount& mount, JsonWriter* json) {
  json->BeginObject()
      .Member("hostPath", mount.host_path)
      .Member("containerPath", mount.container_path);
  WriteIfSet("type", mount.type, json);
  WriteStrings("options", mount.options, json);
  json->EndObject();
}

void WriteHook(const Hook& hook, JsonWriter* json) {
  json->BeginObject().Member("hookName", hook.name).Member("path", hook.path);
  WriteStrings("args", hook.args, json);
  WriteStrings("env", hook.env, json);
  if (hook.timeout_s) json->Member("timeout", *hook.timeout_s);
  json->EndObject();
}

template <typename T, typename Write>
void WriteList(std::string_view name, const std::vector<T>& values, Write write, JsonWriter* json) {
  if (values.empty()) return;
  json->Key(name).BeginArray();
  for (const T& value : values) write(value, json);
  json->EndArray();
}

void WriteEdits(const ContainerEdits& edits, JsonWriter* json) {
  json->Key("containerEdits").BeginObject();
  WriteStrings("env", edits.env, json);
  WriteList("deviceNodes", edits.device_nodes, WriteNode, json);
  WriteList("mounts", edits.mounts, WriteMount, json);
  WriteList("hooks", edits.hooks, WriteHook, json);
  WriteList(
      "additionalGids", edits.additional_gids,
      [](uint32_t gid, JsonWriter* out) { out->Value(gid); }, json);
  json->EndObject();
}

void WriteAnnotations(const Annotations& annotations, JsonWriter* json) {
  if (annotations.empty()) return;
  json->Key("annotations").BeginObject();
  for (const auto& [name, value] : annotations) json->Member(name, value);
  json->EndObject();
}

}  // namespace

bool ContainerEdits::empty() const {
  return env.empty() && device_nodes.empty() && mounts.empty() && hooks.empty() &&
         additional_gids.empty();
}

void ContainerEdits::Append(const ContainerEdits& other) {
  const auto append = [](auto* to, const auto& from) {
    to->insert(to->end(), from.begin(), from.end());
  };
  append(&env, other.env);
  append(&device_nodes, other.device_nodes);
  append(&mounts, other.mounts);
  append(&hooks, other.hooks);
  append(&additional_gids, other.additional_gids);
}

Status ValidateQualifier(std::string_view name, std::string_view what) {
  // One character makes the parser of containerd 2.1 panic, and takes containerd down
  // (container-device-interface issue 320).
  if (name.size() < 2) {
    return Invalid(fmt::format("{} \"{}\" needs at least two characters", what, name));
  }
  if (!IsLetter(name.front()) || !IsLetterOrDigit(name.back()) || !HasOnly(name, "_-.")) {
    return Invalid(
        fmt::format("{} \"{}\" is not of letters, digits and \"_-.\", a letter first, a "
                    "letter or digit last",
                    what, name));
  }
  return {};
}

Status ValidateDeviceName(std::string_view name) {
  if (name.empty() || !IsLetterOrDigit(name.front()) || !IsLetterOrDigit(name.back()) ||
      !HasOnly(name, "_-.:")) {
    return Invalid(
        fmt::format("device name \"{}\" is not of letters, digits and \"_-.:\", a "
                    "letter or digit first and last",
                    name));
  }
  return {};
}

Status Validate(const Spec& spec) {
  RETURN_IF_ERROR(ValidateQualifier(spec.vendor, "vendor"));
  RETURN_IF_ERROR(ValidateQualifier(spec.device_class, "class"));
  RETURN_IF_ERROR(ValidateAnnotations(spec.annotations));
  RETURN_IF_ERROR(ValidateEdits(spec.edits));
  if (spec.devices.empty()) return Invalid("a document without a device");
  std::set<std::string_view> names;
  for (const Device& device : spec.devices) {
    RETURN_IF_ERROR(ValidateDeviceName(device.name));
    // A runtime would drop the whole document.
    if (!names.insert(device.name).second) {
      return Invalid(fmt::format("two devices are called {}", device.name));
    }
    if (device.edits.empty()) {
      return Invalid(fmt::format("device {} changes nothing", device.name));
    }
    Status status = ValidateAnnotations(device.annotations);
    if (status) status = ValidateEdits(device.edits);
    if (!status) return Fail(std::move(status).error().Wrap("device " + device.name));
  }
  return {};
}

std::string_view RequiredVersion(const Spec& spec) {
  // specs-go/version.go; 0.3.0 is the oldest that readers still take.
  const auto has_gids = [](const ContainerEdits& e) { return !e.additional_gids.empty(); };
  if (AnyEdits(spec, has_gids)) return "0.7.0";

  const bool annotated =
      !spec.annotations.empty() || std::ranges::any_of(spec.devices, [](const Device& device) {
        return !device.annotations.empty();
      });
  if (annotated || spec.device_class.find('.') != std::string::npos) return "0.6.0";

  const auto has_host_node = [](const ContainerEdits& e) {
    return std::ranges::any_of(e.device_nodes, [](const DeviceNode& node) {
      return !node.host_path.empty() && node.host_path != node.path;
    });
  };
  const bool digit_first = std::ranges::any_of(
      spec.devices, [](const Device& d) { return !d.name.empty() && !IsLetter(d.name.front()); });
  if (digit_first || AnyEdits(spec, has_host_node)) return "0.5.0";

  const auto has_type = [](const ContainerEdits& e) {
    return std::ranges::any_of(e.mounts, [](const Mount& mount) { return !mount.type.empty(); });
  };
  return AnyEdits(spec, has_type) ? "0.4.0" : "0.3.0";
}

std::string WriteSpec(const Spec& spec) {
  JsonWriter json;
  json.BeginObject()
      .Member("cdiVersion", RequiredVersion(spec))
      .Member("kind", spec.vendor + "/" + spec.device_class);
  WriteAnnotations(spec.annotations, &json);
  json.Key("devices").BeginArray();
  for (const Device& device : spec.devices) {
    json.BeginObject().Member("name", device.name);
    WriteAnnotations(device.annotations, &json);
    WriteEdits(device.edits, &json);
    json.EndObject();
  }
  json.EndArray();
  if (!spec.edits.empty()) WriteEdits(spec.edits, &json);
  json.EndObject();
  return std::move(json).Take() + "\n";
}

std::string QualifiedName(const Spec& spec, std::string_view device) {
  return fmt::format("{}/{}={}", spec.vendor, spec.device_class, device);
}

}  // namespace hami::cdi
