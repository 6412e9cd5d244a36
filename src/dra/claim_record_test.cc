// SPDX-License-Identifier: Apache-2.0

#include "dra/claim_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>
#include <vector>

#include "base/file.h"
#include "base/temporary_folder.h"
#include "dra/fake_claims.h"

namespace hami::dra {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr size_t kAnySize = size_t{1} << 20;

// Nothing has its default, so that nothing can be left out unseen.
ClaimRecord MakeRecord(const std::string& uid = "7f3c-1") {
  return {.grant = {.namespace_name = "team-a",
                    .name = "train \"x\"\n",
                    .uid = uid,
                    .slices = {{.request = "gpu/small",
                                .pool = "node",
                                .device = "hami-gpu-3",
                                .share_id = "5e0e1f0c",
                                .uuid = kGuideUuid,
                                .minor = 3,
                                .pci_bus_id = "0000:65:01.0",
                                .memory_bytes = 10'737'418'241,
                                .context_bytes = 268'435'456,
                                .cores_pct = 50,
                                .policy = "force"},
                               {.device = "hami-gpu-4",
                                .minor = 4,
                                .policy = "default",
                                .whole = true,
                                .admin_access = true}}},
          .boot_id = "b1",
          .library = "0.1.0-abc"};
}

TEST(ClaimRecordTest, ReadsWhatItWrote) {
  const Result<ClaimRecord> read = ReadRecordText(WriteRecordText(MakeRecord()));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, MakeRecord());
  const ClaimRecord empty;
  EXPECT_EQ(ReadRecordText(WriteRecordText(empty)).value(), empty);
}

TEST(ClaimRecordTest, CutAtAnyByteItIsRefused) {
  const std::string text = WriteRecordText(MakeRecord());
  for (size_t bytes = 0; bytes < text.size(); ++bytes) {
    const Result<ClaimRecord> read = ReadRecordText(text.substr(0, bytes));
    ASSERT_FALSE(read) << bytes;
    EXPECT_EQ(read.error().code, Code::kDataLoss) << bytes;
  }
  EXPECT_FALSE(ReadRecordText(text + "\n"));
  EXPECT_FALSE(ReadRecordText(text + text));
}

TEST(ClaimRecordTest, WithAnyByteChangedItIsRefused) {
  const std::string text = WriteRecordText(MakeRecord());
  for (size_t at = 0; at < text.size(); ++at) {
    for (const int flip : {0x01, 0x02, 0x20, 0x80, static_cast<int>(text[at])}) {
      std::string changed = text;
      changed[at] = static_cast<char>(changed[at] ^ flip);
      EXPECT_FALSE(ReadRecordText(changed)) << at << " " << flip;
    }
  }
}

TEST(ClaimRecordTest, ANewerVersionIsToldFromDamage) {
  std::string text = WriteRecordText(MakeRecord());
  ASSERT_EQ(text.rfind("hami-claim 1 ", 0), 0U);
  text[11] = '2';
  EXPECT_EQ(ReadRecordText(text).error().code, Code::kUnimplemented);
}

TEST(ClaimRecordTest, OnlyAUidMayNameAFile) {
  EXPECT_TRUE(IsUid("d3b07384-d113-4ec6-a7f8-1c2b5e1d3f4a"));
  EXPECT_TRUE(IsUid(std::string(64, 'a')));
  for (const std::string& uid :
       {std::string(), std::string(65, 'a'), std::string("."), std::string(".."),
        std::string("../x"), std::string("/etc/passwd"), std::string("a/b"), std::string("a.json"),
        std::string("a b"), std::string("a\n"), std::string("a\0b", 3), std::string("\xc3\xa4")}) {
    EXPECT_FALSE(IsUid(uid)) << uid;
  }
}

class RecordFolderTest : public ::testing::Test {
 protected:
  std::string FileOf(const std::string& uid) const { return folder_.path() + "/" + uid + ".json"; }

  void Write(const std::string& name, const std::string& text) const {
    ASSERT_TRUE(base::WriteFileAtomically(folder_.path() + "/" + name, text, 0600));
  }

  std::vector<std::string> Names() const { return base::ListFolder(folder_.path()).value(); }

  RecordFolder::Contents Load() const {
    Result<RecordFolder::Contents> contents = folder_.Load();
    EXPECT_TRUE(contents) << contents.error().message;
    return contents ? *contents : RecordFolder::Contents();
  }

  const base::TemporaryFolder root_;
  const RecordFolder folder_{root_ / "plugins/driver/claims"};
};

TEST_F(RecordFolderTest, AMissingFolderIsMade) {
  EXPECT_THAT(Load().records, IsEmpty());
  struct stat info = {};
  ASSERT_EQ(stat(folder_.path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700U);
}

// Also by whoever empties the plugin's folder while the driver runs.
TEST_F(RecordFolderTest, SavingNeedsNoFolder) {
  ASSERT_TRUE(folder_.Save(MakeRecord()));
  EXPECT_TRUE(folder_.Has("7f3c-1"));
}

TEST_F(RecordFolderTest, KeepsReplacesAndRemoves) {
  ASSERT_TRUE(folder_.Save(MakeRecord("a")));
  ASSERT_TRUE(folder_.Save(MakeRecord("b")));
  ClaimRecord changed = MakeRecord("a");
  changed.boot_id = "b2";
  ASSERT_TRUE(folder_.Save(changed));
  EXPECT_THAT(Load().records, UnorderedElementsAre(changed, MakeRecord("b")));
  EXPECT_TRUE(folder_.Has("a"));

  ASSERT_TRUE(folder_.Remove("a"));
  EXPECT_TRUE(folder_.Remove("a")) << "nothing there is success";
  EXPECT_FALSE(folder_.Has("a"));
  EXPECT_THAT(Load().records, ElementsAre(MakeRecord("b")));
  EXPECT_THAT(Names(), ElementsAre("b.json"));
}

TEST_F(RecordFolderTest, APathIsNeverMadeOfWhatIsNoUid) {
  ASSERT_TRUE(folder_.Save(MakeRecord("a")));
  ASSERT_TRUE(base::WriteFileAtomically(root_ / "plugins/driver/x.json", "precious", 0600));
  EXPECT_EQ(folder_.Save(MakeRecord("../x")).error().code, Code::kInvalidArgument);
  EXPECT_TRUE(folder_.Remove("../x"));
  EXPECT_FALSE(folder_.Has("../x"));
  EXPECT_EQ(base::ReadFile(root_ / "plugins/driver/x.json", kAnySize).value(), "precious");
}

TEST_F(RecordFolderTest, LoadingRemovesWhatDeadWritersLeft) {
  ASSERT_TRUE(folder_.Save(MakeRecord("a")));
  Write("a.json.new-4711-0", "hami-claim 1 ");
  Write("b.json.new-4711-1", "");
  Write("..json", "");
  EXPECT_THAT(Load().records, SizeIs(1));
  EXPECT_THAT(Load().broken, IsEmpty());
  EXPECT_THAT(Names(), ElementsAre("a.json"));
}

TEST_F(RecordFolderTest, BrokenRecordsAreToldAndKept) {
  ASSERT_TRUE(folder_.Save(MakeRecord("a")));
  const std::string text = WriteRecordText(MakeRecord("b"));
  Write("b.json", text.substr(0, text.size() - 1));
  Write("c.json", text);  // another claim's
  Write("d.json", "");
  ASSERT_TRUE(base::MakeFolders(FileOf("e"), 0755));
  const RecordFolder::Contents contents = Load();
  EXPECT_THAT(contents.records, ElementsAre(MakeRecord("a")));
  EXPECT_THAT(contents.broken, ElementsAre("b", "c", "d", "e"));
  EXPECT_THAT(Names(), ElementsAre("a.json", "b.json", "c.json", "d.json", "e.json"));
}

TEST_F(RecordFolderTest, AFolderThatCannotBeUsedIsAnError) {
  ASSERT_TRUE(base::MakeFolders(root_ / "plugins", 0755));
  ASSERT_TRUE(base::WriteFileAtomically(root_ / "plugins/driver", "a file in the way", 0600));
  EXPECT_FALSE(folder_.Load());
  EXPECT_FALSE(folder_.Save(MakeRecord("a")));
  EXPECT_FALSE(folder_.Has("a"));
}

}  // namespace
}  // namespace hami::dra
