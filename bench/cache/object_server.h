// SPDX-License-Identifier: Apache-2.0
//
// An API server of nodes and pods that are made as they are sent, in a process of its own, so that
// nothing of it counts as ours. Lists in pages and streaming lists, JSON and protobuf; or pages of
// JSON alone, as an old server has it.

#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>

namespace hami::bench {

struct ServedObjects {
  size_t nodes = 0;  // of eight GPUs each
  size_t pods = 0;   // spread over the nodes
  bool with_devices = true;
  bool only_json_pages = false;
};

class ObjectServer {
 public:
  static constexpr size_t kGpus = 8;

  // Forks: the caller has no threads.
  explicit ObjectServer(const ServedObjects& objects);
  ~ObjectServer();
  ObjectServer(const ObjectServer&) = delete;
  ObjectServer& operator=(const ObjectServer&) = delete;

  const std::string& url() const { return url_; }

 private:
  pid_t child_ = -1;
  std::string url_;
};

// "node-00017"
std::string NodeName(size_t number);
// The pod of that number, as JSON and as a protobuf message. Bound, with 40 variables, four labels
// and, where it has a device, what HAMi writes on a pod.
std::string PodJson(size_t number, size_t nodes, bool with_devices);
std::string PodProtobuf(size_t number, size_t nodes, bool with_devices);

}  // namespace hami::bench
