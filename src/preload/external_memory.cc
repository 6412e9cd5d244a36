// SPDX-License-Identifier: Apache-2.0
//
// Imported memory. The driver was not asked for it through CUDA: another interface has taken it of
// the device, in this process or in another one, and there is no limit on that. It counts for the
// slice when it is imported, by the size that the program states, for from then on this process
// keeps it; it is given back when the import, and every buffer and array on it, are gone. Two
// imports of one piece count twice: a descriptor does not tell what it stands for.

#include "preload/external_memory.h"

#include <atomic>

#include "preload/contexts.h"
#include "preload/devices.h"
#include "preload/driver.h"
#include "preload/process.h"
#include "preload/table.h"

namespace hami::preload {
namespace {

using region::ChargeKind;

struct ExternalMemory {
  uint64_t key;
  uint64_t bytes;
  uint64_t context;
  uint32_t references;
  int32_t ordinal;
};
constinit Table<ExternalMemory> memories;
constinit Table<ExternalReference> references;
constinit std::atomic<uint64_t> last_key = 0;  // 0: nothing was ever imported

bool Keep(uint64_t memory) {
  return memories.Edit(memory, [](ExternalMemory& entry) {
    ++entry.references;
    return Table<ExternalMemory>::Verdict::kKeep;
  });
}

CUresult ImportCharged(const CurrentDevice& current, CUcontext context, CUexternalMemory* handle,
                       const CUDA_EXTERNAL_MEMORY_HANDLE_DESC& desc) {
  Device& device = *current.device;
  const uint64_t page = device.page_bytes;
  if (desc.size > UINT64_MAX - page) return CUDA_ERROR_INVALID_VALUE;
  const uint64_t bytes = (desc.size + page - 1) / page * page;
  if (!Charge(device, bytes, ChargeKind::kData)) return CUDA_ERROR_OUT_OF_MEMORY;
  const CUresult result = cuda.cuImportExternalMemory(handle, &desc);
  if (result != CUDA_SUCCESS) {
    Refund(device, bytes, ChargeKind::kData);
    return result;
  }
  // Without room for the entries the charge stays until the process ends.
  const uint64_t memory = ++last_key;
  memories.Insert({memory, bytes, reinterpret_cast<uint64_t>(context), 1, current.ordinal});
  references.Insert({reinterpret_cast<uint64_t>(*handle), memory});
  return result;
}

// What is mapped keeps the memory as the import does.
template <typename Call>
CUresult Map(CUexternalMemory handle, const Call& call) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  ExternalReference import;
  uint64_t mapping = 0;
  const CUresult result = call(&mapping);
  if (result != CUDA_SUCCESS || EnterCuda() != Mode::kLimit || mapping == 0) return result;
  // The reference first: should the mapping not be remembered, the charge stays until the end.
  if (references.Find(reinterpret_cast<uint64_t>(handle), &import) && Keep(import.memory)) {
    references.Insert({mapping, import.memory});
  }
  return result;
}

}  // namespace

bool TakeExternal(uint64_t key, ExternalReference* reference) {
  return key != 0 && last_key.load(std::memory_order_relaxed) != 0 &&
         references.Take(key, reference);
}

void DropExternal(const ExternalReference& reference) {
  ExternalMemory gone = {};
  memories.Edit(reference.memory, [&](ExternalMemory& entry) {
    if (--entry.references != 0) return Table<ExternalMemory>::Verdict::kKeep;
    gone = entry;
    return Table<ExternalMemory>::Verdict::kRemove;
  });
  if (gone.bytes != 0) Refund(*DeviceOfOrdinal(gone.ordinal), gone.bytes, ChargeKind::kData);
}

void RestoreExternal(const ExternalReference& reference) { references.Insert(reference); }

void ForgetExternalsOf(CUcontext context) {
  if (last_key.load(std::memory_order_relaxed) == 0) return;
  references.VisitAll([=](const ExternalReference& seen) {
    ExternalMemory memory;
    ExternalReference taken;
    if (memories.Find(seen.memory, &memory) &&
        memory.context == reinterpret_cast<uint64_t>(context) && TakeExternal(seen.key, &taken)) {
      DropExternal(taken);
    }
  });
}

void ResetExternalAfterFork() {
  memories.ResetAfterFork();
  references.ResetAfterFork();
}

}  // namespace hami::preload

using namespace hami::preload;

extern "C" {

HAMI_EXPORT CUresult cuImportExternalMemory(CUexternalMemory* handle,
                                            const CUDA_EXTERNAL_MEMORY_HANDLE_DESC* desc) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  CurrentDevice current;
  CUcontext context = nullptr;
  const Mode mode = PrepareAllocation(&current);
  if (mode == Mode::kRefuse) return CUDA_ERROR_OUT_OF_MEMORY;
  if (mode != Mode::kLimit || handle == nullptr || desc == nullptr || desc->size == 0 ||
      cuda.cuCtxGetCurrent(&context) != CUDA_SUCCESS) {
    return cuda.cuImportExternalMemory(handle, desc);
  }
  return ImportCharged(current, PrimaryIfGreen(context, current.ordinal), handle, *desc);
}

HAMI_EXPORT CUresult cuExternalMemoryGetMappedBuffer(CUdeviceptr* pointer, CUexternalMemory handle,
                                                     const CUDA_EXTERNAL_MEMORY_BUFFER_DESC* desc) {
  return Map(handle, [=](uint64_t* mapping) {
    const CUresult result = cuda.cuExternalMemoryGetMappedBuffer(pointer, handle, desc);
    if (result == CUDA_SUCCESS && pointer != nullptr) *mapping = *pointer;
    return result;
  });
}

HAMI_EXPORT CUresult
cuExternalMemoryGetMappedMipmappedArray(CUmipmappedArray* array, CUexternalMemory handle,
                                        const CUDA_EXTERNAL_MEMORY_MIPMAPPED_ARRAY_DESC* desc) {
  return Map(handle, [=](uint64_t* mapping) {
    const CUresult result = cuda.cuExternalMemoryGetMappedMipmappedArray(array, handle, desc);
    if (result == CUDA_SUCCESS && array != nullptr) *mapping = reinterpret_cast<uint64_t>(*array);
    return result;
  });
}

HAMI_EXPORT CUresult cuDestroyExternalMemory(CUexternalMemory handle) {
  if (!BindCuda()) return CUDA_ERROR_NOT_INITIALIZED;
  return FreeExternal(reinterpret_cast<uint64_t>(handle),
                      [=] { return cuda.cuDestroyExternalMemory(handle); });
}

}  // extern "C"
