// SPDX-License-Identifier: Apache-2.0

#include "hook/container.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "hook/json.h"

namespace hami::hook {
namespace {

// A state carries all annotations of a pod, a configuration all of its environment.
constexpr size_t kMaxStateBytes = size_t{16} << 20;
constexpr size_t kMaxConfigBytes = size_t{64} << 20;

constexpr char kState[] = "the container's state";

bool FindMember(std::string_view document, std::span<const std::string_view> path, const char* what,
                std::span<char> out, Failure* failure) {
  const std::string_view name = path.back();
  switch (FindJsonString(document, path, out)) {
    case JsonFinding::kFound:
      return true;
    case JsonFinding::kMissing:
      return failure->Set("%s has no \"%.*s\"; is this run as an OCI hook?", what,
                          static_cast<int>(name.size()), name.data());
    case JsonFinding::kTooLong:
      return failure->Set("%s: \"%.*s\" is too long", what, static_cast<int>(name.size()),
                          name.data());
    case JsonFinding::kBroken:
      break;
  }
  return failure->Set("%s is not whole JSON; is this run as an OCI hook?", what);
}

// root.path of the configuration, relative to the bundle.
bool ReadRootPath(const char* bundle, char (&root_path)[PATH_MAX], Failure* failure) {
  char config_path[PATH_MAX];
  const int bytes = snprintf(config_path, sizeof(config_path), "%s/config.json", bundle);
  if (bytes >= PATH_MAX) return failure->Set("the bundle's path is too long");
  const OwnedFd file(open(config_path, O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return failure->Set("open %s: %s", config_path, strerror(errno));
  WholeFile config;
  if (!config.Read(file.get(), kMaxConfigBytes, config_path, failure)) return false;
  constexpr std::string_view kPath[] = {"root", "path"};
  char path[PATH_MAX];
  if (!FindMember(config.text(), kPath, config_path, path, failure)) return false;
  const int written = path[0] == '/' ? snprintf(root_path, PATH_MAX, "%s", path)
                                     : snprintf(root_path, PATH_MAX, "%s/%s", bundle, path);
  return written < PATH_MAX || failure->Set("%s: root.path is too long", config_path);
}

}  // namespace

bool ReadContainer(int state_fd, Container* container, Failure* failure) {
  WholeFile state;
  if (!state.Read(state_fd, kMaxStateBytes, kState, failure)) return false;
  constexpr std::string_view kId[] = {"id"};
  constexpr std::string_view kBundle[] = {"bundle"};
  char bundle[PATH_MAX];
  if (!FindMember(state.text(), kId, kState, container->id, failure)) return false;
  if (!FindMember(state.text(), kBundle, kState, bundle, failure)) return false;
  if (bundle[0] != '/') return failure->Set("the bundle \"%s\" is not an absolute path", bundle);
  if (!ReadRootPath(bundle, container->root_path, failure)) return false;
  container->root = OwnedFd(open(container->root_path, O_PATH | O_DIRECTORY | O_CLOEXEC));
  return container->root.valid() ||
         failure->Set("open the root file system %s: %s", container->root_path, strerror(errno));
}

bool CheckMountNamespace(const Container& container, Failure* failure) {
  char ours[64] = {};
  char first[64] = {};
  // In a user namespace the first process may not be looked at; that one cannot be in it then.
  if (readlink("/proc/self/ns/mnt", ours, sizeof(ours) - 1) > 0 &&
      readlink("/proc/1/ns/mnt", first, sizeof(first) - 1) > 0 && strcmp(ours, first) == 0) {
    return failure->Set(
        "this is the node's own mount namespace; run the hook as createContainer, no other kind");
  }
  struct stat root = {};
  struct stat node = {};
  if (fstat(container.root.get(), &root) != 0 || stat("/", &node) != 0) {
    return failure->Set("look at %s: %s", container.root_path, strerror(errno));
  }
  if (root.st_dev == node.st_dev && root.st_ino == node.st_ino) {
    return failure->Set("the container's root %s is the node's own", container.root_path);
  }
  return true;
}

}  // namespace hami::hook
