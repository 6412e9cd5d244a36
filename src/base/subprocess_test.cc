// SPDX-License-Identifier: Apache-2.0

#include "base/subprocess.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hami::base {
namespace {

using ::testing::HasSubstr;

Program Shell(const std::string& script) { return {.path = "sh", .arguments = {"-c", script}}; }

TEST(SubprocessTest, KeepsOutputAndExitCode) {
  const Result<ProgramOutput> output = RunProgram(Shell("echo out; echo err >&2; exit 7"));
  ASSERT_TRUE(output) << output.error().message;
  EXPECT_EQ(output->exit_code, 7);
  EXPECT_EQ(output->text, "out\nerr\n");
}

TEST(SubprocessTest, SignalIs128PlusNumber) {
  EXPECT_EQ(RunProgram(Shell("kill -9 $$"))->exit_code, 137);
}

TEST(SubprocessTest, MissingProgramIsNotFound) {
  EXPECT_EQ(RunProgram({.path = "/no/such/program"}).error().code, Code::kNotFound);
}

TEST(SubprocessTest, OutputIsBounded) {
  Program program = Shell("head -c 100000 /dev/zero");
  program.max_output_bytes = 10;
  EXPECT_EQ(RunProgram(program)->text.size(), 10U);
}

TEST(SubprocessTest, IsKilledForItsTime) {
  Program program = Shell("exec sleep 1000");
  program.timeout_ms = 50;
  EXPECT_EQ(RunProgram(program).error().code, Code::kDeadlineExceeded);
}

TEST(SubprocessTest, GetsTheEnvironmentItIsGiven) {
  Program program = {.path = "/usr/bin/env"};
  program.environment = std::vector<std::string>{"ONLY=this"};
  EXPECT_EQ(RunProgram(program)->text, "ONLY=this\n");
}

TEST(SubprocessTest, ReadsNothing) {
  EXPECT_THAT(RunProgram(Shell("cat; echo end"))->text, HasSubstr("end"));
}

TEST(SubprocessTest, ErrorsApartAreNotInTheText) {
  const auto output = RunProgram({.path = "/bin/sh",
                                  .arguments = {"-c", "echo answer; echo noise >&2"},
                                  .errors_apart = true});
  ASSERT_TRUE(output);
  EXPECT_EQ(output->text, "answer\n");
}

}  // namespace
}  // namespace hami::base
