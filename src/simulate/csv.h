// SPDX-License-Identifier: Apache-2.0
//
// Tables in CSV (RFC 4180): columns are found by the names of the first row, so that files with
// more or fewer of them, or in another order, are read alike. Errors name file and line. Pure.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hami::simulate {

// One row, with the line that it starts on.
struct CsvRow {
  size_t line = 0;
  std::vector<std::string> cells;
};

class CsvTable {
 public:
  // `file` is for messages. kInvalidArgument: a quote that does not end, a row that is longer or
  // shorter than the first.
  static Result<CsvTable> Parse(std::string file, std::string_view text);

  // Where the column stands; none if there is no such.
  std::optional<size_t> Column(std::string_view name) const;
  // The same, kInvalidArgument if there is none.
  Result<size_t> Required(std::string_view name) const;
  const std::vector<CsvRow>& rows() const { return rows_; }

  // "trace.csv:12: <what>"
  Error At(const CsvRow& row, std::string_view what) const;
  // A whole number from 0 to `most`; "12.0" is one too.
  Result<int64_t> Number(const CsvRow& row, size_t column, int64_t most) const;
  // Seconds, with or without a fraction; none where the cell is empty.
  Result<std::optional<double>> Seconds(const CsvRow& row, size_t column) const;

 private:
  std::string file_;
  std::vector<std::string> names_;
  std::vector<CsvRow> rows_;
};

}  // namespace hami::simulate
