// SPDX-License-Identifier: Apache-2.0
//
// ./dev bench core: what the library adds to the hot calls, over a driver that does nothing
// (tests/fakes/noop_cuda.cc). The program runs itself as a child, once natively and once per
// configuration under libvgpu.so; in each child every figure is the median of many short rounds.

#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "api/cuda/functions.h"
#include "bench/report.h"

namespace {

using Clock = std::chrono::steady_clock;
using Figures = std::map<std::string, double>;

constexpr int kRounds = 41;

// ---- the child: measures one configuration -----------------------------------------------------

struct Driver {
  decltype(&cuInit) init;
  decltype(&cuDevicePrimaryCtxRetain) retain;
  decltype(&cuMemAlloc_v2) alloc;
  decltype(&cuMemFree_v2) free;
  decltype(&cuLaunchKernel) launch;
  decltype(&cuGraphLaunch) graph_launch;
  decltype(&cuMemGetInfo_v2) get_info;
  decltype(&cuMemAllocAsync) alloc_async;
  decltype(&cuMemFreeAsync) free_async;
  void* handle;
};

template <typename Function>
void Find(void* handle, const char* name, Function* function) {
  *function = reinterpret_cast<Function>(dlsym(handle, name));
  if (*function == nullptr) {
    std::cerr << name << ": not found\n";
    std::exit(1);
  }
}

Driver OpenDriver() {
  void* handle = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    std::cerr << dlerror() << '\n';
    std::exit(1);
  }
  Driver driver = {};
  Find(handle, "cuInit", &driver.init);
  Find(handle, "cuDevicePrimaryCtxRetain", &driver.retain);
  Find(handle, "cuMemAlloc_v2", &driver.alloc);
  Find(handle, "cuMemFree_v2", &driver.free);
  Find(handle, "cuLaunchKernel", &driver.launch);
  Find(handle, "cuGraphLaunch", &driver.graph_launch);
  Find(handle, "cuMemGetInfo_v2", &driver.get_info);
  Find(handle, "cuMemAllocAsync", &driver.alloc_async);
  Find(handle, "cuMemFreeAsync", &driver.free_async);
  driver.handle = handle;
  CUcontext context = nullptr;
  if (driver.init(0) != CUDA_SUCCESS || driver.retain(&context, 0) != CUDA_SUCCESS) {
    std::cerr << "the driver does not start\n";
    std::exit(1);
  }
  return driver;
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<long>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

// Nanoseconds per call of `call`, which makes `calls` of them.
double Measure(int calls, const std::function<void()>& call) {
  std::vector<double> rounds;
  call();
  for (int round = 0; round < kRounds; ++round) {
    const Clock::time_point begin = Clock::now();
    call();
    const std::chrono::duration<double, std::nano> took = Clock::now() - begin;
    rounds.push_back(took.count() / calls);
  }
  return Median(std::move(rounds));
}

double MeasureLaunch(const Driver& driver) {
  constexpr int kCalls = 100000;
  auto function = reinterpret_cast<CUfunction>(0x3000);
  return Measure(kCalls, [&] {
    for (int i = 0; i < kCalls; ++i) {
      driver.launch(function, 64, 1, 1, 256, 1, 1, 0, nullptr, nullptr, nullptr);
    }
  });
}

double MeasureGraphLaunch(const Driver& driver) {
  constexpr int kCalls = 100000;
  auto exec = reinterpret_cast<CUgraphExec>(0x4000);
  return Measure(kCalls, [&] {
    for (int i = 0; i < kCalls; ++i) driver.graph_launch(exec, nullptr);
  });
}

// All threads launch at the same time; wall time per launch and thread.
double MeasureLaunchThreads(const Driver& driver, unsigned threads) {
  std::vector<double> per_thread(threads);
  std::vector<std::thread> team;
  for (unsigned t = 0; t < threads; ++t) {
    team.emplace_back([&, t] { per_thread[t] = MeasureLaunch(driver); });
  }
  for (std::thread& thread : team) thread.join();
  return *std::max_element(per_thread.begin(), per_thread.end());
}

// One free and one allocation, all of `live` in turn, in an order that has nothing to do with their
// addresses. The order is that of this program's own array: at random places in it, this program
// would wait for its own memory, which it does not overlap with anything under a library that uses
// atomic instructions, and the row would count that as the library's.
double MeasureAllocFree(const Driver& driver, int live, size_t bytes) {
  std::vector<CUdeviceptr> pointers(static_cast<size_t>(live));
  for (CUdeviceptr& pointer : pointers) driver.alloc(&pointer, bytes);
  std::minstd_rand random(1);
  std::shuffle(pointers.begin(), pointers.end(), random);
  constexpr int kCalls = 20000;
  size_t at = 0;
  const double ns = Measure(kCalls, [&] {
    for (int i = 0; i < kCalls; ++i) {
      driver.free(pointers[at]);
      driver.alloc(&pointers[at], bytes);
      at = at + 1 == pointers.size() ? 0 : at + 1;
    }
  });
  for (const CUdeviceptr pointer : pointers) driver.free(pointer);
  return ns;
}

double MeasureAsync(const Driver& driver) {
  constexpr int kCalls = 20000;
  constexpr size_t kBytes = size_t{4} << 20;
  return Measure(kCalls, [&] {
    for (int i = 0; i < kCalls; ++i) {
      CUdeviceptr pointer = 0;
      driver.alloc_async(&pointer, kBytes, nullptr);
      driver.free_async(pointer, nullptr);
    }
  });
}

double MeasureLookUp(void* handle, const char* name) {
  constexpr int kCalls = 2000;
  return Measure(kCalls, [&] {
    for (int i = 0; i < kCalls; ++i) {
      if (dlsym(handle, name) == nullptr) std::abort();
    }
  });
}

int RunChild() {
  const Driver driver = OpenDriver();
  Figures figures;
  figures["launch"] = MeasureLaunch(driver);
  figures["graph launch"] = MeasureGraphLaunch(driver);
  figures["launch, all cores"] = MeasureLaunchThreads(driver, std::thread::hardware_concurrency());
  for (const int live : {1, 1000, 100000}) {
    figures[fmt::format("alloc+free 4 MiB, {} live", live)] =
        MeasureAllocFree(driver, live, size_t{4} << 20);
    figures[fmt::format("alloc+free 4 KiB, {} live", live)] =
        MeasureAllocFree(driver, live, size_t{4} << 10);
  }
  figures["stream-ordered alloc+free 4 MiB"] = MeasureAsync(driver);
  figures["dlsym, a driver function"] = MeasureLookUp(driver.handle, "cuMemAlloc_v2");
  figures["dlsym, another function"] = MeasureLookUp(RTLD_DEFAULT, "printf");
  constexpr int kCalls = 2000;
  figures["cuMemGetInfo"] = Measure(kCalls, [&] {
    size_t free_bytes = 0;
    size_t total_bytes = 0;
    for (int i = 0; i < kCalls; ++i) driver.get_info(&free_bytes, &total_bytes);
  });
  for (const auto& [name, value] : figures) fmt::print("{}\t{}\n", value, name);
  return 0;
}

// ---- the parent -------------------------------------------------------------------------------

struct Paths {
  std::string self;
  std::string noop;     // folder of the no-op libcuda.so.1
  std::string preload;  // libvgpu.so
};

Paths FindPaths() {
  const std::filesystem::path self = std::filesystem::canonical("/proc/self/exe");
  const std::filesystem::path lib = self.parent_path().parent_path().parent_path() / "lib";
  return {self.string(), (lib / "noop").string(), (lib / "libvgpu.so").string()};
}

// A share directory with these limits on the no-op device.
std::string MakeShare(const std::filesystem::path& root, const std::string& name, int cores_pct) {
  const std::filesystem::path share = root / name;
  std::filesystem::create_directories(share);
  std::ofstream(share / "limits") << "hami-limits 1\ngeneration 1\n"
                                  << "device GPU-00010203-0405-0607-0809-0a0b0c0d0e0f\n"
                                  << "memory " << (uint64_t{1} << 44) << "\ncores " << cores_pct
                                  << "\ncontext 1048576\nend\n";
  return share.string();
}

Figures RunConfiguration(const Paths& paths, const std::string& share) {
  int out[2];
  if (pipe(out) != 0) std::abort();
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(out[1], STDOUT_FILENO);
    close(out[0]);
    setenv("LD_LIBRARY_PATH", paths.noop.c_str(), 1);
    if (!share.empty()) {
      setenv("LD_PRELOAD", paths.preload.c_str(), 1);
      setenv("HAMI_SHARES", share.c_str(), 1);
    }
    execl(paths.self.c_str(), paths.self.c_str(), "--child", nullptr);
    _exit(127);
  }
  close(out[1]);
  std::string text;
  char buffer[4096];
  ssize_t got;
  while ((got = read(out[0], buffer, sizeof(buffer))) > 0) {
    text.append(buffer, static_cast<size_t>(got));
  }
  close(out[0]);
  int status = 0;
  waitpid(pid, &status, 0);
  if (status != 0) {
    std::cerr << "a measuring child failed, status " << status << '\n';
    std::exit(1);
  }
  Figures figures;
  std::istringstream lines(text);
  std::string line;
  while (std::getline(lines, line)) {
    const size_t tab = line.find('\t');
    figures[line.substr(tab + 1)] = std::stod(line.substr(0, tab));
  }
  return figures;
}

struct Goal {
  const char* figure;
  double target_ns;
  const char* peer;
};

void AddRows(hami::bench::Report& report, const std::string& prefix, const Figures& native,
             const Figures& ours, const std::vector<Goal>& goals) {
  for (const Goal& goal : goals) {
    hami::bench::Row row;
    row.name = prefix + goal.figure;
    row.unit = "ns";
    row.baseline = native.at(goal.figure);
    row.value = ours.at(goal.figure) - native.at(goal.figure);
    if (goal.target_ns > 0) row.target = goal.target_ns;
    row.peer = goal.peer;
    report.Add(row);
  }
}

}  // namespace

constexpr char kUsage[] =
    "usage: core [--json FILE]\n"
    "\n"
    "What libvgpu.so adds to driver calls, over a driver that does nothing.\n";

int main(int argc, char** argv) {
  std::string json_path;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--child") return RunChild();
    if (hami::bench::AnswersCommon(argument, "core", kUsage)) return 0;
    if (argument == "--json" && i + 1 < argc) {
      json_path = argv[++i];
    } else {
      std::cerr << kUsage;
      return 2;
    }
  }
  const Paths paths = FindPaths();
  char directory[] = "/tmp/hami-bench-core-XXXXXX";
  if (mkdtemp(directory) == nullptr) {
    std::cerr << "core: cannot make " << directory << '\n';
    return 1;
  }
  const std::string unlimited = MakeShare(directory, "memory-only", 0);
  const std::string limited = MakeShare(directory, "cores-99", 99);
  std::cerr << "measuring: native, memory limit only, memory and compute limit\n";
  const Figures native = RunConfiguration(paths, "");
  const Figures memory = RunConfiguration(paths, unlimited);
  const Figures cores = RunConfiguration(paths, limited);
  std::filesystem::remove_all(directory);

  hami::bench::Report report(
      "Nanoseconds that the library adds to a call of a driver that does nothing",
      hami::bench::MachineConditions() + ", no-op driver, medians");
  AddRows(report, "no core limit: ", native, memory,
          {{"launch", 10, "HAMi-core 27"},
           {"graph launch", 10, ""},
           {"launch, all cores", 20, ""},
           {"alloc+free 4 MiB, 1 live", 150, "HAMi-core 624"},
           {"alloc+free 4 MiB, 1000 live", 150, "HAMi-core 3000"},
           {"alloc+free 4 MiB, 100000 live", 150, "HAMi-core 500000"},
           {"alloc+free 4 KiB, 1 live", 150, ""},
           {"alloc+free 4 KiB, 1000 live", 150, ""},
           {"alloc+free 4 KiB, 100000 live", 150, ""},
           {"stream-ordered alloc+free 4 MiB", 0, ""},
           {"cuMemGetInfo", 0, "HAMi-core 570"},
           {"dlsym, a driver function", 0, ""},
           {"dlsym, another function", 0, ""}});
  AddRows(report, "core limit: ", native, cores,
          {{"launch", 25, "HAMi-core 35"},
           {"graph launch", 25, "HAMi-core: not limited"},
           {"launch, all cores", 50, "HAMi-core 152 (2 threads)"}});
  return report.Finish(json_path) ? 0 : 1;
}
