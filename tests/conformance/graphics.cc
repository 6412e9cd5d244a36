// SPDX-License-Identifier: Apache-2.0
//
// Graphics interoperation. Without a graphics context, as on most GPUs of a cluster, only the
// refusals can be seen; the simulation has a graphics side of its own (api/cuda/simulation.h).

#include "tests/conformance/cases.h"

namespace hami::conformance {
namespace {

constexpr unsigned kAllDevices = 1;  // CU_GL_DEVICE_LIST_ALL
constexpr size_t kBytes = 8 * kMib;
CUstream const kDefault = nullptr;

CASE(graphics_without_context, "Driver API, cuGLGetDevices, cuGraphicsGLRegisterBuffer") {
  Start();
  unsigned count = 0;
  CUdevice device = 0;
  CUgraphicsResource resource = nullptr;
  CHECK(Cu("cuGLGetDevices_v2", &count, &device, 1U, kAllDevices) != CUDA_SUCCESS);
  CHECK(Cu("cuGraphicsGLRegisterBuffer", &resource, 1U, 0U) != CUDA_SUCCESS);
  CHECK(Cu("cuGraphicsGLRegisterImage", &resource, 1U, 0x0de1U, 0U) != CUDA_SUCCESS);
}

// Skips the case where there is no graphics side.
unsigned MakeBuffer() {
  unsigned buffer = 0;
  OK("hamiSimGraphicsBuffer", &buffer, kBytes);
  return buffer;
}

CASE(graphics_buffer, "Driver API, Graphics Interoperability: a buffer is mapped and unmapped") {
  Start();
  const size_t before = FreeBytes();
  const unsigned buffer = MakeBuffer();
  CUgraphicsResource resource = nullptr;
  CUdeviceptr pointer = 0;
  size_t bytes = 0;
  CUarray array = nullptr;
  CHECK(before - FreeBytes() == kBytes);
  OK("cuGraphicsGLRegisterBuffer", &resource, buffer, 0U);
  GIVES(CUDA_ERROR_NOT_MAPPED, "cuGraphicsResourceGetMappedPointer_v2", &pointer, &bytes, resource);
  OK("cuGraphicsMapResources", 1U, &resource, kDefault);
  GIVES(CUDA_ERROR_ALREADY_MAPPED, "cuGraphicsMapResources", 1U, &resource, kDefault);
  OK("cuGraphicsResourceGetMappedPointer_v2", &pointer, &bytes, resource);
  CHECK(bytes == kBytes);
  GIVES(CUDA_ERROR_NOT_MAPPED_AS_ARRAY, "cuGraphicsSubResourceGetMappedArray", &array, resource, 0U,
        0U);
  OK("cuMemsetD8_v2", pointer, static_cast<unsigned char>(7), bytes);
  CHECK(Cu("cuMemFree_v2", pointer) != CUDA_SUCCESS);
  OK("cuGraphicsUnmapResources", 1U, &resource, kDefault);
  GIVES(CUDA_ERROR_NOT_MAPPED, "cuGraphicsUnmapResources", 1U, &resource, kDefault);
  CHECK(before - FreeBytes() == kBytes);
  OK("cuGraphicsUnregisterResource", resource);
  GIVES(CUDA_ERROR_INVALID_HANDLE, "cuGraphicsUnregisterResource", resource);
  CHECK(before - FreeBytes() == kBytes);
  OK("hamiSimGraphicsDelete", buffer);
  CHECK(FreeBytes() == before);
}

CASE(graphics_image, "Driver API, Graphics Interoperability: an image is mapped as arrays") {
  Start();
  CUDA_ARRAY3D_DESCRIPTOR shape = {512, 256, 0, CU_AD_FORMAT_FLOAT, 4, 0};
  const CUDA_ARRAY3D_DESCRIPTOR& made = shape;
  unsigned image = 0;
  const size_t before = FreeBytes();
  OK("hamiSimGraphicsImage", &image, &made, 3U);
  CHECK(FreeBytes() < before);
  CUgraphicsResource resource = nullptr;
  CUarray array = nullptr;
  CUmipmappedArray mipmap = nullptr;
  CUdeviceptr pointer = 0;
  size_t bytes = 0;
  CUDA_ARRAY3D_DESCRIPTOR seen = {};
  OK("cuGraphicsGLRegisterImage", &resource, image, 0x0de1U, 0U);
  OK("cuGraphicsMapResources", 1U, &resource, kDefault);
  GIVES(CUDA_ERROR_NOT_MAPPED_AS_POINTER, "cuGraphicsResourceGetMappedPointer_v2", &pointer, &bytes,
        resource);
  OK("cuGraphicsSubResourceGetMappedArray", &array, resource, 0U, 1U);
  OK("cuArray3DGetDescriptor_v2", &seen, array);
  CHECK(seen.Width == 256 && seen.Height == 128);
  CHECK(Cu("cuArrayDestroy", array) != CUDA_SUCCESS);
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuGraphicsSubResourceGetMappedArray", &array, resource, 0U, 3U);
  OK("cuGraphicsResourceGetMappedMipmappedArray", &mipmap, resource);
  OK("cuMipmappedArrayGetLevel", &array, mipmap, 2U);
  CHECK(Cu("cuMipmappedArrayDestroy", mipmap) != CUDA_SUCCESS);
  OK("cuGraphicsUnregisterResource", resource);
  OK("hamiSimGraphicsDelete", image);
  CHECK(FreeBytes() == before);
}

CASE(graphics_context_end, "Driver API, cuCtxDestroy: resources of the context are unregistered") {
  Start();
  const unsigned buffer = MakeBuffer();
  CUcontext context = nullptr;
  CUgraphicsResource resource = nullptr;
  OK("cuGLCtxCreate_v2", &context, 0U, 0);
  OK("cuGraphicsGLRegisterBuffer", &resource, buffer, 0U);
  OK("cuCtxDestroy_v2", context);
  OK("hamiSimGraphicsDelete", buffer);
}

}  // namespace
}  // namespace hami::conformance
