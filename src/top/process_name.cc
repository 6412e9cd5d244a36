// SPDX-License-Identifier: Apache-2.0

#include "top/process_name.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/fd.h"
#include "base/file.h"
#include "top/plain_text.h"

namespace hami::top {
namespace {

constexpr size_t kMostLength = 160;

// The beginning of a file of /proc; "" if there is none.
std::string BeginningOf(const std::string& path) {
  const Result<base::Fd> file = base::OpenFile(path, O_RDONLY);
  if (!file) return "";
  char text[kMostLength + 2];
  const ssize_t got = read(file->get(), text, sizeof(text));
  return got <= 0 ? "" : std::string(text, static_cast<size_t>(got));
}

}  // namespace

std::string ProcessName(int pid) {
  std::string text = BeginningOf(fmt::format("/proc/{}/cmdline", pid));
  if (text.empty()) text = BeginningOf(fmt::format("/proc/{}/comm", pid));
  std::ranges::replace(text, '\0', ' ');
  while (!text.empty() && (text.back() == ' ' || text.back() == '\n')) text.pop_back();
  return PlainText(text, kMostLength);
}

}  // namespace hami::top
