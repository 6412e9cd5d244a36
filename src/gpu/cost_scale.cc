// SPDX-License-Identifier: Apache-2.0

#include "gpu/cost_scale.h"

#include <algorithm>
#include <cmath>

namespace hami::gpu {

CostScale Learn(CostScale now, uint64_t true_ns, uint64_t charged_ns) {
  if (true_ns == 0) {
    // Charged and not seen to run: samples are missing, or the work is still queued. Either way the
    // two figures are no pair.
    if (charged_ns != 0) now.true_ns = now.charged_ns = 0;
    return now;
  }
  now.true_ns += true_ns;
  now.charged_ns += charged_ns;
  if (now.charged_ns < kStepChargedNs) return now;
  const double quotient = static_cast<double>(now.true_ns) / static_cast<double>(now.charged_ns);
  // One step never more than halves or doubles its aim, whatever a sample says.
  const double aim = now.scale * std::clamp(quotient, 0.5, 2.0);
  const double weight = std::max(kFirstStepWeight / ++now.steps, kLeastStepWeight);
  now.scale += weight * (aim - now.scale);
  now.scale = std::clamp(now.scale, kLeastCostScale, kMostCostScale);
  now.true_ns = now.charged_ns = 0;
  return now;
}

uint32_t ToQ16(double scale) {
  return static_cast<uint32_t>(
      std::lround(std::clamp(scale, kLeastCostScale, kMostCostScale) * 65536));
}

}  // namespace hami::gpu
