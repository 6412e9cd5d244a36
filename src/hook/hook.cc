// SPDX-License-Identifier: Apache-2.0

#include "hook/hook.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <string_view>

#include "hook/container.h"
#include "hook/musl.h"
#include "hook/preload_mount.h"
#include "hook/preload_text.h"
#include "version_values.h"

namespace hami::hook {
namespace {

constexpr int kExitFailure = 1;
constexpr int kExitUsage = 2;

constexpr char kHelp[] =
    "hami-cdi-hook preload --library=PATH --folder=PATH < STATE\n"
    "\n"
    "An OCI hook of the kind createContainer: mounts an /etc/ld.so.preload that names the library\n"
    "into the container whose state (JSON) is on standard input. CDI documents ask for it.\n"
    "\n"
    "  --library=PATH   the library, as the container sees it\n"
    "  --folder=PATH    a folder of the node, for limits-inactive-<container id>: made where the\n"
    "                   image's programs are built with musl, which takes no such library\n";

struct Options {
  const char* library = nullptr;
  const char* folder = nullptr;
};

bool TakeOption(const char* argument, std::string_view name, const char** value) {
  if (!std::string_view(argument).starts_with(name)) return false;
  *value = argument + name.size();
  return true;
}

bool ReadOptions(int argc, char** argv, Options* options, Failure* failure) {
  if (argc < 2 || std::string_view(argv[1]) != "preload") {
    return failure->Set("the first argument must be preload; --help shows more");
  }
  for (int i = 2; i < argc; ++i) {
    if (TakeOption(argv[i], "--library=", &options->library)) continue;
    if (TakeOption(argv[i], "--folder=", &options->folder)) continue;
    return failure->Set("unknown argument %s; --help shows what there is", argv[i]);
  }
  if (options->library == nullptr || !IsPreloadPath(options->library)) {
    return failure->Set(
        "--library must be an absolute path without blanks, ':' and '#', up to %zu bytes",
        kMaxLibraryPathBytes);
  }
  if (options->folder == nullptr || options->folder[0] != '/') {
    return failure->Set("--folder must be an absolute path");
  }
  return true;
}

// Standard error of a hook that succeeds is not shown by runc; the mark is what counts.
void WarnAboutMusl(const Container& container, const char* folder) {
  if (!IsMuslImage(container.root.get())) return;
  fprintf(stderr, "hami-cdi-hook: container %s: limits are not active: its image uses musl\n",
          container.id);
  if (LeaveInactiveMark(folder, container.id)) return;
  fprintf(stderr, "hami-cdi-hook: container %s: leave a mark in %s: %s\n", container.id, folder,
          strerror(errno));
}

}  // namespace

int HookMain(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--help") {
    fputs(kHelp, stdout);
    return 0;
  }
  if (argc == 2 && std::string_view(argv[1]) == "--version") {
    printf("hami-cdi-hook %s, commit %s, build %s\n", HAMI_VERSION, HAMI_COMMIT, HAMI_BUILD);
    return 0;
  }
  Failure failure;
  Options options;
  if (!ReadOptions(argc, argv, &options, &failure)) {
    fprintf(stderr, "hami-cdi-hook: %s\n", failure.text());
    return kExitUsage;
  }
  Container container;
  if (ReadContainer(STDIN_FILENO, &container, &failure) &&
      CheckMountNamespace(container, &failure) &&
      MountPreloadFile(container.root.get(), options.library, &failure)) {
    WarnAboutMusl(container, options.folder);
    return 0;
  }
  fprintf(stderr, "hami-cdi-hook: container %s: GPU limits cannot be set up: %s\n",
          container.id[0] != '\0' ? container.id : "(unknown)", failure.text());
  return kExitFailure;
}

}  // namespace hami::hook
