// SPDX-License-Identifier: Apache-2.0
//
// Whole files and folders. Reading is bounded; writing leaves either the old file or the new one,
// whatever happens in between. No function changes the umask; modes are set explicitly.

#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace hami::base {

// The whole file; kOutOfRange if it has more than `max_bytes`.
Result<std::string> ReadFile(const std::string& path, size_t max_bytes);

// Temporary name, write, fsync, rename, fsync of the folder.
Status WriteFileAtomically(const std::string& path, std::string_view content, mode_t mode);

// All of `content`, over short writes and signals.
Status WriteAll(int fd, std::string_view content);

// An open file: O_CLOEXEC is added.
Result<Fd> OpenFile(const std::string& path, int flags, mode_t mode = 0);

// Makes the folder and its missing parents; the last one, if it is made, gets exactly `mode`,
// parents get 0755.
Status MakeFolders(const std::string& path, mode_t mode);

// Removes a file or a whole tree, not following links. Nothing there is success.
Status RemoveTree(const std::string& path);

// Names in a folder, sorted, without "." and "..".
Result<std::vector<std::string>> ListFolder(const std::string& path);

bool Exists(const std::string& path);

// "a/b" of "a" and "b", with one slash between them.
std::string JoinPath(std::string_view folder, std::string_view name);

}  // namespace hami::base
