// SPDX-License-Identifier: Apache-2.0
//
// A program that finds the driver in one way and asks it for memory. Built against other C
// libraries than this machine's (test_libcs.py), so it uses nothing but libc and declares what it
// calls itself.
//
//   probe WAY BYTES...    linked, opened, default, next: see Find
//   probe threads BYTES   four threads that start together, each on its own way through cuInit
//
// Prints the memory that it sees and the result of every allocation, then holds them until its
// input ends.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int Init(unsigned);
typedef int Retain(void** context, int device);
typedef int SetCurrent(void* context);
typedef int GetInfo(size_t* free_bytes, size_t* total_bytes);
typedef int Allocate(unsigned long long* pointer, size_t bytes);

#ifdef PROBE_LINKED
Init cuInit;
Retain cuDevicePrimaryCtxRetain;
SetCurrent cuCtxSetCurrent;
GetInfo cuMemGetInfo_v2;
Allocate cuMemAlloc_v2;
#endif

static void* FindLinked(const char* name) {
#ifdef PROBE_LINKED
  if (strcmp(name, "cuInit") == 0) return (void*)cuInit;
  if (strcmp(name, "cuDevicePrimaryCtxRetain") == 0) return (void*)cuDevicePrimaryCtxRetain;
  if (strcmp(name, "cuCtxSetCurrent") == 0) return (void*)cuCtxSetCurrent;
  if (strcmp(name, "cuMemGetInfo_v2") == 0) return (void*)cuMemGetInfo_v2;
  if (strcmp(name, "cuMemAlloc_v2") == 0) return (void*)cuMemAlloc_v2;
#endif
  (void)name;
  return NULL;
}

static void* Find(const char* way, const char* name) {
  void* found = NULL;
  if (strcmp(way, "linked") == 0) {
    found = FindLinked(name);
  } else if (strcmp(way, "default") == 0) {
    found = dlsym(RTLD_DEFAULT, name);
  } else if (strcmp(way, "next") == 0) {
    found = dlsym(RTLD_NEXT, name);
  } else {
    void* driver = dlopen("libcuda.so.1", RTLD_NOW);
    if (driver == NULL) {
      fprintf(stderr, "probe: %s\n", dlerror());
      exit(1);
    }
    found = dlsym(driver, name);
  }
  if (found == NULL) {
    fprintf(stderr, "probe: no %s\n", name);
    exit(1);
  }
  return found;
}

static void Must(int result, const char* what) {
  if (result == 0) return;
  fprintf(stderr, "probe: %s: %d\n", what, result);
  exit(1);
}

static void Begin(const char* way) {
  void* context = NULL;
  Must(((Init*)Find(way, "cuInit"))(0), "cuInit");
  Must(((Retain*)Find(way, "cuDevicePrimaryCtxRetain"))(&context, 0), "retain");
  Must(((SetCurrent*)Find(way, "cuCtxSetCurrent"))(context), "set current");
}

static pthread_barrier_t barrier;
static size_t thread_bytes;

static void* RunThread(void* result) {
  unsigned long long pointer = 0;
  pthread_barrier_wait(&barrier);
  Begin("opened");
  *(int*)result = ((Allocate*)Find("opened", "cuMemAlloc_v2"))(&pointer, thread_bytes);
  return NULL;
}

static void RunThreads(size_t bytes) {
  enum { kThreads = 4 };
  pthread_t threads[kThreads];
  int results[kThreads];
  int got = 0;
  thread_bytes = bytes;
  pthread_barrier_init(&barrier, NULL, kThreads);
  for (int i = 0; i < kThreads; ++i) pthread_create(&threads[i], NULL, RunThread, &results[i]);
  for (int i = 0; i < kThreads; ++i) {
    pthread_join(threads[i], NULL);
    got += results[i] == 0;
  }
  printf("threads got=%d of=%d\n", got, kThreads);
}

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  if (strcmp(argv[1], "threads") == 0) {
    RunThreads(strtoull(argv[2], NULL, 10));
  } else {
    size_t free_bytes = 0;
    size_t total_bytes = 0;
    Begin(argv[1]);
    Must(((GetInfo*)Find(argv[1], "cuMemGetInfo_v2"))(&free_bytes, &total_bytes), "info");
    printf("total_mib=%zu\n", total_bytes >> 20);
    for (int i = 2; i < argc; ++i) {
      unsigned long long pointer = 0;
      Allocate* allocate = (Allocate*)Find(argv[1], "cuMemAlloc_v2");
      printf("alloc %s %d\n", argv[i], allocate(&pointer, strtoull(argv[i], NULL, 10)));
    }
  }
  printf("holding\n");
  fflush(stdout);
  while (getchar() != EOF) {
  }
  return 0;
}
