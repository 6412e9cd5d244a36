// SPDX-License-Identifier: Apache-2.0
//
// The NVML library of this machine, found at run time. A function that the library lacks is called
// like one that the device lacks: Call returns NVML_ERROR_FUNCTION_NOT_FOUND.

#pragma once

#include "api/nvml/functions.h"

namespace hami::smi {

struct NvmlCalls {
#define HAMI_SMI_CALL(name) decltype(&::name) name;
#include "smi/calls.def"
#undef HAMI_SMI_CALL
};

class Nvml {
 public:
  // Loads and initialises. On failure prints to stderr what to do and returns the exit code.
  [[nodiscard]] int Open();
  void Close();

  const NvmlCalls& calls() const { return calls_; }
  const char* ErrorText(nvmlReturn_t result) const;
  // What a simulated library says of itself (api/nvml/simulation.h), or nullptr.
  const char* simulation() const { return simulation_; }

 private:
  NvmlCalls calls_ = {};
  const char* simulation_ = nullptr;
};

// Calls a function that may be absent: Call(calls.nvmlDeviceGetName, device, name, size).
template <typename... Parameters, typename... Arguments>
nvmlReturn_t Call(nvmlReturn_t (*function)(Parameters...), Arguments... arguments) {
  return function == nullptr ? NVML_ERROR_FUNCTION_NOT_FOUND : function(arguments...);
}

}  // namespace hami::smi
