// SPDX-License-Identifier: Apache-2.0

#include "dra/driver_metrics.h"

#include <charconv>
#include <map>
#include <utility>

#include "base/result.h"

namespace hami::dra {
namespace {

using metrics::Samples;
using metrics::Type;

// Preparing takes milliseconds, unless the API server or a disk is slow.
const std::vector<double> kSeconds = {0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05,
                                      0.1,    0.25,  0.5,   1,     2.5,  5,    10};

Result<net::HttpServerOptions> ParseAddress(const std::string& address) {
  net::HttpServerOptions options;
  const size_t colon = address.rfind(':');
  const char* const end = address.data() + address.size();
  if (colon != std::string::npos) {
    const auto [at, error] = std::from_chars(address.data() + colon + 1, end, options.port);
    if (error == std::errc() && at == end) {
      if (colon > 0) options.address = address.substr(0, colon);
      return options;
    }
  }
  return Fail(Code::kInvalidArgument,
              "--metrics-address \"" + address + "\" is no [HOST]:PORT, such as :9396");
}

}  // namespace

DriverMetrics::DriverMetrics(std::function<DriverFigures()> figures)
    : figures_(std::move(figures)),
      seconds_(registry_.AddHistogram("hami_dra_operation_seconds",
                                      "How long the kubelet's calls for one claim took.", kSeconds,
                                      {"operation"})),
      errors_(registry_.AddCounter("hami_dra_errors_total",
                                   "Calls for one claim that failed, by cause.",
                                   {"operation", "cause"})),
      swept_(
          registry_.AddCounter("hami_dra_swept_total",
                               "What sweeps found and put right: orphans removed, shares mended, "
                               "records of claims that are gone.",
                               {"what"})),
      inactive_(registry_.AddCounter("hami_dra_unlimited_containers_total",
                                     "Containers that were started without limits, because their "
                                     "image uses musl.",
                                     {})) {
  inactive_.With({});
  for (const char* operation : {"prepare", "unprepare"}) seconds_.With({operation});
  for (const char* what : {"orphan", "mended", "expired"}) swept_.With({what});
  AddFigures();
}

void DriverMetrics::AddFigures() {
  const auto add = [this](Type type, const char* name, const char* help,
                          std::function<double(const DriverFigures&)> read) {
    registry_.AddCallback(type, name, help,
                          [this, read = std::move(read)] { return read(figures_()); });
  };
  add(Type::kGauge, "hami_dra_driver_found", "1 if the GPU driver of the node answers.",
      [](const DriverFigures& now) { return now.driver_found ? 1.0 : 0.0; });
  add(Type::kGauge, "hami_dra_registered", "1 if the kubelet has taken this driver.",
      [](const DriverFigures& now) { return now.registered ? 1.0 : 0.0; });
  add(Type::kGauge, "hami_dra_gpus", "GPUs of the node.",
      [](const DriverFigures& now) { return static_cast<double>(now.gpus); });
  add(Type::kGauge, "hami_dra_prepared_claims", "Claims that are prepared now.",
      [](const DriverFigures& now) { return static_cast<double>(now.claims.size()); });
  add(Type::kGauge, "hami_dra_pool_generation", "Generation of this node's pool.",
      [](const DriverFigures& now) { return static_cast<double>(now.publisher.generation); });
  add(Type::kGauge, "hami_dra_resource_slices", "ResourceSlices of this node that the API shows.",
      [](const DriverFigures& now) { return static_cast<double>(now.publisher.slices); });
  add(Type::kGauge, "hami_dra_published", "1 if the API shows what this node has.",
      [](const DriverFigures& now) { return now.publisher.settled ? 1.0 : 0.0; });
  add(Type::kCounter, "hami_dra_publish_failures_total", "Writes of ResourceSlices that failed.",
      [](const DriverFigures& now) { return static_cast<double>(now.publisher.failures); });
  add(Type::kCounter, "hami_dra_escapes_total",
      "Processes that were seen to hold more than their slice.",
      [](const DriverFigures& now) { return static_cast<double>(now.escapes); });
  add(Type::kCounter, "hami_dra_unlimited_processes_total",
      "Processes that were seen to use the GPU without the library that limits them.",
      [](const DriverFigures& now) { return static_cast<double>(now.outsiders); });
  registry_.AddCallback(Type::kGauge, "hami_dra_fields_dropped",
                        "1 for a feature gate whose fields the API server throws away.", {"gate"},
                        [this](Samples* samples) {
                          for (const std::string& gate : figures_().publisher.dropped) {
                            samples->Add({gate}, 1);
                          }
                        });
  registry_.AddCallback(Type::kGauge, "hami_dra_prepared_memory_bytes",
                        "Memory given to prepared claims.", {"device"}, [this](Samples* samples) {
                          std::map<std::string, double> bytes;
                          for (const ClaimGrant& claim : figures_().claims) {
                            for (const GrantedSlice& slice : claim.slices) {
                              bytes[slice.device] += static_cast<double>(slice.memory_bytes);
                            }
                          }
                          for (const auto& [device, sum] : bytes) samples->Add({device}, sum);
                        });
}

void DriverMetrics::NoteOperation(std::string_view operation, double seconds,
                                  const Status& result) {
  const std::string name(operation);
  seconds_.With({name}).Observe(seconds);
  if (!result) errors_.With({name, std::string(base::CodeName(result.error().code))}).Add();
}

void DriverMetrics::NoteSweep(const SweepReport& report) {
  swept_.With({"orphan"}).Add(report.orphans);
  swept_.With({"mended"}).Add(report.mended);
  swept_.With({"expired"}).Add(report.expired);
}

Result<std::unique_ptr<net::HttpServer>> ServePage(const std::string& address,
                                                   const DriverMetrics& metrics,
                                                   std::function<bool()> alive, Readiness ready) {
  ASSIGN_OR_RETURN(const net::HttpServerOptions options, ParseAddress(address));
  std::vector<net::Route> routes;
  routes.push_back({"GET", "/metrics", [&metrics](const net::ServerRequest&) {
                      return net::ServerResponse{.content_type = metrics::kContentType,
                                                 .body = metrics.Text()};
                    }});
  routes.push_back({"GET", "/healthz", [alive = std::move(alive)](const net::ServerRequest&) {
                      if (alive()) return net::ServerResponse{.body = "ok\n"};
                      return net::ServerResponse{.status = 503, .body = "stuck\n"};
                    }});
  routes.push_back({"GET", "/readyz", [ready = std::move(ready)](const net::ServerRequest&) {
                      const std::string missing = ready();
                      if (missing.empty()) return net::ServerResponse{.body = "ok\n"};
                      return net::ServerResponse{.status = 503, .body = missing + "\n"};
                    }});
  return net::HttpServer::Start(options, std::move(routes));
}

}  // namespace hami::dra
