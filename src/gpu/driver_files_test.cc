// SPDX-License-Identifier: Apache-2.0
//
// What of a driver goes into a container, over the layouts of distributions, driver containers and
// the simulated driver.

#include "gpu/driver_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "gpu/fake_driver_tree.h"
#include "gpu/nvml.h"

namespace hami::gpu {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

#if defined(__x86_64__)
constexpr char kMultiarch[] = "x86_64-linux-gnu";
#else
constexpr char kMultiarch[] = "aarch64-linux-gnu";
#endif
constexpr char kVersion[] = "550.144.03";

class DriverFilesTest : public ::testing::Test {
 protected:
  void TearDown() override { unsetenv("HAMI_SIM"); }

  // The node's own root, seen at the tree's.
  DriverQuery Query() {
    return {.root = {tree_.path(), "/"},
            .driver_version = kVersion,
            .gpus = {{.minor = 0, .pci_bus_id = "0000:65:00.0"}},
            .devices = {tree_.path() + "/other/dev", "/dev"},
            .sys_folder = tree_.path() + "/sys"};
  }
  void InstallIn(const std::string& folder) {
    tree_.Library(folder + "/libcuda.so.550.144.03", "libcuda.so.1");
    tree_.Library(folder + "/libnvidia-ml.so.550.144.03", "libnvidia-ml.so.1");
    tree_.Library(folder + "/libnvidia-glcore.so.550.144.03", "libnvidia-glcore.so.550.144.03");
    tree_.Library(folder + "/libnvidia-ptxjitcompiler.so.550.144.03",
                  "libnvidia-ptxjitcompiler.so.1");
    tree_.Link(folder + "/libcuda.so.1", "libcuda.so.550.144.03");
    tree_.Library(folder + "/libcuda.so.535.1", "libcuda.so.1");  // what an upgrade left
  }
  void AddNodes(const std::string& folder) {
    for (const char* name : {"nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia0"}) {
      tree_.Node(folder + "/" + name);
    }
  }
  static std::string Failure(const DriverQuery& query) {
    const Result<DriverFiles> files = FindDriverFiles(query);
    return files ? "" : files.error().message;
  }
  static std::vector<std::string> HostPaths(const std::vector<DriverFile>& files) {
    std::vector<std::string> paths;
    paths.reserve(files.size());
    for (const DriverFile& file : files) paths.push_back(file.host_path);
    return paths;
  }

  FakeDriverTree tree_;
};

TEST_F(DriverFilesTest, FindsLibrariesAndTheirNames) {
  InstallIn("usr/lib64");
  AddNodes("dev");
  const Result<DriverFiles> files = FindDriverFiles(Query());
  ASSERT_TRUE(files) << files.error().message;
  EXPECT_FALSE(files->simulated);
  ASSERT_EQ(files->libraries.size(), 4U);
  EXPECT_EQ(files->libraries[0].host_path, "/usr/lib64/libcuda.so.550.144.03");
  EXPECT_THAT(files->libraries[0].names,
              ElementsAre("libcuda.so.550.144.03", "libcuda.so.1", "libcuda.so"));
  EXPECT_THAT(files->libraries[1].names, ElementsAre("libnvidia-glcore.so.550.144.03"));
  EXPECT_THAT(files->libraries[3].names, ElementsAre("libnvidia-ptxjitcompiler.so.550.144.03",
                                                     "libnvidia-ptxjitcompiler.so.1"));
  EXPECT_THAT(files->env, Contains("NVIDIA_VISIBLE_DEVICES=void"));
}

// Debian's alternatives lead there and back; 32-bit libraries have the same names.
TEST_F(DriverFilesTest, KnowsTheLayoutsOfDistributions) {
  const std::string debian = std::string("usr/lib/") + kMultiarch;
  InstallIn(debian + "/nvidia/current");
  tree_.Link("etc/alternatives/nvidia--libcuda.so",
             "/" + debian + "/nvidia/current/libcuda.so.550.144.03");
  tree_.Link(debian + "/libcuda.so.550.144.03", "/etc/alternatives/nvidia--libcuda.so");
  FakeSharedObject narrow("libnvidia-ml.so.1");
  narrow.header.e_ident[EI_CLASS] = ELFCLASS32;
  tree_.File("usr/lib64/libnvidia-ml.so.550.144.03", narrow.Bytes());
  tree_.Link("lib", "usr/lib");
  AddNodes("dev");
  const Result<DriverFiles> files = FindDriverFiles(Query());
  ASSERT_TRUE(files) << files.error().message;
  ASSERT_EQ(files->libraries.size(), 4U);
  EXPECT_EQ(files->libraries[0].host_path, "/" + debian + "/nvidia/current/libcuda.so.550.144.03");
  EXPECT_EQ(files->libraries[2].host_path,
            "/" + debian + "/nvidia/current/libnvidia-ml.so.550.144.03");
}

// A containerised driver has its nodes; host paths are below where the node sees it.
TEST_F(DriverFilesTest, RewritesPathsForTheNode) {
  InstallIn("usr/lib64");
  tree_.File("usr/bin/nvidia-smi");
  tree_.File("lib/firmware/nvidia/550.144.03/gsp_ga10x.bin");
  tree_.File("lib/firmware/nvidia/550.144.03/README");
  tree_.File("lib/firmware/nvidia/535.1/gsp_ga10x.bin");
  AddNodes("dev");
  DriverQuery query = Query();
  query.root.host_path = "/run/nvidia/driver";
  const Result<DriverFiles> files = FindDriverFiles(query);
  ASSERT_TRUE(files) << files.error().message;
  EXPECT_EQ(files->libraries[0].host_path, "/run/nvidia/driver/usr/lib64/libcuda.so.550.144.03");
  EXPECT_THAT(HostPaths(files->binaries), ElementsAre("/run/nvidia/driver/usr/bin/nvidia-smi"));
  EXPECT_THAT(HostPaths(files->firmware),
              ElementsAre("/run/nvidia/driver/lib/firmware/nvidia/550.144.03/gsp_ga10x.bin"));
  EXPECT_THAT(HostPaths(files->device_nodes),
              ElementsAre("/run/nvidia/driver/dev/nvidiactl", "/run/nvidia/driver/dev/nvidia-uvm",
                          "/run/nvidia/driver/dev/nvidia-uvm-tools"));
  EXPECT_EQ(files->device_nodes[0].container_path, "/dev/nvidiactl");
  query.with_nvidia_smi = false;
  EXPECT_THAT(FindDriverFiles(query)->binaries, IsEmpty());
}

// A driver container without nodes: the node's own are used.
TEST_F(DriverFilesTest, TakesNodesFromWhereTheyAre) {
  InstallIn("usr/lib64");
  AddNodes("other/dev");
  DriverQuery query = Query();
  query.root.host_path = "/run/nvidia/driver";
  const Result<DriverFiles> files = FindDriverFiles(query);
  ASSERT_TRUE(files) << files.error().message;
  EXPECT_THAT(HostPaths(files->device_nodes),
              ElementsAre("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"));
  ASSERT_EQ(files->gpu_nodes.size(), 1U);
  EXPECT_THAT(HostPaths(files->gpu_nodes[0].nodes), ElementsAre("/dev/nvidia0"));
}

TEST_F(DriverFilesTest, FindsDrmNodesByTheBus) {
  InstallIn("usr/lib64");
  AddNodes("dev");
  tree_.Node("dev/dri/card1");
  tree_.Node("dev/dri/renderD129");
  tree_.Node("dev/dri/card0");  // another vendor's
  for (const char* name : {"card1", "renderD129", "controlD65", "card7"}) {
    tree_.Folder(std::string("sys/bus/pci/devices/0000:65:00.0/drm/") + name);
  }
  const Result<DriverFiles> files = FindDriverFiles(Query());
  ASSERT_TRUE(files) << files.error().message;
  EXPECT_THAT(HostPaths(files->gpu_nodes[0].nodes),
              ElementsAre("/dev/nvidia0", "/dev/dri/card1", "/dev/dri/renderD129"));
}

TEST_F(DriverFilesTest, NamesTheNodeThatIsMissing) {
  InstallIn("usr/lib64");
  EXPECT_THAT(Failure(Query()), HasSubstr("/other/dev/nvidiactl; run nvidia-smi once"));
  tree_.Node("dev/nvidiactl");
  EXPECT_THAT(Failure(Query()), HasSubstr("/dev/nvidia-uvm; run `nvidia-modprobe -u -c=0`"));
  tree_.File("dev/nvidia-uvm");  // a file is no node
  EXPECT_THAT(Failure(Query()), HasSubstr("/dev/nvidia-uvm; "));
  std::filesystem::remove(tree_.path() + "/dev/nvidia-uvm");
  tree_.Node("dev/nvidia-uvm");
  EXPECT_THAT(Failure(Query()), HasSubstr("/dev/nvidia0; run `nvidia-modprobe -c=0`"));
  tree_.Node("dev/nvidia0");
  EXPECT_EQ(Failure(Query()), "");
  DriverQuery query = Query();
  query.gpus[0].minor = -1;
  EXPECT_THAT(Failure(query), HasSubstr("minor number"));
}

TEST_F(DriverFilesTest, NamesTheLibraryThatIsMissingOrBroken) {
  AddNodes("dev");
  EXPECT_THAT(Failure(Query()), HasSubstr("libcuda.so.550.144.03 is not below"));
  InstallIn("usr/lib64");
  tree_.File("usr/lib64/libnvidia-nvvm.so.550.144.03", "cut off");
  EXPECT_THAT(Failure(Query()), HasSubstr("usr/lib64/libnvidia-nvvm.so.550.144.03: not a whole"));
  DriverQuery query = Query();
  query.driver_version = "../..";
  EXPECT_THAT(Failure(query), HasSubstr("not the version of a driver"));
}

TEST_F(DriverFilesTest, FindsSocketsThatExist) {
  InstallIn("usr/lib64");
  AddNodes("dev");
  tree_.Folder("run/nvidia-persistenced");
  tree_.File("run/nvidia-fabricmanager/socket");  // no socket
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  const std::string path = tree_.path() + "/run/nvidia-persistenced/socket";
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  const Result<DriverFiles> files = FindDriverFiles(Query());
  close(fd);
  ASSERT_TRUE(files) << files.error().message;
  EXPECT_THAT(HostPaths(files->sockets), ElementsAre("/run/nvidia-persistenced/socket"));
}

// Each library under each of its names, where both families of distributions look.
TEST_F(DriverFilesTest, MountsEveryNameIntoBothFolders) {
  InstallIn("usr/lib64");
  tree_.File("usr/bin/nvidia-smi");
  AddNodes("dev");
  const std::vector<DriverMount> mounts = MountsOf(*FindDriverFiles(Query()));
  ASSERT_EQ(mounts.size(), 2U * (3 + 1 + 3 + 2) + 1);
  EXPECT_EQ(mounts[1].host_path, "/usr/lib64/libcuda.so.550.144.03");
  EXPECT_EQ(mounts[1].container_path, std::string("/usr/lib/") + kMultiarch + "/libcuda.so.1");
  EXPECT_EQ(mounts[4].container_path, "/usr/lib64/libcuda.so.1");
  EXPECT_THAT(mounts[4].options, ElementsAre("ro", "nosuid", "nodev", "bind"));
  EXPECT_EQ(mounts.back().container_path, "/usr/bin/nvidia-smi");
}

// --- the simulated driver -----------------------------------------------------------------------

TEST_F(DriverFilesTest, ASimulatedDriverHasAFolderInsteadOfNodes) {
  tree_.File("run/hami-sim/state");
  tree_.Library("opt/sim/libcuda.so.1", "libcuda.so.1");
  tree_.Library("run/hami-sim/lib/libnvidia-ml.so.1", "libnvidia-ml.so.1");
  EXPECT_THAT(Failure(Query()), HasSubstr("libcuda.so.1 is in none"));
  tree_.Link("usr/lib64/libcuda.so.1", "/opt/sim/libcuda.so.1");
  DriverQuery query = Query();
  query.root.host_path = "/srv/sim-root";
  query.driver_version = "";
  const Result<DriverFiles> files = FindDriverFiles(query);
  ASSERT_TRUE(files) << files.error().message;
  EXPECT_TRUE(files->simulated);
  EXPECT_THAT(files->device_nodes, IsEmpty());
  EXPECT_THAT(files->gpu_nodes, ElementsAre(Field(&GpuNodes::nodes, IsEmpty())));
  EXPECT_THAT(files->env, ElementsAre("HAMI_SIM=/run/hami-sim"));
  ASSERT_EQ(files->libraries.size(), 2U);
  EXPECT_EQ(files->libraries[0].host_path, "/srv/sim-root/opt/sim/libcuda.so.1");
  EXPECT_THAT(files->libraries[0].names, ElementsAre("libcuda.so.1", "libcuda.so"));
  const DriverMount folder = MountsOf(*files).back();
  EXPECT_EQ(folder.host_path, "/srv/sim-root/run/hami-sim");
  EXPECT_EQ(folder.container_path, "/run/hami-sim");
  EXPECT_THAT(folder.options, ElementsAre("rw", "nosuid", "nodev", "bind"));
}

TEST_F(DriverFilesTest, LoadingADriverPointsItToItsSimulation) {
  EXPECT_EQ(FindSimulation(tree_.path()), "");
  ASSERT_FALSE(Nvml::Load({.root = tree_.path()}));
  EXPECT_EQ(getenv("HAMI_SIM"), nullptr);
  tree_.File("run/hami-sim/state");
  ASSERT_FALSE(Nvml::Load({.root = tree_.path(), .library_folder = "/no/such/folder"}));
  EXPECT_EQ(getenv("HAMI_SIM"), nullptr);
  ASSERT_FALSE(Nvml::Load({.root = tree_.path()}));
  EXPECT_EQ(std::string(getenv("HAMI_SIM")), tree_.path() + "/run/hami-sim");
  setenv("HAMI_SIM", "/chosen", 1);
  ASSERT_FALSE(Nvml::Load({.root = tree_.path()}));
  EXPECT_STREQ(getenv("HAMI_SIM"), "/chosen");
}

}  // namespace
}  // namespace hami::gpu
