// SPDX-License-Identifier: Apache-2.0

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>

#include "region/os.h"

#ifndef F_OFD_GETLK
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#endif
#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

namespace hami::os {
namespace {

#if defined(__x86_64__)
long Call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
  long result;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
long Call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = a;
  register long x1 asm("x1") = b;
  register long x2 asm("x2") = c;
  register long x3 asm("x3") = d;
  register long x4 asm("x4") = e;
  register long x5 asm("x5") = f;
  asm volatile("svc #0"
               : "+r"(x0)
               : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
               : "memory");
  return x0;
}
#else
#error "hami runs on x86-64 and aarch64"
#endif

long Pointer(const void* address) { return reinterpret_cast<long>(address); }

#ifdef __SANITIZE_THREAD__
// Only in tests: the sanitizer must learn that memory at an old address is new, so libc reserves
// it. It must not see the descriptor, of which it has seen neither open nor close.
long Map(size_t bytes, int flags, int fd) {
  void* const fresh = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (fresh == MAP_FAILED) return -errno;
  return Call(SYS_mmap, Pointer(fresh), static_cast<long>(bytes), PROT_READ | PROT_WRITE,
              flags | MAP_FIXED, fd, 0);
}
#else
long Map(size_t bytes, int flags, int fd) {
  return Call(SYS_mmap, 0, static_cast<long>(bytes), PROT_READ | PROT_WRITE, flags, fd, 0);
}
#endif

void* MapResult(long result) {
  return result < 0 && result > -4096 ? nullptr : reinterpret_cast<void*>(result);
}

struct flock LockRequest(short type, int64_t offset, int64_t bytes) {
  struct flock request = {};
  request.l_type = type;
  request.l_whence = SEEK_SET;
  request.l_start = offset;
  request.l_len = bytes;
  return request;
}

void FillInfo(const struct stat& from, FileInfo* info) {
  info->device = from.st_dev;
  info->inode = from.st_ino;
  info->bytes = from.st_size;
  info->regular = S_ISREG(from.st_mode);
}

}  // namespace

int Open(const char* path, int flags, int mode) {
  return static_cast<int>(
      Call(SYS_openat, AT_FDCWD, Pointer(path), flags | O_CLOEXEC | O_NOCTTY, mode));
}

int Close(int fd) { return static_cast<int>(Call(SYS_close, fd)); }

int64_t Read(int fd, void* buffer, size_t bytes) {
  return Call(SYS_read, fd, Pointer(buffer), static_cast<long>(bytes));
}

int64_t Write(int fd, const void* buffer, size_t bytes) {
  return Call(SYS_write, fd, Pointer(buffer), static_cast<long>(bytes));
}

int Truncate(int fd, int64_t bytes) { return static_cast<int>(Call(SYS_ftruncate, fd, bytes)); }

int Reserve(int fd, int64_t offset, int64_t bytes) {
  long result = 0;
  do {
    result = Call(SYS_fallocate, fd, 0, offset, bytes);
  } while (result == -EINTR);
  // Whatever else a file system or a filter of system calls answers, the file may work.
  return result == -ENOSPC || result == -EDQUOT ? static_cast<int>(result) : 0;
}

int ChangeMode(int fd, int mode) { return static_cast<int>(Call(SYS_fchmod, fd, mode)); }

int Stat(int fd, FileInfo* info) {
  struct stat raw;
  const long result = Call(SYS_fstat, fd, Pointer(&raw));
  if (result == 0) FillInfo(raw, info);
  return static_cast<int>(result);
}

int StatPath(const char* path, FileInfo* info) {
  struct stat raw;
  const long result = Call(SYS_newfstatat, AT_FDCWD, Pointer(path), Pointer(&raw), 0);
  if (result == 0) FillInfo(raw, info);
  return static_cast<int>(result);
}

int64_t ReadDirectory(int fd, void* buffer, size_t bytes) {
  return Call(SYS_getdents64, fd, Pointer(buffer), static_cast<long>(bytes));
}

int VisitDirectory(const char* path, bool (*visit)(void* context, const char* name),
                   void* context) {
  const int fd = Open(path, kRead | kDirectory, 0);
  if (fd < 0) return fd;
  alignas(8) char buffer[4096];
  int64_t filled = 0;
  bool more = true;
  while (more && (filled = ReadDirectory(fd, buffer, sizeof(buffer))) > 0) {
    // linux_dirent64: inode 8, offset 8, record length 2, type 1, name.
    for (int64_t at = 0; more && at < filled;) {
      uint16_t length;
      __builtin_memcpy(&length, buffer + at + 16, sizeof(length));
      const char* name = buffer + at + 19;
      const bool dots = name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0));
      if (!dots) more = visit(context, name);
      at += length;
    }
  }
  Close(fd);
  return filled < 0 ? static_cast<int>(filled) : 0;
}

void* MapShared(int fd, size_t bytes) { return MapResult(Map(bytes, MAP_SHARED, fd)); }

void* MapAnonymous(size_t bytes) {
  return MapResult(Map(bytes, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1));
}

void* MapWipedOnFork(size_t bytes, bool* supported) {
  void* address = MapAnonymous(bytes);
  *supported = address != nullptr &&
               Call(SYS_madvise, Pointer(address), static_cast<long>(bytes), MADV_WIPEONFORK) == 0;
  return address;
}

void Unmap(void* address, size_t bytes) {
  Call(SYS_munmap, Pointer(address), static_cast<long>(bytes));
}

LockResult TryLock(int fd, int64_t offset) {
  struct flock request = LockRequest(F_WRLCK, offset, 1);
  const long result = Call(SYS_fcntl, fd, F_OFD_SETLK, Pointer(&request));
  if (result == 0) return LockResult::kLocked;
  return result == -EAGAIN || result == -EACCES ? LockResult::kBusy : LockResult::kUnsupported;
}

LockResult QueryLock(int fd, int64_t offset, int64_t bytes) {
  struct flock request = LockRequest(F_WRLCK, offset, bytes);
  if (Call(SYS_fcntl, fd, F_OFD_GETLK, Pointer(&request)) != 0) return LockResult::kUnsupported;
  return request.l_type == F_UNLCK ? LockResult::kLocked : LockResult::kBusy;
}

void Unlock(int fd, int64_t offset) {
  struct flock request = LockRequest(F_UNLCK, offset, 1);
  Call(SYS_fcntl, fd, F_OFD_SETLK, Pointer(&request));
}

uint64_t NowNs() {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);  // GLIBC_2.17, the vDSO: about 20 ns instead of 200
  return static_cast<uint64_t>(now.tv_sec) * 1000000000U + static_cast<uint64_t>(now.tv_nsec);
}

uint64_t WallSeconds() {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return static_cast<uint64_t>(now.tv_sec);
}

void SleepUntil(uint64_t monotonic_ns) {
  struct timespec until;
  until.tv_sec = static_cast<time_t>(monotonic_ns / 1000000000U);
  until.tv_nsec = static_cast<long>(monotonic_ns % 1000000000U);
  Call(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, Pointer(&until), 0);
}

void Yield() { Call(SYS_sched_yield); }

int ProcessId() { return static_cast<int>(Call(SYS_getpid)); }

int ThreadId() { return static_cast<int>(Call(SYS_gettid)); }

int ConnectUnix(const char* path) {
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  size_t length = 0;
  while (path[length] != 0 && length + 1 < sizeof(address.sun_path)) {
    address.sun_path[length] = path[length];
    ++length;
  }
  if (path[length] != 0) return -ENAMETOOLONG;
  const int fd = static_cast<int>(Call(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (fd < 0) return fd;
  // The agent answers at once or not at all: a bounded wait keeps a stuck agent from hanging us.
  const struct timeval timeout = {.tv_sec = 1, .tv_usec = 0};
  Call(SYS_setsockopt, fd, SOL_SOCKET, SO_RCVTIMEO, Pointer(&timeout), sizeof(timeout));
  Call(SYS_setsockopt, fd, SOL_SOCKET, SO_SNDTIMEO, Pointer(&timeout), sizeof(timeout));
  const long result = Call(SYS_connect, fd, Pointer(&address), sizeof(address));
  if (result < 0) {
    Close(fd);
    return static_cast<int>(result);
  }
  return fd;
}

}  // namespace hami::os
