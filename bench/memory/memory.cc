// SPDX-License-Identifier: Apache-2.0
//
// Whether a memory limit holds, by the driver's own sum: 64 processes of one slice that race for
// memory by every family of calls, alone and in a storm of SIGKILLs, and what is left charged when
// all of them are dead.

#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "bench/memory/racer.h"
#include "bench/report.h"
#include "bench/simulation/simulation.h"

namespace hami::bench {
namespace {

constexpr char kUsage[] =
    "usage: memory [--json FILE] [--seconds N]\n"
    "Bytes beyond the limit of a slice, and bytes leaked, after N seconds (10) of racing\n"
    "processes, with and without SIGKILLs; simulated.\n";
constexpr int kRacers = 64;
constexpr int kKillPauseMs = 5;  // between one death with its replacement and the next
constexpr uint64_t kMib = uint64_t{1} << 20;
constexpr uint64_t kLimitMib = 48 << 10;
constexpr uint64_t kContextMib = 520;  // of the profile
constexpr int kCountersFd = 9;         // in racers

using Clock = std::chrono::steady_clock;

// ---- inside the slice

class Storm {
 public:
  Storm(int seconds, bool kill) : end_(Clock::now() + std::chrono::seconds(seconds)), kill_(kill) {
    const int fd = memfd_create("counters", 0);
    if (fd < 0 || ftruncate(fd, sizeof(Counters)) != 0 || dup2(fd, kCountersFd) < 0) {
      std::cerr << "memory: no shared counters\n";
      std::exit(1);
    }
    close(fd);
    counters_ = static_cast<Counters*>(
        mmap(nullptr, sizeof(Counters), PROT_READ | PROT_WRITE, MAP_SHARED, kCountersFd, 0));
  }

  // Prints: calls refused failed killed.
  int Run() {
    for (int i = 0; i < kRacers; ++i) racers_.push_back(StartRacer());
    while (Clock::now() < end_) {
      usleep(kKillPauseMs * 1000);
      if (!kill_) continue;
      pid_t& racer = racers_[random_() % racers_.size()];
      End(racer);
      ++killed_;
      racer = StartRacer();
    }
    for (const pid_t racer : racers_) kill(racer, SIGKILL);
    for (const pid_t racer : racers_) waitpid(racer, nullptr, 0);
    std::cout << counters_->calls << ' ' << counters_->refused << ' ' << counters_->failed << ' '
              << killed_ << std::endl;
    // What is free now, to a process with nothing but a context.
    const std::string tenant = BinFolder() + "/tenant";
    execl(tenant.c_str(), tenant.c_str(), "info", static_cast<char*>(nullptr));
    return 1;
  }

 private:
  pid_t StartRacer() {
    const std::string self = BinFolder() + "/bench/memory";
    const std::string seed = std::to_string(++started_);
    const pid_t pid = fork();
    if (pid != 0) return pid;
    execl(self.c_str(), self.c_str(), "--race", seed.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  static void End(pid_t racer) {
    kill(racer, SIGKILL);
    waitpid(racer, nullptr, 0);
  }

  Clock::time_point end_;
  bool kill_;
  Counters* counters_ = nullptr;
  std::vector<pid_t> racers_;
  std::mt19937_64 random_{1};
  int started_ = 0;
  int killed_ = 0;
};

int RaceForEver(const std::string& seed) {
  void* counters =
      mmap(nullptr, sizeof(Counters), PROT_READ | PROT_WRITE, MAP_SHARED, kCountersFd, 0);
  if (counters == MAP_FAILED) return 1;
  return Race(std::stoull(seed), static_cast<Counters*>(counters));
}

// ---- outside

struct Outcome {
  uint64_t calls = 0;
  uint64_t refused = 0;
  uint64_t failed = 0;
  uint64_t killed = 0;
  uint64_t high_bytes = 0;
  uint64_t free_mib = 0;
  uint64_t total_mib = 0;
};

Outcome Measure(int seconds, bool kill) {
  // One for each: its high-water mark is of this alone.
  const Simulation simulation("h200-580");
  const std::string text =
      RunToEnd(simulation, {BinFolder() + "/hami", "run", "-q", "--sim", "--gpumem",
                            std::to_string(kLimitMib) + "Mi", "--", BinFolder() + "/bench/memory",
                            kill ? "--storm" : "--together", std::to_string(seconds)});
  Outcome outcome;
  std::istringstream words(text);
  std::string word;
  words >> outcome.calls >> outcome.refused >> outcome.failed >> outcome.killed;
  while (words >> word) {
    if (word.starts_with("free_mib=")) outcome.free_mib = std::stoull(word.substr(9));
    if (word.starts_with("total_mib=")) outcome.total_mib = std::stoull(word.substr(10));
  }
  outcome.high_bytes = simulation.HighBytes();
  if (outcome.total_mib != kLimitMib) throw std::runtime_error("the slice is another one: " + text);
  return outcome;
}

void AddRows(Report* report, const std::string& name, const Outcome& outcome) {
  const uint64_t limit = kLimitMib * kMib;
  Row over;
  over.name = name + ": over the limit";
  over.value = static_cast<double>(outcome.high_bytes > limit ? outcome.high_bytes - limit : 0);
  over.unit = "B";
  over.target = 0;
  over.peer = "HAMi 60 GB once";
  over.note = fmt::format("at most {:.2f} of {} GiB; {} calls, {} refused, {} failed, {} killed",
                          static_cast<double>(outcome.high_bytes) / (1 << 30), kLimitMib >> 10,
                          outcome.calls, outcome.refused, outcome.failed, outcome.killed);
  report->Add(over);
  Row leaked;
  leaked.name = name + ": leaked";
  const uint64_t expected = kLimitMib - kContextMib;
  leaked.value = static_cast<double>((expected - std::min(expected, outcome.free_mib)) * kMib);
  leaked.unit = "B";
  leaked.target = 0;
  leaked.note = "what a process finds missing when all are dead";
  report->Add(leaked);
}

int Main(int argc, char** argv) {
  std::string json_path;
  int seconds = 10;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (AnswersCommon(argument, "memory", kUsage)) return 0;
    const bool known = argument == "--json" || argument == "--seconds" || argument == "--race" ||
                       argument == "--storm" || argument == "--together";
    if (i + 1 == argc || !known) {
      std::cerr << "memory: " << argument << "\n" << kUsage;
      return 2;
    }
    const std::string value = argv[++i];
    if (argument == "--race") return RaceForEver(value);
    if (argument == "--storm") return Storm(std::stoi(value), true).Run();
    if (argument == "--together") return Storm(std::stoi(value), false).Run();
    if (argument == "--json") json_path = value;
    if (argument == "--seconds") seconds = std::stoi(value);
  }
  Report report(
      "Whether a memory limit holds, by the driver's own sum",
      MachineConditions() + ", GPU simulated (h200-580), " + std::to_string(seconds) + " s each");
  const std::string racers = std::to_string(kRacers) + " racing processes";
  AddRows(&report, racers, Measure(seconds, false));
  AddRows(&report, racers + " under SIGKILLs", Measure(seconds, true));
  return report.Finish(json_path) ? 0 : 1;
}

}  // namespace
}  // namespace hami::bench

int main(int argc, char** argv) {
  try {
    return hami::bench::Main(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "memory: " << error.what() << '\n';
    return 1;
  }
}
