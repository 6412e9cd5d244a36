// SPDX-License-Identifier: Apache-2.0
//
// What `hami` says to the person who called it: whole sentences on standard error, each beginning
// with "hami: ". Services log fields instead (base/log.h). Any thread.

#pragma once

#include <string_view>

namespace hami::ctl {

void Notice(std::string_view sentence);

}  // namespace hami::ctl
