// SPDX-License-Identifier: Apache-2.0
//
// What changes a device for its neighbours (refused.def), all of it: a tenant is told that it has
// no permission, and the driver is not asked; without a slice the driver answers.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "api/nvml/types.h"
#include "tests/component/harness.h"

namespace hami::component {
namespace {

const std::vector<std::string> kNames = {
#define HAMI_REFUSED(symbol) #symbol,
#include "preload/refused.def"
};
const std::string kRefused = std::to_string(NVML_ERROR_NO_PERMISSION);
const std::string kDone = std::to_string(NVML_SUCCESS);
const std::string kAbsent = "-";

struct Said {
  std::map<std::string, std::string> answers;
  int calls = 0;
};

Said Read(const Output& output) {
  EXPECT_EQ(output.exit_code, 0) << output.text;
  Said said;
  std::istringstream lines(output.text);
  for (std::string line; std::getline(lines, line);) {
    const size_t space = line.find(' ');
    const std::string name = line.substr(0, space);
    if (name == "calls") said.calls = std::stoi(line.substr(space));
    if (name.starts_with("nvml")) said.answers[name] = line.substr(space + 1);
  }
  EXPECT_EQ(said.answers.size(), kNames.size()) << output.text;
  return said;
}

Command AskPrivileged(const std::string& how) {
  return {TestProgram(how == "linked" ? "refused_ask_linked" : "refused_ask"),
          {how},
          {{"LD_LIBRARY_PATH", TestLibraryFolder() + "/root"}}};
}

class RefusedOnce : public testing::Test {
 protected:
  Simulation simulation_{"h200-580"};
};
class Refused : public RefusedOnce, public testing::WithParamInterface<std::string> {};
INSTANTIATE_TEST_SUITE_P(Ways, Refused, testing::Values("linked", "opened", "global"),
                         [](const auto& way) { return way.param; });

TEST_P(Refused, ATenantHasNoPermissionAndTheDriverIsNotAsked) {
  const Share share(simulation_);
  const Said said = Read(share.Run(AskPrivileged(GetParam())));
  for (const std::string& name : kNames) EXPECT_EQ(said.answers.at(name), kRefused) << name;
  EXPECT_EQ(said.calls, 0);
}

TEST_P(Refused, WithUnreadableLimitsToo) {
  const Share share(simulation_, {.raw_limits = "hami-limits 1\nnonsense\n"});
  const Said said = Read(share.Run(AskPrivileged(GetParam())));
  for (const std::string& name : kNames) EXPECT_EQ(said.answers.at(name), kRefused) << name;
  EXPECT_EQ(said.calls, 0);
}

TEST_P(Refused, WithoutASliceTheDriverGetsEveryArgument) {
  Command ask = AskPrivileged(GetParam());
  ask.environment["LD_PRELOAD"] = PreloadLibrary();
  const Said said = Read(RunToEnd(ask));
  for (const std::string& name : kNames) EXPECT_EQ(said.answers.at(name), kDone) << name;
  EXPECT_EQ(said.calls, static_cast<int>(kNames.size()));
}

// A function that the driver does not have is not there with the library either.
TEST_F(RefusedOnce, ADriversOwnFunctionsAreFoundAndNoOthers) {
  const Share share(simulation_);
  const Command ask = {TestProgram("refused_ask"), {"opened"}, {}};
  const Said without = Read(simulation_.Run(ask));
  const Said with = Read(share.Run(ask));
  int present = 0;
  for (const std::string& name : kNames) {
    const bool absent = without.answers.at(name) == kAbsent;
    EXPECT_EQ(with.answers.at(name), absent ? kAbsent : kRefused) << name;
    present += absent ? 0 : 1;
  }
  EXPECT_GT(present, 50);
  EXPECT_LT(present, static_cast<int>(kNames.size()));
}

TEST_F(RefusedOnce, TheLogSaysWhichAndWhy) {
  const Share share(simulation_);
  Command ask = AskPrivileged("opened");
  ask.environment["LIBCUDA_LOG_LEVEL"] = "2";
  EXPECT_THAT(share.Run(ask).text,
              testing::HasSubstr("refused nvmlDeviceSetMigMode: it changes the device"));
}

}  // namespace
}  // namespace hami::component
