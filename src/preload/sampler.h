// SPDX-License-Identifier: Apache-2.0
//
// Measuring launches with pairs of driver events. A sampled launch has an event recorded before and
// after it on its stream; later, when both have happened, the interval between them goes to the
// launch's cost (costs.h) and, with several streams, into a window (overlap.h). Nothing here waits:
// what is not finished stays pending.
//
// Our own driver calls are made in relaxed capture mode and never on a stream that is captured.

#pragma once

#include <cstdint>

#include "preload/capture.h"
#include "preload/costs.h"

namespace hami::preload {

struct Sample;

// Begins to measure a launch on `stream`: records the first event. nullptr: not this time.
Sample* BeginSample(Cost* cost, CUstream stream, StreamForm form);

// Records the second event; `launched` false gives the sample up.
void EndSample(Sample* sample, CUstream stream, StreamForm form, bool launched);

struct Harvested {
  uint64_t owed_ns = 0;        // for launches charged before their cost was known, and too little
  bool foreign_slice = false;  // an interval was too long by a neighbour's time slice
  bool is_behind = false;      // what was launched waits longer and longer
};

// Takes in what has finished. `neighbours`: whether other tenants' work can be in an interval.
Harvested HarvestSamples(Neighbours neighbours);

// Whether this launch should be measured although its own cost does not ask for it: launches use
// several streams and a window is due. `several`: the thread has used more than one since it asked
// last. Called in slow paths only.
bool WindowWantsSample(CUstream stream, bool several);

// Measuring would put an event between launches that may overlap on purpose (programmatic dependent
// launch): from now on nothing is sampled in this process.
void StopSampling();
bool IsSamplingStopped();

void ResetSamplerAfterFork();

}  // namespace hami::preload
