// SPDX-License-Identifier: Apache-2.0
//
// The fields of --query-gpu and --query-compute-apps under nvidia-smi's names, because scripts ask
// for them: name, unit, and how each is read.

#pragma once

#include <stddef.h>

#include <string_view>

#include "smi/gpu.h"

namespace hami::smi {

// The text of one value; "[N/A]" until something is written.
class Cell {
 public:
  Cell();
  void Text(const char* text);
  void Number(const Value& value);
  void Mebibytes(const Value& bytes);
  void Watts(const Value& milliwatts);
  void OnOff(nvmlReturn_t result, unsigned int state);  // Enabled, Disabled

  const char* text() const { return text_; }
  // False where the value is missing, so that no unit is printed behind it.
  bool has_value() const { return has_value_; }

 private:
  char text_[NVML_DEVICE_NAME_V2_BUFFER_SIZE + 160];
  bool has_value_ = false;
};

struct FieldContext {
  const Nvml& nvml;
  const System& system;
  const Gpu& gpu;
  uint32_t gpu_count;
  const Process* process;  // of --query-compute-apps
};

struct Field {
  const char* name;
  const char* alias;  // or nullptr
  const char* unit;   // or nullptr
  const char* help;
  void (*print)(const FieldContext& context, Cell* cell);
};

struct FieldTable {
  const Field* fields;
  size_t count;

  const Field* Find(std::string_view name) const;
};

FieldTable GpuFields();
FieldTable ComputeAppFields();

}  // namespace hami::smi
