// SPDX-License-Identifier: Apache-2.0
//
// Checks, the driver's functions, a kernel of known length, neighbours.

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "tests/conformance/cases.h"

namespace hami::conformance {
namespace {

[[noreturn]] void End(const std::string& reason, int code) {
  std::fprintf(stdout, "%s\n", reason.c_str());
  std::fflush(stdout);
  _exit(code);
}

}  // namespace

const char kPtx[] = R"(
.version 6.0
.target sm_50
.address_size 64

.visible .entry hami_spin(
    .param .u64 counts
)
{
    .reg .pred  %more;
    .reg .u64   %left;

    ld.param.u64    %left, [counts];
again:
    sub.u64         %left, %left, 1;
    setp.gt.s64     %more, %left, 0;
    @%more bra      again;
    ret;
}
)";

std::vector<Case>& Cases() {
  static std::vector<Case> cases;
  return cases;
}

void Fail(const std::string& reason) { End(reason, 1); }
void Skip(const std::string& reason) { End(reason, 77); }

void* Symbol(const char* name) {
  static void* const library = dlopen("libcuda.so.1", RTLD_NOW);
  if (library == nullptr) Fail("no libcuda.so.1");
  void* symbol = dlsym(library, name);
  if (symbol == nullptr) Skip(std::string("this driver has no ") + name);
  return symbol;
}

std::string NameOf(CUresult result) {
  const char* name = nullptr;
  const CUresult found = Cu("cuGetErrorName", result, &name);
  return found == CUDA_SUCCESS && name != nullptr ? name : std::to_string(result);
}

void ExpectResult(CUresult got, CUresult wanted, const char* what, int line) {
  if (got == wanted) return;
  Fail("line " + std::to_string(line) + ": " + what + " gave " + NameOf(got) + ", wanted " +
       NameOf(wanted));
}

void ExpectTrue(bool value, const char* what, int line) {
  if (!value) Fail("line " + std::to_string(line) + ": not so: " + what);
}

CUcontext Start() {
  CUcontext context = nullptr;
  const CUresult result = Cu("cuInit", 0U);
  if (result == CUDA_ERROR_NO_DEVICE) Skip("no device");
  ExpectResult(result, CUDA_SUCCESS, "cuInit", __LINE__);
  OK("cuDevicePrimaryCtxRetain", &context, CUdevice{0});
  OK("cuCtxSetCurrent", context);
  return context;
}

size_t FreeBytes() {
  size_t free = 0;
  size_t total = 0;
  OK("cuMemGetInfo_v2", &free, &total);
  return free;
}

int Attribute(int attribute) {
  int value = 0;
  OK("cuDeviceGetAttribute", &value, attribute, CUdevice{0});
  return value;
}

CUstream NewStream(unsigned flags) {
  CUstream stream = nullptr;
  OK("cuStreamCreate", &stream, flags);
  return stream;
}

CUevent NewEvent() {
  CUevent event = nullptr;
  OK("cuEventCreate", &event, 0U);
  return event;
}

float Milliseconds(CUevent start, CUevent end) {
  float value = 0;
  OK("cuEventElapsedTime", &value, start, end);
  return value;
}

Spinner::Spinner() {
  CUmodule module = nullptr;
  OK("cuModuleLoadData", &module, static_cast<const void*>(kPtx));
  OK("cuModuleGetFunction", &function_, module, "hami_spin");
  CUevent start = NewEvent();
  CUevent end = NewEvent();
  float shortest = 0;
  // The shortest of some: others may use the device or this processor, and clocks rise first.
  for (int i = 0; i < 20; ++i) {
    OK("cuEventRecord", start, CUstream{nullptr});
    LaunchCounts(nullptr, 2'000'000);
    OK("cuEventRecord", end, CUstream{nullptr});
    OK("cuEventSynchronize", end);
    const float now = Milliseconds(start, end);
    if (i == 0 || now < shortest) shortest = now;
  }
  CHECK(shortest > 0);
  counts_per_ms_ = 2'000'000 / static_cast<double>(shortest);
}

void Spinner::Launch(CUstream stream, double milliseconds) const {
  LaunchCounts(stream, static_cast<unsigned long long>(milliseconds * counts_per_ms_));
}

void Spinner::LaunchCounts(CUstream stream, unsigned long long counts) const {
  void* parameters[] = {&counts};
  OK("cuLaunchKernel", function_, 1U, 1U, 1U, 32U, 1U, 1U, 0U, stream,
     static_cast<void**>(parameters), static_cast<void**>(nullptr));
}

Neighbour::Neighbour(const char* role) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) Fail("pipe2");
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(ends[1], STDOUT_FILENO);
    execl("/proc/self/exe", "conformance", "--role", role, nullptr);
    _exit(127);
  }
  close(ends[1]);
  char byte = 0;
  const bool ready = read(ends[0], &byte, 1) == 1 && byte == 'r';
  close(ends[0]);
  if (!ready) Fail("the neighbour did not get ready");
}

void Neighbour::Kill() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

int RunRole(const std::string& role) {
  Start();
  if (role == "hold") {
    CUdeviceptr memory = 0;
    OK("cuMemAlloc_v2", &memory, 256 * kMib);
    if (write(STDOUT_FILENO, "r", 1) != 1) return 1;
    while (true) pause();
  }
  const Spinner spinner;
  spinner.Launch(nullptr, 20);
  if (write(STDOUT_FILENO, "r", 1) != 1) return 1;
  while (true) {
    for (int i = 0; i < 4; ++i) spinner.Launch(nullptr, 20);
    OK("cuCtxSynchronize");
  }
}

}  // namespace hami::conformance
