// SPDX-License-Identifier: Apache-2.0

#include "smi/smi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "smi/gpu.h"
#include "smi/nvml.h"
#include "smi/options.h"
#include "smi/output.h"
#include "smi/slices.h"
#include "version_values.h"

namespace hami::smi {
namespace {

constexpr uint32_t kMaxGpus = 256;

// "0000:65:01.0" and "00000000:65:01.0" are one address.
const char* SkipDomainZeros(const char* bus_id) {
  const char* colon = strchr(bus_id, ':');
  const char* second = colon != nullptr ? strchr(colon + 1, ':') : nullptr;
  if (second == nullptr) return bus_id;
  while (*bus_id == '0' && bus_id + 1 < colon) ++bus_id;
  return bus_id;
}

bool Matches(const Gpu& gpu, const char* id) {
  char* end = nullptr;
  const unsigned long index = strtoul(id, &end, 10);
  if (end != id && *end == '\0') return index == gpu.index;
  return strcmp(id, gpu.uuid) == 0 ||
         strcasecmp(SkipDomainZeros(id), SkipDomainZeros(gpu.bus_id)) == 0;
}

// The GPUs that --id names, in the driver's order. False when a name fits none.
bool Select(const char* ids, const Gpu* all, uint32_t total, Gpu* out, uint32_t* count) {
  *count = 0;
  bool chosen[kMaxGpus] = {};
  while (ids != nullptr) {
    const size_t length = strcspn(ids, ",");
    char id[NVML_DEVICE_UUID_V2_BUFFER_SIZE] = "";
    if (length < sizeof(id)) memcpy(id, ids, length);
    bool found = false;
    for (uint32_t i = 0; i < total; ++i) {
      if (!Matches(all[i], id)) continue;
      chosen[i] = true;
      found = true;
    }
    if (!found) return false;
    if (ids[length] == '\0') break;
    ids += length + 1;
  }
  for (uint32_t i = 0; i < total; ++i) {
    if (ids == nullptr || chosen[i]) out[(*count)++] = all[i];
  }
  return *count != 0;
}

int Print(const View& view) {
  switch (view.options.mode) {
    case Mode::kList:
      PrintList(view);
      return kExitOk;
    case Mode::kQueryGpu:
    case Mode::kQueryComputeApps:
      return PrintQuery(view);
    case Mode::kJson:
      PrintJson(view);
      return kExitOk;
    default:
      PrintTable(view);
      return kExitOk;
  }
}

int ShowOnce(const Nvml& nvml, const Options& options, const Slices& slices) {
  static Gpu all[kMaxGpus];
  static Gpu selected[kMaxGpus];
  System system;
  ReadSystem(nvml, &system);
  unsigned int total = 0;
  nvmlReturn_t result = Call(nvml.calls().nvmlDeviceGetCount_v2, &total);
  if (result != NVML_SUCCESS) {
    fprintf(stderr, "The GPUs cannot be counted: %s\n", nvml.ErrorText(result));
    return result <= NVML_ERROR_GPU_IS_LOST ? static_cast<int>(result) : kExitUnknown;
  }
  if (total > kMaxGpus) total = kMaxGpus;
  uint32_t readable = 0;
  for (uint32_t i = 0; i < total; ++i) {
    result = ReadGpu(nvml, i, &all[readable]);
    if (result == NVML_SUCCESS) {
      ++readable;
    } else {
      fprintf(stderr, "GPU %u cannot be read: %s\n", i, nvml.ErrorText(result));
    }
  }
  uint32_t count = 0;
  if (!Select(options.ids, all, readable, selected, &count)) {
    // A machine without GPUs is still a good answer in JSON; otherwise nvidia-smi's words and code.
    if (options.mode == Mode::kJson && options.ids == nullptr) {
      return Print(View{nvml, options, system, selected, 0, total, slices});
    }
    printf("No devices were found\n");
    return kExitNotFound;
  }
  return Print(View{nvml, options, system, selected, count, total, slices});
}

int Show(const Options& options) {
  Nvml nvml;
  const int opened = nvml.Open();
  if (opened != kExitOk) return opened;
  const Slices slices;
  int code = ShowOnce(nvml, options, slices);
  while (options.loop_s != 0 && code == kExitOk && fflush(stdout) == 0) {
    sleep(options.loop_s);
    code = ShowOnce(nvml, options, slices);
  }
  nvml.Close();
  return code;
}

}  // namespace

int SmiMain(int argc, char** argv) {
  Options options;
  if (!ParseOptions(argc, argv, &options)) return kExitUsage;
  int code = kExitOk;
  switch (options.mode) {
    case Mode::kHelp:
      PrintHelp(options);
      break;
    case Mode::kHelpQueryGpu:
    case Mode::kHelpQueryComputeApps:
      PrintQueryHelp(options.mode);
      break;
    case Mode::kVersion:
      printf("hami smi %s, commit %s, build %s\n", HAMI_VERSION, HAMI_COMMIT, HAMI_BUILD);
      break;
    default:
      code = Show(options);
  }
  if (fflush(stdout) != 0 && code == kExitOk) code = kExitUnknown;
  return code;
}

}  // namespace hami::smi
