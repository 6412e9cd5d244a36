// SPDX-License-Identifier: Apache-2.0

#include "simctl/store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/file.h"
#include "simctl/libraries.h"
#include "simctl/machine_state.h"
#include "simctl/pci_tree.h"

namespace hami::simctl {
namespace {

constexpr size_t kMaxNameBytes = 63;
constexpr unsigned kRenameNoReplace = 1;  // RENAME_NOREPLACE of linux/fs.h
constexpr char kTemporaryPrefix[] = ".new-";

bool IsSet(const char* text) { return text != nullptr && *text != '\0'; }

// renameat2 by number: glibc has a name for it from 2.28 on.
bool RenameExclusively(const std::string& from, const std::string& to) {
  return syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), kRenameNoReplace) ==
         0;
}

Status MakeLink(const std::string& target, const std::string& path) {
  if (symlink(target.c_str(), path.c_str()) != 0) return FailErrno("link " + path);
  return {};
}

// Everything of a simulation but its name.
Status Fill(const std::string& folder, const std::string& name, const simgpu::Profile& profile) {
  ASSIGN_OR_RETURN(const DriverFiles files,
                   FindDriverFiles(simgpu::DriverBranch(profile.driver_version)));
  RETURN_IF_ERROR(base::MakeFolders(folder + "/lib", 0755));
  RETURN_IF_ERROR(base::MakeFolders(folder + "/bin", 0755));
  RETURN_IF_ERROR(MakeLink(files.cuda, folder + "/lib/libcuda.so.1"));
  RETURN_IF_ERROR(MakeLink("libcuda.so.1", folder + "/lib/libcuda.so"));
  RETURN_IF_ERROR(MakeLink(files.nvml, folder + "/lib/libnvidia-ml.so.1"));
  RETURN_IF_ERROR(MakeLink("libnvidia-ml.so.1", folder + "/lib/libnvidia-ml.so"));
  RETURN_IF_ERROR(MakeLink(files.nvidia_smi, folder + "/bin/nvidia-smi"));
  const std::string text = "# Written by `hami sim create`; the simulation has already read it.\n" +
                           simgpu::WriteProfile(profile);
  RETURN_IF_ERROR(base::WriteFileAtomically(folder + "/sim.yaml", text, 0644));
  RETURN_IF_ERROR(WritePciTree(folder + "/sys", profile, name));
  return CreateMachineState(profile, name, folder + "/state");
}

Status RefuseWhileUsed(const Simulation& simulation, const char* what) {
  const Result<std::vector<uint32_t>> clients = ListClients(simulation.StatePath());
  // A state that cannot be read has no users to protect: another version of the library made it.
  if (!clients || clients->empty()) return {};
  return Fail(
      Code::kFailedPrecondition,
      fmt::format("simulation {} is in use by {} process{} ({}); end {} or {} it with --force",
                  simulation.name, clients->size(), clients->size() == 1 ? "" : "es",
                  fmt::join(*clients, ", "), clients->size() == 1 ? "it" : "them", what));
}

Result<std::string> MakeTemporaryFolder(const std::string& root) {
  std::string path = root + "/" + kTemporaryPrefix + "XXXXXX";
  if (mkdtemp(path.data()) == nullptr) return FailErrno("make a folder in " + root);
  if (chmod(path.c_str(), 0755) != 0) return FailErrno("chmod " + path);
  return path;
}

}  // namespace

std::string ChooseRoot(const RootClues& clues) {
  if (IsSet(clues.hami_state_dir)) return base::JoinPath(clues.hami_state_dir, "sim");
  if (clues.uid == 0) return "/run/hami/sim";
  if (IsSet(clues.xdg_runtime_dir)) return base::JoinPath(clues.xdg_runtime_dir, "hami/sim");
  return fmt::format("/tmp/hami-{}/sim", clues.uid);
}

Status CheckName(std::string_view name) {
  constexpr std::string_view kFirst = "abcdefghijklmnopqrstuvwxyz0123456789";
  constexpr std::string_view kOther = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
  if (!name.empty() && name.size() <= kMaxNameBytes &&
      kFirst.find(name[0]) != std::string_view::npos &&
      name.find_first_not_of(kOther) == std::string_view::npos) {
    return {};
  }
  return Fail(Code::kInvalidArgument,
              fmt::format("\"{}\" cannot be a name: 1 to {} lower-case letters, digits, '-', '_' "
                          "and '.', the first a letter or digit",
                          name, kMaxNameBytes));
}

Result<Store> Store::Open() {
  const std::string root =
      ChooseRoot({getenv("HAMI_STATE_DIR"), getenv("XDG_RUNTIME_DIR"), geteuid()});
  const std::string parent = root.substr(0, root.rfind('/'));
  // Users without privileges keep theirs to themselves; what root makes everybody may use.
  RETURN_IF_ERROR(base::MakeFolders(parent, geteuid() == 0 ? 0755 : 0700));
  struct stat info = {};
  if (lstat(parent.c_str(), &info) != 0) return FailErrno("stat " + parent);
  if (parent.starts_with("/tmp/hami-") && info.st_uid != geteuid()) {
    return Fail(Code::kFailedPrecondition,
                fmt::format("{} belongs to user {}, not to you; set HAMI_STATE_DIR to a folder of "
                            "yours",
                            parent, info.st_uid));
  }
  RETURN_IF_ERROR(base::MakeFolders(root, 0755));
  return Store(root);
}

Result<Simulation> Store::Create(const std::string& name, const simgpu::Profile& profile) const {
  RETURN_IF_ERROR(CheckName(name));
  const std::string folder = root_ + "/" + name;
  const std::string exists = fmt::format(
      "simulation {} exists; `hami sim reset {}` clears it, `hami sim delete {}` removes "
      "it",
      name, name, name);
  if (base::Exists(folder)) return Fail(Code::kAlreadyExists, exists);
  ASSIGN_OR_RETURN(const std::string temporary, MakeTemporaryFolder(root_));
  Status filled = Fill(temporary, name, profile);
  if (filled && !RenameExclusively(temporary, folder)) {
    filled =
        errno == EEXIST ? Fail(Code::kAlreadyExists, exists) : FailErrno("rename to " + folder);
  }
  if (!filled) {
    static_cast<void>(base::RemoveTree(temporary));
    return Fail(std::move(filled).error());
  }
  return Find(name);
}

Result<Simulation> Store::Find(const std::string& name) const {
  RETURN_IF_ERROR(CheckName(name));
  Simulation simulation;
  simulation.name = name;
  simulation.folder = root_ + "/" + name;
  if (!base::Exists(simulation.folder)) {
    return Fail(
        Code::kNotFound,
        fmt::format("no simulation {} in {}; `hami sim list` shows those there are", name, root_));
  }
  ASSIGN_OR_RETURN(simulation.profile, simgpu::LoadProfile(simulation.folder + "/sim.yaml"));
  ASSIGN_OR_RETURN(simulation.devices, simgpu::ExpandDevices(simulation.profile, name));
  return simulation;
}

Result<std::vector<Simulation>> Store::List(std::vector<std::string>* broken) const {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, base::ListFolder(root_));
  std::vector<Simulation> simulations;
  for (const std::string& name : names) {
    if (name.starts_with('.')) continue;  // being made, or left over from a creator that died
    Result<Simulation> simulation = Find(name);
    if (simulation) {
      simulations.push_back(std::move(*simulation));
    } else {
      broken->push_back(simulation.error().message);
    }
  }
  return simulations;
}

Status Store::Reset(const Simulation& simulation, bool force) const {
  if (!force) RETURN_IF_ERROR(RefuseWhileUsed(simulation, "reset"));
  const std::string fresh = simulation.folder + "/.state-new";
  RETURN_IF_ERROR(base::RemoveTree(fresh));
  RETURN_IF_ERROR(CreateMachineState(simulation.profile, simulation.name, fresh));
  if (rename(fresh.c_str(), simulation.StatePath().c_str()) != 0) {
    return FailErrno("rename to " + simulation.StatePath());
  }
  return {};
}

Status Store::Delete(const Simulation& simulation, bool force) const {
  if (!force) RETURN_IF_ERROR(RefuseWhileUsed(simulation, "delete"));
  // Out of the way under another name first: whoever looks sees all of it or nothing.
  ASSIGN_OR_RETURN(const std::string temporary, MakeTemporaryFolder(root_));
  if (rename(simulation.folder.c_str(), temporary.c_str()) != 0) {
    const Status failed = FailErrno("rename " + simulation.folder);
    static_cast<void>(base::RemoveTree(temporary));
    return failed;
  }
  return base::RemoveTree(temporary);
}

}  // namespace hami::simctl
