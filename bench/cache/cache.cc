// SPDX-License-Identifier: Apache-2.0
//
// ./dev bench cache: what hami-scheduler's view of a cluster costs in memory, and how long it takes
// until its first decision, against reading a plain list of the same pods: its own reflectors and
// state, over a server on loopback that makes the objects. --nodes N, --pods N[,N...]; default
// 5 000 nodes of 8 GPUs, 10 000 and 100 000 pods. `./dev bench scheduler --part start` measures the
// whole program with a real API server.

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "bench/cache/measured.h"
#include "bench/cache/object_server.h"
#include "bench/report.h"
#include "domain/protobuf_objects.h"
#include "extender/cluster_state.h"
#include "kube/client.h"
#include "kube/reflector.h"
#include "placement/request.h"

namespace hami::bench {
namespace {

constexpr int64_t kTimeoutMs = 600'000;
constexpr double kMib = 1 << 20;

struct Size {
  size_t nodes = 5000;
  std::vector<size_t> pods = {10'000, 100'000};
};

kube::ClusterConfig ConfigOf(const ObjectServer& server) {
  kube::ClusterConfig config;
  config.server = server.url();
  return config;
}

// The pages of all pods and nodes, as anybody would read them, not looked at but for where the next
// one begins.
void ReadPlainList(kube::Client& client) {
  for (const kube::ResourceType& type : {kube::kNodes, kube::kPods}) {
    std::string token;
    do {
      const Result<std::string> page = client.Do(kube::ListRequest(type, {}, token));
      if (!page) std::abort();
      const std::string_view begin = std::string_view(*page).substr(0, 400);
      const size_t at = begin.find(R"("continue":")") + 12;
      token = begin.substr(at, begin.find('"', at) - at);
    } while (!token.empty());
  }
}

class View {
 public:
  View(kube::Client& client, bool modern)
      : nodes_(
            client, {.type = kube::kNodes, .timing = {.streaming = modern}},
            kube::Decoders<extender::NodeEntry>{
                [this](json::Value node) { return extender::ReadNodeEntry(registry_, node); },
                [this](std::string_view node) { return extender::ReadNodeEntry(registry_, node); }},
            &state_.nodes()),
        pods_(client, {.type = kube::kPods, .timing = {.streaming = modern}},
              kube::Decoders<extender::PodRecord>{
                  [this](json::Value pod) { return extender::ReadPodRecord(registry_, pod); },
                  [this](std::string_view pod) { return extender::ReadPodRecord(registry_, pod); }},
              &state_.pods()) {}

  void Decide(size_t nodes) {
    if (!nodes_.WaitForSync(kTimeoutMs) || !pods_.WaitForSync(kTimeoutMs)) std::abort();
    domain::Pod pod = domain::ReadPodProtobuf(PodProtobuf(0, nodes, true)).value();
    pod.uid = "first";
    pod.name = "first";
    const auto request = placement::MakeRequest(registry_, pod, {});
    extender::PodEntry entry = extender::ReadPodEntry(registry_, std::move(pod)).value();
    std::vector<std::string> names;
    for (size_t i = 0; i < nodes; ++i) names.push_back(NodeName(i));
    const std::vector<std::string_view> views(names.begin(), names.end());
    if (!state_.Reserve(*request, entry, views).decision.allocation) std::abort();
  }

  extender::StateFigures Figures() const { return state_.Figures(); }

 private:
  const vendor::Registry registry_ = vendor::Registry::Default();
  extender::ClusterState state_{registry_, base::SystemClock(), {}};
  kube::Reflector<extender::NodeEntry> nodes_;
  kube::Reflector<extender::PodRecord> pods_;
};

Measured MeasureView(const ServedObjects& objects) {
  const ObjectServer server(objects);
  return MeasureInChild([&](const Done& done) {
    kube::Client client(ConfigOf(server), {});
    View view(client, !objects.only_json_pages);
    view.Decide(objects.nodes);
    if (view.Figures().pods != objects.pods || view.Figures().nodes != objects.nodes) std::abort();
    done();
  });
}

void MeasureStart(const ServedObjects& objects, const Measured& without_pods, Report* report) {
  const std::string name =
      fmt::format("{} pods {} devices, {}", objects.pods, objects.with_devices ? "with" : "no",
                  objects.only_json_pages ? "JSON" : "protobuf");
  const ObjectServer server(objects);
  const Measured plain = MeasureInChild([&](const Done& done) {
    kube::Client client(ConfigOf(server), {});
    ReadPlainList(client);
    done();
  });
  const Measured view = MeasureView(objects);
  report->Add({.name = "first decision, " + name,
               .value = view.seconds * 1000,
               .unit = "ms",
               .baseline = plain.seconds * 1000,
               .target = 1.2 * plain.seconds * 1000,
               .note = fmt::format("CPU {:.0f} ms, plain list {:.0f}", view.cpu_seconds * 1000,
                                   plain.cpu_seconds * 1000)});
  const auto each = [&](int64_t bytes, int64_t less) {
    return static_cast<double>(bytes - less) / 1024 / static_cast<double>(objects.pods);
  };
  report->Add(
      {.name = "memory, " + name,
       .value = static_cast<double>(view.resident_bytes) / kMib,
       .unit = "MiB",
       .target = 400,
       .note = fmt::format("peak {:.0f} MiB", static_cast<double>(view.peak_bytes) / kMib)});
  // What is resident grows by less: nodes and pages leave room behind in which pods go.
  report->Add({.name = "heap a pod, " + name,
               .value = each(view.heap_bytes, without_pods.heap_bytes),
               .unit = "KB",
               .target = 3,
               .note = fmt::format("{:.2f} KB resident",
                                   each(view.resident_bytes, without_pods.resident_bytes))});
}

// Where the bytes of a pod are: each part made of the same pods, on its own.
void MeasureParts(size_t nodes, size_t count, bool with_devices, Report* report) {
  const vendor::Registry registry = vendor::Registry::Default();
  std::vector<extender::PodPointer> pods;
  const auto make = [&] {
    pods.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      pods.push_back(std::make_shared<const extender::PodRecord>(
          extender::ReadPodRecord(registry, PodProtobuf(i, nodes, with_devices)).value()));
    }
  };
  const auto add = [&](const std::string& part, const Measured& measured) {
    report->Add({.name = fmt::format("of a pod {} devices: {}", with_devices ? "with" : "no", part),
                 .value = static_cast<double>(measured.heap_bytes) / static_cast<double>(count),
                 .unit = "B"});
  };
  add("as domain::Pod, for comparison", MeasureInChild([&](const Done& done) {
        std::vector<domain::Pod> read(count);
        for (size_t i = 0; i < count; ++i) {
          read[i] = domain::ReadPodProtobuf(PodProtobuf(i, nodes, with_devices)).value();
        }
        done();
      }));
  add("as PodEntry, for comparison", MeasureInChild([&](const Done& done) {
        std::vector<extender::PodEntry> read(count);
        for (size_t i = 0; i < count; ++i) {
          domain::Pod pod = domain::ReadPodProtobuf(PodProtobuf(i, nodes, with_devices)).value();
          read[i] = extender::ReadPodEntry(registry, std::move(pod)).value();
        }
        done();
      }));
  add("the record", MeasureInChild([&](const Done& done) {
        make();
        done();
      }));
  make();
  add("the table's two indexes", MeasureInChild([&](const Done& done) {
        extender::PodTable table;
        for (const extender::PodPointer& pod : pods) table.Put(pod);
        done();
      }));
  extender::Holdings holdings(registry);
  for (size_t i = 0; i < nodes; ++i) {
    holdings.cluster().PutNode(
        extender::ReadNodeEntry(registry, std::string_view(NodeProtobuf(i))).value().facts);
  }
  add("what placement knows", MeasureInChild([&](const Done& done) {
        for (const extender::PodPointer& pod : pods) {
          holdings.Put(std::string(pod->uid()), pod->Facts());
        }
        done();
      }));
}

// "10000,100000"
std::vector<size_t> ParseCounts(const std::string& text) {
  std::vector<size_t> counts;
  for (size_t at = 0; at < text.size();) {
    size_t used = 0;
    counts.push_back(std::stoul(text.substr(at), &used));
    at += used + 1;
  }
  return counts;
}

int Run(int argc, char** argv) {
  Size size;
  std::string json_path;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (AnswersCommon(word, "cache", "cache [--nodes N] [--pods N,N] [--json FILE]")) return 0;
    if (word == "--json" && i + 1 < argc) {
      json_path = argv[++i];
    } else if (word == "--nodes" && i + 1 < argc) {
      size.nodes = std::stoul(argv[++i]);
    } else if (word == "--pods" && i + 1 < argc) {
      size.pods = ParseCounts(argv[++i]);
    } else {
      fmt::print(stderr, "cache: no option '{}'\n", word);
      return 2;
    }
  }
  Report report(
      fmt::format("hami-scheduler's view of {} nodes of {} GPUs and their pods, beyond an "
                  "empty process; the server is another",
                  size.nodes, ObjectServer::kGpus),
      MachineConditions());
  const ServedObjects empty{.nodes = size.nodes, .pods = 0};
  const Measured without_pods = MeasureView(empty);
  report.Add({.name = "memory, no pods",
              .value = static_cast<double>(without_pods.resident_bytes) / kMib,
              .unit = "MiB"});
  for (const size_t pods : size.pods) {
    for (const bool with_devices : {true, false}) {
      for (const bool only_json_pages : {false, true}) {
        MeasureStart({.nodes = size.nodes,
                      .pods = pods,
                      .with_devices = with_devices,
                      .only_json_pages = only_json_pages},
                     without_pods, &report);
      }
    }
  }
  const size_t sample = std::min<size_t>(size.pods.back(), 20'000);
  for (const bool with_devices : {true, false}) {
    MeasureParts(size.nodes, sample, with_devices, &report);
  }
  return report.Finish(json_path) ? 0 : 1;
}

}  // namespace
}  // namespace hami::bench

int main(int argc, char** argv) { return hami::bench::Run(argc, argv); }
