// SPDX-License-Identifier: Apache-2.0
//
// For tests: a stock kube-scheduler as far as an extender meets it. It takes and renews the Lease
// as client-go's leader election does (k8s.io/client-go/tools/leaderelection, with ReleaseOnCancel
// as cmd/kube-scheduler sets it), and remembers the binds that it has yet to ask for. One thread at
// a time.

#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "extender/fake_api.h"

namespace hami::extender {

inline constexpr int64_t kLeaseMs = 15'000;
inline constexpr int64_t kRenewDeadlineMs = 10'000;

class FakeKubeScheduler {
 public:
  struct PendingBind {
    std::string pod;
    std::string uid;
    std::string node;
  };

  FakeKubeScheduler(FakeApi& api, const base::Clock& clock, std::string lease_path,
                    std::string identity);

  // Takes, renews or looks at the Lease. False: it has lost it, and has ended.
  bool Elect();
  // It is told to end: the Lease is nobody's from now on.
  void ReleaseLease();

  bool leads() const { return leads_; }
  std::vector<PendingBind>& binds() { return binds_; }
  bool IsBinding(const std::string& uid) const;

 private:
  int64_t NowMs() const { return clock_.MonotonicNs() / 1'000'000; }
  void Write(const std::string& holder, int64_t duration_ms, bool is_new);

  FakeApi& api_;
  const base::Clock& clock_;
  const std::string lease_path_;
  const std::string identity_;  // "<host name>_<random>"
  bool leads_ = false;
  int64_t renewed_ms_ = 0;
  std::string seen_;  // the record of another, and since when it has not changed
  int64_t seen_ms_ = 0;
  std::vector<PendingBind> binds_;
};

}  // namespace hami::extender
