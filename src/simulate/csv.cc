// SPDX-License-Identifier: Apache-2.0

#include "simulate/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

namespace hami::simulate {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// Takes one row off the text; an empty line is a row with one empty cell. False: a quote is open.
bool TakeRow(std::string_view* text, size_t* line, std::vector<std::string>* cells) {
  cells->assign(1, {});
  bool quoted = false;
  size_t at = 0;
  for (; at < text->size(); ++at) {
    const char c = (*text)[at];
    if (c == '\n') ++*line;
    if (quoted) {
      if (c != '"') {
        cells->back().push_back(c);
      } else if (at + 1 < text->size() && (*text)[at + 1] == '"') {
        cells->back().push_back('"');
        ++at;
      } else {
        quoted = false;
      }
    } else if (c == '"' && cells->back().empty()) {
      quoted = true;
    } else if (c == ',') {
      cells->emplace_back();
    } else if (c == '\n') {
      ++at;
      break;
    } else if (c != '\r') {
      cells->back().push_back(c);
    }
  }
  text->remove_prefix(at);
  return !quoted;
}

std::string_view Trim(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::optional<double> ParseReal(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (!std::isfinite(value)) return std::nullopt;
  return value;
}

}  // namespace

Result<CsvTable> CsvTable::Parse(std::string file, std::string_view text) {
  CsvTable table;
  table.file_ = std::move(file);
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  size_t line = 1;
  std::vector<std::string> cells;
  while (!text.empty()) {
    CsvRow row{.line = line, .cells = {}};
    if (!TakeRow(&text, &line, &cells)) {
      return Fail(table.At(row, "a quote is opened here and never closed"));
    }
    if (cells.size() == 1 && Trim(cells[0]).empty()) continue;
    for (const std::string& cell : cells) row.cells.emplace_back(Trim(cell));
    if (table.names_.empty()) {
      table.names_ = std::move(row.cells);
      continue;
    }
    if (row.cells.size() != table.names_.size()) {
      return Fail(table.At(row, fmt::format("{} cells, where the first row names {} columns",
                                            row.cells.size(), table.names_.size())));
    }
    table.rows_.push_back(std::move(row));
  }
  if (table.names_.empty()) {
    return Fail(Code::kInvalidArgument, fmt::format("{}: is empty", table.file_));
  }
  return table;
}

std::optional<size_t> CsvTable::Column(std::string_view name) const {
  const auto at = std::ranges::find(names_, name);
  if (at == names_.end()) return std::nullopt;
  return static_cast<size_t>(at - names_.begin());
}

Result<size_t> CsvTable::Required(std::string_view name) const {
  const std::optional<size_t> column = Column(name);
  if (column) return *column;
  return Fail(Code::kInvalidArgument, fmt::format("{}:1: there is no column \"{}\", only {}", file_,
                                                  name, fmt::join(names_, ", ")));
}

Error CsvTable::At(const CsvRow& row, std::string_view what) const {
  return {Code::kInvalidArgument, fmt::format("{}:{}: {}", file_, row.line, what)};
}

Result<int64_t> CsvTable::Number(const CsvRow& row, size_t column, int64_t most) const {
  const std::string& cell = row.cells[column];
  const std::optional<double> value = ParseReal(cell);
  const bool whole =
      value && *value >= 0 && *value <= static_cast<double>(most) && std::trunc(*value) == *value;
  if (whole) return static_cast<int64_t>(*value);
  return Fail(At(
      row, fmt::format("{} \"{}\" is no whole number from 0 to {}", names_[column], cell, most)));
}

Result<std::optional<double>> CsvTable::Seconds(const CsvRow& row, size_t column) const {
  const std::string& cell = row.cells[column];
  if (cell.empty()) return std::optional<double>();
  const std::optional<double> value = ParseReal(cell);
  if (value && *value >= 0) return value;
  return Fail(At(row, fmt::format("{} \"{}\" is no time in seconds", names_[column], cell)));
}

}  // namespace hami::simulate
