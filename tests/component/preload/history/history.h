// SPDX-License-Identifier: Apache-2.0
//
// A random history of many processes of one share: calls one after the other and at the same time,
// forks, deaths at any moment, newcomers. After every step what is charged is held against what the
// simulated driver has given. Everything follows from the seed, except what really happens at the
// same time.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/component/preload/history/member.h"
#include "tests/component/preload/history/random.h"
#include "tests/component/preload/history/view.h"
#include "tests/component/preload/memory/truth.h"

namespace hami::component {

// How often what happened, so that a test can tell that it tested something.
using Tally = std::map<std::string, uint64_t>;

class History {
 public:
  History(uint64_t seed, Tally* tally);

  // Plays `steps` steps and the end. What went wrong, with seed and calls; "" if nothing did.
  std::string Play(int steps);

 private:
  void Step();
  void Join();
  void OneCall();
  void CallsAtOnce();
  void LookWhileTheyCall();
  void DeathInACall();
  void Death();
  void DeathOfChildren();
  void ForkSomebody();
  void End();

  void Settle();
  void Look();
  void Account(const Call& call, const std::string& answer, const Member& member);
  Excess AllowedExcess() const;
  std::vector<Member*> Living();
  void DropGone();
  void Note(const Member& member, const std::string& what);
  void Fail(const std::string& what);

  uint64_t seed_;
  Tally& tally_;
  Random random_;
  Tenant tenant_;
  DriverView view_;
  std::vector<std::unique_ptr<Member>> members_;
  int joined_ = 0;
  std::vector<std::string> notes_;
  std::string failure_;
};

}  // namespace hami::component
