// SPDX-License-Identifier: Apache-2.0
//
// Whoever looks a function up, in whatever way, gets under libvgpu.so what libc would give without
// it, except that a driver function which is intercepted is ours. Names that are not the driver's
// are answered exactly as without us.

#include <gtest/gtest.h>

#include <map>
#include <sstream>
#include <string>

#include "tests/component/harness.h"

namespace hami::component {
namespace {

using Matrix = std::map<std::string, std::string>;

Matrix Parse(const std::string& text) {
  Matrix matrix;
  std::istringstream lines(text);
  std::string line;
  while (std::getline(lines, line)) {
    const size_t arrow = line.find(" -> ");
    if (arrow != std::string::npos) matrix[line.substr(0, arrow)] = line.substr(arrow + 4);
  }
  return matrix;
}

bool IsIntercepted(const std::string& question) {
  return question.ends_with(" cuMemAlloc_v2") || question.ends_with(" cuGetProcAddress_v2") ||
         question.ends_with(" nvmlDeviceGetMemoryInfo");
}

struct Setting {
  const char* program;
  const char* driver;
};

class LookupMatrix : public testing::TestWithParam<Setting> {};

TEST_P(LookupMatrix, IsThatOfLibcWithTheDriversFunctionsReplaced) {
  const Simulation simulation;
  const Share share(simulation, {.memory = "10Gi"});
  Command command = {.program = TestProgram(GetParam().program),
                     .arguments = {GetParam().driver, TestLibraryFolder()}};
  const Output native = simulation.Run(command);
  ASSERT_EQ(native.exit_code, 0) << native.text;
  const Output preloaded = share.Run(command);
  ASSERT_EQ(preloaded.exit_code, 0) << preloaded.text;

  const Matrix expected = Parse(native.text);
  const Matrix actual = Parse(preloaded.text);
  ASSERT_GT(expected.size(), 100U);
  ASSERT_EQ(expected.size(), actual.size());
  int replaced = 0;
  for (const auto& [question, answer] : expected) {
    const bool is_driver =
        answer.starts_with("libcuda.so") || answer.starts_with("libnvidia-ml.so");
    if (IsIntercepted(question) && is_driver) {
      EXPECT_EQ(actual.at(question), "libvgpu.so") << question;
      ++replaced;
    } else {
      EXPECT_EQ(actual.at(question), answer) << question;
    }
  }
  EXPECT_GT(replaced, 0);  // some of the askers bring the driver with them
}

INSTANTIATE_TEST_SUITE_P(Settings, LookupMatrix,
                         testing::Values(Setting{"lookup_matrix", "none"},
                                         Setting{"lookup_matrix", "local"},
                                         Setting{"lookup_matrix", "global"},
                                         Setting{"lookup_matrix_linked", "none"},
                                         Setting{"lookup_matrix_linked", "local"}));

}  // namespace
}  // namespace hami::component
