// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the environment of a tenant's program: lines are its entries. What must hold: no
// read outside, no hang, no overflow; a size is within its range and reads the same when written
// out; what becomes of a list of devices or folders fits its room and is made of whole names.

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "preload/environment.h"
#include "preload/visible_devices.h"

namespace {

using hami::preload::FindEnvironment;
using hami::preload::FindIndexedEnvironment;
using hami::preload::ListedPath;

constexpr const char* kUuids[] = {"GPU-0", "GPU-11", "MIG-222"};

// A variable is what stands behind the name of the first entry that has it.
void CheckFinding(const std::vector<std::string>& entries) {
  for (const char* name : {"CUDA_DEVICE_MEMORY_LIMIT", "CUDA_VISIBLE_DEVICES"}) {
    const char* const found = FindEnvironment(name);
    const std::string prefix = std::string(name) + "=";
    for (const std::string& entry : entries) {
      if (!std::string_view(entry.c_str()).starts_with(prefix)) continue;
      if (found == nullptr || found != entry.c_str() + prefix.size()) abort();
      return;
    }
    if (found != nullptr) abort();
  }
}

void CheckNumbers(const char* text) {
  uint64_t bytes = 0;
  if (hami::preload::ParseMemorySize(text, &bytes)) {
    if (bytes == 0 || bytes > uint64_t{1} << 48) abort();
    uint64_t again = 0;
    if (!hami::preload::ParseMemorySize(std::to_string(bytes).c_str(), &again)) abort();
    if (again != bytes) abort();
  }
  uint64_t number = 0;
  if (hami::preload::ParseWholeNumber(text, &number)) {
    uint64_t again = 0;
    if (!hami::preload::ParseWholeNumber(std::to_string(number).c_str(), &again)) abort();
    if (again != number) abort();
  }
}

bool IsUuid(std::string_view text) {
  for (const char* uuid : kUuids) {
    if (text == uuid) return true;
  }
  return false;
}

void CheckVisible(const char* list) {
  for (int index = 0; index < 4; ++index) {
    const int number = hami::preload::VisibleNumber(list, index);
    if (number < 0 || number > hami::preload::kMostVisibleNumber) abort();
  }
  char out[40];
  memset(out, 'x', sizeof(out));
  const auto uuid_of = [](const void*, int number) {
    return number >= 0 && number < 3 ? kUuids[number] : nullptr;
  };
  if (!hami::preload::TranslateVisibleDevices(list, uuid_of, nullptr, out, sizeof(out))) return;
  if (strnlen(out, sizeof(out)) == sizeof(out)) abort();
  std::string_view rest = out;
  while (!rest.empty()) {
    const size_t comma = rest.find(',');
    if (!IsUuid(rest.substr(0, comma))) abort();
    rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
  }
}

void CheckPaths(const char* list) {
  char path[32];
  size_t taken = 0;
  const size_t length = strlen(list);
  for (;;) {
    memset(path, 'x', sizeof(path));
    const ListedPath found = hami::preload::TakeListedPath(&list, path, sizeof(path));
    if (found == ListedPath::kEnd) break;
    if (++taken > length) abort();
    if (found != ListedPath::kTaken) continue;
    const size_t path_length = strnlen(path, sizeof(path));
    if (path_length == 0 || path_length == sizeof(path)) abort();
    if (memchr(path, ':', path_length) != nullptr) abort();
  }
  if (*list != 0) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  std::vector<std::string> entries;
  std::string_view rest(reinterpret_cast<const char*>(data), bytes);
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    entries.emplace_back(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  std::vector<char*> table;
  for (std::string& entry : entries) table.push_back(entry.data());
  table.push_back(nullptr);
  char** const own = environ;
  environ = table.data();
  CheckFinding(entries);
  for (int index = 0; index < 16; ++index) {
    const char* text = FindIndexedEnvironment("CUDA_DEVICE_MEMORY_LIMIT", index);
    if (text != nullptr) CheckNumbers(text);
    text = FindIndexedEnvironment("CUDA_DEVICE_SM_LIMIT", index);
    if (text != nullptr) CheckNumbers(text);
  }
  if (const char* list = FindEnvironment("CUDA_VISIBLE_DEVICES")) CheckVisible(list);
  if (const char* list = FindEnvironment("HAMI_SHARES")) CheckPaths(list);
  environ = own;
  return 0;
}
