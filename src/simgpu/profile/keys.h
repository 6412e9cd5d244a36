// SPDX-License-Identifier: Apache-2.0
//
// Every key of a profile once: its path, kind, range and the field it fills. Reading, writing,
// messages and the check that the README names each key all go by these tables.

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"
#include "simgpu/profile/profile.h"

namespace hami::simgpu {

enum class Kind : uint8_t {
  kText,
  kUuid,
  kPciAddress,
  kBrand,
  kDriverVersion,
  kMigInstances,
  kFlag,
  kCount,
  kHex,
  kCapability,   // "8.6" is 86
  kCudaVersion,  // "12.4" is 12040
  kBytes,
  kBits,
  kMegahertz,
  kMilliwatts,
  kCelsius,
  kNanoseconds,
  kBytesPerSecond,
};

// A value of a key: which alternative follows from the kind.
using Scalar = std::variant<std::string, uint64_t, bool>;

// `text` as a value of a kind. The error says what is wrong and how to write it, without the key.
Result<Scalar> ParseScalar(Kind kind, std::string_view text, uint64_t min, uint64_t max);
std::string FormatScalar(Kind kind, const Scalar& value);

template <typename Owner>
struct Key {
  std::string_view path;  // "memory.total"
  Kind kind;
  bool required;
  uint64_t min;  // of numbers; of texts the length
  uint64_t max;
  std::variant<std::string Owner::*, uint64_t Owner::*, bool Owner::*> field;

  void Set(const Scalar& value, Owner* owner) const {
    std::visit([&](auto member) { Assign(value, &(owner->*member)); }, field);
  }
  Scalar Get(const Owner& owner) const {
    return std::visit([&](auto member) { return Scalar(owner.*member); }, field);
  }

 private:
  template <typename T>
  static void Assign(const Scalar& value, T* target) {
    *target = std::get<T>(value);
  }
};

std::span<const Key<DeviceProfile>> DeviceKeys();
std::span<const Key<Profile>> ProfileKeys();

}  // namespace hami::simgpu
