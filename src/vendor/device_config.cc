// SPDX-License-Identifier: Apache-2.0
//
// HAMi's device-config.yaml (contract 1.3, 4.2, 6.2). The file is shared with the node's plugins:
// keys that only they read are known here and left alone. A key that nobody knows is a warning, a
// value of the wrong kind an error.

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "base/stable_sort.h"
#include "vendor/registry.h"
#include "vendor/table/table.h"

namespace hami::vendor {
namespace {

constexpr size_t kMostBytes = size_t{1} << 20;  // what a ConfigMap can hold
constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
// Of NVIDIA's own plugin, which reads the same file.
constexpr std::array<std::string_view, 5> kStockKeys = {"version", "flags", "resources", "sharing",
                                                        "imex"};

// Null for what is not there: an undefined node throws at the first question.
YAML::Node Child(const YAML::Node& node, const std::string& key) {
  const YAML::Node found = node[key];
  return found.IsDefined() ? found : YAML::Node();
}

std::string Scalar(const YAML::Node& node) { return node.IsScalar() ? node.Scalar() : ""; }

// Reads the keys of one mapping, and knows which were asked for.
class Section {
 public:
  Section(std::string path, const YAML::Node& node) : path_(std::move(path)), node_(node) {
    if (!node_.IsNull() && !node_.IsMap()) {
      Complain("", "is no mapping");
    }
  }

  bool is_there() const { return node_.IsMap(); }

  void Text(const char* key, std::string* value) {
    const YAML::Node found = Find(key);
    *value = Scalar(found);
    if (!found.IsNull() && !found.IsScalar()) Complain(key, "is no text");
    has_value_ = has_value_ || !value->empty();
  }

  // A resource's name, which stands in annotations and messages.
  void Name(const char* key, std::string* value) {
    Text(key, value);
    if (value->find_first_of(" ,:;\t\n") != std::string::npos || value->size() > 253) {
      Complain(key, fmt::format("\"{:.80}\" is no name", *value));
    }
  }

  void Number(const char* key, int32_t* value) {
    const YAML::Node found = Find(key);
    int64_t number = 0;
    if (!found.IsNull() && !YAML::convert<int64_t>::decode(found, number)) {
      Complain(key, "is no whole number");
    } else if (number < 0 || number > kMost) {
      Complain(key, fmt::format("{} is not from 0 to {}", number, kMost));
      number = 0;
    }
    *value = static_cast<int32_t>(number);
    has_value_ = has_value_ || number != 0;
  }

  void Flag(const char* key, bool* value) {
    const YAML::Node found = Find(key);
    *value = false;
    if (!found.IsNull() && !YAML::convert<bool>::decode(found, *value)) {
      Complain(key, "is neither true nor false");
    }
    has_value_ = has_value_ || *value;
  }

  // Read by others.
  void Pass(const char* key) {
    const YAML::Node found = Find(key);
    has_value_ = has_value_ || !found.IsNull();
  }

  YAML::Node List(const char* key) {
    const YAML::Node found = Find(key);
    if (!found.IsNull() && !found.IsSequence()) Complain(key, "is no list");
    return found;
  }

  std::string PathOf(std::string_view key) const { return fmt::format("{}.{}", path_, key); }

  void Warn(std::string_view key, std::string message) {
    warnings_.push_back({PathOf(key), std::move(message)});
  }
  void Complain(std::string_view key, std::string_view what) {
    if (!error_.empty()) return;
    error_ = fmt::format("{}: {}", key.empty() ? path_ : PathOf(key), what);
  }

  // Whether anything of it is set; the first error; warnings about keys that nobody asked for.
  Result<bool> Finish(std::vector<ConfigWarning>* warnings) {
    if (is_there()) {
      for (const auto& entry : node_) {
        const std::string key = Scalar(entry.first);
        if (!asked_.contains(key)) Warn(key.substr(0, 80), "is not known and has no effect");
      }
    }
    if (!error_.empty()) return Fail(Code::kInvalidArgument, error_);
    std::move(warnings_.begin(), warnings_.end(), std::back_inserter(*warnings));
    return has_value_;
  }

 private:
  YAML::Node Find(const char* key) {
    asked_.insert(key);
    return is_there() ? Child(node_, key) : YAML::Node();
  }

  std::string path_;
  YAML::Node node_;
  std::set<std::string> asked_;
  std::vector<ConfigWarning> warnings_;
  std::string error_;
  bool has_value_ = false;
};

// HAMi's "when factor > 1".
int32_t Factor(int32_t read) { return std::max(read, 1); }

void ReadNvidia(Section* section, Spec* spec) {
  section->Name("resourceCountName", &spec->resources.count);
  section->Name("resourceMemoryName", &spec->resources.memory);
  section->Name("resourceMemoryPercentageName", &spec->resources.memory_pct);
  section->Name("resourceCoreName", &spec->resources.cores);
  section->Name("resourcePriorityName", &spec->resources.priority);
  section->Flag("overwriteEnv", &spec->overwrite_env);
  section->Number("defaultMemory", &spec->units.default_memory_mib);
  section->Number("defaultCores", &spec->units.default_cores);
  section->Number("defaultGPUNum", &spec->units.default_count);
  section->Number("memoryFactor", &spec->units.memory_factor);
  spec->units.memory_factor = Factor(spec->units.memory_factor);
  section->Text("gpuCorePolicy", &spec->core_policy);
  if (!spec->core_policy.empty() && spec->core_policy != "default" &&
      spec->core_policy != "force" && spec->core_policy != "disable") {
    section->Warn("gpuCorePolicy",
                  fmt::format("\"{:.40}\" is none of default, force, disable", spec->core_policy));
  }
  if (spec->core_policy == "default") spec->core_policy.clear();
  section->Text("runtimeClassName", &spec->runtime_class);
  for (const char* key : {"disableCoreLimit", "migProfileAllowlist", "deviceSplitCount",
                          "deviceMemoryScaling", "deviceCoreScaling", "preConfiguredDeviceMemory",
                          "libCudaLogLevel", "enableNumaTopology"}) {
    section->Pass(key);
  }
}

// Count, memory and cores, as most sections have them.
void ReadShared(Section* section, Spec* spec) {
  section->Name("resourceCountName", &spec->resources.count);
  section->Name("resourceMemoryName", &spec->resources.memory);
  section->Name("resourceCoreName", &spec->resources.cores);
}

void ReadHygon(Section* section, Spec* spec) {
  ReadShared(section, spec);
  section->Number("memoryFactor", &spec->units.memory_factor);
  spec->units.memory_factor = Factor(spec->units.memory_factor);
}

void ReadCount(Section* section, Spec* spec) {
  section->Name("resourceCountName", &spec->resources.count);
}

void ReadMetax(Section* section, Spec* spec) {
  ResourceNames shared;
  std::string whole;
  bool topology_aware = false;
  section->Name("resourceCountName", &whole);
  section->Name("resourceVCountName", &shared.count);
  section->Name("resourceVMemoryName", &shared.memory);
  section->Name("resourceVCoreName", &shared.cores);
  section->Flag("sgpuTopologyAware", &topology_aware);
  if (spec->rule == ChoiceRule::kMetaxWhole) {
    spec->resources.count = whole;
  } else {
    spec->resources = shared;
    spec->topology_aware = topology_aware;
  }
}

void ReadKunlun(Section* section, Spec* spec) {
  ResourceNames shared;
  std::string whole;
  section->Name("resourceCountName", &whole);
  section->Name("resourceVCountName", &shared.count);
  section->Name("resourceVMemoryName", &shared.memory);
  if (spec->rule == ChoiceRule::kKunlun) {
    spec->resources.count = whole;
  } else {
    spec->resources = shared;
  }
}

void ReadEnflame(Section* section, Spec* spec) {
  const ResourceNames defaults = spec->resources;
  ResourceNames names;
  std::string whole;
  section->Name("resourceNameGCU", &whole);
  section->Name("resourceNameDRSGCU", &names.count);
  section->Name("resourceNameGCUMemory", &names.memory);
  section->Name("resourceNameGCUCore", &names.cores);
  section->Name("resourceNameVGCU", &names.shared_count);
  section->Name("resourceNameVGCUPercentage", &names.shared_pct);
  if (spec->rule != ChoiceRule::kEnflame) {
    spec->resources.count = whole;
    return;
  }
  // HAMi 2.10 takes the older name for the newer form if it stands alone.
  if (names.count.empty() && names.shared_pct.empty()) std::swap(names.count, names.shared_count);
  if (names.count.empty()) names.count = defaults.count;
  if (names.memory.empty()) names.memory = defaults.memory;
  if (names.cores.empty()) names.cores = defaults.cores;
  if (!names.shared_count.empty()) names.shared_slices = defaults.shared_slices;
  spec->resources = names;
}

struct SectionReader {
  const char* name;
  void (*read)(Section* section, Spec* spec);
};

constexpr std::array<SectionReader, 11> kReaders = {{{"nvidia", ReadNvidia},
                                                     {"cambricon", ReadShared},
                                                     {"hygon", ReadHygon},
                                                     {"metax", ReadMetax},
                                                     {"mthreads", ReadShared},
                                                     {"enflame", ReadEnflame},
                                                     {"kunlun", ReadKunlun},
                                                     {"awsneuron", ReadShared},
                                                     {"amd", ReadShared},
                                                     {"vastai", ReadCount},
                                                     {"biren", ReadCount}}};

// Words that become parts of annotation keys.
Status CheckWord(const Section& section, const std::string& word, std::set<std::string>* seen) {
  const bool is_word =
      !word.empty() && word.size() <= 40 && std::all_of(word.begin(), word.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.';
      });
  if (!is_word) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{}: \"{:.80}\" is no word", section.PathOf("commonWord"), word));
  }
  if (seen->insert(word).second) return {};
  return Fail(Code::kInvalidArgument,
              fmt::format("{}: \"{}\" stands twice", section.PathOf("commonWord"), word));
}

class Reader {
 public:
  Reader(const YAML::Node& root, const Families& families, std::vector<ConfigWarning>* warnings)
      : root_(root), families_(families), warnings_(warnings) {}

  Result<std::vector<Spec>> Read() {
    for (Spec& spec : SingleSpecs()) {
      words_.insert(spec.common_word);
      RETURN_IF_ERROR(ReadSingle(&spec));
      specs_.push_back(std::move(spec));
    }
    RETURN_IF_ERROR(ReadAscends());
    RETURN_IF_ERROR(ReadIluvatars());
    WarnOfUnknown();
    if (!has_value_) {
      return Fail(Code::kInvalidArgument, "all configurations are empty");
    }
    return std::move(specs_);
  }

 private:
  Status ReadSingle(Spec* spec) {
    const auto reader = std::find_if(kReaders.begin(), kReaders.end(), [spec](const auto& entry) {
      return spec->section == entry.name;
    });
    const YAML::Node node = Child(root_, spec->section);
    Section section(spec->section, node);
    if (!section.is_there()) {
      // HAMi makes a backend without names then: it reads what pods hold, and nothing else.
      spec->resources = {};
    } else {
      reader->read(&section, spec);
    }
    // A section that two entries share is complained of once.
    std::vector<ConfigWarning> again;
    const bool first = sections_.insert(spec->section).second;
    ASSIGN_OR_RETURN(const bool has_value, section.Finish(first ? warnings_ : &again));
    has_value_ = has_value_ || has_value;
    return {};
  }

  Status ReadAscends() {
    const YAML::Node node = Child(root_, "vnpus");
    if (node.IsNull()) return {};
    bool soft_split = false;
    YAML::Node list = node;
    if (node.IsMap()) {
      Section section("vnpus", node);
      section.Flag("hamiVnpuCore", &soft_split);
      list.reset(section.List("configs"));
      ASSIGN_OR_RETURN(const bool has_value, section.Finish(warnings_));
      has_value_ = has_value_ || has_value;
    } else if (!node.IsSequence()) {
      return Fail(Code::kInvalidArgument, "vnpus: is neither a mapping nor a list");
    }
    if (!list.IsSequence()) return {};
    for (size_t i = 0; i < list.size(); ++i) {
      ASSIGN_OR_RETURN(Spec spec, ReadAscend(fmt::format("vnpus.configs[{}]", i), list[i]));
      spec.soft_split = soft_split;
      has_value_ = true;
      if (families_.ascend) specs_.push_back(std::move(spec));
    }
    return {};
  }

  Result<Spec> ReadAscend(const std::string& path, const YAML::Node& node) {
    Section section(path, node);
    std::string word;
    section.Text("commonWord", &word);
    RETURN_IF_ERROR(CheckWord(section, word, &words_));
    Spec spec = AscendSpec(word);
    section.Pass("chipName");
    section.Name("resourceName", &spec.resources.count);
    section.Name("resourceMemoryName", &spec.resources.memory);
    section.Name("resourceCoreName", &spec.resources.cores);
    section.Number("memoryAllocatable", &spec.units.allocatable_mib);
    section.Number("memoryCapacity", &spec.units.capacity_mib);
    section.Number("memoryFactor", &spec.units.memory_factor);
    spec.units.memory_factor = Factor(spec.units.memory_factor);
    section.Pass("aiCore");
    section.Pass("aiCPU");
    section.Text("runtimeClassName", &spec.runtime_class);
    section.Flag("overwriteEnv", &spec.overwrite_env);
    section.Flag("superPod", &spec.units.in_pairs);
    const YAML::Node templates = section.List("templates");
    if (templates.IsSequence()) {
      for (size_t i = 0; i < templates.size(); ++i) {
        Section item(fmt::format("{}.templates[{}]", path, i), templates[i]);
        Template& piece = spec.units.templates.emplace_back();
        item.Text("name", &piece.name);
        item.Number("memory", &piece.memory_mib);
        item.Number("aiCore", &piece.ai_cores);
        item.Number("aiCPU", &piece.ai_cpus);
        if (piece.name.empty() || piece.memory_mib == 0) item.Complain("", "has no name or memory");
        RETURN_IF_ERROR(item.Finish(warnings_));
      }
    }
    base::StableSortBy(&spec.units.templates,
                       [](const Template& piece) { return piece.memory_mib; });
    RETURN_IF_ERROR(section.Finish(warnings_));
    return spec;
  }

  Status ReadIluvatars() {
    const YAML::Node list = Child(root_, "iluvatars");
    if (list.IsNull()) return {};
    if (!list.IsSequence()) return Fail(Code::kInvalidArgument, "iluvatars: is no list");
    for (size_t i = 0; i < list.size(); ++i) {
      Section section(fmt::format("iluvatars[{}]", i), list[i]);
      std::string word;
      section.Text("commonWord", &word);
      RETURN_IF_ERROR(CheckWord(section, word, &words_));
      Spec spec = IluvatarSpec(word);
      section.Pass("chipName");
      ReadShared(&section, &spec);
      RETURN_IF_ERROR(section.Finish(warnings_));
      has_value_ = true;
      if (families_.iluvatar) specs_.push_back(std::move(spec));
    }
    return {};
  }

  void WarnOfUnknown() {
    for (const auto& entry : root_) {
      const std::string key = Scalar(entry.first);
      const bool known = sections_.contains(key) || key == "vnpus" || key == "iluvatars" ||
                         std::find(kStockKeys.begin(), kStockKeys.end(), key) != kStockKeys.end();
      if (!known) warnings_->push_back({key.substr(0, 80), "is not known and has no effect"});
    }
  }

  const YAML::Node& root_;
  const Families& families_;
  std::vector<ConfigWarning>* warnings_;
  std::vector<Spec> specs_;
  std::set<std::string> words_;
  std::set<std::string> sections_;
  bool has_value_ = false;
};

}  // namespace

Result<Registry> Registry::FromDeviceConfig(std::string_view yaml,
                                            std::vector<ConfigWarning>* warnings) {
  return FromDeviceConfig(yaml, Families{}, warnings);
}

Result<Registry> Registry::FromDeviceConfig(std::string_view yaml, const Families& families,
                                            std::vector<ConfigWarning>* warnings) {
  std::vector<ConfigWarning> ignored;
  if (warnings == nullptr) warnings = &ignored;
  if (yaml.size() > kMostBytes) {
    return Fail(Code::kInvalidArgument,
                fmt::format("device configuration: {} bytes, at most {}", yaml.size(), kMostBytes));
  }
  try {
    const YAML::Node root = YAML::Load(std::string(yaml));
    if (root.IsNull()) {
      return Fail(Code::kInvalidArgument, "device configuration: all configurations are empty");
    }
    if (!root.IsMap()) {
      return Fail(Code::kInvalidArgument, "device configuration: is no mapping of sections");
    }
    Result<std::vector<Spec>> specs = Reader(root, families, warnings).Read();
    if (!specs) return Fail(std::move(specs.error()).Wrap("device configuration"));
    return Registry(*std::move(specs));
  } catch (const YAML::Exception& error) {
    return Fail(Code::kInvalidArgument, fmt::format("device configuration: {}", error.what()));
  }
}

}  // namespace hami::vendor
