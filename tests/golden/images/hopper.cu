// SPDX-License-Identifier: Apache-2.0
//
// What only newer architectures have: clusters, parameters above 4 KiB. README.md has the commands.

struct Big {
  char bytes[30000];
};

__device__ __managed__ int managed_value;

extern "C" __global__ void Large(Big big, int* out) { *out = big.bytes[threadIdx.x]; }

extern "C" __global__ void __cluster_dims__(2, 1, 1) Cluster(int* out) { *out = managed_value; }
