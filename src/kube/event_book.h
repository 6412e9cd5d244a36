// SPDX-License-Identifier: Apache-2.0
//
// Which events are worth a request. The same words about the same object are one Event whose count
// grows, written at most once per kUpdateEveryMs; an object about which too much is said is left
// alone for a while. Pure; one thread.

#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <unordered_map>
#include <vector>

#include "kube/object.h"

namespace hami::kube {

// What an event is about. The namespace is empty for objects of the cluster.
struct EventSubject {
  std::string api_version;
  std::string kind;
  ObjectKey key;
  std::string uid;
};

struct EventWords {
  bool is_warning = false;
  std::string reason;   // "PrepareFailed"
  std::string message;  // a sentence for a person
};

class EventBook {
 public:
  static constexpr int64_t kUpdateEveryMs = 10'000;
  static constexpr int64_t kForgetMs = 600'000;  // words that come later are a new Event
  static constexpr size_t kMaxLines = 4096;      // the oldest is forgotten for a new one
  static constexpr int kMaxSkipped = 16;         // of those that cannot be forgotten yet
  // For each object: so many Events at once, and one more every kBurstRefillMs.
  static constexpr int kBurst = 25;
  static constexpr int64_t kBurstRefillMs = 300'000;

  using LineId = uint64_t;

  // One Event, as far as it is known.
  struct Line {
    LineId id;
    EventSubject subject;
    EventWords words;
    std::string event_name;  // empty: not created yet
    int64_t count = 0;       // said
    int64_t sent_count = 0;  // the API server knows
    int64_t first_wall_ns = 0;
    int64_t last_wall_ns = 0;
    int64_t last_sent_ms = 0;  // monotonic, like last_said_ms
    int64_t last_said_ms = 0;
    bool in_flight = false;
    bool waits = false;  // somebody will ask Due
  };

  enum class Verdict : uint8_t {
    kSend,     // now
    kLater,    // `in_ms` from now, ask Due
    kCounted,  // it goes with what is under way or waits already
    kDropped,  // too much about this object
  };
  struct Decision {
    Verdict verdict;
    LineId line = 0;
    int64_t in_ms = 0;
  };

  Decision Note(const EventSubject& subject, const EventWords& words, int64_t now_ms,
                int64_t wall_ns);

  // For a line that waited: kSend, or kCounted if there is nothing to send any more.
  Decision Due(LineId line);

  // A line to send after kSend; it is under way until End.
  const Line& Begin(LineId line, int64_t now_ms);
  // What became of it. `event_name` is what it is called now; empty: it is not there, and the next
  // words create it anew. `sent` of its count are known to the server.
  Decision End(LineId line, const std::string& event_name, int64_t sent, int64_t now_ms);

  const Line& At(LineId line) const { return *by_id_.at(line); }
  // A line of kSend that will be sent later: somebody will ask Due.
  void Hold(LineId line) { by_id_.at(line)->waits = true; }

  // Lines that wait, to be sent before their time.
  std::vector<LineId> Waiting() const;

  size_t size() const { return lines_.size(); }

 private:
  struct Budget {
    int left = kBurst;
    int64_t refilled_ms = 0;
  };
  using Lines = std::list<Line>;  // the longest unheard first

  void Forget(int64_t now_ms);
  bool Spend(const std::string& uid, int64_t now_ms);
  static Decision Decide(Line& line, int64_t now_ms);

  Lines lines_;
  std::unordered_map<std::string, Lines::iterator> by_words_;
  std::unordered_map<LineId, Lines::iterator> by_id_;
  std::unordered_map<std::string, Budget> budgets_;
  size_t sweep_at_ = kMaxLines;  // so many budgets
  LineId last_id_ = 0;
};

}  // namespace hami::kube
