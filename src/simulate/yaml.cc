// SPDX-License-Identifier: Apache-2.0

#include "simulate/yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>
#include <sstream>
#include <utility>

#include "base/json_writer.h"

namespace hami::simulate {
namespace {

// How often a text may say itself over again by aliases, and what any text may.
constexpr size_t kMostTimes = 16;
constexpr size_t kAlwaysBytes = size_t{1} << 20;
constexpr int kMostLevels = 200;

Error At(const std::string& file, const YAML::Mark& mark, std::string_view what) {
  return {Code::kInvalidArgument, mark.is_null()
                                      ? fmt::format("{}: {}", file, what)
                                      : fmt::format("{}:{}: {}", file, mark.line + 1, what)};
}

template <typename Number>
std::optional<Number> Parse(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

// A plain word means a flag, a number or nothing where it looks like one; in quotes it is a text.
void WriteScalar(const YAML::Node& node, base::JsonWriter* json) {
  const std::string& text = node.Scalar();
  if (node.Tag() == "!" || node.Tag() == "tag:yaml.org,2002:str") {
    json->Value(text);
  } else if (text == "true" || text == "True" || text == "TRUE") {
    json->Value(true);
  } else if (text == "false" || text == "False" || text == "FALSE") {
    json->Value(false);
  } else if (const std::optional<int64_t> whole = Parse<int64_t>(text)) {
    json->Value(*whole);
  } else if (const std::optional<double> real = Parse<double>(text);
             real && std::isfinite(*real) && text.find_first_of("0123456789") != text.npos) {
    json->Value(*real);
  } else {
    json->Value(text);
  }
}

class Writer {
 public:
  Writer(const std::string& file, size_t most_bytes) : file_(file), most_bytes_(most_bytes) {}

  Status Write(const YAML::Node& node, int level) {
    bytes_ += 8 + (node.IsScalar() ? node.Scalar().size() : 0);
    if (level > kMostLevels) return Fail(At(file_, node.Mark(), "is nested too deeply"));
    if (bytes_ > most_bytes_) return Fail(At(file_, node.Mark(), "its aliases make it too large"));
    if (node.IsMap()) return WriteMap(node, level);
    if (node.IsSequence()) {
      json_.BeginArray();
      for (const YAML::Node& item : node) RETURN_IF_ERROR(Write(item, level + 1));
      json_.EndArray();
    } else if (node.IsScalar()) {
      WriteScalar(node, &json_);
    } else {
      json_.Null();
    }
    return {};
  }

  std::string Take() && { return std::move(json_).Take(); }

 private:
  Status WriteMap(const YAML::Node& node, int level) {
    json_.BeginObject();
    for (const auto& member : node) {
      if (!member.first.IsScalar()) {
        return Fail(At(file_, member.first.Mark(), "a name that is no plain word"));
      }
      bytes_ += member.first.Scalar().size();
      json_.Key(member.first.Scalar());
      RETURN_IF_ERROR(Write(member.second, level + 1));
    }
    json_.EndObject();
    return {};
  }

  const std::string& file_;
  const size_t most_bytes_;
  base::JsonWriter json_;
  size_t bytes_ = 0;
};

// Sees where documents begin.
class DocumentStarts : public YAML::EventHandler {
 public:
  const YAML::Mark& last() const { return last_; }

  void OnDocumentStart(const YAML::Mark& mark) override { last_ = mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

 private:
  YAML::Mark last_ = YAML::Mark::null_mark();
};

// Before a sign that may not stand there (a comma at the beginning) the library, 0.7, sees one
// empty document after another, without an end.
Status CheckItEnds(const std::string& file, const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  DocumentStarts starts;
  YAML::Mark before = YAML::Mark::null_mark();
  while (parser.HandleNextDocument(starts)) {
    if (starts.last().pos == before.pos) {
      return Fail(At(file, before, "a sign that may not stand here"));
    }
    before = starts.last();
  }
  return {};
}

// What `kubectl get -o yaml` prints of several objects is one, with the others in it.
bool IsList(const YAML::Node& node) {
  if (!node.IsMap()) return false;
  const YAML::Node kind = node["kind"];
  const YAML::Node items = node["items"];
  return kind && kind.IsScalar() && kind.Scalar().ends_with("List") && items && items.IsSequence();
}

Status ReadOne(const std::string& file, const YAML::Node& node, size_t most_bytes,
               std::vector<YamlDocument>* documents) {
  if (!node || node.IsNull()) return {};
  if (IsList(node)) {
    for (const YAML::Node& item : node["items"]) {
      RETURN_IF_ERROR(ReadOne(file, item, most_bytes, documents));
    }
    return {};
  }
  Writer writer(file, most_bytes);
  RETURN_IF_ERROR(writer.Write(node, 0));
  const size_t line = node.Mark().is_null() ? 1 : static_cast<size_t>(node.Mark().line) + 1;
  documents->push_back({line, std::move(writer).Take()});
  return {};
}

}  // namespace

Result<std::vector<YamlDocument>> ReadYaml(const std::string& file, std::string_view text) {
  const size_t most_bytes = kAlwaysBytes + kMostTimes * text.size();
  std::vector<YamlDocument> documents;
  try {
    const std::string whole(text);
    RETURN_IF_ERROR(CheckItEnds(file, whole));
    for (const YAML::Node& node : YAML::LoadAll(whole)) {
      RETURN_IF_ERROR(ReadOne(file, node, most_bytes, &documents));
    }
  } catch (const YAML::Exception& error) {
    return Fail(At(file, error.mark, error.msg));
  }
  return documents;
}

}  // namespace hami::simulate
