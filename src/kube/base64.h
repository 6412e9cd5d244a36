// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace hami::kube {

// RFC 4648 with padding; spaces and line ends are passed over. None: anything else stands there.
std::optional<std::string> DecodeBase64(std::string_view text);

// One line, with padding.
std::string EncodeBase64(std::string_view data);

}  // namespace hami::kube
