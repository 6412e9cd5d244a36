// SPDX-License-Identifier: Apache-2.0
//
// tenant: an application for demos, benchmarks and tests. It does what its arguments say, in order,
// and prints one line per action (kUsage). `prepare` does early, while nobody else uses the GPU,
// what spin and graph otherwise do first.
//
// Exit code 1 with a message if something other than an allocation fails.

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "base/version.h"
#include "tests/tenant/driver.h"
#include "tests/tenant/spin.h"

namespace hami::tenant {
namespace {

using Clock = std::chrono::steady_clock;

constexpr char kUsage[] =
    "usage: tenant ACTION...\n"
    "  info                 free and total memory as this program sees them\n"
    "  alloc SIZE           allocate (10Gi, 512Mi, bytes) and keep\n"
    "  free                 free the last allocation\n"
    "  prepare              measure how long a kernel takes\n"
    "  spin US SECONDS      kernels of US microseconds back to back for SECONDS\n"
    "  graph US N SECONDS   the same with graphs of N kernels\n"
    "  streams N            what follows uses N streams in turn\n"
    "  blocks N             what follows launches N blocks of threads\n"
    "  say TEXT             print it\n"
    "  wait                 for a line, or the end, on standard input\n"
    "  --version, --help    only that\n";

[[noreturn]] void Usage(const std::string& problem) {
  std::cerr << "tenant: " << problem << '\n' << kUsage;
  std::exit(2);
}

size_t ParseSize(const std::string& text) {
  size_t used = 0;
  const unsigned long long number = std::stoull(text, &used);
  const std::string unit = text.substr(used);
  if (unit.empty()) return number;
  if (unit == "Ki") return number << 10;
  if (unit == "Mi") return number << 20;
  if (unit == "Gi") return number << 30;
  Usage("size " + text);
}

class Tenant {
 public:
  Tenant() : driver_(Driver::Open()) {
    driver_.Must(driver_.init(0), "cuInit");
    CUdevice device = 0;
    driver_.Must(driver_.device_get(&device, 0), "cuDeviceGet");
    CUcontext context = nullptr;
    driver_.Must(driver_.retain(&context, device), "cuDevicePrimaryCtxRetain");
    driver_.Must(driver_.set_current(context), "cuCtxSetCurrent");
    streams_.push_back(nullptr);
  }

  void Info() {
    size_t free_bytes = 0;
    size_t total_bytes = 0;
    char name[96] = {};
    driver_.Must(driver_.mem_info(&free_bytes, &total_bytes), "cuMemGetInfo");
    driver_.Must(driver_.device_name(name, sizeof(name), 0), "cuDeviceGetName");
    std::cout << "info free_mib=" << (free_bytes >> 20) << " total_mib=" << (total_bytes >> 20)
              << " name=" << name << std::endl;
  }

  void Alloc(const std::string& size) {
    CUdeviceptr pointer = 0;
    const CUresult result = driver_.alloc(&pointer, ParseSize(size));
    if (result == CUDA_SUCCESS) allocations_.push_back(pointer);
    std::cout << "alloc " << size << ' ' << driver_.NameOf(result) << std::endl;
  }

  void Free() {
    if (allocations_.empty()) Usage("nothing to free");
    std::cout << "free " << driver_.NameOf(driver_.free(allocations_.back())) << std::endl;
    allocations_.pop_back();
  }

  void UseStreams(int count) {
    streams_.clear();
    constexpr unsigned kNonBlocking = 1;
    for (int i = 0; i < count; ++i) {
      CUstream stream = nullptr;
      driver_.Must(driver_.stream_create(&stream, kNonBlocking), "cuStreamCreate");
      streams_.push_back(stream);
    }
    std::cout << "streams " << count << std::endl;
  }

  void Prepare() {
    if (!spin_) spin_.emplace(driver_);
  }

  void UseBlocks(unsigned blocks) {
    Prepare();
    spin_->UseBlocks(blocks);
  }

  void RunSpin(double us, double seconds) {
    Prepare();
    const auto gpu_ns = static_cast<uint64_t>(us * 1000);
    Report("spin", us,
           Repeat(seconds, us, [&](CUstream stream) { return spin_->Launch(stream, gpu_ns); }));
  }

  void RunGraph(double us, int kernels, double seconds) {
    Prepare();
    constexpr unsigned kNonBlocking = 1;
    CUstream stream = nullptr;
    driver_.Must(driver_.stream_create(&stream, kNonBlocking), "cuStreamCreate");
    driver_.Must(driver_.begin_capture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL), "begin capture");
    for (int i = 0; i < kernels; ++i) {
      driver_.Must(spin_->Launch(stream, static_cast<uint64_t>(us * 1000)), "captured launch");
    }
    CUgraph graph = nullptr;
    CUgraphExec exec = nullptr;
    driver_.Must(driver_.end_capture(stream, &graph), "end capture");
    driver_.Must(driver_.graph_instantiate(&exec, graph, 0), "cuGraphInstantiate");
    driver_.Must(driver_.graph_destroy(graph), "cuGraphDestroy");
    Report("graph", us * kernels, Repeat(seconds, us * kernels, [&](CUstream on) {
             return driver_.graph_launch(exec, on);
           }));
  }

 private:
  struct Work {
    uint64_t launches = 0;
    double seconds = 0;  // from the first launch to the end of the last
  };

  // Launches over the streams in turn until the time is up, then waits for the GPU. At most about
  // 50 ms of work is kept in flight, as a program that looks at results would.
  template <typename Launch>
  Work Repeat(double seconds, double us_each, const Launch& launch) {
    const auto in_flight = static_cast<uint64_t>(50'000.0 / us_each) + 2;
    const Clock::time_point begin = Clock::now();
    const Clock::time_point end =
        begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    std::vector<CUevent> marks(2);
    for (CUevent& mark : marks) driver_.Must(driver_.event_create(&mark, 2), "cuEventCreate");
    uint64_t launches = 0;
    for (uint64_t round = 0; Clock::now() < end; ++round) {
      const CUevent mark = marks[round % marks.size()];
      if (round >= marks.size()) driver_.Must(driver_.event_synchronize(mark), "wait for event");
      for (uint64_t i = 0; i < in_flight / 2 + 1 && Clock::now() < end; ++i, ++launches) {
        driver_.Must(launch(streams_[launches % streams_.size()]), "launch");
      }
      driver_.Must(
          driver_.event_record(mark, streams_[(launches + streams_.size() - 1) % streams_.size()]),
          "cuEventRecord");
    }
    driver_.Must(driver_.synchronize(), "cuCtxSynchronize");
    return {launches, std::chrono::duration<double>(Clock::now() - begin).count()};
  }

  // busy_pct: the part of the time that the kernels would take on a GPU of their own.
  void Report(const char* what, double us, const Work& work) {
    const double busy_pct = static_cast<double>(work.launches) * us / (work.seconds * 1e6) * 100;
    std::cout << what << " us=" << us << " launches=" << work.launches
              << " seconds=" << work.seconds << " busy_pct=" << busy_pct << std::endl;
  }

  Driver driver_;
  std::optional<Spin> spin_;
  std::vector<CUstream> streams_;
  std::vector<CUdeviceptr> allocations_;
};

class Arguments {
 public:
  Arguments(int argc, char** argv) : words_(argv + 1, argv + argc) {}
  bool empty() const { return at_ == words_.size(); }
  const std::string& first() const { return words_.front(); }
  std::string Next() {
    if (empty()) Usage("an argument is missing");
    return words_[at_++];
  }

 private:
  std::vector<std::string> words_;
  size_t at_ = 0;
};

void Run(Arguments arguments) {
  if (arguments.empty()) Usage("nothing to do");
  if (arguments.first() == "--version") {
    std::cout << base::VersionLine("tenant") << '\n';
    return;
  }
  if (arguments.first() == "--help") {
    std::cout << kUsage;
    return;
  }
  Tenant tenant;
  while (!arguments.empty()) {
    const std::string action = arguments.Next();
    if (action == "info") {
      tenant.Info();
    } else if (action == "alloc") {
      tenant.Alloc(arguments.Next());
    } else if (action == "free") {
      tenant.Free();
    } else if (action == "prepare") {
      tenant.Prepare();
    } else if (action == "spin") {
      const double us = std::stod(arguments.Next());
      tenant.RunSpin(us, std::stod(arguments.Next()));
    } else if (action == "graph") {
      const double us = std::stod(arguments.Next());
      const int kernels = std::stoi(arguments.Next());
      tenant.RunGraph(us, kernels, std::stod(arguments.Next()));
    } else if (action == "streams") {
      tenant.UseStreams(std::stoi(arguments.Next()));
    } else if (action == "blocks") {
      tenant.UseBlocks(static_cast<unsigned>(std::stoul(arguments.Next())));
    } else if (action == "say") {
      std::cout << arguments.Next() << std::endl;
    } else if (action == "wait") {
      std::string line;
      std::getline(std::cin, line);
    } else {
      Usage("unknown action " + action);
    }
  }
}

}  // namespace
}  // namespace hami::tenant

int main(int argc, char** argv) {
  try {
    hami::tenant::Run({argc, argv});
  } catch (const std::exception& error) {
    std::cerr << "tenant: " << error.what() << '\n';
    return 2;
  }
  return 0;
}
