// SPDX-License-Identifier: Apache-2.0
//
// What this node has promised to a claim, on disk: one file per claim, <folder>/<uid>.json,
// replaced as a whole (write, fsync, rename, fsync of the folder). It is written before anything is
// made for the claim and removed after everything is gone, so that whatever is found without one
// is an orphan.
//
// The first line holds a checksum of the rest: a file cut at any byte is known to be broken.

#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "dra/grant.h"

namespace hami::dra {

struct ClaimRecord {
  ClaimGrant grant;
  std::string boot_id;  // of the boot in which it was prepared
  std::string library;  // name of the library folder that its containers mount

  bool operator==(const ClaimRecord&) const = default;
};

std::string WriteRecordText(const ClaimRecord& record);

// kDataLoss: cut short, changed, or not ours. kUnimplemented: of a newer version of this program.
Result<ClaimRecord> ReadRecordText(const std::string& text);

// Whether a UID can be a file's name: letters, digits and '-', at most 64. What the kubelet sends
// is not trusted to be one.
bool IsUid(const std::string& uid);

class RecordFolder {
 public:
  explicit RecordFolder(std::string path) : path_(std::move(path)) {}

  Status Save(const ClaimRecord& record) const;  // also makes the folder
  Status Remove(const std::string& uid) const;   // nothing there is success
  bool Has(const std::string& uid) const;        // readable or not

  struct Contents {
    std::vector<ClaimRecord> records;
    std::vector<std::string> broken;  // UIDs whose file cannot be read; the files are kept
  };
  // Removes what died writers left. A folder that is missing is made.
  Result<Contents> Load() const;

  const std::string& path() const { return path_; }

 private:
  std::string FileOf(const std::string& uid) const;

  std::string path_;
};

}  // namespace hami::dra
