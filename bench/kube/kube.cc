// SPDX-License-Identifier: Apache-2.0
//
// ./dev bench kube: what a watch cache of pods costs in time and memory, over a server on loopback
// that has prepared its answers. --pods N, default 100000. Baselines are simdjson alone, without
// our view: its DOM, and On-Demand, which finds faults only when it comes to them.

#include <fmt/format.h>
#include <simdjson.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file.h"
#include "bench/report.h"
#include "domain/pod.h"
#include "domain/protobuf_objects.h"
#include "json/value.h"
#include "kube/client.h"
#include "kube/event_book.h"
#include "kube/protobuf_object.h"
#include "kube/reflector.h"
#include "kube/store.h"
#include "metrics/metrics.h"
#include "net/fake_http_server.h"

namespace hami::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kPageSize = 500;
constexpr size_t kChunkBytes = 256 << 10;
constexpr size_t kDistinct = 1000;  // pods that differ; more of them repeat with other names

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// A pod as a training job has it: two containers, forty variables, what its managers own. About
// 11 KB.
std::string MakePod(size_t number) {
  std::string text = fmt::format(
      R"({{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"train-{0}","namespace":"team-{1}",)"
      R"("uid":"6b5a1f6e-0000-4000-8000-{0:012}","resourceVersion":"{2}","labels":{{"app":"train",)"
      R"("team":"team-{1}","step":"{0}"}},"annotations":{{"nvidia.com/use-gputype":"A10"}},)"
      R"("managedFields":[)",
      number, number % 50, 1000 + number);
  for (int manager = 0; manager < 3; ++manager) {
    text +=
        fmt::format(R"({}{{"manager":"manager-{}","operation":"Update","fieldsType":"FieldsV1",)"
                    R"("fieldsV1":{{)",
                    manager == 0 ? "" : ",", manager);
    for (int field = 0; field < 40; ++field) {
      text += fmt::format(R"({}"f:field-{}":{{".":{{}},"f:inner":{{}}}})", field == 0 ? "" : ",",
                          field);
    }
    text += "}}";
  }
  text += fmt::format(R"(]}},"spec":{{"nodeName":"node-{}","schedulerName":"hami","containers":[)",
                      number % 500);
  for (int container = 0; container < 2; ++container) {
    text += fmt::format(R"({}{{"name":"c{}","image":"registry.example/train:{}","env":[)",
                        container == 0 ? "" : ",", container, number % 7);
    for (int variable = 0; variable < 20; ++variable) {
      text += fmt::format(R"({}{{"name":"VARIABLE_{}","value":"some value of medium length {}"}})",
                          variable == 0 ? "" : ",", variable, variable);
    }
    text += R"(],"resources":{"limits":{"cpu":"4","memory":"16Gi","nvidia.com/gpu":"1",)"
            R"("nvidia.com/gpumem":"10240","nvidia.com/gpucores":"50"}}})";
  }
  text += R"(]},"status":{"phase":"Running","conditions":[)";
  for (int condition = 0; condition < 5; ++condition) {
    text += fmt::format(R"({}{{"type":"Condition{}","status":"True",)"
                        R"("lastTransitionTime":"2026-08-22T10:00:00Z"}})",
                        condition == 0 ? "" : ",", condition);
  }
  return text + R"(],"podIP":"10.244.0.7","qosClass":"Burstable"}})";
}

// What a scheduler wants of a pod.
struct PodFacts {
  kube::ObjectKey key;
  std::string uid;
  std::string node;
  std::string phase;
  struct Request {
    std::string container;
    std::string gpus, memory, cores;
  };
  std::vector<Request> requests;
};

Result<PodFacts> DecodePod(json::Value object) {
  PodFacts pod;
  const json::Value metadata = object["metadata"];
  pod.key = {std::string(metadata["namespace"].Text()), std::string(metadata["name"].Text())};
  pod.uid = metadata["uid"].Text();
  const json::Value spec = object["spec"];
  pod.node = spec["nodeName"].Text();
  for (const json::Value container : spec["containers"].Elements()) {
    const json::Value limits = container["resources"]["limits"];
    pod.requests.push_back({std::string(container["name"].Text()),
                            std::string(limits["nvidia.com/gpu"].Text()),
                            std::string(limits["nvidia.com/gpumem"].Text()),
                            std::string(limits["nvidia.com/gpucores"].Text())});
  }
  pod.phase = object["status"]["phase"].Text();
  return pod;
}

// The same by a type that reads like simdjson's.
template <typename Object>
PodFacts DecodeBySimdjson(Object object) {
  PodFacts pod;
  auto metadata = object["metadata"].get_object().value();
  pod.key.name = std::string_view(metadata["name"].get_string().value());
  pod.key.name_space = std::string_view(metadata["namespace"].get_string().value());
  pod.uid = std::string_view(metadata["uid"].get_string().value());
  auto spec = object["spec"].get_object().value();
  pod.node = std::string_view(spec["nodeName"].get_string().value());
  auto containers = spec["containers"].get_array().value();
  for (auto container : containers) {
    PodFacts::Request request;
    request.container = std::string_view(container["name"].get_string().value());
    auto limits = container["resources"]["limits"].get_object().value();
    request.gpus = std::string_view(limits["nvidia.com/gpu"].get_string().value());
    request.memory = std::string_view(limits["nvidia.com/gpumem"].get_string().value());
    request.cores = std::string_view(limits["nvidia.com/gpucores"].get_string().value());
    pod.requests.push_back(std::move(request));
  }
  pod.phase = std::string_view(object["status"]["phase"].get_string().value());
  return pod;
}

// Microseconds a pod, by each of several ways in turn: the best of some rounds.
std::vector<double> MicrosecondsEach(
    const std::vector<std::string>& pods,
    const std::vector<std::function<void(const std::string&)>>& ways) {
  std::vector<double> best(ways.size(), 1e9);
  for (int round = 0; round < 15; ++round) {
    for (size_t way = 0; way < ways.size(); ++way) {
      const auto start = Clock::now();
      for (const std::string& pod : pods) ways[way](pod);
      const double each_us = SecondsSince(start) / static_cast<double>(pods.size()) * 1e6;
      best[way] = std::min(best[way], each_us);
    }
  }
  return best;
}

std::vector<std::string> MakePods(size_t count) {
  std::vector<std::string> pods;
  for (size_t i = 0; i < count; ++i) {
    pods.push_back(MakePod(i));
    pods.back().reserve(pods.back().size() + json::Document::kPadding);
  }
  return pods;
}

void MeasureDecoding(const std::vector<std::string>& pods, Report* report) {
  json::Document document;
  simdjson::dom::parser dom;
  simdjson::ondemand::parser on_demand;
  size_t seen = 0;
  const std::vector<double> each_us = MicrosecondsEach(
      pods, {[&](const std::string& pod) {
               if (document.ParsePadded(pod)) seen += DecodePod(document.root())->requests.size();
             },
             [&](const std::string& pod) {
               const auto root = dom.parse(pod.data(), pod.size(), false).value();
               seen += DecodeBySimdjson(root.get_object().value()).requests.size();
             },
             [&](const std::string& pod) {
               simdjson::ondemand::document read =
                   on_demand.iterate(pod.data(), pod.size(), pod.size() + json::Document::kPadding);
               simdjson::ondemand::object root = read.get_object();
               seen += DecodeBySimdjson<simdjson::ondemand::object&>(root).requests.size();
             }});
  if (seen == 0) std::abort();
  const std::string note = fmt::format("{:.1f} KB a pod", pods[0].size() / 1024.0);
  report->Add({.name = "decode a pod",
               .value = each_us[0],
               .unit = "us",
               .baseline = each_us[1],
               .note = note});
  report->Add({.name = "decode a pod, native On-Demand", .value = each_us[2], .unit = "us"});
}

// The pod that an API server answered in both forms (tests/golden/objects), as src/domain reads it.
void MeasureForms(Report* report) {
  const std::string folder = HAMI_GOLDEN_FOLDER;
  std::string text = base::ReadFile(folder + "/pod.json", 1 << 20).value();
  text.reserve(text.size() + json::Document::kPadding);
  const std::string envelope = base::ReadFile(folder + "/pod.protobuf", 1 << 20).value();
  const std::string_view message = kube::OpenEnvelope(envelope).value().message;
  json::Document document;
  size_t seen = 0;
  const std::vector<double> each_us = MicrosecondsEach(
      std::vector<std::string>(1000),
      {[&](const std::string&) {
         if (!document.ParsePadded(text)) std::abort();
         seen += domain::ReadPod(document.root())->containers.size();
       },
       [&](const std::string&) { seen += domain::ReadPodProtobuf(message)->containers.size(); }});
  if (seen == 0) std::abort();
  const auto kib = [](size_t bytes) { return fmt::format("{:.1f} KB", bytes / 1024.0); };
  report->Add({.name = "read a whole pod, JSON",
               .value = each_us[0],
               .unit = "us",
               .note = kib(text.size()) + ", four containers"});
  report->Add({.name = "read a whole pod, protobuf",
               .value = each_us[1],
               .unit = "us",
               .note = kib(message.size()) + ", the same pod"});
}

int64_t ResidentKib() {
  std::ifstream file("/proc/self/statm");
  int64_t total = 0;
  int64_t resident = 0;
  file >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE) / 1024;
}

// Lists `count` pods in pages, then says `events` changes on the watch.
class PodServer {
 public:
  PodServer(const std::vector<std::string>& pods, size_t count, size_t events)
      : pods_(pods), count_(count), events_(events), server_([this](const auto& request, auto& c) {
          request.target.find("watch=") == std::string::npos ? List(request.target, c) : Watch(c);
        }) {}

  std::string url() const { return server_.url(); }
  size_t bytes() const { return bytes_; }

 private:
  void List(const std::string& target, net::FakeConnection& connection) {
    const size_t at = target.find("continue=");
    const size_t begin = at == std::string::npos ? 0 : std::stoul(target.substr(at + 9));
    const size_t end = std::min(begin + kPageSize, count_);
    std::string page = R"({"kind":"PodList","items":[)";
    for (size_t i = begin; i < end; ++i) {
      if (i > begin) page += ',';
      page += pods_[i % pods_.size()];
      Rename(i, &page);
    }
    page += fmt::format(R"(],"metadata":{{"resourceVersion":"9","continue":"{}"}}}})",
                        end < count_ ? std::to_string(end) : "");
    bytes_ += page.size();
    connection.Respond(200, page);
  }

  void Watch(net::FakeConnection& connection) {
    connection.BeginChunks();
    std::string chunk;
    for (size_t i = 0; i < events_; ++i) {
      chunk += R"({"type":"MODIFIED","object":)" + pods_[i % pods_.size()] + "}\n";
      if (chunk.size() < kChunkBytes && i + 1 < events_) continue;
      connection.SendChunk(chunk);
      chunk.clear();
    }
    connection.WaitForEnd();
  }

  // Gives the pod that was just appended a name and uid of its own, of the same length.
  static void Rename(size_t number, std::string* page) {
    const std::string digits = fmt::format("{:012}", number);
    const size_t uid = page->rfind("\"uid\":\"");
    page->replace(uid + 7 + 24, 12, digits);
    const size_t name = page->rfind("\"name\":\"train-");
    const size_t end = page->find('"', name + 14);
    page->replace(name + 14, end - name - 14, digits);
  }

  const std::vector<std::string>& pods_;
  const size_t count_;
  const size_t events_;
  std::atomic<size_t> bytes_{0};
  net::FakeHttpServer server_;
};

// Tells when it has heard of `events` changes.
class Counter : public kube::Watcher<PodFacts> {
 public:
  explicit Counter(size_t events) : left_(events) {}
  void OnReplace(std::vector<std::shared_ptr<const PodFacts>> all, uint64_t /*version*/) override {
    listed_ = Clock::now();
    count_ = all.size();
  }
  void OnUpsert(std::shared_ptr<const PodFacts>) override {
    if (--left_ == 0) done_.set_value();
  }
  void OnDelete(const kube::ObjectKey&, uint64_t) override {}

  void Wait() { done_.get_future().wait(); }
  Clock::time_point listed() const { return listed_; }

 private:
  size_t left_;
  size_t count_ = 0;
  Clock::time_point listed_;
  std::promise<void> done_;
};

void MeasureCache(const std::vector<std::string>& pods, size_t count, Report* report) {
  const size_t events = std::min<size_t>(count, 20'000);
  PodServer server(pods, count, events);
  kube::ClusterConfig config;
  config.server = server.url();
  kube::Client client(config, {});
  Counter counter(events);
  kube::Store<PodFacts> store(&counter);
  const int64_t before_kib = ResidentKib();
  const auto start = Clock::now();
  kube::Reflector<PodFacts> reflector(
      client, {.type = kube::kPods, .list = {.page_size = static_cast<int>(kPageSize)}}, DecodePod,
      &store);
  if (!reflector.WaitForSync(600'000)) std::abort();
  counter.Wait();
  const double list_s = std::chrono::duration<double>(counter.listed() - start).count();
  const double event_us = SecondsSince(counter.listed()) / static_cast<double>(events) * 1e6;
  const auto held_kib = static_cast<double>(ResidentKib() - before_kib);
  const std::string note = "server in the same process";
  report->Add({.name = fmt::format("list {} pods, {} MB", count, server.bytes() >> 20),
               .value = list_s * 1000,
               .unit = "ms",
               .note = note});
  report->Add({.name = "memory a cached pod, growth of the process",
               .value = held_kib / static_cast<double>(count),
               .unit = "KB",
               .target = 2,
               .note = "pages and events under way included"});
  report->Add({.name = "an event of a watch", .value = event_us, .unit = "us", .note = note});
}

void MeasureMetrics(Report* report) {
  metrics::Registry registry;
  auto& counters = registry.AddCounter("hami_bench_total", "Bench.", {"pod", "device"});
  constexpr int kSeries = 10'000;
  for (int i = 0; i < kSeries; ++i) counters.With({fmt::format("pod-{}", i), "GPU-0"}).Add(i);
  const auto start = Clock::now();
  size_t bytes = 0;
  constexpr int kScrapes = 20;
  for (int i = 0; i < kScrapes; ++i) bytes += registry.Text().size();
  if (bytes == 0) std::abort();
  report->Add({.name = fmt::format("text of {} metrics", kSeries),
               .value = SecondsSince(start) / kScrapes * 1000,
               .unit = "ms"});
  metrics::Counter& counter = counters.With({"pod-1", "GPU-0"});
  const auto adding = Clock::now();
  constexpr int kAdds = 10'000'000;
  for (int i = 0; i < kAdds; ++i) counter.Add();
  report->Add(
      {.name = "add to a counter", .value = SecondsSince(adding) / kAdds * 1e9, .unit = "ns"});
}

// Two Events about each of many objects, as a scheduler says of each pod.
void MeasureEvents(Report* report) {
  kube::EventBook book;
  constexpr int kStep = 4'000;
  for (int first = 0; first < 3 * kStep; first += kStep) {
    const auto start = Clock::now();
    for (int i = first; i < first + kStep; ++i) {
      const kube::EventSubject pod = {
          "v1", "Pod", {"team", fmt::format("pod-{}", i)}, fmt::format("uid-{}", i)};
      for (const char* reason : {"FilteringSucceed", "BindingSucceed"}) {
        const int64_t now_ms = i * 10;
        const auto said = book.Note(pod, {.reason = reason, .message = "said"}, now_ms, 0);
        if (said.verdict != kube::EventBook::Verdict::kSend) std::abort();
        book.Begin(said.line, now_ms);
        book.End(said.line, "pod.1", 1, now_ms);
      }
    }
    report->Add({.name = fmt::format("an Event, of objects {} to {}", first + 1, first + kStep),
                 .value = SecondsSince(start) / (2 * kStep) * 1e6,
                 .unit = "us"});
  }
}

int Run(int argc, char** argv) {
  size_t count = 100'000;
  std::string json_path;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (AnswersCommon(word, "kube", "kube [--pods N] [--json FILE]")) return 0;
    if (word == "--json" && i + 1 < argc) {
      json_path = argv[++i];
    } else if (word == "--pods" && i + 1 < argc) {
      count = std::stoul(argv[++i]);
    } else {
      fmt::print(stderr, "kube: no option '{}'\n", word);
      return 2;
    }
  }
  Report report("A cache of pods", MachineConditions());
  const std::vector<std::string> pods = MakePods(kDistinct);
  MeasureDecoding(pods, &report);
  MeasureForms(&report);
  MeasureCache(pods, count, &report);
  MeasureMetrics(&report);
  MeasureEvents(&report);
  return report.Finish(json_path) ? 0 : 1;
}

}  // namespace
}  // namespace hami::bench

int main(int argc, char** argv) { return hami::bench::Run(argc, argv); }
