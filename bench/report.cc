// SPDX-License-Identifier: Apache-2.0

#include "bench/report.h"

#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/version.h"

namespace hami::bench {
namespace {

std::string CpuModel() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  }
  return "unknown CPU";
}

std::string Verdict(const Row& row) {
  if (!row.run || !row.target) return "";
  return row.value <= *row.target ? "met" : "MISSED";
}

std::string Number(const std::optional<double>& value) {
  return value ? fmt::format("{:.1f}", *value) : "-";
}

}  // namespace

std::string MachineConditions() {
  return fmt::format("{} cores, {}, hami {} {}", std::thread::hardware_concurrency(), CpuModel(),
                     base::Version(), base::Commit());
}

Report::Report(std::string title, std::string conditions)
    : title_(std::move(title)), conditions_(std::move(conditions)) {}

bool Report::Finish(const std::string& json_path) const {
  fmt::print("\n{}\n{}\n\n", title_, conditions_);
  fmt::print("{:<52} {:>10} {:<6} {:>9} {:>8} {:<7} {}\n", "", "value", "unit", "native", "target",
             "", "peer (published), notes");
  nlohmann::json records = nlohmann::json::array();
  for (const Row& row : rows_) {
    const std::string value = row.run ? fmt::format("{:.1f}", row.value) : "not run";
    const std::string separator = !row.peer.empty() && !row.note.empty() ? "; " : "";
    fmt::print("{:<52} {:>10} {:<6} {:>9} {:>8} {:<7} {}\n", row.name, value, row.unit,
               Number(row.baseline), Number(row.target), Verdict(row),
               row.peer + separator + row.note);
    nlohmann::json record = {{"name", row.name}, {"unit", row.unit}, {"conditions", conditions_}};
    record["value"] = row.run ? nlohmann::json(row.value) : nlohmann::json(nullptr);
    record["baseline"] = row.baseline ? nlohmann::json(*row.baseline) : nlohmann::json(nullptr);
    if (row.target) record["target"] = *row.target;
    if (!row.note.empty()) record["note"] = row.note;
    records.push_back(std::move(record));
  }
  if (json_path.empty()) return true;
  std::ofstream file(json_path);
  file << records.dump(2) << '\n';
  if (file.good()) return true;
  std::cerr << "cannot write " << json_path << '\n';
  return false;
}

bool AnswersCommon(const std::string& argument, const std::string& program,
                   const std::string& usage) {
  if (argument == "--version") {
    std::cout << base::VersionLine(program) << '\n';
  } else if (argument == "--help") {
    std::cout << usage;
  } else {
    return false;
  }
  return true;
}

}  // namespace hami::bench
