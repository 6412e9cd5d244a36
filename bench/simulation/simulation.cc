// SPDX-License-Identifier: Apache-2.0

#include "bench/simulation/simulation.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "simgpu/state/os.h"
#include "simgpu/state/timeline.h"

namespace hami::bench {
namespace {

constexpr char kName[] = "bench";

[[noreturn]] void Die(const std::string& problem) {
  std::cerr << "bench: " << problem << '\n';
  std::exit(1);
}

// A child whose standard input and output are ours, or none if nullptr; what it says on standard
// error goes to the end of `log`.
pid_t Start(const std::vector<std::string>& words, const std::string& log, int* in, int* out) {
  int to[2] = {-1, -1};
  int from[2] = {-1, -1};
  if (in != nullptr && pipe2(to, O_CLOEXEC) != 0) Die("pipe");
  if (out != nullptr && pipe2(from, O_CLOEXEC) != 0) Die("pipe");
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const pid_t pid = fork();
  if (pid < 0) Die("fork");
  if (pid == 0) {
    dup2(in != nullptr ? to[0] : open("/dev/null", O_RDONLY), STDIN_FILENO);
    const int errors = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dup2(errors, STDERR_FILENO);
    dup2(out != nullptr ? from[1] : errors, STDOUT_FILENO);
    execv(argv[0], argv.data());
    _exit(127);
  }
  if (in != nullptr) {
    close(to[0]);
    *in = to[1];
  }
  if (out != nullptr) {
    close(from[1]);
    *out = from[0];
  }
  return pid;
}

// True at the line `wanted`; false at the end of what is said.
bool WaitForLine(int from, const std::string& wanted) {
  std::string line;
  char letter;
  while (read(from, &letter, 1) == 1) {
    if (letter != '\n') {
      line += letter;
      continue;
    }
    if (line == wanted) return true;
    line.clear();
  }
  return false;
}

}  // namespace

std::string BinFolder() {
  return std::filesystem::canonical("/proc/self/exe").parent_path().parent_path().string();
}

Simulation::Simulation(const std::string& profile) {
  folder_ = (std::filesystem::temp_directory_path() / "hami-bench-XXXXXX").string();
  if (mkdtemp(folder_.data()) == nullptr) Die("no temporary folder");
  for (const char* name : {"HAMI_SIM", "LD_LIBRARY_PATH", "LD_PRELOAD", "HAMI_SHARES"}) {
    unsetenv(name);
  }
  setenv("HAMI_STATE_DIR", folder_.c_str(), 1);
  const pid_t pid = Start({BinFolder() + "/hami", "sim", "create", "--profile", profile, kName},
                          log(), nullptr, nullptr);
  int status = 0;
  waitpid(pid, &status, 0);
  if (status != 0) Die("the simulation cannot be made, see " + log());
  const std::string state = folder_ + "/sim/" + kName + "/state";
  if (simgpu::Attach(state.c_str(), /*observer=*/true, &machine_) != simgpu::AttachStatus::kOk) {
    Die(state + " cannot be read");
  }
}

Simulation::~Simulation() {
  simgpu::Detach(&machine_);
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::string Simulation::library_folder() const { return folder_ + "/sim/" + kName + "/lib"; }

uint64_t Simulation::HighBytes() const {
  const simgpu::LockGuard guard(machine_);
  return machine_.state->devices[0].used_high_bytes;
}

std::string RunToEnd(const Simulation& simulation, const std::vector<std::string>& words) {
  int from = -1;
  const pid_t pid = Start(words, simulation.log(), nullptr, &from);
  std::string text;
  char part[4096];
  for (ssize_t got = read(from, part, sizeof(part)); got > 0;
       got = read(from, part, sizeof(part))) {
    text.append(part, static_cast<size_t>(got));
  }
  close(from);
  int status = 0;
  waitpid(pid, &status, 0);
  if (status != 0) Die(words.front() + " failed, see " + simulation.log());
  return text;
}

std::vector<Simulation::ClientId> Simulation::Clients() const {
  simgpu::State& state = *machine_.state;
  const simgpu::LockGuard guard(machine_);
  simgpu::ReapDead(machine_, state);
  std::vector<ClientId> found;
  for (uint32_t slot = 0; slot < state.clients_high; ++slot) {
    const simgpu::Client& client = state.clients[slot];
    if (client.in_use != 0 && client.devices[0].contexts > 0) {
      found.push_back({slot, client.generation});
    }
  }
  return found;
}

Simulation::Reading Simulation::Read(const std::vector<ClientId>& clients) const {
  simgpu::State& state = *machine_.state;
  const simgpu::LockGuard guard(machine_);
  Reading reading;
  reading.now_ns = simgpu::os::NowNs();
  simgpu::AdvanceAll(state, reading.now_ns);
  for (const ClientId& id : clients) {
    const simgpu::Client& client = state.clients[id.slot];
    if (client.in_use == 0 || client.generation != id.generation) Die("a tenant ended early");
    reading.busy_ns.push_back(client.devices[0].busy_ns);
  }
  return reading;
}

Tenant::Tenant(const Simulation& simulation, const TenantSpec& spec) {
  const std::vector<Simulation::ClientId> before = simulation.Clients();
  std::vector<std::string> words = {BinFolder() + "/hami",
                                    "run",
                                    "-q",
                                    "--sim",
                                    "--gpumem",
                                    "1Gi",
                                    "--gpucores",
                                    std::to_string(spec.cores_pct),
                                    "--policy",
                                    spec.policy,
                                    "--",
                                    BinFolder() + "/tenant",
                                    "prepare",
                                    "say",
                                    "ready",
                                    "wait"};
  words.insert(words.end(), spec.actions.begin(), spec.actions.end());
  pid_ = Start(words, simulation.log(), &to_, &from_);
  if (!WaitForLine(from_, "ready")) Die("a tenant does not start, see " + simulation.log());
  for (const Simulation::ClientId& id : simulation.Clients()) {
    if (std::find(before.begin(), before.end(), id) == before.end()) {
      client_ = id;
      return;
    }
  }
  Die("the simulation does not know the tenant");
}

Tenant::~Tenant() {
  kill(pid_, SIGTERM);  // hami ends everything below it
  close(to_);
  WaitForLine(from_, "");  // to the end
  close(from_);
  waitpid(pid_, nullptr, 0);
}

void Tenant::Go() const {
  if (write(to_, "\n", 1) != 1) Die("a tenant ended early");
}

}  // namespace hami::bench
