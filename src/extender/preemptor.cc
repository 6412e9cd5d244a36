// SPDX-License-Identifier: Apache-2.0

#include "extender/preemptor.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/json_writer.h"
#include "base/log.h"
#include "extender/events.h"
#include "kube/request.h"

namespace hami::extender {
namespace {

constexpr size_t kMaxEntries = 256;
constexpr int64_t kMaxPauses = 60;
constexpr int64_t kRequestTimeoutMs = 5'000;
const kube::ResourceType kBudgets{"policy", "v1", "poddisruptionbudgets"};

std::string EvictionBody(const placement::PodFacts& pod) {
  base::JsonWriter json;
  json.BeginObject().Member("apiVersion", "policy/v1").Member("kind", "Eviction");
  json.Key("metadata").BeginObject();
  json.Member("name", pod.name).Member("namespace", pod.namespace_name).EndObject();
  json.Key("deleteOptions").BeginObject().Key("preconditions").BeginObject();
  json.Member("uid", pod.uid).EndObject().EndObject().EndObject();
  return std::move(json).Take();
}

}  // namespace

bool Budget::Selects(const std::string& pod_namespace,
                     const std::map<std::string, std::string>& pod_labels) const {
  if (pod_namespace != namespace_name) return false;
  if (selects_all) return true;
  for (const auto& [key, value] : labels) {
    const auto found = pod_labels.find(key);
    if (found == pod_labels.end() || found->second != value) return false;
  }
  return std::ranges::all_of(
      expressions, [&](const domain::LabelExpression& each) { return each.Holds(pod_labels); });
}

Result<Budget> ReadBudget(json::Value object) {
  const json::Value metadata = object["metadata"];
  Budget budget;
  budget.namespace_name = metadata["namespace"].Text();
  budget.name = metadata["name"].Text();
  if (budget.name.empty()) {
    return Fail(Code::kInvalidArgument, "a PodDisruptionBudget without name");
  }
  const json::Value selector = object["spec"]["selector"];
  for (const auto& [key, value] : selector["matchLabels"].Members()) {
    budget.labels[std::string(key)] = std::string(value.Text());
  }
  budget.expressions = domain::ReadLabelExpressions(selector["matchExpressions"]);
  budget.selects_all = budget.labels.empty() && budget.expressions.empty();
  budget.allowed = object["status"]["disruptionsAllowed"].Int();
  return budget;
}

Preemptor::Preemptor(const PreemptorOptions& options, const vendor::Registry& registry,
                     kube::Client& client, ClusterState& state, const Leadership& leadership,
                     kube::EventRecorder& events, ExtenderMetrics& metrics)
    : options_(options),
      registry_(registry),
      client_(client),
      state_(state),
      leadership_(leadership),
      events_(events),
      metrics_(metrics),
      thread_([this] { Run(); }) {}

Preemptor::~Preemptor() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  signal_.notify_all();
  thread_.join();
}

void Preemptor::Consider(Ask ask) {
  const SteadyClock::time_point now = SteadyClock::now();
  {
    const std::lock_guard lock(mutex_);
    const std::string uid = ask.pod.facts.uid;
    if (uid == looked_at_) return;
    const auto found = entries_.find(uid);
    if (found != entries_.end()) {
      found->second.ask = std::move(ask);
      found->second.due = std::min(found->second.due, now);
    } else if (entries_.size() < kMaxEntries) {
      entries_[uid] = {.ask = std::move(ask), .due = now};
    } else {
      metrics_.NotePreemption("dropped");
      LOG_WARN_EVERY(10'000, "too many pods ask for room; one waits until it is tried again",
                     Field("pod", ask.pod.key.Text()));
      return;
    }
  }
  signal_.notify_all();
}

void Preemptor::Withdraw(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  if (uid == looked_at_) withdrawn_ = true;
  if (entries_.erase(uid) > 0) metrics_.NotePreemption("withdrawn");
}

bool Preemptor::IsWithdrawn() {
  const std::lock_guard lock(mutex_);
  return withdrawn_;
}

void Preemptor::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto next =
        std::ranges::min_element(entries_, {}, [](const auto& entry) { return entry.second.due; });
    if (next == entries_.end()) {
      signal_.wait(lock);
      continue;
    }
    if (const SteadyClock::time_point due = next->second.due; due > SteadyClock::now()) {
      signal_.wait_until(lock, due);
      continue;
    }
    auto entry = entries_.extract(next);
    looked_at_ = entry.key();
    withdrawn_ = false;
    lock.unlock();
    const bool again = leadership_.LeftMs() > 0 && Handle(entry.mapped().ask);
    lock.lock();
    looked_at_.clear();
    if (!again || withdrawn_) continue;
    const int64_t pause_ms =
        options_.retry_ms * std::min(int64_t{1} << std::min(entry.mapped().tries, 6), kMaxPauses);
    ++entry.mapped().tries;
    entry.mapped().due = SteadyClock::now() + std::chrono::milliseconds(pause_ms);
    entries_.insert(std::move(entry));
  }
}

Result<std::vector<Budget>> Preemptor::ReadBudgets() {
  std::vector<Budget> budgets;
  const Result<std::string> version = client_.List(
      kBudgets, {},
      [&budgets](json::Value item) -> Status {
        if (Result<Budget> budget = ReadBudget(item)) budgets.push_back(std::move(*budget));
        return {};
      },
      [&budgets] { budgets.clear(); });
  if (!version) return Fail(Error(version.error()).Wrap("read PodDisruptionBudgets"));
  return budgets;
}

std::optional<VictimChoice> Preemptor::Choose(const Ask& ask, const std::vector<Budget>& budgets,
                                              bool* unsettled) const {
  Budgets allowed;
  for (const Budget& budget : budgets) {
    allowed[budget.namespace_name + "/" + budget.name] = budget.allowed;
  }
  std::optional<VictimChoice> best;
  size_t found = 0;
  for (const std::string& name : ask.nodes) {
    if (found >= options_.enough_nodes) break;
    std::optional<placement::NodeFacts> node;
    std::vector<placement::PodFacts> on_node;
    state_.Look([&](const placement::Cluster& cluster) {
      const placement::NodeFacts* facts = cluster.FindNode(name);
      if (facts == nullptr || facts->devices.empty()) return;
      node = *facts;
      on_node = cluster.PodsOn(name);
    });
    if (!node) continue;
    std::vector<Candidate> pods;
    bool has_lower = false;
    for (placement::PodFacts& facts : on_node) {
      Candidate candidate;
      // Whom the API does not show on the node cannot be told to leave it yet: a reservation.
      const std::shared_ptr<const PodEntry> entry = state_.FindPod(facts.uid);
      if (entry == nullptr || !entry->bound) {
        *unsettled = *unsettled || facts.priority < ask.pod.facts.priority;
        facts.priority = INT32_MAX;
      } else {
        candidate.terminating = entry->terminating;
        for (const Budget& budget : budgets) {
          if (budget.Selects(facts.namespace_name, entry->labels)) {
            candidate.budgets.push_back(budget.namespace_name + "/" + budget.name);
          }
        }
      }
      has_lower = has_lower || facts.priority < ask.pod.facts.priority;
      candidate.facts = std::move(facts);
      pods.push_back(std::move(candidate));
    }
    if (!has_lower) continue;
    std::optional<VictimChoice> choice =
        ChooseVictims(registry_, ask.request, ask.pod.facts.priority, *node, pods, allowed);
    if (!choice) continue;
    ++found;
    if (!best || IsBetter(*choice, *best)) best = std::move(choice);
    if (best->victims.empty()) break;
  }
  return best;
}

Status Preemptor::Evict(const Candidate& victim, bool dry_run) {
  const kube::ObjectKey key = {victim.facts.namespace_name, victim.facts.name};
  RETURN_IF_ERROR(kube::CheckKey(key));
  kube::ApiRequest evict =
      kube::CreateRequest(kube::kPods, key.name_space, EvictionBody(victim.facts));
  evict.path += "/" + key.name + "/eviction";
  evict.timeout_ms = kRequestTimeoutMs;
  if (dry_run) evict.query.emplace_back("dryRun", "All");
  const Result<std::string> answer = client_.Do(std::move(evict));
  if (answer || answer.error().code == Code::kNotFound) return {};
  return Fail(Error(answer.error()));
}

bool Preemptor::Handle(const Ask& ask) {
  if (!state_.Waits(ask.pod.facts.uid)) return false;
  const Result<std::vector<Budget>> budgets = ReadBudgets();
  if (!budgets) {
    metrics_.NotePreemption("failed");
    LOG_WARN_EVERY(10'000, "cannot make room", Field("pod", ask.pod.key.Text()),
                   Field("error", budgets.error()));
    return true;
  }
  bool unsettled = false;
  const std::optional<VictimChoice> choice = Choose(ask, *budgets, &unsettled);
  if (!choice) {
    metrics_.NotePreemption("nothing");
    return unsettled;
  }
  // All or none: who is told to leave for nothing has lost its work.
  for (const Candidate& victim : choice->victims) {
    if (const Status allowed = Evict(victim, true); !allowed) {
      metrics_.NotePreemption("refused");
      LOG_INFO("a victim may not be evicted", Field("pod", victim.facts.name),
               Field("for", ask.pod.key.Text()), Field("error", allowed.error()));
      return true;
    }
  }
  if (leadership_.LeftMs() <= 0) return false;
  if (IsWithdrawn() || !state_.Nominate(ask.pod, choice->allocation)) {
    metrics_.NotePreemption("withdrawn");
    return false;
  }
  TellNominated(ask, choice->node);
  const kube::EventSubject subject = SubjectOf(ask.pod.key, ask.pod.facts.uid);
  for (const Candidate& victim : choice->victims) {
    const std::string name = victim.facts.namespace_name + "/" + victim.facts.name;
    if (const Status evicted = Evict(victim, false); !evicted) {
      metrics_.NotePreemption("refused");
      LOG_WARN("a victim could not be evicted", Field("pod", name),
               Field("error", evicted.error()));
      state_.Release(ask.pod.facts.uid);
      return true;
    }
    metrics_.NoteVictims(1);
    events_.Record(SubjectOf({victim.facts.namespace_name, victim.facts.name}, victim.facts.uid),
                   {.is_warning = false,
                    .reason = "Preempted",
                    .message = fmt::format("leaves node {} for {} of higher priority", choice->node,
                                           ask.pod.key.Text())});
    LOG_INFO("evicted", Field("pod", name), Field("for", ask.pod.key.Text()));
  }
  metrics_.NotePreemption("made_room");
  events_.Record(subject, {.is_warning = false,
                           .reason = "PreemptionNominated",
                           .message = fmt::format("{} pods of lower priority leave node {} for it",
                                                  choice->victims.size(), choice->node)});
  return false;
}

void Preemptor::TellNominated(const Ask& ask, const std::string& node) {
  base::JsonWriter json;
  json.BeginObject().Key("metadata").BeginObject().Member("uid", ask.pod.facts.uid).EndObject();
  json.Key("status").BeginObject().Member("nominatedNodeName", node).EndObject();
  json.EndObject();
  kube::ApiRequest patch = kube::Subresource(
      kube::PatchRequest(kube::kPods, ask.pod.key, kube::PatchKind::kMerge, std::move(json).Take()),
      "status");
  patch.timeout_ms = kRequestTimeoutMs;
  // It keeps kube-scheduler from giving the node's CPU away; the devices are held here.
  if (const Result<std::string> answer = client_.Do(std::move(patch)); !answer) {
    LOG_WARN("cannot nominate a node", Field("pod", ask.pod.key.Text()),
             Field("error", answer.error()));
  }
}

}  // namespace hami::extender
