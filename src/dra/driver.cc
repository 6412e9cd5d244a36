// SPDX-License-Identifier: Apache-2.0

#include "dra/driver.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <utility>

#include "base/bytes.h"
#include "base/file.h"
#include "base/log.h"
#include "dra/names.h"
#include "dra/runtime_config.h"
#include "dra/slice_plan.h"
#include "kube/discovery.h"
#include "share/bypass.h"
#include "share/product_files.h"

namespace hami::dra {
namespace {

constexpr int64_t kSyncTimeoutMs = 30'000;
constexpr int64_t kWithdrawTimeoutMs = 5'000;
constexpr int kOldestServer = 34;
constexpr int64_t kFlushTimeoutMs = 3'000;
constexpr int64_t kPatienceMs = 25'000;  // the kubelet waits for 45 s

// How much later than due a sweep may end before the process counts as stuck: the API server may
// take its time for a list.
constexpr int kStuckAfterS = 180;

double SecondsSince(int64_t begun_ns) {
  return static_cast<double>(base::SystemClock().MonotonicNs() - begun_ns) / 1e9;
}

std::string PluginFolder(const Options& options) {
  return base::JoinPath(options.kubelet_folder, std::string("plugins/") + kDriverName);
}

Result<std::string> ReadBootId() {
  ASSIGN_OR_RETURN(std::string id, base::ReadFile("/proc/sys/kernel/random/boot_id", 64));
  while (id.ends_with('\n')) id.pop_back();
  return id;
}

Result<int> ServerMinor(kube::Client& client) {
  ASSIGN_OR_RETURN(const kube::ServerVersion server, kube::GetServerVersion(client));
  if (server.IsAtLeast(1, kOldestServer)) return server.minor;
  return Fail(Code::kFailedPrecondition,
              fmt::format("the API server is {}; shares of devices need Kubernetes 1.{} or newer",
                          server.git, kOldestServer));
}

// What no container mounts any more; versions that are in use lie side by side.
void RemoveUnusedLibraries(const std::string& root, const std::set<std::string>& in_use) {
  const Result<std::vector<std::string>> folders = base::ListFolder(root);
  if (!folders) return;
  for (const std::string& folder : *folders) {
    if (in_use.contains(folder)) continue;
    const Status removed = base::RemoveTree(base::JoinPath(root, folder));
    if (!removed) {
      LOG_WARN("cannot remove an unused library", Field("error", removed.error()));
    }
  }
}

}  // namespace

// Two drivers at one folder would undo each other's work: during an update the new one waits until
// the old one has ended.
Status Driver::TakeFolder() {
  const std::string folder = PluginFolder(options_);
  RETURN_IF_ERROR(base::MakeFolders(folder, 0750));
  ASSIGN_OR_RETURN(folder_lock_,
                   base::OpenFile(base::JoinPath(folder, "driver.lock"), O_RDWR | O_CREAT, 0600));
  if (flock(folder_lock_.get(), LOCK_EX | LOCK_NB) == 0) return {};
  LOG_INFO("another driver still works on this node; waiting for its end");
  while (flock(folder_lock_.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return FailErrno("lock " + folder);
  }
  return {};
}

Status Driver::StartKeeper() {
  ASSIGN_OR_RETURN(const share::ProductFile library,
                   share::FindProductFile(share::kPreloadLibrary));
  ASSIGN_OR_RETURN(const share::ProductFile hook, share::FindProductFile(kHookProgram));
  ASSIGN_OR_RETURN(const std::string folder,
                   share::KeepProductFiles(options_.library_root, {library, hook}));
  ASSIGN_OR_RETURN(std::string boot_id, ReadBootId());
  shares_ = std::make_unique<ShareWatch>(
      options_.share_root,
      [this](const ClaimRef& claim, const share::Escape& escape) {
        SayOfClaim(claim, "LimitExceeded",
                   fmt::format("on node {} process {} goes round the limit of {}: {} of {} are in "
                               "use there",
                               options_.node_name, escape.pid, escape.device_uuid,
                               base::FormatBytesRounded(escape.driver_bytes),
                               base::FormatBytesRounded(escape.limit_bytes)));
      },
      [this](const ClaimRef& claim, const share::Outsider& outsider) {
        SayOfClaim(
            claim, "LimitsNotActive",
            fmt::format("on node {} process {} uses the GPU without limits ({}) and holds {}",
                        options_.node_name, outsider.pid,
                        share::Describe(share::FindBypass(outsider.pid)),
                        base::FormatBytesRounded(outsider.bytes)));
      });
  keeper_ = std::make_unique<ClaimKeeper>(
      ClaimKeeperOptions{.pool = options_.node_name,
                         .record_folder = base::JoinPath(PluginFolder(options_), "claims"),
                         .share_root = options_.share_root,
                         .cdi_folder = options_.cdi_root,
                         .library_root = options_.library_root,
                         .library = folder.substr(folder.rfind('/') + 1),
                         .boot_id = std::move(boot_id),
                         .patience_ms = kPatienceMs},
      &claims_, shares_.get());
  return keeper_->Recover();
}

Status Driver::Start() {
  RETURN_IF_ERROR(TakeFolder());
  RETURN_IF_ERROR(StartKeeper());
  ASSIGN_OR_RETURN(server_minor_, ServerMinor(client_));
  publisher_ = std::make_unique<SlicePublisher>(client_, kDriverName, options_.node_name);
  publisher_->OnDropped([this](const std::vector<std::string>& gates) {
    for (const std::string& gate : gates) {
      SayOfNode("DeviceFieldsDropped",
                "the API server throws fields of this node's ResourceSlices away: GPUs cannot be "
                "shared until the feature gate " +
                    gate + " is on in API server, scheduler and controller manager");
      LOG_ERROR(
          "the API server throws fields away: GPUs cannot be shared until its feature gate "
          "is on, also in the scheduler and the controller manager",
          Field("gate", gate));
    }
  });
  kube::ReflectorOptions own_node = {.type = kube::kNodes};
  own_node.list.field_selector = "metadata.name=" + options_.node_name;
  node_watch_ =
      std::make_unique<kube::Reflector<NodeFacts>>(client_, own_node, ReadNodeFacts, this);
  RETURN_IF_ERROR(node_watch_->WaitForSync(kSyncTimeoutMs));
  if (const Status fit = CheckNode(); !fit) {
    SayOfNode("GpuDriverCannotWork", fit.error().message);
    events_.Flush(kFlushTimeoutMs);
    return fit;
  }
  driver_watch_ = std::make_unique<DriverWatch>(
      DriverWatchOptions{
          .root = {.seen_at = options_.container_driver_root, .host_path = options_.driver_root},
          .context_cost_cache = options_.cache_root,
          .poll_ms = options_.poll_ms},
      [this](const Result<DriverState>& state) { OnDriver(state); },
      [] {
        LOG_WARN("another GPU driver is installed; ending, to use it from now on");
        kill(getpid(), SIGTERM);
      });
  ASSIGN_OR_RETURN(plugin_, KubeletPlugin::Start({.driver_name = kDriverName,
                                                  .plugin_folder = PluginFolder(options_),
                                                  .registry_folder = base::JoinPath(
                                                      options_.kubelet_folder, "plugins_registry"),
                                                  .on_registered = [this] { OnRegistered(); }},
                                                 this));
  return ServeMetrics();
}

// Whether pods would get what we prepare.
Status Driver::CheckNode() {
  std::string runtime;
  {
    const std::lock_guard lock(mutex_);
    if (!node_) {
      return Fail(Code::kNotFound, "there is no Node " + options_.node_name +
                                       "; --node-name must be the name of the Node object");
    }
    runtime = node_->runtime_version;
  }
  RETURN_IF_ERROR(CheckRuntime(runtime));
  if (!runtime.starts_with("containerd://") || options_.runtime_socket.empty()) return {};
  const Result<std::string> config = ReadRuntimeConfig(options_.runtime_socket);
  if (config) return CheckRuntimeConfig(*config, options_.cdi_root);
  LOG_WARN("whether containerd injects CDI devices cannot be asked; taken for granted",
           Field("error", config.error()));
  return {};
}

// An Event, for `kubectl describe node`.
void Driver::SayOfNode(const char* reason, std::string message) {
  kube::EventSubject subject = {.api_version = "v1", .kind = "Node"};
  {
    const std::lock_guard lock(mutex_);
    if (!node_) return;
    subject.key = node_->key;
    subject.uid = node_->uid;
  }
  events_.Record(subject, {.is_warning = true, .reason = reason, .message = std::move(message)});
}

// For `kubectl describe resourceclaim`.
void Driver::SayOfClaim(const ClaimRef& claim, const char* reason, std::string message) {
  events_.Record({.api_version = "resource.k8s.io/v1",
                  .kind = "ResourceClaim",
                  .key = {claim.namespace_name, claim.name},
                  .uid = claim.uid},
                 {.is_warning = true, .reason = reason, .message = std::move(message)});
}

// Their image's loader takes no library that we could give it; so what they do is only seen.
void Driver::ReportInactive() {
  const ShareRoot root(options_.share_root);
  for (const ClaimGrant& grant : keeper_->Kept()) {
    const ClaimRef claim = {grant.namespace_name, grant.name, grant.uid};
    for (const std::string& container : root.TakeInactive(grant.uid)) {
      LOG_WARN("a container has no limits: its image uses musl", Field("claim", TextOf(claim)),
               Field("container", container));
      metrics_.NoteInactive();
      SayOfClaim(claim, "LimitsNotActive",
                 fmt::format("container {} runs without limits on node {}: its image uses musl, "
                             "whose loader knows no /etc/ld.so.preload; use an image with glibc",
                             container, options_.node_name));
    }
  }
}

void Driver::Stop() {
  page_.reset();
  keeper_->EndWaits();
  plugin_.reset();
  bool withdraw = false;
  {
    const std::lock_guard lock(mutex_);
    withdraw = node_ && !node_->wants_gpus;
  }
  // A node that lost its label loses this pod with it: nobody else will take the slices away.
  if (withdraw) publisher_->WaitUntilSettled(kWithdrawTimeoutMs);
  driver_watch_.reset();
  node_watch_.reset();
  publisher_.reset();
}

void Driver::SweepNow() {
  const SweepReport report = keeper_->Sweep();
  metrics_.NoteSweep(report);
  ReportInactive();
  // A record that cannot be read does not tell which library its containers mount.
  if (report.broken == 0) {
    RemoveUnusedLibraries(options_.library_root, keeper_->LibrariesInUse());
  }
  Beat();
  if (report.orphans + report.mended + report.expired + report.broken > 0) {
    LOG_WARN("swept", Field("orphans", report.orphans), Field("mended", report.mended),
             Field("expired", report.expired), Field("broken", report.broken));
  }
  if (plugin_ != nullptr && !plugin_->SocketsExist()) {
    LOG_ERROR("the kubelet's sockets are gone; ending, to make them again");
    kill(getpid(), SIGTERM);
  }
}

Result<std::vector<PreparedDevice>> Driver::Prepare(const ClaimRef& claim) {
  const int64_t begun_ns = base::SystemClock().MonotonicNs();
  Result<std::vector<PreparedDevice>> prepared = keeper_->Prepare(claim);
  metrics_.NoteOperation("prepare", SecondsSince(begun_ns),
                         prepared ? Status() : Fail(Error(prepared.error())));
  if (prepared) {
    LOG_INFO("prepared", Field("claim", TextOf(claim)), Field("uid", claim.uid));
  } else {
    LOG_WARN("cannot prepare", Field("error", prepared.error()), Field("uid", claim.uid));
  }
  return prepared;
}

Status Driver::Unprepare(const ClaimRef& claim) {
  const int64_t begun_ns = base::SystemClock().MonotonicNs();
  Status unprepared = keeper_->Unprepare(claim.uid);
  metrics_.NoteOperation("unprepare", SecondsSince(begun_ns), unprepared);
  if (unprepared) {
    LOG_INFO("unprepared", Field("claim", TextOf(claim)), Field("uid", claim.uid));
  } else {
    LOG_WARN("cannot unprepare", Field("error", unprepared.error()), Field("uid", claim.uid));
  }
  return unprepared;
}

void Driver::OnReplace(std::vector<std::shared_ptr<const NodeFacts>> all, uint64_t /*version*/) {
  if (all.empty()) return OnDelete({}, 0);
  OnUpsert(all.front());
}

void Driver::OnUpsert(std::shared_ptr<const NodeFacts> now) {
  const std::lock_guard lock(mutex_);
  const bool changed = !node_ || node_->uid != now->uid || node_->wants_gpus != now->wants_gpus;
  node_ = *now;
  if (!changed) return;
  if (!now->wants_gpus) {
    LOG_WARN(fmt::format("this node has no label {}={}: nothing is published", kNodeLabel,
                         kNodeLabelValue));
  }
  PublishWanted();
}

void Driver::OnDelete(const kube::ObjectKey& /*key*/, uint64_t /*version*/) {
  const std::lock_guard lock(mutex_);
  node_.reset();
}

void Driver::OnDriver(const Result<DriverState>& state) {
  if (state) {
    LOG_INFO("driver found", Field("version", state->inventory.driver_version),
             Field("gpus", state->inventory.devices.size()),
             Field("simulated", state->inventory.simulation));
  } else {
    LOG_WARN("no GPU driver; waiting for it", Field("error", state.error()));
    SayOfNode("GpuDriverMissing", "no GPU driver; waiting for it: " + state.error().message);
  }
  shares_->SetDriver(state ? state->nvml : nullptr);
  keeper_->SetNode(state ? state->view : nullptr);
  const std::lock_guard lock(mutex_);
  state_known_ = true;
  state_ = state ? std::optional(*state) : std::nullopt;
  PublishWanted();
}

void Driver::OnRegistered() {
  const std::lock_guard lock(mutex_);
  registered_ = true;
  PublishWanted();
}

// With mutex_ held. Nothing is said before the driver has been looked for: a restart must not
// withdraw what is in use. Nothing is offered before the kubelet knows us: it would refuse the pods
// that come, and look at them again after a minute or more.
void Driver::PublishWanted() {
  if (!node_ || !state_known_) return;
  const domain::SliceOwner owner = {.node_name = node_->key.name, .node_uid = node_->uid};
  if (!node_->wants_gpus) {
    publisher_->SetWanted(std::nullopt, owner);
    return;
  }
  if (!registered_) return;
  SlicePlanInput input = {.node_name = options_.node_name, .server_minor = server_minor_};
  if (state_) {
    input.inventory = state_->inventory;
    input.sysfs = state_->sysfs;
  }
  publisher_->SetWanted(PlanSlices(input), owner);
}

Status Driver::ServeMetrics() {
  Beat();
  if (options_.metrics_address.empty()) return {};
  const int64_t patience_ns = (int64_t{options_.sweep_s} + kStuckAfterS) * 1'000'000'000;
  const auto alive = [this, patience_ns] {
    return base::SystemClock().MonotonicNs() - last_beat_ns_ < patience_ns;
  };
  ASSIGN_OR_RETURN(
      page_, ServePage(options_.metrics_address, metrics_, alive, [this] { return NotReady(); }));
  return {};
}

DriverFigures Driver::Figures() {
  DriverFigures figures;
  figures.registered = plugin_ != nullptr && plugin_->registered();
  figures.escapes = shares_ == nullptr ? 0 : shares_->escapes();
  figures.outsiders = shares_ == nullptr ? 0 : shares_->outsiders();
  if (keeper_ != nullptr) figures.claims = keeper_->Kept();
  if (publisher_ != nullptr) figures.publisher = publisher_->stats();
  const std::lock_guard lock(mutex_);
  figures.driver_found = state_.has_value();
  figures.gpus = state_ ? state_->inventory.devices.size() : 0;
  return figures;
}

// A node without a driver is ready: it does all that it can, and must not stop a rollout.
std::string Driver::NotReady() {
  const DriverFigures now = Figures();
  std::string missing;
  const auto add = [&missing](const std::string& what) {
    if (!missing.empty()) missing += "; ";
    missing += what;
  };
  if (!now.registered) {
    const std::string refusal = plugin_->refusal();
    add(refusal.empty() ? "the kubelet has not registered this driver yet"
                        : "the kubelet refuses this driver: " + refusal);
  }
  if (!now.publisher.settled) {
    add(now.publisher.last_error.empty() ? "this node's GPUs are not published yet"
                                         : now.publisher.last_error);
  }
  return missing;
}

}  // namespace hami::dra
