// SPDX-License-Identifier: Apache-2.0
//
// What every function of the simulated CUDA driver stands on: the process' state, the lock, handles
// and the current context.
//
// Threading: one lock for the process (Entry takes it), below it the machine's lock (LockGuard) for
// as long as the shared state is touched. Waiting releases both.

#pragma once

#include <stddef.h>
#include <stdint.h>

#include "api/cuda/types.h"
#include "simgpu/state/lock.h"
#include "simgpu/state/machine.h"
#include "simgpu/state/timeline.h"

#define HAMI_SIM_API extern "C" __attribute__((visibility("default")))

namespace hami::simgpu::cuda {

inline constexpr uint64_t kMib = 1 << 20;

enum class Kind : uint32_t {
  kContext = 1,
  kStream,
  kEvent,
  kModule,
  kFunction,
  kLibrary,
  kKernel,
  kPool,
  kPhysical,
  kGraph,
  kNode,
  kExec,
  kArray,
  kMipmap,
  kGreen,
  kDescriptor,
  kExternal,
  kGraphics,
};

struct Context;

// What a handle points to. Objects of a context are in its list and go with it.
struct Object {
  Kind kind;
  Context* owner;
  Object* next;
  Object* previous;
};

struct Stream;

struct Context : Object {
  static constexpr Kind kKind = Kind::kContext;
  uint32_t device;   // of the machine
  CUdevice ordinal;  // as this process numbers it
  uint32_t queue;    // its slot in the shared state
  bool primary;
  unsigned flags;
  uint64_t id;
  uint64_t limits[16];       // by CUlimit
  uint64_t limit_bytes[16];  // what each takes beyond the context's own memory
  int cache_config;
  int shared_config;
  uint32_t next_blocking_lane;
  uint32_t next_free_lane;
  Object* objects;  // first of the list
  Stream* legacy;
  struct SmallChunk* chunks;  // with room, memory.cc
  struct SmallChunk* array_chunks;
  uint64_t module_bytes_left;  // of the 2 MiB that small modules share
  struct Green* green;         // that this stands for (green.h); then nothing else is in it
};

struct Primary {
  Context* context;
  uint32_t references;
  unsigned flags;
};

struct Process {
  Machine machine;
  uint32_t* alive;  // 1 in the process that initialised; 0 in its forked children
  int pid;          // where the kernel has no MADV_WIPEONFORK
  CUresult init_result;
  uint32_t lock;
  uint32_t device_count;
  uint32_t devices[kMaxDevices];  // of the machine, by ordinal
  Primary primaries[kMaxDevices];
  Object* contexts;
  uint64_t next_id;
  int checkpoint_state;  // CUprocessState; calls wait unless it is 0
};
extern Process process;

// The lock of the process; Entry holds it.
void LockProcess();
void UnlockProcess();

// On the thread that calls the program's functions (host_functions.cc), while one runs.
bool IsInHostFunction();
// Some of them have not returned yet.
bool HasHostWork();

inline const DeviceConfig& ConfigOf(uint32_t device) {
  return process.machine.state->config.devices[device];
}
inline const MachineConfig& MachineOf() { return process.machine.state->config; }

// The driver's entry: checks that cuInit was called, in this process, takes the lock, finds the
// current context of the thread. kFreeing: a call that gives memory back, which knows its context
// by the address and needs no current one; numba-cuda ends so.
enum class Need : uint8_t { kInit, kContext, kFreeing, kCheckpoint };
class Entry {
 public:
  explicit Entry(Need need);
  ~Entry();
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

  // Waits for a place of the timeline with the lock released meanwhile.
  void WaitFor(const Place& place);
  void Unlock();
  void Relock();

  CUresult error = CUDA_SUCCESS;
  Context* context = nullptr;  // of a current green context: the primary one

 private:
  void FindContext(Need need);
  void MeetFaults();  // of the context's device

  bool locked_ = false;
};
// Calls of a process that is locked for a checkpoint wait (checkpoint.cc).
void WaitForUnlock(Entry& entry);

#define HAMI_ENTER(need) \
  Entry entry(need);     \
  if (entry.error != CUDA_SUCCESS) return entry.error

// Memory of this process, zeroed. Never null: a process without memory ends here.
void* AllocateZeroed(size_t bytes);
void Deallocate(void* memory);

// Handles. NewObject puts the object into the owner's list; owner nullptr: of the process.
void Register(Object* object, Kind kind, Context* owner);
void Unregister(Object* object);
bool IsLive(const void* handle, Kind kind);

template <typename T>
T* NewObject(Context* owner) {
  T* object = static_cast<T*>(AllocateZeroed(sizeof(T)));
  Register(object, T::kKind, owner);
  return object;
}
template <typename T>
void DeleteObject(T* object) {
  Unregister(object);
  Deallocate(object);
}
template <typename T, typename Handle>
T* Find(Handle handle) {
  auto* object = reinterpret_cast<T*>(handle);
  return IsLive(object, T::kKind) ? object : nullptr;
}

// The thread's stack of current contexts.
Context* Current();
void SetCurrent(Context* context);
bool PushCurrent(Context* context);
bool PopCurrent(Context** context);

// The machine's device of an ordinal of this process; false for a bad one.
bool FindDevice(CUdevice ordinal, uint32_t* device);

// The newest CUDA version that this library belongs to, such as 13000: each flavour's own.
extern const int kLibraryCudaVersion;

// What can be asked before cuInit: zeros where there is no machine. Read once.
struct Glance {
  int cuda_version;  // the machine's; a library newer than its driver (CUDA Compatibility) says its
                     // own
  bool proc_address_aliases;
};
const Glance& GlanceAtMachine();

// Contexts (contexts.cc). Creating costs memory of the device.
CUresult CreateContext(CUdevice ordinal, unsigned flags, bool primary, Context** context);
void DestroyContext(Context* context);
CUresult RetainPrimaryContext(CUdevice ordinal, Context** context);
CUresult ReleasePrimaryContext(CUdevice ordinal);

// What one kind of object does when its context goes; each in the file of the kind.
void DestroyStream(Stream* stream);
void DestroyEvent(struct Event* event);
void DestroyModule(struct Module* module);
void DestroyFunction(struct Function* function);
void DestroyExternal(struct External* external);
void DestroyGraphics(struct Graphics* resource);
void DestroyPool(struct Pool* pool);
void DestroyGraphObject(Object* object);
void DestroyArray(struct Array* array);
void DestroyMipmap(struct Mipmap* mipmap);
void ReleaseContextMemory(Context* context);

// Memory that was unmapped in the order of a stream which has got there by now (sparse_arrays.cc).
void DropUnmapped();

uint64_t RoundUp(uint64_t value, uint64_t step);
bool TextEquals(const char* a, const char* b);
uint64_t ThreadId();

}  // namespace hami::simgpu::cuda
