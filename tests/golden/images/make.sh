#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Makes the images of this folder again: tests/golden/images/make.sh NVCC PTXAS_12_4 PTXAS_11_8
# (README.md says where these compilers come from). The compilers are needed only for this.
set -eu
nvcc="$1 -ccbin g++-12"
cd "$(dirname "$0")"
$nvcc -cubin -arch=sm_86 kernels.cu -o sm_86.cubin
$nvcc -cubin -arch=sm_90 hopper.cu -o sm_90_hopper.cubin
$nvcc -ptx -arch=compute_80 kernels.cu -o compute_80.ptx
$nvcc -ptx -arch=compute_90 hopper.cu -o compute_90_hopper.ptx
sed 's/^\.version .*/.version 8.4/' compute_80.ptx > old.ptx
"$2" -arch=sm_86 old.ptx -o sm_86_cuda12.cubin
sed 's/^\.version .*/.version 7.8/' compute_80.ptx > old.ptx
"$3" -arch=sm_86 old.ptx -o sm_86_cuda11.cubin
rm old.ptx
mix="-gencode arch=compute_80,code=[sm_80,compute_80] -gencode arch=compute_90,code=sm_90"
$nvcc -fatbin --compress-mode=none $mix kernels.cu -o mix_plain.fatbin
$nvcc -fatbin --compress-mode=speed $mix kernels.cu -o mix_lz4.fatbin
$nvcc -fatbin --compress-mode=size $mix kernels.cu -o mix_zstd.fatbin
$nvcc -fatbin --compress-mode=size --concat $mix kernels.cu -o mix_concatenated.fatbin
$nvcc -fatbin -gencode arch=compute_90a,code=[sm_90a,compute_90a] kernels.cu -o only_90a.fatbin
$nvcc -fatbin -gencode arch=compute_75,code=compute_75 kernels.cu -o ptx_only.fatbin
