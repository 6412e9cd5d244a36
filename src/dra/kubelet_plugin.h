// SPDX-License-Identifier: Apache-2.0
//
// The sockets at which the kubelet meets us: registration, and the DRA service in both of its
// versions. Contract: k8s.io/kubelet plugin registration v1 and DRA v1, v1beta1.
//
// The service is there before the registration socket is, because the kubelet calls as soon as it
// sees that. Claims of one request are prepared side by side.

#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "dra/claim_keeper.h"

namespace hami::dra {

// What the kubelet asks for, without its protocol. Called from several threads at once.
class ClaimService {
 public:
  virtual ~ClaimService() = default;
  virtual Result<std::vector<PreparedDevice>> Prepare(const ClaimRef& claim) = 0;
  virtual Status Unprepare(const ClaimRef& claim) = 0;
};

struct KubeletPluginOptions {
  std::string driver_name;
  std::string plugin_folder;    // <kubelet>/plugins/<driver>; gets dra.sock
  std::string registry_folder;  // <kubelet>/plugins_registry; gets <driver>-reg.sock
  int parallel_claims = 8;
  std::function<void()> on_registered;  // each time that the kubelet takes us; any thread
};

class KubeletPlugin {
 public:
  // Listens at both sockets. kInvalidArgument if a path is longer than a socket's may be (107
  // bytes); kUnavailable if one cannot be made.
  static Result<std::unique_ptr<KubeletPlugin>> Start(const KubeletPluginOptions& options,
                                                      ClaimService* service);
  // Removes the sockets first, so that no kubelet dials a dying process, and waits for calls under
  // way, ten seconds at most.
  ~KubeletPlugin();
  KubeletPlugin(const KubeletPlugin&) = delete;
  KubeletPlugin& operator=(const KubeletPlugin&) = delete;

  // The kubelet has taken us since its last look.
  bool registered() const;
  // What the kubelet said against us; empty if nothing.
  std::string refusal() const;

  // The sockets are where they were made: somebody who empties the folder takes us off the node.
  bool SocketsExist() const;

 private:
  struct Impl;
  explicit KubeletPlugin(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace hami::dra
