// SPDX-License-Identifier: Apache-2.0
//
// For tests: a small machine in a temporary file, and child processes that wait for a word.

#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "simgpu/state/create.h"
#include "simgpu/state/machine.h"

namespace hami::simgpu {

inline constexpr uint64_t kTestMib = uint64_t{1} << 20;
inline constexpr uint64_t kTestUsableBytes = 1000 * kTestMib;

class FakeMachine {
 public:
  FakeMachine() {
    const char* folder = getenv("TMPDIR");
    folder_ = std::string(folder == nullptr ? "/tmp" : folder) + "/hami-state-XXXXXX";
    if (mkdtemp(folder_.data()) == nullptr) abort();
    auto config = std::make_unique<MachineConfig>();
    config->device_count = 2;
    for (uint32_t i = 0; i < 2; ++i) {
      config->devices[i].memory_bytes = kTestUsableBytes + 24 * kTestMib;
      config->devices[i].reserved_bytes = 24 * kTestMib;
      config->devices[i].time_slice_ns = 1'000'000;
    }
    EXPECT_EQ(CreateState(path().c_str(), *config), 0);
  }
  ~FakeMachine() {
    unlink(path().c_str());
    rmdir(folder_.c_str());
  }
  FakeMachine(const FakeMachine&) = delete;
  FakeMachine& operator=(const FakeMachine&) = delete;

  const std::string& folder() const { return folder_; }
  std::string path() const { return folder_ + "/state"; }

 private:
  std::string folder_;
};

class AttachedMachine {
 public:
  explicit AttachedMachine(const FakeMachine& fake, bool observer = false)
      : AttachedMachine(fake.path(), observer) {}
  explicit AttachedMachine(const std::string& path, bool observer = false) {
    EXPECT_EQ(Attach(path.c_str(), observer, &machine_), AttachStatus::kOk);
  }
  ~AttachedMachine() { Detach(&machine_); }
  AttachedMachine(const AttachedMachine&) = delete;
  AttachedMachine& operator=(const AttachedMachine&) = delete;

  const Machine& machine() const { return machine_; }
  State& state() const { return *machine_.state; }
  const Client& client() const { return state().clients[machine_.client]; }

  bool Reserve(uint64_t bytes, uint32_t device = 0) const {
    const LockGuard guard(machine_);
    return ReserveMemory(machine_, state(), device, bytes);
  }
  void Release(uint64_t bytes, uint32_t device = 0) const {
    const LockGuard guard(machine_);
    ReleaseMemory(machine_, state(), device, bytes);
  }
  // After dead clients were reaped.
  uint64_t Used(uint32_t device = 0) const {
    const LockGuard guard(machine_);
    ReapDead(machine_, state());
    return state().devices[device].used_bytes;
  }

 private:
  Machine machine_;
};

// A child that runs `body`, and says by SayReady that it got to where the test wants it.
class Child {
 public:
  explicit Child(const std::function<void(Child&)>& body) {
    if (pipe(ready_) != 0) abort();
    pid_ = fork();
    if (pid_ != 0) {
      close(std::exchange(ready_[1], -1));
      return;
    }
    body(*this);
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  ~Child() {
    if (pid_ > 0) Kill();
    if (ready_[0] >= 0) close(ready_[0]);
    if (ready_[1] >= 0) close(ready_[1]);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // In the child. What is said arrives as the result of WaitReady.
  void SayReady(int value = 0) const {
    if (write(ready_[1], &value, sizeof(value)) < 0) _exit(2);
  }
  [[noreturn]] static void StayForever() {
    while (true) pause();
  }

  // In the parent. -1: the child ended without a word, or said none for ten seconds.
  pid_t pid() const { return pid_; }
  int WaitReady() const {
    pollfd waited = {ready_[0], POLLIN, 0};
    int value = -1;
    if (poll(&waited, 1, 10'000) != 1 || read(ready_[0], &value, sizeof(value)) <= 0) return -1;
    return value;
  }
  void Kill() {
    kill(pid_, SIGKILL);
    Wait();
  }
  int Wait() {
    int status = 0;
    waitpid(std::exchange(pid_, -1), &status, 0);
    return status;
  }

 private:
  int ready_[2] = {-1, -1};
  pid_t pid_ = -1;
};

}  // namespace hami::simgpu
