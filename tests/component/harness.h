// SPDX-License-Identifier: Apache-2.0
//
// What a component test needs: a simulated GPU of its own, share directories, and programs run
// under the real libvgpu.so exactly as in production. Everything lies in temporary directories and
// is gone afterwards; tests may run in parallel.

#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

namespace hami::component {

// build/bin/NAME, build/tests/NAME, build/lib: found from the running test's own path.
std::string ProductProgram(const std::string& name);
std::string TestProgram(const std::string& name);
std::string TestLibraryFolder();
std::string PreloadLibrary();

struct Command {
  std::string program;
  std::vector<std::string> arguments;
  std::map<std::string, std::string> environment;  // on top of PATH and HOME
};

struct Output {
  int exit_code = -1;  // 128 + n for a signal
  std::string text;    // standard output and error
};

// Runs to the end. The environment is what the command says, nothing of the test's own.
Output RunToEnd(const Command& command);

// A program that runs while the test goes on. Killed by the destructor.
class Running {
 public:
  explicit Running(const Command& command);
  ~Running();
  Running(Running&& other) noexcept;
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  pid_t pid() const { return pid_; }
  // The next line of its output; "" at the end.
  std::string ReadLine();
  // Reads lines until one begins with `prefix`; that line, or "" at the end.
  std::string ReadUntil(const std::string& prefix);
  bool HasOutput() const;  // that was not read yet; or it is at its end
  void WriteLine(const std::string& line);
  void Kill();  // SIGKILL and wait
  int Wait();   // exit code

 private:
  pid_t pid_ = -1;
  int in_ = -1;
  int out_ = -1;
  std::string buffer_;
};

// Simulated GPUs of a profile; the driver libraries of this simulation are what its programs find.
class Simulation {
 public:
  explicit Simulation(const std::string& profile = "a10-550", int gpus = 1);
  ~Simulation();
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;

  const std::string& root() const { return root_; }      // HAMI_STATE_DIR
  const std::string& folder() const { return folder_; }  // the simulation's own folder
  const std::vector<std::string>& uuids() const { return uuids_; }

  // The command with this simulation's environment, without any limit.
  Command With(Command command) const;
  Output Run(const Command& command) const { return RunToEnd(With(command)); }

 private:
  std::string root_;
  std::string folder_;
  std::vector<std::string> uuids_;
};

struct ShareOptions {
  std::string memory = "10Gi";
  int cores_pct = 0;
  int gpu = 0;
  std::string policy = "default";
  uint64_t context_bytes = 0;  // 0: not in the limits file
  std::string raw_limits;      // instead of all that
};

// A share directory on a simulation. Programs run under it have libvgpu.so preloaded.
class Share {
 public:
  explicit Share(const Simulation& simulation, const ShareOptions& options = {});
  ~Share();
  Share(const Share&) = delete;
  Share& operator=(const Share&) = delete;

  const std::string& folder() const { return folder_; }
  std::string region_path() const { return folder_ + "/region"; }
  void WriteLimits(const std::string& text) const;

  Command With(Command command) const;
  Output Run(const Command& command) const { return RunToEnd(With(command)); }
  Running Start(const Command& command) const { return Running(With(command)); }

 private:
  const Simulation& simulation_;
  std::string folder_;
};

// "10Gi" -> bytes.
uint64_t Bytes(const std::string& size);

}  // namespace hami::component
