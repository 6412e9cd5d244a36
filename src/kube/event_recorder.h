// SPDX-License-Identifier: Apache-2.0
//
// Writes v1 Events, which `kubectl describe` shows below an object. Record never waits and never
// fails: what cannot be written is dropped and counted. The same words about the same object are
// one Event with a count (event_book.h). Warnings are written at once; where much is said, the rest
// is written slowly, and faster when no more is said (event_pace.h).
//
// Any thread. Events about objects of the cluster stand in the namespace "default".

#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kube/client.h"
#include "kube/event_book.h"

namespace hami::kube {

struct EventStats {
  uint64_t created = 0;
  uint64_t updated = 0;
  uint64_t dropped = 0;  // words that nobody will read: too many, or the API was away
};

class EventRecorder {
 public:
  // Words that have not reached the I/O thread or the server yet; more are dropped.
  static constexpr int kMaxPending = 1000;
  // Events that are no warnings and wait for their time.
  static constexpr size_t kMaxHeld = 10'000;
  static constexpr size_t kMaxMessageBytes = 1024;

  // `component` is the program, `host` its node. The client outlives the recorder.
  EventRecorder(Client& client, std::string component, std::string host);
  ~EventRecorder();  // what is under way may still be written
  EventRecorder(const EventRecorder&) = delete;
  EventRecorder& operator=(const EventRecorder&) = delete;

  void Record(const EventSubject& subject, EventWords words);

  // Sends what waits and returns when everything is written or lost, or after `timeout_ms`: false.
  // Not from the I/O thread.
  bool Flush(int64_t timeout_ms);

  EventStats stats() const;

 private:
  class Impl;
  const std::shared_ptr<Impl> impl_;  // with calls under way
};

}  // namespace hami::kube
