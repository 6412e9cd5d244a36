// SPDX-License-Identifier: Apache-2.0

#include "regionctl/region.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <ctime>
#include <functional>

#include "base/file.h"
#include "base/json_writer.h"
#include "base/result.h"
#include "regionctl/find_regions.h"
#include "regionctl/report.h"
#include "regionctl/report_text.h"
#include "share/region_file.h"

namespace hami::regionctl {
namespace {

constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;
constexpr char kFooter[] =
    R"(PATH is a region, such as /run/hami/shares/NAME/region or the *.cache file of a
container under HAMi, or the directory that it lies in. Without one: all regions
of this machine's local runs and prepared claims.

Exit codes: 0; 1 a problem was found, or something failed; 2 wrong usage.)";

void Print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void Complain(const Error& error) { fmt::print(stderr, "hami region: {}\n", error.message); }

// Runs `work` for each; what fails for one does not keep it from the others.
int ForEach(const std::vector<std::string>& paths, const std::function<Status(std::string)>& work) {
  int code = 0;
  for (const std::string& path : paths) {
    const Status done = work(RegionPathOf(path));
    if (done) continue;
    Complain(done.error());
    code = kFailed;
  }
  return code;
}

int Show(const std::vector<std::string>& paths, bool as_json) {
  base::JsonWriter json;
  json.BeginArray();
  const int code = ForEach(paths, [&](const std::string& path) -> Status {
    ASSIGN_OR_RETURN(const RegionReport report, ReadRegion(path));
    if (as_json) {
      WriteJson(report, &json);
    } else {
      Print(TextOf(report, std::time(nullptr)) + ProblemsOf(report));
    }
    return {};
  });
  json.EndArray();
  if (as_json) Print(std::move(json).Take() + "\n");
  return code;
}

int Check(const std::vector<std::string>& paths) {
  bool sound = true;
  const int code = ForEach(paths, [&](const std::string& path) -> Status {
    ASSIGN_OR_RETURN(const RegionReport report, ReadRegion(path));
    Print(report.problems.empty() ? path + ": sound\n" : ProblemsOf(report));
    sound = sound && report.problems.empty();
    return {};
  });
  return sound ? code : kFailed;
}

// Nothing in a region of HAMi's own library tells which processes live.
Result<RegionReport> ReadOurs(const std::string& path) {
  ASSIGN_OR_RETURN(RegionReport report, ReadRegion(path));
  if (report.extended) return report;
  return Fail(Code::kFailedPrecondition,
              path + " belongs to HAMi's own library, which keeps it; end its pod to be rid of it");
}

int Repair(const std::vector<std::string>& paths) {
  return ForEach(paths, [](const std::string& path) -> Status {
    ASSIGN_OR_RETURN(const RegionReport before, ReadOurs(path));
    if (before.problems.empty()) {
      Print(path + ": sound\n");
      return {};
    }
    ASSIGN_OR_RETURN(const share::RegionFile file, share::RegionFile::Open(path));
    RETURN_IF_ERROR(file.Repair());
    ASSIGN_OR_RETURN(const RegionReport after, ReadRegion(path));
    Print(ProblemsOf(before));
    if (after.problems.empty()) {
      Print(path + ": repaired\n");
      return {};
    }
    return Fail(Code::kDataLoss, "not all could be repaired; left is\n" + ProblemsOf(after));
  });
}

int Hold(const std::vector<std::string>& paths, bool hold) {
  return ForEach(paths, [hold](const std::string& path) -> Status {
    RETURN_IF_ERROR(ReadRegion(path));
    ASSIGN_OR_RETURN(const share::RegionFile file, share::RegionFile::Open(path));
    RETURN_IF_ERROR(file.WriteHold(hold));
    Print(fmt::format("{}: launches {}\n", path, hold ? "are held back" : "go on"));
    return {};
  });
}

int Create(const std::vector<std::string>& paths) {
  return ForEach(paths, [](const std::string& path) -> Status {
    if (base::Exists(path)) return Fail(Code::kAlreadyExists, path + " exists");
    RETURN_IF_ERROR(share::RegionFile::Create(path));
    Print(path + ": made\n");
    return {};
  });
}

std::vector<std::string> AllRegions(const std::vector<std::string>& roots) {
  std::vector<std::string> all;
  for (const std::string& root : roots) {
    for (std::string& path : FindRegions(root)) all.push_back(std::move(path));
  }
  return all;
}

struct Command {
  const char* name;
  const char* summary;
  bool needs_path;
};
constexpr Command kShow = {"show", "devices, limits, processes and problems", false};
constexpr Command kCheck = {"check", "problems alone", false};
constexpr Command kRepair = {"repair", "put right what a crash has left; processes go on", true};
constexpr Command kSuspend = {"suspend", "hold the launches of a share's programs back", true};
constexpr Command kResume = {"resume", "let them go on", true};
constexpr Command kCreate = {"create", "make an empty region", true};

}  // namespace

int RegionMain(int argc, char** argv, const std::vector<std::string>& roots) {
  CLI::App app(
      "Shows, checks and repairs the shared regions in which programs of a share count "
      "what they take.",
      "hami region");
  app.footer(kFooter);
  app.require_subcommand(1);
  std::vector<std::string> paths;
  bool as_json = false;
  for (const Command& command : {kShow, kCheck, kRepair, kSuspend, kResume, kCreate}) {
    CLI::App* const verb = app.add_subcommand(command.name, command.summary);
    verb->add_option("PATH", paths, "regions or share directories")->required(command.needs_path);
    if (command.name == kShow.name) verb->add_flag("--json", as_json, "an array of objects");
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& problem) {
    return app.exit(problem) == 0 ? 0 : kWrongUsage;
  }
  const std::string verb = app.get_subcommands().front()->get_name();
  if (verb == kRepair.name) return Repair(paths);
  if (verb == kSuspend.name) return Hold(paths, true);
  if (verb == kResume.name) return Hold(paths, false);
  if (verb == kCreate.name) return Create(paths);
  if (paths.empty()) {
    paths = AllRegions(roots);
    if (paths.empty() && !as_json) Print("no region here: no share is in use\n");
  }
  return verb == kCheck.name ? Check(paths) : Show(paths, as_json);
}

}  // namespace hami::regionctl
