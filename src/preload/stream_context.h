// SPDX-License-Identifier: Apache-2.0
//
// The context that a stream belongs to. A graph, and a launch on several devices at once, may be
// given streams of another context than the current one: what it costs is charged where it runs.

#pragma once

#include "api/cuda/types.h"

namespace hami::preload {

// Makes the stream's context the current one, if it is not, until the end of the scope.
class InContextOf {
 public:
  explicit InContextOf(CUstream stream);
  ~InContextOf();
  InContextOf(const InContextOf&) = delete;
  InContextOf& operator=(const InContextOf&) = delete;

  CUcontext context() const { return context_; }  // nullptr: there is none

 private:
  CUcontext context_ = nullptr;
  bool pushed_ = false;
};

}  // namespace hami::preload
