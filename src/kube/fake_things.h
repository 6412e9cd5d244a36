// SPDX-License-Identifier: Apache-2.0
//
// For tests of reflectors: an object with one value, in both forms, and who notes what became of
// it.

#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/value.h"
#include "kube/encoded_object.h"
#include "kube/fake_protobuf.h"
#include "kube/reflector.h"
#include "protobuf/reader.h"

namespace hami::kube {

struct Thing {
  ObjectKey key;
  std::string value;
};

inline Result<Thing> DecodeThing(json::Value object) {
  if (object["data"]["v"].Text() == "bad") return Fail(Code::kInvalidArgument, "a bad value");
  const json::Value metadata = object["metadata"];
  return Thing{{std::string(metadata["namespace"].Text()), std::string(metadata["name"].Text())},
               std::string(object["data"]["v"].Text())};
}

inline std::string Object(const std::string& name, const std::string& version,
                          const std::string& value) {
  return R"({"metadata":{"namespace":"ns","name":")" + name + R"(","resourceVersion":")" + version +
         R"("},"data":{"v":")" + value + "\"}}";
}

inline std::string Event(const std::string& type, const std::string& name,
                         const std::string& version, const std::string& value) {
  return R"({"type":")" + type + R"(","object":)" + Object(name, version, value) + "}\n";
}

inline std::string List(const std::string& version, const std::string& items) {
  return R"({"metadata":{"resourceVersion":")" + version + R"("},"items":[)" + items + "]}";
}

// Notes what it is told as "all a=1,b=2", "a=1", "-a@9" (deleted in version 9), and lets a test
// wait for the n-th word.
class Listener : public Watcher<Thing> {
 public:
  void OnReplace(std::vector<std::shared_ptr<const Thing>> all, uint64_t version) override {
    std::string text = "all";
    list_version = version;
    for (const auto& thing : all) text += " " + thing->key.name + "=" + thing->value;
    Note(text);
  }
  void OnUpsert(std::shared_ptr<const Thing> now) override {
    Note(now->key.name + "=" + now->value);
  }
  void OnDelete(const ObjectKey& key, uint64_t version) override {
    Note("-" + key.name + (version == 0 ? "" : "@" + std::to_string(version)));
  }

  std::atomic<uint64_t> list_version{0};  // of the last "all"

  std::vector<std::string> WaitFor(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return words_.size() >= count; });
    return words_;
  }

 private:
  void Note(std::string word) {
    const std::lock_guard lock(mutex_);
    words_.push_back(std::move(word));
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> words_;
};

// The same as protobuf: the value is all of the spec.
inline Result<Thing> DecodeProtobufThing(std::string_view message) {
  ASSIGN_OR_RETURN(ObjectFacts facts, ReadObjectFacts({.protobuf = message}));
  Thing thing{std::move(facts.key), ""};
  protobuf::Reader fields(message);
  while (fields.Next()) {
    if (fields.number() == 2) thing.value = fields.Text();
  }
  RETURN_IF_ERROR(fields.End());
  return thing;
}

inline std::string ProtobufEvent(const std::string& type, const std::string& name,
                                 const std::string& version, const std::string& value) {
  return FakeEvent(type, "Thing", FakeMessage("ns", name, version, value));
}

inline std::string Bookmark(const std::string& version, bool ends_initial_events) {
  const std::string end = R"("annotations":{"k8s.io/initial-events-end":"true"},)";
  return R"({"type":"BOOKMARK","object":{"metadata":{)" + (ends_initial_events ? end : "") +
         R"("resourceVersion":")" + version + "\"}}}\n";
}

inline std::string ProtobufBookmark(const std::string& version, bool ends_initial_events) {
  return FakeEvent("BOOKMARK", "Thing", FakeBookmark(version, ends_initial_events));
}

}  // namespace hami::kube
