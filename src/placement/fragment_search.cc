// SPDX-License-Identifier: Apache-2.0

#include "placement/fragment_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "placement/name_index.h"

namespace hami::placement {
namespace {

// Nodes that are judged by the whole measure, in a decision. Of nodes that are alike one stands for
// all.
constexpr size_t kRefined = 32;
// When the mix has changed, what was judged before is judged anew little by little.
constexpr size_t kRenewedAtOnce = 128;
constexpr size_t kMostRows = 128;
constexpr size_t kSeen = size_t{1} << 14;
constexpr uint16_t kMixBits = 0xffff;

template <typename T>
void Append(std::string* key, T value) {
  key->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

// A request for one device, which every device serves or does not.
bool IsSingle(const CompiledRequest& compiled) {
  return compiled.asks.size() == 1 && compiled.asks[0].request->count == 1 &&
         compiled.asks[0].rule == nullptr && !compiled.request->policy.device.by_pod &&
         !compiled.request->policy.device.topology_aware;
}

bool TakesNothing(const DeviceState& device) {
  return !device.healthy || device.cordoned || device.fault;
}

uint64_t Mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15U;
  return hash ^ (hash >> 31);
}

// What can ever make a difference to a pod; the order of devices does not.
uint64_t ContentOf(const NodeState& node, const NodeRoom& room) {
  uint64_t devices = 0;
  for (size_t i = 0; i < node.devices.size(); ++i) {
    const DeviceState& device = node.devices[i];
    if (TakesNothing(device)) continue;
    uint64_t hash = Mix(1, HashName(node.facts.devices[i].type));
    for (const DeviceUse& use : {device.total, device.used}) {
      hash = Mix(hash, static_cast<uint64_t>(use.memory_mib));
      hash = Mix(hash, static_cast<uint64_t>(use.cores) << 32 | static_cast<uint32_t>(use.slots));
    }
    devices += hash;
  }
  const int64_t memory = node.facts.memory_bytes - node.memory_used_bytes;
  return Mix(Mix(devices, static_cast<uint64_t>(room.cpu_milli)), static_cast<uint64_t>(memory));
}

DeviceRoom RoomOf(const DeviceState& device, const DeviceUse& use) {
  vendor::Device facts;
  facts.vendor = device.vendor;
  facts.slots = device.total.slots;
  facts.memory_mib = device.total.memory_mib;
  facts.cores = device.total.cores;
  return RoomOf(facts, use);
}

}  // namespace

FragmentSearch::FragmentSearch() : seen_(kSeen) {}

void FragmentSearch::Observe(std::string_view uid, const PodShape& shape) {
  if (uid.empty()) return;
  const uint64_t hash = HashName(uid);
  const std::lock_guard lock(mutex_);
  uint64_t& seen = seen_[hash % kSeen];
  if (seen == hash) return;
  seen = hash;
  measure_.Observe(shape);
}

FragmentSearch::Row* FragmentSearch::RowOf(const CompiledRequest& compiled) {
  if (compiled.own != nullptr || !compiled.quota.empty() || compiled.has_rules ||
      compiled.asks_by_id) {
    return nullptr;
  }
  const Policy& policy = compiled.request->policy;
  key_.clear();
  Append(&key_, compiled.request->cpu_milli);
  Append(&key_, policy.numa_bind);
  Append(&key_, policy.device.only_idle);
  Append(&key_, policy.device.topology_aware);
  for (const DeviceKey key : policy.device.keys) Append(&key_, key);
  Append(&key_, policy.weights);
  for (const CompiledAsk& ask : compiled.asks) {
    Append(&key_, ask.request->vendor);
    Append(&key_, ask.request->count);
    Append(&key_, ask.request->memory_mib);
    Append(&key_, ask.request->memory_pct);
    Append(&key_, ask.request->cores);
    Append(&key_, ask.request->shape.slots);
    Append(&key_, ask.container);
    Append(&key_, ask.kind);
    for (const bool allowed : ask.models) key_.push_back(allowed ? '1' : '0');
    key_.push_back('|');
  }
  std::unique_ptr<Row>& row = rows_[key_];
  if (!row) row = std::make_unique<Row>();
  row->used = ++clock_;
  row->nodes.resize(compiled.index->node_limit());
  Row* const found = row.get();
  if (rows_.size() > kMostRows) {
    rows_.erase(
        std::ranges::min_element(rows_, {}, [](const auto& it) { return it.second->used; }));
  }
  return found;
}

FragmentSearch::Losses* FragmentSearch::Enter(const CompiledRequest& compiled, uint32_t number) {
  const NodeState& node = compiled.index->node(number);
  node_ = &node;
  before_.cpu_milli = node.facts.cpu_milli - node.cpu_used_milli;
  const bool leaves = compiled.own != nullptr && compiled.own->node == number;
  if (leaves) before_.cpu_milli += compiled.own->cpu_milli;
  before_.devices.clear();
  places_.clear();
  for (size_t i = 0; i < node.devices.size(); ++i) {
    if (TakesNothing(node.devices[i])) continue;
    places_.push_back(static_cast<uint16_t>(i));
    before_.devices.push_back(RoomOf(node.devices[i], node.devices[i].used));
  }
  if (losses_.size() < compiled.index->node_limit()) losses_.resize(compiled.index->node_limit());
  Losses* const losses = leaves ? &passing_ : &losses_[number];
  const uint32_t mix = measure_.mix().version();
  if (leaves || losses->version != node.version || losses->mix != mix) {
    *losses = {.version = node.version,
               .mix = mix,
               .content = ContentOf(node, before_),
               .cheap = measure_.StaticLoss(before_)};
  }
  return losses;
}

double FragmentSearch::FullLoss(Losses* losses) {
  if (losses->full < 0) losses->full = measure_.Loss(before_);
  return losses->full;
}

void FragmentSearch::RoomAfter(const CompiledRequest& compiled, const Fitter& fitter) {
  after_ = before_;
  after_.cpu_milli -= compiled.request->cpu_milli;
  for (size_t i = 0; i < places_.size(); ++i) {
    after_.devices[i] = RoomOf(node_->devices[places_[i]], fitter.used(places_[i]));
  }
}

void FragmentSearch::RoomWith(const CompiledRequest& compiled, uint16_t device,
                              const DeviceUse& used) {
  after_ = before_;
  after_.cpu_milli -= compiled.request->cpu_milli;
  const auto place = std::ranges::find(places_, device);
  after_.devices[static_cast<size_t>(place - places_.begin())] =
      RoomOf(node_->devices[device], used);
}

double FragmentSearch::CheapCost(double loss_before) {
  return measure_.StaticLoss(after_) - loss_before + Fragmentation::Leftover(after_);
}

void FragmentSearch::FindOptions(const CompiledRequest& compiled, uint32_t node, double loss_before,
                                 Fitter* fitter) {
  options_.clear();
  const CompiledAsk& ask = compiled.asks[0];
  const VendorRange* const range = compiled.index->node(node).RangeOf(ask.request->vendor);
  if (range == nullptr) return;
  fitter->Start(node);
  const std::vector<DeviceState>& devices = node_->devices;
  for (uint16_t i = range->begin; i < range->end; ++i) {
    // One of equal devices is enough; what is asked by id is not equal.
    const auto is_alike = [&](const Option& option) {
      const DeviceState& other = devices[option.device];
      return other.used == devices[i].used && other.total == devices[i].total &&
             other.model == devices[i].model && other.mig == devices[i].mig;
    };
    if (!compiled.asks_by_id && !compiled.has_rules && !devices[i].mig &&
        std::ranges::any_of(options_, is_alike)) {
      continue;
    }
    Option option{.device = i, .offer = fitter->Check(ask, i)};
    if (option.offer.reason != Reason::kNone) continue;
    DeviceUse used = fitter->used(i);
    used.slots += option.offer.need.slots;
    used.memory_mib += option.offer.need.memory_mib;
    used.cores += option.offer.need.cores;
    RoomWith(compiled, i, used);
    option.cost = CheapCost(loss_before);
    options_.push_back(std::move(option));
  }
  std::ranges::sort(options_, [](const Option& a, const Option& b) {
    return a.cost != b.cost ? a.cost < b.cost : a.device < b.device;
  });
}

FragmentSearch::Judged FragmentSearch::Judge(const CompiledRequest& compiled, uint32_t node,
                                             Fitter* fitter) {
  Judged judged{.version = compiled.index->node(node).version,
                .mix = static_cast<uint16_t>(measure_.mix().version() & kMixBits)};
  const double before = Enter(compiled, node)->cheap;
  if (IsSingle(compiled)) {
    FindOptions(compiled, node, before, fitter);
    judged.fits = !options_.empty();
    if (judged.fits) judged.cost = static_cast<float>(options_.front().cost);
    for (const Option& option : options_) {
      if (judged.devices == judged.device.size()) break;
      judged.device[judged.devices++] = option.device;
    }
  } else if (fitter->Fit(node, nullptr)) {
    judged.fits = true;
    RoomAfter(compiled, *fitter);
    judged.cost = static_cast<float>(CheapCost(before));
  }
  return judged;
}

double FragmentSearch::Refine(const CompiledRequest& compiled, uint32_t node, const Judged& judged,
                              Fitter* fitter) {
  const double before = FullLoss(Enter(compiled, node));
  if (!IsSingle(compiled)) {
    fitter->Fit(node, nullptr);
    RoomAfter(compiled, *fitter);
    return measure_.Loss(after_) - before + Fragmentation::Leftover(after_);
  }
  fitter->Start(node);
  double best_cost = std::numeric_limits<double>::infinity();
  Offer best_offer;
  uint16_t best = 0;
  for (uint8_t i = 0; i < judged.devices; ++i) {
    const Offer offer = fitter->Check(compiled.asks[0], judged.device[i]);
    if (offer.reason != Reason::kNone) continue;
    DeviceUse used = fitter->used(judged.device[i]);
    used.slots += offer.need.slots;
    used.memory_mib += offer.need.memory_mib;
    used.cores += offer.need.cores;
    RoomWith(compiled, judged.device[i], used);
    const double cost = measure_.Loss(after_) - before + Fragmentation::Leftover(after_);
    if (cost >= best_cost) continue;
    best_cost = cost;
    best_offer = offer;
    best = judged.device[i];
  }
  if (std::isfinite(best_cost)) fitter->Take(0, best, best_offer);
  return best_cost;
}

uint32_t FragmentSearch::Choose(const CompiledRequest& compiled, std::span<const uint32_t> nodes,
                                Fitter* fitter, double* cost) {
  const std::lock_guard lock(mutex_);
  Row* const row = RowOf(compiled);
  const auto mix = static_cast<uint16_t>(measure_.mix().version() & kMixBits);
  size_t renewed = 0;
  order_.clear();
  if (row == nullptr) unkept_.resize(compiled.index->node_limit());
  std::vector<Judged>& judgements = row == nullptr ? unkept_ : row->nodes;
  for (const uint32_t node : nodes) {
    Judged& judged = judgements[node];
    bool is_stale = row == nullptr || judged.version != compiled.index->node(node).version;
    if (!is_stale && judged.mix != mix && renewed < kRenewedAtOnce) {
      is_stale = true;
      ++renewed;
    }
    if (is_stale) judged = Judge(compiled, node, fitter);
    if (judged.fits) order_.emplace_back(judged.cost, losses_[node].content, node);
  }
  uint32_t best = NameIndex::kNone;
  *cost = std::numeric_limits<double>::infinity();
  size_t refined = 0;
  std::pair<float, uint64_t> last(-std::numeric_limits<float>::infinity(), 0);
  uint32_t current = NameIndex::kNone;  // the node of the fitter's picks
  std::ranges::make_heap(order_, std::ranges::greater());
  while (!order_.empty() && refined < kRefined) {
    std::ranges::pop_heap(order_, std::ranges::greater());
    const auto [cheap, content, node] = order_.back();
    order_.pop_back();
    if (std::pair(cheap, content) == last) continue;
    last = {cheap, content};
    ++refined;
    current = node;
    const double full = Refine(compiled, node, judgements[node], fitter);
    if (full >= *cost) continue;
    *cost = full;
    best = node;
  }
  if (best != NameIndex::kNone && best != current) {
    *cost = Refine(compiled, best, judgements[best], fitter);
  }
  return best;
}

double FragmentSearch::CostOf(const CompiledRequest& compiled, uint32_t node,
                              const Fitter& fitter) {
  const std::lock_guard lock(mutex_);
  const double before = Enter(compiled, node)->cheap;
  RoomAfter(compiled, fitter);
  return CheapCost(before);
}

PodShape ShapeOf(const vendor::Registry& registry, const PodFacts& pod, const NodeFacts* node) {
  PodShape shape{.cpu_milli = pod.cpu_milli, .asks = {}};
  for (const domain::Slice& slice : pod.slices) {
    const vendor::Spec* const spec = registry.Find(slice.vendor);
    if (spec == nullptr) continue;
    DeviceAsk ask{.vendor = static_cast<uint16_t>(spec - &registry.at(0)),
                  .count = 1,
                  .memory_mib = slice.memory_mib,
                  .cores_pct = std::clamp(slice.cores, 0, 100)};
    if (node != nullptr) {
      const auto device = std::ranges::find(node->devices, slice.device, &vendor::Device::id);
      if (device != node->devices.end() && device->memory_mib == slice.memory_mib) {
        ask.memory_mib = 0;
        ask.memory_pct = 100;
      }
    }
    DeviceAsk* const last = shape.asks.empty() ? nullptr : &shape.asks.back();
    const bool same = last != nullptr && last->vendor == ask.vendor &&
                      last->memory_mib == ask.memory_mib && last->memory_pct == ask.memory_pct &&
                      last->cores_pct == ask.cores_pct;
    if (same) {
      ++last->count;
    } else {
      shape.asks.push_back(ask);
    }
  }
  return shape;
}

}  // namespace hami::placement
