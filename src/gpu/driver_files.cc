// SPDX-License-Identifier: Apache-2.0

#include "gpu/driver_files.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <utility>

#include "base/file.h"
#include "gpu/rooted_path.h"
#include "gpu/shared_object.h"

namespace hami::gpu {
namespace {

#if defined(__x86_64__)
#define HAMI_MULTIARCH "x86_64-linux-gnu"
#else
#define HAMI_MULTIARCH "aarch64-linux-gnu"
#endif

// Where distributions and clouds put the driver's libraries, best first. Of two files with one name
// the first counts.
constexpr std::array<std::string_view, 11> kLibraryFolders = {
    "usr/lib/" HAMI_MULTIARCH,
    "usr/lib/" HAMI_MULTIARCH "/nvidia/current",  // Debian
    "usr/lib/" HAMI_MULTIARCH "/nvidia",
    "usr/lib64",
    "usr/lib64/nvidia",
    "usr/lib",
    "lib/" HAMI_MULTIARCH,
    "lib64",
    "lib",
    "usr/local/nvidia/lib64",             // Google's COS, as seen by pods
    "home/kubernetes/bin/nvidia/lib64"};  // the same on the node

// Searched by glibc's loader after its cache: Debian's and its children's, then everybody else's.
constexpr std::array<std::string_view, 2> kContainerFolders = {"/usr/lib/" HAMI_MULTIARCH,
                                                               "/usr/lib64"};

// Names that programs ask for beside the soname.
struct Alias {
  std::string_view library;  // what stands before ".so"
  std::string_view name;
};
constexpr std::array<Alias, 4> kAliases = {{{"libcuda", "libcuda.so"},
                                            {"libnvidia-ml", "libnvidia-ml.so"},
                                            {"libnvidia-opticalflow", "libnvidia-opticalflow.so"},
                                            {"libGLX_nvidia", "libGLX_indirect.so.0"}}};

// What is nothing without: CUDA's driver interface, and NVML.
constexpr std::array<std::string_view, 2> kRequiredLibraries = {"libcuda", "libnvidia-ml"};

constexpr std::string_view kNvidiaSmi = "nvidia-smi";
constexpr std::array<std::string_view, 4> kBinaries = {
    kNvidiaSmi, "nvidia-debugdump", "nvidia-cuda-mps-control", "nvidia-cuda-mps-server"};
constexpr std::array<std::string_view, 3> kBinaryFolders = {"usr/bin", "usr/local/nvidia/bin",
                                                            "home/kubernetes/bin/nvidia/bin"};
constexpr std::array<std::string_view, 2> kSockets = {"run/nvidia-persistenced/socket",
                                                      "run/nvidia-fabricmanager/socket"};

constexpr std::string_view kSimulation = "run/hami-sim";

std::string Below(const std::string& folder, std::string_view path) {
  while (path.starts_with('/')) path.remove_prefix(1);
  return base::JoinPath(folder, path);
}

bool IsPlainVersion(std::string_view version) {
  return !version.empty() && version.front() != '.' &&
         version.find_first_not_of("0123456789.") == std::string_view::npos;
}

std::optional<mode_t> TypeOf(const std::string& path) {
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0) return std::nullopt;
  return info.st_mode & S_IFMT;
}

// A driver's root, asked by paths in it.
class Root {
 public:
  explicit Root(NodeFolder folder) : folder_(std::move(folder)) {}

  // The path without links, if there is a file of that type.
  std::optional<std::string> Find(std::string_view path, mode_t type) const {
    const Result<std::string> resolved = ResolveInRoot(folder_.seen_at, path);
    if (!resolved || TypeOf(Seen(*resolved)) != type) return std::nullopt;
    return *resolved;
  }
  std::string Seen(std::string_view resolved) const { return Below(folder_.seen_at, resolved); }
  std::string OnHost(std::string_view resolved) const { return Below(folder_.host_path, resolved); }

 private:
  NodeFolder folder_;
};

// "libcuda" of "libcuda.so.550.144.03".
std::string_view Stem(std::string_view file_name) {
  return file_name.substr(0, file_name.find(".so"));
}

// Adds the library at a resolved path, unless it is for another machine (32 bits).
Status AddLibrary(const Root& root, const std::string& name, const std::string& resolved,
                  std::vector<DriverLibrary>* libraries) {
  const std::string seen = root.Seen(resolved);
  Result<SharedObject> object = ReadSharedObject(seen);
  if (!object) {
    return Fail(Code::kFailedPrecondition,
                fmt::format("the driver's installation is damaged, reinstall it: {}",
                            object.error().message));
  }
  if (!object->is_native) return {};
  DriverLibrary library{.host_path = root.OnHost(resolved), .names = {name}};
  if (!object->soname.empty() && object->soname != name) library.names.push_back(object->soname);
  for (const Alias& alias : kAliases) {
    if (Stem(name) == alias.library) library.names.emplace_back(alias.name);
  }
  libraries->push_back(std::move(library));
  return {};
}

bool HasLibrary(const std::vector<DriverLibrary>& libraries, std::string_view name) {
  return std::ranges::any_of(libraries,
                             [&](const DriverLibrary& l) { return l.names.front() == name; });
}

// Every lib*.so.<version>.
Status FindLibraries(const Root& root, const DriverQuery& query, DriverFiles* files) {
  const std::string ending = ".so." + query.driver_version;
  std::set<std::string> searched;
  for (const std::string_view folder : kLibraryFolders) {
    const std::optional<std::string> place = root.Find(folder, S_IFDIR);
    if (!place || !searched.insert(*place).second) continue;
    ASSIGN_OR_RETURN(const std::vector<std::string> names, base::ListFolder(root.Seen(*place)));
    for (const std::string& name : names) {
      if (!name.starts_with("lib") || !name.ends_with(ending)) continue;
      if (HasLibrary(files->libraries, name)) continue;
      const auto resolved = root.Find(base::JoinPath(*place, name), S_IFREG);
      if (resolved) RETURN_IF_ERROR(AddLibrary(root, name, *resolved, &files->libraries));
    }
  }
  for (const std::string_view required : kRequiredLibraries) {
    const std::string name = std::string(required) + ending;
    if (HasLibrary(files->libraries, name)) continue;
    return Fail(Code::kFailedPrecondition,
                fmt::format("{} is not below {}, but the loaded driver is of that version; give "
                            "the root that the driver was installed in, or reboot if it was "
                            "upgraded",
                            name, query.root.seen_at));
  }
  return {};
}

// The simulation's two libraries have no version in their names.
Status FindSimulatedLibraries(const Root& root, const DriverQuery& query, DriverFiles* files) {
  for (const std::string_view required : kRequiredLibraries) {
    const std::string name = std::string(required) + ".so.1";
    for (const std::string_view folder : kLibraryFolders) {
      const auto resolved = root.Find(base::JoinPath(folder, name), S_IFREG);
      if (!resolved) continue;
      RETURN_IF_ERROR(AddLibrary(root, name, *resolved, &files->libraries));
      if (HasLibrary(files->libraries, name)) break;
    }
    if (!HasLibrary(files->libraries, name)) {
      const auto own = root.Find(fmt::format("{}/lib/{}", kSimulation, name), S_IFREG);
      if (own) RETURN_IF_ERROR(AddLibrary(root, name, *own, &files->libraries));
    }
    if (HasLibrary(files->libraries, name)) continue;
    return Fail(Code::kFailedPrecondition,
                fmt::format("{0}/{1} holds a simulation, but {2} is in none of the library folders "
                            "of {0}; install the simulated driver there",
                            query.root.seen_at, kSimulation, name));
  }
  return {};
}

void FindBinaries(const Root& root, const DriverQuery& query, DriverFiles* files) {
  for (const std::string_view name : kBinaries) {
    if (name == kNvidiaSmi && !query.with_nvidia_smi) continue;
    for (const std::string_view folder : kBinaryFolders) {
      const auto resolved = root.Find(base::JoinPath(folder, name), S_IFREG);
      if (!resolved) continue;
      files->binaries.push_back({root.OnHost(*resolved), fmt::format("/usr/bin/{}", name)});
      break;
    }
  }
}

// gsp_*.bin, which the GPU's own processor runs (README of the vendor's open kernel modules).
void FindFirmware(const Root& root, const DriverQuery& query, DriverFiles* files) {
  for (const std::string_view base : {"lib/firmware", "usr/lib/firmware"}) {
    const auto place = root.Find(fmt::format("{}/nvidia/{}", base, query.driver_version), S_IFDIR);
    const auto names = base::ListFolder(place ? root.Seen(*place) : "");
    if (!place || !names) continue;
    for (const std::string& name : *names) {
      if (!name.starts_with("gsp") || !name.ends_with(".bin")) continue;
      const auto resolved = root.Find(base::JoinPath(*place, name), S_IFREG);
      if (!resolved) continue;
      files->firmware.push_back({root.OnHost(*resolved), fmt::format("/lib/firmware/nvidia/{}/{}",
                                                                     query.driver_version, name)});
    }
    return;
  }
}

void FindSockets(const Root& root, DriverFiles* files) {
  for (const std::string_view path : kSockets) {
    const auto resolved = root.Find(path, S_IFSOCK);
    if (resolved) files->sockets.push_back({root.OnHost(*resolved), fmt::format("/{}", path)});
  }
}

// --- device nodes -------------------------------------------------------------------------------

// The folder of the device nodes: the driver's own if it has them.
NodeFolder DeviceFolder(const DriverQuery& query) {
  NodeFolder own = {Below(query.root.seen_at, "dev"), Below(query.root.host_path, "dev")};
  return TypeOf(Below(own.seen_at, "nvidiactl")) == S_IFCHR ? own : query.devices;
}

bool AddNode(const NodeFolder& folder, const std::string& name, std::vector<DriverFile>* nodes) {
  if (TypeOf(Below(folder.seen_at, name)) != S_IFCHR) return false;
  nodes->push_back({Below(folder.host_path, name), "/dev/" + name});
  return true;
}

tl::unexpected<Error> NodeIsMissing(const NodeFolder& folder, std::string_view name,
                                    std::string_view advice) {
  return Fail(Code::kFailedPrecondition,
              fmt::format("there is no device node {}; {}", Below(folder.seen_at, name), advice));
}

// The kernel's names of a GPU's DRM devices: card0, renderD128.
void AddDrmNodes(const NodeFolder& folder, const DriverQuery& query, const WantedGpu& gpu,
                 std::vector<DriverFile>* nodes) {
  if (gpu.pci_bus_id.empty() || gpu.pci_bus_id.find('/') != std::string::npos) return;
  const auto names =
      base::ListFolder(fmt::format("{}/bus/pci/devices/{}/drm", query.sys_folder, gpu.pci_bus_id));
  if (!names) return;
  for (const std::string& name : *names) {
    if (name.starts_with("card") || name.starts_with("renderD")) {
      AddNode(folder, "dri/" + name, nodes);
    }
  }
}

Status FindNodes(const DriverQuery& query, DriverFiles* files) {
  const NodeFolder folder = DeviceFolder(query);
  if (!AddNode(folder, "nvidiactl", &files->device_nodes)) {
    return NodeIsMissing(folder, "nvidiactl",
                         "run nvidia-smi once on the node, or mount the node's /dev");
  }
  if (!AddNode(folder, "nvidia-uvm", &files->device_nodes)) {
    return NodeIsMissing(folder, "nvidia-uvm",
                         "run `nvidia-modprobe -u -c=0` on the node, so that CUDA can start");
  }
  AddNode(folder, "nvidia-uvm-tools", &files->device_nodes);
  AddNode(folder, "nvidia-modeset", &files->device_nodes);
  for (const WantedGpu& gpu : query.gpus) {
    if (gpu.minor < 0) {
      return Fail(Code::kInvalidArgument, "a GPU without a minor number has no device node");
    }
    GpuNodes& found = files->gpu_nodes.emplace_back(GpuNodes{.minor = gpu.minor, .nodes = {}});
    const std::string name = fmt::format("nvidia{}", gpu.minor);
    if (!AddNode(folder, name, &found.nodes)) {
      return NodeIsMissing(folder, name,
                           fmt::format("run `nvidia-modprobe -c={}` on the node", gpu.minor));
    }
    AddDrmNodes(folder, query, gpu, &found.nodes);
  }
  return {};
}

// --- the two kinds of driver --------------------------------------------------------------------

Result<DriverFiles> FindSimulatedFiles(const DriverQuery& query) {
  const Root root(query.root);
  DriverFiles files{.simulated = true};
  RETURN_IF_ERROR(FindSimulatedLibraries(root, query, &files));
  FindBinaries(root, query, &files);
  ASSIGN_OR_RETURN(const std::string folder, ResolveInRoot(query.root.seen_at, kSimulation));
  files.writable_folders.push_back({root.OnHost(folder), fmt::format("/{}", kSimulation)});
  for (const WantedGpu& gpu : query.gpus) files.gpu_nodes.push_back({gpu.minor, {}});
  files.env = {fmt::format("{}=/{}", kSimulationVariable, kSimulation)};
  return files;
}

}  // namespace

std::string FindSimulation(const std::string& root) {
  const Root at({.seen_at = root, .host_path = root});
  const auto state = at.Find(fmt::format("{}/state", kSimulation), S_IFREG);
  return state ? Below(root, kSimulation) : "";
}

Result<DriverFiles> FindDriverFiles(const DriverQuery& query) {
  if (!FindSimulation(query.root.seen_at).empty()) return FindSimulatedFiles(query);
  if (!IsPlainVersion(query.driver_version)) {
    return Fail(Code::kInvalidArgument,
                fmt::format("\"{}\" is not the version of a driver", query.driver_version));
  }
  const Root root(query.root);
  DriverFiles files;
  RETURN_IF_ERROR(FindLibraries(root, query, &files));
  std::ranges::sort(files.libraries, {}, [](const DriverLibrary& l) { return l.names.front(); });
  FindBinaries(root, query, &files);
  FindFirmware(root, query, &files);
  FindSockets(root, &files);
  RETURN_IF_ERROR(FindNodes(query, &files));
  // void: NVIDIA's own runtime, where it is the default, must not inject a second time. Triton
  // looks for libcuda.so.1 in ldconfig's cache, which nobody rewrites here, unless it is told.
  files.env = {"NVIDIA_VISIBLE_DEVICES=void",
               fmt::format("TRITON_LIBCUDA_PATH={}", kContainerFolders.front())};
  return files;
}

std::vector<DriverMount> MountsOf(const DriverFiles& files) {
  const std::vector<std::string> read_only = {"ro", "nosuid", "nodev", "bind"};
  std::vector<DriverMount> mounts;
  std::set<std::string> taken;
  const auto add = [&](const std::string& host_path, std::string container_path,
                       const std::vector<std::string>& options) {
    if (!taken.insert(container_path).second) return;
    mounts.push_back({host_path, std::move(container_path), options});
  };
  for (const DriverLibrary& library : files.libraries) {
    for (const std::string_view folder : kContainerFolders) {
      for (const std::string& name : library.names) {
        add(library.host_path, base::JoinPath(folder, name), read_only);
      }
    }
  }
  for (const auto* list : {&files.binaries, &files.firmware}) {
    for (const DriverFile& file : *list) add(file.host_path, file.container_path, read_only);
  }
  for (const DriverFile& socket : files.sockets) {
    add(socket.host_path, socket.container_path, {"ro", "nosuid", "nodev", "noexec", "bind"});
  }
  for (const DriverFile& folder : files.writable_folders) {
    add(folder.host_path, folder.container_path, {"rw", "nosuid", "nodev", "bind"});
  }
  return mounts;
}

}  // namespace hami::gpu
