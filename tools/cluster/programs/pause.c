// SPDX-License-Identifier: Apache-2.0
//
// The first process of every pod's sandbox: waits, collects ended children, ends when it is told.
// Static, so that its image is this one file.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void End(int number) { _exit(128 + number); }

static void Collect(int number) {
  (void)number;
  while (waitpid(-1, NULL, WNOHANG) > 0) {
  }
}

int main(void) {
  signal(SIGINT, End);
  signal(SIGTERM, End);
  signal(SIGCHLD, Collect);
  for (;;) pause();
}
