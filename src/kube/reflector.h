// SPDX-License-Identifier: Apache-2.0
//
// Keeps a consumer up to date about all objects of a kind: Reflector<T> lists and watches, turns
// each object into a T (a small struct of what the consumer wants), and calls its Watcher<T>.
//
//   struct NodeFacts { kube::ObjectKey key; std::string uid; ... };
//   Result<NodeFacts> DecodeNode(json::Value object);
//
//   kube::Store<NodeFacts> store;
//   kube::Reflector<NodeFacts> nodes(client, {.type = kube::kNodes}, DecodeNode, &store);
//   RETURN_IF_ERROR(nodes.WaitForSync(10'000));
//
// With Decoders, which have a second one for protobuf, the server is asked for that: two thirds of
// the bytes of a pod, and of the time to read it. What cannot be understood so is asked for as JSON
// from then on, with a warning.
//
// Calls of one watcher arrive in the order of the server's versions and never concurrently: on the
// client's I/O thread, where they must not block, or wherever `executor` runs what it is given.

#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "json/value.h"
#include "kube/client.h"
#include "kube/encoded_object.h"
#include "kube/list_watch.h"
#include "kube/object.h"
#include "kube/request.h"

namespace hami::kube {

template <typename T>
class Watcher {
 public:
  virtual ~Watcher() = default;
  // After each full list: these are all, as of `version`, the list's VersionNumber; 0: not known.
  // An API server may list what is older than what it told before.
  virtual void OnReplace(std::vector<std::shared_ptr<const T>> all, uint64_t version) = 0;
  virtual void OnUpsert(std::shared_ptr<const T> now) = 0;
  // `version` is the deletion's VersionNumber; 0: not known.
  virtual void OnDelete(const ObjectKey& key, uint64_t version) = 0;
};

// Runs tasks one at a time, in order, any time later.
using Executor = std::function<void(std::function<void()>)>;

// A T of an object, read within the call. An object that cannot be decoded is left out, with a
// warning.
template <typename T>
using Decoder = std::function<Result<T>(json::Value object)>;

template <typename T>
struct Decoders {
  Decoder<T> json;
  // Of the message of the reflector's type, without envelope.
  std::function<Result<T>(std::string_view message)> protobuf;
};

struct ReflectorOptions {
  ResourceType type;
  ListOptions list;  // namespace and selectors
  ListWatchOptions timing;
  Executor executor;  // none: the I/O thread
};

// Counted since the start.
struct ReflectorStats {
  uint64_t lists = 0;     // complete ones
  uint64_t watches = 0;   // begun
  uint64_t events = 0;    // without bookmarks
  uint64_t failures = 0;  // of lists and watches
  uint64_t undecodable = 0;
  uint64_t streaming_lists = 0;  // of the lists
  // What was wanted and is not had; both are logged once.
  bool without_streaming = false;
  bool without_protobuf = false;
  // Monotonic time of the last word from the server, bookmarks included; 0: none yet.
  int64_t last_heard_ns = 0;
};

// Where WatchLoop hands over what it gets, on the I/O thread. Between OnListBegin and OnListEnd of
// a streaming list may come OnUpsert and OnDelete: they count after the list.
class ObjectSink {
 public:
  virtual ~ObjectSink() = default;
  virtual void OnListBegin() = 0;  // what came since the last OnListBegin is void
  virtual void OnListItem(const ObjectKey& key, const EncodedObject& object) = 0;
  virtual void OnListEnd(uint64_t version) = 0;
  virtual void OnUpsert(const ObjectKey& key, const EncodedObject& object) = 0;
  virtual void OnDelete(const ObjectKey& key, uint64_t version) = 0;
};

// The part of Reflector that does not depend on T.
class WatchLoop {
 public:
  // Begins at once. `sink` is shared with calls under way; it understands protobuf if that is
  // wanted.
  WatchLoop(Client& client, const ReflectorOptions& options, std::shared_ptr<ObjectSink> sink,
            bool want_protobuf = false);
  ~WatchLoop();  // the sink may be called until then, and once more at most
  WatchLoop(const WatchLoop&) = delete;
  WatchLoop& operator=(const WatchLoop&) = delete;

  // The first list has been handed to the sink.
  bool HasSynced() const;
  // kDeadlineExceeded, with the last error from the server. Not from the I/O thread.
  Status WaitForSync(int64_t timeout_ms) const;

  ReflectorStats stats() const;

 private:
  class Impl;
  const std::shared_ptr<Impl> impl_;  // with calls under way
};

template <typename T>
class Reflector {
 public:
  // The client and the watcher outlive it.
  Reflector(Client& client, const ReflectorOptions& options, Decoder<T> decoder,
            Watcher<T>* watcher)
      : Reflector(client, options, Decoders<T>{std::move(decoder), nullptr}, watcher) {}
  Reflector(Client& client, const ReflectorOptions& options, Decoders<T> decoders,
            Watcher<T>* watcher)
      : wants_protobuf_(decoders.protobuf != nullptr),
        sink_(std::make_shared<Sink>(options.executor, std::move(decoders), watcher)),
        loop_(client, options, sink_, wants_protobuf_) {}

  // The watcher is not called any more afterwards. Not from within its calls.
  ~Reflector() { sink_->Stop(); }

  // The watcher has got its first OnReplace, or will before anything that the caller gives the
  // executor from now on.
  bool HasSynced() const { return loop_.HasSynced(); }
  Status WaitForSync(int64_t timeout_ms) const { return loop_.WaitForSync(timeout_ms); }

  ReflectorStats stats() const {
    ReflectorStats stats = loop_.stats();
    stats.undecodable = sink_->undecodable();
    return stats;
  }

 private:
  class Sink;

  const bool wants_protobuf_;
  const std::shared_ptr<Sink> sink_;  // with the loop, and with tasks of the executor
  WatchLoop loop_;
};

// Names the object of `key` in a warning.
void WarnUndecodable(const ObjectKey& key, const Error& error);

template <typename T>
class Reflector<T>::Sink : public ObjectSink, public std::enable_shared_from_this<Sink> {
 public:
  Sink(Executor executor, Decoders<T> decoders, Watcher<T>* watcher)
      : executor_(std::move(executor)), decoders_(std::move(decoders)), watcher_(watcher) {}

  void OnListBegin() override {
    listing_ = true;
    listed_.clear();
    after_list_.clear();
  }

  void OnListItem(const ObjectKey& key, const EncodedObject& object) override {
    // An object that comes again is a change already.
    if (!after_list_.empty()) return OnUpsert(key, object);
    if (auto decoded = Decode(key, object)) listed_.push_back(std::move(decoded));
  }

  void OnListEnd(uint64_t version) override {
    listing_ = false;
    Deliver([all = std::move(listed_), version](Watcher<T>& watcher) mutable {
      watcher.OnReplace(std::move(all), version);
    });
    listed_ = {};
    for (Change& change : std::exchange(after_list_, {})) Tell(std::move(change));
  }

  void OnUpsert(const ObjectKey& key, const EncodedObject& object) override {
    // Undecodable: rather unknown than outdated.
    Note({key, Decode(key, object), 0});
  }

  void OnDelete(const ObjectKey& key, uint64_t version) override { Note({key, nullptr, version}); }

  void Stop() {
    const std::lock_guard lock(mutex_);
    watcher_ = nullptr;
  }

  uint64_t undecodable() const { return undecodable_; }

 private:
  struct Change {
    ObjectKey key;
    std::shared_ptr<const T> now;  // null: deleted
    uint64_t version;              // of the deletion
  };

  std::shared_ptr<const T> Decode(const ObjectKey& key, const EncodedObject& object) {
    Result<T> decoded =
        object.IsProtobuf() ? decoders_.protobuf(object.protobuf) : decoders_.json(object.json);
    if (decoded) return std::make_shared<const T>(std::move(*decoded));
    ++undecodable_;
    WarnUndecodable(key, decoded.error());
    return nullptr;
  }

  void Note(Change change) {
    if (listing_) {
      after_list_.push_back(std::move(change));
    } else {
      Tell(std::move(change));
    }
  }

  void Tell(Change change) {
    Deliver([change = std::move(change)](Watcher<T>& watcher) mutable {
      if (change.now == nullptr) return watcher.OnDelete(change.key, change.version);
      watcher.OnUpsert(std::move(change.now));
    });
  }

  template <typename F>
  void Deliver(F call) {
    if (!executor_) return Run(call);
    executor_(
        [self = this->shared_from_this(), call = std::move(call)]() mutable { self->Run(call); });
  }

  template <typename F>
  void Run(F& call) {
    const std::lock_guard lock(mutex_);  // Stop waits for a call that is running
    if (watcher_ != nullptr) call(*watcher_);
  }

  const Executor executor_;
  const Decoders<T> decoders_;
  // Of the list that is coming in.
  bool listing_ = false;
  std::vector<std::shared_ptr<const T>> listed_;
  std::vector<Change> after_list_;
  std::atomic<uint64_t> undecodable_{0};
  std::mutex mutex_;
  Watcher<T>* watcher_;
};

}  // namespace hami::kube
