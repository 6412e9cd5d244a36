// SPDX-License-Identifier: Apache-2.0
//
// `hami smi`, and the same program mounted into tenants as `nvidia-smi`: what this process may see
// of its GPUs. Everything shown comes from the libnvidia-ml.so.1 that the process would load
// itself, so a slice shows as a slice. Called as `nvidia-smi` it prints what scripts expect; as
// `hami smi` it adds the enforcement rung and the limits of each GPU. In both it says when GPUs are
// simulated.
//
// Invariant: needs libc alone, at most GLIBC_2.17 (tools/check_abi_floor). Single-threaded.

#pragma once

namespace hami::smi {

// Exit codes of nvidia-smi's manual, as far as they occur here; others are NVML's result.
enum ExitCode : int {
  kExitOk = 0,
  kExitUsage = 2,
  kExitNotFound = 6,
  kExitNoDriver = 9,
  kExitUnknown = 255,
};

int SmiMain(int argc, char** argv);

}  // namespace hami::smi
