// SPDX-License-Identifier: Apache-2.0

#include "smi/fields.h"

#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

namespace hami::smi {
namespace {

using C = const FieldContext&;

// A value read by a function of (device, unsigned int*).
template <auto Member>
void Unsigned(C context, Cell* cell) {
  unsigned int number = 0;
  const nvmlReturn_t result = Call(context.nvml.calls().*Member, context.gpu.handle, &number);
  cell->Number(Value{result, number});
}

template <auto Member>
void Milliwatts(C context, Cell* cell) {
  unsigned int number = 0;
  const nvmlReturn_t result = Call(context.nvml.calls().*Member, context.gpu.handle, &number);
  cell->Watts(Value{result, number});
}

template <auto Member>
void Enabled(C context, Cell* cell) {
  nvmlEnableState_t state = NVML_FEATURE_DISABLED;
  const nvmlReturn_t result = Call(context.nvml.calls().*Member, context.gpu.handle, &state);
  cell->OnOff(result, state);
}

template <auto Member, nvmlClockType_t kType>
void Clock(C context, Cell* cell) {
  unsigned int mhz = 0;
  const nvmlReturn_t result = Call(context.nvml.calls().*Member, context.gpu.handle, kType, &mhz);
  cell->Number(Value{result, mhz});
}

template <auto Member>
void String(C context, Cell* cell) {
  char text[NVML_DEVICE_NAME_V2_BUFFER_SIZE] = "";
  const auto bytes = static_cast<unsigned int>(sizeof(text));
  if (Call(context.nvml.calls().*Member, context.gpu.handle, text, bytes) == NVML_SUCCESS) {
    cell->Text(text);
  }
}

template <auto Member>
void EngineUtilization(C context, Cell* cell) {
  unsigned int percent = 0;
  unsigned int period_us = 0;
  const nvmlReturn_t result =
      Call(context.nvml.calls().*Member, context.gpu.handle, &percent, &period_us);
  cell->Number(Value{result, percent});
}

template <int kWhich>  // 0 minimum, 1 maximum
void PowerConstraint(C context, Cell* cell) {
  unsigned int limits[2] = {};
  const nvmlReturn_t result =
      Call(context.nvml.calls().nvmlDeviceGetPowerManagementLimitConstraints, context.gpu.handle,
           &limits[0], &limits[1]);
  cell->Watts(Value{result, limits[kWhich]});
}

template <int kWhich>  // 0 current, 1 pending
void EccMode(C context, Cell* cell) {
  nvmlEnableState_t states[2] = {};
  const nvmlReturn_t result =
      Call(context.nvml.calls().nvmlDeviceGetEccMode, context.gpu.handle, &states[0], &states[1]);
  cell->OnOff(result, states[kWhich]);
}

template <int kWhich>  // 0 current, 1 pending
void MigMode(C context, Cell* cell) {
  unsigned int modes[2] = {};
  const nvmlReturn_t result =
      Call(context.nvml.calls().nvmlDeviceGetMigMode, context.gpu.handle, &modes[0], &modes[1]);
  cell->OnOff(result, modes[kWhich]);
}

template <nvmlMemoryErrorType_t kType, nvmlEccCounterType_t kCounter>
void EccErrors(C context, Cell* cell) {
  unsigned long long count = 0;
  const nvmlReturn_t result = Call(context.nvml.calls().nvmlDeviceGetTotalEccErrors,
                                   context.gpu.handle, kType, kCounter, &count);
  cell->Number(Value{result, count});
}

template <unsigned int nvmlPciInfo_t::* Member>
void PciNumber(C context, Cell* cell) {
  nvmlPciInfo_t pci = {};
  if (Call(context.nvml.calls().nvmlDeviceGetPciInfo_v3, context.gpu.handle, &pci) !=
      NVML_SUCCESS) {
    return;
  }
  char text[16];
  const bool wide = &(pci.*Member) == &pci.pciDeviceId || &(pci.*Member) == &pci.pciSubSystemId;
  snprintf(text, sizeof(text), wide ? "0x%08X" : "0x%02X", pci.*Member);
  cell->Text(text);
}

void Timestamp(C, Cell* cell) {
  timeval now = {};
  gettimeofday(&now, nullptr);
  tm local = {};
  localtime_r(&now.tv_sec, &local);
  char text[64];
  const size_t bytes = strftime(text, sizeof(text), "%Y/%m/%d %H:%M:%S", &local);
  snprintf(text + bytes, sizeof(text) - bytes, ".%03d", static_cast<int>(now.tv_usec / 1000));
  cell->Text(text);
}

void PerformanceState(C context, Cell* cell) {
  nvmlPstates_t state = NVML_PSTATE_UNKNOWN;
  if (Call(context.nvml.calls().nvmlDeviceGetPerformanceState, context.gpu.handle, &state) !=
          NVML_SUCCESS ||
      state == NVML_PSTATE_UNKNOWN) {
    return;
  }
  char text[16];
  snprintf(text, sizeof(text), "P%d", static_cast<int>(state));
  cell->Text(text);
}

void ComputeMode(C context, Cell* cell) {
  static constexpr const char* kModes[] = {"Default", "Exclusive_Thread", "Prohibited",
                                           "Exclusive_Process"};
  nvmlComputeMode_t mode = NVML_COMPUTEMODE_DEFAULT;
  if (Call(context.nvml.calls().nvmlDeviceGetComputeMode, context.gpu.handle, &mode) ==
          NVML_SUCCESS &&
      mode <= NVML_COMPUTEMODE_EXCLUSIVE_PROCESS) {
    cell->Text(kModes[mode]);
  }
}

void ComputeCapability(C context, Cell* cell) {
  int major = 0;
  int minor = 0;
  if (Call(context.nvml.calls().nvmlDeviceGetCudaComputeCapability, context.gpu.handle, &major,
           &minor) != NVML_SUCCESS) {
    return;
  }
  char text[32];
  snprintf(text, sizeof(text), "%d.%d", major, minor);
  cell->Text(text);
}

void Temperature(C context, Cell* cell) {
  unsigned int celsius = 0;
  const nvmlReturn_t result = Call(context.nvml.calls().nvmlDeviceGetTemperature,
                                   context.gpu.handle, NVML_TEMPERATURE_GPU, &celsius);
  cell->Number(Value{result, celsius});
}

using N = NvmlCalls;

constexpr Field kGpuFields[] = {
    {"timestamp", nullptr, nullptr, "when the query was made",
     [](C c, Cell* out) { Timestamp(c, out); }},
    {"driver_version", nullptr, nullptr, "version of the driver",
     [](C c, Cell* out) { out->Text(c.system.driver_version); }},
    {"count", nullptr, nullptr, "number of GPUs",
     [](C c, Cell* out) { out->Number(Value::Of(c.gpu_count)); }},
    {"name", "gpu_name", nullptr, "product name", [](C c, Cell* out) { out->Text(c.gpu.name); }},
    {"serial", "gpu_serial", nullptr, "serial number of the board",
     String<&N::nvmlDeviceGetSerial>},
    {"uuid", "gpu_uuid", nullptr, "UUID", [](C c, Cell* out) { out->Text(c.gpu.uuid); }},
    {"index", nullptr, nullptr, "index in this process' view",
     [](C c, Cell* out) { out->Number(Value::Of(c.gpu.index)); }},
    {"minor_number", nullptr, nullptr, "number in /dev/nvidiaN",
     Unsigned<&N::nvmlDeviceGetMinorNumber>},
    {"vbios_version", nullptr, nullptr, "version of the video BIOS",
     String<&N::nvmlDeviceGetVbiosVersion>},
    {"pci.bus_id", "gpu_bus_id", nullptr, "PCI address",
     [](C c, Cell* out) { out->Text(c.gpu.bus_id); }},
    {"pci.domain", nullptr, nullptr, "PCI domain", PciNumber<&nvmlPciInfo_t::domain>},
    {"pci.bus", nullptr, nullptr, "PCI bus", PciNumber<&nvmlPciInfo_t::bus>},
    {"pci.device", nullptr, nullptr, "PCI device", PciNumber<&nvmlPciInfo_t::device>},
    {"pci.device_id", nullptr, nullptr, "PCI vendor and device id",
     PciNumber<&nvmlPciInfo_t::pciDeviceId>},
    {"pci.sub_device_id", nullptr, nullptr, "PCI subsystem id",
     PciNumber<&nvmlPciInfo_t::pciSubSystemId>},
    {"pcie.link.gen.current", "pcie.link.gen.gpucurrent", nullptr, "PCIe generation now",
     Unsigned<&N::nvmlDeviceGetCurrPcieLinkGeneration>},
    {"pcie.link.gen.max", nullptr, nullptr, "highest PCIe generation",
     Unsigned<&N::nvmlDeviceGetMaxPcieLinkGeneration>},
    {"pcie.link.width.current", nullptr, nullptr, "PCIe lanes now",
     Unsigned<&N::nvmlDeviceGetCurrPcieLinkWidth>},
    {"pcie.link.width.max", nullptr, nullptr, "most PCIe lanes",
     Unsigned<&N::nvmlDeviceGetMaxPcieLinkWidth>},
    {"display_mode", nullptr, nullptr, "a display is connected",
     Enabled<&N::nvmlDeviceGetDisplayMode>},
    {"display_active", nullptr, nullptr, "a display is in use",
     Enabled<&N::nvmlDeviceGetDisplayActive>},
    {"persistence_mode", nullptr, nullptr, "driver stays loaded",
     Enabled<&N::nvmlDeviceGetPersistenceMode>},
    {"accounting.mode", nullptr, nullptr, "accounting of processes",
     Enabled<&N::nvmlDeviceGetAccountingMode>},
    {"fan.speed", nullptr, "%", "fan speed", Unsigned<&N::nvmlDeviceGetFanSpeed>},
    {"pstate", nullptr, nullptr, "performance state", PerformanceState},
    {"memory.total", nullptr, "MiB", "memory of this GPU or slice",
     [](C c, Cell* out) { out->Mebibytes(c.gpu.memory_total); }},
    {"memory.reserved", nullptr, "MiB", "memory that the driver keeps",
     [](C c, Cell* out) { out->Mebibytes(c.gpu.memory_reserved); }},
    {"memory.used", nullptr, "MiB", "memory in use",
     [](C c, Cell* out) { out->Mebibytes(c.gpu.memory_used); }},
    {"memory.free", nullptr, "MiB", "memory that is free",
     [](C c, Cell* out) { out->Mebibytes(c.gpu.memory_free); }},
    {"compute_mode", nullptr, nullptr, "who may make contexts", ComputeMode},
    {"compute_cap", nullptr, nullptr, "compute capability", ComputeCapability},
    {"utilization.gpu", nullptr, "%", "time in which kernels ran",
     [](C c, Cell* out) { out->Number(c.gpu.utilization_gpu_pct); }},
    {"utilization.memory", nullptr, "%", "time in which memory was read or written",
     [](C c, Cell* out) { out->Number(c.gpu.utilization_memory_pct); }},
    {"utilization.encoder", nullptr, "%", "time in which the encoder ran",
     EngineUtilization<&N::nvmlDeviceGetEncoderUtilization>},
    {"utilization.decoder", nullptr, "%", "time in which the decoder ran",
     EngineUtilization<&N::nvmlDeviceGetDecoderUtilization>},
    {"ecc.mode.current", nullptr, nullptr, "ECC", EccMode<0>},
    {"ecc.mode.pending", nullptr, nullptr, "ECC after the next reset", EccMode<1>},
    {"ecc.errors.corrected.volatile.total", nullptr, nullptr, "corrected errors since the start",
     EccErrors<NVML_MEMORY_ERROR_TYPE_CORRECTED, NVML_VOLATILE_ECC>},
    {"ecc.errors.uncorrected.volatile.total", nullptr, nullptr, "other errors since the start",
     EccErrors<NVML_MEMORY_ERROR_TYPE_UNCORRECTED, NVML_VOLATILE_ECC>},
    {"temperature.gpu", nullptr, nullptr, "temperature in degrees Celsius", Temperature},
    {"power.management", nullptr, nullptr, "power management",
     Enabled<&N::nvmlDeviceGetPowerManagementMode>},
    {"power.draw", nullptr, "W", "power drawn", Milliwatts<&N::nvmlDeviceGetPowerUsage>},
    {"power.limit", nullptr, "W", "power limit set",
     Milliwatts<&N::nvmlDeviceGetPowerManagementLimit>},
    {"enforced.power.limit", nullptr, "W", "power limit in force",
     Milliwatts<&N::nvmlDeviceGetEnforcedPowerLimit>},
    {"power.default_limit", nullptr, "W", "power limit after a reset",
     Milliwatts<&N::nvmlDeviceGetPowerManagementDefaultLimit>},
    {"power.min_limit", nullptr, "W", "lowest power limit", PowerConstraint<0>},
    {"power.max_limit", nullptr, "W", "highest power limit", PowerConstraint<1>},
    {"clocks.current.graphics", "clocks.gr", "MHz", "graphics clock",
     Clock<&N::nvmlDeviceGetClockInfo, NVML_CLOCK_GRAPHICS>},
    {"clocks.current.sm", "clocks.sm", "MHz", "multiprocessor clock",
     Clock<&N::nvmlDeviceGetClockInfo, NVML_CLOCK_SM>},
    {"clocks.current.memory", "clocks.mem", "MHz", "memory clock",
     Clock<&N::nvmlDeviceGetClockInfo, NVML_CLOCK_MEM>},
    {"clocks.current.video", "clocks.video", "MHz", "video clock",
     Clock<&N::nvmlDeviceGetClockInfo, NVML_CLOCK_VIDEO>},
    {"clocks.max.graphics", "clocks.max.gr", "MHz", "highest graphics clock",
     Clock<&N::nvmlDeviceGetMaxClockInfo, NVML_CLOCK_GRAPHICS>},
    {"clocks.max.sm", nullptr, "MHz", "highest multiprocessor clock",
     Clock<&N::nvmlDeviceGetMaxClockInfo, NVML_CLOCK_SM>},
    {"clocks.max.memory", "clocks.max.mem", "MHz", "highest memory clock",
     Clock<&N::nvmlDeviceGetMaxClockInfo, NVML_CLOCK_MEM>},
    {"mig.mode.current", nullptr, nullptr, "MIG", MigMode<0>},
    {"mig.mode.pending", nullptr, nullptr, "MIG after the next reset", MigMode<1>},
};

constexpr Field kComputeAppFields[] = {
    {"timestamp", nullptr, nullptr, "when the query was made",
     [](C c, Cell* out) { Timestamp(c, out); }},
    {"gpu_name", nullptr, nullptr, "product name of the GPU",
     [](C c, Cell* out) { out->Text(c.gpu.name); }},
    {"gpu_bus_id", nullptr, nullptr, "PCI address of the GPU",
     [](C c, Cell* out) { out->Text(c.gpu.bus_id); }},
    {"gpu_serial", nullptr, nullptr, "serial number of the board", String<&N::nvmlDeviceGetSerial>},
    {"gpu_uuid", nullptr, nullptr, "UUID of the GPU",
     [](C c, Cell* out) { out->Text(c.gpu.uuid); }},
    {"pid", nullptr, nullptr, "process",
     [](C c, Cell* out) { out->Number(Value::Of(c.process->pid)); }},
    {"process_name", "name", nullptr, "its executable",
     [](C c, Cell* out) { out->Text(c.process->name); }},
    {"used_gpu_memory", "used_memory", "MiB", "memory that it has on the GPU",
     [](C c, Cell* out) { out->Mebibytes(c.process->used_bytes); }},
};

}  // namespace

Cell::Cell() { snprintf(text_, sizeof(text_), "[N/A]"); }

void Cell::Text(const char* text) {
  snprintf(text_, sizeof(text_), "%s", text);
  has_value_ = true;
}

void Cell::Number(const Value& value) {
  if (!value.ok()) return;
  snprintf(text_, sizeof(text_), "%llu", static_cast<unsigned long long>(value.number));
  has_value_ = true;
}

void Cell::Mebibytes(const Value& bytes) { Number(Value{bytes.result, bytes.number >> 20}); }

void Cell::Watts(const Value& milliwatts) {
  if (!milliwatts.ok()) return;
  const unsigned long long hundredths = milliwatts.number / 10;
  snprintf(text_, sizeof(text_), "%llu.%02llu", hundredths / 100, hundredths % 100);
  has_value_ = true;
}

void Cell::OnOff(nvmlReturn_t result, unsigned int state) {
  if (result == NVML_SUCCESS) Text(state != 0 ? "Enabled" : "Disabled");
}

const Field* FieldTable::Find(std::string_view name) const {
  for (size_t i = 0; i < count; ++i) {
    if (name == fields[i].name) return &fields[i];
    if (fields[i].alias != nullptr && name == fields[i].alias) return &fields[i];
  }
  return nullptr;
}

FieldTable GpuFields() { return {kGpuFields, sizeof(kGpuFields) / sizeof(kGpuFields[0])}; }

FieldTable ComputeAppFields() {
  return {kComputeAppFields, sizeof(kComputeAppFields) / sizeof(kComputeAppFields[0])};
}

}  // namespace hami::smi
