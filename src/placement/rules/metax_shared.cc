// SPDX-License-Identifier: Apache-2.0
//
// MetaX, shared cards: one QoS policy on a card, application classes that do not mix with others,
// linked cards together. Which policy a card has follows from the pods on it: what the node writes
// is behind by one round.

#include <algorithm>
#include <map>
#include <tuple>

#include "base/stable_sort.h"
#include "domain/go_bool.h"
#include "placement/rules/rules.h"
#include "vendor/metax_shape.h"

namespace hami::placement {
namespace {

constexpr const char* kTopologyKey = "metax-tech.com/sgpu-topology-aware";
constexpr int32_t kWholeCard = 100;
constexpr int32_t kLinkScore = 10;
constexpr double kNodeWeight = 10000;

struct Classes {
  int32_t online = 0;
  int32_t offline = 0;
};

Classes ClassesOn(const NodeView& node, size_t device) {
  Classes classes;
  for (const Tenant& tenant : node.Tenants(device)) {
    const std::string_view app_class = vendor::ReadMetaxShape(tenant.shape).app_class;
    if (app_class == vendor::kMetaxOnline) ++classes.online;
    if (app_class == vendor::kMetaxOffline) ++classes.offline;
  }
  return classes;
}

vendor::MetaxShape ShapeOf(const RuleAsk& ask) {
  return vendor::ReadMetaxShape(ask.request.shape.name);
}

bool IsOnline(const RuleAsk& ask) { return ShapeOf(ask).app_class == vendor::kMetaxOnline; }

bool TakesWholeCards(const RuleAsk& ask) {
  return ask.request.cores == kWholeCard && ShapeOf(ask).app_class.empty();
}

bool IsTopologyAware(const RuleAsk& ask) {
  const auto found = ask.pod.pod_annotations.find(kTopologyKey);
  if (found == ask.pod.pod_annotations.end()) return ask.spec.topology_aware;
  return domain::ParseGoBool(found->second).value_or(ask.spec.topology_aware);
}

// Pairs in one zone; zone 0 is none.
int64_t LinkScore(const std::map<int32_t, int64_t>& zones) {
  int64_t score = 0;
  for (const auto& [zone, count] : zones) {
    if (zone > 0) score += kLinkScore * count * (count - 1) / 2;
  }
  return score;
}

// Few online neighbours first; a card with offline ones alone last, since they would be suspended.
std::vector<uint16_t> ChooseForOnline(const NodeView& node, std::span<const uint16_t> fitting,
                                      size_t count) {
  std::vector<uint16_t> sorted(fitting.begin(), fitting.end());
  base::StableSortBy(&sorted, [&node](uint16_t number) {
    const Classes classes = ClassesOn(node, number);
    const bool only_offline = classes.online == 0 && classes.offline > 0;
    return std::tuple(only_offline, classes.online, classes.offline);
  });
  sorted.resize(count);
  return sorted;
}

// The smallest zone that has enough; else zone by zone from the smallest, cards without links last.
std::vector<uint16_t> ChooseLinked(const NodeView& node, std::span<const uint16_t> fitting,
                                   size_t count) {
  std::map<int32_t, std::vector<uint16_t>> by_zone;
  std::vector<uint16_t> unlinked;
  for (const uint16_t number : fitting) {
    const int32_t zone = node.device(number).group;
    (zone > 0 ? by_zone[zone] : unlinked).push_back(number);
  }
  std::vector<std::vector<uint16_t>> zones;
  for (auto& [zone, numbers] : by_zone) zones.push_back(std::move(numbers));
  base::StableSortBy(&zones, [](const auto& zone) { return zone.size(); });
  for (std::vector<uint16_t>& zone : zones) {
    if (zone.size() < count) continue;
    zone.resize(count);
    return zone;
  }
  zones.push_back(std::move(unlinked));
  std::vector<uint16_t> chosen;
  for (const std::vector<uint16_t>& zone : zones) {
    const size_t taken = std::min(zone.size(), count - chosen.size());
    chosen.insert(chosen.end(), zone.begin(), zone.begin() + static_cast<ptrdiff_t>(taken));
  }
  return chosen;
}

class MetaxShared final : public Rule {
 public:
  Reason UnhealthyWord() const override { return Reason::kCardUnhealthy; }

  Reason RefuseDevice(const RuleAsk& ask, const NodeView& node, size_t device) const override {
    if (node.use(device).slots == 0) return Reason::kNone;
    const vendor::MetaxShape wanted = ShapeOf(ask);
    const Classes classes = ClassesOn(node, device);
    const bool has_classes = classes.online + classes.offline > 0;
    if (has_classes == wanted.app_class.empty()) return Reason::kCardAppClassMismatch;
    if (wanted.app_class == vendor::kMetaxOffline && classes.online > 0) {
      return Reason::kCardAppClassMismatch;
    }
    if (IsOnline(ask)) return Reason::kNone;
    for (const Tenant& tenant : node.Tenants(device)) {
      const std::string_view policy = vendor::ReadMetaxShape(tenant.shape).policy;
      if (!policy.empty() && policy != wanted.policy) return Reason::kCardQosPolicyMismatch;
    }
    return Reason::kNone;
  }

  bool SkipsCores(const RuleAsk& ask) const override { return IsOnline(ask); }

  bool ChoosesSets(const RuleAsk& ask) const override {
    return IsOnline(ask) || TakesWholeCards(ask);
  }

  std::vector<uint16_t> ChooseSet(const RuleAsk& ask, const NodeView& node,
                                  std::span<const uint16_t> fitting) const override {
    const auto count = static_cast<size_t>(ask.request.count);
    if (fitting.size() < count) return {};
    return IsOnline(ask) ? ChooseForOnline(node, fitting, count)
                         : ChooseLinked(node, fitting, count);
  }

  bool ScoresNodes(const RuleAsk& ask) const override {
    return IsOnline(ask) || (TakesWholeCards(ask) && IsTopologyAware(ask));
  }

  double ScoreNode(const RuleAsk& ask, const NodeView& node,
                   std::span<const uint16_t> chosen) const override {
    return kNodeWeight * static_cast<double>(IsOnline(ask) ? OnlineScore(ask, node, chosen)
                                                           : TopologyScore(node, chosen));
  }

 private:
  // What online pods would share their card with, and whom they would suspend.
  static int64_t OnlineScore(const RuleAsk& ask, const NodeView& node,
                             std::span<const uint16_t> chosen) {
    int64_t score = 0;
    for (const uint16_t number : chosen) {
      Classes before;
      for (const Tenant& tenant : node.Tenants(number)) {
        if (tenant.same_pod && tenant.container == ask.container) continue;
        const std::string_view app_class = vendor::ReadMetaxShape(tenant.shape).app_class;
        before.online += app_class == vendor::kMetaxOnline ? 1 : 0;
        before.offline += app_class == vendor::kMetaxOffline ? 1 : 0;
      }
      score += before.online == 0 && before.offline > 0 ? -100 * before.offline
                                                        : -20 * before.online - 2 * before.offline;
    }
    return score;
  }

  // Ten times the links that the pod gets, less the links that nobody can use any more.
  static int64_t TopologyScore(const NodeView& node, std::span<const uint16_t> chosen) {
    std::map<int32_t, int64_t> idle;  // before
    std::map<int32_t, int64_t> given;
    std::map<int32_t, int64_t> left;
    for (size_t i = 0; i < node.size(); ++i) {
      const int32_t zone = node.device(i).group;
      const bool taken = std::find(chosen.begin(), chosen.end(), i) != chosen.end();
      if (taken) ++given[zone];
      if (!taken && node.use(i).slots > 0) continue;
      ++idle[zone];
      if (!taken) ++left[zone];
    }
    const int64_t allocated = LinkScore(given);
    return 10 * allocated - (LinkScore(idle) - allocated - LinkScore(left));
  }
};

}  // namespace

const Rule& MetaxSharedRule() {
  static const MetaxShared rule;
  return rule;
}

}  // namespace hami::placement
