// SPDX-License-Identifier: Apache-2.0

#include "region/mapping.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "region/ledger.h"
#include "region/os.h"

namespace hami::region {
namespace {

constexpr uint64_t kLimit = 1000;

class MappingTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/hami-mapping-test-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    directory_ = name;
    path_ = directory_ + "/region";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  Mapping MustAttach(bool with_slot = true) {
    Mapping mapping;
    const Identity identity = ReadIdentity();
    const AttachError error =
        Attach(path_.c_str(), true, with_slot ? &identity : nullptr, &mapping);
    EXPECT_EQ(error, AttachError::kNone) << Describe(error);
    mapping.region->v1.device_count = 1;
    return mapping;
  }

  // Runs `body` in a child that says "ready" and then waits to be killed or told to end.
  struct Child {
    pid_t pid;
    int end_pipe;  // closing it ends the child
  };
  Child Spawn(const std::function<void()>& body) {
    int ready[2];
    int end[2];
    EXPECT_EQ(pipe(ready), 0);
    EXPECT_EQ(pipe(end), 0);
    const pid_t pid = fork();
    if (pid == 0) {
      close(end[1]);
      body();
      [[maybe_unused]] ssize_t ignored = write(ready[1], "r", 1);
      char byte;
      ignored = read(end[0], &byte, 1);
      _exit(0);
    }
    close(end[0]);
    char byte;
    EXPECT_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return {pid, end[1]};
  }
  static void Kill(const Child& child) {
    kill(child.pid, SIGKILL);
    waitpid(child.pid, nullptr, 0);
    close(child.end_pipe);
  }

  std::string directory_;
  std::string path_;
};

TEST_F(MappingTest, MakesAFileOfTheRightSizeModeAndHeader) {
  const mode_t before = umask(077);
  const Mapping mapping = MustAttach();
  EXPECT_EQ(umask(before), 077U) << "the umask of the application must not change";
  struct stat info;
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_size, static_cast<off_t>(api::kRegionFileBytes));
  EXPECT_EQ(info.st_mode & 0777, 0666U);
  EXPECT_EQ(mapping.region->v1.initialized, 19920718);
  EXPECT_EQ(mapping.region->v1.utilization_switch, 1);
  EXPECT_EQ(mapping.region->v1.recent_kernel, 2);
  EXPECT_EQ(mapping.region->v1.processes[mapping.slot].pid, getpid());
  EXPECT_EQ(mapping.region->v1.process_count, 1);
}

TEST_F(MappingTest, NoDescriptorStaysOpen) {
  const auto count = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
  };
  const auto before = count();
  MustAttach();
  EXPECT_EQ(count(), before);
}

TEST_F(MappingTest, AMissingDirectoryAForeignFileAndAnotherVersionAreErrors) {
  Mapping mapping;
  EXPECT_EQ(Attach((directory_ + "/no/region").c_str(), true, nullptr, &mapping),
            AttachError::kCannotOpen);
  EXPECT_EQ(Attach(path_.c_str(), false, nullptr, &mapping), AttachError::kCannotOpen);
  std::ofstream(path_) << "#!/bin/sh\necho this is not a region\n";
  EXPECT_EQ(Attach(path_.c_str(), true, nullptr, &mapping), AttachError::kNotARegion);
  std::filesystem::remove(path_);
  MustAttach().region->ext.version = 99;
  EXPECT_EQ(Attach(path_.c_str(), true, nullptr, &mapping), AttachError::kNotARegion);
  EXPECT_EQ(Attach(directory_.c_str(), true, nullptr, &mapping), AttachError::kCannotOpen);
}

TEST_F(MappingTest, AHamiRegionGetsItsExtensionAndLosesItsStaleProcesses) {
  {
    api::RegionV1 hami = {};
    hami.initialized = api::kRegionMagic;
    hami.major_version = 1;
    hami.minor_version = 2;
    hami.limit_bytes[0] = 123;
    hami.utilization_switch = 0;
    hami.processes[0].pid = 4711;
    hami.process_count = 1;
    std::ofstream file(path_, std::ios::binary);
    file.write(reinterpret_cast<const char*>(&hami), sizeof(hami));
    file.put(0);
  }
  ASSERT_EQ(std::filesystem::file_size(path_), api::kRegionV1FileBytes);
  const Mapping mapping = MustAttach();
  EXPECT_EQ(mapping.region->v1.limit_bytes[0], 123U);
  EXPECT_EQ(mapping.region->v1.utilization_switch, 0) << "the monitor's switch is kept";
  EXPECT_EQ(mapping.slot, 0);
  EXPECT_EQ(mapping.region->v1.processes[0].pid, getpid());
}

TEST_F(MappingTest, ALiveProcessKeepsItsSlotAndADeadOneLosesIt) {
  const Mapping mine = MustAttach();
  const Child child = Spawn([&] {
    const Mapping theirs = MustAttach();
    EXPECT_TRUE(Reserve(theirs.region->ext, theirs.slot, 0, 600, kLimit));
  });
  EXPECT_EQ(ReapDead(mine), 0);
  EXPECT_EQ(TotalUnits(mine.region->ext, 0), 600U);
  EXPECT_FALSE(Reserve(mine.region->ext, mine.slot, 0, 500, kLimit));
  Kill(child);
  EXPECT_EQ(ReapDead(mine), 1);
  EXPECT_EQ(TotalUnits(mine.region->ext, 0), 0U);
  EXPECT_TRUE(Reserve(mine.region->ext, mine.slot, 0, 1000, kLimit));
  EXPECT_EQ(mine.region->v1.processes[1].pid, 0);
}

TEST_F(MappingTest, ClosingEveryDescriptorDoesNotLoseTheSlot) {
  const Mapping mine = MustAttach();
  const Child child = Spawn([&] {
    MustAttach();
    // The pipes of this test are low numbers; everything else goes.
    close_range(40, ~0U, 0);
    for (int fd = 3; fd < 40; ++fd) {
      char link[64];
      const std::string name = "/proc/self/fd/" + std::to_string(fd);
      const ssize_t length = readlink(name.c_str(), link, sizeof(link) - 1);
      if (length > 0 && std::string(link, static_cast<size_t>(length)).find("pipe:") != 0)
        close(fd);
    }
  });
  EXPECT_EQ(ReapDead(mine), 0);
  Kill(child);
  EXPECT_EQ(ReapDead(mine), 1);
}

TEST_F(MappingTest, AForkedChildKeepsTheDeadParentsCharge) {
  const Mapping mine = MustAttach();
  int grandchild_pipe[2];
  ASSERT_EQ(pipe(grandchild_pipe), 0);
  const Child parent = Spawn([&] {
    const Mapping theirs = MustAttach();
    EXPECT_TRUE(Reserve(theirs.region->ext, theirs.slot, 0, 600, kLimit));
    if (fork() == 0) {
      close(grandchild_pipe[1]);
      char byte;
      [[maybe_unused]] const ssize_t ignored = read(grandchild_pipe[0], &byte, 1);
      _exit(0);
    }
  });
  close(grandchild_pipe[0]);
  Kill(parent);
  EXPECT_EQ(ReapDead(mine), 0) << "the driver keeps the memory, so do we";
  EXPECT_EQ(TotalUnits(mine.region->ext, 0), 600U);
  close(grandchild_pipe[1]);
  // The grandchild is not ours to wait for: poll until the kernel has let go of its lock.
  int reaped = 0;
  for (int i = 0; i < 2000 && reaped == 0; ++i) {
    usleep(1000);
    reaped = ReapDead(mine);
  }
  EXPECT_EQ(reaped, 1);
  EXPECT_EQ(TotalUnits(mine.region->ext, 0), 0U);
}

TEST_F(MappingTest, ExecDropsTheSlot) {
  const Mapping mine = MustAttach();
  int out[2];
  ASSERT_EQ(pipe(out), 0);
  const pid_t pid = fork();
  if (pid == 0) {
    MustAttach();
    dup2(out[1], 1);
    execl("/bin/sh", "sh", "-c", "echo up; exec sleep 100", nullptr);
    _exit(127);
  }
  char text[3];
  ASSERT_EQ(read(out[0], text, 3), 3);
  EXPECT_EQ(ReapDead(mine), 1) << "the new program has no region and no GPU memory";
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
}

TEST_F(MappingTest, SlotsStayDenseAndAreReused) {
  const Mapping mine = MustAttach();
  for (int round = 0; round < 3; ++round) {
    std::vector<Child> children;
    for (int i = 0; i < 5; ++i) children.push_back(Spawn([&] { MustAttach(); }));
    EXPECT_LE(mine.region->v1.process_count, 6);
    for (const Child& child : children) Kill(child);
    EXPECT_EQ(ReapDead(mine), 5);
  }
}

TEST_F(MappingTest, AViewerTakesNoSlotUntilItAsks) {
  Mapping viewer = MustAttach(false);
  EXPECT_EQ(viewer.slot, -1);
  EXPECT_EQ(viewer.region->v1.process_count, 0);
  ASSERT_EQ(AttachSlot(ReadIdentity(), &viewer), AttachError::kNone);
  EXPECT_EQ(viewer.slot, 0);
}

TEST_F(MappingTest, ADeathWhileInitialisingDoesNotBlockTheNext) {
  const Child child = Spawn([&] {
    // Holds the initialisation lock for a moment without finishing, as a process that is killed
    // between the lock and the magic number.
    const int fd = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    EXPECT_EQ(ftruncate(fd, api::kRegionFileBytes), 0);
    EXPECT_EQ(os::TryLock(fd, api::kInitLockOffset), os::LockResult::kLocked);
  });
  Kill(child);
  EXPECT_EQ(MustAttach().slot, 0);
}

TEST_F(MappingTest, ThousandAndTwentyFourProcessesAndTheOneAfter) {
  const Mapping mine = MustAttach();
  // 1023 open file descriptions of this process stand for 1023 processes.
  std::vector<int> fds;
  for (int i = 1; i < api::kMaxProcesses; ++i) {
    const int fd = open(path_.c_str(), O_RDWR | O_CLOEXEC);
    if (fd < 0) GTEST_SKIP() << "needs 1024 descriptors (ulimit -n)";
    fds.push_back(fd);
    ASSERT_EQ(ClaimSlot(*mine.region, fd, ReadIdentity()), i);
  }
  Mapping one_more;
  const Identity identity = ReadIdentity();
  EXPECT_EQ(Attach(path_.c_str(), true, &identity, &one_more), AttachError::kNoSlot);
  close(fds[500]);
  ASSERT_EQ(Attach(path_.c_str(), true, &identity, &one_more), AttachError::kNone);
  EXPECT_EQ(one_more.slot, 501);
  for (int fd : fds) close(fd);
}

// Runs `body` in a child, on a file system of so many pages of its own. What waitpid says of it.
int OnSmallDisk(const std::string& folder, int pages, const std::function<int()>& body) {
  const pid_t pid = fork();
  if (pid == 0) {
    const std::string size = "size=" + std::to_string(pages * getpagesize());
    // As no superuser one needs a namespace in which one is.
    if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) != 0 ||
        mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("small", folder.c_str(), "tmpfs", 0, size.c_str()) != 0) {
      _exit(77);
    }
    _exit(body());
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return status;
}

TEST_F(MappingTest, AFullFileSystemIsAnErrorAndNoSignal) {
  int attached = 0;
  constexpr int kMostPages = 12;
  for (int pages = 1; pages <= kMostPages; ++pages) {
    SCOPED_TRACE(pages);
    const int status = OnSmallDisk(directory_, pages, [&] {
      const Identity identity = ReadIdentity();
      Mapping mapping;
      const AttachError error = Attach(path_.c_str(), true, &identity, &mapping);
      if (error != AttachError::kNone) return error == AttachError::kCannotGrow ? 1 : 2;
      for (int device = 0; device < api::kMaxDevices; ++device) {
        ShowCharge(*mapping.region, mapping.slot, device, ChargeKind::kData, 1);
        mapping.region->ext.devices[device].refused = 1;
      }
      return 0;
    });
    ASSERT_TRUE(WIFEXITED(status)) << "ended by signal " << WTERMSIG(status);
    if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "may not mount a file system";
    ASSERT_LE(WEXITSTATUS(status), 1);
    if (WEXITSTATUS(status) == 0) ++attached;
  }
  EXPECT_GT(attached, 0);
  EXPECT_LT(attached, kMostPages);
}

}  // namespace
}  // namespace hami::region
