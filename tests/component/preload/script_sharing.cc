// SPDX-License-Identifier: Apache-2.0

#include <cstdio>
#include <cstring>
#include <iostream>
#include <map>

#include "tests/component/preload/script.h"

namespace {

using GetHandle = CUresult(CUipcMemHandle*, CUdeviceptr);
using OpenHandle = CUresult(CUdeviceptr*, CUipcMemHandle, unsigned);
using CloseHandle = CUresult(CUdeviceptr);

std::map<std::string, CUdeviceptr> opened;

std::string InHex(const CUipcMemHandle& handle) {
  std::string text;
  char digits[3];
  for (const char byte : handle.reserved) {
    std::snprintf(digits, sizeof(digits), "%02x", static_cast<unsigned char>(byte));
    text += digits;
  }
  return text;
}

CUipcMemHandle FromHex(const std::string& text) {
  CUipcMemHandle handle = {};
  for (size_t i = 0; i + 1 < text.size() && i / 2 < sizeof(handle.reserved); i += 2) {
    handle.reserved[i / 2] = static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
  }
  return handle;
}

}  // namespace

bool DoSharing(const std::string& verb, std::istringstream& words) {
  std::string name;
  std::string hex;
  unsigned long long address = 0;
  if (verb == "share") {
    words >> address;
    CUipcMemHandle handle = {};
    const CUresult result =
        reinterpret_cast<GetHandle*>(Look("cuIpcGetMemHandle"))(&handle, address);
    if (result != CUDA_SUCCESS) {
      Answer(result);
    } else {
      std::cout << InHex(handle) << std::endl;
    }
  } else if (verb == "open") {
    words >> name >> hex;
    Answer(reinterpret_cast<OpenHandle*>(Look("cuIpcOpenMemHandle_v2"))(&opened[name], FromHex(hex),
                                                                        1));
  } else if (verb == "close") {
    words >> name;
    Answer(reinterpret_cast<CloseHandle*>(Look("cuIpcCloseMemHandle"))(opened.at(name)));
  } else {
    return false;
  }
  return true;
}
