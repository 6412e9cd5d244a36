// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as what tells a client where the API server is and who leads: a kubeconfig, what a
// credential plugin prints, the server's version, a Lease. What must hold: no read outside, no
// hang, no exception; what is refused is refused with a sentence; a Lease that is read and written
// reads the same.

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "json/value.h"
#include "kube/config.h"
#include "kube/discovery.h"
#include "kube/exec_plugin.h"
#include "kube/lease.h"

namespace {

namespace kube = hami::kube;

template <typename T>
void MustSayWhy(const hami::Result<T>& read) {
  if (!read && read.error().message.empty()) abort();
}

void TryKubeconfig(std::string_view text) {
  // A file that is in no folder.
  static const int file = memfd_create("kubeconfig", MFD_CLOEXEC);
  if (file < 0 || ftruncate(file, 0) != 0) abort();
  if (pwrite(file, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) abort();
  const auto config = kube::LoadKubeconfig({"/proc/self/fd/" + std::to_string(file)});
  MustSayWhy(config);
  if (config && (config->server.empty() || config->server.ends_with('/'))) abort();
}

void TryLease(std::string_view text) {
  hami::json::Document document;
  if (!document.Parse(text)) return;
  const auto lease = kube::ReadLease(document.root());
  MustSayWhy(lease);
  if (!lease) return;
  hami::json::Document written;
  if (!written.Parse(kube::WriteLease(*lease)) || !written.Parse(kube::WriteLeasePatch(*lease))) {
    abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  const std::string_view text(reinterpret_cast<const char*>(data), bytes);
  TryKubeconfig(text);
  TryLease(text);
  MustSayWhy(kube::ParseServerVersion(text));
  kube::ExecPlugin plugin;
  plugin.command = "plugin";
  plugin.api_version = "client.authentication.k8s.io/v1";
  const auto credential = kube::ParseExecCredential(plugin, text);
  MustSayWhy(credential);
  return 0;
}
