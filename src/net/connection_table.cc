// SPDX-License-Identifier: Apache-2.0

#include "net/connection_table.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/log.h"
#include "net/deadline_timer.h"

namespace hami::net {

void ConnectionTable::Add(std::unique_ptr<ServerConnection> connection) {
  const std::lock_guard lock(mutex_);
  connection->place = connections_.size();
  connections_.push_back(std::move(connection));
}

void ConnectionTable::Remove(ServerConnection* connection) {
  std::unique_ptr<ServerConnection> removed;  // and closed outside the lock
  const std::lock_guard lock(mutex_);
  const size_t place = connection->place;
  removed = std::move(connections_[place]);
  if (place + 1 < connections_.size()) {
    connections_[place] = std::move(connections_.back());
    connections_[place]->place = place;
  }
  connections_.pop_back();
  if (connections_.empty()) none_.notify_all();
}

bool ConnectionTable::MakeRoom(size_t most) {
  const std::lock_guard lock(mutex_);
  if (connections_.size() < most) return true;
  ServerConnection* longest = nullptr;
  size_t staying = 0;
  int64_t since_ns = 0;
  for (const auto& connection : connections_) {
    if (connection->is_leaving) continue;
    ++staying;
    const int64_t its_ns = connection->waiting_since_ns();
    if (its_ns == 0 || (longest != nullptr && its_ns >= since_ns)) continue;
    longest = connection.get();
    since_ns = its_ns;
  }
  if (staying < most) return true;
  if (longest == nullptr) return false;
  LOG_WARN_EVERY(30'000, "the HTTP server is full: who waited longest was sent away",
                 Field("connections", staying));
  longest->is_leaving = true;
  longest->End();
  return true;
}

int64_t ConnectionTable::EndOverdue(int64_t now_ns) {
  const std::lock_guard lock(mutex_);
  int64_t next_ns = kNoDeadline;
  for (const auto& connection : connections_) {
    const int64_t deadline_ns = connection->deadline_ns();
    if (deadline_ns <= now_ns) {
      connection->End();
    } else {
      next_ns = std::min(next_ns, deadline_ns);
    }
  }
  return next_ns;
}

void ConnectionTable::EndIdle() {
  const std::lock_guard lock(mutex_);
  for (const auto& connection : connections_) {
    if (connection->is_idle()) connection->End();
  }
}

void ConnectionTable::EndAll() {
  const std::lock_guard lock(mutex_);
  for (const auto& connection : connections_) connection->End();
}

void ConnectionTable::AwaitNone(int64_t timeout_ms) {
  std::unique_lock lock(mutex_);
  none_.wait_for(lock, std::chrono::milliseconds(timeout_ms),
                 [this] { return connections_.empty(); });
}

void ConnectionTable::AwaitNone() {
  std::unique_lock lock(mutex_);
  none_.wait(lock, [this] { return connections_.empty(); });
}

}  // namespace hami::net
