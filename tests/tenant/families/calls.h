// SPDX-License-Identifier: Apache-2.0
//
// What the programs of tests/tenant/families stand on: calls of the driver interface, each of which
// leaves a line "NAME RESULT" on standard output, and how much memory the program sees taken since
// Memory was called first. Two runs agree if their lines do. Nothing here knows of a library that
// may be preloaded or of a simulation.

#pragma once

#include <string>
#include <vector>

#include "api/cuda/types.h"

namespace hami::families {

inline constexpr size_t kMib = size_t{1} << 20;

// libcuda.so.1's function; ends the program with exit code 1 where there is none.
void* Symbol(const char* name);
void Say(const char* name, CUresult result);
void Say(const std::string& line);

// Calls a function by its exported name. The arguments must have the exact types.
template <typename... Arguments>
CUresult Quiet(const char* name, Arguments... arguments) {
  return reinterpret_cast<CUresult (*)(Arguments...)>(Symbol(name))(arguments...);
}
template <typename... Arguments>
CUresult Call(const char* name, Arguments... arguments) {
  const CUresult result = Quiet(name, arguments...);
  Say(name, result);
  return result;
}

// "memory WHAT: BYTES", what is taken more than at the first call.
void Memory(const char* what);
// With --hold: says "holding" and waits for a line on standard input, so that somebody can look.
void Hold();

// The kernels of kernels.cu, loaded from a file as a module or as a library.
class Kernels {
 public:
  // False: the driver does not take the image; the calls have said so.
  bool Load(const std::string& image, bool as_library);
  void Unload();
  // What is loaded lazily is there from now on.
  void Warm(CUstream stream) const;
  CUresult Fill(CUdeviceptr values, int count, CUstream stream) const;
  CUresult Add(CUdeviceptr from, CUdeviceptr to, int count, CUstream stream) const;
  CUfunction fill() const { return fill_; }

 private:
  std::vector<char> bytes_;
  CUmodule module_ = nullptr;
  CUlibrary library_ = nullptr;
  CUfunction fill_ = nullptr;
  CUfunction add_ = nullptr;
};

// cuInit and the primary context of device 0.
void Enter();
CUstream NewStream();

using Family = void (*)(const Kernels& kernels);
void Pools(const Kernels& kernels);
void Graphs(const Kernels& kernels);
void Streams(const Kernels& kernels);
void Vmm(const Kernels& kernels);
void Ipc(const Kernels& kernels);
// Before the driver is used: ipc's second process, a fork.
void ForkPeer(const std::string& image, bool as_library);

}  // namespace hami::families
