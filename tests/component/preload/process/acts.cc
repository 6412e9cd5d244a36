// SPDX-License-Identifier: Apache-2.0
//
// A CUDA program that does unusual things with processes: the first argument says which, what
// follows is for that (kActs). Says what came of it in lines; "ready" before it waits for its input
// to end.

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <vector>

#include "api/cuda/functions.h"

extern char** environ;

namespace {

constexpr int kCannot = 77;  // this machine does not allow what the act needs

void* driver_handle = nullptr;

template <typename Function>
Function* Look(const char* name) {
  void* found = dlsym(driver_handle, name);
  if (found == nullptr) {
    std::cerr << "acts: no " << name << std::endl;
    std::exit(1);
  }
  return reinterpret_cast<Function*>(found);
}

CUresult Begin() {
  driver_handle = dlopen("libcuda.so.1", RTLD_NOW);
  if (driver_handle == nullptr) {
    std::cerr << dlerror() << std::endl;
    std::exit(1);
  }
  CUresult result = Look<decltype(::cuInit)>("cuInit")(0);
  CUcontext context = nullptr;
  if (result == CUDA_SUCCESS) {
    result = Look<decltype(::cuDevicePrimaryCtxRetain)>("cuDevicePrimaryCtxRetain")(&context, 0);
  }
  if (result == CUDA_SUCCESS) result = Look<CUresult(CUcontext)>("cuCtxSetCurrent")(context);
  return result;
}

CUresult Allocate(size_t bytes) {
  CUdeviceptr pointer = 0;
  return Look<decltype(::cuMemAlloc_v2)>("cuMemAlloc_v2")(&pointer, bytes);
}

void Say(const std::string& what, int result) { std::cout << what << ' ' << result << std::endl; }

void AwaitEnd() {
  std::cout << "ready" << std::endl;
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
}

int WaitFor(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, __WALL) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

using Words = std::vector<std::string>;

size_t BytesOf(const Words& words, size_t index) { return std::stoull(words.at(index)); }

std::vector<char*> Pointers(const Words& words) {
  std::vector<char*> pointers;
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// hold BYTES...: allocates and waits.
int Hold(const Words& words) {
  Say("begin", Begin());
  for (size_t i = 1; i < words.size(); ++i) Say("alloc", Allocate(BytesOf(words, i)));
  AwaitEnd();
  return 0;
}

// try BYTES...: allocates and ends.
int Try(const Words& words) {
  Say("begin", Begin());
  for (size_t i = 1; i < words.size(); ++i) Say("alloc", Allocate(BytesOf(words, i)));
  return 0;
}

// vfork BYTES: a vfork child that becomes another program, then an allocation.
int Vfork(const Words& words) {
  Say("begin", Begin());
  Say("alloc", Allocate(BytesOf(words, 1)));
  const pid_t pid = vfork();  // NOLINT(bugprone-unsafe-functions): what is tested
  if (pid == 0) {
    execl("/bin/true", "true", nullptr);
    _exit(127);
  }
  Say("child", WaitFor(pid));
  AwaitEnd();
  return 0;
}

// exec BYTES WORDS...: allocates, then becomes WORDS.
int Exec(const Words& words) {
  Say("begin", Begin());
  Say("alloc", Allocate(BytesOf(words, 1)));
  const Words rest(words.begin() + 2, words.end());
  execv(rest[0].c_str(), Pointers(rest).data());
  return 127;
}

// spawn BYTES WORDS...: allocates, starts WORDS by posix_spawn, waits for it, allocates again.
int Spawn(const Words& words) {
  Say("begin", Begin());
  Say("alloc", Allocate(BytesOf(words, 1)));
  const Words rest(words.begin() + 2, words.end());
  pid_t pid = 0;
  if (posix_spawn(&pid, rest[0].c_str(), nullptr, nullptr, Pointers(rest).data(), environ) != 0) {
    return 127;
  }
  Say("child", WaitFor(pid));
  AwaitEnd();
  return 0;
}

struct Shared {
  size_t bytes;
  std::atomic<int> result;
};

int RunShared(void* argument) {
  auto* shared = static_cast<Shared*>(argument);
  CUdeviceptr pointer = 0;
  shared->result = Look<decltype(::cuMemAlloc_v2)>("cuMemAlloc_v2")(&pointer, shared->bytes);
  // The C library's per-thread state is the parent's here: nothing of it is used any more.
  syscall(SYS_exit, 0);
  return 0;
}

// clone BYTES: a process that shares the memory (no thread: a PID of its own) allocates.
int Clone(const Words& words) {
  Say("begin", Begin());
  Shared shared = {.bytes = BytesOf(words, 1), .result = -1};
  alignas(16) static char stack[1 << 18];
  const pid_t pid = clone(RunShared, stack + sizeof(stack), CLONE_VM | SIGCHLD, &shared);
  if (pid < 0) return kCannot;
  Say("child", WaitFor(pid));
  Say("alloc", shared.result);
  AwaitEnd();
  return 0;
}

struct Race {
  pthread_barrier_t barrier;
  size_t bytes;
  std::atomic<int> got{0};
  std::atomic<int> odd{0};
};

void* RunRacer(void* argument) {
  auto* race = static_cast<Race*>(argument);
  pthread_barrier_wait(&race->barrier);
  if (Begin() != CUDA_SUCCESS) {
    ++race->odd;
    return nullptr;
  }
  const CUresult result = Allocate(race->bytes);
  if (result == CUDA_SUCCESS) ++race->got;
  if (result != CUDA_SUCCESS && result != CUDA_ERROR_OUT_OF_MEMORY) ++race->odd;
  return nullptr;
}

// threads COUNT BYTES: all of them begin at the same moment.
int Threads(const Words& words) {
  const auto count = static_cast<unsigned>(BytesOf(words, 1));
  Race race;
  race.bytes = BytesOf(words, 2);
  pthread_barrier_init(&race.barrier, nullptr, count);
  std::vector<pthread_t> threads(count);
  for (pthread_t& thread : threads) pthread_create(&thread, nullptr, RunRacer, &race);
  for (const pthread_t thread : threads) pthread_join(thread, nullptr);
  Say("got", race.got);
  Say("odd", race.odd);
  AwaitEnd();
  return 0;
}

// close BYTES: closes every descriptor but the first three, as daemons do, before it begins and
// after.
int CloseAll(const Words& words) {
  const auto close_all = [] { syscall(SYS_close_range, 3U, ~0U, 0); };
  close_all();
  Say("begin", Begin());
  Say("alloc", Allocate(BytesOf(words, 1)));
  close_all();
  Say("alloc", Allocate(BytesOf(words, 1)));
  AwaitEnd();
  return 0;
}

// pid PID WORDS...: WORDS as a child with that PID. The caller waits for it.
int WithPid(const Words& words) {
  pid_t wanted = std::stoi(words.at(1));
  struct CloneArguments {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
        set_tid_size, cgroup;
  } arguments = {};
  arguments.exit_signal = SIGCHLD;
  arguments.set_tid = reinterpret_cast<uint64_t>(&wanted);
  arguments.set_tid_size = 1;
  const long pid = syscall(SYS_clone3, &arguments, sizeof(arguments));
  if (pid < 0) return kCannot;
  if (pid > 0) return WaitFor(static_cast<pid_t>(pid));
  const Words rest(words.begin() + 2, words.end());
  execv(rest[0].c_str(), Pointers(rest).data());
  _exit(127);
}

// namespace WORDS...: WORDS as the first process of a PID namespace.
int InNamespace(const Words& words) {
  if (unshare(CLONE_NEWPID | CLONE_NEWNS) != 0) return kCannot;
  const pid_t pid = fork();
  if (pid > 0) return WaitFor(pid);
  if (mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("proc", "/proc", "proc", 0, nullptr) != 0) {
    _exit(kCannot);
  }
  const Words rest(words.begin() + 1, words.end());
  execv(rest[0].c_str(), Pointers(rest).data());
  _exit(127);
}

// without-proc WORDS...: WORDS where /proc is an empty folder.
int WithoutProc(const Words& words) {
  if (unshare(CLONE_NEWNS) != 0 || mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("none", "/proc", "tmpfs", MS_RDONLY, nullptr) != 0) {
    return kCannot;
  }
  const Words rest(words.begin() + 1, words.end());
  execv(rest[0].c_str(), Pointers(rest).data());
  return 127;
}

// read-only FOLDER WORDS...: WORDS where nothing in FOLDER can be written.
int ReadOnly(const Words& words) {
  const char* folder = words.at(1).c_str();
  if (unshare(CLONE_NEWNS) != 0 || mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount(folder, folder, nullptr, MS_BIND, nullptr) != 0 ||
      mount("", folder, nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) != 0) {
    return kCannot;
  }
  const Words rest(words.begin() + 2, words.end());
  execv(rest[0].c_str(), Pointers(rest).data());
  return 127;
}

struct Act {
  const char* name;
  int (*run)(const Words&);
};

constexpr Act kActs[] = {
    {"hold", Hold},
    {"try", Try},
    {"vfork", Vfork},
    {"exec", Exec},
    {"spawn", Spawn},
    {"clone", Clone},
    {"threads", Threads},
    {"close", CloseAll},
    {"pid", WithPid},
    {"namespace", InNamespace},
    {"without-proc", WithoutProc},
    {"read-only", ReadOnly},
};

}  // namespace

int main(int argc, char** argv) {
  const Words words(argv + 1, argv + argc);
  for (const Act& act : kActs) {
    if (!words.empty() && words[0] == act.name) return act.run(words);
  }
  return 2;
}
