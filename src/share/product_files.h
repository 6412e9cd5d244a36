// SPDX-License-Identifier: Apache-2.0
//
// The files of ours that tenants get to see, libvgpu.so above all: always copies in a folder of
// their version and content, so that a rebuild or an upgrade never changes a file that a running
// process has mapped (design decision 15).

#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace hami::share {

inline constexpr char kPreloadLibrary[] = "libvgpu.so";

struct ProductFile {
  std::string name;
  std::string path;     // where it was found
  std::string content;  // the whole file
};

// Looks beside the running program (its folder, ../lib), then in /usr/lib/hami.
// kFailedPrecondition, with the places, if it is nowhere or no ELF file.
Result<ProductFile> FindProductFile(const std::string& name);

// "<version>-<hash of the contents>"
std::string ProductFolderName(const std::vector<ProductFile>& files);

// Copies under `root`/ProductFolderName, mode 0555, each written once and renamed into place. The
// folder's path. kFailedPrecondition where programs may not be mapped from there (noexec).
Result<std::string> KeepProductFiles(const std::string& root,
                                     const std::vector<ProductFile>& files);

}  // namespace hami::share
