// SPDX-License-Identifier: Apache-2.0

#include "top/sources.h"

#include "api/share/agent.h"
#include "base/file.h"
#include "dra/names.h"

namespace hami::top {

Sources NodeSources() {
  Sources sources;
  sources.claims = api::kClaimsRoot;
  sources.claim_records =
      base::JoinPath(base::JoinPath("/var/lib/kubelet/plugins", dra::kDriverName), "claims");
  sources.containers = "/usr/local/vgpu/containers";
  sources.own = api::kSharesRoot;
  return sources;
}

}  // namespace hami::top
