// SPDX-License-Identifier: Apache-2.0
//
// Memory of another interface. A file in memory stands for it on the simulation; on a GPU the
// driver refuses that, and only the refusals can be seen.

#include <sys/mman.h>
#include <unistd.h>

#include "tests/conformance/cases.h"

namespace hami::conformance {
namespace {

constexpr const CUDA_EXTERNAL_MEMORY_HANDLE_DESC* kNoDesc = nullptr;

CUDA_EXTERNAL_MEMORY_HANDLE_DESC Opaque(int fd, size_t bytes) {
  CUDA_EXTERNAL_MEMORY_HANDLE_DESC desc = {};
  desc.type = CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD;
  desc.handle.fd = fd;
  desc.size = bytes;
  return desc;
}

CUresult Import(CUexternalMemory* external, const CUDA_EXTERNAL_MEMORY_HANDLE_DESC& desc) {
  return Cu("cuImportExternalMemory", external, &desc);
}

// A file in memory, imported; skips where the driver refuses such a thing.
CUexternalMemory ImportFile(size_t bytes) {
  const int fd = memfd_create("conformance", MFD_CLOEXEC);
  CHECK(fd >= 0 && ftruncate(fd, static_cast<off_t>(bytes)) == 0);
  CUexternalMemory external = nullptr;
  if (Import(&external, Opaque(fd, bytes)) != CUDA_SUCCESS) Skip("a plain file is not accepted");
  return external;
}

CASE(external_refusals, "Driver API, External Resource Interoperability: invalid arguments") {
  Start();
  CUexternalMemory external = nullptr;
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuImportExternalMemory", &external, kNoDesc);
  const size_t before = FreeBytes();
  CHECK(Import(&external, Opaque(-1, kMib)) != CUDA_SUCCESS);
  CHECK(FreeBytes() == before);
}

CASE(external_lifetime, "Driver API, cuDestroyExternalMemory: buffers are freed by cuMemFree") {
  Start();
  const size_t bytes = 8 * kMib;
  const size_t before = FreeBytes();
  const CUexternalMemory external = ImportFile(bytes);
  CUDA_EXTERNAL_MEMORY_BUFFER_DESC desc = {};
  desc.size = bytes;
  const CUDA_EXTERNAL_MEMORY_BUFFER_DESC& whole = desc;
  CUdeviceptr buffer = 0;
  unsigned char seen = 0;
  OK("cuExternalMemoryGetMappedBuffer", &buffer, external, &whole);
  OK("cuMemsetD8_v2", buffer, static_cast<unsigned char>(7), bytes);
  OK("cuMemcpyDtoH_v2", static_cast<void*>(&seen), buffer + bytes - 1, size_t{1});
  CHECK(seen == 7);
  CHECK(before - FreeBytes() == bytes);
  OK("cuDestroyExternalMemory", external);
  CHECK(before - FreeBytes() == bytes);
  OK("cuMemFree_v2", buffer);
  CHECK(FreeBytes() == before);
  GIVES(CUDA_ERROR_INVALID_HANDLE, "cuDestroyExternalMemory", external);
}

CASE(external_levels, "Driver API, cuExternalMemoryGetMappedMipmappedArray") {
  Start();
  const size_t bytes = 8 * kMib;
  const size_t before = FreeBytes();
  const CUexternalMemory external = ImportFile(bytes);
  CUDA_EXTERNAL_MEMORY_MIPMAPPED_ARRAY_DESC desc = {};
  desc.arrayDesc = {1024, 1024, 0, CU_AD_FORMAT_FLOAT, 1, 0};
  desc.numLevels = 3;
  const CUDA_EXTERNAL_MEMORY_MIPMAPPED_ARRAY_DESC& wanted = desc;
  CUmipmappedArray levels = nullptr;
  CUarray level = nullptr;
  OK("cuExternalMemoryGetMappedMipmappedArray", &levels, external, &wanted);
  OK("cuMipmappedArrayGetLevel", &level, levels, 2U);
  CUDA_ARRAY3D_DESCRIPTOR shape = {};
  OK("cuArray3DGetDescriptor_v2", &shape, level);
  CHECK(shape.Width == 256 && shape.Height == 256);
  desc.offset = bytes;
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuExternalMemoryGetMappedMipmappedArray", &levels, external,
        &wanted);
  OK("cuDestroyExternalMemory", external);
  CHECK(before - FreeBytes() == bytes);
  OK("cuMipmappedArrayDestroy", levels);
  CHECK(FreeBytes() == before);
}

}  // namespace
}  // namespace hami::conformance
