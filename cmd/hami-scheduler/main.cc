// SPDX-License-Identifier: Apache-2.0
//
// build/bin/hami-scheduler. Wiring alone: the program is in src/scheduler.

#include "scheduler/scheduler_main.h"

int main(int argc, char** argv) { return hami::scheduler::SchedulerMain(argc, argv); }
