// SPDX-License-Identifier: Apache-2.0

#include "scheduler/scheduler.h"

#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "extender/state_metrics.h"
#include "webhook/quota_check.h"

namespace hami::scheduler {
namespace {

constexpr size_t kMaxConfigBytes = 4 << 20;
// A filter with 5 000 whole Nodes has some 50 MB; with their names, half of one.
constexpr size_t kMaxBodyBytes = size_t{64} << 20;
// A bind holds a thread until the API server answers, and kube-scheduler binds many pods at once.
constexpr int kServerThreads = 48;
constexpr int64_t kGraceMs = 5'000;

std::string LabelSelector(const std::map<std::string, std::string>& labels) {
  std::string selector;
  for (const auto& [key, value] : labels) {
    if (!selector.empty()) selector += ',';
    selector += key + "=" + value;
  }
  return selector;
}

Result<placement::Policy> ReadPolicy(const Options& options) {
  placement::Policy policy;
  const auto node = placement::ParseNodePolicy(options.node_scheduler_policy);
  if (!node) {
    return Fail(Code::kInvalidArgument,
                "--node-scheduler-policy \"" + options.node_scheduler_policy + "\" is not known");
  }
  policy.node = *node;
  policy.device = placement::ParseDevicePolicy(options.gpu_scheduler_policy);
  return policy;
}

net::ServerResponse Json(std::string body) {
  return {.content_type = "application/json", .body = std::move(body)};
}

net::ServerHandler Readiness(std::function<std::string()> missing) {
  return [missing = std::move(missing)](const net::ServerRequest&) {
    const std::string text = missing();
    if (text.empty()) return net::ServerResponse{.body = "ok\n"};
    return net::ServerResponse{.status = 503, .body = text + "\n"};
  };
}

}  // namespace

Result<vendor::Registry> ReadRegistry(const Options& options) {
  const std::string& path = options.device_config_file;
  if (path.empty()) return vendor::Registry::Default();
  ASSIGN_OR_RETURN(const std::string yaml, base::ReadFile(path, kMaxConfigBytes));
  std::vector<vendor::ConfigWarning> warnings;
  Result<vendor::Registry> registry = vendor::Registry::FromDeviceConfig(
      yaml, {.ascend = options.enable_ascend, .iluvatar = options.enable_iluvatar}, &warnings);
  if (!registry) return Fail(Error(registry.error()).Wrap(path));
  for (const vendor::ConfigWarning& warning : warnings) {
    LOG_WARN("in the device configuration", Field("at", warning.where),
             Field("problem", warning.message));
  }
  return registry;
}

Result<std::unique_ptr<Scheduler>> Scheduler::Make(const Options& options,
                                                   kube::ClusterConfig config) {
  ASSIGN_OR_RETURN(vendor::Registry registry, ReadRegistry(options));
  ASSIGN_OR_RETURN(const placement::Policy policy, ReadPolicy(options));
  return std::unique_ptr<Scheduler>(
      new Scheduler(options, std::move(config), std::move(registry), policy));
}

Scheduler::Scheduler(const Options& options, kube::ClusterConfig config, vendor::Registry registry,
                     const placement::Policy& policy)
    : options_(options),
      registry_(std::move(registry)),
      policy_(policy),
      client_(std::move(config), {.user_agent = "hami-scheduler"}),
      events_(client_, options.scheduler_name.empty() ? "hami-scheduler" : options.scheduler_name,
              options.holder),
      metrics_(metrics_registry_),
      state_(registry_, base::SystemClock(), {.reserved_ms = options.reservation_ms}),
      leader_({.elect = options.leader_elect,
               .lease_namespace = options.lease_namespace,
               .lease_name = options.lease_name,
               .host = options.holder},
              base::SystemClock()),
      binder_(client_),
      hami_({.lock_timeout_ms = options.node_lock_timeout_ms,
             .group_retry_ms = options.node_lock_retry_ms},
            registry_, client_, binder_, base::SystemClock()),
      extender_(
          {.node_choice = options.node_choice == "scheduler" ? extender::NodeChoice::kScheduler
                                                             : extender::NodeChoice::kExtender,
           .policy = policy,
           .nodes_mean_dry_run = options.nodes_mean_dry_run,
           .bind_timeout_ms = options.bind_timeout_ms},
          registry_, base::SystemClock(), state_, leader_, binder_, hami_, client_, events_,
          metrics_) {
  extender::AddStateMetrics(registry_, state_, options.legacy_metrics, &metrics_registry_);
  extender::AddOwnMetrics(state_, leader_, &metrics_registry_);
}

Scheduler::~Scheduler() { Stop(); }

Status Scheduler::Start() {
  if (!options_.trace_endpoint.empty()) {
    tracer_ = std::make_unique<trace::Tracer>(
        trace::TracerOptions{.endpoint = options_.trace_endpoint, .service = "hami-scheduler"},
        base::SystemClock());
    extender_.SetTracer(tracer_.get());
    const auto count = [this](const char* name, const char* help, auto read) {
      metrics_registry_.AddCallback(metrics::Type::kCounter, name, help, [this, read] {
        return static_cast<double>(read(tracer_->stats()));
      });
    };
    count("hami_scheduler_spans_sent_total", "Spans that the collector took.",
          [](const trace::TracerStats& stats) { return stats.sent; });
    count("hami_scheduler_spans_dropped_total", "Spans that were lost.",
          [](const trace::TracerStats& stats) { return stats.dropped; });
  }
  if (options_.preempt) {
    preemptor_ = std::make_unique<extender::Preemptor>(extender::PreemptorOptions{}, registry_,
                                                       client_, state_, leader_, events_, metrics_);
    extender_.SetPreemptor(preemptor_.get());
  }
  RETURN_IF_ERROR(ServeWebhook());  // before the pages that ask about it
  RETURN_IF_ERROR(Serve());
  StartReflectors();
  keeper_ = std::make_unique<extender::Keeper>(
      extender::KeeperOptions{.reconcile_ms = options_.reconcile_ms}, client_, registry_, state_,
      leader_, metrics_, [this] { return NotSynced().empty(); });
  waker_ = std::make_unique<extender::Waker>(extender::WakerOptions{}, client_, state_, leader_,
                                             metrics_, base::SystemClock());
  warden_ = std::make_unique<extender::LeaseWarden>(leader_.options(), client_, leader_, metrics_,
                                                    base::SystemClock());
  if (!options_.pod_name.empty() && !options_.pod_namespace.empty()) {
    role_labels_ = std::make_unique<extender::RoleLabels>(
        extender::RoleOptions{.pod_namespace = options_.pod_namespace,
                              .pod_name = options_.pod_name},
        client_, leader_);
  }
  return {};
}

void Scheduler::StartReflectors() {
  const kube::Decoders<extender::PodRecord> read_pod = {
      [this](json::Value object) { return extender::ReadPodRecord(registry_, object); },
      [this](std::string_view message) { return extender::ReadPodRecord(registry_, message); }};
  const kube::Decoders<extender::NodeEntry> read_node = {
      [this](json::Value object) { return extender::ReadNodeEntry(registry_, object); },
      [this](std::string_view message) { return extender::ReadNodeEntry(registry_, message); }};
  const auto read_quota = [this](json::Value object) {
    return extender::ReadQuotaEntry(registry_, object);
  };
  leader_.Start(client_);
  kube::ReflectorOptions nodes = {.type = kube::kNodes, .timing = {.streaming = true}};
  nodes.list.label_selector = LabelSelector(options_.node_selector);
  nodes_ = std::make_unique<kube::Reflector<extender::NodeEntry>>(client_, nodes, read_node,
                                                                  &state_.nodes());
  quotas_ = std::make_unique<kube::Reflector<extender::QuotaEntry>>(
      client_, kube::ReflectorOptions{.type = {"", "v1", "resourcequotas"}}, read_quota,
      &state_.quotas());
  pods_ = std::make_unique<kube::Reflector<extender::PodRecord>>(
      client_, kube::ReflectorOptions{.type = kube::kPods, .timing = {.streaming = true}}, read_pod,
      &state_.pods());
}

Status Scheduler::Serve() {
  ASSIGN_OR_RETURN(const Address address, ParseAddress("--http_bind", options_.http_bind));
  std::vector<net::Route> routes = {
      {"POST", "/filter",
       [this](const net::ServerRequest& request) { return Json(extender_.Filter(request.body)); }},
      {"POST", "/prioritize",
       [this](const net::ServerRequest& request) {
         return Json(extender_.Prioritize(request.body));
       }},
      {"POST", "/preempt",
       [this](const net::ServerRequest& request) { return Json(extender_.Preempt(request.body)); }},
      {"POST", "/dry-run/filter",
       [this](const net::ServerRequest& request) { return Json(extender_.DryRun(request.body)); }},
      {"POST", "/bind",
       [this](const net::ServerRequest& request) { return Json(extender_.Bind(request.body)); }},
      {"GET", "/healthz", [](const net::ServerRequest&) { return net::ServerResponse{}; }},
      {"GET", "/readyz", Readiness([this] { return NotReady(); })},
      {"GET", "/leaderz",
       Readiness([this] { return leader_.LeftMs() > 0 ? "" : leader_.Describe(); })},
  };
  ASSIGN_OR_RETURN(extender_page_, net::HttpServer::Start({.address = address.host,
                                                           .port = address.port,
                                                           .threads = kServerThreads,
                                                           .max_body_bytes = kMaxBodyBytes},
                                                          std::move(routes)));
  if (options_.metrics_bind_address.empty()) return {};
  ASSIGN_OR_RETURN(const Address page,
                   ParseAddress("--metrics-bind-address", options_.metrics_bind_address));
  std::vector<net::Route> pages = {
      {"GET", "/metrics",
       [this](const net::ServerRequest&) {
         return net::ServerResponse{.content_type = metrics::kContentType,
                                    .body = metrics_registry_.Text()};
       }},
      {"GET", "/healthz", [](const net::ServerRequest&) { return net::ServerResponse{}; }},
      {"GET", "/readyz", Readiness([this] { return NotReady(); })},
      {"GET", "/leaderz",
       Readiness([this] { return leader_.LeftMs() > 0 ? "" : leader_.Describe(); })},
  };
  ASSIGN_OR_RETURN(metrics_page_, net::HttpServer::Start({.address = page.host, .port = page.port},
                                                         std::move(pages)));
  return {};
}

Status Scheduler::ServeWebhook() {
  if (options_.webhook.bind.empty()) return {};
  ASSIGN_OR_RETURN(webhook::WebhookOptions options,
                   webhook::OptionsOf(options_.webhook, options_.pod_namespace, options_.cert_file,
                                      options_.key_file));
  options.admission.scheduler_name = options_.scheduler_name;
  options.admission.force_overwrite_default_scheduler = options_.force_overwrite_default_scheduler;
  options.admission.tracer = tracer_.get();
  options.admission.check = [this](const domain::Pod& pod) -> Status {
    if (const auto request = placement::MakeRequest(registry_, pod, policy_); !request) {
      return Fail(request.error());
    }
    std::vector<placement::QuotaUse> uses;
    state_.Look([&uses](const placement::Cluster& cluster) { uses = cluster.QuotaUses(); });
    return webhook::CheckQuota(registry_, pod, uses);
  };
  ASSIGN_OR_RETURN(webhook_,
                   webhook::Webhook::Start(options, registry_, &client_, &metrics_registry_));
  return {};
}

// "" or what has not been read yet. Called while the reflectors are being made, too.
std::string Scheduler::NotSynced() const {
  const auto has = [](const auto& reflector) {
    return reflector != nullptr && reflector->HasSynced();
  };
  if (!has(nodes_)) return "nodes are not read yet";
  if (!has(quotas_)) return "quotas are not read yet";
  if (!has(pods_)) return "pods are not read yet";
  return "";
}

std::string Scheduler::NotReady() const {
  if (std::string missing = NotSynced(); !missing.empty()) return missing;
  if (webhook_ != nullptr) {
    if (std::string missing = webhook_->NotReady(); !missing.empty()) return missing;
  }
  if (options_.readyz == "leader" && leader_.LeftMs() <= 0) return leader_.Describe();
  return "";
}

void Scheduler::Stop() {
  if (extender_page_ != nullptr) extender_page_->Stop(kGraceMs);
  extender_page_.reset();
  metrics_page_.reset();
  if (webhook_ != nullptr) webhook_->Stop(kGraceMs);
  webhook_.reset();
  extender_.SetPreemptor(nullptr);
  preemptor_.reset();
  warden_.reset();
  role_labels_.reset();
  waker_.reset();
  keeper_.reset();
  leader_.Stop();
  pods_.reset();
  quotas_.reset();
  nodes_.reset();
}

}  // namespace hami::scheduler
