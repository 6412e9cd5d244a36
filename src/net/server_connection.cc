// SPDX-License-Identifier: Apache-2.0

#include "net/server_connection.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "net/response_head.h"

namespace hami::net {
namespace {

constexpr size_t kFirstReadBytes = 16384;
constexpr size_t kMaxReadBytes = 1 << 20;
// What a thread keeps for its next connection.
constexpr size_t kMaxSpareBytes = 512 << 10;
// Then others have their turn.
constexpr int kRequestsATurn = 64;
constexpr int kReadsATurn = 64;
// To see an end through: what is still coming of a request that was refused is taken, because to
// close before that resets the connection, and the peer may lose the answer.
constexpr int64_t kLeaveMs = 1000;
constexpr size_t kMostDiscarded = 64 << 20;
constexpr int64_t kMs = 1'000'000;

constexpr std::string_view kContinue11 = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::string_view kContinue10 = "HTTP/1.0 100 Continue\r\n\r\n";

int64_t NowNs() { return base::SystemClock().MonotonicNs(); }

}  // namespace

ServerConnection::ServerConnection(std::unique_ptr<Transport> transport, const ServerShared& shared)
    : transport_(std::move(transport)),
      shared_(shared),
      parser_({.header_bytes = shared.options.max_header_bytes,
               .body_bytes = shared.options.max_body_bytes}),
      waiting_since_ns_(NowNs()) {
  if (shared.options.tls == nullptr) Enter(Phase::kIdle);
}

void ServerConnection::End() {
  ended_ = true;
  transport_->Cut();
}

ServerConnection::Next ServerConnection::Turn(ByteBuffer* spare) {
  // What the last owner did is to be seen here, whatever epoll says of that.
  deadline_ns_.exchange(kNoDeadline);
  turns_requests_ = 0;
  turns_reads_ = 0;
  has_all_ = false;
  if (received_.capacity() == 0) received_ = std::move(*spare);
  const Next next = ended_ ? Next::kEnd : DoTurn();
  if (received_.empty()) {
    ByteBuffer unused = std::move(received_);
    if (unused.capacity() <= kMaxSpareBytes) *spare = std::move(unused);
  }
  return next;
}

int64_t ServerConnection::LetGo() {
  const int64_t deadline_ns = Deadline();
  deadline_ns_ = deadline_ns;
  return deadline_ns;
}

ServerConnection::Next ServerConnection::DoTurn() {
  for (;;) {
    std::optional<Next> next;
    switch (phase_) {
      case Phase::kGreeting:
        next = Greet();
        break;
      case Phase::kIdle:
      case Phase::kHeader:
      case Phase::kBody:
        next = ReadRequest();
        break;
      case Phase::kWriting:
        next = Write();
        break;
      case Phase::kLeaving:
        next = Discard();
        break;
    }
    if (next) return *next;
  }
}

void ServerConnection::Enter(Phase phase) {
  phase_ = phase;
  phase_deadline_ns_ = 0;
  is_idle_ = phase == Phase::kIdle;
}

int64_t ServerConnection::Deadline() {
  if (phase_deadline_ns_ == 0) phase_deadline_ns_ = NowNs() + LimitMs() * kMs;
  return phase_deadline_ns_;
}

int64_t ServerConnection::LimitMs() const {
  const HttpServerOptions& options = shared_.options;
  switch (phase_) {
    case Phase::kGreeting:
      return options.handshake_timeout_ms;
    case Phase::kIdle:
      return served_ == 0 ? options.header_timeout_ms : options.idle_timeout_ms;
    case Phase::kHeader:
      return options.header_timeout_ms;
    case Phase::kBody:
      return options.body_timeout_ms;
    case Phase::kWriting:
      return options.write_timeout_ms;
    case Phase::kLeaving:
      return kLeaveMs;
  }
  return kLeaveMs;
}

ServerConnection::Next ServerConnection::WaitFor(Transfer::Outcome outcome) {
  switch (outcome) {
    case Transfer::Outcome::kWaitsToRead:
      return Next::kRead;
    case Transfer::Outcome::kWaitsToWrite:
      return Next::kWrite;
    default:
      return Next::kEnd;
  }
}

// --- The handshake ---

std::optional<ServerConnection::Next> ServerConnection::Greet() {
  switch (const Transfer greeted = transport_->Greet(); greeted.outcome) {
    case Transfer::Outcome::kDone:
      Enter(Phase::kIdle);
      return std::nullopt;
    case Transfer::Outcome::kEnded:
      Enter(Phase::kLeaving);
      return std::nullopt;
    default:
      return WaitFor(greeted.outcome);
  }
}

// --- A request ---

std::optional<ServerConnection::Next> ServerConnection::ReadRequest() {
  if (!has_news_) return has_all_ ? std::optional(Next::kRead) : Receive();
  size_t used = 0;
  const RequestParser::Step step = parser_.Put(received_.bytes(), &used);
  received_.Consume(used);
  Understand(step);
  return std::nullopt;
}

std::optional<ServerConnection::Next> ServerConnection::Receive() {
  if (turns_reads_++ == kReadsATurn) return Next::kRead;
  const size_t size = std::clamp(parser_.missing_bytes(), kFirstReadBytes, kMaxReadBytes);
  const Transfer read = transport_->Read(received_.Prepare(size), size);
  if (read.outcome != Transfer::Outcome::kDone) return WaitFor(read.outcome);
  received_.Commit(read.bytes);
  has_news_ = true;
  has_all_ = read.bytes < size && !transport_->HasUnread();
  if (phase_ == Phase::kIdle) Enter(Phase::kHeader);
  return std::nullopt;
}

void ServerConnection::Understand(RequestParser::Step step) {
  switch (step) {
    case RequestParser::Step::kMore:
      has_news_ = false;
      return;
    case RequestParser::Step::kHeaderRead:
      if (!parser_.expects_continue()) return Enter(Phase::kBody);
      head_ = parser_.version() == 10 ? kContinue10 : kContinue11;
      after_writing_ = AfterWriting::kBody;
      return Enter(Phase::kWriting);
    case RequestParser::Step::kWhole:
      return Answer();
    case RequestParser::Step::kRefused:
      Send(PlainResponse(parser_.refusal().status, parser_.refusal().text), /*keep_alive=*/false);
      after_writing_ = AfterWriting::kDiscard;
  }
}

void ServerConnection::Answer() {
  waiting_since_ns_ = 0;
  ++served_;
  const std::string_view target = parser_.target();
  const size_t mark = target.find('?');
  ServerResponse response = shared_.router.Answer({
      .method = parser_.method(),
      .path = target.substr(0, mark),
      .query = mark == std::string_view::npos ? "" : target.substr(mark + 1),
      .body = parser_.body(),
      .header = [this](std::string_view name) { return parser_.Header(name); },
  });
  Send(std::move(response), parser_.keep_alive() && !shared_.stopping);
}

// --- Its answer ---

void ServerConnection::Send(ServerResponse response, bool keep_alive) {
  WriteResponseHead(response, parser_.version(), keep_alive, &head_);
  if (parser_.method() != "HEAD") body_ = std::move(response.body);
  after_writing_ = keep_alive ? AfterWriting::kNextRequest : AfterWriting::kGoodbye;
  Enter(Phase::kWriting);
}

std::optional<ServerConnection::Next> ServerConnection::Write() {
  while (sent_ < head_.size() + body_.size()) {
    const size_t of_head = std::min(sent_, head_.size());
    const Transfer written = transport_->Write(std::string_view(head_).substr(of_head),
                                               std::string_view(body_).substr(sent_ - of_head));
    if (written.outcome != Transfer::Outcome::kDone) return WaitFor(written.outcome);
    sent_ += written.bytes;
  }
  sent_ = 0;
  head_.clear();
  body_ = {};
  switch (after_writing_) {
    case AfterWriting::kBody:
      Enter(Phase::kBody);
      return std::nullopt;
    case AfterWriting::kNextRequest:
      return EndRequest();
    case AfterWriting::kGoodbye:
      transport_->SayGoodbye();
      // Plain text has no goodbye that the peer would answer.
      if (shared_.options.tls == nullptr) return Next::kEnd;
      Enter(Phase::kLeaving);
      return std::nullopt;
    case AfterWriting::kDiscard:
      transport_->SayGoodbye();
      Enter(Phase::kLeaving);
      return std::nullopt;
  }
  return Next::kEnd;
}

std::optional<ServerConnection::Next> ServerConnection::EndRequest() {
  parser_.Reset();
  has_news_ = !received_.empty();
  BeginWaiting();
  Enter(has_news_ ? Phase::kHeader : Phase::kIdle);
  // After it is idle for whoever stops the server: one of the two sees the other.
  if (shared_.stopping) return Next::kEnd;
  if (has_news_) {
    if (++turns_requests_ < kRequestsATurn) return std::nullopt;
    return Next::kYield;
  }
  return transport_->HasUnread() ? std::nullopt : std::optional(Next::kRead);
}

void ServerConnection::BeginWaiting() { waiting_since_ns_ = NowNs(); }

// --- The end ---

std::optional<ServerConnection::Next> ServerConnection::Discard() {
  if (turns_reads_++ == kReadsATurn) return Next::kRead;
  const Transfer read = transport_->Discard();
  if (read.outcome != Transfer::Outcome::kDone) return WaitFor(read.outcome);
  discarded_ += read.bytes;
  if (discarded_ >= kMostDiscarded) return Next::kEnd;
  return std::nullopt;
}

}  // namespace hami::net
