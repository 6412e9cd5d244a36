// SPDX-License-Identifier: Apache-2.0

#include "tests/component/preload/history/history.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "tests/component/preload/history/verdict.h"

namespace hami::component {
namespace {

constexpr char kLimit[] = "2Gi";
constexpr size_t kMostMembers = 5;
constexpr size_t kMostChildren = 2;

// Gives nothing back: only makes the product look at what the pools still hold.
const Call kLookAtPools = {.verb = "trim", .bytes = uint64_t{1} << 50};

}  // namespace

History::History(uint64_t seed, Tally* tally)
    : seed_(seed), tally_(*tally), random_(seed), tenant_(kLimit), view_(tenant_.simulation) {}

std::string History::Play(int steps) {
  Join();
  Join();
  for (int step = 0; step < steps && failure_.empty(); ++step) {
    Step();
    Look();
    if (random_.OneIn(10)) Settle();
  }
  if (failure_.empty()) Settle();
  if (failure_.empty()) End();
  ++tally_["histories"];
  return failure_;
}

void History::Step() {
  const uint64_t choice = random_.Below(100);
  if (Living().size() < 2 || (choice < 4 && Living().size() < kMostMembers)) return Join();
  if (choice < 62) return OneCall();
  if (choice < 84) return CallsAtOnce();
  if (choice < 89) return DeathInACall();
  if (choice < 93) return Death();
  if (choice < 96) return DeathOfChildren();
  ForkSomebody();
}

void History::Join() {
  members_.push_back(
      std::make_unique<Member>(tenant_.StartScript(), "P" + std::to_string(++joined_)));
  Member& member = *members_.back();
  Note(member, "joins");
  ++tally_["joins"];
  if (member.Ask("init") != "ok") Fail("cuInit");
}

void History::OneCall() {
  const std::vector<Member*> living = Living();
  Member& member = *random_.Of(living);
  const Call call = member.holdings().ChooseCall(random_, tenant_.limit_bytes);
  const std::string answer = member.Do(call);
  Account(call, answer, member);
}

// Several processes inside the library at the same moment.
void History::CallsAtOnce() {
  std::vector<std::pair<Member*, Call>> calls;
  bool pooled = false;
  for (Member* member : Living()) {
    calls.emplace_back(member, member->holdings().ChooseCall(random_, tenant_.limit_bytes));
    pooled = pooled || calls.back().second.verb == "async";
  }
  for (auto& [member, call] : calls) member->Begin(call);
  // Near the limit a pool may grow by a step for a moment before it is undone (preload/pools.cc).
  if (!pooled) LookWhileTheyCall();
  for (auto& [member, call] : calls) Account(call, member->Finish(), *member);
  ++tally_["bursts"];
}

// All are stopped wherever they are just then, and both sides compared.
void History::LookWhileTheyCall() {
  usleep(static_cast<useconds_t>(random_.Below(60)));
  const std::vector<Member*> living = Living();
  for (Member* member : living) StopAndWait(member->pid());
  const Figures figures = {
      .truth = view_.UsedBytes(), .charged = tenant_.Charged(), .limit = tenant_.limit_bytes};
  for (Member* member : living) kill(member->pid(), SIGCONT);
  if (const std::string wrong = JudgeAlways(figures); !wrong.empty()) Fail(wrong);
  ++tally_["looks in the middle"];
}

void History::DeathInACall() {
  const std::vector<Member*> living = Living();
  Member& member = *random_.Of(living);
  const Call call = member.holdings().ChooseCall(random_, tenant_.limit_bytes);
  member.Begin(call);
  usleep(static_cast<useconds_t>(random_.Below(80)));
  member.Kill();
  Note(member, call.Line() + " and is killed in it");
  ++tally_[member.child_count() > 0 ? "parents killed in a call" : "killed in a call"];
}

void History::Death() {
  const std::vector<Member*> living = Living();
  Member& member = *random_.Of(living);
  // What pools gave back unasked is noticed at the next look, and a dead parent takes none: its
  // child would keep too much. That is not a leak, and is kept out here to be able to be exact.
  if (member.child_count() > 0) member.Do(kLookAtPools);
  member.Kill();
  Note(member, "is killed");
  ++tally_[member.child_count() > 0 ? "parents killed" : "killed"];
}

void History::DeathOfChildren() {
  for (const auto& member : members_) {
    if (member->child_count() == 0) continue;
    if (random_.OneIn(2)) continue;
    member->KillChildren();
    Note(*member, "loses its children");
    ++tally_["children killed"];
    return;
  }
}

void History::ForkSomebody() {
  const std::vector<Member*> living = Living();
  Member& member = *random_.Of(living);
  if (member.child_count() >= kMostChildren) return;
  if (!member.Fork()) return Fail("the script is gone");
  Note(member, "forks");
  ++tally_["forks"];
}

// A fresh process among the dead: its own context and nothing else.
void History::End() {
  for (const auto& member : members_) {
    if (!member->is_dead()) member->Kill();
    member->KillChildren();
  }
  DropGone();
  Join();
  Member& last = *members_.back();
  const std::string answer = last.Do({.verb = "retain"});
  last.Ask("info");
  if (answer != "ok") return Fail("the last process gets no context: " + answer);
  const Figures figures = {tenant_.Truth(), tenant_.Charged(), TotalBytes(tenant_.share),
                           tenant_.limit_bytes};
  std::string wrong = JudgeSettled(figures, {});
  if (wrong.empty() && figures.truth != kContextBytes) wrong = "the truth is not one context";
  if (!wrong.empty()) Fail("at the end " + wrong);
}

// Everybody looks at what the driver still holds, one reaps the dead, and then it must be exact.
void History::Settle() {
  DropGone();
  bool reaped = false;
  for (Member* member : Living()) {
    member->Do(kLookAtPools);
    if (!member->holdings().has_context()) continue;
    const std::string answer = member->Ask("info");
    reaped = reaped || answer.find(' ') != std::string::npos;
  }
  Figures figures = {tenant_.Truth(), tenant_.Charged(), TotalBytes(tenant_.share),
                     tenant_.limit_bytes};
  // Nobody has a context: nobody looks at the limit, and what the dead left disturbs nobody.
  if (!reaped) figures.total = figures.charged;
  const std::string wrong = JudgeSettled(figures, AllowedExcess());
  if (!wrong.empty()) Fail("settled: " + wrong);
  ++tally_["settled"];
}

void History::Look() {
  if (!failure_.empty()) return;
  const Figures figures = {tenant_.Truth(), tenant_.Charged(), TotalBytes(tenant_.share),
                           tenant_.limit_bytes};
  const std::string wrong = JudgeQuiet(figures, AllowedExcess());
  if (!wrong.empty()) Fail(wrong);
  ++tally_["looks"];
}

void History::Account(const Call& call, const std::string& answer, const Member& member) {
  Note(member, call.Line() + " -> " + answer);
  ++tally_["calls"];
  ++tally_[call.verb + (answer == "ok" ? " ok" : " refused")];
  if (answer != "ok" && !answer.starts_with("error ")) Fail("the script says: " + answer);
}

Excess History::AllowedExcess() const {
  Excess excess;
  for (const auto& member : members_) excess.Add(member->AllowedExcess());
  return excess;
}

std::vector<Member*> History::Living() {
  std::vector<Member*> living;
  for (const auto& member : members_) {
    if (!member->is_dead()) living.push_back(member.get());
  }
  return living;
}

void History::DropGone() {
  std::erase_if(members_, [](const auto& member) { return member->IsGone(); });
}

void History::Note(const Member& member, const std::string& what) {
  notes_.push_back(member.name() + " " + what);
}

void History::Fail(const std::string& what) {
  if (!failure_.empty()) return;
  failure_ = "HAMI_HISTORY_SEED=" + std::to_string(seed_) + ": " + what + "\n";
  for (const std::string& note : notes_) failure_ += "  " + note + "\n";
}

}  // namespace hami::component
