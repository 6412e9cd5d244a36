// SPDX-License-Identifier: Apache-2.0
//
// How much device memory a code image takes at most, read off its headers without understanding the
// code: an ELF cubin by its allocated sections (with those that take no file space), a fat binary
// by the largest of its entries, PTX by its text and its variables (ptx_size.h). The variables of a
// compressed entry cannot be seen without decompressing it: it is charged the length that it
// unpacks to, and the agent charges the rest once the driver's figure shows it.
//
// The image comes from the application, as it would for the driver, and is as trusted as there: of
// one in memory is read what its headers say. Sums do not wrap.
#pragma once

#include <cstdint>

namespace hami::preload {

// 0: not an image; the driver is to say so. UINT64_MAX: more than can be counted.
uint64_t ImageBytes(const void* image);

// The same for a file; 0 if it cannot be read.
uint64_t FileImageBytes(const char* path);

}  // namespace hami::preload
