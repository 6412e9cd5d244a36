// SPDX-License-Identifier: Apache-2.0

#include "dra/runtime_config.h"

#include <gtest/gtest.h>

#include <string>

namespace hami::dra {
namespace {

constexpr char kFolder[] = "/var/run/cdi";

std::string Complaint(const std::string& config) {
  const Status status = CheckRuntimeConfig(config, kFolder);
  return status ? "" : status.error().message;
}

TEST(RuntimeConfigTest, ARuntimeThatReadsOurFolderIsFine) {
  EXPECT_EQ(Complaint(R"({"enableCDI":true,"cdiSpecDirs":["/etc/cdi","/var/run/cdi"]})"), "");
  EXPECT_EQ(Complaint(R"({"cdiSpecDirs":["/run/cdi/"]})"), "");
}

TEST(RuntimeConfigTest, CdiSwitchedOffIsRefusedWithWhatToChange) {
  const std::string said =
      Complaint(R"({"enableCDI":false,"cdiSpecDirs":["/etc/cdi","/var/run/cdi"]})");
  EXPECT_NE(said.find("enable_cdi = true"), std::string::npos) << said;
}

TEST(RuntimeConfigTest, AnotherFolderIsRefusedWithWhatToChange) {
  const std::string said = Complaint(R"({"cdiSpecDirs":["/etc/cdi"]})");
  EXPECT_NE(said.find("cdi_spec_dirs (/etc/cdi)"), std::string::npos) << said;
  EXPECT_NE(Complaint(R"({"cdiSpecDirs":[]})").find("empty now"), std::string::npos);
  EXPECT_NE(Complaint(R"({"cdiSpecDirs":null})").find("empty now"), std::string::npos);
}

TEST(RuntimeConfigTest, ARuntimeThatSaysNothingIsBelieved) {
  EXPECT_EQ(Complaint(""), "");
  EXPECT_EQ(Complaint(R"({"other":1})"), "");
}

}  // namespace
}  // namespace hami::dra
