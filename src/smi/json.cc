// SPDX-License-Identifier: Apache-2.0
//
// Everything as one JSON object. Missing values are null; units stand in the names.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "smi/fields.h"
#include "smi/output.h"

namespace hami::smi {
namespace {

// Bytes that are not ASCII are process names in whatever encoding; they become '?'.
void PrintString(const char* text) {
  putchar('"');
  for (; *text != '\0'; ++text) {
    const auto byte = static_cast<unsigned char>(*text);
    if (byte == '"' || byte == '\\') {
      printf("\\%c", byte);
    } else if (byte < 0x20) {
      printf("\\u%04x", byte);
    } else {
      putchar(byte < 0x7F ? byte : '?');
    }
  }
  putchar('"');
}

void PrintNumber(const char* name, const Value& value, uint32_t shift) {
  printf("\"%s\":", name);
  if (value.ok()) {
    printf("%llu", static_cast<unsigned long long>(value.number >> shift));
  } else {
    printf("null");
  }
}

// A field of --query-gpu under a name that JSON users expect; `quoted` for texts.
struct JsonField {
  const char* name;
  const char* field;
  bool quoted;
};
constexpr JsonField kFields[] = {
    {"serial", "serial", true},
    {"compute_cap", "compute_cap", true},
    {"minor_number", "minor_number", false},
    {"temperature_c", "temperature.gpu", false},
    {"power_draw_w", "power.draw", false},
    {"power_limit_w", "enforced.power.limit", false},
    {"sm_clock_mhz", "clocks.sm", false},
    {"memory_clock_mhz", "clocks.mem", false},
    {"fan_speed_pct", "fan.speed", false},
    {"pstate", "pstate", true},
    {"compute_mode", "compute_mode", true},
    {"mig_mode", "mig.mode.current", true},
};

void PrintFields(const View& view, const Gpu& gpu) {
  const FieldContext context = {view.nvml, view.system, gpu, view.total, nullptr};
  for (const JsonField& field : kFields) {
    Cell cell;
    GpuFields().Find(field.field)->print(context, &cell);
    printf(",\"%s\":", field.name);
    if (!cell.has_value()) {
      printf("null");
    } else if (field.quoted) {
      PrintString(cell.text());
    } else {
      printf("%s", cell.text());
    }
  }
}

void PrintSlice(const Slice& slice) {
  printf(",\"slice\":{\"rung\":\"%s\",\"memory_limit_mib\":", slice.rung);
  if (slice.memory_limited) {
    printf("%llu", static_cast<unsigned long long>(slice.memory_bytes >> 20));
  } else {
    printf("null");
  }
  printf(",\"cores_pct\":%u,\"fault\":", slice.cores_pct == 0 ? 100 : slice.cores_pct);
  if (slice.fault != nullptr) {
    PrintString(slice.fault);
  } else {
    printf("null");
  }
  printf("}");
}

void PrintProcesses(const View& view, const Gpu& gpu) {
  uint32_t count = 0;
  nvmlReturn_t result = NVML_SUCCESS;
  Process* processes = ReadProcesses(view.nvml, gpu, &count, &result);
  if (result != NVML_SUCCESS) {
    printf(",\"processes\":null");
    return;
  }
  printf(",\"processes\":[");
  for (uint32_t i = 0; i < count; ++i) {
    printf("%s{\"pid\":%u,\"name\":", i == 0 ? "" : ",", processes[i].pid);
    PrintString(processes[i].name);
    printf(",");
    PrintNumber("used_memory_mib", processes[i].used_bytes, 20);
    printf("}");
  }
  printf("]");
  free(processes);
}

}  // namespace

void PrintJson(const View& view) {
  printf("{\"driver_version\":");
  PrintString(view.system.driver_version);
  printf(",\"cuda_version\":");
  if (view.system.cuda_version != 0) {
    printf("\"%d.%d\"", view.system.cuda_version / 1000, view.system.cuda_version % 1000 / 10);
  } else {
    printf("null");
  }
  printf(",\"simulated\":");
  if (view.system.simulation != nullptr) {
    PrintString(view.system.simulation);
  } else {
    printf("null");
  }
  printf(",\"gpus\":[");
  for (uint32_t i = 0; i < view.count; ++i) {
    const Gpu& gpu = view.gpus[i];
    printf("%s{\"index\":%u,\"uuid\":", i == 0 ? "" : ",", gpu.index);
    PrintString(gpu.uuid);
    printf(",\"name\":");
    PrintString(gpu.name);
    printf(",\"bus_id\":");
    PrintString(gpu.bus_id);
    printf(",");
    PrintNumber("memory_total_mib", gpu.memory_total, 20);
    printf(",");
    PrintNumber("memory_reserved_mib", gpu.memory_reserved, 20);
    printf(",");
    PrintNumber("memory_used_mib", gpu.memory_used, 20);
    printf(",");
    PrintNumber("memory_free_mib", gpu.memory_free, 20);
    printf(",");
    PrintNumber("utilization_gpu_pct", gpu.utilization_gpu_pct, 0);
    printf(",");
    PrintNumber("utilization_memory_pct", gpu.utilization_memory_pct, 0);
    PrintFields(view, gpu);
    PrintSlice(view.slices.Of(gpu.uuid));
    PrintProcesses(view, gpu);
    printf("}");
  }
  printf("]}\n");
}

}  // namespace hami::smi
