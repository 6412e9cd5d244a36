// SPDX-License-Identifier: Apache-2.0
//
// Stream capture. While a stream is captured, a launch or allocation on it makes a graph node and
// costs nothing. To know without asking the driver at every launch, the captures that are going on
// are counted; only while there are any is the stream itself asked.

#pragma once

#include <atomic>
#include <cstdint>

#include "api/cuda/types.h"
#include "preload/launch_words.h"

namespace hami::preload {

// Which default stream a NULL stream stands for.
enum class StreamForm : uint8_t { kLegacy, kPerThread };

bool IsCapturingSlow(CUstream stream, StreamForm form);

inline bool IsCapturing(CUstream stream, StreamForm form) {
  return launch_words.active_captures.load(std::memory_order_relaxed) > 0 &&
         IsCapturingSlow(stream, form);
}

// Makes our own driver calls legal while some other stream is captured in global mode: relaxed mode
// for the calling thread (cuThreadExchangeStreamCaptureMode), the former one at the end.
class RelaxedCapture {
 public:
  RelaxedCapture();
  ~RelaxedCapture();
  RelaxedCapture(const RelaxedCapture&) = delete;
  RelaxedCapture& operator=(const RelaxedCapture&) = delete;

 private:
  CUstreamCaptureMode mode_ = CU_STREAM_CAPTURE_MODE_RELAXED;
};

}  // namespace hami::preload
