// SPDX-License-Identifier: Apache-2.0

#include "extender/wire.h"

#include <algorithm>
#include <unordered_set>

#include "base/json_writer.h"

namespace hami::extender {
namespace {

using base::JsonWriter;

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// `key` is in lower case.
bool IsKey(std::string_view name, std::string_view key) {
  if (name.size() != key.size()) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    if (Lower(name[i]) != key[i]) return false;
  }
  return true;
}

// As Go reads it: the last one of several that differ in case only.
json::Value Member(json::Value object, std::string_view key) {
  json::Value found;
  for (const auto& [name, value] : object.Members()) {
    if (IsKey(name, key)) found = value;
  }
  return found;
}

Result<json::Value> ReadArgs(std::string_view body, json::Document* document) {
  if (const Status parsed = document->Parse(body); !parsed) {
    return Fail(Error(parsed.error()).Wrap("extender args"));
  }
  if (document->root().kind() != json::Kind::kObject) {
    return Fail(Code::kInvalidArgument, "extender args are no JSON object");
  }
  return document->root();
}

Status ReadNames(json::Value list, FilterArgs* args) {
  if (!list.ReadTexts(&args->names) ||
      std::ranges::any_of(args->names, [](std::string_view name) { return name.empty(); })) {
    return Fail(Code::kInvalidArgument, "extender args have a node name that is no text");
  }
  return {};
}

Status ReadNodes(json::Value list, FilterArgs* args) {
  std::unordered_set<std::string_view> seen;
  const json::Value items = Member(list, "items");
  for (const json::Value item : items.Elements()) {
    const std::string_view name = item["metadata"]["name"].Text();
    if (name.empty()) return Fail(Code::kInvalidArgument, "extender args have a node without name");
    if (!seen.insert(name).second) continue;
    args->names.push_back(name);
    args->nodes.push_back(item);
  }
  return {};
}

void WriteReasons(std::string_view name,
                  const std::vector<std::pair<std::string_view, std::string_view>>& reasons,
                  JsonWriter* json) {
  json->Key(name);
  if (reasons.empty()) {
    json->Null();
    return;
  }
  json->BeginObject();
  for (const auto& [node, reason] : reasons) json->Member(node, reason);
  json->EndObject();
}

// The chosen of Nodes as they came. Written as text, because the writer has no raw values.
std::string ChosenItems(const FilterArgs& args, const FilterResult& result) {
  const std::unordered_set<std::string_view> chosen(result.chosen.begin(), result.chosen.end());
  std::string text = R"({"metadata":{},"items":[)";
  bool first = true;
  for (size_t i = 0; i < args.nodes.size(); ++i) {
    if (!chosen.contains(args.names[i])) continue;
    if (!first) text += ',';
    first = false;
    text += args.nodes[i].Json();
  }
  return text + "]}";
}

}  // namespace

Result<FilterArgs> ReadFilterArgs(std::string_view body, json::Document* document) {
  ASSIGN_OR_RETURN(const json::Value root, ReadArgs(body, document));
  FilterArgs args;
  args.pod = Member(root, "pod");
  if (args.pod.kind() != json::Kind::kObject) {
    return Fail(Code::kInvalidArgument, "extender args missing pod");
  }
  const json::Value names = Member(root, "nodenames");
  const json::Value nodes = Member(root, "nodes");
  args.has_names = names.kind() == json::Kind::kArray;
  args.has_nodes = nodes.kind() == json::Kind::kObject;
  if (args.has_names) {
    RETURN_IF_ERROR(ReadNames(names, &args));
  } else if (args.has_nodes) {
    RETURN_IF_ERROR(ReadNodes(nodes, &args));
  } else {
    return Fail(Code::kInvalidArgument, "extender args have neither NodeNames nor Nodes");
  }
  return args;
}

Result<PreemptArgs> ReadPreemptArgs(std::string_view body, json::Document* document) {
  PreemptArgs args;
  ASSIGN_OR_RETURN(const json::Value root, ReadArgs(body, document));
  args.pod = Member(root, "pod");
  if (args.pod.kind() != json::Kind::kObject) {
    return Fail(Code::kInvalidArgument, "extender args missing pod");
  }
  const json::Value meta = Member(root, "nodenametometavictims");
  const bool are_uids = meta.kind() == json::Kind::kObject;
  const json::Value nodes = are_uids ? meta : Member(root, "nodenametovictims");
  if (nodes.kind() != json::Kind::kObject) {
    return Fail(Code::kInvalidArgument, "extender args have no victims");
  }
  for (const auto& [name, victims] : nodes.Members()) {
    PreemptArgs::Node& node = args.nodes.emplace_back();
    node.name = name;
    node.budget_violations = Member(victims, "numpdbviolations").Int();
    for (const json::Value pod : Member(victims, "pods").Elements()) {
      node.victims.push_back(are_uids ? Member(pod, "uid").Text() : pod["metadata"]["uid"].Text());
      if (node.victims.back().empty()) {
        return Fail(Code::kInvalidArgument, "extender args have a victim without uid");
      }
    }
  }
  return args;
}

std::string WritePreemptResult(std::span<const PreemptArgs::Node> nodes) {
  JsonWriter json;
  json.BeginObject().Key("NodeNameToMetaVictims").BeginObject();
  for (const PreemptArgs::Node& node : nodes) {
    json.Key(node.name).BeginObject().Key("Pods").BeginArray();
    for (const std::string_view uid : node.victims) {
      json.BeginObject().Member("UID", uid).EndObject();
    }
    json.EndArray().Member("NumPDBViolations", node.budget_violations).EndObject();
  }
  json.EndObject().EndObject();
  return std::move(json).Take();
}

Result<BindArgs> ReadBindArgs(std::string_view body) {
  json::Document document;
  if (const Status parsed = document.Parse(body); !parsed) {
    return Fail(Error(parsed.error()).Wrap("extender binding args"));
  }
  const json::Value root = document.root();
  BindArgs args;
  const auto read = [root](std::string_view key, std::string* into) -> Status {
    *into = Member(root, key).Text();
    if (!into->empty()) return {};
    return Fail(Code::kInvalidArgument, "extender binding args have no " + std::string(key));
  };
  RETURN_IF_ERROR(read("podname", &args.pod_name));
  RETURN_IF_ERROR(read("podnamespace", &args.pod_namespace));
  RETURN_IF_ERROR(read("poduid", &args.pod_uid));
  RETURN_IF_ERROR(read("node", &args.node));
  return args;
}

std::string WriteFilterResult(const FilterArgs& args, const FilterResult& result) {
  JsonWriter json;
  json.BeginObject();
  json.Key("NodeNames");
  const bool failed = !result.error.empty();
  if (failed) {
    json.Null();
  } else {
    // Also beside Nodes: kube-scheduler reads what its own configuration says.
    json.BeginArray();
    for (const std::string_view name : result.chosen) json.Value(name);
    json.EndArray();
  }
  WriteReasons("FailedNodes", result.failed, &json);
  WriteReasons("FailedAndUnresolvableNodes", result.unresolvable, &json);
  json.Member("Error", result.error);
  json.EndObject();
  std::string text = std::move(json).Take();
  text.pop_back();
  text += R"(,"Nodes":)";
  text += !failed && !args.has_names && args.has_nodes ? ChosenItems(args, result) : "null";
  return text + "}";
}

std::string WriteFilterError(std::string_view error) {
  FilterResult result;
  result.error = error;
  return WriteFilterResult({}, result);
}

std::string WriteBindResult(std::string_view error) {
  JsonWriter json;
  json.BeginObject().Member("Error", error).EndObject();
  return std::move(json).Take();
}

std::string WritePriorities(std::span<const std::pair<std::string_view, int64_t>> scores) {
  JsonWriter json;
  json.BeginArray();
  for (const auto& [node, score] : scores) {
    json.BeginObject().Member("Host", node).Member("Score", score).EndObject();
  }
  json.EndArray();
  return std::move(json).Take();
}

}  // namespace hami::extender
