// SPDX-License-Identifier: Apache-2.0
//
// What every benchmark ends with: one table on standard output and, with --json FILE, the same rows
// as records {name, value, unit, baseline, conditions}.

#pragma once

#include <optional>
#include <string>
#include <vector>

namespace hami::bench {

struct Row {
  std::string name;
  double value = 0;
  std::string unit;
  std::optional<double> baseline;  // native, measured in the same run
  std::optional<double> target;
  std::string peer;  // a published figure of a peer, as text; "" for none
  std::string note;  // "not run: ..." makes the value meaningless
  bool run = true;
};

class Report {
 public:
  // `conditions`: machine, build, whether the GPU was simulated; printed above the table.
  Report(std::string title, std::string conditions);

  void Add(Row row) { rows_.push_back(std::move(row)); }

  // Prints the table; writes the records to `json_path` unless it is empty. False if that failed.
  bool Finish(const std::string& json_path) const;

 private:
  std::string title_;
  std::string conditions_;
  std::vector<Row> rows_;
};

// "2 cores, <cpu model>, hami <version> <commit>".
std::string MachineConditions();

// Answers --version and --help on standard output; false for any other word.
bool AnswersCommon(const std::string& argument, const std::string& program,
                   const std::string& usage);

}  // namespace hami::bench
