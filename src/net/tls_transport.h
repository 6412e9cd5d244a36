// SPDX-License-Identifier: Apache-2.0
//
// A connection under TLS, with the identity that it began with.

#pragma once

#include <memory>

#include "base/fd.h"
#include "net/transport.h"

struct ssl_ctx_st;  // OpenSSL's

namespace hami::net {

// Who speaks HTTP to it is told so in HTTP, and is left.
std::unique_ptr<Transport> MakeTlsTransport(base::Fd fd, ssl_ctx_st* identity);

}  // namespace hami::net
