// SPDX-License-Identifier: Apache-2.0
//
// Modules and libraries: what an image has, and what that costs. No device code is executed; of a
// kernel there are its name, its parameters, what it uses, and how long it takes.

#pragma once

#include "simgpu/cuda/core.h"

namespace hami::simgpu::cuda {

struct KernelParam {
  uint32_t offset;
  uint32_t bytes;
};

struct Module;
struct Library;

// What the calls before CUDA 4 set on a function for its next launch (launch_old.cc).
struct OldLaunch {
  unsigned block[3];
  unsigned shared_bytes;
  size_t bytes;  // of the parameters
  char params[4096];
};

struct Function : Object {
  static constexpr Kind kKind = Kind::kFunction;
  Module* module;
  char* name;
  uint32_t param_count;
  uint32_t param_bytes;
  KernelParam* params;
  uint32_t registers;
  uint32_t shared_bytes;
  uint32_t max_threads;
  uint32_t dynamic_shared_limit;
  uint64_t own_ns;   // from its name or the profile; 0: derived from the grid
  int32_t ns_param;  // else the parameter that is the time; -1: none
  OldLaunch* old;    // what was set on it for cuLaunch; nullptr: nothing
};

struct Global {
  char* name;
  uint64_t address;
  uint64_t bytes;
};

struct Module : Object {
  static constexpr Kind kKind = Kind::kModule;
  uint64_t memory;  // address; 0: takes none
  uint32_t function_count;
  uint32_t function_capacity;
  Function** functions;
  uint32_t global_count;
  uint32_t global_capacity;
  Global* globals;
  Library* library;
};

// A kernel of a library: its function exists in each context in which it was asked for.
struct LibraryKernel : Object {
  static constexpr Kind kKind = Kind::kKernel;
  Library* library;
  char* name;
};

// Loaded into a context when something of it is first used there (lazy loading).
struct Library : Object {
  static constexpr Kind kKind = Kind::kLibrary;
  void* image;  // a copy, modules are made of it later
  uint32_t module_count;
  Module* modules[64];
  uint32_t kernel_count;
  LibraryKernel** kernels;
};

CUresult LoadModule(Context* context, const void* image, Module** module);
Function* FindFunction(Module* module, const char* name);
// The module of a library in a context, loaded now if it was not.
CUresult ModuleOfLibrary(Library* library, Context* context, Module** module);
// The function that a launch names: CUfunction, or CUkernel for the current context.
CUresult ResolveFunction(Context* context, CUfunction handle, Function** function);

// Time of a kernel by its name: `*_us_N` and `*_ns_N`, then the profile's rules.
void FindKernelTime(Function* function);

}  // namespace hami::simgpu::cuda
