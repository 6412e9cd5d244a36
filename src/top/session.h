// SPDX-License-Identifier: Apache-2.0
//
// What a person at the terminal has chosen: order, filter, place on the page. Keys in, state and
// screens out. Pure.

#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "top/keys.h"
#include "top/options.h"
#include "top/order.h"
#include "top/snapshot.h"
#include "top/text.h"

namespace hami::top {

struct ScreenSize {
  size_t columns = 80;
  size_t rows = 24;
};

enum class Wish : uint8_t { kNothing, kLook, kQuit };

class Session {
 public:
  explicit Session(const Options& options)
      : order_(options.order), filter_(options.filter), processes_(options.processes) {}

  Wish Press(const Key& key);

  // Exactly as many lines as fit, or fewer. Moves the page up where it would end too early.
  std::vector<Line> Screen(const Snapshot& snapshot, const ScreenSize& size);

 private:
  Wish Edit(const Key& key);
  Wish PressText(char text);
  void Scroll(const Key& key);
  std::string FootText() const;

  Order order_;
  std::string filter_;
  std::string typed_;    // while the filter is edited
  std::string problem_;  // with what was typed
  bool editing_ = false;
  bool helping_ = false;
  bool processes_ = true;
  size_t first_ = 0;  // line of the page that is on top
  size_t page_rows_ = 1;
};

// How a snapshot is sorted and filtered, in words; "" for the usual.
std::string DescribeView(const Order& order, std::string_view filter);

}  // namespace hami::top
