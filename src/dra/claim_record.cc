// SPDX-License-Identifier: Apache-2.0

#include "dra/claim_record.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <string_view>

#include "base/file.h"
#include "base/hash.h"
#include "base/json_writer.h"
#include "base/log.h"
#include "json/value.h"

namespace hami::dra {
namespace {

constexpr std::string_view kMagic = "hami-claim";
constexpr int kVersion = 1;
constexpr size_t kMaxRecordBytes = size_t{4} << 20;
constexpr std::string_view kSuffix = ".json";

void WriteSlice(const GrantedSlice& slice, base::JsonWriter* json) {
  json->BeginObject();
  json->Member("request", slice.request).Member("pool", slice.pool).Member("device", slice.device);
  json->Member("shareID", slice.share_id).Member("uuid", slice.uuid).Member("minor", slice.minor);
  json->Member("pciBusID", slice.pci_bus_id).Member("memoryBytes", slice.memory_bytes);
  json->Member("contextBytes", slice.context_bytes).Member("coresPct", slice.cores_pct);
  json->Member("policy", slice.policy).Member("whole", slice.whole);
  json->Member("adminAccess", slice.admin_access).EndObject();
}

GrantedSlice ReadSlice(const json::Value& object) {
  GrantedSlice slice;
  slice.request = object["request"].Text();
  slice.pool = object["pool"].Text();
  slice.device = object["device"].Text();
  slice.share_id = object["shareID"].Text();
  slice.uuid = object["uuid"].Text();
  slice.minor = static_cast<int>(object["minor"].Int(-1));
  slice.pci_bus_id = object["pciBusID"].Text();
  slice.memory_bytes = static_cast<uint64_t>(object["memoryBytes"].Int());
  slice.context_bytes = static_cast<uint64_t>(object["contextBytes"].Int());
  slice.cores_pct = static_cast<int>(object["coresPct"].Int());
  slice.policy = object["policy"].Text("default");
  slice.whole = object["whole"].Flag();
  slice.admin_access = object["adminAccess"].Flag();
  return slice;
}

}  // namespace

std::string WriteRecordText(const ClaimRecord& record) {
  base::JsonWriter json;
  json.BeginObject();
  json.Member("namespace", record.grant.namespace_name).Member("name", record.grant.name);
  json.Member("uid", record.grant.uid).Member("bootID", record.boot_id);
  json.Member("library", record.library);
  json.Key("slices").BeginArray();
  for (const GrantedSlice& slice : record.grant.slices) WriteSlice(slice, &json);
  json.EndArray().EndObject();
  const std::string body = std::move(json).Take() + "\n";
  return fmt::format("{} {} {:016x}\n{}", kMagic, kVersion, base::HashOf(body), body);
}

Result<ClaimRecord> ReadRecordText(const std::string& text) {
  const size_t line = text.find('\n');
  const std::string_view head = std::string_view(text).substr(0, line);
  const std::string version = fmt::format("{} {} ", kMagic, kVersion);
  if (line == std::string::npos || !head.starts_with(kMagic)) {
    return Fail(Code::kDataLoss, "cut short or not a claim's record");
  }
  if (!head.starts_with(version)) {
    return Fail(Code::kUnimplemented, "written by a newer version of this program");
  }
  const std::string_view body = std::string_view(text).substr(line + 1);
  if (head.substr(version.size()) != fmt::format("{:016x}", base::HashOf(body))) {
    return Fail(Code::kDataLoss, "cut short or changed: the checksum does not match");
  }
  json::Document document;
  RETURN_IF_ERROR(document.Parse(body));
  const json::Value root = document.root();
  ClaimRecord record;
  record.grant.namespace_name = root["namespace"].Text();
  record.grant.name = root["name"].Text();
  record.grant.uid = root["uid"].Text();
  record.boot_id = root["bootID"].Text();
  record.library = root["library"].Text();
  for (const json::Value slice : root["slices"].Elements()) {
    record.grant.slices.push_back(ReadSlice(slice));
  }
  return record;
}

bool IsUid(const std::string& uid) {
  return !uid.empty() && uid.size() <= 64 &&
         std::ranges::all_of(uid, [](unsigned char c) { return std::isalnum(c) != 0 || c == '-'; });
}

std::string RecordFolder::FileOf(const std::string& uid) const {
  return base::JoinPath(path_, uid + std::string(kSuffix));
}

Status RecordFolder::Save(const ClaimRecord& record) const {
  if (!IsUid(record.grant.uid)) {
    return Fail(Code::kInvalidArgument, "\"" + record.grant.uid + "\" is no claim's UID");
  }
  RETURN_IF_ERROR(base::MakeFolders(path_, 0700));
  return base::WriteFileAtomically(FileOf(record.grant.uid), WriteRecordText(record), 0600);
}

bool RecordFolder::Has(const std::string& uid) const {
  return IsUid(uid) && base::Exists(FileOf(uid));
}

Status RecordFolder::Remove(const std::string& uid) const {
  if (!IsUid(uid)) return {};
  if (unlink(FileOf(uid).c_str()) != 0 && errno != ENOENT) {
    return FailErrno("remove " + FileOf(uid));
  }
  return {};
}

Result<RecordFolder::Contents> RecordFolder::Load() const {
  RETURN_IF_ERROR(base::MakeFolders(path_, 0700));
  ASSIGN_OR_RETURN(const std::vector<std::string> names, base::ListFolder(path_));
  Contents contents;
  for (const std::string& name : names) {
    const std::string path = base::JoinPath(path_, name);
    const std::string uid = name.substr(0, name.size() - std::min(name.size(), kSuffix.size()));
    if (!name.ends_with(kSuffix) || !IsUid(uid)) {
      if (unlink(path.c_str()) != 0) LOG_WARN("cannot remove", Field("path", path));
      continue;
    }
    Result<std::string> text = base::ReadFile(path, kMaxRecordBytes);
    Result<ClaimRecord> record =
        text ? ReadRecordText(*text) : Result<ClaimRecord>(Fail(std::move(text).error()));
    if (record && record->grant.uid == uid) {
      contents.records.push_back(std::move(*record));
      continue;
    }
    LOG_ERROR("a claim's record cannot be read", Field("path", path),
              Field("error", record ? "it is another claim's" : record.error().message));
    contents.broken.push_back(uid);
  }
  return contents;
}

}  // namespace hami::dra
