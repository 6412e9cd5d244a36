// SPDX-License-Identifier: Apache-2.0
//
// What the simulated drivers need of the operating system. They are injected into tenants, so only
// libc functions that every glibc from 2.17 on has (tools/check_abi_floor). Thread-safe.

#pragma once

#include <stddef.h>
#include <stdint.h>

namespace hami::simgpu::os {

uint64_t NowNs();   // CLOCK_MONOTONIC
uint64_t WallUs();  // CLOCK_REALTIME
void SleepUntil(uint64_t monotonic_ns);

// Sleeps while *word is `value`, at most timeout_ns; works between processes.
void FutexWait(uint32_t* word, uint32_t value, uint64_t timeout_ns);
void FutexWake(uint32_t* word, int count);

int OpenReadWrite(const char* path);  // close-on-exec; -1
void Close(int fd);
bool IsSameFile(int fd, uint64_t device, uint64_t inode);
bool FileIdentity(int fd, uint64_t* device, uint64_t* inode, uint64_t* bytes);

void* MapShared(int fd, size_t bytes);           // read and write; nullptr
void* MapSharedNotForked(int fd, size_t bytes);  // a forked child has no such mapping
// One page of the file above everything else that is mapped, where there is room; nullptr: nowhere.
void* MapOnTop(int fd);
void* MapPrivate(size_t bytes, bool writable);  // reserves addresses, takes no memory; nullptr
void Unmap(void* address, size_t bytes);
// A file, or fresh zeroes, in the place of what is mapped there.
bool MapSharedAt(void* address, int fd, size_t bytes);
void MapPrivateAt(void* address, size_t bytes);
// A file of so many bytes, which takes no room yet; -1. Close-on-exec.
int MakeFile(const char* path, uint64_t bytes);
void RemoveFile(const char* path);
void WriteAt(int fd, const void* from, size_t bytes, uint64_t offset);
// Where the open file stands: shared by whoever shares it.
void SetPosition(int fd, int64_t position);
int64_t Position(int fd);
void Discard(void* address, size_t bytes);  // reads as zero again

// Locks on one byte that belong to the open file (F_OFD_SETLK).
bool TryLock(int fd, int64_t offset);
bool TryLockWithOthers(int fd, int64_t offset);  // as many as like
void ReleaseLock(int fd, int64_t offset);
bool IsLocked(int fd, int64_t offset);  // by another open file

// A page that reads 0 in a forked child (MADV_WIPEONFORK); nullptr where the kernel cannot.
uint32_t* MapWipedOnFork();

int ProcessId();
// The first number of NSpid in /proc/self/status, which is the PID in the outermost namespace that
// this /proc shows; getpid() where there is none.
int OuterProcessId();
// Inode of the PID namespace of a process, 0 for the caller's own; 0 if it cannot be had.
uint32_t PidNamespace(int pid);
// The process that is `inner_pid` in that namespace, as this /proc shows it; 0: it does not.
int FindProcess(uint32_t pid_namespace, int inner_pid);

}  // namespace hami::simgpu::os
