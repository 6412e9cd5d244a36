// SPDX-License-Identifier: Apache-2.0

#include "extender/fake_history.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <sstream>
#include <utility>

#include "base/check.h"
#include "domain/names.h"
#include "kube/request.h"

namespace hami::extender {
namespace {

using Json = FakeApi::Json;

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kForever = std::numeric_limits<int64_t>::max();
constexpr char kPods[] = "/api/v1/namespaces/default/pods/";
constexpr char kNodes[] = "/api/v1/nodes/";
constexpr char kHamiNode[] = "n2";  // whose plugin is HAMi's
constexpr const char* kNodeNames[] = {"n0", "n1", kHamiNode};
constexpr int kCards = 2;
constexpr int kCardMib = 10'000;
// All of them fit at once, wherever the others lie: a pod that stays unbound was lost.
constexpr int kMostPods = 9;
constexpr int kSizes[] = {1'000, 2'000, 3'000, 4'000};
constexpr int kMostDepth = 2;
constexpr int kSlowRounds = 30;        // of a second each; then five
constexpr int64_t kRequestMs = 5'000;  // the longest that a write may take
constexpr char kNetwork[] = "network";

bool IsOver(const Json& pod) {
  const std::string phase = pod["status"].value("phase", "");
  return phase == "Succeeded" || phase == "Failed";
}

std::string NodeOf(const Json& pod) { return pod["spec"].value("nodeName", ""); }

std::string Annotation(const Json& object, std::string_view key) {
  const Json& metadata = object["metadata"];
  return metadata.contains("annotations") ? metadata["annotations"].value(std::string(key), "")
                                          : "";
}

struct Holding {
  std::string card;
  int memory_mib = 0;
  int cores = 0;
};

// "uuid,NVIDIA,memory,cores:;", read by no code of ours.
std::vector<Holding> HoldingsOf(const std::string& text) {
  std::vector<Holding> found;
  std::istringstream devices(text.substr(0, text.find(';')));
  for (std::string device; std::getline(devices, device, ':');) {
    std::istringstream parts(device);
    std::string card, vendor, memory, cores;
    if (!std::getline(parts, card, ',') || !std::getline(parts, vendor, ',') ||
        !std::getline(parts, memory, ',') || !std::getline(parts, cores, ',')) {
      continue;
    }
    found.push_back({card, std::stoi(memory), std::stoi(cores)});
  }
  return found;
}

kube::Verb VerbOf(const std::string& method) {
  if (method == "GET") return kube::Verb::kGet;
  if (method == "PATCH") return kube::Verb::kPatch;
  return method == "DELETE" ? kube::Verb::kDelete : kube::Verb::kCreate;
}

}  // namespace

FakeHistory::FakeHistory(const vendor::Registry& registry, uint64_t seed)
    : registry_(registry),
      random_(seed),
      network_(api_.Config(), {.user_agent = kNetwork}),
      latest_ns_(kForever) {
  for (const char* name : kNodeNames) {
    api_.Put(std::string(kNodes) + name,
             NodeJson(name, std::string(name) != kHamiNode, kCards, kCardMib));
    for (int card = 0; card < kCards; ++card) {
      capacity_[fmt::format("GPU-{}-{}", name, card)] = {10, kCardMib, 100};
    }
  }
  for (size_t index = 0; index < processes_.size(); ++index) {
    processes_[index].host = fmt::format("hami-{}", index);
  }
  api_.SetHook([this](const net::FakeRequest& request, net::FakeConnection& connection) {
    return OnRequest(request, connection);
  });
  for (Process& process : processes_) Start(process);
}

FakeHistory::~FakeHistory() { api_.SetHook(nullptr); }

void FakeHistory::Run(int steps) {
  for (int step = 0; step < steps && problem_.empty(); ++step) {
    Step();
    Check();
  }
  if (problem_.empty()) Calm();
}

std::string FakeHistory::Story() const {
  std::string text;
  for (const std::string& line : story_) text += line + '\n';
  return text;
}

void FakeHistory::Tell(const std::string& kind, const std::string& text) {
  ++counts_[kind];
  if (story_.size() >= 120) story_.pop_front();
  story_.push_back(fmt::format("{:>8} ms {}{} {}", clock_.MonotonicNs() / kMs - 1'000'000,
                               std::string(static_cast<size_t>(2 * depth_), ' '), kind, text));
}

void FakeHistory::Problem(const std::string& text) {
  if (!problem_.empty()) return;
  problem_ = text;
  Tell("PROBLEM", text);
}

// --- Steps ---

void FakeHistory::Step() {
  if (!problem_.empty()) return;
  Process& process = AnyProcess();
  const int drawn = Draw(100);
  if (drawn < 8) {
    CreatePod();
  } else if (drawn < 10) {
    DeletePod();
  } else if (drawn < 11) {
    FinishPod();
  } else if (drawn < 12) {
    ForgePod();
  } else if (drawn < 13) {
    ToggleNode();
  } else if (drawn < 16) {
    RunPlugin();
  } else if (drawn < 23) {
    Elect(process);
  } else if (drawn < 43) {
    if (process.replica == nullptr || process.doomed) return;
    const Feed feed = kFeeds[Draw(3)];
    for (int events = 1 + Draw(6); events > 0 && process.replica->Deliver(feed); --events) {
    }
  } else if (drawn < 45) {
    if (process.replica == nullptr || process.doomed) return;
    Tell("relist", process.host);
    process.replica->Relist(kFeeds[Draw(3)]);
  } else if (drawn < 56) {
    if (process.replica == nullptr || process.calls > 0) return;  // its keeper is one thread
    ++process.calls;
    process.replica->Tick();
    --process.calls;
  } else if (drawn < 69) {
    Filter(process, Chance(10));
  } else if (drawn < 83) {
    Bind(process);
  } else if (drawn < 91) {
    Advance(Chance(10) ? Draw(9'000) : Draw(700));
  } else if (drawn < 93) {
    LandOne();
  } else if (drawn < 94) {
    Kill(process);
  } else if (drawn < 95) {
    if (process.scheduler == nullptr) return;
    Tell("kube-scheduler dies", process.host);
    if (Chance(50)) process.scheduler->ReleaseLease();
    process.scheduler.reset();
  } else if (drawn < 99) {
    Start(process);
  } else {
    CheckDrift(process);
  }
}

void FakeHistory::CreatePod() {
  const std::string name = fmt::format("p{}", Draw(kMostPods));
  if (wanted_.contains(name)) return;
  WantedPod wanted = {.uid = fmt::format("u{}", next_uid_++),
                      .gpus = Chance(15) ? 2 : 1,
                      .memory_mib = kSizes[Draw(4)]};
  if (wanted.gpus > 1) wanted.memory_mib = kSizes[0];
  api_.Delete(kPods + name);  // one of that name which has ended
  api_.Put(kPods + name, PodJson(name, wanted.uid, wanted.gpus, wanted.memory_mib, 5));
  Tell("create", name + " " + wanted.uid);
  wanted_[name] = wanted;
}

void FakeHistory::DeletePod() {
  if (wanted_.empty()) return;
  auto chosen = wanted_.begin();
  std::advance(chosen, Draw(static_cast<int>(wanted_.size())));
  remembered_.push_back(api_.Get(kPods + chosen->first));
  if (remembered_.size() > 4) remembered_.pop_front();
  api_.Delete(kPods + chosen->first);
  Tell("delete", chosen->first);
  wanted_.erase(chosen);
}

void FakeHistory::FinishPod() {
  for (const auto& [name, wanted] : wanted_) {
    Json pod = api_.Get(kPods + name);
    if (NodeOf(pod).empty() || Chance(50)) continue;
    pod["status"]["phase"] = "Succeeded";
    api_.Put(kPods + name, pod);
    Tell("finish", name);
    wanted_.erase(name);
    return;
  }
}

// A pod of another scheduler, which says that it holds a card; it never will.
void FakeHistory::ForgePod() {
  const std::string name = fmt::format("forged{}", Draw(2));
  Json pod = PodJson(name, fmt::format("u{}", next_uid_++), 1, 9'000, 5);
  pod["spec"]["schedulerName"] = "nobody";
  const std::string node = kNodeNames[Draw(3)];
  const char* const texts[] = {"GPU-{}-0,NVIDIA,9000,5:;", "GPU-{}-0,NVIDIA,-9000,5:;", "GPU-{},,,",
                               ";;;;"};
  pod["metadata"]["annotations"] = {
      {domain::kVgpuNode, node},
      {domain::kVgpuTime, std::to_string(clock_.WallNs() / (1'000 * kMs))},
      {domain::kVgpuDevicesAllocated, fmt::format(fmt::runtime(texts[Draw(4)]), node)}};
  api_.Delete(kPods + name);
  api_.Put(kPods + name, pod);
  Tell("forge", name);
}

void FakeHistory::ToggleNode() {
  const std::string name = kNodeNames[Draw(3)];
  const std::string path = kNodes + name;
  if (api_.Get(path).is_null()) {
    api_.Put(path, NodeJson(name, name != kHamiNode, kCards, kCardMib));
  } else {
    api_.Delete(path);
  }
  Tell("node goes or comes", name);
}

// HAMi's device plugin: contract hami-control-plane.md 4.5. Its pod runs, and the lock is free.
void FakeHistory::RunPlugin() {
  Json node = api_.Get(std::string(kNodes) + kHamiNode);
  for (const auto& [name, wanted] : wanted_) {
    Json pod = api_.Get(kPods + name);
    if (NodeOf(pod) != kHamiNode || Annotation(pod, domain::kBindPhase) != "allocating") continue;
    pod["metadata"]["annotations"][std::string(domain::kBindPhase)] = "success";
    api_.Put(kPods + name, pod);
    Tell("allocate", name);
    const std::string lock = node.is_null() ? "" : Annotation(node, "hami.io/mutex.lock");
    if (lock.ends_with(",default," + name)) {
      node["metadata"]["annotations"].erase("hami.io/mutex.lock");
      api_.Put(std::string(kNodes) + kHamiNode, node);
    }
    return;
  }
}

std::vector<Json> FakeHistory::Unbound() const {
  std::vector<Json> found;
  for (const auto& [name, wanted] : wanted_) {
    Json pod = api_.Get(kPods + name);
    if (!pod.is_null() && NodeOf(pod).empty()) found.push_back(std::move(pod));
  }
  return found;
}

// `any_pod`: also one that is gone, and by a scheduler that does not lead.
void FakeHistory::Filter(Process& process, bool any_pod) {
  if (process.replica == nullptr || process.doomed || process.scheduler == nullptr) return;
  if (!process.scheduler->leads() && !any_pod) return;
  std::vector<Json> pods = Unbound();
  if (any_pod) pods.insert(pods.end(), remembered_.begin(), remembered_.end());
  std::erase_if(
      pods, [&](const Json& pod) { return process.scheduler->IsBinding(pod["metadata"]["uid"]); });
  if (pods.empty()) return;
  const Json pod = pods[static_cast<size_t>(Draw(static_cast<int>(pods.size())))];
  Json names = Json::array();
  for (const char* name : kNodeNames) {
    if (!api_.Get(std::string(kNodes) + name).is_null()) names.push_back(name);
  }
  ++process.calls;
  const Json answer = Json::parse(process.replica->extender().Filter(
      Json({{"Pod", pod}, {"Nodes", nullptr}, {"NodeNames", names}}).dump()));
  --process.calls;
  const std::string name = pod["metadata"]["name"];
  const Json& chosen = answer["NodeNames"];
  if (process.scheduler == nullptr || !chosen.is_array() || chosen.empty()) {
    return Tell("filtered in vain", name + " " + answer.value("Error", ""));
  }
  Tell("filter", fmt::format("{} by {} to {}", name, process.host, chosen[0].get<std::string>()));
  process.scheduler->binds().push_back({name, pod["metadata"]["uid"], chosen[0]});
}

void FakeHistory::Bind(Process& process) {
  if (process.replica == nullptr || process.doomed || process.scheduler == nullptr) return;
  auto& binds = process.scheduler->binds();
  if (binds.empty()) return;
  const size_t chosen = static_cast<size_t>(Draw(static_cast<int>(binds.size())));
  const FakeKubeScheduler::PendingBind bind = binds[chosen];
  binds.erase(binds.begin() + static_cast<std::ptrdiff_t>(chosen));
  ++process.calls;
  Tell("bind", fmt::format("{} by {} to {}", bind.pod, process.host, bind.node));
  const Json answer =
      Json::parse(process.replica->extender().Bind(Json({{"PodName", bind.pod},
                                                         {"PodNamespace", "default"},
                                                         {"PodUID", bind.uid},
                                                         {"Node", bind.node}})
                                                       .dump()));
  --process.calls;
  const std::string error = answer["Error"];
  Tell(error.empty() ? "bound" : "not bound", bind.pod + " " + error);
}

// What is still under way lands on the way, or never.
void FakeHistory::Advance(int64_t ms) {
  int64_t until_ns = std::min<int64_t>(clock_.MonotonicNs() + ms * kMs, latest_ns_);
  while (true) {
    const auto next = std::ranges::min_element(late_, {}, &LateWrite::deadline_ns);
    if (next == late_.end() || next->deadline_ns > until_ns) break;
    const LateWrite write = *next;
    late_.erase(next);
    clock_.Advance(std::max<int64_t>(write.deadline_ns - clock_.MonotonicNs(), 0));
    if (Chance(30)) continue;
    Execute(write.request);
    Tell("lands at the last moment", write.request.target);
    Check();
  }
  clock_.Advance(std::max<int64_t>(until_ns - clock_.MonotonicNs(), 0));
}

void FakeHistory::LandOne() {
  if (late_.empty()) return;
  const auto chosen = late_.begin() + Draw(static_cast<int>(late_.size()));
  const LateWrite write = *chosen;
  late_.erase(chosen);
  Execute(write.request);
  Tell("lands late", write.request.target);
}

void FakeHistory::Elect(Process& process) {
  if (process.scheduler == nullptr) return;
  const bool led = process.scheduler->leads();
  if (!process.scheduler->Elect()) {
    Tell("loses the Lease", process.host);
    process.scheduler.reset();
    return;
  }
  if (!led && process.scheduler->leads()) Tell("takes the Lease", process.host);
}

void FakeHistory::Kill(Process& process) {
  if (process.replica == nullptr || process.doomed) return;
  Tell("hami-scheduler dies", process.host);
  if (process.calls > 0) {
    ++counts_["dies within a request"];
    process.doomed = true;
  } else {
    process.replica.reset();
  }
}

void FakeHistory::Start(Process& process) {
  if (process.scheduler == nullptr) {
    process.scheduler = std::make_unique<FakeKubeScheduler>(
        api_, clock_, kHistoryLeasePath, fmt::format("{}_{}", process.host, ++process.starts));
  }
  if (process.doomed && process.calls == 0) {
    process.replica.reset();
    process.doomed = false;
  }
  if (process.replica != nullptr) return;
  Tell("hami-scheduler starts", process.host);
  process.replica =
      std::make_unique<FakeReplica>(api_, registry_, clock_, process.host, process.host);
}

void FakeHistory::CheckDrift(Process& process) {
  if (process.replica == nullptr || process.doomed || process.calls > 0) return;
  ++process.calls;
  const std::optional<size_t> drift = process.replica->Drift([&] {
    StepsWithin(latest_ns_);
    if (Chance(50)) process.replica->Relist(Feed::kPod);
    process.replica->DeliverAll();
  });
  --process.calls;
  if (!drift) return;
  Tell("reconcile", process.host);
  if (*drift > 0) Problem(fmt::format("{} pods have drifted in {}", *drift, process.host));
}

// --- The network ---

FakeHistory::Answer FakeHistory::Execute(const net::FakeRequest& request) {
  kube::ApiRequest again;
  again.verb = VerbOf(request.method);
  const size_t query = request.target.find('?');
  again.path = request.target.substr(0, query);
  again.body = request.body;
  if (const auto type = request.headers.find("content-type"); type != request.headers.end()) {
    again.content_type = type->second;
  }
  again.repeatable = false;
  const Result<std::string> answer = network_.Do(std::move(again));
  if (answer) return {request.method == "POST" ? 201 : 200, *answer};
  switch (answer.error().code) {
    case Code::kNotFound:
      return {404, R"({"kind":"Status","reason":"NotFound","message":"none","code":404})"};
    default:
      return {409, R"({"kind":"Status","reason":"Conflict","message":"conflict","code":409})"};
  }
}

void FakeHistory::StepsWithin(int64_t deadline_ns) {
  if (depth_ >= kMostDepth) return;
  const int64_t before = latest_ns_;
  latest_ns_ = std::min(before, deadline_ns);
  ++depth_;
  for (int steps = 1 + Draw(4); steps > 0; --steps) {
    Step();
    Check();
  }
  --depth_;
  latest_ns_ = before;
}

bool FakeHistory::OnRequest(const net::FakeRequest& request, net::FakeConnection& connection) {
  const auto agent = request.headers.find("user-agent");
  if (agent == request.headers.end() || agent->second.starts_with(kNetwork)) return false;
  if (request.target.find("/events") != std::string::npos) return false;
  for (Process& process : processes_) {
    if (!agent->second.starts_with(process.host)) continue;
    if (process.doomed) {
      connection.Respond(500, "{}");
      return true;
    }
    if (calm_) return false;
    Suffer(process, request, connection);
    return true;
  }
  return false;
}

// One request of a replica: what happens before, whether and when it is executed, what happens
// then, and what its sender hears.
void FakeHistory::Suffer(Process& process, const net::FakeRequest& request,
                         net::FakeConnection& connection) {
  const bool writes = request.method != "GET";
  const int64_t begun_ns = clock_.MonotonicNs();
  const int64_t left_ms = process.replica->last_left_ms();
  const int64_t deadline_ns = begun_ns + std::clamp<int64_t>(left_ms, 0, kRequestMs) * kMs;
  if (Chance(40)) StepsWithin(deadline_ns);
  // An answer that says no, a doubt, and a doubt that comes true later.
  const int fate = Draw(100);
  if (fate < 10) {
    Tell("refused", request.target);
    const int code = writes && Chance(30) ? 409 : Chance(30) ? 429 : 500;
    return connection.Respond(code, "{}", code == 429 ? "Retry-After: 100\r\n" : "");
  }
  if (writes && fate < 26) {
    Tell("is under way", request.target);
    late_.push_back({request, deadline_ns});
    return Chance(50) && request.method == "POST" ? connection.Close()
                                                  : connection.Respond(500, "{}");
  }
  const Answer answer = Execute(request);
  if (Chance(30)) StepsWithin(deadline_ns);
  if (process.doomed) return connection.Respond(500, "{}");
  if (writes && fate < 36) {
    Tell("done, and nobody says so", request.target);
    return connection.Respond(500, "{}");
  }
  connection.Respond(answer.code, answer.body);
}

// --- Looking ---

void FakeHistory::CheckPod(const Json& pod, std::map<std::string, std::array<int, 3>>* used) {
  const std::string name = pod["metadata"]["name"];
  const std::string node = NodeOf(pod);
  if (node.empty() || IsOver(pod)) return;
  const std::vector<Holding> holdings = HoldingsOf(Annotation(pod, domain::kVgpuDevicesAllocated));
  const auto wanted = wanted_.find(name);
  if (wanted != wanted_.end() && holdings.size() != static_cast<size_t>(wanted->second.gpus)) {
    Problem(fmt::format("{} is on {} and holds {} cards of {}: {}", name, node, holdings.size(),
                        wanted->second.gpus, pod["metadata"].dump()));
  }
  for (const Holding& holding : holdings) {
    if (!holding.card.starts_with("GPU-" + node + "-")) {
      Problem(fmt::format("{} is on {} and holds {}", name, node, holding.card));
    }
    if (wanted != wanted_.end() && holding.memory_mib != wanted->second.memory_mib) {
      Problem(fmt::format("{} asked for {} MiB and holds {}", name, wanted->second.memory_mib,
                          holding.memory_mib));
    }
    std::array<int, 3>& sum = (*used)[holding.card];
    sum[0] += 1;
    sum[1] += holding.memory_mib;
    sum[2] += holding.cores;
  }
}

void FakeHistory::Check() {
  if (!problem_.empty()) return;
  std::map<std::string, std::array<int, 3>> used;
  api_.Look([&](const std::map<std::string, Json>& objects) {
    for (auto at = objects.lower_bound(kPods); at != objects.end() && at->first.starts_with(kPods);
         ++at) {
      CheckPod(at->second, &used);
    }
  });
  for (const auto& [card, sum] : used) {
    const std::array<int, 3>& has = capacity_[card];
    if (sum[0] > has[0] || sum[1] > has[1] || sum[2] > has[2]) {
      Problem(fmt::format("{} is given twice: {} slots, {} MiB, {} cores", card, sum[0], sum[1],
                          sum[2]));
    }
  }
  int may_write = 0;
  for (const Process& process : processes_) {
    may_write += process.replica != nullptr && !process.doomed && process.replica->LeftMs() > 0;
  }
  if (may_write > 1) Problem("two replicas may write at once");
}

// What each replica holds is what the API says, and nothing is promised any more.
void FakeHistory::CheckBooks(const std::string& when) {
  std::map<std::string, std::array<int, 3>> used;
  api_.Look([&](const std::map<std::string, Json>& objects) {
    for (const auto& [path, object] : objects) {
      if (path.starts_with(kPods)) CheckPod(object, &used);
    }
  });
  for (Process& process : processes_) {
    process.replica->DeliverAll();
    const std::optional<size_t> drift = process.replica->Drift([] {});
    if (!drift || *drift > 0) Problem(fmt::format("{}: {} has drifted", when, process.host));
    for (const auto& [hold, count] : process.replica->state().Figures().reservations) {
      if (count > 0) {
        Problem(fmt::format("{}: {} holds {} reservations of kind {}", when, process.host, count,
                            static_cast<int>(hold)));
      }
    }
    process.replica->state().Look([&](const placement::Cluster& cluster) {
      for (const char* name : kNodeNames) {
        const std::vector<placement::DeviceUse> uses = cluster.UseOf(name);
        for (size_t card = 0; card < uses.size(); ++card) {
          const std::array<int, 3>& truth = used[fmt::format("GPU-{}-{}", name, card)];
          if (uses[card].memory_mib != truth[1] || uses[card].slots != truth[0]) {
            Problem(fmt::format("{}: {} counts {} MiB on card {} of {}, the API {}", when,
                                process.host, uses[card].memory_mib, card, name, truth[1]));
          }
        }
      }
    });
  }
}

bool FakeHistory::CalmRound(int round) {
  for (Process& process : processes_) {
    Start(process);
    Elect(process);
    process.replica->DeliverAll();
    process.replica->Tick();
    for (int tries = 0; tries < kMostPods; ++tries) Filter(process, false);
    while (process.scheduler != nullptr && !process.scheduler->binds().empty()) Bind(process);
    process.replica->DeliverAll();
  }
  RunPlugin();
  Check();
  // What another scheduler claims, and a node's lock, run out after minutes.
  Advance(round < kSlowRounds ? 1'000 : 5'000);
  return Unbound().empty();
}

void FakeHistory::Calm() {
  calm_ = true;
  Tell("calm");
  while (!late_.empty()) LandOne();
  Check();
  for (const char* name : kNodeNames) {
    const std::string path = std::string(kNodes) + name;
    if (api_.Get(path).is_null()) {
      api_.Put(path, NodeJson(name, std::string(name) != kHamiNode, kCards, kCardMib));
    }
  }
  int round = 0;
  while (!CalmRound(round) && problem_.empty()) {
    if (++round < 200) continue;
    return Problem(fmt::format("{} is wanted and stays unbound",
                               Unbound().front()["metadata"]["name"].get<std::string>()));
  }
  // Longer than whatever is promised.
  for (int name = 0; name < 2; ++name) api_.Delete(fmt::format("{}forged{}", kPods, name));
  for (int s = 0; s < 60 && problem_.empty(); s += 5) CalmRound(kSlowRounds);
  CheckBooks("calm");
  for (const auto& [name, wanted] : std::map(wanted_)) api_.Delete(kPods + name);
  wanted_.clear();
  for (const Json& pod : api_.ItemsOf("/api/v1/pods")) {
    api_.Delete(kPods + pod["metadata"]["name"].get<std::string>());
  }
  CheckBooks("empty");
}

}  // namespace hami::extender
