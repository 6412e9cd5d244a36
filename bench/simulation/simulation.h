// SPDX-License-Identifier: Apache-2.0
//
// For benchmarks: a simulation of their own, tenants on it under `hami run`, and the exact GPU time
// that the simulated driver counted for each of them. Failures end the program with a message.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "simgpu/state/machine.h"

namespace hami::bench {

// build/bin, from where this program lies.
std::string BinFolder();

// A simulated machine in a state folder of its own; both are gone at the end.
class Simulation {
 public:
  explicit Simulation(const std::string& profile);
  ~Simulation();
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;

  std::string log() const { return folder_ + "/log"; }  // what hami and tenants complain about
  std::string library_folder() const;                   // for LD_LIBRARY_PATH: without limits

  // The most that all clients together ever held of the first device.
  uint64_t HighBytes() const;

  // The slots of the processes that compute; a new process has a new slot or generation.
  struct ClientId {
    uint32_t slot;
    uint32_t generation;
    bool operator==(const ClientId&) const = default;
  };
  std::vector<ClientId> Clients() const;

  // GPU time of each of these up to now, and now: all of one moment.
  struct Reading {
    uint64_t now_ns = 0;
    std::vector<uint64_t> busy_ns;
  };
  Reading Read(const std::vector<ClientId>& clients) const;

 private:
  std::string folder_;
  simgpu::Machine machine_;
};

// Runs a program to its end and returns what it printed.
std::string RunToEnd(const Simulation& simulation, const std::vector<std::string>& words);

// What a tenant asks for and does.
struct TenantSpec {
  int cores_pct = 0;  // 0: no compute limit
  std::vector<std::string> actions;
  std::string policy = "force";
};

// `hami run --sim [--gpucores cores_pct] -- tenant ACTION...` in the background. The tenant has
// measured its kernel and waits; actions after that begin with Go.
class Tenant {
 public:
  Tenant(const Simulation& simulation, const TenantSpec& spec);
  ~Tenant();
  Tenant(const Tenant&) = delete;
  Tenant& operator=(const Tenant&) = delete;

  Simulation::ClientId client() const { return client_; }
  void Go() const;

 private:
  pid_t pid_ = -1;
  int to_ = -1;
  int from_ = -1;
  Simulation::ClientId client_ = {};
};

}  // namespace hami::bench
