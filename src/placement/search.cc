// SPDX-License-Identifier: Apache-2.0
//
// The walk of fit.cc takes for each container what the policy likes best, and may so take the only
// room of a later one. This looks for any distribution of a pod's containers over one node's
// devices, in the order of the policy, up to a bound of steps.

#include <algorithm>

#include "placement/fit.h"

namespace hami::placement {
namespace {

class Search {
 public:
  explicit Search(Fitter* fitter) : fitter_(*fitter), compiled_(fitter->compiled()) {}

  bool Run() { return Place(0, 0); }

 private:
  // Places asks from `number` on. `first` is the first pick of the container.
  bool Place(uint16_t number, size_t first) {
    if (number == compiled_.asks.size()) return true;
    const CompiledAsk& ask = compiled_.asks[number];
    const VendorRange* range = fitter_.node().RangeOf(ask.request->vendor);
    if (range == nullptr) return false;
    return Extend(number, first, fitter_.Ranked(ask), {.device = 0, .choice = 0},
                  static_cast<size_t>(fitter_.RequestOf(ask).count));
  }

  // Where the next device of an ask comes from, so that no set is tried in two orders: the place in
  // the order and, if that one is cut into instances, the first choice there.
  struct From {
    size_t device = 0;
    size_t choice = 0;
  };

  // Gives `missing` more devices to the ask.
  bool Extend(uint16_t number, size_t first, const std::vector<DeviceRank>& order, From from,
              size_t missing) {
    if (missing == 0) return Close(number, first);
    const CompiledAsk& ask = compiled_.asks[number];
    const size_t wanted = static_cast<size_t>(fitter_.RequestOf(ask).count);
    for (size_t place = from.device; place < order.size(); ++place) {
      if (!fitter_.TakeStep()) return false;
      if (compiled_.request->policy.numa_bind && missing < wanted &&
          order[place].numa != order[from_numa_].numa) {
        continue;
      }
      if (place > from.device && Alike(order[place - 1], order[place])) continue;
      const size_t numa_before = from_numa_;
      if (missing == wanted) from_numa_ = place;
      const bool done =
          TryDevice(number, first, order,
                    {.device = place, .choice = place == from.device ? from.choice : 0}, missing);
      from_numa_ = numa_before;
      if (done) return true;
    }
    return false;
  }

  bool TryDevice(uint16_t number, size_t first, const std::vector<DeviceRank>& order, From at,
                 size_t missing) {
    const CompiledAsk& ask = compiled_.asks[number];
    const uint16_t device = order[at.device].device;
    Offer offer = fitter_.Check(ask, device);
    if (offer.reason != Reason::kNone) return false;
    const size_t mark = fitter_.pick_count();
    if (offer.mig.profile == nullptr) {
      fitter_.Take(number, device, offer);
      if (Extend(number, first, order, {.device = at.device + 1, .choice = 0}, missing - 1)) {
        return true;
      }
      fitter_.UndoTo(mark);
      return false;
    }
    const std::vector<MigChoice> choices = fitter_.InstancesFor(ask, device);
    for (size_t k = at.choice; k < choices.size(); ++k) {
      const MigChoice& choice = choices[k];
      if ((MigBits(choice.start, choice.size) & fitter_.mig_taken(device)) != 0) continue;
      offer.mig = choice;
      offer.need.memory_mib = choice.profile->memory_mib;
      offer.need.cores = choice.profile->cores;
      if (!fitter_.HasRoom(ask, device, offer.need)) continue;
      if (!fitter_.TakeStep()) return false;
      fitter_.Take(number, device, offer);
      // The same GPU again, or another.
      if (Extend(number, first, order, {.device = at.device, .choice = k + 1}, missing - 1)) {
        return true;
      }
      fitter_.UndoTo(mark);
    }
    return false;
  }

  // After the last device of an ask.
  bool Close(uint16_t number, size_t first) {
    const CompiledAsk& ask = compiled_.asks[number];
    const auto next = static_cast<uint16_t>(number + 1);
    if (!ask.last_of_container) return Place(next, first);
    const size_t end = fitter_.pick_count();
    if (ask.kind != domain::ContainerKind::kInit) return Place(next, end);
    fitter_.EndInit(first);
    if (Place(next, end)) return true;
    fitter_.ResumeInit(first, end);
    return false;
  }

  // Two devices of which one is as good as the other, whatever comes. Both are of one vendor.
  bool Alike(const DeviceRank& a, const DeviceRank& b) const {
    const NodeState& node = fitter_.node();
    const DeviceState& left = node.devices[a.device];
    const DeviceState& right = node.devices[b.device];
    if (left.mig || right.mig || compiled_.asks_by_id || compiled_.has_rules) return false;
    return left.model == right.model && left.numa == right.numa && left.total == right.total &&
           left.healthy == right.healthy && left.cordoned == right.cordoned &&
           left.fault == right.fault && fitter_.used(a.device) == fitter_.used(b.device);
  }

  Fitter& fitter_;
  const CompiledRequest& compiled_;
  size_t from_numa_ = 0;  // place of the first device of the ask that is being extended
};

}  // namespace

bool SearchFit(Fitter* fitter) {
  const CompiledRequest& compiled = fitter->compiled();
  // Sets are chosen by rules, which know nothing of other containers.
  if (compiled.chooses_sets || fitter->failed_ask() >= compiled.asks.size()) return false;
  const size_t failed = fitter->failed_ask();
  const CompiledAsk& ask = compiled.asks[failed];
  // One ask alone was walked to the end, unless instances or a quota made its devices unequal.
  bool unequal = !compiled.quota.empty();
  const VendorRange* range = fitter->node().RangeOf(ask.request->vendor);
  if (range == nullptr) return false;
  for (uint16_t i = range->begin; i < range->end; ++i) {
    unequal = unequal || fitter->node().devices[i].mig;
  }
  if (failed == 0 && !(unequal && fitter->RequestOf(ask).count > 1)) return false;
  fitter->StartAgain();
  if (failed > 0 && !unequal && !fitter->FitsAlone(static_cast<uint16_t>(failed))) return false;
  if (Search(fitter).Run()) return true;
  fitter->StartAgain();
  return false;
}

}  // namespace hami::placement
