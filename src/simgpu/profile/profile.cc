// SPDX-License-Identifier: Apache-2.0
//
// The only file here that sees the YAML library, whose exceptions end in ParseProfile.

#include "simgpu/profile/profile.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/file.h"
#include "simgpu/profile/keys.h"

namespace hami::simgpu {
namespace {

constexpr size_t kMaxFileBytes = 1 << 20;
constexpr uint64_t kMaxKernelNs = 100'000'000'000;
constexpr size_t kMaxKernelNameBytes = 111;
constexpr size_t kMaxKernels = 256;

// "a10.yaml:12: devices[0].memory.total: <what>"
tl::unexpected<Error> At(const std::string& file, const YAML::Node& node, std::string_view path,
                         std::string_view what) {
  return Fail(Code::kInvalidArgument, fmt::format("{}:{}: {}{}{}", file, node.Mark().line + 1, path,
                                                  path.empty() ? "" : ": ", what));
}

// The names that may stand at one level, for the message about one that may not.
template <typename Owner>
std::string AllowedAt(std::span<const Key<Owner>> keys, std::string_view prefix,
                      const std::vector<std::string_view>& more) {
  std::vector<std::string> names(more.begin(), more.end());
  for (const Key<Owner>& key : keys) {
    if (!key.path.starts_with(prefix)) continue;
    const std::string_view rest = key.path.substr(prefix.size());
    const std::string name(rest.substr(0, rest.find('.')));
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

template <typename Owner>
class Reader {
 public:
  // `where` stands before each path in messages: "devices[0]." or "". `skip` are keys of the top
  // level that somebody else reads.
  Reader(const std::string& file, std::string where, std::span<const Key<Owner>> keys,
         std::vector<std::string_view> skip, Owner* owner)
      : file_(file), where_(std::move(where)), keys_(keys), skip_(std::move(skip)), owner_(owner) {}

  Status Read(const YAML::Node& node) {
    RETURN_IF_ERROR(ReadMap(node, ""));
    for (const Key<Owner>& key : keys_) {
      if (key.required && !seen_.contains(std::string(key.path))) {
        return At(file_, node, where_ + std::string(key.path), "is missing");
      }
    }
    return {};
  }

 private:
  Status ReadMap(const YAML::Node& node, const std::string& prefix) {
    if (!node.IsMap()) {
      return At(file_, node, where_ + prefix, "needs keys with values, one per line");
    }
    for (const auto& entry : node) {
      const auto name = entry.first.as<std::string>();
      const std::string path = prefix + name;
      if (prefix.empty() && std::ranges::find(skip_, name) != skip_.end()) continue;
      if (!seen_.insert(path).second) return At(file_, entry.first, where_ + path, "stands twice");
      RETURN_IF_ERROR(ReadEntry(entry.first, entry.second, prefix, path));
    }
    return {};
  }

  Status ReadEntry(const YAML::Node& name, const YAML::Node& value, const std::string& prefix,
                   const std::string& path) {
    for (const Key<Owner>& key : keys_) {
      if (key.path == path) return ReadValue(key, value, path);
      if (key.path.starts_with(path + ".")) return ReadMap(value, path + ".");
    }
    return At(file_, name, where_ + path,
              "is not known; allowed here: " + AllowedAt(keys_, prefix, skip_));
  }

  Status ReadValue(const Key<Owner>& key, const YAML::Node& value, const std::string& path) {
    if (!value.IsScalar()) return At(file_, value, where_ + path, "needs one value");
    Result<Scalar> scalar = ParseScalar(key.kind, value.Scalar(), key.min, key.max);
    if (!scalar) return At(file_, value, where_ + path, scalar.error().message);
    key.Set(*scalar, owner_);
    return {};
  }

  const std::string& file_;
  std::string where_;
  std::span<const Key<Owner>> keys_;
  std::vector<std::string_view> skip_;
  Owner* owner_;
  std::set<std::string> seen_;
};

// What a device has that its file does not tell: values that any recent data centre card could
// have.
DeviceProfile Defaults() {
  DeviceProfile device;
  device.bar1_bytes = uint64_t{32} << 30;
  device.granularity_bytes = uint64_t{2} << 20;
  device.context_bytes = uint64_t{256} << 20;
  device.bus_bits = 384;
  device.cores_per_multiprocessor = 128;
  device.threads_per_multiprocessor = 1536;
  device.blocks_per_multiprocessor = 16;
  device.registers_per_multiprocessor = 65536;
  device.shared_per_multiprocessor_bytes = 100 << 10;
  device.shared_per_block_bytes = 48 << 10;
  device.shared_per_block_optin_bytes = 99 << 10;
  device.l2_bytes = 6 << 20;
  device.copy_engines = 2;
  device.idle_graphics_mhz = 210;
  device.idle_memory_mhz = 405;
  device.idle_video_mhz = 555;
  device.max_graphics_mhz = 1695;
  device.max_memory_mhz = 6251;
  device.max_video_mhz = 1500;
  device.power_idle_mw = 15'000;
  device.power_limit_mw = 150'000;
  device.power_min_limit_mw = 100'000;
  device.temperature_idle_c = 30;
  device.temperature_load_c = 65;
  device.temperature_slowdown_c = 90;
  device.temperature_shutdown_c = 95;
  device.pci_address = "0000:65:01.0";
  device.pcie_generation = 4;
  device.pcie_lanes = 16;
  device.nvlink_generation = 4;
  device.time_slice_ns = 2'000'000;
  device.launch_ns = 2'000;
  device.kernel_ns = 2'000;
  device.block_ns = 1'000;
  device.host_to_device_bps = 24'000'000'000;
  device.device_to_host_bps = 24'000'000'000;
  device.device_to_device_bps = 500'000'000'000;
  return device;
}

// What no single key can tell.
Status CheckDevice(const DeviceProfile& device) {
  const auto wrong = [](std::string message) {
    return Fail(Code::kInvalidArgument, std::move(message));
  };
  if (device.reserved_bytes + device.context_bytes >= device.memory_bytes) {
    return wrong("memory.reserved and memory.context leave nothing of memory.total");
  }
  if (device.memory_bytes % device.granularity_bytes != 0 &&
      device.granularity_bytes > device.memory_bytes) {
    return wrong("memory.granularity is larger than memory.total");
  }
  uint64_t mig_bytes = 0;
  const auto instances = ParseMigInstances(device.mig_instances);
  for (const MigProfile& instance : *instances) mig_bytes += instance.memory_gib << 30;
  if (mig_bytes > device.memory_bytes - device.reserved_bytes) {
    return wrong("mig_instances need more memory than the device has");
  }
  if (!instances->empty() && !device.mig) return wrong("mig_instances need mig: true");
  if ((device.granularity_bytes & (device.granularity_bytes - 1)) != 0) {
    return wrong("memory.granularity is not a power of two");
  }
  if (device.idle_graphics_mhz > device.max_graphics_mhz ||
      device.idle_memory_mhz > device.max_memory_mhz ||
      device.idle_video_mhz > device.max_video_mhz) {
    return wrong("a clock of clocks.idle is above that of clocks.max");
  }
  if (device.power_idle_mw > device.power_limit_mw ||
      device.power_min_limit_mw > device.power_limit_mw) {
    return wrong("power.idle or power.min_limit is above power.limit");
  }
  if (device.temperature_idle_c > device.temperature_load_c ||
      device.temperature_load_c > device.temperature_slowdown_c ||
      device.temperature_slowdown_c > device.temperature_shutdown_c) {
    return wrong("temperatures do not rise from idle over load and slowdown to shutdown");
  }
  if (device.shared_per_block_bytes > device.shared_per_block_optin_bytes ||
      device.shared_per_block_optin_bytes > device.shared_per_multiprocessor_bytes) {
    return wrong("a block's shared memory is larger than that of its multiprocessor");
  }
  return {};
}

Status ReadDevices(const YAML::Node& node, const std::string& file, Profile* profile) {
  if (!node) return Fail(Code::kInvalidArgument, file + ":1: devices: is missing");
  if (!node.IsSequence() || node.size() == 0) {
    return At(file, node, "devices", "needs a list with at least one device");
  }
  for (size_t i = 0; i < node.size(); ++i) {
    DeviceProfile device = Defaults();
    const std::string where = fmt::format("devices[{}]", i);
    Reader<DeviceProfile> reader(file, where + ".", DeviceKeys(), {}, &device);
    RETURN_IF_ERROR(reader.Read(node[i]));
    if (const Status status = CheckDevice(device); !status) {
      return At(file, node[i], where, status.error().message);
    }
    profile->devices.push_back(std::move(device));
  }
  if (profile->DeviceCount() > kMaxProfileDevices) {
    return At(file, node, "devices", fmt::format("more than {} in all", kMaxProfileDevices));
  }
  return {};
}

Status ReadKernels(const YAML::Node& node, const std::string& file, Profile* profile) {
  if (!node) return {};
  if (!node.IsMap()) return At(file, node, "kernels", "needs names with times");
  std::set<std::string> seen;
  for (const auto& entry : node) {
    const auto name = entry.first.as<std::string>();
    const std::string path = "kernels." + name;
    if (name.empty() || name.size() > kMaxKernelNameBytes) {
      return At(file, entry.first, path,
                fmt::format("a name has 1 to {} characters", kMaxKernelNameBytes));
    }
    if (!seen.insert(name).second) return At(file, entry.first, path, "stands twice");
    if (seen.size() > kMaxKernels) {
      return At(file, entry.first, path, fmt::format("more than {} kernels", kMaxKernels));
    }
    if (!entry.second.IsScalar()) return At(file, entry.second, path, "needs one time");
    KernelTime kernel;
    kernel.name = name;
    const std::string& text = entry.second.Scalar();
    if (text.starts_with("param")) {
      // "param0": the launch itself says how long it takes.
      if (text.size() != 6 || text[5] < '0' || text[5] > '9') {
        return At(file, entry.second, path, "needs a time, or param0 to param9");
      }
      kernel.param_index = text[5] - '0';
    } else {
      Result<Scalar> time = ParseScalar(Kind::kNanoseconds, text, 0, kMaxKernelNs);
      if (!time) return At(file, entry.second, path, time.error().message);
      kernel.ns = std::get<uint64_t>(*time);
    }
    profile->kernels.push_back(std::move(kernel));
  }
  return {};
}

Result<Profile> ReadDocument(const YAML::Node& document, const std::string& file) {
  if (!document.IsMap()) {
    return Fail(Code::kInvalidArgument,
                file + ": needs the keys name, driver and devices (see `hami sim profiles`)");
  }
  Profile profile;
  Reader<Profile> reader(file, "", ProfileKeys(), {"devices", "kernels"}, &profile);
  RETURN_IF_ERROR(reader.Read(document));
  std::set<std::string> seen;
  for (const auto& entry : document) {
    const auto name = entry.first.as<std::string>();
    if (!seen.insert(name).second) return At(file, entry.first, name, "stands twice");
  }
  RETURN_IF_ERROR(ReadDevices(document["devices"], file, &profile));
  RETURN_IF_ERROR(ReadKernels(document["kernels"], file, &profile));
  return profile;
}

// Writes keys in the order of the table, opening and closing sections as paths change.
template <typename Owner>
void WriteKeys(std::span<const Key<Owner>> keys, const Owner& owner, const std::string& indent,
               std::string first_indent, std::string* out) {
  std::vector<std::string_view> open;
  for (const Key<Owner>& key : keys) {
    const std::string value = FormatScalar(key.kind, key.Get(owner));
    if (value.empty()) continue;
    std::vector<std::string_view> parts;
    for (size_t start = 0; start <= key.path.size();) {
      const size_t dot = std::min(key.path.find('.', start), key.path.size());
      parts.push_back(key.path.substr(start, dot - start));
      start = dot + 1;
    }
    size_t same = 0;
    while (same < open.size() && same + 1 < parts.size() && open[same] == parts[same]) ++same;
    open.resize(same);
    for (; open.size() + 1 < parts.size(); open.push_back(parts[open.size()])) {
      *out += fmt::format("{}{:{}}{}:\n", first_indent, "", 2 * open.size(), parts[open.size()]);
      first_indent = indent;
    }
    // Texts and versions in quotes: 8.6 without them would be a number to other readers.
    const bool quoted = key.kind == Kind::kText || key.kind == Kind::kCapability ||
                        key.kind == Kind::kCudaVersion || key.kind == Kind::kPciAddress ||
                        key.kind == Kind::kMigInstances;
    std::string escaped;
    for (const char c : value) {
      if (c == '"' || c == '\\') escaped += '\\';
      escaped += c;
    }
    *out += fmt::format("{}{:{}}{}: {}{}{}\n", first_indent, "", 2 * open.size(), parts.back(),
                        quoted ? "\"" : "", quoted ? escaped : value, quoted ? "\"" : "");
    first_indent = indent;
  }
}

}  // namespace

uint64_t Profile::DeviceCount() const {
  uint64_t count = 0;
  for (const DeviceProfile& device : devices) count += device.count;
  return count;
}

int DriverBranch(std::string_view driver_version) {
  int branch = 0;
  const char* const begin = driver_version.data();  // NOLINT(*-stringview-data-usage): with its end
  const char* const end = begin + driver_version.size();
  const auto [rest, error] = std::from_chars(begin, end, branch);
  return error == std::errc() && rest != end && *rest == '.' ? branch : 0;
}

Result<Profile> ParseProfile(std::string_view text, const std::string& file) {
  try {
    return ReadDocument(YAML::Load(std::string(text)), file);
  } catch (const YAML::Exception& error) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{}:{}: not YAML: {}", file, error.mark.line + 1, error.msg));
  }
}

Result<Profile> LoadProfile(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, base::ReadFile(path, kMaxFileBytes));
  return ParseProfile(text, path);
}

std::string WriteProfile(const Profile& profile) {
  std::string out;
  WriteKeys(ProfileKeys(), profile, "", "", &out);
  out += "devices:\n";
  for (const DeviceProfile& device : profile.devices) {
    WriteKeys(DeviceKeys(), device, "    ", "  - ", &out);
  }
  if (!profile.kernels.empty()) out += "kernels:\n";
  for (const KernelTime& kernel : profile.kernels) {
    std::string escaped;
    for (const char c : kernel.name) {
      if (c == '"' || c == '\\') escaped += '\\';
      escaped += c;
    }
    const std::string time = kernel.param_index >= 0
                                 ? fmt::format("param{}", kernel.param_index)
                                 : FormatScalar(Kind::kNanoseconds, Scalar(kernel.ns));
    out += fmt::format("  \"{}\": {}\n", escaped, time);
  }
  return out;
}

Result<Profile> WithDeviceCount(Profile profile, uint64_t count) {
  if (count < 1 || count > kMaxProfileDevices) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{} GPUs: a simulation has 1 to {}", count, kMaxProfileDevices));
  }
  profile.devices.resize(1);
  profile.devices[0].count = count;
  return profile;
}

}  // namespace hami::simgpu
