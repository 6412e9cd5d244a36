// SPDX-License-Identifier: Apache-2.0

#include "base/subprocess.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/clock.h"
#include "base/fd.h"

namespace hami::base {
namespace {

std::vector<char*> Pointers(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  // posix_spawn takes non-const pointers for history's sake and changes nothing.
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

class SpawnSettings {
 public:
  SpawnSettings(int output, bool errors_apart) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions_, output, STDOUT_FILENO);
    if (!errors_apart) posix_spawn_file_actions_adddup2(&actions_, output, STDERR_FILENO);
    posix_spawnattr_init(&attributes_);
    sigset_t all;
    sigset_t none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  }
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  const posix_spawn_file_actions_t* actions() const { return &actions_; }
  const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

// Reads until the other end closes. False: the time was up.
bool ReadUntilClosed(int fd, int64_t deadline_ns, size_t max_bytes, std::string* text) {
  char chunk[4096];
  for (;;) {
    const int64_t left_ms = (deadline_ns - SystemClock().MonotonicNs()) / 1'000'000;
    pollfd ready = {fd, POLLIN, 0};
    const int count = poll(&ready, 1, static_cast<int>(std::max<int64_t>(left_ms, 0)));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    const ssize_t got = read(fd, chunk, sizeof(chunk));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return true;
    const size_t room = max_bytes - std::min(max_bytes, text->size());
    text->append(chunk, std::min(room, static_cast<size_t>(got)));
  }
}

int WaitFor(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

Result<ProgramOutput> RunProgram(const Program& program) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return FailErrno("pipe");
  const Fd output(ends[0]);
  Fd input(ends[1]);
  const SpawnSettings settings(input.get(), program.errors_apart);

  std::vector<std::string> words = {program.path};
  words.insert(words.end(), program.arguments.begin(), program.arguments.end());
  const std::vector<char*> argv = Pointers(words);
  std::vector<char*> environment;
  if (program.environment) environment = Pointers(*program.environment);
  const int64_t deadline_ns = SystemClock().MonotonicNs() + int64_t{program.timeout_ms} * 1'000'000;
  pid_t pid = -1;
  const int error =
      posix_spawnp(&pid, program.path.c_str(), settings.actions(), settings.attributes(),
                   argv.data(), program.environment ? environment.data() : environ);
  if (error != 0) return Fail(ErrnoError(error, "run " + program.path));
  input.Reset();

  ProgramOutput result;
  if (!ReadUntilClosed(output.get(), deadline_ns, program.max_output_bytes, &result.text)) {
    kill(pid, SIGKILL);
    WaitFor(pid);
    return Fail(Code::kDeadlineExceeded,
                fmt::format("{} did not end within {} ms", program.path, program.timeout_ms));
  }
  result.exit_code = WaitFor(pid);
  return result;
}

}  // namespace hami::base
