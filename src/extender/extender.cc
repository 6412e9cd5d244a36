// SPDX-License-Identifier: Apache-2.0

#include "extender/extender.h"

#include <algorithm>
#include <random>
#include <utility>
#include <vector>

#include "base/log.h"
#include "domain/allocation_id.h"
#include "domain/names.h"
#include "domain/node_needs.h"
#include "extender/events.h"
#include "extender/priority_steps.h"

namespace hami::extender {
namespace {

// What a lease has left must outlast a bind by this, for the answer and for clocks.
constexpr int64_t kLeaseMarginMs = 500;
constexpr int64_t kShortestBindMs = 300;
constexpr std::string_view kUnregistered = "node unregistered";
constexpr std::string_view kQuotaWord = "ResourceQuotaNotFit";

uint64_t RandomId() {
  static thread_local std::mt19937_64 random{std::random_device{}()};
  return random();
}

// Counts a call when it ends.
class Call {
 public:
  Call(ExtenderMetrics& metrics, const base::Clock& clock, std::string_view verb)
      : metrics_(metrics), clock_(clock), verb_(verb), begun_ns_(clock.MonotonicNs()) {}
  void End(std::string_view result) {
    metrics_.NoteCall(verb_, result, static_cast<double>(clock_.MonotonicNs() - begun_ns_) / 1e9);
  }

 private:
  ExtenderMetrics& metrics_;
  const base::Clock& clock_;
  const std::string_view verb_;
  const int64_t begun_ns_;
};

// Of which the parser's memory is kept from one call to the next.
json::Document& ThisThreadsDocument() {
  static thread_local json::Document document;
  return document;
}

// Of all annotations, also those that domain::Pod leaves out.
size_t AnnotationBytes(json::Value pod) {
  size_t bytes = 0;
  for (const auto& [key, value] : pod["metadata"]["annotations"].Members()) {
    bytes += key.size() + value.Text().size();
  }
  return bytes;
}

std::string TraceparentOf(const std::map<std::string, std::string>& annotations) {
  const auto found = annotations.find(std::string(domain::kTraceparent));
  return found == annotations.end() ? "" : found->second;
}

PodEntry EntryOf(const domain::Pod& pod, const placement::Request& request) {
  PodEntry entry;
  entry.key = {pod.namespace_name, pod.name};
  entry.version = kube::VersionNumber(pod.resource_version);
  entry.facts = FactsOf(pod, request);
  return entry;
}

}  // namespace

Extender::Extender(const ExtenderOptions& options, const vendor::Registry& registry,
                   const base::Clock& clock, ClusterState& state, const Leadership& leadership,
                   Binder& binder, HamiProtocol& hami, kube::Client& client,
                   kube::EventRecorder& events, ExtenderMetrics& metrics)
    : options_(options),
      registry_(registry),
      clock_(clock),
      state_(state),
      leadership_(leadership),
      binder_(binder),
      hami_(hami),
      client_(client),
      events_(events),
      metrics_(metrics),
      victim_review_(registry, clock, state, options.preempt_patience_ms) {}

// What does not depend on nodes: the pod and what it asks for.
Result<Extender::Ask> Extender::ReadAsk(const json::Value& pod) const {
  ASSIGN_OR_RETURN(domain::Pod read, domain::ReadPod(pod));
  ASSIGN_OR_RETURN(placement::Request request,
                   placement::MakeRequest(registry_, read, options_.policy));
  return Ask{std::move(read), std::move(request)};
}

// --- Filter ---

std::string Extender::Filter(std::string_view body) {
  const Result<FilterArgs> args = ReadFilterArgs(body, &ThisThreadsDocument());
  if (args) return FilterRead(*args);
  Call(metrics_, clock_, "filter").End("malformed");
  return WriteFilterError(args.error().message);
}

std::string Extender::FilterRead(const FilterArgs& args) {
  Call call(metrics_, clock_, "filter");
  const Result<domain::Pod> pod = domain::ReadPod(args.pod);
  if (!pod) {
    call.End("malformed");
    return WriteFilterError(pod.error().message);
  }
  if (pod->uid.empty() || pod->name.empty()) {
    call.End("malformed");
    return WriteFilterError("the pod of extender args has no name or no uid");
  }
  const Result<placement::Request> request =
      placement::MakeRequest(registry_, *pod, options_.policy);
  if (!request) {
    call.End("error");
    return FailFilter(*pod, request.error().message);
  }
  if (!request->WantsDevices()) {
    call.End("passed");
    return WriteFilterResult(args, {.chosen = args.names});
  }
  if (options_.nodes_mean_dry_run && args.has_nodes && !args.has_names) {
    call.End("simulated");
    return Simulate(args, *request, true);
  }
  if (leadership_.AwaitMs() <= 0) {
    call.End("not_leader");
    return WriteFilterError("this replica may not place pods: " + leadership_.Describe());
  }
  if (options_.node_choice == NodeChoice::kScheduler) {
    std::string answer = FilterForScheduler(args, *pod, *request);
    call.End("answered");
    return answer;
  }
  std::optional<trace::Span> span =
      BeginSpan("filter", TraceparentOf(pod->annotations), {pod->namespace_name, pod->name});
  const std::string traceparent = span ? trace::FormatTraceparent(span->context) : "";
  std::string node;
  std::string answer = Choose(args, *pod, *request, traceparent, &node);
  EndSpan(std::move(span), node, node.empty() ? "no node" : "");
  call.End("answered");
  return answer;
}

std::optional<trace::Span> Extender::BeginSpan(const char* name, const std::string& traceparent,
                                               const kube::ObjectKey& pod) {
  if (tracer_ == nullptr) return std::nullopt;
  trace::Span span = tracer_->Begin(name, trace::ParseTraceparent(traceparent));
  span.attributes["k8s.namespace.name"] = pod.name_space;
  span.attributes["k8s.pod.name"] = pod.name;
  return span;
}

void Extender::EndSpan(std::optional<trace::Span> span, std::string_view node,
                       std::string_view error) {
  if (!span) return;
  if (!node.empty()) span->attributes["k8s.node.name"] = node;
  tracer_->End(std::move(*span), std::string(error));
}

std::string Extender::FailFilter(const domain::Pod& pod, const std::string& error) {
  events_.Record(SubjectOf({pod.namespace_name, pod.name}, pod.uid), FilteringFailed(error));
  return WriteFilterError(error);
}

std::string Extender::Choose(const FilterArgs& args, const domain::Pod& pod,
                             const placement::Request& request, const std::string& traceparent,
                             std::string* chosen) {
  const ClusterState::Placed placed = state_.Reserve(request, EntryOf(pod, request), args.names);
  if (placed.decision.gave_up) {
    metrics_.NoteSearchGivenUp();
    LOG_WARN_EVERY(60'000, "gave up trying the pod's containers in every way",
                   Field("pod", pod.Text()),
                   Field("placed", placed.decision.allocation.has_value()));
  }
  if (!placed.decision.allocation) {
    if (!placed.is_nominated) AskForRoom(pod, request, placed.decision);
    return Nothing(args, pod, placed.decision);
  }
  if (const Status written = WriteDown(pod, AnnotationBytes(args.pod), placed, traceparent);
      !written) {
    state_.Release(pod.uid);
    return FailFilter(pod, written.error().message);
  }
  const std::string& node = placed.decision.allocation->node;
  *chosen = node;
  events_.Record(SubjectOf({pod.namespace_name, pod.name}, pod.uid),
                 FilteringSucceed(placed.decision, args.names.size()));
  LOG_DEBUG("reserved", Field("pod", pod.Text()), Field("node", node));
  return WriteFilterResult(args, {.chosen = {node}});
}

// What the bind will write, made while the pod is at hand.
Status Extender::WriteDown(const domain::Pod& pod, size_t annotation_bytes,
                           const ClusterState::Placed& placed, const std::string& traceparent) {
  std::map<std::string, std::string> annotations =
      registry_.WriteAllocation(pod, *placed.decision.allocation, placed.devices, clock_.WallNs());
  std::string id = domain::FormatAllocationId(RandomId());
  annotations[std::string(domain::kAllocation)] = id;
  if (!traceparent.empty()) annotations[std::string(domain::kTraceparent)] = traceparent;
  size_t bytes = annotation_bytes;
  for (const auto& [key, value] : annotations) bytes += key.size() + value.size();
  if (bytes > kMaxAnnotationBytes) {
    return Fail(Code::kInvalidArgument, "the pod's annotations would have " +
                                            std::to_string(bytes) + " bytes; with more than " +
                                            std::to_string(kMaxAnnotationBytes) +
                                            " it could not be updated any more");
  }
  state_.SetAnnotations(pod.uid, std::move(annotations), std::move(id), !pod.pod_group.empty());
  return {};
}

std::string Extender::Nothing(const FilterArgs& args, const domain::Pod& pod,
                              const placement::Decision& decision) {
  FilterResult result;
  result.failed.reserve(decision.misfits.size());
  for (const placement::Misfit& misfit : decision.misfits) {
    result.failed.emplace_back(misfit.node, misfit.text);
  }
  const placement::NearestMiss* nearest = decision.nearest ? &*decision.nearest : nullptr;
  NoteNeeds(args.pod, pod.uid);
  const kube::EventSubject subject = SubjectOf({pod.namespace_name, pod.name}, pod.uid);
  for (kube::EventWords& words : NothingFits(decision.misfits, nearest)) {
    events_.Record(subject, std::move(words));
  }
  return WriteFilterResult(args, result);
}

void Extender::NoteNeeds(json::Value pod, const std::string& uid) {
  const json::Value spec = pod["spec"];
  std::string text;
  for (const json::Value part :
       {spec["nodeSelector"], spec["affinity"]["nodeAffinity"], spec["tolerations"]}) {
    text += part.exists() ? part.Json() : "-";
  }
  state_.NoteNeeds(uid, domain::ReadNodeNeeds(pod), text);
}

// What only a quota keeps out gets no room by others leaving.
void Extender::AskForRoom(const domain::Pod& pod, const placement::Request& request,
                          const placement::Decision& decision) {
  if (preemptor_ == nullptr || pod.never_preempts || !state_.HasHolderBelow(pod.priority)) return;
  Preemptor::Ask ask = {.pod = EntryOf(pod, request), .request = request, .nodes = {}};
  for (const placement::Misfit& misfit : decision.misfits) {
    if (misfit.text != kUnregistered && misfit.text.find(kQuotaWord) == std::string::npos) {
      ask.nodes.push_back(misfit.node);
    }
  }
  if (!ask.nodes.empty()) preemptor_->Consider(std::move(ask));
}

// --- Simulation ---

std::string Extender::DryRun(std::string_view body) {
  Call call(metrics_, clock_, "dry_run");
  const Result<FilterArgs> args = ReadFilterArgs(body, &ThisThreadsDocument());
  const Result<Ask> ask = args ? ReadAsk(args->pod) : Result<Ask>(Fail(Error(args.error())));
  if (!ask) {
    call.End("error");
    return WriteFilterError(ask.error().message);
  }
  if (!args->has_nodes || args->has_names) {
    call.End("malformed");
    return WriteFilterError("a simulation needs Nodes, and no NodeNames");
  }
  call.End("simulated");
  if (!ask->request.WantsDevices()) return WriteFilterResult(*args, {.chosen = args->names});
  return Simulate(*args, ask->request, false);
}

std::string Extender::Simulate(const FilterArgs& args, const placement::Request& request,
                               bool only_best) const {
  placement::Cluster cluster(registry_);
  for (const json::Value object : args.nodes) {
    if (const Result<NodeEntry> node = ReadNodeEntry(registry_, object)) {
      cluster.PutNode(node->facts);
    }
  }
  if (args.names.empty()) return WriteFilterResult(args, {});
  std::vector<placement::Misfit> misfits;
  const std::vector<placement::NodeScore> fitting = cluster.Fitting(request, args.names, &misfits);
  FilterResult result;
  for (const placement::NodeScore& score : fitting) result.chosen.push_back(score.node);
  for (const placement::Misfit& misfit : misfits) {
    result.failed.emplace_back(misfit.node, misfit.text);
  }
  const placement::Decision best =
      only_best ? cluster.Place(request, args.names) : placement::Decision();
  if (best.allocation) result.chosen = {best.allocation->node};
  return WriteFilterResult(args, result);
}

// --- Node choice by kube-scheduler ---

std::string Extender::FilterForScheduler(const FilterArgs& args, const domain::Pod& pod,
                                         const placement::Request& request) {
  std::vector<placement::Misfit> misfits;
  const std::vector<placement::NodeScore> fitting =
      state_.Fitting(request, EntryOf(pod, request), args.names, &misfits);
  if (fitting.empty()) {
    placement::Decision decision;
    decision.misfits = std::move(misfits);
    AskForRoom(pod, request, decision);
    return Nothing(args, pod, decision);
  }
  FilterResult result;
  for (const placement::NodeScore& score : fitting) result.chosen.push_back(score.node);
  for (const placement::Misfit& misfit : misfits) {
    result.failed.emplace_back(misfit.node, misfit.text);
  }
  return WriteFilterResult(args, result);
}

std::string Extender::Prioritize(std::string_view body) {
  Call call(metrics_, clock_, "prioritize");
  const Result<FilterArgs> args = ReadFilterArgs(body, &ThisThreadsDocument());
  const Result<Ask> ask = args ? ReadAsk(args->pod) : Result<Ask>(Fail(Error(args.error())));
  if (!ask) {
    call.End("error");
    return WritePriorities({});  // the protocol has no errors here: kube-scheduler goes on without
  }
  std::vector<std::pair<std::string_view, int64_t>> priorities;
  for (const std::string_view name : args->names) priorities.emplace_back(name, 0);
  std::vector<placement::NodeScore> scores;
  if (ask->request.WantsDevices()) {
    state_.Look([&](const placement::Cluster& cluster) {
      scores = cluster.Fitting(ask->request, args->names, nullptr);
    });
  }
  SpreadOverSteps(scores, &priorities);
  call.End("answered");
  return WritePriorities(priorities);
}

// --- Preemption by kube-scheduler ---

std::string Extender::Preempt(std::string_view body) {
  Call call(metrics_, clock_, "preempt");
  const Result<PreemptArgs> args = ReadPreemptArgs(body, &ThisThreadsDocument());
  const Result<Ask> ask = args ? ReadAsk(args->pod) : Result<Ask>(Fail(Error(args.error())));
  if (!ask || leadership_.LeftMs() <= 0) {
    call.End(ask ? "not_leader" : "error");
    return WritePreemptResult({});  // nobody is evicted
  }
  if (!ask->request.WantsDevices()) {
    call.End("passed");
    return WritePreemptResult(args->nodes);
  }
  // Room is held for it already: its own victims are leaving.
  if (state_.FindReservation(ask->pod.uid)) {
    call.End("answered");
    return WritePreemptResult({});
  }
  const std::vector<PreemptArgs::Node> useful = victim_review_.Await(ask->request, args->nodes);
  if (!useful.empty() && leadership_.LeftMs() <= 0) {  // lost meanwhile
    call.End("not_leader");
    return WritePreemptResult({});
  }
  call.End("answered");
  if (!useful.empty() && preemptor_ != nullptr) preemptor_->Withdraw(ask->pod.uid);
  return WritePreemptResult(useful);
}

// --- Bind ---

std::string Extender::Bind(std::string_view body) {
  Call call(metrics_, clock_, "bind");
  const Result<BindArgs> args = ReadBindArgs(body);
  if (!args) {
    call.End("malformed");
    return WriteBindResult(args.error().message);
  }
  const kube::ObjectKey key = {args->pod_namespace, args->pod_name};
  const Status bound = BindNow(*args);
  if (bound) {
    call.End("bound");
    events_.Record(SubjectOf(key, args->pod_uid), BindingSucceed(args->node, key));
    return WriteBindResult("");
  }
  call.End("failed");
  LOG_WARN("cannot bind", Field("pod", key.Text()), Field("node", args->node),
           Field("error", bound.error()));
  events_.Record(SubjectOf(key, args->pod_uid), BindingFailed(bound.error().message));
  return WriteBindResult(bound.error().message);
}

Result<Extender::FetchedPod> Extender::FetchPod(const BindArgs& args) {
  const kube::ObjectKey key = {args.pod_namespace, args.pod_name};
  RETURN_IF_ERROR(kube::CheckKey(key));
  kube::ApiRequest get = kube::GetRequest(kube::kPods, key);
  get.timeout_ms = options_.bind_timeout_ms;
  ASSIGN_OR_RETURN(const std::string text, client_.Do(std::move(get)));
  json::Document document;
  RETURN_IF_ERROR(document.Parse(text));
  ASSIGN_OR_RETURN(domain::Pod pod, domain::ReadPod(document.root()));
  if (pod.uid != args.pod_uid) {
    return Fail(Code::kNotFound, "the pod of that uid is gone; another has its name");
  }
  if (!pod.node_name.empty()) {
    return Fail(Code::kAlreadyExists, "the pod is on node " + pod.node_name + " already");
  }
  return FetchedPod{std::move(pod), AnnotationBytes(document.root())};
}

// What was reserved, or else is found and reserved on that node now.
Result<Reservation> Extender::ReservedFor(const BindArgs& args) {
  Result<Reservation> reserved = state_.BeginBind(args.pod_uid, args.node);
  if (reserved || reserved.error().code != Code::kNotFound) return reserved;
  Result<FetchedPod> pod = FetchPod(args);
  if (!pod) {
    if (pod.error().code == Code::kNotFound) state_.Release(args.pod_uid);
    return Fail(std::move(pod).error());
  }
  ASSIGN_OR_RETURN(const placement::Request request,
                   placement::MakeRequest(registry_, pod->pod, options_.policy));
  const PodEntry entry = EntryOf(pod->pod, request);
  if (!request.WantsDevices()) {
    Reservation plain;
    plain.pod = entry.key;
    plain.uid = args.pod_uid;
    plain.facts = entry.facts;
    plain.facts.node = args.node;
    return plain;
  }
  const ClusterState::Placed placed = state_.ReserveOn(request, entry, args.node);
  if (!placed.decision.allocation) {
    const std::string why = placed.decision.misfits.empty() ? std::string(kUnregistered)
                                                            : placed.decision.misfits[0].text;
    return Fail(Code::kResourceExhausted, "node " + args.node + " has no room any more: " + why);
  }
  if (const Status written = WriteDown(pod->pod, pod->annotation_bytes, placed, ""); !written) {
    state_.Release(args.pod_uid);
    return Fail(Error(written.error()));
  }
  return state_.BeginBind(args.pod_uid, args.node);
}

// For one write, so that it ends before the Lease can; 0: not at all.
int64_t Extender::BindTimeLeftMs() const {
  const int64_t left_ms = std::min(options_.bind_timeout_ms, leadership_.LeftMs() - kLeaseMarginMs);
  return left_ms < kShortestBindMs ? 0 : left_ms;
}

void Extender::NoteHamiNode(const std::string& node) {
  LOG_INFO_EVERY(60'000,
                 "bound by HAMi's protocol, which locks the node and costs more writes: its plugin "
                 "does not announce ours",
                 Field("node", node));
}

Status Extender::BindNow(const BindArgs& args) {
  if (leadership_.LeftMs() <= 0) {
    return Fail(Code::kFailedPrecondition,
                "this replica may not bind pods: " + leadership_.Describe());
  }
  ASSIGN_OR_RETURN(Reservation reservation, ReservedFor(args));
  std::optional<trace::Span> span =
      BeginSpan("bind", TraceparentOf(reservation.annotations), reservation.pod);
  if (span && !reservation.annotations.empty()) {
    // From there the node goes on.
    reservation.annotations[std::string(domain::kTraceparent)] =
        trace::FormatTraceparent(span->context);
  }
  const int64_t left_ms = BindTimeLeftMs();  // only now, because reading the pod took time
  if (left_ms <= 0) {
    state_.EndBind(args.pod_uid, false);
    return Fail(Code::kFailedPrecondition, "the Lease has too little time left for a bind");
  }
  const bool plain = reservation.annotations.empty();
  const bool ours = plain || state_.TakesBinding(args.node);
  const BindAnswer answer = ours ? binder_.Bind(reservation, left_ms)
                                 : hami_.Bind(reservation, [this] { return BindTimeLeftMs(); });
  EndSpan(std::move(span), args.node, answer.error);
  switch (answer.outcome) {
    case BindOutcome::kBound:
      metrics_.NoteBind(plain ? "none" : ours ? "binding" : "hami");
      if (!ours) NoteHamiNode(args.node);
      state_.EndBind(args.pod_uid, true);
      return {};
    case BindOutcome::kUncertain:
      state_.EndBindUncertain(args.pod_uid);
      break;
    case BindOutcome::kRefused:
    case BindOutcome::kGone:
      state_.EndBind(args.pod_uid, false);
      break;
  }
  return Fail(Code::kUnavailable, answer.error);
}

}  // namespace hami::extender
