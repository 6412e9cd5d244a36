// SPDX-License-Identifier: Apache-2.0
//
// Columns that fit into a width. What does not fit is left out, the least important column first;
// the flexible column takes what is left, and loses the ends of its texts. Pure; ASCII.

#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace hami::top {

struct Column {
  std::string title;
  bool right = false;     // numbers stand right
  bool flexible = false;  // at most one in a table
  int rank = 0;           // 0: never left out; larger ones are first
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // As many cells as columns.
  void Add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  bool empty() const { return rows_.empty(); }

  // The titles, then the rows; no line is longer than `width` or ends with a space.
  std::vector<std::string> Lines(size_t width) const;

 private:
  std::vector<size_t> WidthsFor(size_t width) const;  // 0: left out

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// The first `width` characters; the last is "~" where something is missing.
std::string Cut(std::string text, size_t width);

}  // namespace hami::top
