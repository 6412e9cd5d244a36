// SPDX-License-Identifier: Apache-2.0
//
// How many bits one element of an array takes, by its format (CUDA Driver API, CUarray_format;
// sizes of block-compressed formats: 4 x 4 elements in 8 or 16 bytes).

#pragma once

#include "api/cuda/types.h"

// 0: a format that this table does not have.
constexpr uint32_t HamiArrayElementBits(unsigned int format, unsigned int channels) {
  switch (format) {
    case CU_AD_FORMAT_UNSIGNED_INT8:
    case CU_AD_FORMAT_SIGNED_INT8:
      return 8 * channels;
    case CU_AD_FORMAT_UNSIGNED_INT16:
    case CU_AD_FORMAT_SIGNED_INT16:
    case CU_AD_FORMAT_HALF:
      return 16 * channels;
    case CU_AD_FORMAT_UNSIGNED_INT32:
    case CU_AD_FORMAT_SIGNED_INT32:
    case CU_AD_FORMAT_FLOAT:
      return 32 * channels;
    case 0xc0:  // normalised, 8 bits: 1, 2 and 4 channels
    case 0xc6:
      return 8;
    case 0xc1:
    case 0xc7:
      return 16;
    case 0xc2:
    case 0xc8:
      return 32;
    case 0xc3:  // normalised, 16 bits
    case 0xc9:
      return 16;
    case 0xc4:
    case 0xca:
      return 32;
    case 0xc5:
    case 0xcb:
      return 64;
    case 0x91:  // BC1, BC4: 8 bytes for a block
    case 0x92:
    case 0x97:
    case 0x98:
      return 4;
    case 0x50:  // 10, 10, 10 and 2 bits
      return 32;
    case 0xb0:  // NV12: luminance, and a quarter of it twice
      return 12;
    default:
      return format >= 0x93 && format <= 0x9e ? 8 : 0;  // other block-compressed formats
  }
}
