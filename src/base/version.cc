// SPDX-License-Identifier: Apache-2.0

#include "base/version.h"

#include "version_values.h"

namespace hami::base {

std::string_view Version() { return HAMI_VERSION; }
std::string_view Commit() { return HAMI_COMMIT; }
std::string_view Build() { return HAMI_BUILD; }

std::string VersionLine(std::string_view program) {
  std::string line(program);
  for (const std::string_view part : {Version(), Commit(), Build()}) {
    line += ' ';
    line += part;
  }
  return line;
}

}  // namespace hami::base
