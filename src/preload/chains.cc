// SPDX-License-Identifier: Apache-2.0

#include "preload/chains.h"

#include "preload/driver.h"
#include "preload/lock.h"
#include "region/os.h"

namespace hami::preload {
namespace {

constexpr int kMostKinds = 32;
constexpr uint64_t kChainEveryNs = 20'000'000;
// A launch that was never measured counts as much as it was charged.
constexpr uint64_t kUnknownNs = 20'000;

struct Kind {
  Cost* cost;
  uint32_t launches;
};

struct Chain {
  bool open = false;
  int thread = 0;
  CUstream stream = nullptr;
  StreamForm form = StreamForm::kLegacy;
  uint64_t began_ns = 0;
  int kinds = 0;
  Kind kind[kMostKinds] = {};
};

// One chain at a time. The lock guards everything below.
constinit SpinLock chain_lock;
constinit Chain chain = {};
constinit uint64_t next_chain_ns = 0;

bool IsMine(CUstream stream, StreamForm form) {
  return chain.open && chain.stream == stream && chain.form == form &&
         chain.thread == os::ThreadId();
}

bool IsIdle(CUstream stream, StreamForm form) {
  const RelaxedCapture relaxed;
  const CUresult result =
      form == StreamForm::kPerThread ? cuda.cuStreamQuery_ptsz(stream) : cuda.cuStreamQuery(stream);
  return result == CUDA_SUCCESS;
}

uint64_t WeightOf(const Cost& cost) {
  const uint64_t known_ns = cost.cost_ns.load(std::memory_order_relaxed);
  return known_ns != 0 ? known_ns : kUnknownNs;
}

// The lock is held.
void Close(uint64_t now_ns) {
  uint64_t sum_ns = 0;
  for (int i = 0; i < chain.kinds; ++i) {
    sum_ns += WeightOf(*chain.kind[i].cost) * chain.kind[i].launches;
  }
  const uint64_t took_ns = now_ns - chain.began_ns;
  for (int i = 0; i < chain.kinds; ++i) {
    Cost& cost = *chain.kind[i].cost;
    cost.pending.fetch_sub(static_cast<int32_t>(chain.kind[i].launches), std::memory_order_relaxed);
    const auto part_ns =
        static_cast<uint64_t>(static_cast<unsigned __int128>(took_ns) * WeightOf(cost) / sum_ns);
    // It may contain what this thread did in between, so the shorter ones are right.
    AddCostSample(cost, part_ns, Neighbours::kUnknown, /*is_exact=*/false);
  }
  next_chain_ns = now_ns + kChainEveryNs;
  chain.open = false;
}

// The lock is held.
void Abandon() {
  for (int i = 0; i < chain.kinds; ++i) {
    chain.kind[i].cost->pending.fetch_sub(static_cast<int32_t>(chain.kind[i].launches),
                                          std::memory_order_relaxed);
  }
  chain.open = false;
}

// False: too many kinds. The lock is held.
bool Add(Cost& cost) {
  int at = 0;
  while (at < chain.kinds && chain.kind[at].cost != &cost) ++at;
  if (at == kMostKinds) return false;
  if (at == chain.kinds) chain.kind[chain.kinds++] = {&cost, 0};
  ++chain.kind[at].launches;
  cost.pending.fetch_add(1, std::memory_order_relaxed);
  return true;
}

}  // namespace

bool HasChain(CUstream stream, StreamForm form) {
  const SpinLock::Holder holder(chain_lock);
  return IsMine(stream, form);
}

void LookAtChain(CUstream stream, StreamForm form) {
  const SpinLock::Holder holder(chain_lock);
  if (IsMine(stream, form) && IsIdle(stream, form)) Close(os::NowNs());
}

void JoinChain(Cost& cost, CUstream stream, StreamForm form) {
  constexpr uint64_t kLongestNs = 2'000'000'000;
  const SpinLock::Holder holder(chain_lock);
  const uint64_t now_ns = os::NowNs();
  if (chain.open && now_ns - chain.began_ns > kLongestNs) Abandon();
  if (chain.open) {
    if (IsMine(stream, form) && !Add(cost)) Abandon();
    return;
  }
  const bool is_due = now_ns >= next_chain_ns || cost.cost_ns.load(std::memory_order_relaxed) == 0;
  if (!is_due || !IsIdle(stream, form)) return;
  chain = {
      .open = true, .thread = os::ThreadId(), .stream = stream, .form = form, .began_ns = now_ns};
  Add(cost);
}

void ResetChainsAfterFork() {
  chain_lock.ResetAfterFork();
  chain = {};
  next_chain_ns = 0;
}

}  // namespace hami::preload
