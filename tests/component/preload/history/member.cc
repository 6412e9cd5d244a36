// SPDX-License-Identifier: Apache-2.0

#include "tests/component/preload/history/member.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <thread>
#include <utility>

namespace hami::component {
namespace {

// Kills a process that does not answer, and the children that keep its output open, so that whoever
// waits for it reads the end and can tell.
class Patience {
 public:
  Patience(pid_t pid, const std::vector<pid_t>& children)
      : thread_([this, pid, children] { Watch(pid, children); }) {}
  ~Patience() {
    {
      const std::scoped_lock lock(mutex_);
      answered_ = true;
    }
    changed_.notify_one();
  }
  Patience(const Patience&) = delete;
  Patience& operator=(const Patience&) = delete;

 private:
  void Watch(pid_t pid, const std::vector<pid_t>& children) {
    constexpr std::chrono::seconds kPatience(30);
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, kPatience, [this] { return answered_; })) return;
    std::fprintf(stderr, "process %d does not answer\n", pid);
    kill(pid, SIGKILL);
    for (const pid_t child : children) kill(child, SIGKILL);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool answered_ = false;
  std::jthread thread_;
};

}  // namespace

std::string StateOf(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  const size_t end = text.rfind(')');
  return end == std::string::npos || end + 2 >= text.size() ? "" : text.substr(end + 2, 1);
}

void StopAndWait(pid_t pid) {
  kill(pid, SIGSTOP);
  for (std::string state = StateOf(pid); state != "T" && state != "Z" && !state.empty();
       state = StateOf(pid)) {
    usleep(20);
  }
}

void Hold(pid_t pid) {
  if (ptrace(PTRACE_SEIZE, pid, nullptr, PTRACE_O_EXITKILL) != 0 ||
      ptrace(PTRACE_INTERRUPT, pid, nullptr, nullptr) != 0 ||
      waitpid(pid, nullptr, __WALL) != pid) {
    std::perror("cannot hold a forked child");
    std::abort();
  }
}

void KillAndWait(pid_t pid) {
  kill(pid, SIGKILL);
  if (waitpid(pid, nullptr, __WALL) == pid) return;
  // A zombie has no memory and no files any more; whoever is to collect it may take its time.
  for (std::string state = StateOf(pid); state != "Z" && state != "X" && !state.empty();
       state = StateOf(pid)) {
    usleep(20);
  }
}

Member::~Member() { KillChildren(); }

void Member::Begin(const Call& call) {
  in_flight_ = call;
  script_.WriteLine(call.Line());
}

std::string Member::Finish() {
  const Call call = *std::exchange(in_flight_, std::nullopt);
  std::string answer = ReadAnswer();
  if (answer != "ok") return answer;
  uint64_t address = 0;
  if (Holdings::Allocates(call)) {
    const std::string text = Ask("address " + call.name);
    if (text.empty()) return "";
    address = std::stoull(text);
  }
  holdings_.Learn(call, address);
  return answer;
}

std::string Member::Do(const Call& call) {
  Begin(call);
  return Finish();
}

std::string Member::Ask(const std::string& line) {
  script_.WriteLine(line);
  return ReadAnswer();
}

std::string Member::ReadAnswer() {
  const Patience patience(script_.pid(), children_);
  std::string answer = script_.ReadLine();
  if (answer.ends_with('\n')) answer.pop_back();
  return answer;
}

bool Member::Fork() {
  const std::string answer = Ask("fork");
  if (answer.empty()) return false;
  children_.push_back(std::stoi(answer));
  Hold(children_.back());
  return true;
}

void Member::Kill() {
  died_calling_ = in_flight_.has_value();
  script_.Kill();
  dead_ = true;
}

void Member::KillChildren() {
  for (const pid_t child : children_) KillAndWait(child);
  children_.clear();
}

Excess Member::AllowedExcess() const {
  if (IsGone()) return {};
  if (died_calling_) return {.torn = true};
  return {holdings_.managed_bytes(), holdings_.managed_bytes() + holdings_.orphaned_bytes()};
}

}  // namespace hami::component
