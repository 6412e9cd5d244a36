// SPDX-License-Identifier: Apache-2.0
//
// What to ask of the API server next to know all objects of a kind, and to go on knowing them: list
// in pages, watch from there, watch again from the last version seen; list again only when that
// version is too old or the server cannot be understood. Or, where `streaming` is wanted and the
// server has it, let a watch begin with all objects instead of listing them. Pure: no I/O, time and
// chance come from outside. WatchLoop (reflector.cc) does what it says.
//
// One thread. Versions are opaque: they are kept and repeated, never compared.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "kube/status.h"
#include "net/backoff.h"

namespace hami::kube {

struct ListWatchOptions {
  int page_size = 500;
  bool streaming = false;  // lists as the beginning of watches, where the server has that
  // The server ends a watch after a time between these, so that clients spread over servers.
  int64_t min_watch_s = 300;
  int64_t max_watch_s = 600;
  net::BackoffOptions backoff = {.first_ms = 200, .max_ms = 30'000};
};

class ListWatch {
 public:
  struct Step {
    enum class Kind : uint8_t { kList, kWatch, kWait };
    Kind kind = Kind::kList;
    // kList
    bool is_first_page = false;  // what an unfinished list had is void
    int page_size = 0;           // 0: all in one
    std::string continue_token;
    // kWatch
    bool is_streaming_list = false;  // begins with all objects; what an unfinished list had is void
    std::string resource_version;    // unless it does
    int64_t timeout_s = 0;
    // kWait
    int64_t delay_ms = 0;
  };

  ListWatch(const ListWatchOptions& options, net::Random random);

  Step Start();

  // The page of the last kList. A kWatch follows when the list is complete.
  Step OnPage(const std::string& resource_version, const std::string& continue_token);
  Step OnListFailed(const ApiFailure& failure, int64_t now_ns);

  // The bookmark after the initial events of a streaming list.
  void OnInitialEventsEnd(const std::string& resource_version);
  // Any other event of the last kWatch but an error.
  void OnEvent(const std::string& resource_version);
  // The end of the last kWatch; none: the server ended it properly. An ERROR event is its failure.
  // `lasted_ms` since the kWatch.
  Step OnWatchEnded(const std::optional<ApiFailure>& failure, int64_t lasted_ms, int64_t now_ns);

  // The last kWait is over.
  Step OnWaited();

  // False once the server has refused a streaming list, or never finished one.
  bool IsStreaming() const { return streaming_; }

 private:
  Step ListAll();
  Step List(const std::string& continue_token);
  Step Watch();
  Step OnStreamingListEnded(const std::optional<ApiFailure>& failure, int64_t now_ns);
  Step Wait(bool then_list, const std::optional<int64_t>& at_least_ms, int64_t now_ns);

  const ListWatchOptions options_;
  const net::Random random_;
  net::Backoff backoff_;
  bool streaming_;
  std::string resource_version_;
  bool then_list_ = true;  // after the wait
  bool saw_event_ = false;
  bool in_pages_ = false;  // the list has more than the page that is asked for
  bool in_initial_events_ = false;
  int unfinished_streams_ = 0;  // in a row
  int expired_lists_ = 0;       // in a row, in the middle of their pages
};

}  // namespace hami::kube
