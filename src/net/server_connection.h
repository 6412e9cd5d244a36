// SPDX-License-Identifier: Apache-2.0
//
// One connection of the HTTP server: the handshake, requests one after another, the end. It never
// waits: a turn does what can be done now and says what the connection waits for. Between turns it
// belongs to epoll, and whoever epoll wakes has the next turn; what other threads may call is said.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/byte_buffer.h"
#include "net/deadline_timer.h"
#include "net/http_router.h"
#include "net/http_server.h"
#include "net/request_parser.h"
#include "net/transport.h"

namespace hami::net {

// What all connections share.
struct ServerShared {
  const HttpServerOptions options;
  const HttpRouter router;
  std::atomic<bool> stopping{false};
};

class ServerConnection {
 public:
  enum class Next : uint8_t {
    kRead,   // a turn when something comes
    kWrite,  // a turn when something can be sent
    kYield,  // a turn after those of others
    kEnd,
  };

  ServerConnection(std::unique_ptr<Transport> transport, const ServerShared& shared);

  // `spare` is memory of the thread that has the turn: a connection with nothing to read has none.
  Next Turn(ByteBuffer* spare);
  // The owner's last word before epoll may give the connection to another: from here on it has a
  // deadline, which is returned.
  int64_t LetGo();

  int fd() const { return transport_->fd(); }

  // Any thread, while the connection is certainly there.

  // Its next turn is the last one.
  void End();
  // Nothing of a request has come since the last one was answered.
  bool is_idle() const { return is_idle_; }
  // Since when it has waited for its peer's bytes; 0: it works.
  int64_t waiting_since_ns() const { return waiting_since_ns_; }
  // When it has to end if it had no turn until then.
  int64_t deadline_ns() const { return deadline_ns_; }

  // The table's, under its lock.
  size_t place = 0;
  bool is_leaving = false;

 private:
  // Each has a deadline of its own.
  enum class Phase : uint8_t { kGreeting, kIdle, kHeader, kBody, kWriting, kLeaving };
  // What comes when all is sent.
  enum class AfterWriting : uint8_t { kBody, kNextRequest, kGoodbye, kDiscard };

  Next DoTurn();
  void Enter(Phase phase);
  // Nothing: go on.
  std::optional<Next> Greet();
  std::optional<Next> ReadRequest();
  std::optional<Next> Receive();
  std::optional<Next> Write();
  std::optional<Next> Discard();

  void Understand(RequestParser::Step step);
  void Answer();
  void Send(ServerResponse response, bool keep_alive);
  std::optional<Next> EndRequest();
  void BeginWaiting();
  // The phase's deadline, as it was set when the connection first waited in it.
  int64_t Deadline();
  int64_t LimitMs() const;
  static Next WaitFor(Transfer::Outcome outcome);

  const std::unique_ptr<Transport> transport_;
  const ServerShared& shared_;
  RequestParser parser_;

  // Of whoever has the turn.
  Phase phase_ = Phase::kGreeting;
  int64_t phase_deadline_ns_ = 0;  // 0: not set yet
  ByteBuffer received_;
  bool has_news_ = false;  // the parser has not seen all of received_
  int served_ = 0;
  std::string head_;
  std::string body_;
  size_t sent_ = 0;
  size_t discarded_ = 0;
  AfterWriting after_writing_ = AfterWriting::kNextRequest;
  int turns_requests_ = 0;
  int turns_reads_ = 0;
  bool has_all_ = false;  // of what had come when the turn looked

  std::atomic<bool> ended_{false};
  std::atomic<bool> is_idle_{false};
  std::atomic<int64_t> waiting_since_ns_;
  std::atomic<int64_t> deadline_ns_{kNoDeadline};
};

}  // namespace hami::net
