// SPDX-License-Identifier: Apache-2.0
//
// The table for people, in the order that nvidia-smi made familiar, 91 columns wide. Scripts that
// look for "Driver Version:", "CUDA Version:", "12MiB / 345MiB" or "No running processes found"
// find them; anything else should use a query or --json.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "smi/fields.h"
#include "smi/output.h"
#include "version_values.h"

namespace hami::smi {
namespace {

constexpr int kWidth = 89;  // between the outer borders
constexpr char kWholeRule[] =
    "+-----------------------------------------------------------------------------------------+";
constexpr char kColumnRule[] =
    "+-----------------------------------------+------------------------+----------------------+";
constexpr char kDoubleRule[] =
    "+=========================================+========================+======================+";

void PrintLine(const char* text) { printf("| %-*.*s |\n", kWidth - 2, kWidth - 2, text); }

// A value of --query-gpu as text, with its unit right behind it: "30C", "0%".
struct Shown {
  char text[64];
};

Shown Show(const View& view, const Gpu& gpu, const char* field_name, const char* unit) {
  const FieldContext context = {view.nvml, view.system, gpu, view.total, nullptr};
  Cell cell;
  const Field* field = GpuFields().Find(field_name);
  if (field != nullptr) field->print(context, &cell);
  Shown out;
  if (cell.has_value()) {
    snprintf(out.text, sizeof(out.text), "%.48s%s", cell.text(), unit);
  } else {
    snprintf(out.text, sizeof(out.text), "N/A");
  }
  return out;
}

// Watts without the fraction, as there is no room for it.
Shown ShowWatts(const View& view, const Gpu& gpu, const char* field_name) {
  Shown out = Show(view, gpu, field_name, "");
  if (char* dot = strchr(out.text, '.')) *dot = '\0';
  if (strcmp(out.text, "N/A") != 0) strcat(out.text, "W");
  return out;
}

void PrintTitle(const View& view) {
  const time_t now = time(nullptr);
  tm local = {};
  localtime_r(&now, &local);
  char text[128];
  strftime(text, sizeof(text), "%a %b %e %H:%M:%S %Y", &local);
  printf("%s\n%s\n", text, kWholeRule);
  char cuda[32] = "N/A";
  if (view.system.cuda_version != 0) {
    snprintf(cuda, sizeof(cuda), "%d.%d", view.system.cuda_version / 1000,
             view.system.cuda_version % 1000 / 10);
  }
  snprintf(text, sizeof(text), "HAMI-SMI %-20s Driver Version: %-17.32s CUDA Version: %s",
           HAMI_VERSION, view.system.driver_version, cuda);
  PrintLine(text);
  if (view.system.simulation != nullptr) {
    snprintf(text, sizeof(text), "Simulated, no real GPU: %s", view.system.simulation);
    PrintLine(text);
  }
  printf("%s\n", kColumnRule);
  printf("| %-39s | %-22s | %20s |\n", "GPU  Name                 Persistence-M",
         "Bus-Id          Disp.A", "Volatile Uncorr. ECC");
  printf("| %-39s | %22s | %20s |\n", "Fan  Temp   Perf          Pwr:Usage/Cap", "Memory-Usage",
         "GPU-Util  Compute M.");
  printf("| %-39s | %22s | %20s |\n%s\n", "", "", "MIG M.", kDoubleRule);
}

void PrintSlice(const View& view, const Gpu& gpu) {
  const Slice slice = view.slices.Of(gpu.uuid);
  char memory[64] = "whole memory";
  if (slice.memory_limited) {
    snprintf(memory, sizeof(memory), "limit %lluMiB",
             static_cast<unsigned long long>(slice.memory_bytes >> 20));
  }
  char cores[32] = "all cores";
  if (slice.cores_pct != 0) snprintf(cores, sizeof(cores), "cores %u%%", slice.cores_pct);
  if (slice.fault != nullptr) snprintf(memory, sizeof(memory), "limits file broken");
  char rung[64];
  snprintf(rung, sizeof(rung), "Slice: enforced by %s", slice.rung);
  const bool none = strcmp(slice.rung, "none") == 0;
  printf("| %-39.39s | %22.22s | %20.20s |\n", none ? "Slice: none, not limited" : rung, memory,
         cores);
}

void PrintGpu(const View& view, const Gpu& gpu) {
  const Shown persistence = Show(view, gpu, "persistence_mode", "");
  const Shown display = Show(view, gpu, "display_active", "");
  const Shown ecc = Show(view, gpu, "ecc.errors.uncorrected.volatile.total", "");
  printf("| %3u  %-24.24s %9s | %-16.16s  %4s | %20.20s |\n", gpu.index, gpu.name,
         strcmp(persistence.text, "Enabled") == 0 ? "On" : "Off", gpu.bus_id,
         strcmp(display.text, "Enabled") == 0 ? "On" : "Off", ecc.text);

  char usage[48];
  snprintf(usage, sizeof(usage), "%.14s / %.14s", ShowWatts(view, gpu, "power.draw").text,
           ShowWatts(view, gpu, "enforced.power.limit").text);
  char memory[64];
  snprintf(memory, sizeof(memory), "%.24s / %.24s", Show(view, gpu, "memory.used", "MiB").text,
           Show(view, gpu, "memory.total", "MiB").text);
  printf("| %3.4s %4.5s %6.4s %22.22s  | %22.22s | %8.8s %11.11s |\n",
         Show(view, gpu, "fan.speed", "%").text, Show(view, gpu, "temperature.gpu", "C").text,
         Show(view, gpu, "pstate", "").text, usage, memory,
         Show(view, gpu, "utilization.gpu", "%").text, Show(view, gpu, "compute_mode", "").text);
  printf("| %-39s | %22s | %20.20s |\n", "", "", Show(view, gpu, "mig.mode.current", "").text);
  if (!view.options.as_nvidia_smi) PrintSlice(view, gpu);
  printf("%s\n", kColumnRule);
}

void PrintProcesses(const View& view) {
  printf("\n%s\n", kWholeRule);
  PrintLine("Processes:");
  PrintLine(" GPU        PID   Type   Process name                                   GPU Memory");
  printf(
      "|=========================================================================================|"
      "\n");
  uint32_t shown = 0;
  for (uint32_t i = 0; i < view.count; ++i) {
    uint32_t count = 0;
    nvmlReturn_t result = NVML_SUCCESS;
    Process* processes = ReadProcesses(view.nvml, view.gpus[i], &count, &result);
    for (uint32_t p = 0; p < count; ++p, ++shown) {
      Cell memory;
      memory.Mebibytes(processes[p].used_bytes);
      char with_unit[64];
      snprintf(with_unit, sizeof(with_unit), "%.48s%s", memory.has_value() ? memory.text() : "N/A",
               memory.has_value() ? "MiB" : "");
      // Of a long name the end says more than the start.
      const char* name = processes[p].name;
      const size_t length = strlen(name);
      char line[192];
      snprintf(line, sizeof(line), " %3u %10u      C   %s%-.*s", view.gpus[i].index,
               processes[p].pid, length > 42 ? "..." : "", 42,
               length > 42 ? name + length - 39 : name);
      printf("| %-72.72s%15.15s |\n", line, with_unit);
    }
    free(processes);
  }
  if (shown == 0) PrintLine(" No running processes found");
  printf("%s\n", kWholeRule);
}

}  // namespace

void PrintTable(const View& view) {
  PrintTitle(view);
  for (uint32_t i = 0; i < view.count; ++i) PrintGpu(view, view.gpus[i]);
  PrintProcesses(view);
}

void PrintList(const View& view) {
  for (uint32_t i = 0; i < view.count; ++i) {
    const Gpu& gpu = view.gpus[i];
    printf("GPU %u: %s (UUID: %s)\n", gpu.index, gpu.name, gpu.uuid);
  }
  if (view.system.simulation != nullptr) {
    // Not on stdout: scripts read that line by line.
    fprintf(stderr, "Simulated, no real GPU: %s\n", view.system.simulation);
  }
}

}  // namespace hami::smi
