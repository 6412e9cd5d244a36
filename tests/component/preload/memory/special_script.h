// SPDX-License-Identifier: Apache-2.0
//
// A running special.cc, whose every line is followed by a look at what is charged and what the
// simulated driver has given.

#pragma once

#include <string>

#include "api/cuda/types.h"
#include "tests/component/harness.h"
#include "tests/component/preload/memory/truth.h"

namespace hami::component {

class SpecialScript {
 public:
  explicit SpecialScript(const std::string& memory = "4Gi", const std::string& profile = "a10-550",
                         uint64_t context_bytes = kContextBytes);

  // Says the line. What is wrong with the answer, or with what is charged and given afterwards; ""
  // if nothing is.
  std::string Wrong(const std::string& line, const std::string& answer, uint64_t bytes);
  // The same for "ok", with these bytes beside the primary context.
  std::string Step(const std::string& line, uint64_t bytes) {
    return Wrong(line, "ok", context_bytes_ + bytes);
  }
  std::string Fails(const std::string& line, CUresult error, uint64_t bytes) {
    return Wrong(line, "error " + std::to_string(static_cast<int>(error)), context_bytes_ + bytes);
  }
  std::string Answer(const std::string& line) { return Ask(running_, line); }
  void Kill() { running_.Kill(); }
  const Tenant& tenant() const { return tenant_; }

 private:
  uint64_t context_bytes_;
  Tenant tenant_;
  Running running_;
};

}  // namespace hami::component
