# SPDX-License-Identifier: Apache-2.0
#
# Building for aarch64 on another machine, with Debian's cross compiler (preset `aarch64`). What is
# mounted into tenants needs nothing but libc and libzstd's archive; libraries of that architecture
# are taken from HAMI_AARCH64_ROOT, where tools/dev/fetch_debs.py has put them. Host programs are
# not built this way: their packages are found here for this machine's architecture.

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc-12)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++-12)
set(CMAKE_ASM_COMPILER aarch64-linux-gnu-gcc-12)

set(HAMI_AARCH64_ROOT ${CMAKE_CURRENT_LIST_DIR}/../.cache/foreign/arm64
  CACHE PATH "packages of that architecture, unpacked")
set(HAMI_ZSTD_ARCHIVE ${HAMI_AARCH64_ROOT}/usr/lib/aarch64-linux-gnu/libzstd.a
  CACHE FILEPATH "libzstd of that architecture")
