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
// Of rows and nodes: 24 MiB.
constexpr size_t kMostJudged = size_t{1} << 20;
constexpr size_t kSeen = size_t{1} << 14;
constexpr uint16_t kMixBits = 0xffff;

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

void FragmentSearch::ObserveDeparture() {
  const std::lock_guard lock(mutex_);
  measure_.ObserveDeparture();
}

void FragmentSearch::ObserveUse(uint32_t node) {
  const std::lock_guard lock(mutex_);
  if (node >= place_in_use_.size()) place_in_use_.resize(size_t{node} + 1);
  if (place_in_use_[node] == 0) place_in_use_[node] = ++used_nodes_;
}

FragmentSearch::Row* FragmentSearch::RowOf(const CompiledRequest& compiled) {
  if (!compiled.quota.empty()) return nullptr;
  const int64_t cpu_milli = compiled.request->cpu_milli;
  key_.assign(reinterpret_cast<const char*>(&cpu_milli), sizeof(cpu_milli));
  if (!AppendKind(compiled, &key_)) return nullptr;
  std::unique_ptr<Row>& row = rows_[key_];
  if (!row) row = std::make_unique<Row>();
  row->used = ++clock_;
  row->nodes.resize(compiled.index->node_limit());
  Row* const found = row.get();
  while (rows_.size() > 1 && rows_.size() * found->nodes.size() > kMostJudged) {
    rows_.erase(
        std::ranges::min_element(rows_, {}, [](const auto& it) { return it.second->used; }));
  }
  return found;
}

void FragmentSearch::Enter(const CompiledRequest& compiled, uint32_t number) {
  const ClusterIndex& index = *compiled.index;
  if (known_.size() < index.node_limit()) known_.resize(index.node_limit());
  node_ = &index.node(number);
  number_ = number;
  const bool leaves = compiled.own != nullptr && compiled.own->node == number;
  before_ = leaves ? &passing_ : &known_[number];
  Known& known = *before_;
  const uint32_t mix = measure_.mix().version();
  const bool has_changed = leaves || known.version != index.version(number);
  if (has_changed) {
    known.version = index.version(number);
    known.room.cpu_milli = node_->facts.cpu_milli - node_->cpu_used_milli;
    if (leaves) known.room.cpu_milli += compiled.own->cpu_milli;
    known.room.devices.clear();
    known.places.clear();
    for (size_t i = 0; i < node_->devices.size(); ++i) {
      if (TakesNothing(node_->devices[i])) continue;
      known.places.push_back(static_cast<uint16_t>(i));
      known.room.devices.push_back(RoomOf(node_->devices[i], node_->devices[i].used));
    }
    known.content = ContentOf(*node_, known.room);
  }
  if (!has_changed && known.mix == mix) return;
  known.mix = mix;
  known.cheap = measure_.StaticLoss(known.room);
  known.full = -1;
}

double FragmentSearch::FullLossBefore() {
  if (before_->full < 0) before_->full = measure_.Loss(before_->room);
  return before_->full;
}

void FragmentSearch::RoomAfter(const CompiledRequest& compiled, const Fitter& fitter) {
  after_ = before_->room;
  after_.cpu_milli -= compiled.request->cpu_milli;
  for (size_t i = 0; i < before_->places.size(); ++i) {
    const uint16_t device = before_->places[i];
    after_.devices[i] = RoomOf(node_->devices[device], fitter.used(device));
  }
}

void FragmentSearch::RoomWith(const CompiledRequest& compiled, uint16_t device,
                              const DeviceUse& used) {
  after_ = before_->room;
  after_.cpu_milli -= compiled.request->cpu_milli;
  const auto place = std::ranges::find(before_->places, device);
  after_.devices[static_cast<size_t>(place - before_->places.begin())] =
      RoomOf(node_->devices[device], used);
}

double FragmentSearch::CheapCost(double loss_before) {
  return measure_.StaticLoss(after_) - loss_before + Leftover();
}

double FragmentSearch::FullCost(double loss_before) {
  return measure_.Loss(after_) - loss_before + Leftover();
}

double FragmentSearch::Leftover() const {
  const bool was_used = number_ < place_in_use_.size() && place_in_use_[number_] != 0;
  if (!was_used) return measure_.Leftover(after_, 1);
  return measure_.Leftover(
      after_, static_cast<double>(place_in_use_[number_]) / static_cast<double>(known_.size()));
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
  Judged judged{.version = compiled.index->version(node),
                .mix = static_cast<uint16_t>(measure_.mix().version() & kMixBits)};
  // Certain, and cheaper than a walk over the devices.
  const bool is_own = compiled.own != nullptr && compiled.own->node == node;
  if (!is_own && !HasRooms(compiled, node)) return judged;
  Enter(compiled, node);
  const double before = before_->cheap;
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
  Enter(compiled, node);
  const double before = FullLossBefore();
  if (!IsSingle(compiled)) {
    fitter->Fit(node, nullptr);
    RoomAfter(compiled, *fitter);
    return FullCost(before);
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
    const double cost = FullCost(before);
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
    bool is_stale = row == nullptr || judged.version != compiled.index->version(node);
    if (!is_stale && judged.mix != mix && renewed < kRenewedAtOnce) {
      is_stale = true;
      ++renewed;
    }
    if (is_stale) judged = Judge(compiled, node, fitter);
    if (judged.fits) order_.emplace_back(judged.cost, known_[node].content, node);
  }
  uint32_t best = NameIndex::kNone;
  *cost = std::numeric_limits<double>::infinity();
  size_t refined = 0;
  std::pair<float, uint64_t> last(-std::numeric_limits<float>::infinity(), 0);
  uint32_t current = NameIndex::kNone;  // the node of the fitter's picks
  std::ranges::make_heap(order_, std::ranges::greater());
  const size_t most_refined = measure_.IsCheap() ? 1 : kRefined;
  while (!order_.empty() && refined < most_refined) {
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
  Enter(compiled, node);
  const double before = before_->cheap;
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
