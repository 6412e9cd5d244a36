// SPDX-License-Identifier: Apache-2.0
//
// A cache of one kind of object, driven by standard input, for tests/cluster/test_kube_cache.py:
//
//   kube_cache_probe --kubeconfig FILE [--group G] [--version V] --resource R [--namespace N]
//                    [--silence-ms N] [--page-size N]
//
//   dump      one line: {"synced":..,"objects":{"ns/name":{"version":..,"data":..}},"stats":{..}}
//   get KEY   one line: the object's JSON, or {"error":..,"reason":..}
//   quit, or the end of input: ends
//
// Everything is answered with one line of JSON.

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>

#include "base/json_writer.h"
#include "base/log.h"
#include "kube/client.h"
#include "kube/config.h"
#include "kube/reflector.h"
#include "kube/store.h"

namespace hami {
namespace {

struct Entry {
  kube::ObjectKey key;
  std::string version;
  std::string data;  // JSON
};

Result<Entry> DecodeEntry(json::Value object) {
  const json::Value metadata = object["metadata"];
  return Entry{{std::string(metadata["namespace"].Text()), std::string(metadata["name"].Text())},
               std::string(metadata["resourceVersion"].Text()),
               object["data"].Json()};
}

void Print(std::string line) {
  line += '\n';
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fflush(stdout);
}

void Dump(const kube::Store<Entry>& store, const kube::Reflector<Entry>& reflector) {
  std::map<std::string, kube::Store<Entry>::Pointer> sorted;
  for (const auto& entry : store.All()) sorted.emplace(entry->key.Text(), entry);
  base::JsonWriter json;
  json.BeginObject().Member("synced", reflector.HasSynced());
  json.Key("objects").BeginObject();
  for (const auto& [key, entry] : sorted) {
    json.Key(key).BeginObject();
    json.Member("version", entry->version).Member("data", entry->data).EndObject();
  }
  const kube::ReflectorStats stats = reflector.stats();
  json.EndObject().Key("stats").BeginObject();
  json.Member("lists", stats.lists).Member("watches", stats.watches);
  json.Member("events", stats.events).Member("failures", stats.failures).EndObject();
  Print(std::move(json.EndObject()).Take());
}

void Get(kube::Client& client, const kube::ResourceType& type, const std::string& text) {
  const size_t slash = text.find('/');
  const kube::ObjectKey key = slash == std::string::npos
                                  ? kube::ObjectKey{"", text}
                                  : kube::ObjectKey{text.substr(0, slash), text.substr(slash + 1)};
  Result<std::string> object = client.Get(type, key);
  if (object) {
    while (!object->empty() && object->back() == '\n') object->pop_back();
    return Print(std::move(*object));
  }
  base::JsonWriter json;
  json.BeginObject().Member("error", base::CodeName(object.error().code));
  json.Member("reason", object.error().reason).Member("message", object.error().message);
  Print(std::move(json.EndObject()).Take());
}

int Run(int argc, char** argv) {
  std::map<std::string, std::string> options = {
      {"--version", "v1"}, {"--silence-ms", "150000"}, {"--page-size", "500"}};
  for (int i = 1; i + 1 < argc; i += 2) options[argv[i]] = argv[i + 1];
  base::StartLog({.level = base::LogLevel::kDebug});
  Result<kube::ClusterConfig> config = kube::LoadConfig(options["--kubeconfig"]);
  if (!config) {
    std::fprintf(stderr, "%s\n", config.error().message.c_str());
    return base::ExitCode(config.error().code);
  }
  const int64_t silence_ms = std::stoll(options["--silence-ms"]);
  kube::Client client(*config, {.user_agent = "kube_cache_probe",
                                .watch_silence_ms = silence_ms,
                                .read_silence_ms = std::min<int64_t>(silence_ms, 15'000)});
  const kube::ReflectorOptions reflector_options{
      .type = {options["--group"], options["--version"], options["--resource"]},
      .list = {.name_space = options["--namespace"]},
      .timing = {.page_size = std::stoi(options["--page-size"]),
                 .backoff = {.first_ms = 50, .max_ms = 1'000}}};
  kube::Store<Entry> store;
  const kube::Reflector<Entry> reflector(client, reflector_options, DecodeEntry, &store);
  for (std::string line; std::getline(std::cin, line) && line != "quit";) {
    if (line == "dump") Dump(store, reflector);
    if (line.starts_with("get ")) Get(client, reflector_options.type, line.substr(4));
  }
  return 0;
}

}  // namespace
}  // namespace hami

int main(int argc, char** argv) { return hami::Run(argc, argv); }
