// SPDX-License-Identifier: Apache-2.0

#include "top/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>

#include "base/arguments.h"
#include "top/filter.h"

namespace hami::top {
namespace {

constexpr std::string_view kHelp =
    R"(usage: hami top [options] [PATH...]

Shows, again and again, GPUs, the slices of them that are in use, and their
processes: memory and compute against the limits, time that programs slept for
the compute limit, allocations refused, and what enforces the limits (rung).

PATH is a region (.../NAME/region, or the *.cache of a container under HAMi), a
share directory, or a folder with some. Without one: your local runs, the claims
prepared on this node, and the containers of HAMi's own device plugin.

  -1, --once            print once and end; so it does where standard input or
                        output is no terminal
  --json                once, for programs; docs/reference/top.md lists the keys
  -d, --interval SECS   time between two looks: 0.1 to 3600, default 1. What is
                        used and throttled "now" is measured between two looks;
                        with --once or --json, 0 means a single look without.
  -s, --sort KEY        gpu (the default), name, memory, compute, throttled or
                        refused
  -r, --reverse         the other way round
  -f, --filter TERM     only what contains TERM, or gpu=INDEX|UUID, slice=TEXT,
                        kind=run|claim|container|share, rung=R, pid=N; may be
                        repeated, then all must hold
  --no-processes        devices and slices alone
  -h, --help

keys:
  q quit                g n m c t x  sort by gpu, name, memory, compute,
  / edit the filter                  throttled, refused
  \ clear the filter    r reverse    p processes on and off
  up down PgUp PgDn     space look now    h help

It reads and changes nothing, and needs no privileges beyond the right to read
these files. What it cannot read it names. What is used, and PIDs, are what the
tenants' side has counted; limits and devices are not theirs to change.

examples:
  hami top
  hami top -s throttled -f gpu=0
  hami top --once --filter slice=train
  hami top --json | jq '.slices[] | select(.refused > 0) | .name'

exit codes:
  0  shown     1  a PATH cannot be read, or the terminal     2  wrong usage
)";

Result<int64_t> ParseInterval(const std::string& text) {
  double seconds = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, seconds);
  const bool is_number = error == std::errc() && rest == end && std::isfinite(seconds);
  if (!is_number || seconds < 0 || seconds > 3600 || (seconds > 0 && seconds < 0.1)) {
    return Fail(Code::kInvalidArgument,
                fmt::format("--interval \"{}\": seconds from 0.1 to 3600", text));
  }
  return std::llround(seconds * 1000);
}

}  // namespace

std::string_view Help() { return kHelp; }

Result<Options> ParseOptions(const std::vector<std::string>& arguments) {
  Options options;
  std::string interval = "1";
  std::string sort = "gpu";
  std::vector<std::string> terms;
  CLI::App app;
  try {
    app.set_help_flag();
    app.add_flag("-h,--help", options.help);
    app.add_flag("-1,--once", options.once);
    app.add_flag("--json", options.json);
    app.add_flag("!--no-processes", options.processes);
    app.add_option("-d,--interval", interval);
    app.add_option("-s,--sort", sort);
    app.add_flag("-r,--reverse", options.order.reversed);
    app.add_option("-f,--filter", terms)->expected(1)->take_all();
    app.add_option("PATH", options.paths);
    app.parse(base::ReverseArguments(arguments));
  } catch (const CLI::Error& error) {
    return Fail(Code::kInvalidArgument, error.what());
  }
  if (options.help) return options;
  ASSIGN_OR_RETURN(options.interval_ms, ParseInterval(interval));
  ASSIGN_OR_RETURN(options.order.key, ParseSortKey(sort));
  for (const std::string& term : terms) {
    RETURN_IF_ERROR(ParseFilterTerm(term));
    options.filter += (options.filter.empty() ? "" : " ") + term;
  }
  if (options.interval_ms == 0 && !options.once && !options.json) {
    return Fail(Code::kInvalidArgument, "--interval 0 goes with --once or --json");
  }
  return options;
}

}  // namespace hami::top
