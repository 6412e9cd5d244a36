// SPDX-License-Identifier: Apache-2.0

#include "preload/sampler.h"

#include <atomic>

#include "preload/driver.h"
#include "preload/lock.h"
#include "preload/overlap.h"
#include "preload/rate.h"
#include "preload/stream_context.h"
#include "region/os.h"

namespace hami::preload {

enum class SampleState : uint8_t {
  kUnused,     // no events
  kIdle,       // events, ready for a launch in their context
  kRecording,  // between BeginSample and EndSample
  kPending,    // waiting for the GPU
  kHeld,       // finished; its begin is the anchor of the open window
};

struct Sample {
  SampleState state = SampleState::kUnused;
  int window_place = -1;
  uint32_t window_serial = 0;
  CUcontext context = nullptr;
  CUevent begin = nullptr;
  CUevent end = nullptr;
  Cost* cost = nullptr;
  uint64_t begun_ns = 0;  // when the first event had been recorded
  uint64_t gap_ns = 0;    // of the interval: the device waited for our launch
  uint64_t tail_ns = 0;   // from the launch until the second event had been recorded
  uint64_t launched_ns = 0;
  bool queued = false;  // the device was busy with earlier work all that time
};

namespace {

constexpr int kSamples = 96;

// Guards everything below. Held across cuEventQuery and the like, never across a launch.
constinit SpinLock samples_lock;
constinit Sample samples[kSamples] = {};
constinit OverlapWindow window;
constinit Sample* anchor = nullptr;  // of the open window

// The shortest time from a launch to when its end was seen, of this period and of the one before.
constexpr uint64_t kLagPeriodNs = 10'000'000;
constinit uint64_t lag_period = 0;
constinit uint64_t least_lag_ns[2] = {UINT64_MAX, UINT64_MAX};

constinit std::atomic<int> pending_count = 0;
constinit std::atomic<bool> stopped = false;

bool MakeEvents(Sample& sample, CUcontext context) {
  if (cuda.cuEventCreate(&sample.begin, CU_EVENT_DEFAULT) != CUDA_SUCCESS) return false;
  if (cuda.cuEventCreate(&sample.end, CU_EVENT_DEFAULT) != CUDA_SUCCESS) {
    cuda.cuEventDestroy_v2(sample.begin);
    return false;
  }
  sample.context = context;
  return true;
}

// An idle sample of this context, else a new one, else one of another context. The lock is held.
Sample* TakeSample(CUcontext context) {
  Sample* vacant = nullptr;
  Sample* foreign = nullptr;
  for (Sample& sample : samples) {
    if (sample.state == SampleState::kIdle && sample.context == context) return &sample;
    if (sample.state == SampleState::kUnused && vacant == nullptr) vacant = &sample;
    if (sample.state == SampleState::kIdle && foreign == nullptr) foreign = &sample;
  }
  if (vacant == nullptr && foreign != nullptr) {
    // If its context is gone its events are too, and the driver refuses; nothing is lost.
    cuda.cuEventDestroy_v2(foreign->begin);
    cuda.cuEventDestroy_v2(foreign->end);
    foreign->state = SampleState::kUnused;
    vacant = foreign;
  }
  return vacant != nullptr && MakeEvents(*vacant, context) ? vacant : nullptr;
}

void Record(CUevent event, CUstream stream, StreamForm form) {
  if (form == StreamForm::kPerThread) {
    cuda.cuEventRecord_ptsz(event, stream);
  } else {
    cuda.cuEventRecord(event, stream);
  }
}

bool ElapsedNs(CUevent from, CUevent to, uint64_t* ns) {
  float milliseconds = 0;
  if (cuda.cuEventElapsedTime(&milliseconds, from, to) != CUDA_SUCCESS) return false;
  *ns = milliseconds > 0 ? static_cast<uint64_t>(static_cast<double>(milliseconds) * 1e6) : 0;
  return true;
}

void ReleaseAnchor() {
  if (anchor != nullptr && anchor->state == SampleState::kHeld) anchor->state = SampleState::kIdle;
  anchor = nullptr;
}

void GiveUpWindow() {
  ReleaseAnchor();
  window.GiveUp();
}

bool IsInOpenWindow(const Sample& sample) {
  return sample.window_place >= 0 && sample.window_serial == window.serial();
}

// The sample has finished. Hands its interval to the window. The lock is held.
void FinishInWindow(Sample& sample) {
  Interval interval = {};
  if (anchor == nullptr || !ElapsedNs(anchor->begin, sample.begin, &interval.begin_ns) ||
      !ElapsedNs(anchor->begin, sample.end, &interval.end_ns)) {
    GiveUpWindow();
    return;
  }
  interval.charged_ns = sample.cost->cost_ns.load(std::memory_order_relaxed);
  if (window.Finish(interval)) ReleaseAnchor();
}

// Whether the interval is that of the launch alone, and not of how fast this thread gave the device
// the launch and the events around it.
bool IsExact(const Sample& sample, uint64_t work_ns) {
  return sample.queued || (work_ns > 2 * sample.tail_ns && work_ns > 8 * sample.gap_ns);
}

// Notes how long a finished launch was under way. The lock is held.
void NoteLag(uint64_t lag_ns, uint64_t now_ns) {
  const uint64_t period = now_ns / kLagPeriodNs;
  if (period != lag_period) {
    least_lag_ns[1] = period == lag_period + 1 ? least_lag_ns[0] : UINT64_MAX;
    least_lag_ns[0] = UINT64_MAX;
    lag_period = period;
  }
  if (lag_ns < least_lag_ns[0]) least_lag_ns[0] = lag_ns;
}

// Whether a launch that has not finished is under way for much longer than those before it, and
// than what may be queued in a burst. The lock is held.
bool IsBehind(const Sample& sample, uint64_t now_ns) {
  constexpr uint64_t kSlackNs = 2'000'000;
  const uint64_t known_ns = sample.cost->cost_ns.load(std::memory_order_relaxed);
  const uint64_t age_ns = now_ns - sample.launched_ns;
  const uint64_t least_ns = least_lag_ns[0] < least_lag_ns[1] ? least_lag_ns[0] : least_lag_ns[1];
  return known_ns != 0 && least_ns != UINT64_MAX && age_ns > least_ns + kSlackNs &&
         age_ns > SavedNs(true) + known_ns + kSlackNs;
}

// Takes a pending sample in, if it has finished. The lock is held.
void Harvest(Sample& sample, Neighbours neighbours, Harvested* harvested) {
  const CUresult result = cuda.cuEventQuery(sample.end);
  const uint64_t now_ns = os::NowNs();
  if (result == CUDA_ERROR_NOT_READY) {
    harvested->is_behind = harvested->is_behind || IsBehind(sample, now_ns);
    return;
  }
  NoteLag(now_ns - sample.launched_ns, now_ns);
  sample.cost->pending.fetch_sub(1, std::memory_order_relaxed);
  pending_count.fetch_sub(1, std::memory_order_relaxed);
  uint64_t interval_ns = 0;
  const bool in_window = IsInOpenWindow(sample);
  if (result != CUDA_SUCCESS || !ElapsedNs(sample.begin, sample.end, &interval_ns)) {
    sample.state = SampleState::kUnused;  // the context is gone, and the events with it
    if (in_window) GiveUpWindow();
    return;
  }
  const uint64_t work_ns = interval_ns > sample.gap_ns ? interval_ns - sample.gap_ns : 1;
  // Among overlapping launches an interval says nothing about its own launch any more; the windows
  // measure how far what is charged is off, and need something that stands still to measure it by.
  const bool overlaps = in_window || OverlapFactorQ16() != kNoOverlapQ16;
  const uint64_t settled_ns = sample.cost->settled_ns.load(std::memory_order_relaxed);
  if (overlaps && settled_ns != 0) {
    RestCost(*sample.cost);
  } else {
    // The host's word that nobody else is there may be old.
    const bool foreign = ContainsForeignSlice(work_ns, settled_ns);
    harvested->foreign_slice = harvested->foreign_slice || foreign;
    const bool is_old = foreign && neighbours == Neighbours::kIdle;
    const Neighbours believed = is_old ? Neighbours::kUnknown : neighbours;
    harvested->owed_ns += AddCostSample(*sample.cost, work_ns, believed, IsExact(sample, work_ns),
                                        interval_ns - work_ns);
  }
  sample.state = &sample == anchor && in_window ? SampleState::kHeld : SampleState::kIdle;
  if (in_window) FinishInWindow(sample);
}

}  // namespace

Sample* BeginSample(Cost* cost, CUstream stream, StreamForm form) {
  if (stopped.load(std::memory_order_relaxed)) return nullptr;
  const RelaxedCapture relaxed;
  const InContextOf where(stream);
  CUcontext context = where.context();
  if (context == nullptr) return nullptr;
  Sample* sample = nullptr;
  {
    const SpinLock::Holder holder(samples_lock);
    sample = TakeSample(context);
    if (sample == nullptr) return nullptr;
    sample->state = SampleState::kRecording;
    sample->cost = cost;
    sample->window_place = window.Join(os::NowNs());
    sample->window_serial = window.serial();
    if (sample->window_place == 0) {
      ReleaseAnchor();
      anchor = sample;
    }
  }
  Record(sample->begin, stream, form);
  sample->begun_ns = os::NowNs();
  return sample;
}

void EndSample(Sample* sample, CUstream stream, StreamForm form, bool launched) {
  const RelaxedCapture relaxed;
  if (launched) {
    // On a device that had run dry the first event happened at once, and the interval contains the
    // time that this thread took to launch.
    const uint64_t launched_ns = os::NowNs();
    sample->launched_ns = launched_ns;
    const bool was_busy = cuda.cuEventQuery(sample->begin) == CUDA_ERROR_NOT_READY;
    sample->gap_ns = was_busy ? 0 : launched_ns - sample->begun_ns;
    Record(sample->end, stream, form);
    sample->tail_ns = os::NowNs() - launched_ns;
    sample->queued = was_busy && cuda.cuEventQuery(sample->begin) == CUDA_ERROR_NOT_READY;
  }
  const SpinLock::Holder holder(samples_lock);
  if (!launched) {
    if (IsInOpenWindow(*sample)) GiveUpWindow();
    sample->state = SampleState::kIdle;
    return;
  }
  sample->state = SampleState::kPending;
  sample->cost->pending.fetch_add(1, std::memory_order_relaxed);
  pending_count.fetch_add(1, std::memory_order_relaxed);
}

Harvested HarvestSamples(Neighbours neighbours) {
  Harvested harvested;
  if (pending_count.load(std::memory_order_relaxed) == 0) return harvested;
  const RelaxedCapture relaxed;
  const SpinLock::Holder holder(samples_lock);
  for (Sample& sample : samples) {
    if (sample.state == SampleState::kPending) Harvest(sample, neighbours, &harvested);
  }
  return harvested;
}

bool WindowWantsSample(CUstream stream, bool several) {
  if (stopped.load(std::memory_order_relaxed)) return false;
  const SpinLock::Holder holder(samples_lock);
  window.NoteStream(stream, several);
  return window.Wants(os::NowNs());
}

void StopSampling() { stopped.store(true, std::memory_order_relaxed); }
bool IsSamplingStopped() { return stopped.load(std::memory_order_relaxed); }

void ResetSamplerAfterFork() {
  samples_lock.ResetAfterFork();
  for (Sample& sample : samples) sample = Sample{};
  window = OverlapWindow{};
  anchor = nullptr;
  lag_period = 0;
  least_lag_ns[0] = least_lag_ns[1] = UINT64_MAX;
  pending_count.store(0, std::memory_order_relaxed);
  stopped.store(false, std::memory_order_relaxed);
  ResetOverlap();
}

}  // namespace hami::preload
