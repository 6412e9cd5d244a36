// SPDX-License-Identifier: Apache-2.0
//
// Where `hami` keeps what outlives a command: $HAMI_STATE_DIR, else /run/hami for root, else
// $XDG_RUNTIME_DIR/hami, else /tmp/hami-<uid>. Users without privileges have folders of their own,
// so they do not see each other's bookings (the driver's own figures they do).
//
//   lock            held while bookings are read and changed
//   shares/NAME/    one grant: booking, limits, region, agent.sock (share_store.h)
//   context_cost/   what a CUDA context costs, by driver and device (gpu/context_cost.h)
//   lib/ID/         the library, where no namespace can hold it (share/product_files.h)
//   stage/          an empty folder to mount on (enclosure.h)
//   sim/            simulated GPUs (`hami sim`)

#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace hami::ctl {

class StateFolder {
 public:
  // Finds the folder and makes it and its parts. kFailedPrecondition if a folder in a place where
  // anybody may write belongs to somebody else.
  static Result<StateFolder> Open();

  const std::string& path() const { return path_; }
  std::string shares() const;
  std::string context_cost() const;
  std::string libraries() const;
  std::string stage() const;
  std::string simulations() const;

  // Waits for the lock that guards bookings; kDeadlineExceeded after `timeout_ms`. It is let go
  // when the descriptor is closed, whatever happens to the process.
  Result<base::Fd> Lock(int timeout_ms) const;

 private:
  explicit StateFolder(std::string path) : path_(std::move(path)) {}

  std::string path_;
};

// The folder for these circumstances; the pure part of Open.
struct StateFolderClues {
  const char* hami_state_dir;   // nullptr or "": not set
  const char* xdg_runtime_dir;  // likewise
  unsigned uid;
};
std::string ChooseStateFolder(const StateFolderClues& clues);

}  // namespace hami::ctl
