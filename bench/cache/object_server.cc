// SPDX-License-Identifier: Apache-2.0

#include "bench/cache/object_server.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "domain/fake_objects.h"
#include "kube/fake_protobuf.h"
#include "net/fake_http_server.h"

namespace hami::bench {
namespace {

using Json = nlohmann::json;

constexpr size_t kChunkBytes = 256 << 10;
constexpr size_t kPageSize = 500;
constexpr int kGpuMib = 81'920;

// Stand in a template for numbers of the same length.
constexpr char kNumber[] = "NNNNNNNNNNNN";
constexpr char kNode[] = "MMMMM";
constexpr char kCard[] = "KKKKKKKKKKKK";

std::string Device() { return fmt::format("GPU-000{}-0000-4000-8000-{}", kNode, kCard); }

Json TemplatePod(bool with_devices) {
  Json variables = Json::array();
  for (int i = 0; i < 40; ++i) {
    variables.push_back({{"name", fmt::format("VARIABLE_{}", i)},
                         {"value", fmt::format("some value of medium length {}", i)}});
  }
  Json limits = {{"cpu", "100m"}, {"memory", "64Mi"}};
  Json metadata = {{"name", fmt::format("train-{}", kNumber)},
                   {"namespace", "team-a"},
                   {"uid", fmt::format("6b5a1f6e-0000-4000-8000-{}", kNumber)},
                   {"resourceVersion", "4711"},
                   {"creationTimestamp", "2026-08-21T10:00:00Z"},
                   {"labels",
                    {{"app", "train"},
                     {"team", "team-a"},
                     {"batch.kubernetes.io/job-name", fmt::format("train-{}", kNumber)},
                     {"controller-uid", fmt::format("7c6b2a7f-0000-4000-8000-{}", kNumber)}}}};
  if (with_devices) {
    limits["nvidia.com/gpu"] = "1";
    limits["nvidia.com/gpumem"] = "8000";
    limits["nvidia.com/gpucores"] = "10";
    const std::string slices = Device() + ",NVIDIA,8000,10:;";
    metadata["annotations"] = {{"hami.io/vgpu-node", fmt::format("node-{}", kNode)},
                               {"hami.io/vgpu-time", "1700000000"},
                               {"hami.io/allocation", fmt::format("v1,{}", kNumber)},
                               {"hami.io/vgpu-devices-allocated", slices},
                               {"hami.io/vgpu-devices-to-allocate", slices}};
  }
  return {{"apiVersion", "v1"},
          {"kind", "Pod"},
          {"metadata", metadata},
          {"spec",
           {{"nodeName", fmt::format("node-{}", kNode)},
            {"schedulerName", "hami-scheduler"},
            {"containers",
             {{{"name", "main"},
               {"image", "registry.example/train:7"},
               {"resources", {{"limits", limits}, {"requests", limits}}},
               {"env", variables}}}}}},
          {"status", {{"phase", "Running"}, {"podIP", "10.244.0.7"}}}};
}

Json TemplateNode() {
  Json devices = Json::array();
  for (size_t i = 0; i < ObjectServer::kGpus; ++i) {
    devices.push_back({{"id", fmt::format("GPU-000{}-0000-4000-8000-{:012}", kNode, i)},
                       {"index", i},
                       {"count", 10},
                       {"devmem", kGpuMib},
                       {"devcore", 100},
                       {"type", "NVIDIA A100-SXM4-80GB"},
                       {"mode", "hami-core"},
                       {"health", true}});
  }
  const Json amounts = {
      {"cpu", "128"}, {"memory", "1Ti"}, {"pods", "1000"}, {"nvidia.com/gpu", "80"}};
  return {{"apiVersion", "v1"},
          {"kind", "Node"},
          {"metadata",
           {{"name", fmt::format("node-{}", kNode)},
            {"resourceVersion", "4711"},
            {"labels", {{"gpu", "on"}, {"kubernetes.io/hostname", fmt::format("node-{}", kNode)}}},
            {"annotations",
             {{"hami.io/node-nvidia-register", devices.dump()},
              {"hami.io/allocation-protocol", "binding/v1"}}}}},
          {"status",
           {{"capacity", amounts},
            {"allocatable", amounts},
            {"conditions", {{{"type", "Ready"}, {"status", "True"}}}}}}};
}

// Fills in the numbers of one object.
class Template {
 public:
  explicit Template(std::string text) : text_(std::move(text)) {
    for (const char* word : {kNumber, kNode, kCard}) {
      for (size_t at = text_.find(word); at != std::string::npos; at = text_.find(word, at + 1)) {
        places_.emplace_back(at, word);
      }
    }
  }

  std::string Make(size_t number, size_t node, size_t card) const {
    std::string text = text_;
    for (const auto& [at, word] : places_) {
      const size_t value = word == kNumber ? number : word == kNode ? node : card;
      const size_t size = std::string_view(word).size();
      text.replace(at, size, fmt::format("{:0{}}", value, size));
    }
    return text;
  }

 private:
  std::string text_;
  std::vector<std::pair<size_t, const char*>> places_;
};

std::string MakePod(const Template& pod, size_t number, size_t nodes) {
  const size_t card = number % (nodes * ObjectServer::kGpus);
  return pod.Make(number, card % nodes, card / nodes);
}

const Template& PodTemplate(bool protobuf, bool with_devices) {
  static const Template kTemplates[] = {Template(TemplatePod(false).dump()),
                                        Template(TemplatePod(true).dump()),
                                        Template(domain::PodMessage(TemplatePod(false))),
                                        Template(domain::PodMessage(TemplatePod(true)))};
  return kTemplates[(protobuf ? 2 : 0) + (with_devices ? 1 : 0)];
}

const Template& NodeTemplate(bool protobuf) {
  static const Template kTemplates[] = {Template(TemplateNode().dump()),
                                        Template(domain::NodeMessage(TemplateNode()))};
  return kTemplates[protobuf ? 1 : 0];
}

class Answers {
 public:
  explicit Answers(const ServedObjects& objects) : objects_(objects) {}

  void operator()(const net::FakeRequest& request, net::FakeConnection& connection) const {
    const bool of_pods = request.target.starts_with("/api/v1/pods");
    const bool of_nodes = request.target.starts_with("/api/v1/nodes");
    const auto accept = request.headers.find("accept");
    const bool protobuf = !objects_.only_json_pages && accept != request.headers.end() &&
                          accept->second.find("protobuf") != std::string::npos;
    const bool streaming = request.target.find("sendInitialEvents=true") != std::string::npos;
    const size_t count = of_pods ? objects_.pods : of_nodes ? objects_.nodes : 0;
    if (streaming && objects_.only_json_pages) {
      return connection.Respond(422, R"({"kind":"Status","reason":"Invalid","code":422})");
    }
    if (streaming) return Stream(of_pods, protobuf, count, connection);
    if (request.target.find("watch=1") != std::string::npos) {
      connection.BeginChunks();
      return connection.WaitForEnd();
    }
    const size_t at = request.target.find("continue=");
    const size_t begin = at == std::string::npos ? 0 : std::stoul(request.target.substr(at + 9));
    Page(of_pods, protobuf, begin, count, connection);
  }

 private:
  std::string Object(bool of_pods, bool protobuf, size_t number) const {
    if (!of_pods) return NodeTemplate(protobuf).Make(0, number, 0);
    return MakePod(PodTemplate(protobuf, objects_.with_devices), number, objects_.nodes);
  }

  void Stream(bool of_pods, bool protobuf, size_t count, net::FakeConnection& connection) const {
    connection.BeginChunks();
    const char* kind = of_pods ? "Pod" : "Node";
    std::string chunk;
    for (size_t i = 0; i < count; ++i) {
      const std::string object = Object(of_pods, protobuf, i);
      chunk += protobuf ? kube::FakeEvent("ADDED", kind, object)
                        : R"({"type":"ADDED","object":)" + object + "}\n";
      if (chunk.size() < kChunkBytes) continue;
      if (!connection.SendChunk(chunk)) return;
      chunk.clear();
    }
    chunk += protobuf ? kube::FakeEvent("BOOKMARK", kind, kube::FakeBookmark("4711", true))
                      : R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"4711",)"
                        R"("annotations":{"k8s.io/initial-events-end":"true"}}}})"
                        "\n";
    connection.SendChunk(chunk);
    connection.WaitForEnd();
  }

  void Page(bool of_pods, bool protobuf, size_t begin, size_t count,
            net::FakeConnection& connection) const {
    const size_t end = std::min(begin + kPageSize, count);
    const std::string token = end < count ? std::to_string(end) : "";
    if (protobuf) {
      std::vector<std::string> items;
      for (size_t i = begin; i < end; ++i) items.push_back(Object(of_pods, true, i));
      return connection.Respond(200,
                                kube::FakeEnvelope("List", kube::FakeList("4711", token, items)));
    }
    std::string page = fmt::format(
        R"({{"kind":"List","metadata":{{"resourceVersion":"4711","continue":"{}"}},"items":[)",
        token);
    for (size_t i = begin; i < end; ++i) {
      if (i > begin) page += ',';
      page += Object(of_pods, false, i);
    }
    connection.Respond(200, page + "]}");
  }

  const ServedObjects objects_;
};

}  // namespace

std::string NodeName(size_t number) { return fmt::format("node-{:05}", number); }

std::string PodJson(size_t number, size_t nodes, bool with_devices) {
  return MakePod(PodTemplate(false, with_devices), number, nodes);
}

std::string PodProtobuf(size_t number, size_t nodes, bool with_devices) {
  return MakePod(PodTemplate(true, with_devices), number, nodes);
}

ObjectServer::ObjectServer(const ServedObjects& objects) {
  int port_pipe[2];
  if (pipe(port_pipe) != 0) std::abort();
  child_ = fork();
  if (child_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    const net::FakeHttpServer server{Answers(objects)};
    const uint16_t port = server.port();
    if (write(port_pipe[1], &port, sizeof(port)) != sizeof(port)) _exit(1);
    for (;;) pause();
  }
  uint16_t port = 0;
  if (child_ < 0 || read(port_pipe[0], &port, sizeof(port)) != sizeof(port)) std::abort();
  close(port_pipe[0]);
  close(port_pipe[1]);
  url_ = fmt::format("http://127.0.0.1:{}", port);
}

ObjectServer::~ObjectServer() {
  kill(child_, SIGKILL);
  waitpid(child_, nullptr, 0);
}

}  // namespace hami::bench
