// SPDX-License-Identifier: Apache-2.0
//
// The reservations that there are: one of a pod at most, and beside it a late one, of a bind that
// was never answered. Time is passed in (monotonic). One thread, or under the caller's lock.

#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "extender/reservation.h"
#include "kube/object.h"

namespace hami::extender {

// As what a late reservation is held in the cluster, beside what the pod gets next.
std::string LateUid(const std::string& uid);

class Reservations {
 public:
  // Null: there is none.
  Reservation* Find(const std::string& uid);
  const Reservation* Find(const std::string& uid) const;
  const Reservation* FindLate(const std::string& uid) const;
  // The uid of the pod of that name that has a reservation, also a pod that the API has not shown
  // yet; null: none has.
  const std::string* FindUid(const kube::ObjectKey& pod) const;

  // Adds, or replaces the pod's.
  Reservation& Put(Reservation reservation);
  // False: there was none.
  bool Erase(const std::string& uid);
  bool EraseLate(const std::string& uid);
  // The pod's reservation becomes its late one, kUncertain until then; null: there is none.
  const Reservation* MakeLate(const std::string& uid, int64_t until_ns);

  // Those that nobody bound in time, removed.
  std::vector<Reservation> TakeExpired(int64_t now_ns);
  // Bound or uncertain, and not shown by the API in time; they stay.
  std::vector<Reservation> Overdue(int64_t now_ns) const;
  std::map<Hold, size_t> Count() const;

 private:
  void Unindex(const Reservation& reservation);

  std::unordered_map<std::string, Reservation> by_uid_;
  std::unordered_map<std::string, Reservation> late_;                           // likewise
  std::unordered_map<kube::ObjectKey, std::string, kube::ObjectKeyHash> uids_;  // of by_uid_
};

}  // namespace hami::extender
