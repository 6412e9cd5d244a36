// SPDX-License-Identifier: Apache-2.0

#include "tests/component/preload/history/verdict.h"

namespace hami::component {
namespace {

std::string Say(const std::string& what, const Figures& figures) {
  return what + ": truth " + std::to_string(figures.truth) + ", charged " +
         std::to_string(figures.charged) + ", total " + std::to_string(figures.total) + ", limit " +
         std::to_string(figures.limit);
}

}  // namespace

std::string JudgeAlways(const Figures& figures) {
  if (figures.charged < figures.truth) return Say("refunded early", figures);
  if (figures.truth > figures.limit) return Say("given beyond the limit", figures);
  return "";
}

std::string JudgeQuiet(const Figures& figures, const Excess& excess) {
  if (figures.charged < figures.truth + excess.least) return Say("charged too little", figures);
  if (figures.total < figures.truth) return Say("the total is too small", figures);
  if (excess.torn) return JudgeAlways(figures);
  if (figures.total < figures.charged) return Say("the total is too small", figures);
  if (figures.total > figures.limit) return Say("charged beyond the limit", figures);
  return JudgeAlways(figures);
}

std::string JudgeSettled(const Figures& figures, const Excess& excess) {
  if (excess.torn) return JudgeQuiet(figures, excess);
  if (figures.charged > figures.truth + excess.most) return Say("leaked", figures);
  if (figures.total != figures.charged) return Say("the dead are still charged", figures);
  return JudgeQuiet(figures, excess);
}

}  // namespace hami::component
