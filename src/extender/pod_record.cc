// SPDX-License-Identifier: Apache-2.0
//
// Numbers are varints, signed ones in zigzag; texts come behind their length.

#include "extender/pod_record.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "domain/protobuf_objects.h"

namespace hami::extender {
namespace {

// More slices than any pod has: annotations may say anything, and what is beyond is left out.
constexpr size_t kMostSlices = UINT16_MAX;
constexpr uint64_t kHasDeadline = 1;
constexpr uint64_t kIsBestEffort = 2;

class Packer {
 public:
  explicit Packer(std::string* out) : out_(*out) {}

  void Number(uint64_t value) {
    for (; value >= 0x80; value >>= 7) out_ += static_cast<char>(value | 0x80);
    out_ += static_cast<char>(value);
  }
  void Signed(int64_t value) {
    Number((static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63));
  }
  void Text(std::string_view text) {
    Number(text.size());
    out_ += text;
  }

 private:
  std::string& out_;
};

// Reads what Packer wrote; nothing else comes here.
class Unpacker {
 public:
  explicit Unpacker(std::string_view bytes) : rest_(bytes) {}

  uint64_t Number() {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      CHECK(!rest_.empty());
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= uint64_t{byte & 0x7fU} << shift;
      if (byte < 0x80) return value;
    }
  }
  int64_t Signed() {
    const uint64_t value = Number();
    return static_cast<int64_t>((value >> 1) ^ (~(value & 1) + 1));
  }
  int32_t Signed32() { return static_cast<int32_t>(Signed()); }
  std::string Text() {
    const size_t size = Number();
    CHECK(size <= rest_.size());
    std::string text(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return text;
  }

 private:
  std::string_view rest_;
};

void PackSlice(const domain::Slice& slice, Packer* out) {
  out->Number(slice.container);
  out->Text(slice.vendor);
  out->Text(slice.device);
  out->Signed(slice.memory_mib);
  out->Signed(slice.cores);
  out->Text(slice.shape);
  out->Number(slice.mig ? 1 : 0);
  if (!slice.mig) return;
  out->Text(slice.mig->profile);
  out->Signed(slice.mig->start);
  out->Signed(slice.mig->size);
  out->Text(slice.mig->mig_uuid);
  out->Signed(slice.mig->gpu_instance);
  out->Signed(slice.mig->compute_instance);
}

domain::Slice UnpackSlice(Unpacker* in) {
  domain::Slice slice;
  slice.container = static_cast<uint16_t>(in->Number());
  slice.vendor = in->Text();
  slice.device = in->Text();
  slice.memory_mib = in->Signed32();
  slice.cores = in->Signed32();
  slice.shape = in->Text();
  if (in->Number() == 0) return slice;
  domain::MigPlacement& mig = slice.mig.emplace();
  mig.profile = in->Text();
  mig.start = in->Signed32();
  mig.size = in->Signed32();
  mig.mig_uuid = in->Text();
  mig.gpu_instance = in->Signed32();
  mig.compute_instance = in->Signed32();
  return slice;
}

void UnpackAmounts(Unpacker* in, placement::PodFacts* facts) {
  facts->cpu_milli = in->Signed();
  facts->memory_bytes = in->Signed();
  const uint64_t traits = in->Number();
  facts->traits.has_deadline = (traits & kHasDeadline) != 0;
  facts->traits.is_best_effort = (traits & kIsBestEffort) != 0;
  facts->traits.priority_class = in->Text();
  facts->kinds.resize(in->Number());
  for (domain::ContainerKind& kind : facts->kinds) {
    kind = static_cast<domain::ContainerKind>(in->Number());
  }
}

}  // namespace

PodRecord::PodRecord(const PodEntry& entry)
    : version_(entry.version),
      decided_s_(entry.decided_s),
      priority_(entry.facts.priority),
      slices_(static_cast<uint16_t>(std::min(entry.facts.slices.size(), kMostSlices))),
      bound_(entry.bound),
      over_(entry.over),
      terminating_(entry.terminating),
      init_done_(entry.facts.init_done),
      has_problem_(!entry.problem.empty()) {
  const placement::PodFacts& facts = entry.facts;
  std::string bytes;
  Packer out(&bytes);
  const auto end = [this, &bytes](Part part) { ends_[part] = static_cast<uint32_t>(bytes.size()); };
  bytes += facts.uid;
  end(kUid);
  bytes += entry.key.name_space;
  end(kNamespace);
  bytes += entry.key.name;
  end(kName);
  bytes += facts.node;
  end(kNode);
  for (size_t i = 0; i < slices_; ++i) PackSlice(facts.slices[i], &out);
  end(kSlices);
  out.Signed(facts.cpu_milli);
  out.Signed(facts.memory_bytes);
  out.Number((facts.traits.has_deadline ? kHasDeadline : 0) |
             (facts.traits.is_best_effort ? kIsBestEffort : 0));
  out.Text(facts.traits.priority_class);
  out.Number(facts.kinds.size());
  for (const domain::ContainerKind kind : facts.kinds) out.Number(static_cast<uint64_t>(kind));
  out.Number(entry.labels.size());
  for (const auto& [key, value] : entry.labels) {
    out.Text(key);
    out.Text(value);
  }
  out.Text(entry.problem);
  end(kRest);
  bytes_ = std::make_unique<char[]>(bytes.size());
  std::memcpy(bytes_.get(), bytes.data(), bytes.size());
}

placement::PodFacts PodRecord::Facts() const {
  placement::PodFacts facts;
  facts.uid = uid();
  facts.namespace_name = name_space();
  facts.name = name();
  facts.node = node();
  facts.init_done = init_done_;
  facts.priority = priority_;
  Unpacker slices(Piece(kSlices));
  facts.slices.reserve(slices_);
  for (size_t i = 0; i < slices_; ++i) facts.slices.push_back(UnpackSlice(&slices));
  Unpacker rest(Piece(kRest));
  UnpackAmounts(&rest, &facts);
  return facts;
}

PodEntry PodRecord::Unpack() const {
  PodEntry entry;
  entry.key = {std::string(name_space()), std::string(name())};
  entry.version = version_;
  entry.facts = Facts();
  entry.bound = bound_;
  entry.over = over_;
  entry.terminating = terminating_;
  entry.decided_s = decided_s_;
  Unpacker rest(Piece(kRest));
  placement::PodFacts amounts;
  UnpackAmounts(&rest, &amounts);
  for (size_t left = rest.Number(); left > 0; --left) {
    std::string key = rest.Text();
    entry.labels.emplace(std::move(key), rest.Text());
  }
  entry.problem = rest.Text();
  return entry;
}

bool PodRecord::HoldsLike(const PodRecord& other) const {
  return bound_ == other.bound_ && over_ == other.over_ && init_done_ == other.init_done_ &&
         node() == other.node() && Piece(kSlices) == other.Piece(kSlices);
}

bool PodRecord::operator==(const PodRecord& other) const {
  return std::ranges::equal(ends_, other.ends_) && decided_s_ == other.decided_s_ &&
         priority_ == other.priority_ && bound_ == other.bound_ && over_ == other.over_ &&
         terminating_ == other.terminating_ && init_done_ == other.init_done_ &&
         std::memcmp(bytes_.get(), other.bytes_.get(), bytes()) == 0;
}

Result<PodRecord> ReadPodRecord(const vendor::Registry& registry, json::Value object) {
  ASSIGN_OR_RETURN(const PodEntry entry, ReadPodEntry(registry, object));
  return PodRecord(entry);
}

Result<PodRecord> ReadPodRecord(const vendor::Registry& registry, std::string_view message) {
  ASSIGN_OR_RETURN(domain::Pod pod, domain::ReadPodProtobuf(message));
  ASSIGN_OR_RETURN(const PodEntry entry, ReadPodEntry(registry, std::move(pod)));
  return PodRecord(entry);
}

}  // namespace hami::extender
