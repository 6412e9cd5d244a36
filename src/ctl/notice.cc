// SPDX-License-Identifier: Apache-2.0

#include "ctl/notice.h"

#include <unistd.h>

#include <string>

#include "base/file.h"

namespace hami::ctl {

void Notice(std::string_view sentence) {
  std::string line = "hami: ";
  line += sentence;
  line += '\n';
  // One write, so that lines of several processes do not mix. Nobody to tell if it fails.
  const Status written = base::WriteAll(STDERR_FILENO, line);
  (void)written;
}

}  // namespace hami::ctl
