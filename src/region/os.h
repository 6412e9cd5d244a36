// SPDX-License-Identifier: Apache-2.0
//
// The only door to the operating system for code that is injected into tenants (src/region core and
// src/preload). Every function is one system call made directly, so that no libc symbol with a new
// version is needed, errno of the application is never touched, and nothing of libc that the
// application may have replaced is called. A negative result is -errno. All are safe in a signal
// handler and between fork and exec.

#pragma once

#include <cstddef>
#include <cstdint>

namespace hami::os {

inline constexpr int kErrAgain = 11;
inline constexpr int kErrAccess = 13;
inline constexpr int kErrExists = 17;
inline constexpr int kErrInvalid = 22;
inline constexpr int kErrNoEntry = 2;
inline constexpr int kErrInterrupted = 4;

enum OpenFlags : int { kRead = 0, kReadWrite = 2, kCreate = 0100, kDirectory = 0200000 };

// Every descriptor is opened close-on-exec.
int Open(const char* path, int flags, int mode);
int Close(int fd);
int64_t Read(int fd, void* buffer, size_t bytes);
int64_t Write(int fd, const void* buffer, size_t bytes);
int Truncate(int fd, int64_t bytes);
// Gives a part of a file the disk space that a mapping of it needs: without it, a write to memory
// on a full file system ends the process with SIGBUS. 0 unless the disk is full.
int Reserve(int fd, int64_t offset, int64_t bytes);
int ChangeMode(int fd, int mode);

struct FileInfo {
  uint64_t device;
  uint64_t inode;
  int64_t bytes;
  bool regular;
};
int Stat(int fd, FileInfo* info);
int StatPath(const char* path, FileInfo* info);

// getdents64: fills `buffer` with raw directory records; 0 at the end.
int64_t ReadDirectory(int fd, void* buffer, size_t bytes);
// Calls `visit` for each name in a directory (not "." and ".."); stops early when it returns false.
int VisitDirectory(const char* path, bool (*visit)(void* context, const char* name), void* context);

// Memory. nullptr on failure.
void* MapShared(int fd, size_t bytes);                // read and write
void* MapAnonymous(size_t bytes);                     // private, zeroed
void* MapWipedOnFork(size_t bytes, bool* supported);  // private; reads as zero in a forked child
void Unmap(void* address, size_t bytes);

// Open-file-description locks on one byte (fcntl F_OFD_SETLK/F_OFD_GETLK, Linux 3.15). Owned by the
// open file, not the process: inherited by fork, dropped when the last descriptor and the last
// mapping of that open file are gone (tests/component/preload/liveness).
enum class LockResult { kLocked, kBusy, kUnsupported };
LockResult TryLock(int fd, int64_t offset);
LockResult QueryLock(int fd, int64_t offset, int64_t bytes);  // kLocked: nobody holds any of them
void Unlock(int fd, int64_t offset);

// Time, CLOCK_MONOTONIC, nanoseconds. NowNs goes through the vDSO when libc offers it.
uint64_t NowNs();
uint64_t WallSeconds();
void SleepUntil(uint64_t monotonic_ns);  // returns early only for a signal
void Yield();

int ProcessId();
int ThreadId();

// A connected AF_UNIX stream socket, or -errno.
int ConnectUnix(const char* path);

}  // namespace hami::os
