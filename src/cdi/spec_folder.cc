// SPDX-License-Identifier: Apache-2.0

#include "cdi/spec_folder.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/file.h"

namespace hami::cdi {
namespace {

constexpr size_t kMaxIdBytes = 128;
constexpr size_t kMaxSpecBytes = size_t{16} << 20;
constexpr std::string_view kSuffix = ".json";
// What base::WriteFileAtomically puts behind a name while it writes. Runtimes read names that end
// in .json or .yaml only.
constexpr std::string_view kTemporary = ".json.new-";

std::string Prefix(std::string_view vendor, std::string_view device_class) {
  return fmt::format("{}-{}_", vendor, device_class);
}

Status RemoveFile(const std::string& path) {
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return FailErrno("remove " + path);
  return {};
}

}  // namespace

Result<std::string> SpecFileName(std::string_view vendor, std::string_view device_class,
                                 std::string_view id) {
  RETURN_IF_ERROR(ValidateQualifier(vendor, "vendor"));
  RETURN_IF_ERROR(ValidateQualifier(device_class, "class"));
  const bool plain = std::ranges::all_of(id, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
  if (id.empty() || id.size() > kMaxIdBytes || !plain) {
    return Fail(Code::kInvalidArgument,
                fmt::format("\"{}\" cannot name a CDI document: 1 to {} letters, digits, '-', '_' "
                            "and '.'",
                            id, kMaxIdBytes));
  }
  return fmt::format("{}{}{}", Prefix(vendor, device_class), id, kSuffix);
}

Result<std::string> PublishSpec(const std::string& folder, const Spec& spec, std::string_view id) {
  if (Status valid = Validate(spec); !valid) {
    return Fail(std::move(valid).error().Wrap(fmt::format("CDI document {}", id)));
  }
  ASSIGN_OR_RETURN(const std::string name, SpecFileName(spec.vendor, spec.device_class, id));
  std::string path = base::JoinPath(folder, name);
  const std::string text = WriteSpec(spec);
  const Result<std::string> published = base::ReadFile(path, kMaxSpecBytes);
  if (published && *published == text) return path;
  RETURN_IF_ERROR(base::MakeFolders(folder, 0755));
  RETURN_IF_ERROR(base::WriteFileAtomically(path, text, 0644));
  return path;
}

Status WithdrawSpec(const std::string& folder, std::string_view vendor,
                    std::string_view device_class, std::string_view id) {
  ASSIGN_OR_RETURN(const std::string name, SpecFileName(vendor, device_class, id));
  return RemoveFile(base::JoinPath(folder, name));
}

Result<PublishedSpecs> ListSpecs(const std::string& folder, std::string_view vendor,
                                 std::string_view device_class) {
  Result<std::vector<std::string>> names = base::ListFolder(folder);
  if (!names && names.error().code == Code::kNotFound) return PublishedSpecs{};
  if (!names) return Fail(std::move(names).error());
  const std::string prefix = Prefix(vendor, device_class);
  PublishedSpecs specs;
  for (const std::string& name : *names) {
    if (!name.starts_with(prefix)) continue;
    const std::string rest = name.substr(prefix.size());
    if (rest.ends_with(kSuffix)) {
      specs.ids.push_back(rest.substr(0, rest.size() - kSuffix.size()));
    } else if (rest.find(kTemporary) != std::string::npos) {
      specs.remains.push_back(name);
    }
  }
  return specs;
}

Status RemoveRemains(const std::string& folder, const PublishedSpecs& specs) {
  for (const std::string& name : specs.remains) {
    RETURN_IF_ERROR(RemoveFile(base::JoinPath(folder, name)));
  }
  return {};
}

}  // namespace hami::cdi
