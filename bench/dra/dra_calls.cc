// SPDX-License-Identifier: Apache-2.0
//
// The kubelet's part of `./dev bench dra`: prepares and unprepares claims at a DRA driver's socket,
// one call for one claim, and prints how long each call took, in microseconds, as JSON.
//
//   dra_calls SOCKET < CLAIMS      lines of "namespace name uid"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "api/proto/dra_v1.grpc.pb.h"
#include "bench/report.h"

namespace {

namespace v1 = k8s::io::kubelet::pkg::apis::dra::v1;

constexpr size_t kWarmUp = 5;

struct Times {
  std::vector<double> prepare_us;
  std::vector<double> repeat_us;  // of a claim that is prepared
  std::vector<double> unprepare_us;
};

template <typename F>
double Measure(F call) {
  const auto begin = std::chrono::steady_clock::now();
  call();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin)
      .count();
}

class Kubelet {
 public:
  explicit Kubelet(const std::string& socket) {
    grpc::ChannelArguments arguments;
    // The default is the escaped path, which strict servers refuse.
    arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
    stub_ = v1::DRAPlugin::NewStub(
        grpc::CreateCustomChannel("unix:" + socket, grpc::InsecureChannelCredentials(), arguments));
  }

  double Prepare(const v1::Claim& claim) {
    v1::NodePrepareResourcesRequest request;
    *request.add_claims() = claim;
    return Measure([&] {
      grpc::ClientContext context;
      v1::NodePrepareResourcesResponse response;
      const grpc::Status status = stub_->NodePrepareResources(&context, request, &response);
      Check(status, response.claims().at(claim.uid()).error());
    });
  }

  double Unprepare(const v1::Claim& claim) {
    v1::NodeUnprepareResourcesRequest request;
    *request.add_claims() = claim;
    return Measure([&] {
      grpc::ClientContext context;
      v1::NodeUnprepareResourcesResponse response;
      const grpc::Status status = stub_->NodeUnprepareResources(&context, request, &response);
      Check(status, response.claims().at(claim.uid()).error());
    });
  }

 private:
  static void Check(const grpc::Status& status, const std::string& error) {
    if (status.ok() && error.empty()) return;
    fmt::print(stderr, "dra_calls: {}\n", status.ok() ? error : status.error_message());
    std::exit(1);
  }

  std::unique_ptr<v1::DRAPlugin::Stub> stub_;
};

void Print(const char* name, const std::vector<double>& values, const char* end) {
  fmt::print("\"{}\": [", name);
  for (size_t i = 0; i < values.size(); ++i) fmt::print("{}{:.1f}", i == 0 ? "" : ", ", values[i]);
  fmt::print("]{}", end);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 &&
      hami::bench::AnswersCommon(argv[1], "dra_calls", "dra_calls SOCKET < CLAIMS\n")) {
    return 0;
  }
  if (argc != 2) {
    fmt::print(stderr, "usage: dra_calls SOCKET < CLAIMS\n");
    return 2;
  }
  Kubelet kubelet(argv[1]);
  Times times;
  size_t calls = 0;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    v1::Claim claim;
    words >> *claim.mutable_namespace_() >> *claim.mutable_name() >> *claim.mutable_uid();
    const double prepare_us = kubelet.Prepare(claim);
    const double repeat_us = kubelet.Prepare(claim);
    const double unprepare_us = kubelet.Unprepare(claim);
    if (++calls <= kWarmUp) continue;
    times.prepare_us.push_back(prepare_us);
    times.repeat_us.push_back(repeat_us);
    times.unprepare_us.push_back(unprepare_us);
  }
  fmt::print("{{");
  Print("prepare_us", times.prepare_us, ", ");
  Print("repeat_us", times.repeat_us, ", ");
  Print("unprepare_us", times.unprepare_us, "}\n");
  return 0;
}
