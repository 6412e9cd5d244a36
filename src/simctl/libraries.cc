// SPDX-License-Identifier: Apache-2.0

#include "simctl/libraries.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <climits>

#include "base/file.h"

namespace hami::simctl {
namespace {

constexpr char kInstalled[] = "/usr/lib/hami";
constexpr char kCudaName[] = "libcuda.so.1";
constexpr char kNvmlName[] = "libnvidia-ml.so.1";
constexpr char kSmiName[] = "nvidia-smi";

Result<std::string> ExecutableFolder() {
  std::string path(PATH_MAX, '\0');
  const ssize_t length = readlink("/proc/self/exe", path.data(), path.size());
  if (length < 0) return FailErrno("read /proc/self/exe");
  path.resize(static_cast<size_t>(length));
  return path.substr(0, path.rfind('/'));
}

// The branches under `folder` that have the library.
std::vector<int> BranchesWith(const std::string& folder, const std::string& library) {
  std::vector<int> branches;
  const Result<std::vector<std::string>> names = base::ListFolder(folder);
  if (!names) return branches;
  for (const std::string& name : *names) {
    int branch = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), branch);
    if (error != std::errc() || end != name.data() + name.size()) continue;
    if (base::Exists(folder + "/" + name + "/" + library)) branches.push_back(branch);
  }
  return branches;
}

Result<std::string> FindLibrary(const std::vector<std::string>& folders, const std::string& library,
                                int driver_branch) {
  for (const std::string& folder : folders) {
    const std::vector<int> branches = BranchesWith(folder, library);
    if (branches.empty()) continue;
    return fmt::format("{}/{}/{}", folder, ChooseFlavour(branches, driver_branch), library);
  }
  return Fail(Code::kNotFound,
              fmt::format("the simulated {} is neither in {}; build it with ./dev build", library,
                          fmt::join(folders, " nor in ")));
}

}  // namespace

int ChooseFlavour(const std::vector<int>& branches, int driver_branch) {
  int best = 0;
  for (const int branch : branches) {
    if (branch <= driver_branch) best = std::max(best, branch);
  }
  return best != 0 ? best : *std::ranges::min_element(branches);
}

Result<DriverFiles> FindDriverFiles(int driver_branch) {
  ASSIGN_OR_RETURN(const std::string programs, ExecutableFolder());
  // A test's executable lies beside build/bin, in build/tests.
  const std::string parent = programs.substr(0, programs.rfind('/'));
  const std::vector<std::string> folders = {parent + "/lib/simgpu",
                                            fmt::format("{}/simgpu", kInstalled)};
  DriverFiles files;
  ASSIGN_OR_RETURN(files.cuda, FindLibrary(folders, kCudaName, driver_branch));
  ASSIGN_OR_RETURN(files.nvml, FindLibrary(folders, kNvmlName, driver_branch));
  for (const std::string& folder : {programs, parent + "/bin", std::string(kInstalled)}) {
    const std::string path = folder + "/" + kSmiName;
    if (files.nvidia_smi.empty() && base::Exists(path)) files.nvidia_smi = path;
  }
  if (files.nvidia_smi.empty()) {
    return Fail(Code::kNotFound, fmt::format("{} is neither in {} nor in {}; build it with ./dev "
                                             "build",
                                             kSmiName, programs, kInstalled));
  }
  return files;
}

}  // namespace hami::simctl
