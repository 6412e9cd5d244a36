// SPDX-License-Identifier: Apache-2.0

#include "dra/runtime_config.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <string_view>

#include "api/proto/cri.grpc.pb.h"
#include "json/value.h"

namespace hami::dra {
namespace {

constexpr std::chrono::seconds kPatience{5};
constexpr char kConfig[] = "config";

// /var/run is a link to /run wherever there is systemd, and many places where there is not.
std::string WithoutVar(std::string path) {
  if (path.starts_with("/var/run/")) path.erase(0, std::string_view("/var").size());
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

}  // namespace

Result<std::string> ReadRuntimeConfig(const std::string& socket) {
  grpc::ChannelArguments arguments;
  // The default is the escaped path, which strict servers refuse.
  arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
  const std::unique_ptr<runtime::v1::RuntimeService::Stub> stub =
      runtime::v1::RuntimeService::NewStub(grpc::CreateCustomChannel(
          "unix:" + socket, grpc::InsecureChannelCredentials(), arguments));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  runtime::v1::StatusRequest request;
  request.set_verbose(true);
  runtime::v1::StatusResponse response;
  const grpc::Status status = stub->Status(&context, request, &response);
  if (!status.ok()) {
    return Fail(Code::kUnavailable,
                fmt::format("ask the container runtime at {}: {}", socket, status.error_message()));
  }
  const auto found = response.info().find(kConfig);
  return found == response.info().end() ? "" : found->second;
}

Status CheckRuntimeConfig(const std::string& config, const std::string& cdi_folder) {
  if (config.empty()) return {};
  json::Document document;
  RETURN_IF_ERROR(document.Parse(config));
  // Before 2.4; from then on CDI is always on.
  const json::Value enabled = document.root()["enableCDI"];
  if (enabled.kind() == json::Kind::kFlag && !enabled.Flag()) {
    return Fail(Code::kFailedPrecondition,
                "containerd ignores CDI devices, so pods would start without their GPU: set "
                "enable_cdi = true in its CRI section (containerd 2: [plugins.'io.containerd.cri."
                "v1.runtime'], 1.7: [plugins.\"io.containerd.grpc.v1.cri\"]) and restart it");
  }
  const json::Value read = document.root()["cdiSpecDirs"];
  if (!read.exists()) return {};  // not containerd's
  std::string folders;
  for (const json::Value folder : read.Elements()) {
    if (WithoutVar(std::string(folder.Text())) == WithoutVar(cdi_folder)) return {};
    folders += (folders.empty() ? "" : ", ") + std::string(folder.Text());
  }
  return Fail(Code::kFailedPrecondition,
              fmt::format("containerd does not read CDI documents in {}: add it to cdi_spec_dirs "
                          "({}) and restart it, or give this driver one of those as --cdi-root",
                          cdi_folder, folders.empty() ? "empty now" : folders));
}

}  // namespace hami::dra
