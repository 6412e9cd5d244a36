// SPDX-License-Identifier: Apache-2.0

#include "simgpu/profile/keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include "base/bytes.h"

namespace hami::simgpu {
namespace {

using D = DeviceProfile;

constexpr uint64_t kKib = 1024;
constexpr uint64_t kMib = base::kMib;
constexpr uint64_t kGib = base::kGib;
constexpr uint64_t kTib = 1024 * kGib;
constexpr uint64_t kSecondNs = 1'000'000'000;
constexpr uint64_t kGb = 1'000'000'000;

// Bounds are those of the state and of NVML's strings, or generous.
constexpr std::array kDeviceKeys = {
    Key<D>{"count", Kind::kCount, false, 1, kMaxProfileDevices, &D::count},
    Key<D>{"name", Kind::kText, true, 1, 63, &D::name},
    Key<D>{"uuid", Kind::kUuid, false, 0, 40, &D::uuid},
    Key<D>{"serial", Kind::kText, false, 0, 20, &D::serial},
    Key<D>{"part_number", Kind::kText, false, 0, 31, &D::part_number},
    Key<D>{"vbios", Kind::kText, false, 0, 31, &D::vbios},
    Key<D>{"brand", Kind::kBrand, false, 0, 0, &D::brand},
    Key<D>{"compute_capability", Kind::kCapability, true, 35, 129, &D::compute_capability},
    Key<D>{"ecc", Kind::kFlag, false, 0, 0, &D::ecc},
    Key<D>{"mig", Kind::kFlag, false, 0, 0, &D::mig},
    Key<D>{"mig_instances", Kind::kMigInstances, false, 0, 0, &D::mig_instances},

    Key<D>{"memory.total", Kind::kBytes, true, 64 * kMib, 4 * kTib, &D::memory_bytes},
    Key<D>{"memory.reserved", Kind::kBytes, false, 0, 64 * kGib, &D::reserved_bytes},
    Key<D>{"memory.bar1", Kind::kBytes, false, 0, 4 * kTib, &D::bar1_bytes},
    Key<D>{"memory.granularity", Kind::kBytes, false, 4 * kKib, kGib, &D::granularity_bytes},
    Key<D>{"memory.context", Kind::kBytes, false, 0, 64 * kGib, &D::context_bytes},
    Key<D>{"memory.bus_width", Kind::kBits, false, 32, 65536, &D::bus_bits},

    Key<D>{"multiprocessors.count", Kind::kCount, true, 1, 1024, &D::multiprocessors},
    Key<D>{"multiprocessors.cores", Kind::kCount, false, 1, 1024, &D::cores_per_multiprocessor},
    Key<D>{"multiprocessors.threads", Kind::kCount, false, 32, 4096,
           &D::threads_per_multiprocessor},
    Key<D>{"multiprocessors.blocks", Kind::kCount, false, 1, 128, &D::blocks_per_multiprocessor},
    Key<D>{"multiprocessors.registers", Kind::kCount, false, 1024, 1U << 20,
           &D::registers_per_multiprocessor},
    Key<D>{"multiprocessors.shared", Kind::kBytes, false, kKib, 16 * kMib,
           &D::shared_per_multiprocessor_bytes},
    Key<D>{"multiprocessors.shared_per_block", Kind::kBytes, false, kKib, 16 * kMib,
           &D::shared_per_block_bytes},
    Key<D>{"multiprocessors.shared_per_block_optin", Kind::kBytes, false, kKib, 16 * kMib,
           &D::shared_per_block_optin_bytes},
    Key<D>{"multiprocessors.l2", Kind::kBytes, false, kKib, 16 * kGib, &D::l2_bytes},
    Key<D>{"multiprocessors.copy_engines", Kind::kCount, false, 1, 16, &D::copy_engines},

    Key<D>{"clocks.idle.graphics", Kind::kMegahertz, false, 1, 20000, &D::idle_graphics_mhz},
    Key<D>{"clocks.idle.memory", Kind::kMegahertz, false, 1, 50000, &D::idle_memory_mhz},
    Key<D>{"clocks.idle.video", Kind::kMegahertz, false, 1, 20000, &D::idle_video_mhz},
    Key<D>{"clocks.max.graphics", Kind::kMegahertz, false, 1, 20000, &D::max_graphics_mhz},
    Key<D>{"clocks.max.memory", Kind::kMegahertz, false, 1, 50000, &D::max_memory_mhz},
    Key<D>{"clocks.max.video", Kind::kMegahertz, false, 1, 20000, &D::max_video_mhz},

    Key<D>{"power.idle", Kind::kMilliwatts, false, 0, 10'000'000, &D::power_idle_mw},
    Key<D>{"power.limit", Kind::kMilliwatts, false, 1000, 10'000'000, &D::power_limit_mw},
    Key<D>{"power.min_limit", Kind::kMilliwatts, false, 1000, 10'000'000, &D::power_min_limit_mw},
    Key<D>{"temperature.idle", Kind::kCelsius, false, 0, 150, &D::temperature_idle_c},
    Key<D>{"temperature.load", Kind::kCelsius, false, 0, 150, &D::temperature_load_c},
    Key<D>{"temperature.slowdown", Kind::kCelsius, false, 0, 150, &D::temperature_slowdown_c},
    Key<D>{"temperature.shutdown", Kind::kCelsius, false, 0, 150, &D::temperature_shutdown_c},

    Key<D>{"pci.address", Kind::kPciAddress, false, 0, 0, &D::pci_address},
    Key<D>{"pci.root", Kind::kText, false, 0, 20, &D::pci_root},
    Key<D>{"pci.device_id", Kind::kHex, false, 0, UINT32_MAX, &D::pci_device_id},
    Key<D>{"pci.subsystem_id", Kind::kHex, false, 0, UINT32_MAX, &D::pci_subsystem_id},
    Key<D>{"pci.generation", Kind::kCount, false, 1, 6, &D::pcie_generation},
    Key<D>{"pci.lanes", Kind::kCount, false, 1, 32, &D::pcie_lanes},
    Key<D>{"pci.numa_node", Kind::kCount, false, 0, 63, &D::numa_node},
    Key<D>{"nvlink.links", Kind::kCount, false, 0, 18, &D::nvlink_links},
    Key<D>{"nvlink.generation", Kind::kCount, false, 1, 5, &D::nvlink_generation},

    Key<D>{"timing.time_slice", Kind::kNanoseconds, false, 1000, kSecondNs, &D::time_slice_ns},
    Key<D>{"timing.launch", Kind::kNanoseconds, false, 0, kSecondNs, &D::launch_ns},
    Key<D>{"timing.kernel", Kind::kNanoseconds, false, 0, 100 * kSecondNs, &D::kernel_ns},
    Key<D>{"timing.block", Kind::kNanoseconds, false, 0, kSecondNs, &D::block_ns},
    Key<D>{"bandwidth.host_to_device", Kind::kBytesPerSecond, false, 1'000'000, 100'000 * kGb,
           &D::host_to_device_bps},
    Key<D>{"bandwidth.device_to_host", Kind::kBytesPerSecond, false, 1'000'000, 100'000 * kGb,
           &D::device_to_host_bps},
    Key<D>{"bandwidth.device_to_device", Kind::kBytesPerSecond, false, 1'000'000, 100'000 * kGb,
           &D::device_to_device_bps},
};

constexpr std::array kProfileKeys = {
    Key<Profile>{"name", Kind::kText, true, 1, 31, &Profile::name},
    Key<Profile>{"description", Kind::kText, false, 0, 200, &Profile::description},
    Key<Profile>{"driver.version", Kind::kDriverVersion, true, 0, 31, &Profile::driver_version},
    Key<Profile>{"driver.cuda", Kind::kCudaVersion, true, 10020, 19990, &Profile::cuda_version},
};

struct Suffix {
  std::string_view name;
  uint64_t factor;
};

// Largest first: the first that divides a value is how it is written.
std::span<const Suffix> Suffixes(Kind kind) {
  static constexpr Suffix kByteSuffixes[] = {
      {"TiB", kTib}, {"GiB", kGib}, {"MiB", kMib}, {"KiB", kKib}, {"B", 1}};
  static constexpr Suffix kBitSuffixes[] = {{"bit", 1}};
  static constexpr Suffix kClockSuffixes[] = {{"MHz", 1}};
  static constexpr Suffix kPowerSuffixes[] = {{"W", 1000}, {"mW", 1}};
  static constexpr Suffix kTemperatureSuffixes[] = {{"C", 1}};
  static constexpr Suffix kTimeSuffixes[] = {
      {"s", kSecondNs}, {"ms", 1'000'000}, {"us", 1000}, {"ns", 1}};
  static constexpr Suffix kRateSuffixes[] = {{"GB/s", kGb}, {"MB/s", 1'000'000}, {"B/s", 1}};
  static constexpr Suffix kNoSuffix[] = {{"", 1}};
  switch (kind) {
    case Kind::kBytes:
      return kByteSuffixes;
    case Kind::kBits:
      return kBitSuffixes;
    case Kind::kMegahertz:
      return kClockSuffixes;
    case Kind::kMilliwatts:
      return kPowerSuffixes;
    case Kind::kCelsius:
      return kTemperatureSuffixes;
    case Kind::kNanoseconds:
      return kTimeSuffixes;
    case Kind::kBytesPerSecond:
      return kRateSuffixes;
    default:
      return kNoSuffix;
  }
}

constexpr std::array<std::string_view, 6> kBrands = {"Nvidia",  "Nvidia RTX", "Tesla",
                                                     "GeForce", "Quadro",     "Titan"};

std::string FormatNumber(Kind kind, uint64_t value) {
  for (const Suffix& suffix : Suffixes(kind)) {
    if (value % suffix.factor == 0 &&
        (value != 0 || suffix.factor == Suffixes(kind).back().factor)) {
      return fmt::format("{}{}", value / suffix.factor, suffix.name);
    }
  }
  return fmt::format("{}", value);
}

tl::unexpected<Error> Wrong(std::string message) {
  return Fail(Code::kInvalidArgument, std::move(message));
}

Result<uint64_t> ParseWhole(std::string_view text, int base_number) {
  uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, base_number);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) {
    return Wrong(fmt::format("\"{}\" is not a whole number", text));
  }
  return value;
}

Result<uint64_t> CheckRange(Kind kind, uint64_t value, uint64_t min, uint64_t max) {
  if (value >= min && value <= max) return value;
  const Scalar low = min;
  const Scalar high = max;
  return Wrong(fmt::format("{} is out of range: {} to {}", FormatScalar(kind, Scalar(value)),
                           FormatScalar(kind, low), FormatScalar(kind, high)));
}

// "23028MiB": a whole number and one of the suffixes, nothing between or missing.
Result<uint64_t> ParseWithSuffix(Kind kind, std::string_view text) {
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::string_view unit = text.substr(digits);
  for (const Suffix& suffix : Suffixes(kind)) {
    if (unit != suffix.name) continue;
    ASSIGN_OR_RETURN(const uint64_t number, ParseWhole(text.substr(0, digits), 10));
    if (number > UINT64_MAX / suffix.factor) return Wrong(fmt::format("\"{}\" is too large", text));
    return number * suffix.factor;
  }
  std::string allowed;
  for (const Suffix& suffix : Suffixes(kind)) {
    allowed += fmt::format("{}{}", allowed.empty() ? "" : ", ", suffix.name);
  }
  return Wrong(allowed.empty() ? fmt::format("\"{}\" is not a whole number", text)
                               : fmt::format("\"{}\" needs a whole number and one of the units {}",
                                             text, allowed));
}

// "8.6" and "12.4": two numbers, the second below 10 where the kind packs it into one digit.
Result<uint64_t> ParsePair(Kind kind, std::string_view text) {
  const size_t dot = text.find('.');
  if (dot == std::string_view::npos) {
    return Wrong(fmt::format("\"{}\" is not a version; write it as \"{}\"", text,
                             kind == Kind::kCapability ? "8.6" : "12.4"));
  }
  ASSIGN_OR_RETURN(const uint64_t major, ParseWhole(text.substr(0, dot), 10));
  ASSIGN_OR_RETURN(const uint64_t minor, ParseWhole(text.substr(dot + 1), 10));
  if (major > 99 || minor > 9) return Wrong(fmt::format("\"{}\" is not a known version", text));
  return kind == Kind::kCapability ? major * 10 + minor : major * 1000 + minor * 10;
}

bool MatchesPattern(std::string_view text, std::string_view pattern) {
  return text.size() == pattern.size() &&
         std::equal(text.begin(), text.end(), pattern.begin(), [](char c, char p) {
           const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
           return p == 'x' ? hex : c == p;
         });
}

Result<std::string> ParseUuid(std::string_view text) {
  if (text.empty() || MatchesPattern(text, "GPU-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")) {
    return std::string(text);
  }
  return Wrong(
      fmt::format("\"{}\" is not a UUID; write GPU- and 8-4-4-4-12 lower-case hexadecimal "
                  "digits",
                  text));
}

Result<std::string> ParseAddress(std::string_view text) {
  if (MatchesPattern(text, "xxxx:xx:xx.0")) return std::string(text);
  return Wrong(fmt::format("\"{}\" is not a PCI address; write it as \"0000:65:01.0\"", text));
}

Result<std::string> ParseBrand(std::string_view text) {
  if (std::ranges::find(kBrands, text) != kBrands.end()) return std::string(text);
  return Wrong(fmt::format("\"{}\" is not a brand: {}", text, fmt::join(kBrands, ", ")));
}

Result<std::string> ParseDriverVersion(std::string_view text) {
  const bool characters = text.find_first_not_of("0123456789.") == std::string_view::npos;
  const int branch = DriverBranch(text);
  if (characters && branch >= 440 && branch <= 999 && text.size() <= 31 && text.back() != '.') {
    return std::string(text);
  }
  return Wrong(fmt::format("\"{}\" is not a driver version from 440 on, such as 550.144.03", text));
}

Result<std::string> ParseText(std::string_view text, uint64_t min, uint64_t max) {
  const bool printable = std::ranges::all_of(text, [](char c) { return c >= ' ' && c < 127; });
  if (printable && text.size() >= min && text.size() <= max) return std::string(text);
  return Wrong(fmt::format("needs {} to {} characters of ASCII", min, max));
}

// "1g.18gb".
Result<MigProfile> ParseMigProfile(std::string_view word) {
  const size_t dot = word.find("g.");
  if (dot != std::string_view::npos && word.ends_with("gb") && word.size() > dot + 4) {
    const auto slices = ParseWhole(word.substr(0, dot), 10);
    const auto gib = ParseWhole(word.substr(dot + 2, word.size() - dot - 4), 10);
    if (slices && gib && *slices >= 1 && *slices <= kMigSlices && *gib >= 1 && *gib <= 4096) {
      return MigProfile{std::string(word), *slices, *gib};
    }
  }
  return Wrong(fmt::format("\"{}\" is not a MIG profile, such as 1g.18gb", word));
}

}  // namespace

Result<std::vector<MigProfile>> ParseMigInstances(std::string_view text) {
  std::vector<MigProfile> instances;
  uint64_t slices = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    if (end > 0) {
      ASSIGN_OR_RETURN(MigProfile instance, ParseMigProfile(text.substr(0, end)));
      slices += instance.slices;
      instances.push_back(std::move(instance));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (slices > kMigSlices) {
    return Wrong(fmt::format("{} slices: a device has {}", slices, kMigSlices));
  }
  return instances;
}

Result<Scalar> ParseScalar(Kind kind, std::string_view text, uint64_t min, uint64_t max) {
  switch (kind) {
    case Kind::kText:
      return ParseText(text, min, max);
    case Kind::kUuid:
      return ParseUuid(text);
    case Kind::kPciAddress:
      return ParseAddress(text);
    case Kind::kBrand:
      return ParseBrand(text);
    case Kind::kDriverVersion:
      return ParseDriverVersion(text);
    case Kind::kMigInstances:
      if (const auto instances = ParseMigInstances(text); !instances) {
        return Fail(instances.error());
      }
      return std::string(text);
    case Kind::kFlag:
      if (text == "true") return true;
      if (text == "false") return false;
      return Wrong(fmt::format("\"{}\" is neither true nor false", text));
    case Kind::kHex: {
      if (!text.starts_with("0x")) {
        return Wrong(fmt::format("\"{}\" is not hexadecimal; write 0x223610DE", text));
      }
      ASSIGN_OR_RETURN(const uint64_t value, ParseWhole(text.substr(2), 16));
      return CheckRange(kind, value, min, max);
    }
    case Kind::kCapability:
    case Kind::kCudaVersion: {
      ASSIGN_OR_RETURN(const uint64_t value, ParsePair(kind, text));
      return CheckRange(kind, value, min, max);
    }
    default: {
      ASSIGN_OR_RETURN(const uint64_t value, ParseWithSuffix(kind, text));
      return CheckRange(kind, value, min, max);
    }
  }
}

std::string FormatScalar(Kind kind, const Scalar& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  const uint64_t number = std::get<uint64_t>(value);
  switch (kind) {
    case Kind::kHex:
      return fmt::format("0x{:08X}", number);
    case Kind::kCapability:
      return fmt::format("{}.{}", number / 10, number % 10);
    case Kind::kCudaVersion:
      return fmt::format("{}.{}", number / 1000, number % 1000 / 10);
    default:
      return FormatNumber(kind, number);
  }
}

std::span<const Key<DeviceProfile>> DeviceKeys() { return kDeviceKeys; }
std::span<const Key<Profile>> ProfileKeys() { return kProfileKeys; }

}  // namespace hami::simgpu
