// SPDX-License-Identifier: Apache-2.0
//
// What the cases of the conformance program stand on. A case is a function that runs in a process
// of its own, before cuInit; it ends with its process: by returning (ok), Skip or a failed check.
// Citations name the section of NVIDIA's "CUDA Driver API" manual, or the CUDA C++ Programming
// Guide, that has the rule. Times are only bounded from below or compared with each other.

#pragma once

#include <dlfcn.h>

#include <string>
#include <vector>

#include "api/cuda/types.h"

namespace hami::conformance {

struct Case {
  const char* name;
  const char* rule;  // where it stands
  void (*run)();
};
std::vector<Case>& Cases();

struct Registration {
  Registration(const char* name, const char* rule, void (*run)()) {
    Cases().push_back({name, rule, run});
  }
};

#define CASE(name, rule)                                         \
  void Case_##name();                                            \
  const Registration kRegister_##name(#name, rule, Case_##name); \
  void Case_##name()

[[noreturn]] void Fail(const std::string& reason);
[[noreturn]] void Skip(const std::string& reason);
std::string NameOf(CUresult result);
void* Symbol(const char* name);  // of libcuda.so.1; skips the case if it is missing

// Calls a function of the driver by its exported name. The arguments must have the exact types.
template <typename... Arguments>
CUresult Cu(const char* name, Arguments... arguments) {
  return reinterpret_cast<CUresult (*)(Arguments...)>(Symbol(name))(arguments...);
}

void ExpectResult(CUresult got, CUresult wanted, const char* what, int line);
void ExpectTrue(bool value, const char* what, int line);
#define OK(...) ExpectResult(Cu(__VA_ARGS__), CUDA_SUCCESS, #__VA_ARGS__, __LINE__)
#define GIVES(result, ...) ExpectResult(Cu(__VA_ARGS__), result, #__VA_ARGS__, __LINE__)
#define CHECK(condition) ExpectTrue(condition, #condition, __LINE__)

inline constexpr size_t kMib = size_t{1} << 20;

CUcontext Start();  // cuInit and the primary context of device 0, current
size_t FreeBytes();
int Attribute(int attribute);
CUstream NewStream(unsigned flags);
CUevent NewEvent();
float Milliseconds(CUevent start, CUevent end);

// A kernel that runs for about so long on one multiprocessor, alone.
class Spinner {
 public:
  Spinner();
  void Launch(CUstream stream, double milliseconds) const;
  CUfunction function() const { return function_; }

 private:
  void LaunchCounts(CUstream stream, unsigned long long counts) const;
  CUfunction function_ = nullptr;
  double counts_per_ms_ = 0;
};
extern const char kPtx[];

// This program again, in the role of a neighbour: it says "ready" on its output and goes on until
// it is killed. Roles: "hold" takes a context and 256 MiB, "spin" keeps the device busy.
class Neighbour {
 public:
  explicit Neighbour(const char* role);
  ~Neighbour() { Kill(); }
  Neighbour(const Neighbour&) = delete;
  Neighbour& operator=(const Neighbour&) = delete;
  void Kill();
  int pid() const { return pid_; }

 private:
  int pid_ = -1;
};
int RunRole(const std::string& role);

}  // namespace hami::conformance
