// SPDX-License-Identifier: Apache-2.0

#include <map>
#include <vector>

#include "tests/component/preload/memory/special.h"

namespace {

struct Target {
  CUarray array;
  CUmipmappedArray mipmap;
};
std::map<std::string, Target> targets;
std::map<std::string, CUmemGenericAllocationHandle> pools;
std::vector<CUarrayMapInfo> operations;  // of the next "go"

CUstream stream = nullptr;
CUdeviceptr word = 0;

// Elements are four floats: tiles of 64 by 64.
CUresult Make(const std::string& name, unsigned flags, std::istringstream& words) {
  CUDA_ARRAY3D_DESCRIPTOR shape = {};
  unsigned levels = 0;
  shape.Format = CU_AD_FORMAT_FLOAT;
  shape.NumChannels = 4;
  shape.Flags = flags;
  words >> shape.Width >> shape.Height >> levels;
  const CUDA_ARRAY3D_DESCRIPTOR& made = shape;
  Target& target = targets[name] = {};
  return levels == 0 ? Cu("cuArray3DCreate_v2", &target.array, &made)
                     : Cu("cuMipmappedArrayCreate", &target.mipmap, &made, levels);
}

CUresult Destroy(const std::string& name) {
  const Target& target = targets.at(name);
  return target.array != nullptr ? Cu("cuArrayDestroy", target.array)
                                 : Cu("cuMipmappedArrayDestroy", target.mipmap);
}

CUresult MakePool(const std::string& name, size_t bytes) {
  CUmemAllocationProp props = {};
  props.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  props.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  props.allocFlags.usage = CU_MEM_CREATE_USAGE_TILE_POOL;
  return Cu("cuMemCreate", &pools[name], bytes, &props, 0ULL);
}

// POOL OFFSET; "-" unmaps.
CUarrayMapInfo On(const std::string& name, std::istringstream& words) {
  const Target& target = targets.at(name);
  CUarrayMapInfo operation = {};
  if (target.array != nullptr) {
    operation.resourceType = CU_RESOURCE_TYPE_ARRAY;
    operation.resource.array = target.array;
  } else {
    operation.resourceType = CU_RESOURCE_TYPE_MIPMAPPED_ARRAY;
    operation.resource.mipmap = target.mipmap;
  }
  std::string pool;
  words >> pool;
  operation.deviceBitMask = 1;
  operation.memOperationType = CU_MEM_OPERATION_TYPE_UNMAP;
  if (pool == "-") return operation;
  operation.memOperationType = CU_MEM_OPERATION_TYPE_MAP;
  operation.memHandle.memHandle = pools.at(pool);
  words >> operation.offset;
  return operation;
}

CUresult Go(std::vector<CUarrayMapInfo> now) {
  if (stream == nullptr) Cu("cuStreamCreate", &stream, 1U);
  // Both forms are the same where a stream is named.
  return Cu(now.size() == 1 ? "cuMemMapArrayAsync" : "cuMemMapArrayAsync_ptsz", now.data(),
            static_cast<unsigned>(now.size()), stream);
}

// What follows in the stream waits until "letgo". The word's memory stays.
CUresult Hold() {
  if (stream == nullptr) Cu("cuStreamCreate", &stream, 1U);
  if (word == 0) Cu("cuMemAlloc_v2", &word, size_t{4});
  const CUresult result = Cu("cuMemsetD32_v2", word, 0U, size_t{1});
  if (result != CUDA_SUCCESS) return result;
  Cu("cuCtxSynchronize");
  return Cu("cuStreamWaitValue32_v2", stream, word, 1U, 1U);
}

CUresult LetGo() {
  CUstream const other = nullptr;
  const CUresult result = Cu("cuStreamWriteValue32_v2", other, word, 1U, 0U);
  return result != CUDA_SUCCESS ? result : Cu("cuStreamSynchronize", stream);
}

bool DoTiles(const std::string& verb, std::istringstream& words) {
  std::string name;
  if (verb != "tile" && verb != "tail" && verb != "whole" && verb != "and") return false;
  const bool now = verb != "and";
  std::string kind = verb;
  if (!now) words >> kind;
  words >> name;
  decltype(CUarrayMapInfo{}.subresource) where = {};
  auto& block = where.sparseLevel;
  if (kind == "tile") {
    words >> block.level >> block.offsetX >> block.offsetY >> block.extentWidth >>
        block.extentHeight;
    block.extentDepth = 1;
  } else if (kind == "tail") {
    words >> where.miptail.offset >> where.miptail.size;
  }
  CUarrayMapInfo operation = On(name, words);
  operation.subresource = where;
  if (kind == "tail") operation.subresourceType = CU_ARRAY_SPARSE_SUBRESOURCE_TYPE_MIPTAIL;
  operations.push_back(operation);
  if (now) {
    Answer(Go(operations));
    operations.clear();
  } else {
    Answer(CUDA_SUCCESS);
  }
  return true;
}

}  // namespace

bool DoSparse(const std::string& verb, std::istringstream& words) {
  std::string name;
  size_t bytes = 0;
  if (verb == "sparse" || verb == "deferred") {
    words >> name;
    const bool sparse = verb == "sparse";
    Answer(
        Make(name, sparse ? HAMI_CUDA_ARRAY3D_SPARSE : HAMI_CUDA_ARRAY3D_DEFERRED_MAPPING, words));
  } else if (verb == "unsparse") {
    words >> name;
    Answer(Destroy(name));
  } else if (verb == "pool") {
    words >> name >> bytes;
    Answer(MakePool(name, bytes));
  } else if (verb == "unpool") {
    words >> name;
    Answer(Cu("cuMemRelease", pools.at(name)));
  } else if (verb == "hold") {
    Answer(Hold());
  } else if (verb == "letgo") {
    Answer(LetGo());
  } else {
    return DoTiles(verb, words);
  }
  return true;
}
