// SPDX-License-Identifier: Apache-2.0
//
// A claim's name for its UID, from the record that the node's driver keeps
// (src/dra/claim_record.h).

#pragma once

#include <string>

namespace hami::top {

// "NAMESPACE/NAME"; the UID where there is no record that this user may read.
std::string ClaimName(const std::string& records_folder, const std::string& uid);

}  // namespace hami::top
