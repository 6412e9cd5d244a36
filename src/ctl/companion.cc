// SPDX-License-Identifier: Apache-2.0

#include "ctl/companion.h"

#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <string>

#include "ctl/notice.h"

namespace hami::ctl {

int BecomeCompanion(const char* name, char** argv) {
  char self[PATH_MAX] = {};
  if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0) {
    Notice(std::string("find the running program: ") + std::strerror(errno));
    return 1;
  }
  std::string path = self;
  path = path.substr(0, path.rfind('/') + 1) + name;
  execv(path.c_str(), argv);
  Notice(path + ": " + std::strerror(errno) + "; it belongs beside hami");
  return 1;
}

}  // namespace hami::ctl
