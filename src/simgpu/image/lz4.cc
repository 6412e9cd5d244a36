// SPDX-License-Identifier: Apache-2.0

#include "simgpu/image/lz4.h"

namespace hami::simgpu {
namespace {

constexpr uint32_t kLengthMask = 15;
constexpr uint64_t kMinMatchBytes = 4;

// A length of 15 goes on in bytes that add up, until one is below 255.
bool ReadLength(const Bytes& input, uint64_t* at, uint64_t* length) {
  if (*length != kLengthMask) return true;
  uint8_t more = 0;
  do {
    if (!input.Read((*at)++, &more)) return false;
    *length += more;
  } while (more == 255);
  return true;
}

}  // namespace

bool DecodeLz4(const Bytes& input, uint8_t* output, uint64_t output_bytes) {
  uint64_t at = 0;
  uint64_t done = 0;
  uint8_t token = 0;
  while (input.Read(at++, &token)) {
    uint64_t literals = token >> 4;
    if (!ReadLength(input, &at, &literals)) return false;
    if (!input.Contains(at, literals) || literals > output_bytes - done) return false;
    memcpy(output + done, input.data() + at, literals);
    at += literals;
    done += literals;
    if (at == input.size()) break;  // The last sequence has no match.

    uint16_t distance = 0;
    if (!input.Read(at, &distance) || distance == 0 || distance > done) return false;
    at += sizeof(distance);
    uint64_t match = token & kLengthMask;
    if (!ReadLength(input, &at, &match)) return false;
    match += kMinMatchBytes;
    if (match > output_bytes - done) return false;
    // Byte by byte: source and target overlap when the distance is shorter than the match.
    for (uint64_t i = 0; i < match; ++i) output[done + i] = output[done + i - distance];
    done += match;
  }
  return done == output_bytes;
}

}  // namespace hami::simgpu
