// SPDX-License-Identifier: Apache-2.0

#include "ctl/share_store.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "api/share/agent.h"
#include "base/file.h"
#include "share/region_file.h"

namespace hami::ctl {
namespace {

constexpr size_t kMaxBookingBytes = 1 << 20;

Status Discard(const StateFolder& state, const std::string& folder) {
  const std::string name = folder.substr(folder.rfind('/') + 1);
  const std::string doomed =
      base::JoinPath(state.shares(), fmt::format(".old-{}-{}", getpid(), name));
  if (rename(folder.c_str(), doomed.c_str()) != 0) return FailErrno("remove " + folder);
  return base::RemoveTree(doomed);
}

// Everything of a share that has no name yet.
Result<base::Fd> Fill(const std::string& folder, const Booking& booking,
                      const std::string& limits) {
  RETURN_IF_ERROR(base::MakeFolders(folder, 0755));
  RETURN_IF_ERROR(
      base::WriteFileAtomically(base::JoinPath(folder, api::kLimitsFile), limits, 0444));
  RETURN_IF_ERROR(share::RegionFile::Create(base::JoinPath(folder, api::kRegionFile)));
  return WriteAndHoldBooking(folder, booking);
}

}  // namespace

Result<std::vector<LiveShare>> SweepAndList(const StateFolder& state, const base::Fd& lock) {
  (void)lock;
  ASSIGN_OR_RETURN(const std::vector<std::string> names, base::ListFolder(state.shares()));
  std::vector<LiveShare> shares;
  for (const std::string& name : names) {
    LiveShare share;
    share.folder = base::JoinPath(state.shares(), name);
    if (name[0] == '.') {  // unfinished; its maker would hold our lock
      RETURN_IF_ERROR(base::RemoveTree(share.folder));
      continue;
    }
    ASSIGN_OR_RETURN(share.liveness, LookForLife(share.folder));
    if (share.liveness == Liveness::kDead) {
      RETURN_IF_ERROR(Discard(state, share.folder));
      continue;
    }
    const std::string path = base::JoinPath(share.folder, kBookingFile);
    Result<std::string> text = base::ReadFile(path, kMaxBookingBytes);
    if (!text) return Fail(std::move(text).error());
    Result<Booking> booking = ParseBooking(*text);
    if (!booking) return Fail(std::move(booking).error().Wrap(path));
    share.booking = std::move(*booking);
    shares.push_back(std::move(share));
  }
  return shares;
}

Result<NewShare> AddShare(const StateFolder& state, const base::Fd& lock, const Booking& booking,
                          const std::string& limits) {
  (void)lock;
  NewShare share;
  share.folder = base::JoinPath(state.shares(), booking.name);
  if (base::Exists(share.folder)) {
    return Fail(
        Code::kAlreadyExists,
        fmt::format("a slice named \"{}\" is running; choose another --name", booking.name));
  }
  const std::string unfinished =
      base::JoinPath(state.shares(), fmt::format(".new-{}-{}", getpid(), booking.name));
  Result<base::Fd> hold = Fill(unfinished, booking, limits);
  if (hold && rename(unfinished.c_str(), share.folder.c_str()) != 0) {
    hold = FailErrno("rename to " + share.folder);
  }
  if (!hold) {
    const Status removed = base::RemoveTree(unfinished);
    (void)removed;  // the next sweep tries again; the first error is the one to tell
    return Fail(std::move(hold).error());
  }
  share.hold = std::move(*hold);
  return share;
}

Status RemoveShare(const StateFolder& state, const base::Fd& lock, const std::string& folder) {
  (void)lock;
  ASSIGN_OR_RETURN(const Liveness liveness, LookForLife(folder));
  if (liveness != Liveness::kDead) {
    return Fail(Code::kFailedPrecondition, "processes still hold the slice");
  }
  return Discard(state, folder);
}

}  // namespace hami::ctl
