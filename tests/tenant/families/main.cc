// SPDX-License-Identifier: Apache-2.0
//
// families: one family of the driver interface, with kernels that nvcc has made. Every call leaves
// a line, so that runs with a limit and without one, or on different drivers, can be compared.

#include <dlfcn.h>

#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>

#include "base/version.h"
#include "tests/tenant/families/calls.h"

namespace hami::families {
namespace {

constexpr char kUsage[] =
    "usage: families FAMILY IMAGE module|library [--hold]\n"
    "  FAMILY   pools, graphs, streams, vmm or ipc\n"
    "  IMAGE    a cubin, PTX or a fat binary of kernels.cu\n"
    "  --hold   wait for a line on standard input where most memory is taken\n"
    "  --version, --help    only that\n";

bool hold = false;

struct Named {
  const char* name;
  Family run;
};
constexpr Named kFamilies[] = {
    {"pools", Pools}, {"graphs", Graphs}, {"streams", Streams}, {"vmm", Vmm}, {"ipc", Ipc}};

size_t FreeBytes() {
  size_t free = 0;
  size_t total = 0;
  if (Quiet("cuMemGetInfo_v2", &free, &total) != CUDA_SUCCESS) Say("memory: not known");
  return free;
}

unsigned BlocksFor(int count) {
  return count == 0 ? 1 : (static_cast<unsigned>(count) + 255) / 256;
}

}  // namespace

void* Symbol(const char* name) {
  static void* const library = dlopen("libcuda.so.1", RTLD_NOW);
  void* symbol = library == nullptr ? nullptr : dlsym(library, name);
  if (symbol == nullptr) {
    std::cerr << "families: the driver has no " << name << '\n';
    std::exit(1);
  }
  return symbol;
}

void Say(const std::string& line) { std::cout << line << std::endl; }

void Say(const char* name, CUresult result) {
  const char* text = nullptr;
  const bool known = Quiet("cuGetErrorName", result, &text) == CUDA_SUCCESS && text != nullptr;
  Say(std::string(name) + ' ' + (known ? text : std::to_string(result)));
}

void Memory(const char* what) {
  static const size_t begin = FreeBytes();
  Say(std::string("memory ") + what + ": " +
      std::to_string(static_cast<long long>(begin) - static_cast<long long>(FreeBytes())));
}

void Hold() {
  if (!hold) return;
  Say("holding");
  std::string line;
  std::getline(std::cin, line);
}

void Enter() {
  CUcontext context = nullptr;
  Call("cuInit", 0U);
  Call("cuDevicePrimaryCtxRetain", &context, CUdevice{0});
  Call("cuCtxSetCurrent", context);
}

CUstream NewStream() {
  CUstream stream = nullptr;
  Call("cuStreamCreate", &stream, 1U);
  return stream;
}

bool Kernels::Load(const std::string& image, bool as_library) {
  std::ifstream file(image, std::ios::binary);
  bytes_.assign(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  if (bytes_.empty()) {
    std::cerr << "families: " << image << " cannot be read\n";
    std::exit(2);
  }
  bytes_.push_back('\0');  // PTX is text
  const void* code = bytes_.data();
  if (!as_library) {
    if (Call("cuModuleLoadData", &module_, code) != CUDA_SUCCESS) return false;
    return Call("cuModuleGetFunction", &fill_, module_, "Fill") == CUDA_SUCCESS &&
           Call("cuModuleGetFunction", &add_, module_, "Add") == CUDA_SUCCESS;
  }
  CUkernel fill = nullptr;
  CUkernel add = nullptr;
  if (Call("cuLibraryLoadData", &library_, code, static_cast<CUjit_option*>(nullptr),
           static_cast<void**>(nullptr), 0U, static_cast<CUlibraryOption*>(nullptr),
           static_cast<void**>(nullptr), 0U) != CUDA_SUCCESS ||
      Call("cuLibraryGetKernel", &fill, library_, "Fill") != CUDA_SUCCESS ||
      Call("cuLibraryGetKernel", &add, library_, "Add") != CUDA_SUCCESS) {
    return false;
  }
  // A driver may read PTX only now.
  return Call("cuKernelGetFunction", &fill_, fill) == CUDA_SUCCESS &&
         Call("cuKernelGetFunction", &add_, add) == CUDA_SUCCESS;
}

void Kernels::Unload() {
  if (module_ != nullptr) Call("cuModuleUnload", module_);
  if (library_ != nullptr) Call("cuLibraryUnload", library_);
}

void Kernels::Warm(CUstream stream) const {
  Fill(0, 0, stream);  // touches nothing
  Add(0, 0, 0, stream);
  Call("cuStreamSynchronize", stream);
  Memory("at the beginning");
}

CUresult Kernels::Fill(CUdeviceptr values, int count, CUstream stream) const {
  float value = 1;
  void* params[] = {&values, &value, &count};
  const auto blocks = BlocksFor(count);
  return Call("cuLaunchKernel", fill_, blocks, 1U, 1U, 256U, 1U, 1U, 0U, stream,
              static_cast<void**>(params), static_cast<void**>(nullptr));
}

CUresult Kernels::Add(CUdeviceptr from, CUdeviceptr to, int count, CUstream stream) const {
  void* params[] = {&from, &to, &count};
  const auto blocks = BlocksFor(count);
  return Call("cuLaunchKernel", add_, blocks, 1U, 1U, 256U, 1U, 1U, 0U, stream,
              static_cast<void**>(params), static_cast<void**>(nullptr));
}

int Main(int count, char** arguments) {
  const std::string first = count > 1 ? arguments[1] : "";
  if (first == "--version" || first == "--help") {
    std::cout << (first == "--help" ? kUsage : base::VersionLine("families") + "\n");
    return 0;
  }
  const std::string form = count > 3 ? arguments[3] : "";
  hold = count == 5 && std::strcmp(arguments[4], "--hold") == 0;
  if (count < 4 || count > 5 || (count == 5 && !hold) || (form != "module" && form != "library")) {
    std::cerr << kUsage;
    return 2;
  }
  for (const Named& family : kFamilies) {
    if (first != family.name) continue;
    if (family.run == Ipc) ForkPeer(arguments[2], form == "library");
    Enter();
    Kernels kernels;
    if (kernels.Load(arguments[2], form == "library")) {
      family.run(kernels);
      Call("cuCtxSynchronize");
      Memory("at the end");
    }
    kernels.Unload();
    Call("cuDevicePrimaryCtxRelease_v2", CUdevice{0});
    return 0;
  }
  std::cerr << kUsage;
  return 2;
}

}  // namespace hami::families

int main(int count, char** arguments) { return hami::families::Main(count, arguments); }
