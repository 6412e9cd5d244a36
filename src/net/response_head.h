// SPDX-License-Identifier: Apache-2.0
//
// What stands before an answer's body, as bytes of HTTP/1.x. Pure.

#pragma once

#include <string>

#include "net/http_server.h"

namespace hami::net {

// Into `head`, in place of what it held. `version` 10 or 11. The length is that of the body, sent
// or not.
void WriteResponseHead(const ServerResponse& response, int version, bool keep_alive,
                       std::string* head);

}  // namespace hami::net
