// SPDX-License-Identifier: Apache-2.0
//
// What of a driver's installation a container needs: libraries, programs, device nodes, firmware,
// sockets. Read from the driver's root as this process sees it, and named as the node sees it,
// because a container runtime resolves the paths of a CDI document on the node.
//
// Nothing in the container is run to make the libraries known: each one is mounted under the names
// that programs ask for (its own and its soname) into the two folders that glibc's loader searches
// by itself, Debian's and Red Hat's. So images without ldconfig work, and none is changed.
//
// The simulated driver (src/simgpu): a root with run/hami-sim/state has no device nodes; that
// folder is mounted instead, and HAMI_SIM names it.
//
// Reads the file system when it is called and keeps nothing; safe from any thread.

#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace hami::gpu {

// A folder, as this process and as the container runtime on the node reach it.
struct NodeFolder {
  std::string seen_at;
  std::string host_path;
};

struct WantedGpu {
  int minor = -1;          // of /dev/nvidia<minor>
  std::string pci_bus_id;  // as the kernel writes it, "0000:65:00.0"; empty: no DRM nodes
};

struct DriverQuery {
  // "/" of the node, or /run/nvidia/driver of it where the driver comes in a container.
  NodeFolder root = {.seen_at = "/", .host_path = "/"};
  std::string driver_version;  // "550.144.03"; not needed where the driver is simulated
  std::vector<WantedGpu> gpus;
  bool with_nvidia_smi = true;  // the vendor's; false: the caller brings ours

  // Where device nodes are if the driver's root has none of its own.
  NodeFolder devices = {.seen_at = "/dev", .host_path = "/dev"};
  std::string sys_folder = "/sys";
};

struct DriverFile {
  std::string host_path;
  std::string container_path;
};

struct DriverLibrary {
  std::string host_path;
  std::vector<std::string> names;  // file names in the container; its own is the first
};

struct GpuNodes {
  int minor;
  std::vector<DriverFile> nodes;  // /dev/nvidia<minor>; /dev/dri/card*, renderD* if they exist
};

struct DriverFiles {
  bool simulated = false;
  std::vector<DriverLibrary> libraries;  // by name
  std::vector<DriverFile> binaries;
  std::vector<DriverFile> firmware;
  std::vector<DriverFile> sockets;           // of persistenced and fabricmanager, if they run
  std::vector<DriverFile> writable_folders;  // the simulation's
  std::vector<DriverFile> device_nodes;      // for whoever gets any GPU
  std::vector<GpuNodes> gpu_nodes;           // as asked for; without nodes where simulated
  std::vector<std::string> env;              // "NAME=VALUE"
};

// kFailedPrecondition: a library or a device node that CUDA cannot do without is missing, or a
// library is broken; the message names it and says what to do.
// kInvalidArgument: no version, or no minor number.
Result<DriverFiles> FindDriverFiles(const DriverQuery& query);

// One mount of a CDI document.
struct DriverMount {
  std::string host_path;
  std::string container_path;
  std::vector<std::string> options;
};

// Everything of `files` that is mounted; not the device nodes.
std::vector<DriverMount> MountsOf(const DriverFiles& files);

// The environment variable that names a simulation's folder (src/simgpu/state/machine.h).
inline constexpr char kSimulationVariable[] = "HAMI_SIM";

// The folder of a simulated driver's state below a root: "<root>/run/hami-sim", or empty where
// there is none.
std::string FindSimulation(const std::string& root);

}  // namespace hami::gpu
