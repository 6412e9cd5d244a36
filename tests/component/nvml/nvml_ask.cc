// SPDX-License-Identifier: Apache-2.0
//
// An NVML client that does what its standard input says: one function per line, one line of answer,
// which begins with the result's number. Lists are asked for with ROOM entries; ROOM "null" is a
// NULL array with a count of 0, "nowhere" a NULL array with a count of 100.
//
//   device INDEX | mig INDEX | parent | uuidv UUID      go to a device; its UUID
//   nearest ROOM | set ROOM | unit ROOM                 UUIDs
//   memory | protected -> total free used | bar1 -> total free used | attributes -> MiB
//   protection -> KiB KiB | limits -> soft hard used
//   processes ROOM | details MODE ROOM -> pid:bytes...
//   samples ROOM | infos ROOM | encoder ROOM | fbc ROOM -> pid:percent...
//   pids ROOM -> pid... | account PID | account2 PID -> percent | name PID LENGTH -> name
//   count -> devices | ecc -> corrected uncorrected
//   wait MS | wait1 MS          for events of the device, of all types; the device, type:data and
//                               the GPU instance; wait1 by the old function, instance 7 before
//   null                                                the results of all with NULL for the answer

#include <dlfcn.h>

#include <cstring>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "api/nvml/functions.h"

namespace {

void* library = nullptr;
nvmlDevice_t device = nullptr;

template <typename Function, typename... Arguments>
nvmlReturn_t CallAs(Function*, const char* name, Arguments... arguments) {
  auto* function = reinterpret_cast<Function*>(dlsym(library, name));
  if (function == nullptr) return NVML_ERROR_FUNCTION_NOT_FOUND;  // as clients of NVML do
  return function(arguments...);
}
#define CALL(name, ...) CallAs(&name, #name __VA_OPT__(, ) __VA_ARGS__)

std::ostringstream answer;

bool Say(nvmlReturn_t result) {
  answer << static_cast<int>(result);
  return result == NVML_SUCCESS;
}

void SayUuid(nvmlDevice_t which) {
  char uuid[96] = {};
  CALL(nvmlDeviceGetUUID, which, uuid, static_cast<unsigned>(sizeof(uuid)));
  answer << ' ' << uuid;
}

// The array that a word asks for.
template <typename Item>
class List {
 public:
  explicit List(std::istream& words) {
    std::string word;
    words >> word;
    if (word == "null" || word == "nowhere") {
      count = word == "null" ? 0 : 100;
    } else {
      items_.resize(std::stoul(word) + 1);
      count = static_cast<unsigned>(items_.size() - 1);
    }
  }
  Item* data() { return items_.empty() ? nullptr : items_.data(); }
  // The number, and what `show` makes of every item that was filled in.
  template <typename Show>
  void Answer(nvmlReturn_t result, Show show) {
    const size_t room = items_.empty() ? 0 : items_.size() - 1;
    const bool fine = Say(result);
    answer << ' ' << count;
    for (size_t i = 0; fine && i < count && i < room; ++i) show(items_[i]);
  }

  unsigned count = 0;

 private:
  std::vector<Item> items_;
};

void Go(nvmlReturn_t result, const nvmlDevice_t& found) {
  if (Say(result)) {
    device = found;
    SayUuid(device);
  }
}

bool FindDevices(const std::string& verb, std::istream& words) {
  nvmlDevice_t found = nullptr;
  if (verb == "device") {
    unsigned index = 0;
    words >> index;
    Go(CALL(nvmlDeviceGetHandleByIndex_v2, index, &found), found);
  } else if (verb == "mig") {
    unsigned index = 0;
    words >> index;
    Go(CALL(nvmlDeviceGetMigDeviceHandleByIndex, device, index, &found), found);
  } else if (verb == "parent") {
    Go(CALL(nvmlDeviceGetDeviceHandleFromMigDeviceHandle, device, &found), found);
  } else if (verb == "uuidv") {
    nvmlUUID_t uuid = {};
    uuid.version = HAMI_NVML_STRUCT_VERSION(nvmlUUID_v1_t, 1);
    uuid.type = NVML_UUID_TYPE_ASCII;
    std::string text;
    words >> text;
    std::strncpy(uuid.value.str, text.c_str(), sizeof(uuid.value.str) - 1);
    const nvmlUUID_t* given = &uuid;
    Go(CALL(nvmlDeviceGetHandleByUUIDV, given, &found), found);
  } else if (verb == "nearest" || verb == "set" || verb == "unit") {
    List<nvmlDevice_t> list(words);
    nvmlUnit_t unit = nullptr;
    list.Answer(verb == "nearest" ? CALL(nvmlDeviceGetTopologyNearestGpus, device,
                                         NVML_TOPOLOGY_SYSTEM, &list.count, list.data())
                : verb == "set"   ? CALL(nvmlSystemGetTopologyGpuSet, 0U, &list.count, list.data())
                                  : CALL(nvmlUnitGetDevices, unit, &list.count, list.data()),
                SayUuid);
  } else {
    return false;
  }
  return true;
}

bool LookAtMemory(const std::string& verb) {
  if (verb == "memory" || verb == "protected") {
    nvmlMemory_t memory = {};
    if (Say(verb == "memory"
                ? CALL(nvmlDeviceGetMemoryInfo, device, &memory)
                : CALL(nvmlDeviceGetConfComputeProtectedMemoryUsage, device, &memory))) {
      answer << ' ' << memory.total << ' ' << memory.free << ' ' << memory.used;
    }
  } else if (verb == "bar1") {
    nvmlBAR1Memory_t memory = {};
    if (Say(CALL(nvmlDeviceGetBAR1MemoryInfo, device, &memory))) {
      answer << ' ' << memory.bar1Total << ' ' << memory.bar1Free << ' ' << memory.bar1Used;
    }
  } else if (verb == "attributes") {
    nvmlDeviceAttributes_t attributes = {};
    if (Say(CALL(nvmlDeviceGetAttributes_v2, device, &attributes))) {
      answer << ' ' << attributes.memorySizeMB;
    }
  } else if (verb == "protection") {
    nvmlConfComputeMemSizeInfo_t info = {};
    if (Say(CALL(nvmlDeviceGetConfComputeMemSizeInfo, device, &info))) {
      answer << ' ' << info.protectedMemSizeKib << ' ' << info.unprotectedMemSizeKib;
    }
  } else if (verb == "limits") {
    nvmlGetMemoryLimits_v1_t limits = {};
    if (Say(CALL(nvmlDeviceGetMemoryLimits_v1, device, &limits))) {
      answer << ' ' << limits.softLimit << ' ' << limits.hardLimit << ' ' << limits.currentUsed;
    }
  } else {
    return false;
  }
  return true;
}

bool LookAtProcesses(const std::string& verb, std::istream& words) {
  const auto bytes = [](const auto& p) { answer << ' ' << p.pid << ':' << p.usedGpuMemory; };
  const auto percent = [](const auto& p) { answer << ' ' << p.pid << ':' << p.smUtil; };
  const auto width = [](const auto& p) { answer << ' ' << p.pid << ':' << p.hResolution; };
  if (verb == "processes") {
    List<nvmlProcessInfo_t> list(words);
    list.Answer(CALL(nvmlDeviceGetComputeRunningProcesses_v3, device, &list.count, list.data()),
                bytes);
  } else if (verb == "details") {
    nvmlProcessDetailList_t details = {};
    details.version = HAMI_NVML_STRUCT_VERSION(nvmlProcessDetailList_v1_t, 1);
    words >> details.mode;
    List<nvmlProcessDetail_v1_t> list(words);
    details.numProcArrayEntries = list.count;
    details.procArray = list.data();
    const nvmlReturn_t result = CALL(nvmlDeviceGetRunningProcessDetailList, device, &details);
    list.count = details.numProcArrayEntries;
    list.Answer(result, bytes);
  } else if (verb == "samples") {
    List<nvmlProcessUtilizationSample_t> list(words);
    list.Answer(CALL(nvmlDeviceGetProcessUtilization, device, list.data(), &list.count, 0ULL),
                percent);
  } else if (verb == "infos") {
    List<nvmlProcessUtilizationInfo_v1_t> list(words);
    nvmlProcessesUtilizationInfo_t info = {
        HAMI_NVML_STRUCT_VERSION(nvmlProcessesUtilizationInfo_v1_t, 1), list.count, 0, list.data()};
    const nvmlReturn_t result = CALL(nvmlDeviceGetProcessesUtilizationInfo, device, &info);
    list.count = info.processSamplesCount;
    list.Answer(result, percent);
  } else if (verb == "encoder") {
    List<nvmlEncoderSessionInfo_t> list(words);
    list.Answer(CALL(nvmlDeviceGetEncoderSessions, device, &list.count, list.data()), width);
  } else if (verb == "fbc") {
    List<nvmlFBCSessionInfo_t> list(words);
    list.Answer(CALL(nvmlDeviceGetFBCSessions, device, &list.count, list.data()), width);
  } else if (verb == "pids") {
    List<unsigned> list(words);
    list.Answer(CALL(nvmlDeviceGetAccountingPids, device, &list.count, list.data()),
                [](unsigned pid) { answer << ' ' << pid; });
  } else if (verb == "account") {
    unsigned pid = 0;
    words >> pid;
    nvmlAccountingStats_t stats = {};
    if (Say(CALL(nvmlDeviceGetAccountingStats, device, pid, &stats))) {
      answer << ' ' << stats.gpuUtilization;
    }
  } else if (verb == "account2") {
    nvmlAccountingStats_v2_t stats = {};
    words >> stats.pid;
    if (Say(CALL(nvmlDeviceGetAccountingStats_v2, device, &stats))) {
      answer << ' ' << stats.pid << ':' << stats.gpuUtilization;
    }
  } else if (verb == "name") {
    unsigned pid = 0;
    unsigned length = 0;
    words >> pid >> length;
    std::string name(length + 1, '#');
    if (Say(CALL(nvmlSystemGetProcessName, pid, name.data(), length))) {
      answer << ' ' << name.c_str();
    }
  } else {
    return false;
  }
  return true;
}

// All ways to the errors must agree.
void CountErrors() {
  unsigned long long corrected = 0;
  unsigned long long uncorrected = 0;
  Say(CALL(nvmlDeviceGetTotalEccErrors, device, NVML_MEMORY_ERROR_TYPE_CORRECTED, NVML_VOLATILE_ECC,
           &corrected));
  CALL(nvmlDeviceGetMemoryErrorCounter, device, NVML_MEMORY_ERROR_TYPE_UNCORRECTED,
       NVML_AGGREGATE_ECC, NVML_MEMORY_LOCATION_DEVICE_MEMORY, &uncorrected);
  nvmlFieldValue_t fields[2] = {};
  fields[0].fieldId = NVML_FI_DEV_ECC_SBE_VOL_TOTAL;
  fields[1].fieldId = NVML_FI_DEV_ECC_DBE_AGG_TOTAL;
  CALL(nvmlDeviceGetFieldValues, device, 2, fields + 0);
  if (fields[0].value.ullVal == corrected && fields[1].value.ullVal == uncorrected) {
    answer << ' ' << corrected << ' ' << uncorrected;
  } else {
    answer << " fields differ";
  }
}

bool LookAtErrors(const std::string& verb, std::istream& words) {
  static nvmlEventSet_t set = nullptr;
  if (verb == "count") {
    unsigned count = 0;
    if (Say(CALL(nvmlDeviceGetCount_v2, &count))) answer << ' ' << count;
  } else if (verb == "ecc") {
    CountErrors();
  } else if (verb == "wait" || verb == "wait1") {
    unsigned timeout_ms = 0;
    words >> timeout_ms;
    unsigned long long types = 0;
    if (set == nullptr && (CALL(nvmlEventSetCreate, &set) != NVML_SUCCESS ||
                           CALL(nvmlDeviceGetSupportedEventTypes, device, &types) != NVML_SUCCESS ||
                           CALL(nvmlDeviceRegisterEvents, device, types, set) != NVML_SUCCESS)) {
      answer << "not registered";
      return true;
    }
    nvmlEventData_t data = {};
    data.gpuInstanceId = 7;
    if (Say(verb == "wait" ? CALL(nvmlEventSetWait_v2, set, &data, timeout_ms)
                           : CALL(nvmlEventSetWait, set, &data, timeout_ms))) {
      SayUuid(data.device);
      answer << ' ' << data.eventType << ':' << data.eventData << ' ' << data.gpuInstanceId;
    }
  } else {
    return false;
  }
  return true;
}

// What a program that passes NULL is told; a crash would end this one.
void PassNull() {
  unsigned count = 4;
  const auto say = [](nvmlReturn_t result) { answer << static_cast<int>(result) << ' '; };
  nvmlUUID_t* uuid = nullptr;
  nvmlDevice_t* found = nullptr;
  const nvmlUUID_t* no_uuid = uuid;
  nvmlUnit_t unit = nullptr;
  unsigned* none = nullptr;
  say(CALL(nvmlDeviceGetHandleByUUIDV, no_uuid, found));
  say(CALL(nvmlDeviceGetMigDeviceHandleByIndex, device, 0U, found));
  say(CALL(nvmlDeviceGetDeviceHandleFromMigDeviceHandle, device, found));
  say(CALL(nvmlDeviceGetTopologyNearestGpus, device, NVML_TOPOLOGY_SYSTEM, none, found));
  say(CALL(nvmlDeviceGetTopologyNearestGpus, device, NVML_TOPOLOGY_SYSTEM, &count, found));
  say(CALL(nvmlSystemGetTopologyGpuSet, 0U, none, found));
  say(CALL(nvmlUnitGetDevices, unit, none, found));
  say(CALL(nvmlDeviceGetMemoryInfo, device, static_cast<nvmlMemory_t*>(nullptr)));
  say(CALL(nvmlDeviceGetBAR1MemoryInfo, device, static_cast<nvmlBAR1Memory_t*>(nullptr)));
  say(CALL(nvmlDeviceGetAttributes_v2, device, static_cast<nvmlDeviceAttributes_t*>(nullptr)));
  say(CALL(nvmlDeviceGetConfComputeMemSizeInfo, device,
           static_cast<nvmlConfComputeMemSizeInfo_t*>(nullptr)));
  say(CALL(nvmlDeviceGetConfComputeProtectedMemoryUsage, device,
           static_cast<nvmlMemory_t*>(nullptr)));
  say(CALL(nvmlDeviceGetMemoryLimits_v1, device, static_cast<nvmlGetMemoryLimits_v1_t*>(nullptr)));
  say(CALL(nvmlDeviceGetComputeRunningProcesses_v3, device, none,
           static_cast<nvmlProcessInfo_t*>(nullptr)));
  say(CALL(nvmlDeviceGetRunningProcessDetailList, device,
           static_cast<nvmlProcessDetailList_t*>(nullptr)));
  say(CALL(nvmlDeviceGetProcessUtilization, device,
           static_cast<nvmlProcessUtilizationSample_t*>(nullptr), none, 0ULL));
  say(CALL(nvmlDeviceGetProcessesUtilizationInfo, device,
           static_cast<nvmlProcessesUtilizationInfo_t*>(nullptr)));
  say(CALL(nvmlDeviceGetAccountingPids, device, none, none));
  say(CALL(nvmlDeviceGetAccountingStats, device, 1U, static_cast<nvmlAccountingStats_t*>(nullptr)));
  say(CALL(nvmlDeviceGetAccountingStats_v2, device,
           static_cast<nvmlAccountingStats_v2_t*>(nullptr)));
  say(CALL(nvmlDeviceGetEncoderSessions, device, none,
           static_cast<nvmlEncoderSessionInfo_t*>(nullptr)));
  say(CALL(nvmlDeviceGetFBCSessions, device, none, static_cast<nvmlFBCSessionInfo_t*>(nullptr)));
  say(CALL(nvmlSystemGetProcessName, 1U, static_cast<char*>(nullptr), 10U));
}

}  // namespace

int main() {
  library = dlopen("libnvidia-ml.so.1", RTLD_NOW);
  if (library == nullptr) {
    std::cerr << "nvml_ask: " << dlerror() << '\n';
    return 1;
  }
  if (const nvmlReturn_t result = CALL(nvmlInit_v2); result != NVML_SUCCESS) return result;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string verb;
    words >> verb;
    answer.str("");
    if (verb == "null") {
      PassNull();
    } else if (!FindDevices(verb, words) && !LookAtMemory(verb) && !LookAtProcesses(verb, words) &&
               !LookAtErrors(verb, words)) {
      answer << "unknown";
    }
    std::cout << answer.str() << std::endl;
  }
}
