// SPDX-License-Identifier: Apache-2.0
//
// Images as compilers really make them (tests/golden/images), and what is left of them when they
// are cut or changed.

#include "simgpu/image/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>

#include "simgpu/image/image_recorder.h"

namespace hami::simgpu {
namespace {

using testing::ElementsAre;
using testing::Pair;
using testing::UnorderedElementsAre;

std::string Load(const std::string& name) {
  std::ifstream file(std::string(HAMI_IMAGES "/") + name, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_FALSE(bytes.empty()) << name;
  return bytes;
}

ImageStatus Parse(const std::string& image, int sm, Recorder* recorder, int max_ptx = 0) {
  return ParseImageBytes(image.data(), image.size(), sm, recorder->Visitor(),
                         &recorder->device_bytes, max_ptx);
}

void ExpectKernelsOfSource(const Recorder& recorder) {
  const auto names =
      testing::UnorderedElementsAre(Pair("Empty", testing::_), Pair("Scale", testing::_),
                                    Pair("Reduce", testing::_), Pair("Mixed", testing::_));
  ASSERT_THAT(recorder.kernels, names);
  EXPECT_THAT(recorder.kernels.at("Empty").params, ElementsAre());
  EXPECT_THAT(recorder.kernels.at("Scale").params,
              ElementsAre(Pair(0, 8), Pair(8, 4), Pair(12, 4)));
  EXPECT_THAT(recorder.kernels.at("Reduce").params,
              ElementsAre(Pair(0, 8), Pair(8, 8), Pair(16, 16), Pair(32, 1)));
  EXPECT_THAT(recorder.kernels.at("Mixed").params, ElementsAre(Pair(0, 2), Pair(2, 1), Pair(8, 8)));
  EXPECT_EQ(recorder.kernels.at("Empty").param_bytes, 0U);
  EXPECT_EQ(recorder.kernels.at("Scale").param_bytes, 16U);
  EXPECT_EQ(recorder.kernels.at("Reduce").param_bytes, 33U);
  EXPECT_EQ(recorder.kernels.at("Reduce").shared_bytes, 1024U);
  EXPECT_EQ(recorder.kernels.at("Mixed").shared_bytes, 0U);
  EXPECT_EQ(recorder.kernels.at("Reduce").max_threads, 256U);
  EXPECT_EQ(recorder.kernels.at("Scale").max_threads, 1024U);
  EXPECT_THAT(recorder.globals,
              UnorderedElementsAre(Pair("table", 4096), Pair("counter", 4), Pair("constants", 64)));
}

class CubinOfEveryToolkit : public testing::TestWithParam<const char*> {};

TEST_P(CubinOfEveryToolkit, TellsKernelsAndVariables) {
  Recorder recorder;
  ASSERT_EQ(Parse(Load(GetParam()), 86, &recorder), ImageStatus::kOk);
  ExpectKernelsOfSource(recorder);
  // ptxas -v of each toolkit prints these.
  EXPECT_EQ(recorder.kernels.at("Empty").registers, 4U);
  EXPECT_EQ(recorder.kernels.at("Scale").registers, 10U);
  EXPECT_EQ(recorder.kernels.at("Reduce").registers, 12U);
  // Code, constant banks and variables of this source, in units of 256 bytes.
  EXPECT_GT(recorder.device_bytes, 4096U + 1024U);
  EXPECT_LT(recorder.device_bytes, 16384U);
  EXPECT_EQ(recorder.device_bytes % 256, 0U);
}

INSTANTIATE_TEST_SUITE_P(Toolkits, CubinOfEveryToolkit,
                         testing::Values("sm_86.cubin", "sm_86_cuda12.cubin",
                                         "sm_86_cuda11.cubin"));

TEST(CubinTest, RunsOnItsMajorVersionFromItsMinorVersionOn) {
  const std::string image = Load("sm_86.cubin");
  Recorder recorder;
  EXPECT_EQ(Parse(image, 86, &recorder), ImageStatus::kOk);
  EXPECT_EQ(Parse(image, 89, &recorder), ImageStatus::kOk);
  EXPECT_EQ(Parse(image, 80, &recorder), ImageStatus::kNoBinaryForGpu);
  EXPECT_EQ(Parse(image, 90, &recorder), ImageStatus::kNoBinaryForGpu);
}

TEST(CubinTest, LargeParametersAndReservedSharedMemory) {
  Recorder recorder;
  ASSERT_EQ(Parse(Load("sm_90_hopper.cubin"), 90, &recorder), ImageStatus::kOk);
  EXPECT_THAT(recorder.kernels.at("Large").params, ElementsAre(Pair(0, 30000), Pair(30000, 8)));
  EXPECT_EQ(recorder.kernels.at("Large").param_bytes, 30008U);
  // The section is 1 KiB large: the system's part, none of it the kernel's.
  EXPECT_EQ(recorder.kernels.at("Large").shared_bytes, 0U);
  EXPECT_THAT(recorder.globals, UnorderedElementsAre(Pair("managed_value", 4)));
}

class Ptx : public testing::TestWithParam<int> {};

TEST_P(Ptx, TellsTheSameAsTheCubin) {
  Recorder recorder;
  ASSERT_EQ(Parse(Load("compute_80.ptx"), GetParam(), &recorder), ImageStatus::kOk);
  ExpectKernelsOfSource(recorder);
  EXPECT_EQ(recorder.kernels.at("Scale").registers, kPtxRegisters);
  EXPECT_GT(recorder.device_bytes, 4096U);
  EXPECT_LT(recorder.device_bytes, 16384U);
}

INSTANTIATE_TEST_SUITE_P(Devices, Ptx, testing::Values(80, 86, 90, 120));

TEST(PtxImageTest, TargetAboveTheDeviceDoesNotCompile) {
  Recorder recorder;
  EXPECT_EQ(Parse(Load("compute_90_hopper.ptx"), 86, &recorder), ImageStatus::kInvalidPtx);
  EXPECT_EQ(Parse(Load("compute_90_hopper.ptx"), 90, &recorder), ImageStatus::kOk);
  EXPECT_THAT(recorder.kernels.at("Large").params, ElementsAre(Pair(0, 30000), Pair(30000, 8)));
}

TEST(PtxImageTest, VersionNewerThanTheDriverIsRefused) {
  const std::string image = Load("compute_80.ptx");  // version 9.5
  Recorder recorder;
  EXPECT_EQ(Parse(image, 86, &recorder, MaxPtxVersion(12040)), ImageStatus::kUnsupportedPtxVersion);
  EXPECT_TRUE(recorder.kernels.empty());
  EXPECT_EQ(Parse(image, 86, &recorder, MaxPtxVersion(13050)), ImageStatus::kOk);
}

TEST(MaxPtxVersionTest, FollowsTheToolkit) {
  EXPECT_EQ(MaxPtxVersion(11080), 78);
  EXPECT_EQ(MaxPtxVersion(12040), 84);
  EXPECT_EQ(MaxPtxVersion(12060), 85);  // 12.6 came without a new version
  EXPECT_EQ(MaxPtxVersion(13000), 90);
}

class Fatbin : public testing::TestWithParam<const char*> {};

TEST_P(Fatbin, GivesTheEntryForTheDevice) {
  const std::string image = Load(GetParam());
  Recorder ampere;
  ASSERT_EQ(Parse(image, 86, &ampere), ImageStatus::kOk);
  ExpectKernelsOfSource(ampere);
  EXPECT_EQ(ampere.kernels.at("Scale").registers, 10U) << "the cubin for 8.0, not the PTX";

  Recorder hopper;
  ASSERT_EQ(Parse(image, 90, &hopper), ImageStatus::kOk);
  ExpectKernelsOfSource(hopper);

  Recorder ada_next;  // No cubin for 10.0: the PTX is compiled.
  ASSERT_EQ(Parse(image, 100, &ada_next), ImageStatus::kOk);
  ExpectKernelsOfSource(ada_next);
  EXPECT_EQ(ada_next.kernels.at("Scale").registers, kPtxRegisters);
  EXPECT_EQ(Parse(image, 100, &ada_next, 84), ImageStatus::kUnsupportedPtxVersion);

  Recorder turing;
  EXPECT_EQ(Parse(image, 75, &turing), ImageStatus::kNoBinaryForGpu);
  EXPECT_TRUE(turing.kernels.empty());
}

INSTANTIATE_TEST_SUITE_P(Compressions, Fatbin,
                         testing::Values("mix_plain.fatbin", "mix_lz4.fatbin", "mix_zstd.fatbin",
                                         "mix_concatenated.fatbin"));

TEST(FatbinTest, Compressed90aIsFor90Alone) {
  const std::string image = Load("only_90a.fatbin");
  Recorder recorder;
  EXPECT_EQ(Parse(image, 90, &recorder), ImageStatus::kOk);
  EXPECT_EQ(Parse(image, 100, &recorder), ImageStatus::kNoBinaryForGpu);
}

TEST(FatbinTest, OnlyPtxIsCompiled) {
  Recorder recorder;
  ASSERT_EQ(Parse(Load("ptx_only.fatbin"), 86, &recorder), ImageStatus::kOk);
  ExpectKernelsOfSource(recorder);
}

TEST(ParseImageTest, FindsTheLengthItself) {
  for (const char* name : {"sm_86.cubin", "mix_zstd.fatbin", "compute_80.ptx"}) {
    const std::string image = Load(name);  // std::string puts a zero behind it
    Recorder recorder;
    ASSERT_EQ(ParseImage(image.c_str(), 86, recorder.Visitor(), &recorder.device_bytes),
              ImageStatus::kOk)
        << name;
    ExpectKernelsOfSource(recorder);
  }
}

TEST(ParseImageTest, FollowsTheWrapperOfHostPrograms) {
  const std::string image = Load("mix_plain.fatbin");
  const struct {
    uint32_t magic;
    uint32_t version;
    const void* data;
    const void* unused;
  } wrapper = {0x466243B1, 1, image.data(), nullptr};
  Recorder recorder;
  ASSERT_EQ(ParseImage(&wrapper, 86, recorder.Visitor(), &recorder.device_bytes), ImageStatus::kOk);
  ExpectKernelsOfSource(recorder);
  EXPECT_EQ(
      Parse(std::string(reinterpret_cast<const char*>(&wrapper), sizeof(wrapper)), 86, &recorder),
      ImageStatus::kInvalidImage);
}

TEST(ParseImageTest, RefusesWhatIsNoImage) {
  Recorder recorder;
  uint64_t bytes = 0;
  EXPECT_EQ(ParseImage(nullptr, 86, recorder.Visitor(), &bytes), ImageStatus::kInvalidImage);
  EXPECT_EQ(ParseImage("", 86, recorder.Visitor(), &bytes), ImageStatus::kInvalidImage);
  EXPECT_EQ(ParseImage("x", 86, recorder.Visitor(), &bytes), ImageStatus::kInvalidImage);
  EXPECT_EQ(ParseImage("not an image", 86, recorder.Visitor(), &bytes), ImageStatus::kInvalidImage);
}

// Every prefix of an image is another image, and none is whole. Under the sanitizer a read outside
// the exact allocation ends the test.
TEST(HostileImageTest, NoPrefixIsAccepted) {
  for (const char* name : {"sm_86.cubin", "sm_86_cuda12.cubin", "mix_zstd.fatbin", "mix_lz4.fatbin",
                           "mix_concatenated.fatbin"}) {
    const std::string whole = Load(name);
    for (size_t bytes = 0; bytes < whole.size(); bytes += 7) {
      const std::unique_ptr<char[]> cut(new char[bytes]);
      memcpy(cut.get(), whole.data(), bytes);
      Recorder recorder;
      uint64_t device_bytes = 0;
      EXPECT_NE(ParseImageBytes(cut.get(), bytes, 86, recorder.Visitor(), &device_bytes),
                ImageStatus::kOk)
          << name << " cut at " << bytes;
      EXPECT_TRUE(recorder.kernels.empty());
    }
  }
}

// Each 32-bit word set to extremes: whatever comes out, nothing outside is read and it ends.
TEST(HostileImageTest, ChangedWordsAreHarmless) {
  for (const char* name : {"sm_86.cubin", "mix_zstd.fatbin", "mix_lz4.fatbin"}) {
    const std::string whole = Load(name);
    for (size_t at = 0; at + 4 <= whole.size(); at += 4) {
      for (const uint32_t value : {0xFFFFFFFFU, 0x7FFFFFFFU, 0x10000U, 0U}) {
        const std::unique_ptr<char[]> changed(new char[whole.size()]);
        memcpy(changed.get(), whole.data(), whole.size());
        memcpy(changed.get() + at, &value, sizeof(value));
        uint64_t device_bytes = 0;
        const ImageVisitor nobody = {nullptr, nullptr, nullptr};
        const ImageStatus status =
            ParseImageBytes(changed.get(), whole.size(), 86, nobody, &device_bytes);
        EXPECT_LE(static_cast<int>(status), static_cast<int>(ImageStatus::kUnsupportedPtxVersion));
      }
    }
  }
}

}  // namespace
}  // namespace hami::simgpu
