// SPDX-License-Identifier: Apache-2.0

#include "top/top.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/file.h"
#include "top/collect.h"
#include "top/filter.h"
#include "top/json_report.h"
#include "top/live.h"
#include "top/options.h"
#include "top/session.h"
#include "top/terminal.h"
#include "top/text.h"

namespace hami::top {
namespace {

constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;
constexpr size_t kAnyWidth = 4096;  // a file or a pipe takes all

int Complain(const Error& error, int code) {
  fmt::print(stderr, "hami top: {}\n", error.message);
  if (code == kWrongUsage) fmt::print(stderr, "See hami top --help.\n");
  return code;
}

// Two looks, so that there is something between them to measure.
Snapshot LookTwice(const Options& options, Collector* collector) {
  const Snapshot& first = collector->Look();
  if (options.interval_ms == 0 || (first.slices.empty() && first.devices.empty())) return first;
  std::this_thread::sleep_for(std::chrono::milliseconds(options.interval_ms));
  return collector->Look();
}

std::string TextOf(const Snapshot& snapshot, const Options& options) {
  const size_t width = isatty(STDOUT_FILENO) != 0 ? SizeOf(STDOUT_FILENO).columns : kAnyWidth;
  std::string text;
  for (const Line& line : PageOf(snapshot, {.width = width,
                                            .processes = options.processes,
                                            .view = DescribeView(options.order, options.filter)})) {
    text += line.text + "\n";
  }
  return text;
}

int ShowOnce(const Options& options, const std::vector<FilterTerm>& terms, Collector* collector) {
  Snapshot snapshot = LookTwice(options, collector);
  ApplyFilter(terms, &snapshot);
  ApplyOrder(options.order, &snapshot);
  const std::string text = options.json ? JsonOf(snapshot) : TextOf(snapshot, options);
  const Status written = base::WriteAll(STDOUT_FILENO, text);
  if (!written) return Complain(written.error(), kFailed);
  return snapshot.failed ? kFailed : 0;
}

}  // namespace

int TopMain(const std::vector<std::string>& arguments, Sources sources) {
  const Result<Options> options = ParseOptions(arguments);
  if (!options) return Complain(options.error(), kWrongUsage);
  if (options->help) {
    const std::string_view help = Help();
    std::fwrite(help.data(), 1, help.size(), stdout);
    return 0;
  }
  const Result<std::vector<FilterTerm>> terms = ParseFilter(options->filter);
  if (!terms) return Complain(terms.error(), kWrongUsage);
  Collector collector(std::move(sources), options->paths, base::SystemClock());
  const bool live = !options->once && !options->json && options->interval_ms != 0 &&
                    CanDraw(STDIN_FILENO, STDOUT_FILENO, std::getenv("TERM"));
  if (!live) return ShowOnce(*options, *terms, &collector);
  Terminal terminal(STDIN_FILENO, STDOUT_FILENO);
  const Status shown = RunLive(*options, &collector, &terminal);
  return shown ? 0 : Complain(shown.error(), kFailed);
}

}  // namespace hami::top
