// SPDX-License-Identifier: Apache-2.0
//
// Source of the images in this folder; README.md has the commands.

#include <stdint.h>

struct Pair {
  int32_t first;
  double second;
};

__device__ float table[1024];     // without initial value
__device__ int32_t counter = 7;   // with one
__constant__ int32_t constants[16] = {1, 2, 3};

extern "C" __global__ void Empty() {}

extern "C" __global__ void Scale(float* data, float factor, int32_t count) {
  const int32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) data[i] = data[i] * factor + table[i & 1023] + constants[i & 15];
}

extern "C" __global__ void __launch_bounds__(256)
    Reduce(const float* in, float* out, Pair pair, uint8_t last) {
  __shared__ float partial[256];
  partial[threadIdx.x] = in[threadIdx.x] * static_cast<float>(pair.second) + pair.first + last;
  __syncthreads();
  if (threadIdx.x != 0) return;
  float sum = 0;
#pragma unroll 1
  for (int i = 0; i < 256; ++i) sum += partial[i];
  *out = sum;
  atomicAdd(&counter, 1);
}

extern "C" __global__ void Mixed(int16_t a, int8_t b, int* out) {
  extern __shared__ int dynamic[];
  *out = a + b + dynamic[0];
}
