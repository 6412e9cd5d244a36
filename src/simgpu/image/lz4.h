// SPDX-License-Identifier: Apache-2.0
//
// Decoder for one LZ4 block (the format of lz4_Block_format.md, without frame). Fat binaries of
// older toolkits and of --compress-mode=speed hold their entries so. Hostile input is expected:
// nothing outside the two buffers is touched (lz4_test, fuzz/image).

#pragma once

#include "simgpu/image/bytes.h"

namespace hami::simgpu {

// Decodes all of `input`; true when that filled exactly `output_bytes`.
[[nodiscard]] bool DecodeLz4(const Bytes& input, uint8_t* output, uint64_t output_bytes);

}  // namespace hami::simgpu
