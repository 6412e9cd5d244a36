// SPDX-License-Identifier: Apache-2.0
//
// Does a CUDA driver do what its manual says? Every case runs in a process of its own: this one
// never touches the driver.

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "base/version.h"
#include "tests/conformance/cases.h"

namespace hami::conformance {
namespace {

constexpr unsigned kLimitSeconds = 100;  // a case that hangs has failed

bool RunCase(const Case& what) {
  int ends[2];
  if (pipe(ends) != 0) return false;
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    close(ends[1]);
    alarm(kLimitSeconds);
    what.run();
    _exit(0);
  }
  close(ends[1]);
  std::string reason;
  char bytes[512];
  for (ssize_t got = 0; (got = read(ends[0], bytes, sizeof(bytes))) > 0;) {
    reason.append(bytes, static_cast<size_t>(got));
  }
  close(ends[0]);
  int status = 0;
  waitpid(pid, &status, 0);
  while (!reason.empty() && reason.back() == '\n') reason.pop_back();
  if (WIFSIGNALED(status)) reason += " killed by signal " + std::to_string(WTERMSIG(status));
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
  if (code == 0) {
    std::printf("ok - %s\n", what.name);
  } else {
    std::printf("%s - %s - %s (%s)\n", code == 77 ? "skip" : "not ok", what.name, reason.c_str(),
                what.rule);
  }
  std::fflush(stdout);
  return code == 0 || code == 77;
}

constexpr char kUsage[] =
    "usage: conformance [--list | NAME...]\n"
    "\n"
    "Does the CUDA driver of this machine (or of a simulation) do what its manual says?\n"
    "All cases, or those named. One line each: \"ok - NAME\", \"not ok - NAME - REASON\" or\n"
    "\"skip - NAME - REASON\". Exit codes: 0 done, 1 a case is not ok, 2 wrong usage.\n";

int Main(int count, char** arguments) {
  const std::string first = count > 1 ? arguments[1] : "";
  if (first == "--version" || first == "--help") {
    std::printf("%s",
                first == "--help" ? kUsage : (base::VersionLine("conformance") + "\n").c_str());
    return 0;
  }
  if (count == 3 && std::strcmp(arguments[1], "--role") == 0) return RunRole(arguments[2]);
  auto& cases = Cases();
  std::ranges::sort(cases, {}, [](const Case& one) { return std::string(one.name); });
  if (count == 2 && std::strcmp(arguments[1], "--list") == 0) {
    for (const Case& one : cases) std::printf("%s\t%s\n", one.name, one.rule);
    return 0;
  }
  std::fprintf(stderr, "%s\n", base::VersionLine("conformance").c_str());
  bool good = true;
  for (int i = 1; i < count; ++i) {
    const auto found = std::ranges::find_if(
        cases, [&](const Case& one) { return std::strcmp(one.name, arguments[i]) == 0; });
    if (found == cases.end()) {
      std::fprintf(stderr, "conformance: no case '%s'; --list names them\n", arguments[i]);
      return 2;
    }
    good = RunCase(*found) && good;
  }
  if (count == 1) {
    for (const Case& one : cases) good = RunCase(one) && good;
  }
  return good ? 0 : 1;
}

}  // namespace
}  // namespace hami::conformance

int main(int count, char** arguments) { return hami::conformance::Main(count, arguments); }
