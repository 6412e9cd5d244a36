// SPDX-License-Identifier: Apache-2.0

#include "top/snapshot.h"

namespace hami::top {

std::string_view KindName(Kind kind) {
  switch (kind) {
    case Kind::kRun:
      return "run";
    case Kind::kClaim:
      return "claim";
    case Kind::kContainer:
      return "container";
    case Kind::kShare:
      break;
  }
  return "share";
}

}  // namespace hami::top
