// SPDX-License-Identifier: Apache-2.0
//
// ./dev bench webhook: reviews a second, over TLS on kept connections, of one server thread on one
// core; the load comes from another core. --seconds N for each row, default 5. Time of the server's
// own CPU is shown beside it, because the machine may have other work.

#include "webhook/webhook.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/file.h"
#include "base/log.h"
#include "base/temporary_folder.h"
#include "bench/report.h"
#include "metrics/metrics.h"
#include "net/fake_http_server.h"
#include "vendor/registry.h"

namespace hami::bench {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void PinTo(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  sched_setaffinity(0, sizeof(set), &set);
}

// A pod as an API server sends it to admission, about 4 KB. `limits` as JSON.
std::string MakeReview(std::string_view limits) {
  std::string variables;
  for (int i = 0; i < 20; ++i) {
    variables +=
        fmt::format(R"({}{{"name":"VARIABLE_{}","value":"some value of medium length {}"}})",
                    i == 0 ? "" : ",", i, i);
  }
  std::string fields;
  for (int i = 0; i < 40; ++i) {
    fields += fmt::format(R"({}"f:field-{}":{{".":{{}},"f:inner":{{}}}})", i == 0 ? "" : ",", i);
  }
  const std::string pod = fmt::format(
      R"({{"kind":"Pod","apiVersion":"v1","metadata":{{"name":"train-0","namespace":"team-a",)"
      R"("uid":"6b5a1f6e-0000-4000-8000-000000000000","labels":{{"app":"train"}},)"
      R"("managedFields":[{{"manager":"kubectl","operation":"Update","fieldsV1":{{{}}}}}]}},)"
      R"("spec":{{"volumes":[{{"name":"token","projected":{{"sources":[{{"serviceAccountToken":)"
      R"({{"expirationSeconds":3607,"path":"token"}}}}]}}}}],"containers":[{{"name":"main",)"
      R"("image":"registry.example/train:7","command":["python","train.py"],"env":[{}],)"
      R"("resources":{{"limits":{},"requests":{}}},"terminationMessagePath":)"
      R"("/dev/termination-log","imagePullPolicy":"IfNotPresent"}}],"restartPolicy":"Never",)"
      R"("schedulerName":"default-scheduler","securityContext":{{}},"tolerations":[{{"key":)"
      R"("node.kubernetes.io/not-ready","operator":"Exists","effect":"NoExecute",)"
      R"("tolerationSeconds":300}}],"priority":0,"enableServiceLinks":true}},"status":{{}}}})",
      fields, variables, limits, limits);
  return fmt::format(
      R"({{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":)"
      R"("705ab4f5-6393-11e8-b7cc-42010a800002","kind":{{"group":"","version":"v1","kind":"Pod"}},)"
      R"("resource":{{"group":"","version":"v1","resource":"pods"}},"namespace":"team-a",)"
      R"("operation":"CREATE","userInfo":{{"username":"system:serviceaccount:kube-system:)"
      R"(job-controller","groups":["system:authenticated"]}},"object":{},"oldObject":null,)"
      R"("dryRun":false,"options":{{"kind":"CreateOptions"}}}}}})",
      pod);
}

// The webhook in a process of its own, until this object goes.
class Server {
 public:
  Server() {
    int ports[2];
    CHECK(pipe(ports) == 0);
    pid_ = fork();
    CHECK(pid_ >= 0);
    if (pid_ == 0) Serve(ports[1]);
    close(ports[1]);
    CHECK(read(ports[0], &port_, sizeof(port_)) == sizeof(port_));
    close(ports[0]);
  }
  ~Server() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  uint16_t port() const { return port_; }
  double CpuSeconds() const {
    clockid_t clock = 0;
    CHECK(clock_getcpuclockid(pid_, &clock) == 0);
    timespec time = {};
    clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
  }

 private:
  [[noreturn]] static void Serve(int port_pipe) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    PinTo(0);
    base::StartLog({.level = base::LogLevel::kError});
    static const vendor::Registry registry = vendor::Registry::Default();
    static metrics::Registry metrics;
    webhook::WebhookOptions options;
    options.address = "127.0.0.1";
    options.port = 0;
    const net::FakeCertificates made = net::MakeFakeCertificates();
    const base::TemporaryFolder folder;
    options.certificate_file = folder / "tls.crt";
    options.key_file = folder / "tls.key";
    CHECK(base::WriteFileAtomically(options.certificate_file, made.server_certificate, 0600));
    CHECK(base::WriteFileAtomically(options.key_file, made.server_key, 0600));
    const auto webhook = webhook::Webhook::Start(options, registry, nullptr, &metrics);
    CHECK(webhook.has_value());
    CHECK(base::RemoveTree(folder.path()));
    const uint16_t port = (*webhook)->port();
    CHECK(write(port_pipe, &port, sizeof(port)) == sizeof(port));
    for (;;) pause();
  }

  pid_t pid_ = 0;
  uint16_t port_ = 0;
};

// One kept connection with one request under way.
class Caller {
 public:
  Caller(uint16_t port, SSL_CTX* context) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    CHECK(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    const int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    ssl_ = SSL_new(context);
    SSL_set_fd(ssl_, fd_);
    CHECK(SSL_connect(ssl_) == 1);
  }
  ~Caller() {
    SSL_free(ssl_);
    close(fd_);
  }
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;

  int fd() const { return fd_; }

  void Send(const std::string& request) {
    got_.clear();
    begun_ = Clock::now();
    CHECK(SSL_write(ssl_, request.data(), static_cast<int>(request.size())) ==
          static_cast<int>(request.size()));
  }

  // True when the answer is complete.
  bool Receive() {
    char buffer[16384];
    const int size = SSL_read(ssl_, buffer, sizeof(buffer));
    CHECK(size > 0);
    got_.append(buffer, static_cast<size_t>(size));
    const size_t end = got_.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    CHECK(got_.starts_with("HTTP/1.1 200"));
    const size_t length = got_.find("Content-Length: ");
    CHECK(length != std::string::npos);
    return got_.size() >= end + 4 + std::strtoul(got_.c_str() + length + 16, nullptr, 10);
  }

  double seconds() const { return SecondsSince(begun_); }
  const std::string& got() const { return got_; }

 private:
  const int fd_;
  SSL* ssl_ = nullptr;
  std::string got_;
  Clock::time_point begun_;
};

struct Load {
  const char* name;
  std::string request;
  bool is_patched;
};

std::string Post(const std::string& review) {
  return fmt::format(
      "POST /webhook?timeout=10s HTTP/1.1\r\nHost: hami-scheduler.hami-system.svc:443\r\n"
      "User-Agent: kube-apiserver-admission\r\nAccept: application/json, */*\r\n"
      "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
      review.size(), review);
}

void Measure(const Server& server, SSL_CTX* context, const Load& load, size_t connections,
             double for_s, Report* report) {
  std::vector<std::unique_ptr<Caller>> callers;
  const int epoll = epoll_create1(0);
  for (size_t i = 0; i < connections; ++i) {
    callers.push_back(std::make_unique<Caller>(server.port(), context));
    epoll_event event = {.events = EPOLLIN, .data = {.ptr = callers.back().get()}};
    epoll_ctl(epoll, EPOLL_CTL_ADD, callers.back()->fd(), &event);
  }
  std::vector<double> seconds;
  double cpu_s = 0;
  Clock::time_point start;
  // The first second warms up.
  for (const double phase_s : {1.0, for_s}) {
    seconds.clear();
    cpu_s = server.CpuSeconds();
    start = Clock::now();
    size_t under_way = callers.size();
    for (auto& caller : callers) caller->Send(load.request);
    while (under_way > 0) {
      epoll_event ready[64];
      const int count = epoll_wait(epoll, ready, 64, 1000);
      for (int i = 0; i < count; ++i) {
        auto* const caller = static_cast<Caller*>(ready[i].data.ptr);
        if (!caller->Receive()) continue;
        seconds.push_back(caller->seconds());
        CHECK(load.is_patched == (caller->got().find("\"patchType\"") != std::string::npos));
        if (SecondsSince(start) < phase_s) {
          caller->Send(load.request);
        } else {
          --under_way;
        }
      }
    }
  }
  const double took_s = SecondsSince(start);
  cpu_s = server.CpuSeconds() - cpu_s;
  close(epoll);
  std::sort(seconds.begin(), seconds.end());
  const auto count = static_cast<double>(seconds.size());
  const std::string name = fmt::format("{}, {:2} connections", load.name, connections);
  report->Add({.name = name,
               .value = count / took_s,
               .unit = "/s",
               .peer = "HAMi 2000 to 2400 per CPU-second",
               .note = fmt::format("{:.0f} per CPU-second of the server", count / cpu_s)});
  report->Add(
      {.name = name + ", CPU of one", .value = cpu_s / count * 1e6, .unit = "us", .target = 50});
  report->Add({.name = name + ", p99",
               .value = seconds[seconds.size() * 99 / 100] * 1000,
               .unit = "ms",
               .target = 5,
               .peer = connections == 8 ? "HAMi 26 to 135 ms" : "",
               .note = fmt::format("p50 {:.3f}, worst {:.1f}", seconds[seconds.size() / 2] * 1000,
                                   seconds.back() * 1000)});
}

void MeasureHandshakes(const Server& server, SSL_CTX* context, const Load& load, double for_s,
                       Report* report) {
  const double cpu_s = server.CpuSeconds();
  const auto start = Clock::now();
  int count = 0;
  while (SecondsSince(start) < for_s) {
    Caller caller(server.port(), context);
    caller.Send(load.request);
    while (!caller.Receive()) {
    }
    ++count;
  }
  report->Add(
      {.name = "a new connection for each review",
       .value = count / SecondsSince(start),
       .unit = "/s",
       .note = fmt::format("{:.0f} per CPU-second", count / (server.CpuSeconds() - cpu_s))});
}

int Main(int argc, char** argv) {
  double for_s = 5;
  std::string json;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (AnswersCommon(argument, "webhook", "[--seconds N] [--json FILE]")) return 0;
    if (argument == "--json" && i + 1 < argc) {
      json = argv[++i];
    } else if (argument == "--seconds" && i + 1 < argc) {
      for_s = std::strtod(argv[++i], nullptr);
    } else {
      std::fprintf(stderr, "webhook: what is %s?\n", argument.c_str());
      return 2;
    }
  }
  signal(SIGPIPE, SIG_IGN);
  Report report("Admission reviews over TLS, one server thread on one core", MachineConditions());
  const Server server;
  PinTo(1);
  SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
  const std::vector<Load> loads = {
      {"GPU pod, patched",
       Post(MakeReview(R"({"cpu":"4","nvidia.com/gpu":"1","nvidia.com/gpumem":"10240"})")), true},
      {"plain pod, allowed", Post(MakeReview(R"({"cpu":"4","memory":"16Gi"})")), false}};
  for (const Load& load : loads) {
    for (const size_t connections : {1, 8, 64}) {
      Measure(server, context, load, connections, for_s, &report);
    }
  }
  MeasureHandshakes(server, context, loads[0], for_s, &report);
  SSL_CTX_free(context);
  return report.Finish(json) ? 0 : 1;
}

}  // namespace
}  // namespace hami::bench

int main(int argc, char** argv) { return hami::bench::Main(argc, argv); }
