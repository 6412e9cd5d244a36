// SPDX-License-Identifier: Apache-2.0

#include "domain/label_expression.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string_view>

namespace hami::domain {
namespace {

bool ReadNumber(std::string_view text, int64_t* number) {
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && at == text.data() + text.size();
}

}  // namespace

bool LabelExpression::Holds(const std::map<std::string, std::string>& labels) const {
  const auto found = labels.find(key);
  const bool exists = found != labels.end();
  if (operation == "Exists") return exists;
  if (operation == "DoesNotExist") return !exists;
  const bool is_listed = exists && std::ranges::find(values, found->second) != values.end();
  if (operation == "In") return is_listed;
  if (operation == "NotIn") return !is_listed;
  if (operation != "Gt" && operation != "Lt") return true;
  int64_t number = 0;
  int64_t bound = 0;
  if (!exists || values.size() != 1 || !ReadNumber(found->second, &number) ||
      !ReadNumber(values.front(), &bound)) {
    return false;
  }
  return operation == "Gt" ? number > bound : number < bound;
}

std::vector<LabelExpression> ReadLabelExpressions(const json::Value& list) {
  std::vector<LabelExpression> expressions;
  for (const json::Value item : list.Elements()) {
    LabelExpression expression = {.key = std::string(item["key"].Text()),
                                  .operation = std::string(item["operator"].Text()),
                                  .values = {}};
    for (const json::Value value : item["values"].Elements()) {
      expression.values.emplace_back(value.Text());
    }
    expressions.push_back(std::move(expression));
  }
  return expressions;
}

}  // namespace hami::domain
