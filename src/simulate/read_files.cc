// SPDX-License-Identifier: Apache-2.0

#include "simulate/read_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/file.h"
#include "json/value.h"
#include "simulate/csv.h"
#include "simulate/manifest.h"
#include "simulate/openb.h"
#include "simulate/yaml.h"

namespace hami::simulate {
namespace {

constexpr size_t kMostFileBytes = size_t{1} << 30;

bool IsTable(const std::string& file, std::string_view text) {
  if (file.ends_with(".csv")) return true;
  const std::string_view first = text.substr(0, text.find('\n'));
  return first.find(',') != std::string_view::npos &&
         first.find_first_of(":{[#") == std::string_view::npos;
}

Status AddTable(const vendor::Registry& registry, const std::string& file, std::string_view text,
                Scenario* scenario) {
  ASSIGN_OR_RETURN(const CsvTable table, CsvTable::Parse(file, text));
  ASSIGN_OR_RETURN(const TableKind kind, KindOfTable(table));
  if (kind == TableKind::kNodes) {
    ASSIGN_OR_RETURN(std::vector<placement::NodeFacts> nodes, ReadTraceNodes(table, registry));
    std::ranges::move(nodes, std::back_inserter(scenario->nodes));
    return {};
  }
  ASSIGN_OR_RETURN(TracePods trace, ReadTracePods(file, table, registry));
  std::ranges::move(trace.pods, std::back_inserter(scenario->pods));
  scenario->timed = scenario->timed || trace.timed;
  return {};
}

}  // namespace

Status AddText(const vendor::Registry& registry, const std::string& file, std::string_view text,
               Scenario* scenario) {
  if (IsTable(file, text)) return AddTable(registry, file, text, scenario);
  ASSIGN_OR_RETURN(const std::vector<YamlDocument> documents, ReadYaml(file, text));
  if (documents.empty()) {
    return Fail(Code::kInvalidArgument, fmt::format("{}: holds no objects", file));
  }
  json::Document parsed;
  for (const YamlDocument& document : documents) {
    const std::string source = fmt::format("{}:{}", file, document.line);
    if (Status read = parsed.Parse(document.json); !read) {
      return Fail(std::move(read).error().Wrap(source));
    }
    RETURN_IF_ERROR(AddObject(registry, source, parsed.root(), scenario));
  }
  return {};
}

Status AddFile(const vendor::Registry& registry, const std::string& path, Scenario* scenario) {
  const std::string file = path == "-" ? "/dev/stdin" : path;
  Result<std::string> text = base::ReadFile(file, kMostFileBytes);
  if (!text) return Fail(std::move(text).error());
  return AddText(registry, path == "-" ? "standard input" : path, *text, scenario);
}

}  // namespace hami::simulate
