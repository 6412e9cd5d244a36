// SPDX-License-Identifier: Apache-2.0

#include "bench/cache/measured.h"

#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>

namespace hami::bench {
namespace {

int64_t StatusKib(const std::string& name) {
  std::ifstream file("/proc/self/status");
  std::string word;
  while (file >> word) {
    if (word != name + ":") continue;
    int64_t kib = 0;
    file >> kib;
    return kib;
  }
  return 0;
}

int64_t HeapBytes() {
  const struct mallinfo2 info = mallinfo2();
  return static_cast<int64_t>(info.uordblks + info.hblkhd);
}

double CpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

}  // namespace

Measured MeasureInChild(const std::function<void(const Done& done)>& work) {
  int result_pipe[2];
  if (pipe(result_pipe) != 0) std::abort();
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // What was resident before the fork is not ours.
    malloc_trim(0);
    std::ofstream("/proc/self/clear_refs") << 5;  // the peak begins anew
    const int64_t resident_kib = StatusKib("VmRSS");
    const int64_t heap_bytes = HeapBytes();
    const double cpu_seconds = CpuSeconds();
    const auto start = std::chrono::steady_clock::now();
    work([&] {
      Measured measured;
      const auto end = std::chrono::steady_clock::now();
      measured.seconds = std::chrono::duration<double>(end - start).count();
      measured.cpu_seconds = CpuSeconds() - cpu_seconds;
      measured.heap_bytes = HeapBytes() - heap_bytes;
      measured.resident_bytes = (StatusKib("VmRSS") - resident_kib) * 1024;
      measured.peak_bytes = (StatusKib("VmHWM") - resident_kib) * 1024;
      if (write(result_pipe[1], &measured, sizeof(measured)) != sizeof(measured)) _exit(1);
      _exit(0);
    });
    _exit(1);
  }
  Measured measured;
  if (child < 0 || read(result_pipe[0], &measured, sizeof(measured)) != sizeof(measured)) {
    std::abort();
  }
  close(result_pipe[0]);
  close(result_pipe[1]);
  waitpid(child, nullptr, 0);
  return measured;
}

}  // namespace hami::bench
