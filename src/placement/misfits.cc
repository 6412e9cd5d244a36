// SPDX-License-Identifier: Apache-2.0

#include "placement/misfits.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace hami::placement {
namespace {

// Of rows and nodes: 10 MiB.
constexpr size_t kMostEntries = size_t{1} << 18;
// Words of one kind of request. Far fewer unless nodes come and go for weeks.
constexpr size_t kMostTexts = 4096;

}  // namespace

MisfitMemory::Row* MisfitMemory::RowOf(const CompiledRequest& compiled) {
  key_.clear();
  if (!AppendKind(compiled, &key_)) return nullptr;
  const Request& request = *compiled.request;
  if (request.check_native) {
    key_ += fmt::format("cpu {} memory {}", request.cpu_milli, request.memory_bytes);
  }
  for (const vendor::VendorId vendor : compiled.vendors) {
    if (compiled.quota.empty()) break;
    const QuotaLeft& left = compiled.quota[vendor];
    key_ += fmt::format("quota {} {}", left.memory_mib.value_or(-1), left.cores.value_or(-1));
    key_ += left.memory_mib ? 'm' : '-';
    key_ += left.cores ? 'c' : '-';
  }
  std::unique_ptr<Row>& row = rows_[key_];
  if (!row || row->texts.size() > kMostTexts) row = std::make_unique<Row>();
  row->used = ++clock_;
  row->nodes.resize(compiled.index->node_limit());
  Row* const found = row.get();
  while (rows_.size() > 1 && rows_.size() * found->nodes.size() > kMostEntries) {
    rows_.erase(
        std::ranges::min_element(rows_, {}, [](const auto& it) { return it.second->used; }));
  }
  return found;
}

Misfits::Misfits(const CompiledRequest& compiled, Fitter* fitter, MisfitMemory* memory)
    : compiled_(compiled), fitter_(*fitter), nearest_(compiled) {
  lock_ = std::unique_lock(memory->mutex_, std::try_to_lock);
  if (lock_.owns_lock()) row_ = memory->RowOf(compiled);
}

const std::string& Misfits::FindOut(uint32_t node) {
  if (!compiled_.asks.empty() && compiled_.index->node(node).devices.empty()) {
    return unregistered_;
  }
  Reason reason = Reason::kNone;
  if (!NativeFits(compiled_, node, &reason)) {
    native_ = ReasonWord(reason);
    return native_;
  }
  fitter_.Fit(node, &reasons_);
  if (text_.empty() || !(reasons_ == last_)) {
    // Neighbours often have the same reasons.
    text_ = reasons_.Text();
    last_ = reasons_;
  }
  if (!fitter_.gave_up()) return text_;
  gave_up_ = fmt::format("{}{}gave up after {} steps", text_, text_.empty() ? "" : ", ",
                         Fitter::kSearchSteps);
  return gave_up_;
}

void Misfits::Keep(uint32_t node, const std::optional<NodeDistance>& distance,
                   const std::string& text) {
  auto number = row_->text_numbers.find(text);
  if (number == row_->text_numbers.end()) {
    row_->texts.push_back(text);
    const auto last = static_cast<uint32_t>(row_->texts.size() - 1);
    number = row_->text_numbers.emplace(row_->texts.back(), last).first;
  }
  MisfitMemory::Entry& entry = row_->nodes[node];
  entry = {.version = compiled_.index->version(node),
           .distance = distance.value_or(NodeDistance{}),
           .text = number->second,
           .has_distance = distance.has_value()};
}

const std::string& Misfits::Look(uint32_t node) {
  if (node == NameIndex::kNone) return unregistered_;
  if (row_ != nullptr && row_->nodes[node].version == compiled_.index->version(node)) {
    const MisfitMemory::Entry& entry = row_->nodes[node];
    if (entry.has_distance) nearest_.Consider(node, entry.distance);
    return row_->texts[entry.text];
  }
  const std::string& text = FindOut(node);
  const std::optional<NodeDistance> distance = nearest_.Measure(node, fitter_);
  if (distance) nearest_.Consider(node, *distance);
  if (row_ != nullptr && &text != &gave_up_) Keep(node, distance, text);
  return text;
}

const std::string& Misfits::TextOf(uint32_t node) {
  if (node == NameIndex::kNone) return unregistered_;
  if (row_ != nullptr && row_->nodes[node].version == compiled_.index->version(node)) {
    return row_->texts[row_->nodes[node].text];
  }
  return FindOut(node);
}

}  // namespace hami::placement
