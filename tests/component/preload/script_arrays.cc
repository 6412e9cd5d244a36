// SPDX-License-Identifier: Apache-2.0

#include <map>

#include "tests/component/preload/script.h"

namespace {

std::map<std::string, CUarray> arrays;
std::map<std::string, CUmipmappedArray> mipmaps;

}  // namespace

// Elements are four floats: 16 bytes.
bool DoArrays(const std::string& verb, std::istringstream& words) {
  std::string name;
  CUDA_ARRAY3D_DESCRIPTOR shape = {};
  shape.Format = CU_AD_FORMAT_FLOAT;
  shape.NumChannels = 4;
  unsigned levels = 0;
  if (verb == "array") {
    words >> name >> shape.Width >> shape.Height >> shape.Depth;
    const CUDA_ARRAY_DESCRIPTOR flat = {shape.Width, shape.Height, shape.Format, shape.NumChannels};
    Answer(shape.Depth == 0 ? DRIVER(cuArrayCreate_v2)(&arrays[name], &flat)
                            : DRIVER(cuArray3DCreate_v2)(&arrays[name], &shape));
  } else if (verb == "layers") {
    words >> name >> shape.Width >> shape.Height >> shape.Depth;
    shape.Flags = HAMI_CUDA_ARRAY3D_LAYERED;
    Answer(DRIVER(cuArray3DCreate_v2)(&arrays[name], &shape));
  } else if (verb == "oldarray") {
    CUDA_ARRAY_DESCRIPTOR_v1 old = {0, 0, shape.Format, shape.NumChannels};
    words >> name >> old.Width >> old.Height;
    Answer(DRIVER(cuArrayCreate)(&arrays[name], &old));
  } else if (verb == "mipmap") {
    words >> name >> shape.Width >> shape.Height >> levels;
    Answer(DRIVER(cuMipmappedArrayCreate)(&mipmaps[name], &shape, levels));
  } else if (verb == "unarray") {
    words >> name;
    Answer(DRIVER(cuArrayDestroy)(arrays.at(name)));
  } else if (verb == "unmipmap") {
    words >> name;
    Answer(DRIVER(cuMipmappedArrayDestroy)(mipmaps.at(name)));
  } else {
    return false;
  }
  return true;
}
