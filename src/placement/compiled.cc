// SPDX-License-Identifier: Apache-2.0

#include "placement/compiled.h"

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "vendor/selectors.h"

namespace hami::placement {
namespace {

CompiledAsk CompileAsk(const ClusterIndex& index, const Request& request, uint16_t container,
                       const vendor::Request& asked) {
  CompiledAsk ask;
  ask.request = &asked;
  ask.spec = &index.registry().at(asked.vendor);
  ask.rule = index.rule(asked.vendor);
  ask.kind = request.containers[container].kind;
  ask.container = container;
  ask.whole = asked.memory_mib == 0 && asked.memory_pct == 100;
  ask.in_percent = ask.spec->core_unit == vendor::CoreUnit::kPercent;
  if (ask.in_percent && asked.memory_mib > 0) {
    ask.fixed_need = {.slots = asked.shape.slots,
                      .memory_mib = asked.memory_mib,
                      .cores = std::min(asked.cores, 100)};
  }
  if (ask.rule != nullptr) {
    const RuleAsk rule_ask{
        .spec = *ask.spec, .request = asked, .pod = request, .container = container};
    ask.skips_cores = ask.rule->SkipsCores(rule_ask);
    ask.chooses_sets = ask.rule->ChoosesSets(rule_ask);
    ask.scores_nodes = ask.rule->ScoresNodes(rule_ask);
  }
  if (asked.vendor >= request.selectors.size()) return ask;
  const vendor::Selectors& selectors = request.selectors[asked.vendor];
  ask.by_id = !selectors.use_ids.empty() || !selectors.avoid_ids.empty();
  for (const std::string& id : selectors.use_ids) ask.use_ids.push_back(HashName(id));
  if (ask.by_id) ask.selectors = &selectors;
  if (selectors.use_types.empty() && selectors.avoid_types.empty() && selectors.modes.empty()) {
    return ask;
  }
  for (const ClusterIndex::Model& model : index.models()) {
    ask.models.push_back(vendor::MatchesType(selectors, model.sample));
  }
  return ask;
}

template <typename T>
void Append(std::string* key, T value) {
  key->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

uint64_t BitsOf(const std::vector<bool>& models) {
  if (models.empty()) return ~uint64_t{0};
  uint64_t bits = 0;
  for (size_t i = 0; i < models.size(); ++i) {
    if (models[i]) bits |= uint64_t{1} << (i % 64);
  }
  return bits;
}

Precheck PrecheckOf(const ClusterIndex& index, const CompiledAsk& ask, const Policy& policy) {
  const vendor::Request& asked = *ask.request;
  Precheck check;
  check.summaries = index.summaries(asked.vendor).data();
  check.rooms = index.rooms(asked.vendor).data();
  check.models = BitsOf(ask.models);
  check.idle = policy.device.only_idle;
  check.count = static_cast<uint16_t>(std::min<int32_t>(asked.count, UINT16_MAX));
  check.step = static_cast<uint8_t>(StepOf(asked.count));
  // A rule may count slots, memory and cores in its own way.
  if (ask.rule != nullptr) return check;
  check.memory_mib = asked.memory_mib;
  // The largest instance of a whole GPU has less memory than the GPU, but a whole GPU is free then.
  check.pct = asked.memory_mib > 0 ? 0 : std::min(asked.memory_pct, 100);
  if (ask.in_percent) check.cores = std::min(asked.cores, 100);
  return check;
}

void TakeLeft(const std::optional<int64_t>& limit, int64_t held, std::optional<int64_t>* left) {
  if (!limit) return;
  *left = std::min(left->value_or(std::numeric_limits<int64_t>::max()), *limit - held);
}

void TakeLeft(const NamespaceState::Limit& limit, const NamespaceState::Held& held,
              const NamespaceState::Held& mine, QuotaLeft* left) {
  TakeLeft(limit.memory_mib, held.memory_mib - mine.memory_mib, &left->memory_mib);
  TakeLeft(limit.cores, held.cores - mine.cores, &left->cores);
}

}  // namespace

CompiledRequest::CompiledRequest(const ClusterIndex& of_index, const Request& of_request)
    : index(&of_index), request(&of_request), order(of_request.policy) {
  own = of_index.FindPod(of_request.pod_uid);
  for (size_t i = 0; i < of_request.containers.size(); ++i) {
    for (const vendor::Request& asked : of_request.containers[i].requests) {
      CHECK(asked.vendor < of_index.registry().size());
      if (asked.count <= 0) continue;
      asks.push_back(CompileAsk(of_index, of_request, static_cast<uint16_t>(i), asked));
      scores_nodes = scores_nodes || asks.back().scores_nodes;
      chooses_sets = chooses_sets || asks.back().chooses_sets;
      has_rules = has_rules || asks.back().rule != nullptr;
      asks_by_id = asks_by_id || asks.back().by_id;
      asks_across = asks_across || asked.across_devices;
      if (std::find(vendors.begin(), vendors.end(), asked.vendor) == vendors.end()) {
        vendors.push_back(asked.vendor);
        possible = possible && !of_index.summaries(asked.vendor).empty();
      }
    }
  }
  for (size_t i = 0; i < asks.size(); ++i) {
    asks[i].last_of_container = i + 1 == asks.size() || asks[i + 1].container != asks[i].container;
    prechecks.push_back(PrecheckOf(of_index, asks[i], of_request.policy));
  }
  ReadQuotas(of_index.FindNamespace(of_request.namespace_name));
}

void CompiledRequest::ReadQuotas(const NamespaceState* space) {
  if (space == nullptr || (space->limits.empty() && space->scoped.empty())) return;
  quota.resize(index->registry().size());
  const bool has_own = own != nullptr && own->space == space;
  for (const vendor::VendorId vendor : vendors) {
    // What the pod holds already does not count.
    const NamespaceState::Held mine =
        has_own ? index->HeldOf(*own, vendor) : NamespaceState::Held();
    if (!space->limits.empty()) {
      NamespaceState::Held held;
      if (!space->held.empty()) held = space->held[vendor];
      TakeLeft(space->limits[vendor], held, mine, &quota[vendor]);
    }
    for (const NamespaceState::Scoped& scoped : space->scoped) {
      if (!Matches(scoped.scope, request->traits)) continue;
      const bool counts_own = has_own && index->IsWithin(scoped.scope, *own);
      TakeLeft(scoped.limits[vendor], scoped.held[vendor],
               counts_own ? mine : NamespaceState::Held(), &quota[vendor]);
    }
  }
}

bool NativeFits(const CompiledRequest& compiled, uint32_t number, Reason* reason) {
  const Request& request = *compiled.request;
  const NodeState& node = compiled.index->node(number);
  if (!request.check_native || node.facts.cpu_milli <= 0) return true;
  int64_t cpu = node.facts.cpu_milli - node.cpu_used_milli;
  int64_t memory = node.facts.memory_bytes - node.memory_used_bytes;
  if (compiled.own != nullptr && compiled.own->node == number) {
    cpu += compiled.own->cpu_milli;
    memory += compiled.own->memory_bytes;
  }
  if (request.cpu_milli > cpu) {
    *reason = Reason::kInsufficientCpu;
    return false;
  }
  if (request.memory_bytes > memory) {
    *reason = Reason::kInsufficientMemory;
    return false;
  }
  return true;
}

bool AppendKind(const CompiledRequest& compiled, std::string* key) {
  if (compiled.own != nullptr || compiled.has_rules || compiled.asks_by_id) return false;
  const Policy& policy = compiled.request->policy;
  Append(key, policy.numa_bind);
  Append(key, policy.device.only_idle);
  Append(key, policy.device.topology_aware);
  for (const DeviceKey device_key : policy.device.keys) Append(key, device_key);
  Append(key, policy.weights);
  for (const CompiledAsk& ask : compiled.asks) {
    Append(key, ask.request->vendor);
    Append(key, ask.request->count);
    Append(key, ask.request->memory_mib);
    Append(key, ask.request->memory_pct);
    Append(key, ask.request->cores);
    Append(key, ask.request->shape.slots);
    *key += ask.request->shape.name;
    key->push_back('\0');
    Append(key, ask.container);
    Append(key, ask.kind);
    for (const bool allowed : ask.models) key->push_back(allowed ? '1' : '0');
    key->push_back('|');
  }
  return true;
}

}  // namespace hami::placement
