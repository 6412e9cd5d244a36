// SPDX-License-Identifier: Apache-2.0
//
// Sparse arrays: who has the memory that is mapped into one.

#include "tests/conformance/cases.h"

namespace hami::conformance {
namespace {

constexpr int kSparseSupported = 112;  // CU_DEVICE_ATTRIBUTE_SPARSE_CUDA_ARRAY_SUPPORTED
constexpr size_t kPoolBytes = 64 * kMib;

void StartSparse() {
  Start();
  if (Attribute(kSparseSupported) == 0) Skip("the device has no sparse arrays");
}

// 2048 by 2048 elements of 16 bytes.
CUDA_ARRAY3D_DESCRIPTOR Shape() {
  CUDA_ARRAY3D_DESCRIPTOR shape = {};
  shape.Width = 2048;
  shape.Height = 2048;
  shape.Format = CU_AD_FORMAT_FLOAT;
  shape.NumChannels = 4;
  shape.Flags = HAMI_CUDA_ARRAY3D_SPARSE;
  return shape;
}

CUarray Array() {
  CUarray array = nullptr;
  const CUDA_ARRAY3D_DESCRIPTOR shape = Shape();
  OK("cuArray3DCreate_v2", &array, &shape);
  return array;
}

CUmemGenericAllocationHandle Pool(unsigned short usage) {
  CUmemAllocationProp props = {};
  props.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  props.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  props.allocFlags.usage = usage;
  CUmemGenericAllocationHandle pool = 0;
  OK("cuMemCreate", &pool, kPoolBytes, &props, 0ULL);
  return pool;
}

CUarrayMapInfo Operation(CUarray array, CUmemGenericAllocationHandle pool) {
  CUarrayMapInfo operation = {};
  operation.resourceType = CU_RESOURCE_TYPE_ARRAY;
  operation.resource.array = array;
  operation.subresource.sparseLevel.extentWidth = 2048;
  operation.subresource.sparseLevel.extentHeight = 2048;
  operation.subresource.sparseLevel.extentDepth = 1;
  operation.memOperationType = pool != 0 ? CU_MEM_OPERATION_TYPE_MAP : CU_MEM_OPERATION_TYPE_UNMAP;
  operation.memHandle.memHandle = pool;
  operation.deviceBitMask = 1;
  return operation;
}

CUresult MapArray(CUarrayMapInfo operation) {
  const CUstream stream = nullptr;
  return Cu("cuMemMapArrayAsync", &operation, 1U, stream);
}

CASE(sparse_memory, "Driver API, cuMemMapArrayAsync, cuMemRelease: a mapping keeps the memory") {
  StartSparse();
  CUarray array = Array();
  const size_t before = FreeBytes();
  const CUmemGenericAllocationHandle pool = Pool(CU_MEM_CREATE_USAGE_TILE_POOL);
  CHECK(before - FreeBytes() == kPoolBytes);
  CHECK(MapArray(Operation(array, pool)) == CUDA_SUCCESS);
  OK("cuMemRelease", pool);
  OK("cuCtxSynchronize");
  CHECK(before - FreeBytes() == kPoolBytes);
  CHECK(MapArray(Operation(array, 0)) == CUDA_SUCCESS);
  OK("cuCtxSynchronize");
  CHECK(FreeBytes() == before);
  OK("cuArrayDestroy", array);
}

CASE(sparse_destroyed, "Driver API, cuArrayDestroy: what is mapped into the array is unmapped") {
  StartSparse();
  CUarray array = Array();
  const size_t before = FreeBytes();
  const CUmemGenericAllocationHandle pool = Pool(CU_MEM_CREATE_USAGE_TILE_POOL);
  CHECK(MapArray(Operation(array, pool)) == CUDA_SUCCESS);
  OK("cuMemRelease", pool);
  OK("cuCtxSynchronize");
  OK("cuArrayDestroy", array);
  CHECK(FreeBytes() >= before);
}

CASE(sparse_properties, "Driver API, cuArrayGetSparseProperties: sparse arrays have tiles") {
  StartSparse();
  CUDA_ARRAY_SPARSE_PROPERTIES properties = {};
  OK("cuArrayGetSparseProperties", &properties, Array());
  CHECK(properties.tileExtent.width > 0 && properties.tileExtent.height > 0);
  CHECK(properties.tileExtent.width * properties.tileExtent.height * 16 == 65536);
  CUDA_ARRAY3D_DESCRIPTOR plain = Shape();
  plain.Flags = 0;
  const CUDA_ARRAY3D_DESCRIPTOR& shape = plain;
  CUarray array = nullptr;
  OK("cuArray3DCreate_v2", &array, &shape);
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuArrayGetSparseProperties", &properties, array);
}

CASE(sparse_refusals, "Driver API, cuMemMapArrayAsync: what an operation must say") {
  StartSparse();
  CUarray array = Array();
  const CUmemGenericAllocationHandle pool = Pool(CU_MEM_CREATE_USAGE_TILE_POOL);
  CUarrayMapInfo wrong = Operation(array, pool);
  wrong.deviceBitMask = 0;
  CHECK(MapArray(wrong) != CUDA_SUCCESS);
  wrong = Operation(array, pool);
  wrong.flags = 1;
  CHECK(MapArray(wrong) != CUDA_SUCCESS);
  wrong = Operation(array, pool);
  wrong.subresource.sparseLevel.offsetX = 1;
  CHECK(MapArray(wrong) != CUDA_SUCCESS);
  wrong = Operation(array, pool);
  wrong.offset = kPoolBytes;
  CHECK(MapArray(wrong) != CUDA_SUCCESS);
  CHECK(MapArray(Operation(array, Pool(0))) != CUDA_SUCCESS);
  CUDA_ARRAY3D_DESCRIPTOR plain = Shape();
  plain.Flags = 0;
  const CUDA_ARRAY3D_DESCRIPTOR& shape = plain;
  CUarray other = nullptr;
  OK("cuArray3DCreate_v2", &other, &shape);
  CHECK(MapArray(Operation(other, pool)) != CUDA_SUCCESS);
}

}  // namespace
}  // namespace hami::conformance
