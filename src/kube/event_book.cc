// SPDX-License-Identifier: Apache-2.0

#include "kube/event_book.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"

namespace hami::kube {
namespace {

std::string KeyOf(const EventSubject& subject, const EventWords& words) {
  std::string key;
  for (const std::string* part : {&subject.kind, &subject.key.name_space, &subject.key.name,
                                  &subject.uid, &words.reason, &words.message}) {
    key += *part;
    key += '\0';
  }
  key += words.is_warning ? 'w' : 'n';
  return key;
}

std::string BudgetKeyOf(const EventSubject& subject) {
  return subject.uid.empty() ? subject.kind + "/" + subject.key.Text() : subject.uid;
}

}  // namespace

// What is under way stays, whatever its age: End comes for it.
void EventBook::Forget(int64_t now_ms) {
  int skipped = 0;
  for (auto line = lines_.begin(); line != lines_.end();) {
    const bool is_old = now_ms - line->last_said_ms > kForgetMs;
    if (!is_old && lines_.size() < kMaxLines) break;
    if (line->in_flight || line->waits) {
      if (++skipped > kMaxSkipped) break;
      ++line;
      continue;
    }
    by_words_.erase(KeyOf(line->subject, line->words));
    by_id_.erase(line->id);
    line = lines_.erase(line);
  }
  if (budgets_.size() < sweep_at_) return;
  std::erase_if(budgets_, [now_ms](const auto& entry) {
    return now_ms - entry.second.refilled_ms > kBurst * kBurstRefillMs;
  });
  if (budgets_.size() >= 2 * kMaxLines) budgets_.clear();
  // Not each time: a look at all of them is worth it once as many more are there.
  sweep_at_ = std::max(kMaxLines, std::min(2 * budgets_.size(), 2 * kMaxLines));
}

bool EventBook::Spend(const std::string& uid, int64_t now_ms) {
  const auto [entry, is_new] = budgets_.try_emplace(uid);
  Budget& budget = entry->second;
  if (is_new) budget.refilled_ms = now_ms;
  const int64_t refills = (now_ms - budget.refilled_ms) / kBurstRefillMs;
  budget.refilled_ms += refills * kBurstRefillMs;
  budget.left = static_cast<int>(std::min<int64_t>(kBurst, budget.left + refills));
  if (budget.left == 0) return false;
  --budget.left;
  return true;
}

EventBook::Decision EventBook::Decide(Line& line, int64_t now_ms) {
  if (line.in_flight || line.waits || line.count == line.sent_count) {
    return {Verdict::kCounted, line.id};
  }
  const int64_t due_ms = line.last_sent_ms + kUpdateEveryMs;
  if (line.event_name.empty() || due_ms <= now_ms) return {Verdict::kSend, line.id};
  line.waits = true;
  return {Verdict::kLater, line.id, due_ms - now_ms};
}

EventBook::Decision EventBook::Note(const EventSubject& subject, const EventWords& words,
                                    int64_t now_ms, int64_t wall_ns) {
  Forget(now_ms);
  const std::string key = KeyOf(subject, words);
  auto found = by_words_.find(key);
  if (found == by_words_.end()) {
    if (!Spend(BudgetKeyOf(subject), now_ms)) return {Verdict::kDropped};
    lines_.push_back({.id = ++last_id_,
                      .subject = subject,
                      .words = words,
                      .event_name = {},
                      .first_wall_ns = wall_ns});
    found = by_words_.emplace(key, std::prev(lines_.end())).first;
    by_id_.emplace(last_id_, found->second);
  }
  lines_.splice(lines_.end(), lines_, found->second);
  Line& line = *found->second;
  ++line.count;
  line.last_wall_ns = wall_ns;
  line.last_said_ms = now_ms;
  return Decide(line, now_ms);
}

EventBook::Decision EventBook::Due(LineId id) {
  Line& line = *by_id_.at(id);
  line.waits = false;
  const bool sends = !line.in_flight && line.count > line.sent_count;
  return {sends ? Verdict::kSend : Verdict::kCounted, id};
}

const EventBook::Line& EventBook::Begin(LineId id, int64_t now_ms) {
  Line& line = *by_id_.at(id);
  CHECK(!line.in_flight);
  line.in_flight = true;
  line.last_sent_ms = now_ms;
  return line;
}

EventBook::Decision EventBook::End(LineId id, const std::string& event_name, int64_t sent,
                                   int64_t now_ms) {
  Line& line = *by_id_.at(id);
  line.in_flight = false;
  line.event_name = event_name;
  line.sent_count = sent;
  return Decide(line, now_ms);
}

std::vector<EventBook::LineId> EventBook::Waiting() const {
  std::vector<LineId> waiting;
  for (const Line& line : lines_) {
    if (line.waits) waiting.push_back(line.id);
  }
  return waiting;
}

}  // namespace hami::kube
