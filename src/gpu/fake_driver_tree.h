// SPDX-License-Identifier: Apache-2.0
//
// For tests: a temporary folder in which a driver's root is laid out. Device nodes are links to
// /dev/null, which is one.

#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/check.h"
#include "gpu/fake_shared_object.h"

namespace hami::gpu {

class FakeDriverTree {
 public:
  FakeDriverTree() {
    char path[] = "/tmp/hami-driver-XXXXXX";
    CHECK(mkdtemp(path) != nullptr);
    path_ = path;
  }
  ~FakeDriverTree() { std::filesystem::remove_all(path_); }
  FakeDriverTree(const FakeDriverTree&) = delete;
  FakeDriverTree& operator=(const FakeDriverTree&) = delete;

  const std::string& path() const { return path_; }

  void File(const std::string& path, const std::string& content = "") {
    MakeParent(path);
    std::ofstream(path_ + "/" + path) << content;
  }
  void Library(const std::string& path, const std::string& soname) {
    File(path, FakeSharedObject(soname).Bytes());
  }
  void Link(const std::string& path, const std::string& target) {
    MakeParent(path);
    std::filesystem::create_symlink(target, path_ + "/" + path);
  }
  void Node(const std::string& path) { Link(path, "/dev/null"); }
  void Folder(const std::string& path) { std::filesystem::create_directories(path_ + "/" + path); }

 private:
  void MakeParent(const std::string& path) {
    std::filesystem::create_directories(std::filesystem::path(path_ + "/" + path).parent_path());
  }
  std::string path_;
};

}  // namespace hami::gpu
