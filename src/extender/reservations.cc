// SPDX-License-Identifier: Apache-2.0

#include "extender/reservations.h"

#include <utility>

namespace hami::extender {

std::string LateUid(const std::string& uid) { return uid + "/late"; }

Reservation* Reservations::Find(const std::string& uid) {
  const auto found = by_uid_.find(uid);
  return found == by_uid_.end() ? nullptr : &found->second;
}

const Reservation* Reservations::Find(const std::string& uid) const {
  const auto found = by_uid_.find(uid);
  return found == by_uid_.end() ? nullptr : &found->second;
}

const Reservation* Reservations::FindLate(const std::string& uid) const {
  const auto found = late_.find(uid);
  return found == late_.end() ? nullptr : &found->second;
}

const std::string* Reservations::FindUid(const kube::ObjectKey& pod) const {
  const auto found = uids_.find(pod);
  return found == uids_.end() ? nullptr : &found->second;
}

Reservation& Reservations::Put(Reservation reservation) {
  Erase(reservation.uid);
  uids_[reservation.pod] = reservation.uid;
  Reservation& now = by_uid_[reservation.uid];
  now = std::move(reservation);
  return now;
}

void Reservations::Unindex(const Reservation& reservation) {
  const auto found = uids_.find(reservation.pod);
  // Another pod may have come by that name.
  if (found != uids_.end() && found->second == reservation.uid) uids_.erase(found);
}

bool Reservations::Erase(const std::string& uid) {
  const auto found = by_uid_.find(uid);
  if (found == by_uid_.end()) return false;
  Unindex(found->second);
  by_uid_.erase(found);
  return true;
}

bool Reservations::EraseLate(const std::string& uid) { return late_.erase(uid) > 0; }

const Reservation* Reservations::MakeLate(const std::string& uid, int64_t until_ns) {
  const auto found = by_uid_.find(uid);
  if (found == by_uid_.end()) return nullptr;
  Unindex(found->second);
  Reservation& late = late_[uid];
  late = std::move(found->second);
  late.hold = Hold::kUncertain;
  late.until_ns = until_ns;
  by_uid_.erase(found);
  return &late;
}

std::vector<Reservation> Reservations::TakeExpired(int64_t now_ns) {
  std::vector<Reservation> expired;
  for (const auto& [uid, reservation] : by_uid_) {
    const Hold hold = reservation.hold;
    if (reservation.until_ns > now_ns || (hold != Hold::kReserved && hold != Hold::kNominated)) {
      continue;
    }
    expired.push_back(reservation);
  }
  for (const Reservation& reservation : expired) Erase(reservation.uid);
  return expired;
}

std::vector<Reservation> Reservations::Overdue(int64_t now_ns) const {
  std::vector<Reservation> overdue;
  for (const auto* held : {&by_uid_, &late_}) {
    for (const auto& [uid, reservation] : *held) {
      const Hold hold = reservation.hold;
      if (reservation.until_ns <= now_ns && (hold == Hold::kBound || hold == Hold::kUncertain)) {
        overdue.push_back(reservation);
      }
    }
  }
  return overdue;
}

std::map<Hold, size_t> Reservations::Count() const {
  std::map<Hold, size_t> counts;
  for (const auto& [uid, reservation] : by_uid_) ++counts[reservation.hold];
  for (const auto& [uid, reservation] : late_) ++counts[reservation.hold];
  return counts;
}

}  // namespace hami::extender
