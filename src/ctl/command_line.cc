// SPDX-License-Identifier: Apache-2.0

#include "ctl/command_line.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

namespace hami::ctl {
namespace {

enum class Executability : uint8_t { kMissing, kNotExecutable, kExecutable };

Executability Look(const std::string& path) {
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0) return Executability::kMissing;
  if (!S_ISREG(info.st_mode) || access(path.c_str(), X_OK) != 0) {
    return Executability::kNotExecutable;
  }
  return Executability::kExecutable;
}

tl::unexpected<Error> NotExecutable(const std::string& path) {
  return Fail(Code::kPermissionDenied, fmt::format("{} cannot be executed", path));
}

}  // namespace

std::map<std::string, std::string> ReadEnvironment(char** environment) {
  std::map<std::string, std::string> variables;
  for (char** entry = environment; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    variables[std::string(text.substr(0, equals))] = text.substr(equals + 1);
  }
  return variables;
}

std::vector<std::string> FlattenEnvironment(const std::map<std::string, std::string>& variables) {
  std::vector<std::string> entries;
  entries.reserve(variables.size());
  for (const auto& [name, value] : variables) entries.push_back(name + "=" + value);
  return entries;
}

void PrependToList(std::map<std::string, std::string>* variables, const std::string& name,
                   const std::string& value) {
  std::string& list = (*variables)[name];
  list = list.empty() ? value : value + ":" + list;
}

Result<std::string> FindProgram(const std::string& name, const std::string& path_list) {
  if (name.find('/') != std::string::npos) {
    switch (Look(name)) {
      case Executability::kExecutable:
        return name;
      case Executability::kNotExecutable:
        return NotExecutable(name);
      case Executability::kMissing:
        return Fail(Code::kNotFound, fmt::format("{} does not exist", name));
    }
  }
  std::string blocked;
  for (size_t begin = 0; begin <= path_list.size();) {
    const size_t end = std::min(path_list.find(':', begin), path_list.size());
    // An empty entry of PATH is the current folder.
    const std::string folder = end == begin ? "." : path_list.substr(begin, end - begin);
    std::string path = base::JoinPath(folder, name);
    const Executability found = name.empty() ? Executability::kMissing : Look(path);
    if (found == Executability::kExecutable) return path;
    if (found == Executability::kNotExecutable && blocked.empty()) blocked = std::move(path);
    begin = end + 1;
  }
  if (!blocked.empty()) return NotExecutable(blocked);
  return Fail(Code::kNotFound, fmt::format("there is no command \"{}\"", name));
}

}  // namespace hami::ctl
