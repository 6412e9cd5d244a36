// SPDX-License-Identifier: Apache-2.0
//
// Arrays and mipmapped arrays.

#include <cstring>

#include "tests/conformance/cases.h"

namespace hami::conformance {
namespace {

// cuda.h: CUDA_MEMCPY2D and CUDA_MEMCPY3D, a side at a time; memory types 1 host, 2 device, 3
// array.
struct Side2d {
  size_t x_bytes, y;
  unsigned type;
  const void* host;
  CUdeviceptr device;
  CUarray array;
  size_t pitch;
};
struct Copy2d {
  Side2d from, to;
  size_t width_bytes, height;
};
struct Side3d {
  size_t x_bytes, y, z, level;
  unsigned type;
  const void* host;
  CUdeviceptr device;
  CUarray array;
  void* reserved;
  size_t pitch, height;
};
struct Copy3d {
  Side3d from, to;
  size_t width_bytes, height, depth;
};

constexpr unsigned kHost = 1;
constexpr unsigned kDevice = 2;
constexpr unsigned kArray = 3;

CUarray MakeArray(size_t width, size_t height, size_t depth, unsigned flags = 0) {
  CUDA_ARRAY3D_DESCRIPTOR shape = {width, height, depth, CU_AD_FORMAT_FLOAT, 4, flags};
  CUarray array = nullptr;
  OK("cuArray3DCreate_v2", &array, static_cast<const CUDA_ARRAY3D_DESCRIPTOR*>(&shape));
  return array;
}

CASE(arrays_take_memory, "Driver API, cuArrayCreate: allocates; cuArrayDestroy: frees") {
  Start();
  const size_t before = FreeBytes();
  CUDA_ARRAY_DESCRIPTOR shape = {2048, 2048, CU_AD_FORMAT_FLOAT, 4};
  CUarray array = nullptr;
  OK("cuArrayCreate_v2", &array, static_cast<const CUDA_ARRAY_DESCRIPTOR*>(&shape));
  CHECK(before - FreeBytes() >= 64 * kMib);
  CHECK(before - FreeBytes() <= 72 * kMib);  // padding of whole tiles only
  OK("cuArrayDestroy", array);
  CHECK(FreeBytes() == before);
}

CASE(arrays_small_ones_share, "observed: small arrays lie side by side in pages of 2 MiB") {
  Start();
  MakeArray(8, 8, 0);
  const size_t before = FreeBytes();
  for (int i = 0; i < 16; ++i) MakeArray(8, 8, 0);
  CHECK(before == FreeBytes());
}

CASE(arrays_refused, "Driver API, cuArrayCreate: INVALID_VALUE for impossible descriptors") {
  Start();
  CUarray array = nullptr;
  for (const CUDA_ARRAY_DESCRIPTOR& shape :
       {CUDA_ARRAY_DESCRIPTOR{0, 8, CU_AD_FORMAT_FLOAT, 1},
        CUDA_ARRAY_DESCRIPTOR{size_t{1} << 30, 8, CU_AD_FORMAT_FLOAT, 1},
        CUDA_ARRAY_DESCRIPTOR{8, 8, CU_AD_FORMAT_FLOAT, 5}}) {
    GIVES(CUDA_ERROR_INVALID_VALUE, "cuArrayCreate_v2", &array, &shape);
  }
  // A cube has six equal faces.
  CUDA_ARRAY3D_DESCRIPTOR cube = {64, 32, 6, CU_AD_FORMAT_FLOAT, 1, HAMI_CUDA_ARRAY3D_CUBEMAP};
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuArray3DCreate_v2", &array,
        static_cast<const CUDA_ARRAY3D_DESCRIPTOR*>(&cube));
}

CASE(arrays_descriptors, "Driver API, cuArray3DGetDescriptor: what it was made with") {
  Start();
  CUarray array = MakeArray(100, 50, 7, HAMI_CUDA_ARRAY3D_LAYERED);
  CUDA_ARRAY3D_DESCRIPTOR shape = {};
  OK("cuArray3DGetDescriptor_v2", &shape, array);
  CHECK(shape.Width == 100 && shape.Height == 50 && shape.Depth == 7);
  CHECK(shape.Format == CU_AD_FORMAT_FLOAT && shape.NumChannels == 4);
  CHECK((shape.Flags & HAMI_CUDA_ARRAY3D_LAYERED) != 0);
}

CASE(arrays_copies, "Driver API, cuMemcpy2D, cuMemcpyAtoH: from and to arrays") {
  Start();
  constexpr size_t kWidth = 33;
  constexpr size_t kHeight = 17;
  constexpr size_t kRow = kWidth * 16;
  unsigned char in[kRow * kHeight];
  unsigned char out[kRow * kHeight] = {};
  for (size_t i = 0; i < sizeof in; ++i) in[i] = static_cast<unsigned char>(i * 7);
  CUarray array = MakeArray(kWidth, kHeight, 0);
  Copy2d copy = {};
  copy.from = {0, 0, kHost, in, 0, nullptr, kRow};
  copy.to = {0, 0, kArray, nullptr, 0, array, 0};
  copy.width_bytes = kRow;
  copy.height = kHeight;
  OK("cuMemcpy2D_v2", static_cast<const Copy2d*>(&copy));
  copy.to = {0, 0, kHost, out, 0, nullptr, kRow};
  copy.from = {0, 0, kArray, nullptr, 0, array, 0};
  OK("cuMemcpy2D_v2", static_cast<const Copy2d*>(&copy));
  CHECK(std::memcmp(in, out, sizeof in) == 0);
  // A block that leaves the array.
  copy.height = kHeight + 1;
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuMemcpy2D_v2", static_cast<const Copy2d*>(&copy));

  CUarray line = MakeArray(kWidth, 0, 0);
  std::memset(out, 0, sizeof out);
  OK("cuMemcpyHtoA_v2", line, size_t{16}, static_cast<const void*>(in), size_t{64});
  OK("cuMemcpyAtoH_v2", static_cast<void*>(out), line, size_t{32}, size_t{32});
  CHECK(std::memcmp(in + 16, out, 32) == 0);
}

CASE(arrays_boxes, "Driver API, cuMemcpy3D: slices and layers") {
  Start();
  constexpr size_t kWidth = 8;
  constexpr size_t kHeight = 4;
  constexpr size_t kDepth = 3;
  constexpr size_t kRow = kWidth * 16;
  unsigned char in[kRow * kHeight * kDepth];
  unsigned char out[kRow * kHeight] = {};
  for (size_t i = 0; i < sizeof in; ++i) in[i] = static_cast<unsigned char>(i * 11);
  CUdeviceptr memory = 0;
  OK("cuMemAlloc_v2", &memory, sizeof in);
  OK("cuMemcpyHtoD_v2", memory, static_cast<const void*>(in), sizeof in);
  CUarray array = MakeArray(kWidth, kHeight, kDepth);
  Copy3d copy = {};
  copy.from = {0, 0, 0, 0, kDevice, nullptr, memory, nullptr, nullptr, kRow, kHeight};
  copy.to = {0, 0, 0, 0, kArray, nullptr, 0, array, nullptr, 0, 0};
  copy.width_bytes = kRow;
  copy.height = kHeight;
  copy.depth = kDepth;
  OK("cuMemcpy3D_v2", static_cast<const Copy3d*>(&copy));
  copy.from = {0, 0, 1, 0, kArray, nullptr, 0, array, nullptr, 0, 0};
  copy.to = {0, 0, 0, 0, kHost, out, 0, nullptr, nullptr, kRow, kHeight};
  copy.depth = 1;
  OK("cuMemcpy3D_v2", static_cast<const Copy3d*>(&copy));
  CHECK(std::memcmp(in + kRow * kHeight, out, sizeof out) == 0);
}

CASE(mipmaps_levels,
     "Driver API, cuMipmappedArrayCreate: 1 + floor(log2(longest)) levels at most") {
  Start();
  const size_t before = FreeBytes();
  CUDA_ARRAY3D_DESCRIPTOR shape = {1024, 512, 0, CU_AD_FORMAT_FLOAT, 4, 0};
  CUmipmappedArray mipmap = nullptr;
  OK("cuMipmappedArrayCreate", &mipmap, static_cast<const CUDA_ARRAY3D_DESCRIPTOR*>(&shape), 99U);
  CHECK(before - FreeBytes() >= 10 * kMib);
  CUarray level = nullptr;
  OK("cuMipmappedArrayGetLevel", &level, mipmap, 3U);
  OK("cuArray3DGetDescriptor_v2", &shape, level);
  CHECK(shape.Width == 128 && shape.Height == 64);
  OK("cuMipmappedArrayGetLevel", &level, mipmap, 10U);
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuMipmappedArrayGetLevel", &level, mipmap, 11U);
  OK("cuMipmappedArrayDestroy", mipmap);
  CHECK(FreeBytes() == before);
}

CASE(arrays_go_with_their_context, "Driver API, cuCtxDestroy: what was made in it goes with it") {
  Start();
  const size_t before = FreeBytes();
  CUcontext context = nullptr;
  OK("cuCtxCreate_v2", &context, 0U, CUdevice{0});
  MakeArray(1024, 1024, 0);
  OK("cuCtxDestroy_v2", context);
  CHECK(FreeBytes() == before);
}

}  // namespace
}  // namespace hami::conformance
