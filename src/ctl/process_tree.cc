// SPDX-License-Identifier: Apache-2.0

#include "ctl/process_tree.h"

#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <map>
#include <memory>
#include <optional>

#include "base/file.h"
#include "base/result.h"

namespace hami::ctl {
namespace {

constexpr int kMaxDepth = 4096;  // a chain of parents longer than this is a loop of stale reads

std::optional<pid_t> ParsePid(std::string_view text) {
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return pid;
}

// The parent: field 4 of /proc/PID/stat. The name before it may hold anything, so the last
// parenthesis counts.
std::optional<pid_t> ParentOf(pid_t pid) {
  const Result<std::string> stat = base::ReadFile("/proc/" + std::to_string(pid) + "/stat", 4096);
  if (!stat) return std::nullopt;
  const size_t name_end = stat->rfind(')');
  if (name_end == std::string::npos || name_end + 4 > stat->size()) return std::nullopt;
  const std::string_view rest = std::string_view(*stat).substr(name_end + 4);  // after ") S "
  return ParsePid(rest.substr(0, rest.find(' ')));
}

}  // namespace

std::vector<ProcessLink> ListProcessLinks() {
  std::vector<ProcessLink> links;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir("/proc"), &closedir);
  if (folder == nullptr) return links;
  while (const dirent* entry = readdir(folder.get())) {
    const std::optional<pid_t> pid = ParsePid(entry->d_name);
    if (!pid) continue;
    const std::optional<pid_t> parent = ParentOf(*pid);
    if (parent) links.push_back({*pid, *parent});
  }
  return links;
}

std::vector<pid_t> Below(pid_t root, const std::vector<ProcessLink>& links) {
  std::multimap<pid_t, pid_t> children;
  for (const ProcessLink& link : links) children.emplace(link.parent, link.pid);
  std::vector<pid_t> below;
  std::vector<pid_t> open = {root};
  while (!open.empty() && below.size() <= links.size()) {
    const pid_t parent = open.back();
    open.pop_back();
    const auto [first, last] = children.equal_range(parent);
    for (auto child = first; child != last; ++child) {
      below.push_back(child->second);
      open.push_back(child->second);
    }
  }
  return below;
}

bool IsBelow(pid_t root, pid_t pid) {
  for (int depth = 0; depth < kMaxDepth; ++depth) {
    const std::optional<pid_t> parent = ParentOf(pid);
    if (!parent || *parent <= 0) return false;
    if (*parent == root) return true;
    pid = *parent;
  }
  return false;
}

int SignalTree(int signal_number, int* refused) {
  int reached = 0;
  *refused = 0;
  for (const pid_t pid : Below(getpid(), ListProcessLinks())) {
    if (kill(pid, signal_number) == 0) {
      ++reached;
    } else if (errno == EPERM) {
      ++*refused;
    }
  }
  return reached;
}

bool ReapEnded() {
  for (;;) {
    const pid_t pid = waitpid(-1, nullptr, WNOHANG);
    if (pid == 0) return true;
    if (pid < 0 && errno == EINTR) continue;
    if (pid < 0) return false;
  }
}

std::string CommandOf(pid_t pid, size_t max_length) {
  const Result<std::string> words =
      base::ReadFile("/proc/" + std::to_string(pid) + "/cmdline", 1 << 20);
  if (!words) return "";
  std::string text = words->substr(0, max_length);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

}  // namespace hami::ctl
