// SPDX-License-Identifier: Apache-2.0
//
// The processes below one process. With PR_SET_CHILD_SUBREAPER set, everything that was ever
// started below the caller is still below it: double forks and setsid do not leave the tree.
//
// Any thread.

#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace hami::ctl {

struct ProcessLink {
  pid_t pid;
  pid_t parent;
};

// Every process that can be seen now.
std::vector<ProcessLink> ListProcessLinks();

// Those of `links` that are below `root`, parents first; without `root`.
std::vector<pid_t> Below(pid_t root, const std::vector<ProcessLink>& links);

// Whether `pid` is below `root`, by walking up. False if it is gone.
bool IsBelow(pid_t root, pid_t pid);

// Sends a signal to everything below the caller. Returns how many processes got it, and sets
// `*refused` to the number that we may not signal (a program that changed its user).
int SignalTree(int signal_number, int* refused);

// Reaps every child that has ended. False when there is no child left.
bool ReapEnded();

// "python train.py", at most `max_length` characters; "" if it is gone.
std::string CommandOf(pid_t pid, size_t max_length);

}  // namespace hami::ctl
