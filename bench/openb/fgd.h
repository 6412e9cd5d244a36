// SPDX-License-Identifier: Apache-2.0
//
// Policies of others, to compare with: fragmentation gradient descent (FGD) as "Beware of
// Fragmentation" (USENIX ATC 2023) defines it, and that paper's BestFit. Written from their
// definitions over plain arrays, in thousandths of a GPU. One thread.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hami::bench {

struct PeerNode {
  std::string name;
  int64_t cpu_milli = 0;
  int64_t memory_bytes = 0;
  std::vector<int32_t> gpu_milli;  // free, by GPU
  std::string model;
};

struct PeerPod {
  int64_t cpu_milli = 0;
  int64_t memory_bytes = 0;
  int32_t gpus = 0;                 // 0: CPU alone
  int32_t gpu_milli = 0;            // of each; below 1000 only with one GPU
  std::vector<std::string> models;  // empty: any

  auto operator<=>(const PeerPod&) const = default;
};

struct PeerPlace {
  int32_t node = -1;  // -1: no room
  std::vector<int32_t> gpus;
};

enum class Peer : uint8_t {
  // As published: scores are whole numbers from 0 to 100, ties go by name. By the last name, which
  // comes within 0.3 points of the published figures; by the first it is up to 2 points worse.
  kFgd,
  kFgdAnyTie,  // the same scores as they are, ties at random: what a plugin of a stock scheduler
               // gets
  kBestFit,
};

class PeerCluster {
 public:
  // The mix of pods that FGD measures by is that of all `pods`: it knows the workload.
  PeerCluster(Peer peer, std::vector<PeerNode> nodes, const std::vector<PeerPod>& pods,
              uint64_t seed);

  PeerPlace Place(uint32_t pod);  // of `pods`; takes the room
  void Remove(uint32_t pod, const PeerPlace& place);
  int64_t allocated_milli() const { return allocated_milli_; }
  int64_t gpu_milli() const { return gpu_milli_; }
  double FragmentMilli() const;  // by the paper's measure

 private:
  struct Typical {
    PeerPod pod;
    double share = 0;
  };
  struct Judged {
    double cost = 0;  // lower is better
    uint32_t version = 0;
    int16_t gpu = -1;
    bool fits = false;
  };
  double Fragment(const PeerNode& node) const;
  double Cost(const PeerNode& before, const PeerNode& after) const;
  Judged Judge(const PeerPod& pod, const PeerNode& node) const;
  void Take(PeerNode* node, const PeerPod& pod, int32_t gpu, PeerPlace* place) const;
  uint64_t Random();

  const Peer peer_;
  std::vector<PeerNode> nodes_;
  std::vector<uint32_t> versions_;
  std::vector<PeerPod> shapes_;  // pods without their memory: what scores see
  std::vector<uint32_t> shape_of_;
  std::vector<int64_t> memory_of_;
  std::vector<Typical> typical_;
  std::vector<std::vector<Judged>> judged_;  // by shape, node
  uint64_t random_;
  int64_t allocated_milli_ = 0;
  int64_t gpu_milli_ = 0;
};

}  // namespace hami::bench
