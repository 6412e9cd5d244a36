// SPDX-License-Identifier: Apache-2.0
//
// The client and a cache of one kind of object, driven by standard input, for tests/cluster:
//
//   kube_cache_probe --kubeconfig FILE [--group G] [--version V] --resource R [--namespace N]
//                    [--silence-ms N] [--page-size N] [--streaming 1] [--protobuf 1]
//
//   dump                    {"synced":..,"objects":{"ns/name":{"version":..,"data":..}},..}
//   get KEY                 the object, or {"error":..,"reason":..,"message":..}; so do the next
//   create NS BODY
//   update | status | merge | json | strategic KEY BODY
//   delete KEY UID VERSION  "-" for none
//   event KIND KEY UID TEXT an Event of the core group, reason Probed; {"created":..,..}
//   version                 {"major":..,"minor":..}
//   served                  {"served":..}
//   stand KEY IDENTITY      for election, by a Lease of 4 s; {}
//   lead                    {"leads":..,"left_ms":..,"holder":..}
//   release                 gives the Lease back; {}
//   same                    all pods or nodes, as JSON and as protobuf, are the same to src/domain:
//                           {"objects":..,"different":[KEY..]}
//   quit, or the end of input: ends
//
// Every line is answered with one line of JSON.

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/json_writer.h"
#include "base/log.h"
#include "domain/node.h"
#include "domain/pod.h"
#include "domain/protobuf_objects.h"
#include "kube/client.h"
#include "kube/config.h"
#include "kube/discovery.h"
#include "kube/encoded_object.h"
#include "kube/event_recorder.h"
#include "kube/lease_holder.h"
#include "kube/protobuf_object.h"
#include "kube/reflector.h"
#include "kube/store.h"
#include "protobuf/reader.h"

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

// What a ConfigMap has in `data`, as the API server prints it: by name.
Result<Entry> DecodeProtobufEntry(std::string_view message) {
  ASSIGN_OR_RETURN(kube::ObjectFacts facts, kube::ReadObjectFacts({.protobuf = message}));
  std::map<std::string_view, std::string_view> data;
  protobuf::Reader fields(message);
  while (fields.Next()) {
    if (fields.number() != 2) continue;
    std::string_view pair[2];
    protobuf::Reader entry(fields.Text());
    while (entry.Next()) {
      if (entry.number() == 1 || entry.number() == 2) pair[entry.number() - 1] = entry.Text();
    }
    RETURN_IF_ERROR(entry.End());
    data[pair[0]] = pair[1];
  }
  RETURN_IF_ERROR(fields.End());
  base::JsonWriter json;
  if (!data.empty()) {
    json.BeginObject();
    for (const auto& [name, value] : data) json.Member(name, value);
    json.EndObject();
  }
  return Entry{std::move(facts.key), std::move(facts.resource_version), std::move(json).Take()};
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
  json.Member("streaming_lists", stats.streaming_lists);
  json.Member("without_streaming", stats.without_streaming);
  json.Member("without_protobuf", stats.without_protobuf);
  json.Member("events", stats.events).Member("failures", stats.failures).EndObject();
  Print(std::move(json.EndObject()).Take());
}

void PrintResult(Result<std::string> object) {
  if (object) {
    while (!object->empty() && object->back() == '\n') object->pop_back();
    return Print(std::move(*object));
  }
  base::JsonWriter json;
  json.BeginObject().Member("error", base::CodeName(object.error().code));
  json.Member("reason", object.error().reason).Member("message", object.error().message);
  Print(std::move(json.EndObject()).Take());
}

// The next word of a line; the rest stays.
std::string TakeWord(std::string* line) {
  const size_t end = std::min(line->find(' '), line->size());
  std::string word = line->substr(0, end);
  line->erase(0, end + 1);
  return word == "-" ? "" : word;
}

kube::ObjectKey TakeKey(std::string* line) {
  const std::string word = TakeWord(line);
  const size_t slash = word.find('/');
  if (slash == std::string::npos) return {"", word};
  return {word.substr(0, slash), word.substr(slash + 1)};
}

Result<std::string> Call(kube::Client& client, const kube::ResourceType& type,
                         const std::string& verb, std::string line) {
  if (verb == "create") {
    const std::string name_space = TakeWord(&line);
    return client.Create(type, name_space, line);
  }
  const kube::ObjectKey key = TakeKey(&line);
  if (verb == "get") return client.Get(type, key);
  if (verb == "update") return client.Update(type, key, line);
  if (verb == "status") return client.UpdateStatus(type, key, line);
  if (verb == "merge") return client.Patch(type, key, kube::PatchKind::kMerge, line);
  if (verb == "strategic") return client.Patch(type, key, kube::PatchKind::kStrategic, line);
  if (verb == "json") return client.Patch(type, key, kube::PatchKind::kJson, line);
  if (verb != "delete") return Fail(Code::kInvalidArgument, "no command " + verb);
  kube::Preconditions preconditions{.uid = TakeWord(&line)};
  preconditions.resource_version = TakeWord(&line);
  RETURN_IF_ERROR(client.Delete(type, key, preconditions));
  return "{}";
}

Result<std::string> Version(kube::Client& client) {
  ASSIGN_OR_RETURN(const kube::ServerVersion version, kube::GetServerVersion(client));
  base::JsonWriter json;
  json.BeginObject().Member("major", version.major).Member("minor", version.minor).EndObject();
  return std::move(json).Take();
}

Result<std::string> Served(kube::Client& client, const kube::ResourceType& type) {
  ASSIGN_OR_RETURN(const bool served, kube::IsServed(client, type));
  return std::string(served ? R"({"served":true})" : R"({"served":false})");
}

// Keys of what the two forms say differently about, all objects of a type.
template <typename T>
Result<std::string> Same(kube::Client& client, const kube::ResourceType& type,
                         Result<T> (*from_json)(const json::Value&),
                         Result<T> (*from_protobuf)(std::string_view)) {
  std::map<std::string, T> expected;
  ASSIGN_OR_RETURN(const kube::ObjectList list, client.List(type, {.page_size = 0}));
  for (const std::string& text : list.items) {
    json::Document document;
    RETURN_IF_ERROR(document.Parse(text));
    ASSIGN_OR_RETURN(const kube::ObjectFacts facts,
                     kube::ReadObjectFacts({.json = document.root()}));
    ASSIGN_OR_RETURN(T object, from_json(document.root()));
    expected.emplace(facts.key.Text(), std::move(object));
  }
  kube::ApiRequest request = kube::ListRequest(type, {.page_size = 0});
  request.accept = kube::kAcceptProtobuf;
  ASSIGN_OR_RETURN(const std::string text, client.Do(std::move(request)));
  ASSIGN_OR_RETURN(const kube::ProtobufObject envelope, kube::OpenEnvelope(text));
  base::JsonWriter json;
  json.BeginObject().Member("objects", expected.size()).Key("different").BeginArray();
  const auto compare = [&](std::string_view message) -> Status {
    ASSIGN_OR_RETURN(const kube::ObjectFacts facts, kube::ReadObjectFacts({.protobuf = message}));
    ASSIGN_OR_RETURN(const T object, from_protobuf(message));
    const auto found = expected.find(facts.key.Text());
    if (found == expected.end() || !(found->second == object)) json.Value(facts.key.Text());
    if (found != expected.end()) expected.erase(found);
    return {};
  };
  ASSIGN_OR_RETURN(const kube::ProtobufListFacts facts,
                   kube::ReadProtobufList(envelope.message, compare));
  for (const auto& [key, object] : expected) json.Value(key);
  json.EndArray().Member("same_version", facts.resource_version == list.resource_version);
  json.EndObject();
  return std::move(json).Take();
}

Result<std::string> Same(kube::Client& client, const kube::ResourceType& type) {
  if (type == kube::kPods) {
    return Same<domain::Pod>(client, type, domain::ReadPod, domain::ReadPodProtobuf);
  }
  return Same<domain::Node>(client, type, domain::ReadNode, domain::ReadNodeProtobuf);
}

std::unique_ptr<kube::LeaseHolder> Stand(kube::Client& client, const kube::ObjectKey& lease,
                                         const std::string& identity) {
  const kube::ElectionOptions options{.lease = lease,
                                      .identity = identity,
                                      .lease_s = 4,
                                      .renew_deadline_ms = 3'000,
                                      .retry_ms = 500};
  return std::make_unique<kube::LeaseHolder>(client, options, [](bool) {});
}

std::string Lead(const kube::LeaseHolder& holder) {
  base::JsonWriter json;
  json.BeginObject().Member("leads", holder.IsLeader()).Member("left_ms", holder.LeftMs());
  json.Member("holder", holder.holder()).EndObject();
  return std::move(json).Take();
}

void Event(kube::EventRecorder& recorder, std::string line) {
  kube::EventSubject subject{.api_version = "v1", .kind = TakeWord(&line)};
  subject.key = TakeKey(&line);
  subject.uid = TakeWord(&line);
  recorder.Record(subject, {.is_warning = true, .reason = "Probed", .message = line});
  recorder.Flush(30'000);
  const kube::EventStats stats = recorder.stats();
  base::JsonWriter json;
  json.BeginObject().Member("created", stats.created).Member("updated", stats.updated);
  Print(std::move(json.Member("dropped", stats.dropped).EndObject()).Take());
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
                 .streaming = options.contains("--streaming"),
                 .backoff = {.first_ms = 50, .max_ms = 1'000}}};
  kube::Store<Entry> store;
  kube::Decoders<Entry> decoders{DecodeEntry, nullptr};
  if (options.contains("--protobuf")) decoders.protobuf = DecodeProtobufEntry;
  const kube::Reflector<Entry> reflector(client, reflector_options, decoders, &store);
  kube::EventRecorder recorder(client, "probe", "here");
  std::unique_ptr<kube::LeaseHolder> holder;
  for (std::string line; std::getline(std::cin, line) && line != "quit";) {
    const std::string verb = TakeWord(&line);
    if (verb == "dump") {
      Dump(store, reflector);
    } else if (verb == "event") {
      Event(recorder, line);
    } else if (verb == "version") {
      PrintResult(Version(client));
    } else if (verb == "served") {
      PrintResult(Served(client, reflector_options.type));
    } else if (verb == "stand") {
      const kube::ObjectKey lease = TakeKey(&line);
      holder = Stand(client, lease, TakeWord(&line));
      Print("{}");
    } else if (verb == "lead") {
      Print(Lead(*holder));
    } else if (verb == "release") {
      const Status released = holder->Release(10'000);
      PrintResult(released ? Result<std::string>("{}") : Fail(released.error()));
    } else if (verb == "same") {
      PrintResult(Same(client, reflector_options.type));
    } else {
      PrintResult(Call(client, reflector_options.type, verb, line));
    }
  }
  return 0;
}

}  // namespace
}  // namespace hami

int main(int argc, char** argv) { return hami::Run(argc, argv); }
