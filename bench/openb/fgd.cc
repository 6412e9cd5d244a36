// SPDX-License-Identifier: Apache-2.0

#include "bench/openb/fgd.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <utility>

#include "base/stable_sort.h"

namespace hami::bench {
namespace {

constexpr int32_t kWhole = 1000;
constexpr double kPopular = 0.95;
constexpr double kLargestCpuMilli = 128'000;
constexpr double kLargestGpuMilli = 8'000;

int64_t Free(const PeerNode& node) {
  return std::accumulate(node.gpu_milli.begin(), node.gpu_milli.end(), int64_t{0});
}

bool MatchesModel(const PeerPod& pod, const PeerNode& node) {
  return pod.models.empty() || std::ranges::find(pod.models, node.model) != pod.models.end();
}

bool Fits(const PeerPod& pod, const PeerNode& node) {
  if (node.cpu_milli < pod.cpu_milli || !MatchesModel(pod, node)) return false;
  const auto enough = std::ranges::count_if(
      node.gpu_milli, [&](int32_t free) { return pod.gpus > 0 && free >= pod.gpu_milli; });
  return enough >= pod.gpus;
}

}  // namespace

PeerCluster::PeerCluster(Peer peer, std::vector<PeerNode> nodes, const std::vector<PeerPod>& pods,
                         uint64_t seed)
    : peer_(peer), nodes_(std::move(nodes)), versions_(nodes_.size(), 1), random_(seed) {
  std::map<PeerPod, uint32_t> numbers;
  std::vector<double> counts;
  for (const PeerPod& pod : pods) {
    PeerPod shape = pod;
    shape.memory_bytes = 0;
    const auto [at, is_new] = numbers.emplace(shape, static_cast<uint32_t>(shapes_.size()));
    if (is_new) {
      shapes_.push_back(shape);
      counts.push_back(0);
    }
    ++counts[at->second];
    shape_of_.push_back(at->second);
    memory_of_.push_back(pod.memory_bytes);
  }
  std::vector<uint32_t> order(shapes_.size());
  std::iota(order.begin(), order.end(), 0U);
  base::StableSortBy(&order, [&](uint32_t shape) { return -counts[shape]; });
  double sum = 0;
  for (const uint32_t shape : order) {
    if (sum >= kPopular * static_cast<double>(pods.size())) break;
    typical_.push_back({shapes_[shape], counts[shape]});
    sum += counts[shape];
  }
  for (Typical& typical : typical_) typical.share /= sum;
  judged_.assign(shapes_.size(), std::vector<Judged>(nodes_.size()));
  for (const PeerNode& node : nodes_) gpu_milli_ += Free(node);
}

double PeerCluster::Fragment(const PeerNode& node) const {
  const int64_t free = Free(node);
  double sum = 0;
  for (const Typical& typical : typical_) {
    int64_t lost = free;
    if (typical.pod.gpus > 0 && Fits(typical.pod, node)) {
      for (const int32_t gpu : node.gpu_milli) lost -= gpu >= typical.pod.gpu_milli ? gpu : 0;
    }
    sum += typical.share * static_cast<double>(lost);
  }
  return sum;
}

double PeerCluster::Cost(const PeerNode& before, const PeerNode& after) const {
  if (peer_ == Peer::kBestFit) {
    return 0.5 * static_cast<double>(after.cpu_milli) / kLargestCpuMilli +
           0.5 * static_cast<double>(Free(after)) / kLargestGpuMilli;
  }
  const double growth = (Fragment(after) - Fragment(before)) / kWhole;
  if (peer_ == Peer::kFgdAnyTie) return growth;
  return -std::trunc(100 / (1 + std::exp(growth)));
}

void PeerCluster::Take(PeerNode* node, const PeerPod& pod, int32_t gpu, PeerPlace* place) const {
  node->cpu_milli -= pod.cpu_milli;
  if (pod.gpus == 0) return;
  if (pod.gpu_milli < kWhole) {
    node->gpu_milli[static_cast<size_t>(gpu)] -= pod.gpu_milli;
    if (place != nullptr) place->gpus.push_back(gpu);
    return;
  }
  int32_t left = pod.gpus;
  for (size_t i = 0; i < node->gpu_milli.size() && left > 0; ++i) {
    if (node->gpu_milli[i] != kWhole) continue;
    node->gpu_milli[i] = 0;
    if (place != nullptr) place->gpus.push_back(static_cast<int32_t>(i));
    --left;
  }
}

PeerCluster::Judged PeerCluster::Judge(const PeerPod& pod, const PeerNode& node) const {
  Judged judged;
  if (!Fits(pod, node)) return judged;
  judged.fits = true;
  if (pod.gpus == 0 || pod.gpu_milli == kWhole) {
    PeerNode after = node;
    Take(&after, pod, 0, nullptr);
    judged.cost = Cost(node, after);
    return judged;
  }
  // The GPU by the measure itself, the node by its score.
  double best = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < node.gpu_milli.size(); ++i) {
    if (node.gpu_milli[i] < pod.gpu_milli) continue;
    PeerNode after = node;
    Take(&after, pod, static_cast<int32_t>(i), nullptr);
    // BestFit sees no difference between GPUs: the fullest of them.
    const double cost =
        peer_ == Peer::kBestFit ? node.gpu_milli[i] : Fragment(after) - Fragment(node);
    if (cost >= best) continue;
    best = cost;
    judged.gpu = static_cast<int16_t>(i);
    judged.cost = Cost(node, after);
  }
  return judged;
}

uint64_t PeerCluster::Random() {
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  return random_;
}

PeerPlace PeerCluster::Place(uint32_t pod) {
  const uint32_t shape = shape_of_[pod];
  const PeerPod& wanted = shapes_[shape];
  PeerPlace place;
  double best = std::numeric_limits<double>::infinity();
  uint64_t ties = 0;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].memory_bytes < memory_of_[pod]) continue;
    Judged& judged = judged_[shape][i];
    if (judged.version != versions_[i]) {
      judged = Judge(wanted, nodes_[i]);
      judged.version = versions_[i];
    }
    if (!judged.fits || judged.cost > best) continue;
    if (judged.cost < best) ties = 0;
    ++ties;
    // Nodes stand in the order of their names: FGD takes the last of equals (fgd.h).
    const bool takes =
        peer_ == Peer::kFgd || ties == 1 || (peer_ == Peer::kFgdAnyTie && Random() % ties == 0);
    best = judged.cost;
    if (takes) place.node = static_cast<int32_t>(i);
  }
  if (place.node < 0) return place;
  const auto chosen = static_cast<size_t>(place.node);
  const int32_t gpu = judged_[shape][chosen].gpu;
  Take(&nodes_[chosen], wanted, gpu, &place);
  nodes_[chosen].memory_bytes -= memory_of_[pod];
  ++versions_[chosen];
  allocated_milli_ += int64_t{wanted.gpus} * wanted.gpu_milli;
  return place;
}

void PeerCluster::Remove(uint32_t pod, const PeerPlace& place) {
  const PeerPod& wanted = shapes_[shape_of_[pod]];
  const auto number = static_cast<size_t>(place.node);
  PeerNode& node = nodes_[number];
  node.cpu_milli += wanted.cpu_milli;
  node.memory_bytes += memory_of_[pod];
  for (const int32_t gpu : place.gpus) node.gpu_milli[static_cast<size_t>(gpu)] += wanted.gpu_milli;
  ++versions_[number];
  allocated_milli_ -= int64_t{wanted.gpus} * wanted.gpu_milli;
}

double PeerCluster::FragmentMilli() const {
  double sum = 0;
  for (const PeerNode& node : nodes_) sum += Fragment(node);
  return sum;
}

}  // namespace hami::bench
