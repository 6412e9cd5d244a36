// SPDX-License-Identifier: Apache-2.0
//
// For tests: the folders of a node on which claims are kept, and the keepers that live there one
// after the other. A keeper that is replaced leaves its folders as a killed process would.

#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "base/check.h"
#include "base/file.h"
#include "base/temporary_folder.h"
#include "dra/claim_keeper.h"
#include "dra/fake_claims.h"

namespace hami::dra {

class FakeNode {
 public:
  // What is on disk, by path below the node's root: contents of files, but of regions (which
  // tenants write) their size; folders are "folder".
  using Files = std::map<std::string, std::string>;

  FakeNode() {
    CHECK(base::MakeFolders(records(), 0700).has_value());
    CHECK(base::MakeFolders(shares(), 0755).has_value());
    CHECK(base::MakeFolders(cdi(), 0755).has_value());
  }

  const std::string& root() const { return root_.path(); }
  std::string records() const { return root_ / "claims"; }
  std::string shares() const { return root_ / "shares"; }
  std::string cdi() const { return root_ / "cdi"; }
  std::string RecordOf(const std::string& uid) const { return records() + "/" + uid + ".json"; }
  std::string CdiOf(const std::string& uid) const {
    return cdi() + "/k8s.hami-core-gpu.project-hami.io-claim_" + uid + ".json";
  }
  std::string ShareOf(const std::string& uid) const { return shares() + "/" + uid; }

  // A process begins. It has recovered, and knows no driver yet.
  Status Begin(ClaimObserver* observer = nullptr) {
    keeper_.reset();
    keeper_ = std::make_unique<ClaimKeeper>(ClaimKeeperOptions{.pool = kGuideNode,
                                                               .record_folder = records(),
                                                               .share_root = shares(),
                                                               .cdi_folder = cdi(),
                                                               .library_root = "/var/lib/hami/lib",
                                                               .library = library,
                                                               .boot_id = boot_id,
                                                               .patience_ms = patience_ms},
                                            &api, observer);
    return keeper_->Recover();
  }
  // The same, with a driver that has two GPUs.
  Status BeginWithDriver() {
    Status begun = Begin();
    if (begun) keeper_->SetNode(MakeNode(2));
    return begun;
  }

  ClaimKeeper& keeper() { return *keeper_; }

  Files Look() const {
    Files files;
    for (const auto& at : std::filesystem::recursive_directory_iterator(root_.path())) {
      const std::string path = at.path().string();
      std::string& content = files[path.substr(root_.path().size() + 1)];
      if (!at.is_regular_file()) {
        content = "folder";
      } else if (path.ends_with("/region")) {
        content = std::to_string(at.file_size()) + " bytes";
      } else {
        content = base::ReadFile(path, size_t{1} << 20).value();
      }
    }
    return files;
  }

  // What `now` has more (+), less (-) or different (~); "" if they are the same.
  static std::string Difference(const Files& now, const Files& then) {
    std::string difference;
    for (const auto& [path, content] : now) {
      const auto found = then.find(path);
      if (found == then.end()) difference += "+" + path + "\n";
      if (found != then.end() && found->second != content) {
        difference += "~" + path + " " + content + "\n";
      }
    }
    for (const auto& [path, content] : then) {
      if (!now.contains(path)) difference += "-" + path + "\n";
    }
    return difference;
  }
  std::string ChangedSince(const Files& then) const { return Difference(Look(), then); }

  // As if a reboot had emptied /run.
  void EmptyRun() const {
    for (const std::string& folder : {shares(), cdi()}) {
      CHECK(base::RemoveTree(folder).has_value());
      CHECK(base::MakeFolders(folder, 0755).has_value());
    }
  }

  FakeClaims api;
  std::string boot_id = "boot-1";
  std::string library = "0.1.0-aaaa";
  int64_t patience_ms = 0;

 private:
  const base::TemporaryFolder root_;
  std::unique_ptr<ClaimKeeper> keeper_;
};

}  // namespace hami::dra
