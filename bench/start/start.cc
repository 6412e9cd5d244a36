// SPDX-License-Identifier: Apache-2.0
//
// How long it takes until so many processes of one container have the driver and a context, all
// started at once: on a simulated GPU, without the library and under `hami run`.

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "bench/report.h"
#include "bench/simulation/simulation.h"

namespace hami::bench {
namespace {

constexpr char kUsage[] =
    "usage: start [--json FILE]\n"
    "Time until 1, 16, 64 and 256 processes that were started at once have a context; simulated.\n";
constexpr int kRepetitions = 5;
constexpr double kTargetMs = 1000;  // for 256 processes

using Clock = std::chrono::steady_clock;

double MsSince(Clock::time_point began) {
  return std::chrono::duration<double, std::milli>(Clock::now() - began).count();
}

struct Process {
  pid_t pid;
  int in;
  int out;
};

Process StartTenant(const std::string& program) {
  int to[2];
  int from[2];
  if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0) {
    std::cerr << "start: no pipe\n";
    std::exit(1);
  }
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(to[0], STDIN_FILENO);
    dup2(from[1], STDOUT_FILENO);
    execl(program.c_str(), program.c_str(), "say", "r", "wait", static_cast<char*>(nullptr));
    _exit(127);
  }
  close(to[0]);
  close(from[1]);
  return {pid, to[1], from[0]};
}

// Inside the container: prints the milliseconds from the first start until all were ready.
int Launch(int count) {
  const std::string tenant = BinFolder() + "/tenant";
  const Clock::time_point began = Clock::now();
  std::vector<Process> processes;
  for (int i = 0; i < count; ++i) processes.push_back(StartTenant(tenant));
  bool good = true;
  for (const Process& process : processes) {
    char letter;
    good = good && read(process.out, &letter, 1) == 1;
  }
  const double ms = MsSince(began);
  for (const Process& process : processes) close(process.in);
  for (const Process& process : processes) {
    int status = 0;
    waitpid(process.pid, &status, 0);
    good = good && status == 0;
  }
  if (!good) std::cerr << "start: a process did not start\n";
  std::cout << ms << std::endl;
  return good ? 0 : 1;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

class Bench {
 public:
  int Run(const std::string& json_path) {
    Report report("Milliseconds until all processes that were started at once have a context",
                  MachineConditions() + ", GPU simulated (h200-580), medians of " +
                      std::to_string(kRepetitions));
    for (const int count : {1, 16, 64, 256}) {
      std::vector<double> native;
      std::vector<double> limited;
      for (int i = 0; i < kRepetitions; ++i) {
        native.push_back(Native(count));
        limited.push_back(Limited(count));
      }
      Row row;
      row.name = fmt::format("{} process{} in one container", count, count == 1 ? "" : "es");
      row.value = Median(limited);
      row.baseline = Median(native);
      row.unit = "ms";
      if (count == 256) row.target = kTargetMs;
      row.note = fmt::format("{:.2f} x native, {:+.2f} ms each", row.value / *row.baseline,
                             (row.value - *row.baseline) / count);
      report.Add(row);
    }
    report.Add(RunItself());
    return report.Finish(json_path) ? 0 : 1;
  }

 private:
  double Native(int count) const {
    return std::stod(
        RunToEnd(simulation_, {"/usr/bin/env", "LD_LIBRARY_PATH=" + simulation_.library_folder(),
                               self_, "--launch", std::to_string(count)}));
  }
  double Limited(int count) const {
    return std::stod(RunToEnd(simulation_, {hami_, "run", "-q", "--sim", "--gpumem", "138Gi", "--",
                                            self_, "--launch", std::to_string(count)}));
  }

  // What `hami run` itself takes, to the end of a program that does nothing.
  Row RunItself() const {
    std::vector<double> bare;
    std::vector<double> run;
    for (int i = 0; i < kRepetitions; ++i) {
      Clock::time_point began = Clock::now();
      RunToEnd(simulation_, {"/bin/true"});
      bare.push_back(MsSince(began));
      began = Clock::now();
      RunToEnd(simulation_, {hami_, "run", "-q", "--sim", "--gpumem", "1Gi", "--", "/bin/true"});
      run.push_back(MsSince(began));
    }
    Row row;
    row.name = "hami run -- true";
    row.value = Median(run);
    row.baseline = Median(bare);
    row.unit = "ms";
    return row;
  }

  Simulation simulation_{"h200-580"};
  std::string hami_ = BinFolder() + "/hami";
  std::string self_ = BinFolder() + "/bench/start";
};

int Main(int argc, char** argv) {
  std::string json_path;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (AnswersCommon(argument, "start", kUsage)) return 0;
    if (i + 1 == argc || (argument != "--json" && argument != "--launch")) {
      std::cerr << "start: " << argument << "\n" << kUsage;
      return 2;
    }
    if (argument == "--launch") return Launch(std::atoi(argv[i + 1]));
    json_path = argv[++i];
  }
  return Bench().Run(json_path);
}

}  // namespace
}  // namespace hami::bench

int main(int argc, char** argv) {
  try {
    return hami::bench::Main(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "start: " << error.what() << '\n';
    return 1;
  }
}
