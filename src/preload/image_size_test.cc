// SPDX-License-Identifier: Apache-2.0
//
// What images are taken to need. That it is what the simulated driver takes for the golden images
// is in tests/component/preload/memory/modules_test.cc.

#include "preload/image_size.h"

#include <elf.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "preload/ptx_size.h"

namespace hami::preload {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr char kHead[] = ".version 7.0\n.target sm_80\n.address_size 64\n";

std::string Read(const std::string& name) {
  std::ifstream file(std::string(HAMI_IMAGES) + "/" + name, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

template <typename T>
void Put(std::string* image, size_t at, T value) {
  std::memcpy(image->data() + at, &value, sizeof(value));
}

// One plain entry with this payload.
std::string Fatbin(uint16_t kind, const std::string& payload) {
  std::string image(16 + 64, '\0');
  Put(&image, 0, uint32_t{0xba55ed50});
  Put(&image, 4, uint16_t{1});
  Put(&image, 6, uint16_t{16});
  Put(&image, 8, uint64_t{64 + payload.size()});
  Put(&image, 16, kind);
  Put(&image, 20, uint32_t{64});
  Put(&image, 24, uint64_t{payload.size()});
  return image + payload;
}

// A cubin of nothing but sections that take no file space.
std::string Elf(const std::vector<uint64_t>& section_bytes) {
  Elf64_Ehdr header = {};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_shoff = section_bytes.empty() ? 0 : sizeof(header);
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = static_cast<uint16_t>(section_bytes.size());
  std::string image(sizeof(header), '\0');
  Put(&image, 0, header);
  for (const uint64_t bytes : section_bytes) {
    Elf64_Shdr section = {};
    section.sh_type = SHT_NOBITS;
    section.sh_flags = SHF_ALLOC;
    section.sh_size = bytes;
    image.resize(image.size() + sizeof(section));
    Put(&image, image.size() - sizeof(section), section);
  }
  return image;
}

std::string PtxWith(uint64_t bytes) {
  return std::string(kHead) + ".global .b8 table[" + std::to_string(bytes) + "];";
}

TEST(ImageSize, PtxIsItsTextAndItsVariables) {
  const std::string text = PtxWith(kMiB);
  EXPECT_EQ(ImageBytes(text.c_str()), text.size() + kMiB);
}

// ptxas takes any character in a comment.
TEST(ImageSize, ATextMayStartWithAnything) {
  for (const char* start : {"\n\n", "/**/", "// \xc3\xa9\n", "// \x01\n", "\xef\xbb\xbf"}) {
    EXPECT_GT(ImageBytes((start + PtxWith(kMiB)).c_str()), kMiB) << start;
  }
}

TEST(ImageSize, NothingAndShortTextsAreRead) {
  EXPECT_EQ(ImageBytes(nullptr), 0U);
  for (const std::string text : {"", ".", "\x7f", "\177EL", "\x50\xed", "abc"}) {
    const std::vector<char> exact(text.c_str(), text.c_str() + text.size() + 1);
    EXPECT_EQ(ImageBytes(exact.data()), text.size()) << text;
  }
}

TEST(ImageSize, PlainPtxInAFatBinaryIsScanned) {
  const std::string text = PtxWith(64 * kMiB);
  const std::string image = Fatbin(1, text + std::string(5, '\0'));
  EXPECT_EQ(ImageBytes(image.data()), text.size() + 64 * kMiB);
}

TEST(ImageSize, TheTextOfAnEntryEndsWithIt) {
  const std::string text = PtxWith(64 * kMiB);
  std::string image = Fatbin(1, text);
  Put(&image, 24, uint64_t{std::string(kHead).size()});
  EXPECT_LT(ImageBytes(image.data()), kMiB);
}

TEST(ImageSize, MembersOfAPlainConcatenatedEntryCount) {
  const std::string small = PtxWith(kMiB);
  const std::string large = PtxWith(64 * kMiB);
  std::string image = Fatbin(0x100, std::string(8 + 2 * 64, '\0') + small + large);
  Put(&image, 16 + 4, uint32_t{64 + 8 + 2 * 64});
  Put(&image, 16 + 8, uint64_t{small.size() + large.size()});
  Put(&image, 16 + 20, uint32_t{64});
  Put(&image, 80, uint32_t{2});
  Put(&image, 88, uint16_t{1});
  Put(&image, 88 + 8, static_cast<uint32_t>(small.size()));
  Put(&image, 152, uint16_t{1});
  Put(&image, 152 + 4, static_cast<uint32_t>(small.size()));
  Put(&image, 152 + 8, static_cast<uint32_t>(large.size()));
  EXPECT_EQ(ImageBytes(image.data()), large.size() + 64 * kMiB);
}

TEST(ImageSize, AWrapperIsOneDeep) {
  const std::string image = Fatbin(1, PtxWith(kMiB));
  struct {
    uint32_t magic = 0x466243b1;
    uint32_t version = 1;
    const void* data = nullptr;
    const void* unused = nullptr;
  } wrapper;
  EXPECT_EQ(ImageBytes(&wrapper), 0U);
  wrapper.data = image.data();
  EXPECT_EQ(ImageBytes(&wrapper), ImageBytes(image.data()));
  wrapper.data = &wrapper;
  EXPECT_LT(ImageBytes(&wrapper), kMiB);
}

TEST(ImageSize, SectionsAddUpWithoutWrapping) {
  EXPECT_EQ(ImageBytes(Elf({}).data()), 0U);
  EXPECT_EQ(ImageBytes(Elf({1, kMiB, 64}).data()), kMiB + 65);
  EXPECT_EQ(ImageBytes(Elf({UINT64_MAX, 2}).data()), UINT64_MAX);
  EXPECT_EQ(ImageBytes(Fatbin(2, Elf({UINT64_MAX - 1, 3})).data()), UINT64_MAX);
}

// elf(5): the number of sections in the first of them.
TEST(ImageSize, SectionsBeyondTheFieldOfTheHeaderCount) {
  std::string image = Elf({0, kMiB, kMiB});
  Put(&image, offsetof(Elf64_Ehdr, e_shnum), uint16_t{0});
  Put(&image, sizeof(Elf64_Ehdr) + offsetof(Elf64_Shdr, sh_flags), uint64_t{0});
  Put(&image, sizeof(Elf64_Ehdr) + offsetof(Elf64_Shdr, sh_size), uint64_t{3});
  EXPECT_EQ(ImageBytes(image.data()), 2 * kMiB);
}

// tests/golden/images/kernels.cu: the same variables in every form that is not compressed.
TEST(ImageSize, VariablesCountInEveryForm) {
  const std::string ptx = Read("compute_80.ptx");
  const uint64_t variables = PtxVariableBytes(ptx.data(), ptx.size());
  EXPECT_EQ(variables, 4096U + 4 + 64);
  for (const char* name : {"compute_80.ptx", "sm_86.cubin", "mix_plain.fatbin"}) {
    EXPECT_GE(ImageBytes(Read(name).c_str()), variables) << name;
  }
}

class ImageFile : public testing::Test {
 protected:
  ImageFile() { close(mkstemp(path_)); }
  ~ImageFile() override { unlink(path_); }
  uint64_t BytesOf(const std::string& image) const {
    std::ofstream(path_, std::ios::binary) << image;
    return FileImageBytes(path_);
  }

  char path_[32] = "/tmp/hami-image-XXXXXX";
};

TEST_F(ImageFile, IsReadLikeMemory) {
  for (const char* name : {"compute_80.ptx", "sm_86.cubin", "mix_plain.fatbin", "mix_lz4.fatbin",
                           "mix_concatenated.fatbin", "ptx_only.fatbin"}) {
    const std::string image = Read(name);
    ASSERT_FALSE(image.empty()) << name;
    EXPECT_EQ(BytesOf(image), ImageBytes(image.c_str())) << name;
  }
}

// A file has an end, whatever its headers say; a sanitizer sees what is read behind.
TEST_F(ImageFile, EveryBeginningIsReadToItsEnd) {
  for (const char* name : {"mix_plain.fatbin", "mix_concatenated.fatbin", "sm_86.cubin"}) {
    const std::string image = Read(name);
    for (size_t length = 0; length < image.size(); length += length < 256 ? 7 : 2039) {
      EXPECT_LE(BytesOf(std::string(image, 0, length)), kMiB) << name << " " << length;
    }
  }
}

TEST_F(ImageFile, AbsurdHeadersReadNothingOutside) {
  std::string image = Fatbin(1, PtxWith(kMiB));
  for (const size_t at : {size_t{6}, size_t{8}, size_t{20}, size_t{24}, size_t{36}}) {
    for (const uint16_t value : {0, 1, 63, 0x7fff, 0xffff}) {
      std::string broken = image;
      for (size_t i = 0; i < 8; i += 2) Put(&broken, at + i, value);
      BytesOf(broken);
    }
  }
  std::string elf = Elf({kMiB, kMiB});
  for (const uint64_t offset : {UINT64_MAX, UINT64_MAX - 63, uint64_t{1} << 40, uint64_t{65}}) {
    Put(&elf, offsetof(Elf64_Ehdr, e_shoff), offset);
    BytesOf(elf);
  }
}

}  // namespace
}  // namespace hami::preload
