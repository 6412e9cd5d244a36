// SPDX-License-Identifier: Apache-2.0

#include "simgpu/profile/expand.h"

#include <fmt/format.h>

#include <charconv>
#include <set>

namespace hami::simgpu {
namespace {

// Spreads a 64-bit number over 64 bits (the finaliser of SplitMix64).
uint64_t Mix(uint64_t value) {
  value ^= value >> 30;
  value *= 0xBF58476D1CE4E5B9U;
  value ^= value >> 27;
  value *= 0x94D049BB133111EBU;
  return value ^ value >> 31;
}

uint64_t Hash(std::string_view text, uint64_t seed) {
  uint64_t hash = Mix(seed + 0x9E3779B97F4A7C15U);
  for (const char c : text) hash = Mix(hash ^ static_cast<unsigned char>(c));
  return hash;
}

std::string DeriveUuid(std::string_view seed, uint64_t index, std::string_view prefix = "GPU") {
  const uint64_t high = Hash(seed, 2 * index);
  const uint64_t low = Hash(seed, 2 * index + 1);
  return fmt::format("{}-{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", prefix, high >> 32,
                     high >> 16 & 0xFFFF, high & 0xFFFF, low >> 48, low & 0xFFFFFFFFFFFFU);
}

// The number at the end of a serial number counts up; its width stays.
std::string NextSerial(const std::string& serial, uint64_t offset) {
  const size_t digits = serial.find_last_not_of("0123456789") + 1;  // 0 when all are
  uint64_t number = 0;
  const char* end = serial.data() + serial.size();
  if (std::from_chars(serial.data() + digits, end, number).ptr != end || digits == serial.size()) {
    return serial;
  }
  return fmt::format("{}{:0{}}", serial.substr(0, digits), number + offset, serial.size() - digits);
}

// By profile and device, so that changing one device's instances leaves the others' UUIDs.
std::vector<ExpandedInstance> ExpandInstances(const ExpandedDevice& device) {
  std::vector<ExpandedInstance> instances;
  uint32_t gpu_instance = 0;
  const auto profiles = ParseMigInstances(device.profile.mig_instances);
  for (const MigProfile& profile : *profiles) {
    instances.push_back({profile, ++gpu_instance, DeriveUuid(device.uuid, gpu_instance, "MIG")});
  }
  return instances;
}

uint32_t HexAt(const std::string& text, size_t at, size_t length) {
  uint32_t value = 0;
  std::from_chars(text.data() + at, text.data() + at + length, value, 16);
  return value;
}

}  // namespace

std::string ExpandedDevice::PciAddress() const {
  return fmt::format("{:08X}:{:02X}:{:02X}.0", pci_domain, pci_bus, pci_device);
}

Result<std::vector<ExpandedDevice>> ExpandDevices(const Profile& profile,
                                                  std::string_view simulation_name) {
  std::vector<ExpandedDevice> devices;
  std::set<std::string> uuids;
  std::set<std::string> addresses;
  size_t instance_count = 0;
  for (const DeviceProfile& entry : profile.devices) {
    for (uint64_t i = 0; i < entry.count; ++i) {
      ExpandedDevice device;
      device.profile = entry;
      device.profile.count = 1;
      device.index = static_cast<uint32_t>(devices.size());
      if (entry.uuid.empty()) {
        device.uuid = DeriveUuid(fmt::format("{}/{}", simulation_name, profile.name), device.index);
      } else {
        device.uuid = i == 0 ? entry.uuid : DeriveUuid(entry.uuid, i);
      }
      device.serial = NextSerial(entry.serial, i);
      // "0000:65:01.0", of which the profile has checked the form.
      device.pci_domain = HexAt(entry.pci_address, 0, 4);
      device.pci_bus = HexAt(entry.pci_address, 5, 2) + static_cast<uint32_t>(i);
      device.pci_device = HexAt(entry.pci_address, 8, 2);
      // Entries that leave the address alone would all start at the same one.
      while (device.pci_bus <= 0xFF && addresses.contains(device.PciAddress())) ++device.pci_bus;
      if (device.pci_bus > 0xFF || device.pci_device > 0x1F) {
        return Fail(Code::kInvalidArgument, fmt::format("device {}: no PCI bus is left above {}",
                                                        device.index, entry.pci_address));
      }
      addresses.insert(device.PciAddress());
      if (!uuids.insert(device.uuid).second) {
        return Fail(Code::kInvalidArgument,
                    fmt::format("device {}: UUID {} stands twice", device.index, device.uuid));
      }
      device.instances = ExpandInstances(device);
      instance_count += device.instances.size();
      devices.push_back(std::move(device));
    }
  }
  if (devices.size() + instance_count > kMaxProfileDevices) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{} devices with {} MIG devices: {} is the most", devices.size(),
                            instance_count, kMaxProfileDevices));
  }
  return devices;
}

}  // namespace hami::simgpu
