// SPDX-License-Identifier: Apache-2.0

#include "net/transport.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>

namespace hami::net {
namespace {

constexpr size_t kDiscardedAtOnce = 16384;

// Of what recv or send returned. Nothing received is the end.
Transfer OutcomeOf(ssize_t moved, Transfer::Outcome wait) {
  if (moved > 0) return {.bytes = static_cast<size_t>(moved)};
  const bool waits = moved < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  return {.outcome = waits ? wait : Transfer::Outcome::kEnded};
}

Transfer Receive(int fd, char* into, size_t size) {
  ssize_t got = 0;
  do {
    got = ::recv(fd, into, size, 0);
  } while (got < 0 && errno == EINTR);
  return OutcomeOf(got, Transfer::Outcome::kWaitsToRead);
}

iovec PieceOf(std::string_view text) { return {const_cast<char*>(text.data()), text.size()}; }

}  // namespace

Transfer Transport::Discard() {
  std::array<char, kDiscardedAtOnce> trash;
  return Receive(fd(), trash.data(), trash.size());
}

void Transport::Cut() { ::shutdown(fd(), SHUT_RDWR); }
void Transport::EndSending() { ::shutdown(fd(), SHUT_WR); }

Transfer PlainTransport::Read(char* into, size_t size) { return Receive(fd(), into, size); }

Transfer PlainTransport::Write(std::string_view first, std::string_view second) {
  std::array<iovec, 2> pieces = {PieceOf(first), PieceOf(second)};
  msghdr message = {};
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(fd(), &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return OutcomeOf(sent, Transfer::Outcome::kWaitsToWrite);
}

}  // namespace hami::net
