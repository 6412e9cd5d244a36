// SPDX-License-Identifier: Apache-2.0

#include "domain/pair_scores.h"

#include "base/json_writer.h"
#include "domain/json_fields.h"
#include "json/value.h"

namespace hami::domain {
namespace {

Status ReadDevice(const json::Value& object, PairScores* scores) {
  RETURN_IF_ERROR(CheckObject(object, "[]"));
  ASSIGN_OR_RETURN(const std::string id, ReadText(object, "uuid"));
  if (id.empty()) return Fail(Code::kInvalidArgument, "no uuid");
  std::map<std::string, int32_t>& others = (*scores)[id];
  const json::Value list = FindMember(object, "score");
  if (list.kind() == json::Kind::kMissing || list.kind() == json::Kind::kNull) return {};
  RETURN_IF_ERROR(CheckObject(list, "score"));
  for (const auto& [other, value] : list.Members()) {
    ASSIGN_OR_RETURN(others[std::string(other)], ToInt32(value, other));
  }
  return {};
}

}  // namespace

Result<PairScores> ParsePairScores(std::string_view text) {
  json::Document document;
  RETURN_IF_ERROR(document.Parse(text));
  if (document.root().kind() != json::Kind::kArray) {
    return Fail(Code::kInvalidArgument, "the list of pair scores is no array");
  }
  PairScores scores;
  for (const json::Value item : document.root().Elements()) {
    RETURN_IF_ERROR(ReadDevice(item, &scores));
  }
  return scores;
}

std::string FormatPairScores(const PairScores& scores) {
  base::JsonWriter json;
  json.BeginArray();
  for (const auto& [id, others] : scores) {
    json.BeginObject().Member("uuid", id).Key("score").BeginObject();
    for (const auto& [other, score] : others) json.Member(other, score);
    json.EndObject().EndObject();
  }
  json.EndArray();
  return std::move(json).Take();
}

}  // namespace hami::domain
