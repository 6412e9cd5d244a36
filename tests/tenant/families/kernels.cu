// SPDX-License-Identifier: Apache-2.0
//
// What tests/tenant/families launches. images.py has nvcc make a cubin, PTX and a fat binary of it.

__device__ float table[1024];

extern "C" __global__ void Fill(float* values, float value, int count) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at < count) values[at] = value;
}

extern "C" __global__ void Add(const float* from, float* to, int count) {
  __shared__ float staged[256];
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  staged[threadIdx.x] = at < count ? from[at] : table[threadIdx.x];
  __syncthreads();
  if (at < count) to[at] += staged[threadIdx.x];
}
