// SPDX-License-Identifier: Apache-2.0
//
// ./dev bench openb: how many GPUs of the openb traces find work under each of our policies, by the
// real placement code, beside FGD and BestFit on the same arrivals and beside the published rows.
// Traces whose files are not there are "not run".

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "bench/openb/play.h"
#include "bench/openb/scores.h"
#include "bench/report.h"

namespace hami::bench {
namespace {

constexpr char kUsage[] =
    R"(usage: openb [--json FILE] [--data FOLDER] [--trace NAME]... [--from SEED] [--seeds N]
             [--policy WORD]... [--course arrivals|turnover] [--jobs N] [--scores FILE]
       openb --cluster ...: through a real kube-scheduler; bench/openb/openb_cluster.py --help

--data         the traces; default: $HAMI_OPENB, else ../shared/data/openb
--trace        default, cpu250, ...; default: all 17 that were published
--from SEED    the first seed; default 42, as published
--seeds N      how many; default 40: ten for the published rows, thirty more
--policy       only contenders of this name, or whose name has this word
--jobs N       threads; default: one per core
--scores FILE  scores are appended to it as they come, and those that it has are not played again:
               seed by seed or in one go, in any order, stopped and started as you like
)";

constexpr uint64_t kFirstSeed = 42;
constexpr size_t kPublishedSeeds = 10;

// Means of ten seeds in percent of GPUs, computed from the authors' published results.
struct Published {
  const char* trace;
  double best_fit_130;
  double fgd_130;
};
constexpr Published kPublished[] = {
    {"default", 93.08, 95.39},    {"cpu050", 93.79, 95.21},     {"cpu100", 93.44, 95.35},
    {"cpu200", 92.40, 95.05},     {"cpu250", 91.45, 93.41},     {"gpushare40", 91.69, 94.15},
    {"gpushare60", 89.36, 91.40}, {"gpushare80", 87.01, 89.31}, {"gpushare100", 85.01, 86.90},
    {"gpuspec10", 93.31, 94.95},  {"gpuspec20", 93.30, 94.84},  {"gpuspec25", 93.23, 94.74},
    {"gpuspec33", 93.09, 94.55},  {"multigpu20", 93.93, 95.65}, {"multigpu30", 94.72, 96.46},
    {"multigpu40", 95.23, 96.99}, {"multigpu50", 95.74, 97.18},
};

struct Settings {
  std::string json_path;
  std::string folder;
  std::vector<std::string> traces;
  std::vector<std::string> words;
  std::vector<Course> courses = {Course::kArrivals, Course::kTurnover};
  std::string scores_path;
  size_t first_seed = kFirstSeed;
  size_t seeds = 40;
  size_t jobs = std::max(1U, std::thread::hardware_concurrency());
};

placement::Policy PolicyOf(placement::NodePolicy node, placement::DeviceKey device) {
  placement::Policy policy;
  policy.node = node;
  policy.device.keys = {device};
  return policy;
}

std::vector<Contender> Contenders() {
  using placement::DeviceKey;
  using placement::NodePolicy;
  const auto ours = [](NodePolicy node, DeviceKey device, bool native_by_policy) {
    return Ours{PolicyOf(node, device), native_by_policy};
  };
  return {
      {"FGD (as published)", Peer::kFgd},
      {"BestFit (as published)", Peer::kBestFit},
      {"FGD (exact, ties at random)", Peer::kFgdAnyTie},
      {"fragmentation", ours(NodePolicy::kFragmentation, DeviceKey::kBinpack, true)},
      {"fragmentation, CPU pods by kube-scheduler",
       ours(NodePolicy::kFragmentation, DeviceKey::kBinpack, false)},
      {"binpack, devices binpack", ours(NodePolicy::kBinpack, DeviceKey::kBinpack, false)},
      {"binpack, devices spread (HAMi's default)",
       ours(NodePolicy::kBinpack, DeviceKey::kSpread, false)},
      {"spread, devices binpack", ours(NodePolicy::kSpread, DeviceKey::kBinpack, false)},
      {"spread, devices spread", ours(NodePolicy::kSpread, DeviceKey::kSpread, false)},
  };
}

struct Statistics {
  double mean = 0;
  double deviation = 0;
};

Statistics Of(const std::vector<double>& values) {
  Statistics result;
  for (const double value : values) result.mean += value / static_cast<double>(values.size());
  for (const double value : values) {
    result.deviation += (value - result.mean) * (value - result.mean);
  }
  if (values.size() < 2) return {result.mean, 0};
  result.deviation = std::sqrt(result.deviation / static_cast<double>(values.size() - 1));
  return result;
}

// Half the width of the 95 % interval of a mean: Student's t, within 1 % from 5 values on.
double HalfWidth(const Statistics& statistics, size_t count) {
  if (count < 2) return 0;
  const double freedom = static_cast<double>(count - 1);
  const double t = 1.96 + 2.372 / freedom + 2.82 / (freedom * freedom);
  return t * statistics.deviation / std::sqrt(static_cast<double>(count));
}

// All scores of one trace: by contender, then seed.
using Scores = std::vector<std::vector<Score>>;

Scores PlayAll(const vendor::Registry& registry, const Trace& trace,
               const std::vector<Contender>& contenders, Course course, const Settings& settings,
               ScoreFile* file) {
  Scores scores(contenders.size(), std::vector<Score>(settings.seeds));
  std::atomic<size_t> next{0};
  const size_t count = contenders.size() * settings.seeds;
  std::mutex mutex;  // of the file
  std::vector<std::thread> threads;
  for (size_t i = 0; i < settings.jobs; ++i) {
    threads.emplace_back([&] {
      for (size_t work = next++; work < count; work = next++) {
        const size_t contender = work % contenders.size();
        const size_t seed = work / contenders.size();
        const std::string& name = contenders[contender].name;
        const uint64_t number = settings.first_seed + seed;
        {
          const std::lock_guard lock(mutex);
          if (const Score* const known = file->Find(trace.name, course, name, number)) {
            scores[contender][seed] = *known;
            continue;
          }
        }
        scores[contender][seed] = Play(registry, trace, contenders[contender], course, number);
        const std::lock_guard lock(mutex);
        file->Add(trace.name, course, name, number, scores[contender][seed]);
        if (contender == 0) {
          std::fprintf(stderr, "\r%s: seed %zu of %zu ", trace.name.c_str(), seed + 1,
                       settings.seeds);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::fputs("\n", stderr);
  return scores;
}

std::vector<double> Pick(const std::vector<Score>& scores, size_t first, size_t count,
                         double Score::* member) {
  std::vector<double> values;
  for (size_t i = first; i < std::min(scores.size(), first + count); ++i) {
    values.push_back(scores[i].*member);
  }
  return values;
}

// What is ahead of FGD on the same arrivals, over all seeds.
std::string PairedText(const Scores& scores, size_t contender, double Score::* member) {
  std::vector<double> differences;
  for (size_t i = 0; i < scores[0].size(); ++i) {
    differences.push_back(scores[contender][i].*member - scores[0][i].*member);
  }
  const Statistics statistics = Of(differences);
  if (differences.size() < 2) return fmt::format("{:+.2f}", statistics.mean);
  const double half = HalfWidth(statistics, differences.size());
  return fmt::format("{:+.2f} [{:+.2f}, {:+.2f}]", statistics.mean, statistics.mean - half,
                     statistics.mean + half);
}

void PrintArrivals(const Trace& trace, const std::vector<Contender>& contenders,
                   const Scores& scores, const Published& published) {
  fmt::print("\n### {}: arrivals alone\n\n", trace.name);
  fmt::print(
      "| policy | at 100 % | sd | at 130 % | fragments at 50 / 80 / 90 / 100 % | "
      "against FGD at 100 %, all seeds | at 130 % | us per decision, p99 |\n"
      "| --- | --- | --- | --- | --- | --- | --- | --- |\n");
  for (size_t i = 0; i < contenders.size(); ++i) {
    const Statistics at_100 = Of(Pick(scores[i], 0, kPublishedSeeds, &Score::at_100));
    const Statistics at_130 = Of(Pick(scores[i], 0, kPublishedSeeds, &Score::at_130));
    std::array<double, 4> fragments{};
    const size_t count = std::min(scores[i].size(), kPublishedSeeds);
    for (size_t k = 0; k < count; ++k) {
      for (size_t j = 0; j < 4; ++j) {
        fragments[j] += scores[i][k].fragments[j] / static_cast<double>(count);
      }
    }
    const double us = Of(Pick(scores[i], 0, scores[i].size(), &Score::decision_us)).mean;
    const double p99 = Of(Pick(scores[i], 0, scores[i].size(), &Score::p99_us)).mean;
    fmt::print(
        "| {} | {:.2f} | {:.2f} | {:.2f} | {:.1f} / {:.1f} / {:.1f} / {:.1f} | {} | {} | {} |\n",
        contenders[i].name, at_100.mean, at_100.deviation, at_130.mean, fragments[0], fragments[1],
        fragments[2], fragments[3], i == 0 ? "" : PairedText(scores, i, &Score::at_100),
        i == 0 ? "" : PairedText(scores, i, &Score::at_130),
        us > 0 ? fmt::format("{:.0f}, {:.0f}", us, p99) : "");
  }
  fmt::print("| published: FGD | | | {:.2f} | | | | |\n", published.fgd_130);
  fmt::print("| published: BestFit | | | {:.2f} | | | | |\n", published.best_fit_130);
}

void PrintTurnover(const Trace& trace, const std::vector<Contender>& contenders,
                   const Scores& scores) {
  fmt::print("\n### {}: with departures\n\n", trace.name);
  fmt::print(
      "| policy | allocated over time | sd | asked and refused | against FGD | "
      "us per decision, p99 |\n| --- | --- | --- | --- | --- | --- |\n");
  for (size_t i = 0; i < contenders.size(); ++i) {
    const Statistics mean = Of(Pick(scores[i], 0, scores[i].size(), &Score::mean));
    const Statistics lost = Of(Pick(scores[i], 0, scores[i].size(), &Score::lost));
    const double us = Of(Pick(scores[i], 0, scores[i].size(), &Score::decision_us)).mean;
    const double p99 = Of(Pick(scores[i], 0, scores[i].size(), &Score::p99_us)).mean;
    fmt::print("| {} | {:.2f} | {:.2f} | {:.2f} | {} | {} |\n", contenders[i].name, mean.mean,
               mean.deviation, lost.mean, i == 0 ? "" : PairedText(scores, i, &Score::mean),
               us > 0 ? fmt::format("{:.0f}, {:.0f}", us, p99) : "");
  }
}

void AddRows(const Trace& trace, const std::vector<Contender>& contenders, const Scores& scores,
             Course course, Report* report) {
  double Score::* const member = course == Course::kArrivals ? &Score::at_100 : &Score::mean;
  const double fgd = Of(Pick(scores[0], 0, scores[0].size(), member)).mean;
  for (size_t i = 0; i < contenders.size(); ++i) {
    report->Add({.name = fmt::format("{} {}: {}", trace.name,
                                     course == Course::kArrivals ? "at 100 %" : "with departures",
                                     contenders[i].name),
                 .value = Of(Pick(scores[i], 0, scores[i].size(), member)).mean,
                 .unit = "% of GPUs",
                 .baseline = i == 0 ? std::nullopt : std::optional<double>(fgd),
                 .note = i == 0 ? "" : PairedText(scores, i, member)});
  }
}

bool ParseCount(const char* text, size_t* count) {
  const std::string_view word = text;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), *count);
  return error == std::errc() && end == word.data() + word.size() && *count > 0;
}

// An exit code, or -1 to go on.
int ReadSettings(int argc, char** argv, Settings* settings) {
  const char* const folder = std::getenv("HAMI_OPENB");
  settings->folder = folder != nullptr ? folder : "../shared/data/openb";
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (AnswersCommon(word, "bench openb", kUsage)) return 0;
    const char* const value = i + 1 < argc ? argv[++i] : nullptr;
    bool is_right = value != nullptr;
    if (is_right && word == "--json") {
      settings->json_path = value;
    } else if (is_right && word == "--data") {
      settings->folder = value;
    } else if (is_right && word == "--trace") {
      settings->traces.emplace_back(value);
    } else if (is_right && word == "--policy") {
      settings->words.emplace_back(value);
    } else if (is_right && word == "--scores") {
      settings->scores_path = value;
    } else if (is_right && word == "--from") {
      is_right = ParseCount(value, &settings->first_seed);
    } else if (is_right && word == "--seeds") {
      is_right = ParseCount(value, &settings->seeds);
    } else if (is_right && word == "--jobs") {
      is_right = ParseCount(value, &settings->jobs);
    } else if (is_right && word == "--course") {
      const std::string course = value;
      is_right = course == "arrivals" || course == "turnover";
      settings->courses = {course == "arrivals" ? Course::kArrivals : Course::kTurnover};
    } else {
      is_right = false;
    }
    if (!is_right) {
      fmt::print(stderr, "openb: {} is wrong here\n{}", word, kUsage);
      return 2;
    }
  }
  return -1;
}

// FGD stays: others are compared with it.
std::vector<Contender> Chosen(const std::vector<std::string>& words) {
  std::vector<Contender> contenders = Contenders();
  if (words.empty()) return contenders;
  const auto is_out = [&](const Contender& contender) {
    if (contender.name == contenders.front().name) return false;
    return std::ranges::none_of(words, [&](const std::string& word) {
      const bool is_name =
          std::ranges::find(contenders, word, &Contender::name) != contenders.end();
      return is_name ? contender.name == word : contender.name.find(word) != std::string::npos;
    });
  };
  std::vector<Contender> chosen;
  for (const Contender& contender : contenders) {
    if (!is_out(contender)) chosen.push_back(contender);
  }
  return chosen;
}

int Bench(const Settings& settings) {
  const vendor::Registry registry = vendor::Registry::Default();
  const std::vector<Contender> contenders = Chosen(settings.words);
  Report report("openb: GPUs allocated",
                fmt::format("{}; {} seeds from {}; simulated clusters of 1 213 nodes",
                            MachineConditions(), settings.seeds, settings.first_seed));
  ScoreFile file;
  if (!settings.scores_path.empty()) {
    if (const Status opened = file.Open(settings.scores_path); !opened) {
      fmt::print(stderr, "openb: {}\n", opened.error().message);
      return 1;
    }
  }
  bool any = false;
  for (const Published& published : kPublished) {
    const std::string name = published.trace;
    if (!settings.traces.empty() &&
        std::ranges::find(settings.traces, name) == settings.traces.end()) {
      continue;
    }
    if (!std::filesystem::exists(fmt::format("{}/openb_pod_list_{}.csv", settings.folder, name))) {
      report.Add({.name = name, .note = "not run: its file is not there", .run = false});
      continue;
    }
    const Result<Trace> trace = LoadTrace(registry, settings.folder, name);
    if (!trace) {
      fmt::print(stderr, "openb: {}\n", trace.error().message);
      return 1;
    }
    any = true;
    for (const Course course : settings.courses) {
      const Scores scores = PlayAll(registry, *trace, contenders, course, settings, &file);
      if (course == Course::kArrivals) {
        PrintArrivals(*trace, contenders, scores, published);
      } else {
        PrintTurnover(*trace, contenders, scores);
      }
      std::fflush(stdout);
      AddRows(*trace, contenders, scores, course, &report);
    }
  }
  if (!any) fmt::print(stderr, "openb: no trace in {}\n", settings.folder);
  return report.Finish(settings.json_path) && any ? 0 : 1;
}

}  // namespace
}  // namespace hami::bench

int main(int argc, char** argv) {
  hami::bench::Settings settings;
  const int code = hami::bench::ReadSettings(argc, argv, &settings);
  return code >= 0 ? code : hami::bench::Bench(settings);
}
