// SPDX-License-Identifier: Apache-2.0
//
// Who we are, as it is now: tokens and certificates that lie in files are read again, because they
// are renewed there. What cannot be read any more leaves the last good value in use, and a warning.
// Nothing here is ever logged.
//
// Any thread.

#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "kube/config.h"
#include "kube/exec_plugin.h"
#include "net/http_client.h"

namespace hami::kube {

// A moment's credentials. What requests share is one object until it changes, so that they share
// connections.
struct Identity {
  std::shared_ptr<const net::TlsSettings> tls;
  std::string authorization;  // value of the header; empty: none
};

class Credentials {
 public:
  // Files are looked at again when the last look is older than this.
  static constexpr int64_t kFreshMs = 10'000;

  Credentials(ClusterConfig config, const base::Clock& clock);

  // Fails only if something was never readable. Who has a plugin asks NeedsPlugin first.
  Result<Identity> Current();

  // The server said 401: the next Current looks at once. False if nothing could have changed.
  bool Renew();

  // A plugin has to run before Current knows something that is good now.
  bool NeedsPlugin();
  // Waits for the plugin: not on an I/O thread.
  Status RunPlugin();

 private:
  Status Read();

  const ClusterConfig config_;
  const base::Clock& clock_;
  std::mutex mutex_;
  Identity identity_;
  std::optional<ExecCredential> from_plugin_;
  bool was_read_ = false;
  int64_t read_ns_ = 0;
};

}  // namespace hami::kube
