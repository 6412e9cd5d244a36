// SPDX-License-Identifier: Apache-2.0

#include "dra/kubelet_plugin.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <map>
#include <mutex>
#include <thread>

#include "api/proto/dra_v1.grpc.pb.h"
#include "api/proto/dra_v1beta1.grpc.pb.h"
#include "api/proto/plugin_registration.grpc.pb.h"
#include "base/file.h"
#include "base/log.h"

namespace hami::dra {
namespace {

namespace v1 = k8s::io::kubelet::pkg::apis::dra::v1;
namespace v1beta1 = k8s::io::kubelet::pkg::apis::dra::v1beta1;

constexpr std::chrono::seconds kGrace{10};

// Runs `work` for every index, a few at a time. The kubelet's request waits for all.
void ForEach(size_t count, int parallel, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next{0};
  const auto run = [&] {
    for (size_t index = next++; index < count; index = next++) work(index);
  };
  std::vector<std::thread> helpers;
  const size_t threads = std::min(count, static_cast<size_t>(parallel));
  for (size_t i = 1; i < threads; ++i) helpers.emplace_back(run);
  run();
  for (std::thread& helper : helpers) helper.join();
}

void SetShareId(v1::Device* device, const std::string& share_id) {
  if (!share_id.empty()) device->set_share_id(share_id);
}
void SetShareId(v1beta1::Device* /*device*/, const std::string& /*share_id*/) {}

// Both versions have the same messages under different names.
template <typename Api>
class DraServer : public Api::Service {
 public:
  using PrepareAnswer = typename Api::PrepareAnswer;

  DraServer(ClaimService* service, int parallel) : service_(service), parallel_(parallel) {}

  grpc::Status NodePrepareResources(grpc::ServerContext* /*context*/,
                                    const typename Api::PrepareRequest* request,
                                    typename Api::PrepareResponse* response) override {
    const auto count = static_cast<size_t>(request->claims_size());
    std::vector<PrepareAnswer> answers(count);
    ForEach(count, parallel_, [&](size_t index) {
      const auto& claim = request->claims(static_cast<int>(index));
      Answer(service_->Prepare({claim.namespace_(), claim.name(), claim.uid()}), &answers[index]);
    });
    for (size_t index = 0; index < count; ++index) {
      (*response->mutable_claims())[request->claims(static_cast<int>(index)).uid()] =
          std::move(answers[index]);
    }
    return grpc::Status::OK;
  }

  grpc::Status NodeUnprepareResources(grpc::ServerContext* /*context*/,
                                      const typename Api::UnprepareRequest* request,
                                      typename Api::UnprepareResponse* response) override {
    const auto count = static_cast<size_t>(request->claims_size());
    std::vector<std::string> errors(count);
    ForEach(count, parallel_, [&](size_t index) {
      const auto& claim = request->claims(static_cast<int>(index));
      const Status done = service_->Unprepare({claim.namespace_(), claim.name(), claim.uid()});
      if (!done) errors[index] = done.error().message;
    });
    for (size_t index = 0; index < count; ++index) {
      (*response->mutable_claims())[request->claims(static_cast<int>(index)).uid()].set_error(
          errors[index]);
    }
    return grpc::Status::OK;
  }

 private:
  static void Answer(const Result<std::vector<PreparedDevice>>& prepared, PrepareAnswer* answer) {
    if (!prepared) {
      answer->set_error(prepared.error().message);
      return;
    }
    for (const PreparedDevice& from : *prepared) {
      auto* device = answer->add_devices();
      device->add_request_names(from.request);
      device->set_pool_name(from.pool);
      device->set_device_name(from.device);
      device->add_cdi_device_ids(from.cdi_id);
      SetShareId(device, from.share_id);
    }
  }

  ClaimService* const service_;
  const int parallel_;
};

struct ApiV1 {
  using Service = v1::DRAPlugin::Service;
  using PrepareRequest = v1::NodePrepareResourcesRequest;
  using PrepareResponse = v1::NodePrepareResourcesResponse;
  using PrepareAnswer = v1::NodePrepareResourceResponse;
  using UnprepareRequest = v1::NodeUnprepareResourcesRequest;
  using UnprepareResponse = v1::NodeUnprepareResourcesResponse;
};

struct ApiV1beta1 {
  using Service = v1beta1::DRAPlugin::Service;
  using PrepareRequest = v1beta1::NodePrepareResourcesRequest;
  using PrepareResponse = v1beta1::NodePrepareResourcesResponse;
  using PrepareAnswer = v1beta1::NodePrepareResourceResponse;
  using UnprepareRequest = v1beta1::NodeUnprepareResourcesRequest;
  using UnprepareResponse = v1beta1::NodeUnprepareResourcesResponse;
};

class RegistrationServer : public pluginregistration::Registration::Service {
 public:
  RegistrationServer(std::string name, std::string endpoint, std::function<void()> on_registered)
      : name_(std::move(name)),
        endpoint_(std::move(endpoint)),
        on_registered_(std::move(on_registered)) {}

  grpc::Status GetInfo(grpc::ServerContext* /*context*/,
                       const pluginregistration::InfoRequest* /*request*/,
                       pluginregistration::PluginInfo* info) override {
    info->set_type("DRAPlugin");
    info->set_name(name_);
    info->set_endpoint(endpoint_);
    info->add_supported_versions("v1.DRAPlugin");
    info->add_supported_versions("v1beta1.DRAPlugin");
    return grpc::Status::OK;
  }

  grpc::Status NotifyRegistrationStatus(
      grpc::ServerContext* /*context*/, const pluginregistration::RegistrationStatus* status,
      pluginregistration::RegistrationStatusResponse* /*response*/) override {
    {
      const std::lock_guard lock(mutex_);
      registered_ = status->plugin_registered();
      refusal_ = registered_ ? "" : status->error();
    }
    if (status->plugin_registered()) {
      LOG_INFO("registered with the kubelet");
      if (on_registered_) on_registered_();
    } else {
      LOG_ERROR("the kubelet refuses this driver", Field("error", status->error()));
    }
    return grpc::Status::OK;
  }

  bool registered() const {
    const std::lock_guard lock(mutex_);
    return registered_;
  }
  std::string refusal() const {
    const std::lock_guard lock(mutex_);
    return refusal_;
  }

 private:
  const std::string name_;
  const std::string endpoint_;
  const std::function<void()> on_registered_;
  mutable std::mutex mutex_;
  bool registered_ = false;
  std::string refusal_;
};

Status CheckSocketPath(const std::string& path) {
  if (path.size() < sizeof(sockaddr_un::sun_path)) return {};
  return Fail(Code::kInvalidArgument,
              fmt::format("{} is longer than a socket's path may be ({} bytes); choose a shorter "
                          "kubelet folder",
                          path, sizeof(sockaddr_un::sun_path) - 1));
}

Result<std::unique_ptr<grpc::Server>> Serve(const std::string& socket,
                                            const std::vector<grpc::Service*>& services) {
  // What a dead process left would refuse everybody.
  if (unlink(socket.c_str()) != 0 && errno != ENOENT) return FailErrno("remove " + socket);
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + socket, grpc::InsecureServerCredentials());
  // One server at a socket each; a peer without a port needs no port sharing.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  for (grpc::Service* service : services) builder.RegisterService(service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || !base::Exists(socket)) {
    return Fail(Code::kUnavailable, "cannot listen at " + socket);
  }
  return server;
}

}  // namespace

struct KubeletPlugin::Impl {
  Impl(const KubeletPluginOptions& options, ClaimService* service)
      : service_socket(base::JoinPath(options.plugin_folder, "dra.sock")),
        registry_socket(base::JoinPath(options.registry_folder, options.driver_name + "-reg.sock")),
        dra_v1(service, options.parallel_claims),
        dra_v1beta1(service, options.parallel_claims),
        registration(options.driver_name, service_socket, options.on_registered) {}

  const std::string service_socket;
  const std::string registry_socket;
  DraServer<ApiV1> dra_v1;
  DraServer<ApiV1beta1> dra_v1beta1;
  RegistrationServer registration;
  std::unique_ptr<grpc::Server> service_server;
  std::unique_ptr<grpc::Server> registry_server;
};

Result<std::unique_ptr<KubeletPlugin>> KubeletPlugin::Start(const KubeletPluginOptions& options,
                                                            ClaimService* service) {
  auto impl = std::make_unique<Impl>(options, service);
  RETURN_IF_ERROR(CheckSocketPath(impl->service_socket));
  RETURN_IF_ERROR(CheckSocketPath(impl->registry_socket));
  RETURN_IF_ERROR(base::MakeFolders(options.plugin_folder, 0750));
  ASSIGN_OR_RETURN(impl->service_server,
                   Serve(impl->service_socket, {&impl->dra_v1, &impl->dra_v1beta1}));
  ASSIGN_OR_RETURN(impl->registry_server, Serve(impl->registry_socket, {&impl->registration}));
  return std::unique_ptr<KubeletPlugin>(new KubeletPlugin(std::move(impl)));
}

KubeletPlugin::KubeletPlugin(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

KubeletPlugin::~KubeletPlugin() {
  unlink(impl_->registry_socket.c_str());
  unlink(impl_->service_socket.c_str());
  const auto deadline = std::chrono::system_clock::now() + kGrace;
  impl_->registry_server->Shutdown(deadline);
  impl_->service_server->Shutdown(deadline);
}

bool KubeletPlugin::registered() const { return impl_->registration.registered(); }

std::string KubeletPlugin::refusal() const { return impl_->registration.refusal(); }

bool KubeletPlugin::SocketsExist() const {
  return base::Exists(impl_->service_socket) && base::Exists(impl_->registry_socket);
}

}  // namespace hami::dra
