// SPDX-License-Identifier: Apache-2.0
//
// Instances of GPUs in MIG mode: which profile and where (contract 4.7). Memory slices of a GPU are
// bits, slice 0 the lowest.

#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "domain/allocation.h"
#include "vendor/device.h"

namespace hami::placement {

bool IsMig(const vendor::Device& device);

// The bits of slices [start, start + size); none for what lies outside of 0 to 63.
uint64_t MigBits(int32_t start, int32_t size);

struct MigChoice {
  const vendor::MigProfile* profile = nullptr;
  int32_t start = 0;
  int32_t size = 0;
};

// What could serve a request, best first: the smallest profile by memory, then by slices; within a
// profile 1g and 3g from the high end, others from the low one, so that 4g and 7g keep their room.
// `whole`: all of the GPU was asked for, which its largest profile serves though it has less memory
// than the GPU.
std::vector<MigChoice> MigChoices(const vendor::Device& device, int32_t memory_mib, int32_t cores,
                                  bool whole);

// The first of them that overlaps nothing taken; none: no room. Allocates nothing.
std::optional<MigChoice> ChooseMig(const vendor::Device& device, uint64_t taken, int32_t memory_mib,
                                   int32_t cores, bool whole);

}  // namespace hami::placement
