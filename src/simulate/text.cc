// SPDX-License-Identifier: Apache-2.0

#include "simulate/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

#include "base/stable_sort.h"

namespace hami::simulate {
namespace {

constexpr size_t kMostPods = 20;   // without --list
constexpr size_t kMostNotes = 10;  // likewise

double Percent(double part, double whole) { return whole > 0 ? part / whole * 100 : 0; }

std::string Plural(size_t count, std::string_view word) {
  return fmt::format("{} {}{}", count, word, count == 1 ? "" : "s");
}

std::string PodText(const Scenario& scenario, const PodOutcome& pod) {
  const WantedPod& wanted = scenario.pods[pod.pod];
  return fmt::format("{} ({})", wanted.pod.Text(), wanted.source);
}

// Slices alike are told once.
std::string SlicesText(const std::vector<domain::Slice>& slices) {
  std::vector<std::string> parts;
  for (const domain::Slice& slice : slices) {
    std::string part = fmt::format("{} with {} MiB", slice.device, slice.memory_mib);
    if (slice.cores > 0) part += fmt::format(", {} % of cores", slice.cores);
    const std::string shape = slice.mig ? slice.mig->profile : slice.shape;
    if (!shape.empty()) part += fmt::format(", as {}", shape);
    parts.push_back(std::move(part));
  }
  return fmt::format("{}", fmt::join(parts, "; "));
}

void AddUse(const Outcome& outcome, std::string* text) {
  auto out = std::back_inserter(*text);
  const double free = outcome.devices - outcome.end.allocated;
  fmt::format_to(out, "\nDevices    {:.2f} of {:.0f} allocated ({:.1f} %)\n", outcome.end.allocated,
                 outcome.devices, Percent(outcome.end.allocated, outcome.devices));
  fmt::format_to(out,
                 "Fragments  {:.2f} of the {:.2f} that are free cannot be used by a typical pod\n",
                 outcome.end.fragments, std::max(free, 0.0));
  for (const TypeUse& type : outcome.types) {
    fmt::format_to(
        out, "  {:<28} {:>5} devices, {:5.1f} % allocated, memory {:5.1f} %, cores {:5.1f} %\n",
        type.type.empty() ? type.vendor : type.vendor + " " + type.type, type.devices,
        Percent(type.allocated, static_cast<double>(type.devices)),
        Percent(static_cast<double>(type.memory_used_mib), static_cast<double>(type.memory_mib)),
        Percent(static_cast<double>(type.cores_used), static_cast<double>(type.cores)));
  }
  fmt::format_to(
      out, "Nodes      {}, CPU {:.1f} % and memory {:.1f} % requested\n", outcome.nodes,
      Percent(static_cast<double>(outcome.cpu_used_milli), static_cast<double>(outcome.cpu_milli)),
      Percent(static_cast<double>(outcome.memory_used_bytes),
              static_cast<double>(outcome.memory_bytes)));
}

void AddTimes(const Options& options, const Outcome& outcome, std::string* text) {
  auto out = std::back_inserter(*text);
  if (options.departures || options.turnover_pct > 0) {
    fmt::format_to(out,
                   "Over time  {:.2f} devices allocated on average ({:.1f} %), {:.1f} % of what "
                   "was asked for found no room at once\n",
                   outcome.mean_allocated, Percent(outcome.mean_allocated, outcome.devices),
                   outcome.lost_devices_share * 100);
  }
  const auto add = [&out](std::string_view what, const Latency& latency) {
    if (latency.decisions == 0) return;
    fmt::format_to(
        out, "{}{}, {:.0f} us on average, half within {:.0f}, 99 % within {:.0f}, at most {:.0f}\n",
        what, latency.decisions, latency.mean_us, latency.p50_us, latency.p99_us, latency.max_us);
  };
  add("Decisions  ", outcome.latency);
  add("Refusals   ", outcome.refusals);
}

// Those of the same pod of the list and with the same reason are one entry.
void AddMisses(const Options& options, const Scenario& scenario, const Outcome& outcome,
               std::string* text) {
  struct Miss {
    const PodOutcome* first = nullptr;
    size_t count = 0;
  };
  std::vector<Miss> misses;
  std::map<std::pair<std::string, std::string>, size_t> known;
  for (const PodOutcome& pod : outcome.pods) {
    if (pod.fate == Fate::kPlaced) continue;
    const auto [at, is_new] =
        known.emplace(std::pair(scenario.pods[pod.pod].source, pod.reason), misses.size());
    if (is_new) misses.push_back({.first = &pod});
    ++misses[at->second].count;
  }
  if (misses.empty()) return;
  *text += "\nWithout a place:\n";
  const size_t most = options.list ? misses.size() : std::min(misses.size(), kMostPods);
  for (size_t i = 0; i < most; ++i) {
    const PodOutcome& pod = *misses[i].first;
    *text += fmt::format("  {}{}\n    {}\n", PodText(scenario, pod),
                         misses[i].count > 1 ? fmt::format(", {} times", misses[i].count) : "",
                         pod.fate == Fate::kRefused ? "refused: " + pod.reason : pod.reason);
    if (!pod.nearest.empty()) *text += fmt::format("    nearest: {}\n", pod.nearest);
  }
  if (most < misses.size()) {
    *text += fmt::format("  and {} more kinds: --list\n", misses.size() - most);
  }
}

void AddPlaces(const Options& options, const Scenario& scenario, const Outcome& outcome,
               std::string* text) {
  if (outcome.placed == 0 || (options.draws() && !options.list)) return;
  *text += "\nPlaced:\n";
  size_t count = 0;
  for (const PodOutcome& pod : outcome.pods) {
    if (pod.fate != Fate::kPlaced) continue;
    if (!options.list && ++count > kMostPods) {
      *text += fmt::format("  and {} more: --list\n", outcome.placed - kMostPods);
      break;
    }
    *text += fmt::format("  {} on {}", scenario.pods[pod.pod].pod.Text(), pod.node);
    if (!pod.slices.empty()) *text += ": " + SlicesText(pod.slices);
    if (pod.waited_s > 0) *text += fmt::format(", after waiting {:.0f} s", pod.waited_s);
    *text += '\n';
  }
}

void AddNotes(const Options& options, const Scenario& scenario, const Outcome& outcome,
              std::string* text) {
  std::vector<std::string> notes = scenario.notes;
  for (const std::string& device : outcome.overcommitted) {
    notes.push_back("more is held than there is: " + device);
  }
  if (notes.empty()) return;
  *text += "\nNotes:\n";
  const size_t most = options.list ? notes.size() : std::min(notes.size(), kMostNotes);
  for (size_t i = 0; i < most; ++i) *text += fmt::format("  {}\n", notes[i]);
  if (most < notes.size()) *text += fmt::format("  and {} more: --list\n", notes.size() - most);
}

}  // namespace

std::string RenderText(const Options& options, const Scenario& scenario, const Outcome& outcome) {
  std::string text = fmt::format("{} of {} placed by policy {}", outcome.placed,
                                 Plural(outcome.pods.size(), "pod"), options.policy_word);
  if (outcome.waiting > 0) text += fmt::format(", {} found no room", outcome.waiting);
  if (outcome.refused > 0) text += fmt::format(", {} refused", outcome.refused);
  text += fmt::format(". Simulated: nothing was changed.\n");
  AddUse(outcome, &text);
  AddTimes(options, outcome, &text);
  AddMisses(options, scenario, outcome, &text);
  AddPlaces(options, scenario, outcome, &text);
  AddNotes(options, scenario, outcome, &text);
  return text;
}

}  // namespace hami::simulate
