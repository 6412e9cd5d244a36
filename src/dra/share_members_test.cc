// SPDX-License-Identifier: Apache-2.0

#include "dra/share_members.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "base/fd.h"
#include "base/file.h"
#include "base/temporary_folder.h"

namespace hami::dra {
namespace {

class ShareMembersTest : public ::testing::Test {
 protected:
  ShareMembersTest() {
    EXPECT_TRUE(base::MakeFolders(folder_, 0755));
    struct stat info = {};
    EXPECT_EQ(stat(folder_.c_str(), &info), 0);
    device_ = std::to_string(major(info.st_dev)) + ":" + std::to_string(minor(info.st_dev));
  }

  ShareMembers Open(const std::string& mount_point = "/etc/hami/shares/uid-a-0") const {
    return ShareMembers::Open(folder_, mount_point).value();
  }

  // A line of mountinfo with this device, root and mount point.
  static std::string Line(const std::string& device, const std::string& root,
                          const std::string& mount_point) {
    return "1612 1604 " + device + " " + root + " " + mount_point +
           " ro,nosuid,nodev,noexec,relatime master:13 - tmpfs tmpfs rw,mode=755";
  }

  const base::TemporaryFolder root_;
  const std::string folder_ = root_ / "claims/uid-a/0";
  std::string device_;
};

TEST_F(ShareMembersTest, TheShareAtItsPlaceIsOurs) {
  const ShareMembers members = Open();
  const std::string point = "/etc/hami/shares/uid-a-0";
  EXPECT_TRUE(members.IsOurMount(Line(device_, folder_, point)));
  // How much of the path is the mount's root depends on what of it is a file system of its own.
  EXPECT_TRUE(members.IsOurMount(Line(device_, "/hami/claims/uid-a/0", point)));
  EXPECT_TRUE(members.IsOurMount(Line(device_, "/uid-a/0", point)));
  EXPECT_TRUE(members.IsOurMount("1 2 " + device_ + " /uid-a/0 " + point));
}

TEST_F(ShareMembersTest, NothingElseIs) {
  const ShareMembers members = Open();
  const std::string point = "/etc/hami/shares/uid-a-0";
  const std::string good = Line(device_, "/uid-a/0", point);
  for (const std::string& line : std::vector<std::string>{
           "",
           " ",
           "\n",
           "1612",
           "1612 1604 " + device_ + " /uid-a/0",
           Line(device_ + "1", "/uid-a/0", point),
           Line("0:0", "/uid-a/0", point),
           Line("", "/uid-a/0", point),
           Line(device_, "/", point),
           Line(device_, "/uid-a", point),
           Line(device_, "/uid-a/1", point),
           Line(device_, "/uid-a/0/region", point),
           Line(device_, "/uid-a/0//deleted", point),
           Line(device_, "/not-uid-a/0", point),
           Line(device_, "uid-a/0", point),
           Line(device_, "/uid-a/0", point + "/region"),
           Line(device_, "/uid-a/0", point + "/"),
           Line(device_, "/uid-a/0", "/x" + point),
           Line(device_, "/uid-a/0", "/etc/hami/shares/uid-a-1"),
           // Names that a tenant chose: the kernel writes their spaces and line ends as octals.
           Line(device_, "/tenant\\040/uid-a/0\\040" + point, "/mnt"),
           Line("0:99", "/x\\040" + device_ + "\\040/uid-a/0", point),
           "1612 1604 0:99 / /mnt rw - fuse " + device_ + " /uid-a/0 " + point,
           "x " + good,
           " " + good,
       }) {
    EXPECT_FALSE(members.IsOurMount(line)) << line;
  }
}

TEST_F(ShareMembersTest, AFolderThatIsNotThereCannotBeWatched) {
  EXPECT_EQ(ShareMembers::Open(root_ / "claims/uid-b/0", "/x").error().code, Code::kNotFound);
}

TEST_F(ShareMembersTest, WhoHasNotMountedItIsNoMember) {
  ShareMembers members = Open();
  EXPECT_FALSE(members.Contains(getpid()));
  EXPECT_FALSE(members.Contains(getpid())) << "remembered";
  for (const int pid : {-1, 0, 0x7fffffff}) EXPECT_FALSE(members.Contains(pid));
}

// A process in a mount namespace of its own, which has the folder mounted, or not, or has gone to
// another root since. It lives until the end of the pipe it waits at.
enum class Has { kMount, kNothing, kMountOutsideItsRoot };

class Tenant {
 public:
  Tenant(const std::string& folder, const std::string& mount_point, Has has) {
    int ready[2];
    int end[2];
    EXPECT_EQ(pipe2(ready, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(end, O_CLOEXEC), 0);
    pid_ = fork();
    if (pid_ == 0) {
      close(end[1]);
      bool done = unshare(CLONE_NEWNS) == 0 &&
                  mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
      if (has != Has::kNothing) {
        done = done && mount(folder.c_str(), mount_point.c_str(), nullptr, MS_BIND, nullptr) == 0;
      }
      if (has == Has::kMountOutsideItsRoot) {
        done = done && chroot("/proc") == 0 && chdir("/") == 0;
      }
      const char word = done ? 'y' : 'n';
      (void)!write(ready[1], &word, 1);
      char none = 0;
      (void)!read(end[0], &none, 1);
      _exit(0);
    }
    close(ready[1]);
    close(end[0]);
    end_.Reset(end[1]);
    char word = 'n';
    (void)!read(ready[0], &word, 1);
    close(ready[0]);
    works_ = word == 'y';
  }
  ~Tenant() {
    end_.Reset();
    waitpid(pid_, nullptr, 0);
  }
  Tenant(const Tenant&) = delete;
  Tenant& operator=(const Tenant&) = delete;

  int pid() const { return pid_; }
  bool works() const { return works_; }

 private:
  int pid_ = -1;
  bool works_ = false;
  base::Fd end_;
};

TEST_F(ShareMembersTest, WhoHasItMountedIsAMember) {
  const std::string point = root_ / "inside";
  ASSERT_TRUE(base::MakeFolders(point, 0755));
  const Tenant member(folder_, point, Has::kMount);
  const Tenant neighbour(folder_, point, Has::kNothing);
  const Tenant hider(folder_, point, Has::kMountOutsideItsRoot);
  if (!member.works() || !neighbour.works() || !hider.works()) {
    GTEST_SKIP() << "needs CAP_SYS_ADMIN and CAP_SYS_CHROOT, to make a tenant";
  }
  ShareMembers members = Open(point);
  EXPECT_TRUE(members.Contains(member.pid()));
  EXPECT_TRUE(members.Contains(member.pid())) << "remembered";
  EXPECT_FALSE(members.Contains(neighbour.pid()));
  EXPECT_TRUE(members.Contains(hider.pid()));
  EXPECT_FALSE(members.Contains(getpid())) << "this process is where it was";
  ShareMembers others = Open("/another/place");
  EXPECT_FALSE(others.Contains(member.pid()));
}

}  // namespace
}  // namespace hami::dra
