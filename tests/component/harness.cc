// SPDX-License-Identifier: Apache-2.0

#include "tests/component/harness.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <utility>

namespace hami::component {
namespace {

namespace fs = std::filesystem;

fs::path BuildFolder() { return fs::canonical("/proc/self/exe").parent_path().parent_path(); }

std::string MakeTemporaryFolder(const char* purpose) {
  std::string name = fs::temp_directory_path() / (std::string("hami-") + purpose + "-XXXXXX");
  if (mkdtemp(name.data()) == nullptr) {
    std::perror("mkdtemp");
    std::abort();
  }
  return name;
}

[[noreturn]] void Exec(const Command& command) {
  std::vector<std::string> environment = {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/tmp"};
  for (const auto& [name, value] : command.environment) environment.push_back(name + "=" + value);
  std::vector<char*> envp;
  for (std::string& entry : environment) envp.push_back(entry.data());
  envp.push_back(nullptr);
  std::vector<std::string> words = {command.program};
  words.insert(words.end(), command.arguments.begin(), command.arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execve(command.program.c_str(), argv.data(), envp.data());
  std::perror(command.program.c_str());
  _exit(127);
}

int ExitCode(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

std::string ProductProgram(const std::string& name) { return BuildFolder() / "bin" / name; }
std::string TestProgram(const std::string& name) { return BuildFolder() / "tests" / name; }
std::string TestLibraryFolder() { return BuildFolder() / "tests" / "lib"; }
std::string PreloadLibrary() { return BuildFolder() / "lib" / "libvgpu.so"; }

uint64_t Bytes(const std::string& size) {
  size_t used = 0;
  const uint64_t number = std::stoull(size, &used);
  const std::string unit = size.substr(used);
  if (unit == "Gi") return number << 30;
  if (unit == "Mi") return number << 20;
  if (unit == "Ki") return number << 10;
  return number;
}

Output RunToEnd(const Command& command) {
  Running running(command);
  Output output;
  for (std::string line = running.ReadLine(); !line.empty(); line = running.ReadLine()) {
    output.text += line;
  }
  output.exit_code = running.Wait();
  return output;
}

Running::Running(const Command& command) {
  int in[2];
  int out[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) std::abort();
  pid_ = fork();
  if (pid_ == 0) {
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    dup2(out[1], STDERR_FILENO);
    Exec(command);
  }
  close(in[0]);
  close(out[1]);
  in_ = in[1];
  out_ = out[0];
}

Running::Running(Running&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      in_(std::exchange(other.in_, -1)),
      out_(std::exchange(other.out_, -1)),
      buffer_(std::move(other.buffer_)) {}

Running::~Running() {
  if (pid_ > 0) Kill();
  if (in_ >= 0) close(in_);
  if (out_ >= 0) close(out_);
}

std::string Running::ReadLine() {
  size_t end;
  while ((end = buffer_.find('\n')) == std::string::npos) {
    char chunk[4096];
    const ssize_t got = read(out_, chunk, sizeof(chunk));
    if (got <= 0) return std::exchange(buffer_, {});
    buffer_.append(chunk, static_cast<size_t>(got));
  }
  std::string line = buffer_.substr(0, end + 1);
  buffer_.erase(0, end + 1);
  return line;
}

std::string Running::ReadUntil(const std::string& prefix) {
  std::string line = ReadLine();
  while (!line.empty() && !line.starts_with(prefix)) line = ReadLine();
  return line;
}

bool Running::HasOutput() const {
  pollfd output = {.fd = out_, .events = POLLIN, .revents = 0};
  return !buffer_.empty() || poll(&output, 1, 0) > 0;
}

void Running::WriteLine(const std::string& line) {
  const std::string text = line + "\n";
  if (write(in_, text.data(), text.size()) < 0) std::perror("write to child");
}

void Running::Kill() {
  kill(pid_, SIGKILL);
  Wait();
}

int Running::Wait() {
  if (in_ >= 0) close(std::exchange(in_, -1));
  int status = 0;
  waitpid(std::exchange(pid_, -1), &status, 0);
  return ExitCode(status);
}

Simulation::Simulation(const std::string& profile, int gpus)
    : root_(MakeTemporaryFolder("component")), folder_(root_ + "/sim/test") {
  const Command create = {
      ProductProgram("hami"),
      {"sim", "create", "--profile", profile, "--gpus", std::to_string(gpus), "test"},
      {{"HAMI_STATE_DIR", root_}}};
  const Output created = RunToEnd(create);
  const Command show = {
      ProductProgram("hami"), {"sim", "show", "test", "--json"}, {{"HAMI_STATE_DIR", root_}}};
  const Output shown = RunToEnd(show);
  if (created.exit_code != 0 || shown.exit_code != 0) {
    std::cerr << created.text << shown.text;
    std::abort();
  }
  const nlohmann::json description = nlohmann::json::parse(shown.text.substr(shown.text.find('{')));
  for (const auto& gpu : description.at("gpus")) uuids_.push_back(gpu.at("uuid"));
}

Simulation::~Simulation() {
  std::error_code ignored;
  fs::remove_all(root_, ignored);
}

Command Simulation::With(Command command) const {
  command.environment.insert({"HAMI_SIM", folder_});
  command.environment.insert({"HAMI_STATE_DIR", root_});
  command.environment.insert({"LD_LIBRARY_PATH", folder_ + "/lib"});
  return command;
}

Share::Share(const Simulation& simulation, const ShareOptions& options)
    : simulation_(simulation), folder_(MakeTemporaryFolder("share")) {
  if (!options.raw_limits.empty()) {
    WriteLimits(options.raw_limits);
    return;
  }
  std::string text = "hami-limits 1\ngeneration 1\ndevice " +
                     simulation.uuids().at(static_cast<size_t>(options.gpu)) + "\n";
  text += "memory " + std::to_string(Bytes(options.memory)) + "\n";
  text += "cores " + std::to_string(options.cores_pct) + "\n";
  text += "policy " + options.policy + "\n";
  if (options.context_bytes != 0) {
    text += "context " + std::to_string(options.context_bytes) + "\n";
  }
  WriteLimits(text + "end\n");
}

Share::~Share() {
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

void Share::WriteLimits(const std::string& text) const {
  const std::string path = folder_ + "/limits";
  std::ofstream(path + ".new") << text;
  fs::rename(path + ".new", path);
}

Command Share::With(Command command) const {
  command = simulation_.With(std::move(command));
  command.environment.insert({"LD_PRELOAD", PreloadLibrary()});
  command.environment.insert({"HAMI_SHARES", folder_});
  return command;
}

}  // namespace hami::component
