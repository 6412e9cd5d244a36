// SPDX-License-Identifier: Apache-2.0
//
// For tests: a folder that is removed at the end of its owner's life.

#pragma once

#include <stdlib.h>

#include <string>

#include "base/check.h"
#include "base/file.h"

namespace hami::base {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    char path[] = "/tmp/hami-test-XXXXXX";
    CHECK(mkdtemp(path) != nullptr);
    path_ = path;
  }
  ~TemporaryFolder() {
    const Status removed = base::RemoveTree(path_);
    CHECK(removed.has_value());
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return base::JoinPath(path_, name); }

 private:
  std::string path_;
};

}  // namespace hami::base
