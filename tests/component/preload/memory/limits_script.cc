// SPDX-License-Identifier: Apache-2.0

#include "tests/component/preload/memory/limits_script.h"

#include <gtest/gtest.h>

#include "tests/component/preload/memory/truth.h"

namespace hami::component {

Running StartScript(Command command, const Environment& environment) {
  for (const auto& [name, value] : environment) command.environment[name] = value;
  command.program = TestProgram("script");
  Running script(command);
  EXPECT_EQ(Ask(script, "init"), "ok");
  return script;
}

void ExpectLimit(Running& script, uint64_t limit_bytes, uint64_t context_bytes) {
  EXPECT_EQ(Ask(script, "total"), std::to_string(limit_bytes));
  EXPECT_EQ(Ask(script, "retain"), "ok");
  const uint64_t rest = limit_bytes - context_bytes;
  EXPECT_EQ(Ask(script, "info"), std::to_string(rest) + " " + std::to_string(limit_bytes));
  EXPECT_EQ(Ask(script, AllocLine(rest + 1)), "error 2");
  EXPECT_EQ(Ask(script, AllocLine(rest)), "ok");
  EXPECT_EQ(Ask(script, "alloc b 1"), "error 2");
}

std::string AllocLine(uint64_t bytes) { return "alloc a " + std::to_string(bytes); }

std::vector<std::string> Transcript(Command command, const std::vector<std::string>& lines) {
  command.program = TestProgram("script");
  Running script(command);
  for (const std::string& line : lines) script.WriteLine(line);
  EXPECT_EQ(script.Wait(), 0);
  std::vector<std::string> transcript;
  for (std::string line = script.ReadLine(); !line.empty(); line = script.ReadLine()) {
    line.pop_back();
    transcript.push_back(line);
  }
  return transcript;
}

}  // namespace hami::component
