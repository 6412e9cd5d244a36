// SPDX-License-Identifier: Apache-2.0
//
// The bytes of one connection, plain or under TLS (tls_transport.h). Nothing here blocks: what
// cannot be done now says what to wait for. One thread at a time, but Cut.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "base/fd.h"

namespace hami::net {

// What came of a try.
struct Transfer {
  enum class Outcome : uint8_t { kDone, kWaitsToRead, kWaitsToWrite, kEnded };

  Outcome outcome = Outcome::kDone;
  size_t bytes = 0;  // of kDone
};

class Transport {
 public:
  virtual ~Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  // Until it is done nothing else may be called but Discard and Cut. kEnded: there is nobody to
  // speak with; the peer may have been told why.
  virtual Transfer Greet() = 0;
  // At least one byte when done.
  virtual Transfer Read(char* into, size_t size) = 0;
  // From the front of the two, as if they were one; as much as goes. After kWaits the same again.
  virtual Transfer Write(std::string_view first, std::string_view second) = 0;
  // Bytes have come that epoll knows nothing of.
  virtual bool HasUnread() const = 0;
  // Tells the peer that nothing more comes, so that it knows the end from a cut.
  virtual void SayGoodbye() = 0;

  // Takes what came without looking at it.
  Transfer Discard();
  // Any thread: both directions end; the owner is woken by epoll.
  void Cut();

  int fd() const { return fd_.get(); }

 protected:
  explicit Transport(base::Fd fd) : fd_(std::move(fd)) {}
  void EndSending();

 private:
  const base::Fd fd_;
};

class PlainTransport : public Transport {
 public:
  explicit PlainTransport(base::Fd fd) : Transport(std::move(fd)) {}

  Transfer Greet() override { return {}; }
  Transfer Read(char* into, size_t size) override;
  Transfer Write(std::string_view first, std::string_view second) override;
  bool HasUnread() const override { return false; }
  void SayGoodbye() override { EndSending(); }
};

}  // namespace hami::net
