// SPDX-License-Identifier: Apache-2.0

#include "ctl/booking.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <utility>

#include "api/region/region.h"
#include "api/share/agent.h"
#include "base/file.h"
#include "base/json_writer.h"

namespace hami::ctl {
namespace {

constexpr int kVersion = 1;
constexpr size_t kMaxShownCommandBytes = 64 << 10;  // JSON makes at most six of each

// Whether any byte of [start, start + length) is locked by somebody.
Result<bool> IsLocked(const std::string& path, int64_t start, int64_t length) {
  const Result<base::Fd> file = base::OpenFile(path, O_RDONLY);
  if (!file && file.error().code == Code::kNotFound) return false;
  if (!file) return Fail(file.error());
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = length;
  if (fcntl(file->get(), F_OFD_GETLK, &lock) != 0) return FailErrno("query locks of " + path);
  return lock.l_type != F_UNLCK;
}

// A number that is not whole, or too large, is what nlohmann-json would make of it: another one, or
// undefined (fuzz/booking_fuzz.cc).
template <typename Number>
bool TakeWhole(const nlohmann::json& json, const char* key, Number* number) {
  const nlohmann::json& value = json.at(key);
  if (value.is_number_unsigned()) {
    const auto whole = value.get<uint64_t>();
    *number = static_cast<Number>(whole);
    return std::in_range<Number>(whole);
  }
  if (!value.is_number_integer()) return false;
  const auto whole = value.get<int64_t>();
  *number = static_cast<Number>(whole);
  return std::in_range<Number>(whole);
}

bool TakeNumbers(const nlohmann::json& json, Booking* booking) {
  return TakeWhole(json, "pid", &booking->pid) && TakeWhole(json, "uid", &booking->uid) &&
         TakeWhole(json, "created_unix_s", &booking->created_unix_s) &&
         TakeWhole(json, "device_index", &booking->device_index) &&
         TakeWhole(json, "memory_bytes", &booking->memory_bytes) &&
         TakeWhole(json, "cores_pct", &booking->cores_pct);
}

}  // namespace

std::string WriteBooking(const Booking& booking) {
  base::JsonWriter json;
  json.BeginObject()
      .Member("version", kVersion)
      .Member("name", booking.name)
      .Member("pid", booking.pid)
      .Member("uid", booking.uid)
      .Member("created_unix_s", booking.created_unix_s)
      .Member("device_uuid", booking.device_uuid)
      .Member("device_index", booking.device_index)
      .Member("device_name", booking.device_name)
      .Member("simulation", booking.simulation)
      .Member("memory_bytes", booking.memory_bytes)
      .Member("cores_pct", booking.cores_pct)
      .Member("policy", booking.policy)
      .Member("degraded", booking.degraded)
      .Key("command")
      .BeginArray();
  // The command is there for people to read; whole, it can be longer than what other runs read.
  size_t shown_bytes = 0;
  for (const std::string& word : booking.command) {
    shown_bytes += word.size() + 1;
    if (shown_bytes > kMaxShownCommandBytes) {
      json.Value("...");
      break;
    }
    json.Value(word);
  }
  json.EndArray().EndObject();
  return std::move(json).Take() + "\n";
}

Result<Booking> ParseBooking(const std::string& text) {
  try {
    const nlohmann::json json = nlohmann::json::parse(text);
    int version = 0;
    if (!TakeWhole(json, "version", &version) || version != kVersion) {
      return Fail(Code::kDataLoss, "a booking of another version of hami");
    }
    Booking booking;
    if (!TakeNumbers(json, &booking)) {
      return Fail(Code::kDataLoss, "not a booking: a number is not whole, or out of range");
    }
    json.at("name").get_to(booking.name);
    json.at("device_uuid").get_to(booking.device_uuid);
    json.at("device_name").get_to(booking.device_name);
    json.at("simulation").get_to(booking.simulation);
    json.at("policy").get_to(booking.policy);
    json.at("degraded").get_to(booking.degraded);
    json.at("command").get_to(booking.command);
    return booking;
  } catch (const nlohmann::json::exception& error) {
    return Fail(Code::kDataLoss, fmt::format("not a booking: {}", error.what()));
  }
}

Result<base::Fd> WriteAndHoldBooking(const std::string& share_folder, const Booking& booking) {
  const std::string path = base::JoinPath(share_folder, kBookingFile);
  const std::string temporary = path + ".new";
  ASSIGN_OR_RETURN(base::Fd file, base::OpenFile(temporary, O_RDWR | O_CREAT | O_TRUNC, 0644));
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (fcntl(file.get(), F_OFD_SETLK, &lock) != 0) return FailErrno("lock " + temporary);
  RETURN_IF_ERROR(base::WriteAll(file.get(), WriteBooking(booking)));
  if (fsync(file.get()) != 0 && errno != EINVAL) return FailErrno("sync " + temporary);
  if (rename(temporary.c_str(), path.c_str()) != 0) return FailErrno("rename to " + path);
  return file;
}

Result<Liveness> LookForLife(const std::string& share_folder) {
  ASSIGN_OR_RETURN(const bool held, IsLocked(base::JoinPath(share_folder, kBookingFile), 0, 0));
  if (held) return Liveness::kHeldByHami;
  ASSIGN_OR_RETURN(const bool used, IsLocked(base::JoinPath(share_folder, api::kRegionFile),
                                             api::kSlotLockOffset, api::kMaxProcesses));
  return used ? Liveness::kHeldByProcesses : Liveness::kDead;
}

}  // namespace hami::ctl
