// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the booking of a local run, which lies in its user's folder and is read by other
// users' `hami run` and `hami top`. What must hold: no read outside, no hang, no exception; what is
// accepted is the same when it is written out and read again.

#include <stdint.h>
#include <stdlib.h>

#include <cstddef>
#include <string>

#include "ctl/booking.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  using hami::ctl::Booking;
  const std::string text(reinterpret_cast<const char*>(data), bytes);
  const hami::Result<Booking> booking = hami::ctl::ParseBooking(text);
  if (!booking) {
    if (booking.error().message.empty()) abort();
    return 0;
  }
  const std::string written = hami::ctl::WriteBooking(*booking);
  const hami::Result<Booking> again = hami::ctl::ParseBooking(written);
  if (!again || hami::ctl::WriteBooking(*again) != written) abort();
  return 0;
}
