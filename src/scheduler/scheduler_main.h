// SPDX-License-Identifier: Apache-2.0
//
// The process hami-scheduler: options, signals, exit code.

#pragma once

namespace hami::scheduler {

int SchedulerMain(int argc, char** argv);

}  // namespace hami::scheduler
