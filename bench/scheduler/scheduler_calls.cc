// SPDX-License-Identifier: Apache-2.0
//
// The callers of `./dev bench scheduler`: POST requests over connections that stay open, each
// caller with the next one as soon as the last is answered.
//
//   scheduler_calls --address IP:PORT --path /filter --bodies FILE [--suffix FILE]
//                   [--callers N] [--seconds S | --once] [--answers FILE]
//                   [--tls [--ca FILE] [--cert FILE --key FILE]]
//
// A body is a line of --bodies and then the content of --suffix. Caller i sends lines i, i + N, ...
// again and again for S seconds, or each once. Prints JSON: calls, those whose status was not 2xx,
// seconds, and latencies in microseconds. --answers gets the last answer to each line.

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "bench/scheduler/http_connection.h"

namespace {

using Clock = std::chrono::steady_clock;
using hami::bench::Endpoint;
using hami::bench::HttpConnection;

constexpr std::string_view kUsage =
    "usage: scheduler_calls --address IP:PORT --path PATH --bodies FILE [--suffix FILE]\n"
    "         [--callers N] [--seconds S | --once] [--answers FILE]\n"
    "         [--tls [--ca FILE] [--cert FILE --key FILE]]\n";

struct Options {
  Endpoint endpoint;
  std::string path;
  std::vector<std::string> bodies;
  std::string suffix;
  size_t callers = 1;
  double seconds = 5;
  bool once = false;
  std::string answers;
};

struct Caller {
  std::vector<float> micros;
  size_t refused = 0;
  std::string first_refusal;
};

[[noreturn]] void Refuse(std::string_view why) {
  fmt::print(stderr, "scheduler_calls: {}\n{}", why, kUsage);
  std::exit(2);
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) Refuse("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> ReadLines(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) Refuse("cannot read " + path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(std::move(line));
  return lines;
}

void TakeAddress(const std::string& text, Endpoint* endpoint) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) Refuse("--address wants IP:PORT");
  endpoint->address = text.substr(0, colon);
  endpoint->port = std::atoi(text.c_str() + colon + 1);
}

Options ReadOptions(int count, char** words) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string name = words[i];
    if (name == "--once" || name == "--tls") {
      (name == "--once" ? options.once : options.endpoint.tls) = true;
      continue;
    }
    if (i + 1 == count) Refuse(name + " wants a value, or is unknown");
    const std::string value = words[++i];
    if (name == "--address") {
      TakeAddress(value, &options.endpoint);
    } else if (name == "--path") {
      options.path = value;
    } else if (name == "--bodies") {
      options.bodies = ReadLines(value);
    } else if (name == "--suffix") {
      options.suffix = ReadFile(value);
    } else if (name == "--callers") {
      options.callers = std::strtoul(value.c_str(), nullptr, 10);
    } else if (name == "--seconds") {
      options.seconds = std::atof(value.c_str());
    } else if (name == "--answers") {
      options.answers = value;
    } else if (name == "--ca") {
      options.endpoint.authority = value;
    } else if (name == "--cert") {
      options.endpoint.certificate = value;
    } else if (name == "--key") {
      options.endpoint.key = value;
    } else {
      Refuse("no option " + name);
    }
  }
  if (options.path.empty() || options.endpoint.port == 0 || options.callers == 0) {
    Refuse("--address, --path and --bodies are needed");
  }
  if (options.bodies.size() < options.callers) Refuse("fewer bodies than callers");
  return options;
}

// All calls of one caller. Line i belongs to one caller alone, so does answers[i].
void Call(const Options& options, size_t number, Clock::time_point end, Caller* caller,
          std::vector<std::string>* answers) {
  HttpConnection connection(options.endpoint);
  std::string answer;
  size_t line = number;
  while (options.once ? line < options.bodies.size() : Clock::now() < end) {
    if (line >= options.bodies.size()) line = number;
    const Clock::time_point begun = Clock::now();
    const int status = connection.Post(options.path, options.bodies[line], options.suffix, &answer);
    caller->micros.push_back(
        std::chrono::duration<float, std::micro>(Clock::now() - begun).count());
    if (status / 100 != 2 && caller->refused++ == 0) {
      caller->first_refusal = fmt::format("{} {}", status, answer.substr(0, 300));
    }
    if (!options.answers.empty()) (*answers)[line] = answer;
    line += options.callers;
  }
}

float At(const std::vector<float>& sorted, double part) {
  const auto place = static_cast<size_t>(static_cast<double>(sorted.size()) * part);
  return sorted[std::min(place, sorted.size() - 1)];
}

int Run(const Options& options) {
  std::vector<Caller> callers(options.callers);
  std::vector<std::string> answers(options.bodies.size());
  const Clock::time_point begun = Clock::now();
  const auto end = begun + std::chrono::duration_cast<Clock::duration>(
                               std::chrono::duration<double>(options.seconds));
  std::vector<std::thread> threads;
  threads.reserve(callers.size());
  for (size_t i = 0; i < callers.size(); ++i) {
    threads.emplace_back([&, i] { Call(options, i, end, &callers[i], &answers); });
  }
  for (std::thread& thread : threads) thread.join();
  const double seconds = std::chrono::duration<double>(Clock::now() - begun).count();

  std::vector<float> micros;
  size_t refused = 0;
  for (const Caller& caller : callers) {
    micros.insert(micros.end(), caller.micros.begin(), caller.micros.end());
    refused += caller.refused;
    if (!caller.first_refusal.empty()) {
      fmt::print(stderr, "scheduler_calls: {}\n", caller.first_refusal);
    }
  }
  if (micros.empty()) Refuse("no call was made");
  std::sort(micros.begin(), micros.end());
  if (!options.answers.empty()) {
    std::ofstream file(options.answers, std::ios::binary);
    for (const std::string& answer : answers) {
      file << (answer.ends_with('\n') ? answer : answer + '\n');
    }
  }
  fmt::print(R"({{"calls":{},"refused":{},"seconds":{:.3f},"p50_us":{:.1f},"p99_us":{:.1f},)"
             R"("max_us":{:.1f}}})"
             "\n",
             micros.size(), refused, seconds, At(micros, 0.5), At(micros, 0.99), micros.back());
  return 0;
}

}  // namespace

int main(int count, char** words) {
  if (count == 2 && (std::string_view(words[1]) == "--help")) {
    fmt::print("{}", kUsage);
    return 0;
  }
  return Run(ReadOptions(count, words));
}
