// SPDX-License-Identifier: Apache-2.0
//
// The only file of kube that knows yaml-cpp. Its exceptions end here.

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <filesystem>
#include <optional>

#include "base/file.h"
#include "kube/base64.h"
#include "kube/config.h"
#include "kube/config_rules.h"

namespace hami::kube {
namespace {

constexpr size_t kMaxBytes = 16 << 20;

// A file of the list, and the folder that its relative paths start from.
struct File {
  std::string path;
  std::string folder;
  YAML::Node root;
};

// An entry of `clusters`, `users` or `contexts`, with the file it stands in.
struct Entry {
  const File* file;
  YAML::Node node;
};

Error Bad(const File& file, std::string_view what) {
  return Error(Code::kInvalidArgument, fmt::format("kubeconfig {}: {}", file.path, what));
}

std::string Text(const YAML::Node& node, const char* key) {
  const YAML::Node value = node[key];
  return value && value.IsScalar() ? value.as<std::string>() : std::string();
}

bool Flag(const YAML::Node& node, const char* key) {
  const YAML::Node value = node[key];
  return value && value.IsScalar() && value.as<bool>();
}

std::string Path(const File& file, const YAML::Node& node, const char* key) {
  std::string path = Text(node, key);
  if (path.empty() || path.front() == '/') return path;
  return base::JoinPath(file.folder, path);
}

// NAME: the file, NAME-data: the same in base64, which wins.
Result<PemSource> Pem(const File& file, const YAML::Node& node, const std::string& key) {
  PemSource source;
  const std::string data = Text(node, (key + "-data").c_str());
  if (data.empty()) {
    source.file = Path(file, node, key.c_str());
    return source;
  }
  const std::optional<std::string> decoded = DecodeBase64(data);
  if (!decoded) return Fail(Bad(file, key + "-data is not base64"));
  source.text = *decoded;
  return source;
}

std::optional<Entry> Find(const std::vector<File>& files, const char* list, const char* kind,
                          const std::string& name) {
  for (const File& file : files) {
    const YAML::Node entries = file.root[list];
    if (!entries || !entries.IsSequence()) continue;
    for (const YAML::Node& entry : entries) {
      if (Text(entry, "name") == name) return Entry{&file, entry[kind]};
    }
  }
  return std::nullopt;
}

Status ReadCluster(const Entry& entry, ClusterConfig* config) {
  const YAML::Node& node = entry.node;
  config->server = Text(node, "server");
  config->tls_server_name = Text(node, "tls-server-name");
  config->insecure = Flag(node, "insecure-skip-tls-verify");
  config->proxy_url = Text(node, "proxy-url");
  ASSIGN_OR_RETURN(config->ca, Pem(*entry.file, node, "certificate-authority"));
  return {};
}

Status ReadExec(const Entry& entry, const YAML::Node& node, ExecPlugin* exec) {
  exec->command = Text(node, "command");
  exec->api_version = Text(node, "apiVersion");
  exec->install_hint = Text(node, "installHint");
  if (exec->command.empty()) return Fail(Bad(*entry.file, "exec has no command"));
  if (Text(node, "interactiveMode") == "Always") {
    return Fail(Code::kUnimplemented,
                fmt::format("kubeconfig {}: {} wants a terminal (interactiveMode: Always)",
                            entry.file->path, exec->command));
  }
  // As kubectl has it: a bare name is searched in PATH, a relative path starts at the file.
  if (exec->command.find('/') != std::string::npos) {
    exec->command = Path(*entry.file, node, "command");
  }
  for (const YAML::Node& argument : node["args"]) {
    exec->arguments.push_back(argument.as<std::string>());
  }
  for (const YAML::Node& variable : node["env"]) {
    exec->environment.emplace_back(Text(variable, "name"), Text(variable, "value"));
  }
  return {};
}

Status ReadUser(const Entry& entry, ClusterConfig* config) {
  const YAML::Node& node = entry.node;
  ASSIGN_OR_RETURN(config->certificate, Pem(*entry.file, node, "client-certificate"));
  ASSIGN_OR_RETURN(config->key, Pem(*entry.file, node, "client-key"));
  config->token = Text(node, "token");
  config->token_file = Path(*entry.file, node, "tokenFile");
  config->impersonate_user = Text(node, "as");
  for (const YAML::Node& group : node["as-groups"]) {
    config->impersonate_groups.push_back(group.as<std::string>());
  }
  for (const char* unknown : {"auth-provider", "username", "password", "as-uid", "as-user-extra"}) {
    if (node[unknown]) {
      return Fail(Code::kUnimplemented,
                  fmt::format("kubeconfig {}: {} is not supported", entry.file->path, unknown));
    }
  }
  if (node["exec"]) RETURN_IF_ERROR(ReadExec(entry, node["exec"], &config->exec));
  return {};
}

// Those that exist and say something.
Result<std::vector<File>> ReadFiles(const std::vector<std::string>& paths) {
  std::vector<File> files;
  bool found = false;
  for (const std::string& path : paths) {
    if (path.empty() || !base::Exists(path)) continue;
    found = true;
    ASSIGN_OR_RETURN(const std::string text, base::ReadFile(path, kMaxBytes));
    const File file{path, std::filesystem::absolute(path).parent_path().string(), YAML::Load(text)};
    if (file.root.IsNull()) continue;
    if (!file.root.IsMap()) return Fail(Bad(file, "is no mapping"));
    const std::string kind = Text(file.root, "kind");
    if (!kind.empty() && kind != "Config") return Fail(Bad(file, "kind is " + kind));
    files.push_back(file);
  }
  if (!found) {
    return Fail(Code::kNotFound,
                fmt::format("no kubeconfig: {} {}", fmt::join(paths, ", "),
                            paths.size() == 1 ? "does not exist" : "do not exist"));
  }
  return files;
}

Result<ClusterConfig> Read(const std::vector<std::string>& paths, std::string context) {
  ASSIGN_OR_RETURN(const std::vector<File> files, ReadFiles(paths));
  const std::string names = fmt::format("{}", fmt::join(paths, ":"));
  for (size_t i = 0; context.empty() && i < files.size(); ++i) {
    context = Text(files[i].root, "current-context");
  }
  if (context.empty()) {
    return Fail(Code::kInvalidArgument,
                fmt::format("kubeconfig {}: no current-context, and none was given", names));
  }
  const auto found = Find(files, "contexts", "context", context);
  if (!found) {
    return Fail(Code::kInvalidArgument,
                fmt::format("kubeconfig {}: no context \"{}\"", names, context));
  }
  ClusterConfig config;
  config.origin = fmt::format("kubeconfig {}, context {}", found->file->path, context);
  if (const std::string text = Text(found->node, "namespace"); !text.empty()) {
    config.name_space = text;
  }
  const std::string cluster = Text(found->node, "cluster");
  const auto cluster_entry = Find(files, "clusters", "cluster", cluster);
  if (!cluster_entry) {
    return Fail(Bad(*found->file, fmt::format("context \"{}\" names no known cluster (\"{}\")",
                                              context, cluster)));
  }
  RETURN_IF_ERROR(ReadCluster(*cluster_entry, &config));
  if (const std::string user = Text(found->node, "user"); !user.empty()) {
    const auto user_entry = Find(files, "users", "user", user);
    if (!user_entry) {
      return Fail(Bad(*found->file,
                      fmt::format("context \"{}\" names no known user (\"{}\")", context, user)));
    }
    // "user: {}" and nothing are the same: nobody.
    if (user_entry->node.IsMap()) RETURN_IF_ERROR(ReadUser(*user_entry, &config));
  }
  RETURN_IF_ERROR(FinishConfig(&config));
  return config;
}

}  // namespace

Result<ClusterConfig> LoadKubeconfig(const std::vector<std::string>& paths,
                                     const std::string& context) {
  try {
    return Read(paths, context);
  } catch (const std::exception& exception) {
    return Fail(Code::kInvalidArgument,
                fmt::format("kubeconfig {}: {}", fmt::join(paths, ":"), exception.what()));
  }
}

}  // namespace hami::kube
