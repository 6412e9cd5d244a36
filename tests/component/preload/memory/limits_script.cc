// SPDX-License-Identifier: Apache-2.0

#include "tests/component/preload/memory/limits_script.h"

#include <utility>

#include "tests/component/preload/memory/truth.h"

namespace hami::component {

Running StartScript(Command command, const Environment& environment) {
  for (const auto& [name, value] : environment) command.environment[name] = value;
  command.program = TestProgram("script");
  Running script(command);
  Ask(script, "init");
  return script;
}

std::string FindWrongLimit(Running& script, uint64_t limit_bytes, uint64_t context_bytes) {
  const uint64_t rest = limit_bytes - context_bytes;
  const std::string limit = std::to_string(limit_bytes);
  const std::vector<std::pair<std::string, std::string>> talk = {
      {"total", limit},
      {"retain", "ok"},
      {"info", std::to_string(rest) + " " + limit},
      {AllocLine(rest + 1), "error 2"},
      {AllocLine(rest), "ok"},
      {"alloc b 1", "error 2"},
  };
  for (const auto& [line, expected] : talk) {
    const std::string answer = Ask(script, line);
    if (answer != expected) return line + ": " + answer + " instead of " + expected;
  }
  return "";
}

std::string AllocLine(uint64_t bytes) { return "alloc a " + std::to_string(bytes); }

std::vector<std::string> Transcript(Command command, const std::vector<std::string>& lines) {
  command.program = TestProgram("script");
  Running script(command);
  for (const std::string& line : lines) script.WriteLine(line);
  const int exit_code = script.Wait();
  std::vector<std::string> transcript;
  for (std::string line = script.ReadLine(); !line.empty(); line = script.ReadLine()) {
    line.pop_back();
    transcript.push_back(line);
  }
  if (exit_code != 0) transcript.push_back("exit code " + std::to_string(exit_code));
  return transcript;
}

}  // namespace hami::component
