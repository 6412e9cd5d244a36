// SPDX-License-Identifier: Apache-2.0

#include "simgpu/state/os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace hami::simgpu::os {
namespace {

constexpr uint64_t kNsPerS = 1'000'000'000;
#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

constexpr size_t kPageBytes = 4096;
// The end of a process' addresses.
#if defined(__x86_64__)
constexpr uintptr_t kAddressEnd = 0x7fff'ffff'f000;
#else
constexpr uintptr_t kAddressEnd = uintptr_t{1} << 48;
#endif

uint64_t ReadClock(clockid_t clock) {
  timespec time = {};
  clock_gettime(clock, &time);
  return static_cast<uint64_t>(time.tv_sec) * kNsPerS + static_cast<uint64_t>(time.tv_nsec);
}

timespec ToTimespec(uint64_t ns) {
  return {static_cast<time_t>(ns / kNsPerS), static_cast<long>(ns % kNsPerS)};
}

// glibc 2.33 gave fstat a symbol of its own; the system call has been there always.
int StatFile(int fd, struct stat* info) {
#if defined(SYS_fstat)
  return static_cast<int>(syscall(SYS_fstat, fd, info));
#else
  return static_cast<int>(syscall(SYS_newfstatat, fd, "", info, AT_EMPTY_PATH));
#endif
}

struct flock ByteLock(short type, int64_t offset) {
  struct flock lock = {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = offset;
  lock.l_len = 1;
  return lock;
}

}  // namespace

uint64_t NowNs() { return ReadClock(CLOCK_MONOTONIC); }
uint64_t WallUs() { return ReadClock(CLOCK_REALTIME) / 1000; }

void SleepUntil(uint64_t monotonic_ns) {
  const timespec until = ToTimespec(monotonic_ns);
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) == EINTR) {
  }
}

void FutexWait(uint32_t* word, uint32_t value, uint64_t timeout_ns) {
  const timespec timeout = ToTimespec(timeout_ns);
  syscall(SYS_futex, word, FUTEX_WAIT, value, &timeout, nullptr, 0);
}

void FutexWake(uint32_t* word, int count) {
  syscall(SYS_futex, word, FUTEX_WAKE, count, nullptr, nullptr, 0);
}

int OpenReadWrite(const char* path) { return open(path, O_RDWR | O_CLOEXEC); }
void Close(int fd) { close(fd); }

bool FileIdentity(int fd, uint64_t* device, uint64_t* inode, uint64_t* bytes) {
  struct stat info = {};
  if (StatFile(fd, &info) != 0 || !S_ISREG(info.st_mode)) return false;
  *device = info.st_dev;
  *inode = info.st_ino;
  *bytes = static_cast<uint64_t>(info.st_size);
  return true;
}

bool IsSameFile(int fd, uint64_t device, uint64_t inode) {
  uint64_t found_device = 0;
  uint64_t found_inode = 0;
  uint64_t bytes = 0;
  return FileIdentity(fd, &found_device, &found_inode, &bytes) && found_device == device &&
         found_inode == inode;
}

void* MapShared(int fd, size_t bytes) {
  void* mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return mapped == MAP_FAILED ? nullptr : mapped;
}

void* MapOnTop(int fd) {
  constexpr int kTries = 64;  // the kernel's own pages may lie there
  for (int i = 1; i <= kTries; ++i) {
    // Pages may be larger than 4 KiB on some kernels.
    auto* wanted = reinterpret_cast<void*>(kAddressEnd - static_cast<size_t>(i) * 16 * kPageBytes);
    void* mapped = mmap(wanted, kPageBytes, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
    if (mapped == wanted) return mapped;
    // A kernel without the flag takes the address for a hint.
    if (mapped != MAP_FAILED) munmap(mapped, kPageBytes);
  }
  void* mapped = mmap(nullptr, kPageBytes, PROT_READ, MAP_SHARED, fd, 0);
  return mapped == MAP_FAILED ? nullptr : mapped;
}

void* MapSharedNotForked(int fd, size_t bytes) {
  void* mapped = MapShared(fd, bytes);
  if (mapped != nullptr) madvise(mapped, bytes, MADV_DONTFORK);
  return mapped;
}

void* MapPrivate(size_t bytes, bool writable) {
  void* mapped = mmap(nullptr, bytes, writable ? PROT_READ | PROT_WRITE : PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  // Neither in core dumps nor, for the sparse part, in huge pages.
  madvise(mapped, bytes, MADV_DONTDUMP);
  madvise(mapped, bytes, MADV_NOHUGEPAGE);
  return mapped;
}

void Unmap(void* address, size_t bytes) { munmap(address, bytes); }

bool MapSharedAt(void* address, int fd, size_t bytes) {
  return mmap(address, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED;
}

void MapPrivateAt(void* address, size_t bytes) {
  mmap(address, bytes, PROT_READ | PROT_WRITE,
       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

int MakeFile(const char* path, uint64_t bytes) {
  const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) return -1;
  // Containers with other users attach to the machine too.
  fchmod(fd, 0666);
  if (ftruncate(fd, static_cast<off_t>(bytes)) == 0) return fd;
  close(fd);
  return -1;
}

void RemoveFile(const char* path) { unlink(path); }

void WriteAt(int fd, const void* from, size_t bytes, uint64_t offset) {
  const auto* at = static_cast<const char*>(from);
  while (bytes > 0) {
    const ssize_t wrote = pwrite(fd, at, bytes, static_cast<off_t>(offset));
    if (wrote <= 0) return;
    at += wrote;
    offset += static_cast<uint64_t>(wrote);
    bytes -= static_cast<size_t>(wrote);
  }
}

void SetPosition(int fd, int64_t position) { lseek(fd, position, SEEK_SET); }
int64_t Position(int fd) { return lseek(fd, 0, SEEK_CUR); }
void Discard(void* address, size_t bytes) { madvise(address, bytes, MADV_DONTNEED); }

bool TryLock(int fd, int64_t offset) {
  struct flock lock = ByteLock(F_WRLCK, offset);
  return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

bool TryLockWithOthers(int fd, int64_t offset) {
  struct flock lock = ByteLock(F_RDLCK, offset);
  return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

void ReleaseLock(int fd, int64_t offset) {
  struct flock lock = ByteLock(F_UNLCK, offset);
  fcntl(fd, F_OFD_SETLK, &lock);
}

bool IsLocked(int fd, int64_t offset) {
  struct flock lock = ByteLock(F_WRLCK, offset);
  // When in doubt somebody is alive: nothing is taken away from a living process.
  return fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

uint32_t* MapWipedOnFork() {
  void* page = MapPrivate(4096, true);
  if (page == nullptr) return nullptr;
  if (madvise(page, 4096, MADV_WIPEONFORK) != 0) {
    Unmap(page, 4096);
    return nullptr;
  }
  return static_cast<uint32_t*>(page);
}

int ProcessId() { return getpid(); }

namespace {

// The PIDs of a process, from the outermost namespace that this /proc shows to its own.
void ReadPids(const char* process, int* outer, int* inner) {
  *outer = *inner = 0;
  char path[64];
  snprintf(path, sizeof(path), "/proc/%s/status", process);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  char text[4096];
  const ssize_t length = read(fd, text, sizeof(text) - 1);
  close(fd);
  if (length <= 0) return;
  text[length] = 0;
  const char* at = strstr(text, "\nNSpid:");
  if (at == nullptr) return;
  at += strlen("\nNSpid:");
  while (*at == ' ' || *at == '\t') {
    ++at;
    int pid = 0;
    for (; *at >= '0' && *at <= '9'; ++at) pid = pid * 10 + (*at - '0');
    if (pid == 0) return;
    if (*outer == 0) *outer = pid;
    *inner = pid;
  }
}

// "pid:[4026531836]"
uint32_t ReadNamespace(const char* process) {
  char path[64];
  char target[64] = {};
  snprintf(path, sizeof(path), "/proc/%s/ns/pid", process);
  if (readlink(path, target, sizeof(target) - 1) <= 0) return 0;
  const char* digits = strchr(target, '[');
  return digits == nullptr ? 0 : static_cast<uint32_t>(strtoul(digits + 1, nullptr, 10));
}

}  // namespace

int OuterProcessId() {
  int outer = 0;
  int inner = 0;
  ReadPids("self", &outer, &inner);
  return outer > 0 ? outer : getpid();
}

uint32_t PidNamespace(int pid) {
  if (pid == 0) return ReadNamespace("self");
  char process[16];
  snprintf(process, sizeof(process), "%d", pid);
  return ReadNamespace(process);
}

int FindProcess(uint32_t pid_namespace, int inner_pid) {
  DIR* processes = opendir("/proc");
  if (processes == nullptr) return 0;
  int found = 0;
  while (const dirent* entry = readdir(processes)) {
    if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
    if (ReadNamespace(entry->d_name) != pid_namespace) continue;
    int outer = 0;
    int inner = 0;
    ReadPids(entry->d_name, &outer, &inner);
    if (inner != inner_pid) continue;
    found = atoi(entry->d_name);
    break;
  }
  closedir(processes);
  return found;
}

}  // namespace hami::simgpu::os
