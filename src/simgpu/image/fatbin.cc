// SPDX-License-Identifier: Apache-2.0
//
// Fat binaries: a 16-byte header and then entries, each a header with architecture and flags and a
// payload (PTX or cubin) that may be compressed. The layout is not documented; it was read off
// images of nvcc 13.5 in every --compress-mode and with --concat, and agrees with what older
// toolkits leave in their libraries (fatbin_test, tests/golden/images).

#include <zstd.h>

#include "simgpu/image/lz4.h"
#include "simgpu/image/parsers.h"
#include "simgpu/image/scratch.h"

namespace hami::simgpu {
namespace {

struct FatbinHeader {
  uint32_t magic;
  uint16_t version;
  uint16_t header_bytes;
  uint64_t entries_bytes;
};
static_assert(sizeof(FatbinHeader) == 16);

struct EntryHeader {
  uint16_t kind;
  uint16_t version;
  uint32_t header_bytes;
  uint64_t payload_bytes;     // as it lies in the file, padded
  uint32_t compressed_bytes;  // 0: not compressed
  uint32_t table_offset;      // from the entry's start; kConcatenated has its members there
  uint16_t minor;
  uint16_t major;
  uint32_t sm;
  uint32_t name_offset;
  uint32_t name_bytes;
  uint64_t flags;
  uint64_t unused;
  uint64_t decompressed_bytes;
};
static_assert(sizeof(EntryHeader) == 64);

// One member of a concatenated entry; `offset` counts in the decompressed payload.
struct MemberHeader {
  uint16_t kind;
  uint16_t version;
  uint32_t offset;
  uint32_t bytes;
  uint32_t unused0[3];
  uint16_t minor;
  uint16_t major;
  uint32_t sm;
  uint32_t unused1[2];
  uint64_t flags;
  uint64_t unused2[2];
};
static_assert(sizeof(MemberHeader) == 64);

constexpr uint16_t kVersion = 1;
constexpr uint16_t kPtxKind = 1;
constexpr uint16_t kCubinKind = 2;
constexpr uint16_t kConcatenatedKind = 0x100;
constexpr uint64_t kFlag64Bit = 0x1;
constexpr uint64_t kFlagLz4 = 0x2000;
constexpr uint64_t kFlagZstd = 0x8000;
constexpr uint64_t kFlagAccelerated = 0x100000;  // sm_90a: this architecture alone
constexpr uint64_t kFlagFamily = 0x200000;       // sm_100f: this architecture and newer minors
constexpr uint64_t kMaxDecompressedBytes = uint64_t{4} << 30;

// One image on offer: an entry, or a member of a concatenated one.
struct Candidate {
  EntryHeader entry;
  uint64_t entry_offset;
  uint64_t offset;  // of a member in its entry's payload
  uint64_t bytes;   // of a member; 0: the whole payload
  int rank;         // 0: none
};

bool RunsOn(uint16_t kind, int image_sm, uint64_t flags, int sm) {
  if ((flags & kFlag64Bit) == 0) return false;
  if ((flags & kFlagAccelerated) != 0) return image_sm == sm;
  if ((flags & kFlagFamily) != 0) return image_sm / 10 == sm / 10 && image_sm <= sm;
  return kind == kCubinKind ? CubinRunsOn(image_sm, sm) : image_sm <= sm;
}

// The nearest architecture wins; of equals the one that is most its own.
int Rank(int image_sm, uint64_t flags) {
  int rank = image_sm * 4 + 1;
  if ((flags & kFlagFamily) != 0) rank += 1;
  if ((flags & kFlagAccelerated) != 0) rank += 2;
  return rank;
}

class Selection {
 public:
  Selection(int sm, int max_ptx) : sm_(sm), max_ptx_(max_ptx) {}

  void Offer(const Candidate& offered, uint16_t kind, int image_sm, uint64_t flags,
             int ptx_version) {
    if (kind != kPtxKind && kind != kCubinKind) return;
    if (!RunsOn(kind, image_sm, flags, sm_)) return;
    if (kind == kPtxKind && max_ptx_ != 0 && ptx_version > max_ptx_) {
      ptx_too_new_ = true;
      return;
    }
    Candidate* best = kind == kCubinKind ? &cubin_ : &ptx_;
    const int rank = Rank(image_sm, flags);
    if (rank <= best->rank) return;
    *best = offered;
    best->rank = rank;
  }

  // A cubin is taken before PTX, which costs a compilation.
  const Candidate* best() const {
    if (cubin_.rank != 0) return &cubin_;
    return ptx_.rank != 0 ? &ptx_ : nullptr;
  }
  bool is_cubin() const { return cubin_.rank != 0; }
  bool ptx_too_new() const { return ptx_too_new_; }

 private:
  int sm_;
  int max_ptx_;
  Candidate cubin_ = {};
  Candidate ptx_ = {};
  bool ptx_too_new_ = false;
};

// The members of a concatenated entry: a count, the table's size, and then the members.
bool OfferMembers(const Bytes& image, const Candidate& whole, Selection* selection) {
  const EntryHeader& entry = whole.entry;
  Bytes table;
  uint32_t count = 0;
  if (entry.table_offset > entry.header_bytes ||
      !image.Slice(whole.entry_offset + entry.table_offset, entry.header_bytes - entry.table_offset,
                   &table) ||
      !table.Read(0, &count)) {
    return false;
  }
  for (uint64_t i = 0; i < count; ++i) {
    MemberHeader member;
    if (!table.Read(8 + i * sizeof(member), &member)) return false;
    Candidate candidate = whole;
    candidate.offset = member.offset;
    candidate.bytes = member.bytes;
    if (member.bytes == 0 || member.sm > UINT8_MAX) return false;
    selection->Offer(candidate, member.kind, static_cast<int>(member.sm), member.flags,
                     member.major * 10 + member.minor);
  }
  return true;
}

bool Choose(const Bytes& image, Selection* selection) {
  FatbinHeader header;
  Bytes entries;
  if (!image.Read(0, &header) || header.magic != kFatbinMagic || header.version != kVersion ||
      header.header_bytes < sizeof(header) ||
      !image.Slice(header.header_bytes, header.entries_bytes, &entries)) {
    return false;
  }
  uint64_t at = 0;
  while (at < entries.size()) {
    Candidate candidate = {};
    EntryHeader& entry = candidate.entry;
    if (!entries.Read(at, &entry) || entry.header_bytes < sizeof(entry) ||
        !entries.Contains(at, entry.header_bytes) ||
        !entries.Contains(at + entry.header_bytes, entry.payload_bytes)) {
      return false;
    }
    candidate.entry_offset = header.header_bytes + at;
    if (entry.kind == kConcatenatedKind) {
      if (!OfferMembers(image, candidate, selection)) return false;
    } else if (entry.sm <= UINT8_MAX) {
      selection->Offer(candidate, entry.kind, static_cast<int>(entry.sm), entry.flags,
                       entry.major * 10 + entry.minor);
    }
    at += entry.header_bytes + entry.payload_bytes;
  }
  return true;
}

// The payload as the compiler wrote it; `buffer` keeps it when it had to be decompressed.
bool Unpack(const Bytes& image, const Candidate& candidate, Scratch* buffer, Bytes* out) {
  const EntryHeader& entry = candidate.entry;
  Bytes payload;
  if (!image.Slice(candidate.entry_offset + entry.header_bytes, entry.payload_bytes, &payload)) {
    return false;
  }
  const bool compressed = (entry.flags & (kFlagLz4 | kFlagZstd)) != 0;
  if (compressed) {
    const uint64_t bytes = entry.decompressed_bytes;
    if (bytes == 0 || bytes > kMaxDecompressedBytes ||
        !payload.Slice(0, entry.compressed_bytes, &payload) || !buffer->Allocate(bytes)) {
      return false;
    }
    uint8_t* target = buffer->As<uint8_t>();
    if ((entry.flags & kFlagZstd) != 0) {
      const size_t done = ZSTD_decompress(target, bytes, payload.data(), payload.size());
      if (ZSTD_isError(done) != 0 || done != bytes) return false;
    } else if (!DecodeLz4(payload, target, bytes)) {
      return false;
    }
    payload = Bytes(target, bytes);
  }
  if (candidate.bytes == 0) {
    *out = payload;
    return true;
  }
  return payload.Slice(candidate.offset, candidate.bytes, out);
}

}  // namespace

ImageStatus ParseFatbin(const Bytes& image, int sm, int max_ptx, ImageSink* sink) {
  Selection selection(sm, max_ptx);
  if (!Choose(image, &selection)) return ImageStatus::kInvalidImage;
  const Candidate* best = selection.best();
  if (best == nullptr) {
    return selection.ptx_too_new() ? ImageStatus::kUnsupportedPtxVersion
                                   : ImageStatus::kNoBinaryForGpu;
  }
  Scratch buffer;
  Bytes payload;
  if (!Unpack(image, *best, &buffer, &payload)) return ImageStatus::kInvalidImage;
  if (selection.is_cubin()) return ParseCubin(payload, sm, sink);
  // PTX ends with a zero byte and then padding.
  const char* text = reinterpret_cast<const char*>(payload.data());
  const size_t length = strnlen(text, payload.size());
  return ParsePtx(std::string_view(text, length), sm, max_ptx, sink);
}

uint64_t FatbinExtent(const void* image) {
  FatbinHeader header;
  memcpy(&header, image, sizeof(header));
  if (header.entries_bytes > kMaxSectionBytes) return 0;
  return header.header_bytes + header.entries_bytes;
}

}  // namespace hami::simgpu
