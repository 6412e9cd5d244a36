// SPDX-License-Identifier: Apache-2.0
//
// Cubins: ELF64 objects of machine EM_CUDA. Standard ELF says where things are; what kernels need
// is in .nv.info sections (attributes of 1-byte format, 1-byte code, 2-byte value or size,
// payload), whose layout was read off images of nvcc 11.8, 12.4 and 13.5 (tests/golden/images).

#include <elf.h>

#include "simgpu/image/parsers.h"
#include "simgpu/image/scratch.h"

namespace hami::simgpu {
namespace {

constexpr uint8_t kAbiOsOld = 0x33;  // e_flags: architecture in bits 0-7 (toolkits before 13)
constexpr uint8_t kAbiOsNew = 0x41;  // e_flags: architecture in bits 8-15
constexpr uint32_t kOldFlagAccelerated = 0x800;
constexpr uint8_t kSymbolIsEntry = 0x10;  // st_other of a __global__ function
constexpr uint32_t kSectionNvInfo = 0x70000000;
constexpr uint32_t kMaxSections = 1U << 22;
// From 9.0 on the first KiB of a block's shared memory is the system's; sections include it.
constexpr uint32_t kReservedSharedSm = 90;
constexpr uint32_t kReservedSharedBytes = 1024;
constexpr uint32_t kRegistersPerBlock = 65536;
constexpr uint32_t kWarpThreads = 32;
constexpr uint32_t kMaxBlockThreads = 1024;

enum InfoFormat : uint8_t { kNoValue = 1, kByteValue = 2, kHalfValue = 3, kSizedValue = 4 };
enum InfoCode : uint8_t {
  kMaxThreads = 0x05,
  kParamBank = 0x0A,
  kRequiredThreads = 0x10,
  kParamInfo = 0x17,
  kParamBytes = 0x19,
  kRegisterCount = 0x2F,
  kParamInfoV2 = 0x45,
};

struct Attribute {
  uint8_t format;
  uint8_t code;
  uint16_t value;  // of formats without payload
  Bytes payload;
};

// Walks the attributes of one .nv.info section.
class AttributeReader {
 public:
  explicit AttributeReader(const Bytes& section) : section_(section) {}

  // False at the end, and where the section is malformed (then ok() is false).
  bool Next(Attribute* out) {
    if (at_ == section_.size()) return false;
    if (!section_.Read(at_, &out->format) || !section_.Read(at_ + 1, &out->code) ||
        !section_.Read(at_ + 2, &out->value)) {
      return Fail();
    }
    at_ += 4;
    out->payload = Bytes();
    if (out->format < kNoValue || out->format > kSizedValue) return Fail();
    if (out->format == kSizedValue) {
      if (!section_.Slice(at_, out->value, &out->payload)) return Fail();
      at_ += out->value;
    }
    return true;
  }
  bool ok() const { return ok_; }

 private:
  bool Fail() {
    ok_ = false;
    return false;
  }

  Bytes section_;
  uint64_t at_ = 0;
  bool ok_ = true;
};

// What other sections say about the code section of one kernel.
struct CodeFacts {
  uint32_t info_section;
  uint32_t shared_bytes;
};

// What one kernel's attributes say.
struct KernelFacts {
  uint32_t param_count = 0;
  uint32_t param_bytes = 0;
  uint32_t max_threads = 0;
};

class Cubin {
 public:
  explicit Cubin(const Bytes& image) : image_(image), attribute_budget_(4 * image.size()) {}

  // `exact` becomes true for images that use what only their own architecture has (sm_90a).
  bool Open(int* sm, bool* exact);
  bool Visit(int sm, ImageSink* sink);

 private:
  bool Section(uint32_t index, Elf64_Shdr* out) const {
    return index < section_count_ &&
           image_.Read(header_.e_shoff + uint64_t{index} * sizeof(Elf64_Shdr), out);
  }
  bool Contents(const Elf64_Shdr& section, Bytes* out) const {
    if (section.sh_type == SHT_NOBITS) return false;
    return image_.Slice(section.sh_offset, section.sh_size, out);
  }
  bool SectionName(const Elf64_Shdr& section, std::string_view* out) const {
    return section_names_.Text(section.sh_name, out);
  }

  bool ReadSections(int sm, ImageSink* sink);
  bool ReadRegisterCounts();
  bool ReadKernelInfo(uint32_t info_section, KernelFacts* facts);
  bool SymbolSection(uint32_t symbol_index, const Elf64_Sym& symbol, uint32_t* section) const;
  bool VisitSymbols(const ImageSink& sink);
  bool VisitKernel(uint32_t symbol_index, uint32_t section, std::string_view name,
                   const ImageSink& sink);
  bool IsVariableSection(uint32_t section) const;

  Bytes image_;
  Elf64_Ehdr header_ = {};
  uint32_t section_count_ = 0;
  Bytes section_names_;
  Bytes symbols_;
  Bytes symbol_names_;
  Bytes extended_indices_;
  uint32_t info_section_ = 0;  // .nv.info of the whole image
  uint32_t symbol_count_ = 0;
  Scratch code_facts_;  // CodeFacts per section
  Scratch registers_;   // uint32_t per symbol
  Scratch params_;      // ImageParam of the kernel at hand
  uint32_t params_capacity_ = 0;
  // Attributes may be read so far: every kernel has its own, so reading much more than the image
  // has means that many kernels point to one section to keep us busy.
  uint64_t attribute_budget_ = 0;
};

bool Cubin::Open(int* sm, bool* exact) {
  if (!image_.Read(0, &header_)) return false;
  if (memcmp(header_.e_ident, ELFMAG, SELFMAG) != 0 || header_.e_ident[EI_CLASS] != ELFCLASS64 ||
      header_.e_ident[EI_DATA] != ELFDATA2LSB || header_.e_machine != EM_CUDA ||
      header_.e_shentsize != sizeof(Elf64_Shdr) || header_.e_shoff == 0 ||
      !image_.Contains(header_.e_phoff, uint64_t{header_.e_phnum} * sizeof(Elf64_Phdr))) {
    return false;
  }
  switch (header_.e_ident[EI_OSABI]) {
    case kAbiOsOld:
      *sm = static_cast<int>(header_.e_flags & 0xFF);
      *exact = (header_.e_flags & kOldFlagAccelerated) != 0;
      break;
    case kAbiOsNew:
      *sm = static_cast<int>(header_.e_flags >> 8 & 0xFF);
      break;
    default:
      return false;
  }
  // With more than 65 279 sections the real numbers stand in section 0 (System V ABI, chapter 4).
  Elf64_Shdr first;
  if (!image_.Read(header_.e_shoff, &first)) return false;
  const uint64_t count = header_.e_shnum != 0 ? header_.e_shnum : first.sh_size;
  const uint32_t names = header_.e_shstrndx != SHN_XINDEX ? header_.e_shstrndx : first.sh_link;
  if (count == 0 || count > kMaxSections ||
      !image_.Contains(header_.e_shoff, count * sizeof(Elf64_Shdr))) {
    return false;
  }
  section_count_ = static_cast<uint32_t>(count);
  Elf64_Shdr section;
  return Section(names, &section) && Contents(section, &section_names_);
}

bool Cubin::Visit(int sm, ImageSink* sink) {
  if (!code_facts_.Allocate(section_count_ * sizeof(CodeFacts))) return false;
  if (!ReadSections(sm, sink)) return false;
  if (symbol_count_ == 0) return true;
  if (!registers_.Allocate(symbol_count_ * sizeof(uint32_t))) return false;
  return ReadRegisterCounts() && VisitSymbols(*sink);
}

// Finds the tables, links .nv.info.* and .nv.shared.* to the code section that their sh_info names,
// and adds up what goes to the device.
bool Cubin::ReadSections(int sm, ImageSink* sink) {
  CodeFacts* facts = code_facts_.As<CodeFacts>();
  for (uint32_t i = 1; i < section_count_; ++i) {
    Elf64_Shdr section;
    std::string_view name;
    if (!Section(i, &section) || !SectionName(section, &name)) return false;
    if (section.sh_size > kMaxSectionBytes) return false;
    Bytes contents;
    if (section.sh_type != SHT_NOBITS && !Contents(section, &contents)) return false;
    const bool linked = section.sh_info != 0 && section.sh_info < section_count_;
    const bool shared = name.starts_with(".nv.shared.");
    if (section.sh_type == SHT_SYMTAB && name == ".symtab") {
      Elf64_Shdr names;
      if (!Section(section.sh_link, &names) || !Contents(names, &symbol_names_)) return false;
      symbols_ = contents;
    } else if (section.sh_type == SHT_SYMTAB_SHNDX) {
      extended_indices_ = contents;
    } else if (section.sh_type == kSectionNvInfo && name == ".nv.info") {
      info_section_ = i;
    } else if (section.sh_type == kSectionNvInfo && linked) {
      facts[section.sh_info].info_section = i;
    } else if (shared && linked && name != ".nv.shared.reserved.0") {
      const uint64_t reserved =
          sm >= static_cast<int>(kReservedSharedSm) ? kReservedSharedBytes : 0;
      const uint64_t bytes = section.sh_size > reserved ? section.sh_size - reserved : 0;
      if (bytes > UINT32_MAX) return false;
      facts[section.sh_info].shared_bytes = static_cast<uint32_t>(bytes);
    }
    if ((section.sh_flags & SHF_ALLOC) != 0 && !shared && !name.starts_with(".nv.merc.")) {
      sink->device_bytes += AlignUp(section.sh_size, kSectionAlignment);
      if (sink->device_bytes > kMaxSectionBytes) return false;
    }
  }
  const uint64_t symbols = symbols_.size() / sizeof(Elf64_Sym);
  if (symbols > UINT32_MAX / sizeof(uint32_t)) return false;
  symbol_count_ = static_cast<uint32_t>(symbols);
  return true;
}

bool Cubin::ReadRegisterCounts() {
  if (info_section_ == 0) return true;
  Elf64_Shdr section;
  Bytes contents;
  if (!Section(info_section_, &section) || !Contents(section, &contents)) return false;
  uint32_t* registers = registers_.As<uint32_t>();
  AttributeReader reader(contents);
  Attribute attribute;
  while (reader.Next(&attribute)) {
    if (attribute.code != kRegisterCount) continue;
    uint32_t symbol = 0;
    uint32_t count = 0;
    if (!attribute.payload.Read(0, &symbol) || !attribute.payload.Read(4, &count)) return false;
    if (symbol < symbol_count_) registers[symbol] = count;
  }
  return reader.ok();
}

bool Cubin::ReadKernelInfo(uint32_t info_section, KernelFacts* facts) {
  if (info_section == 0) return true;
  Elf64_Shdr section;
  Bytes contents;
  if (!Section(info_section, &section) || !Contents(section, &contents)) return false;
  if (contents.size() > attribute_budget_) return false;
  attribute_budget_ -= contents.size();
  // A parameter takes at least 16 bytes of its section, so this bounds every ordinal.
  const uint32_t capacity = static_cast<uint32_t>(contents.size() / 16);
  if (params_.data() == nullptr || capacity > params_capacity_) {
    if (!params_.Allocate(capacity * sizeof(ImageParam))) return false;
    params_capacity_ = capacity;
  }
  ImageParam* params = params_.As<ImageParam>();
  memset(params, 0, capacity * sizeof(ImageParam));
  AttributeReader reader(contents);
  Attribute attribute;
  uint32_t extent = 0;
  while (reader.Next(&attribute)) {
    const Bytes& payload = attribute.payload;
    if (attribute.code == kParamInfo || attribute.code == kParamInfoV2) {
      uint16_t ordinal = 0;
      uint16_t offset = 0;
      uint32_t bytes = 0;
      if (!payload.Read(4, &ordinal) || !payload.Read(6, &offset) || !payload.Read(8, &bytes)) {
        return false;
      }
      if (attribute.code == kParamInfo) bytes >>= 18;  // The low bits are of no use to us.
      if (ordinal >= capacity || bytes > UINT16_MAX) return false;
      params[ordinal] = {offset, bytes};
      if (ordinal + 1U > facts->param_count) facts->param_count = ordinal + 1U;
      if (offset + bytes > extent) extent = offset + bytes;
    } else if (attribute.code == kParamBytes) {
      facts->param_bytes = attribute.value;
    } else if (attribute.code == kMaxThreads || attribute.code == kRequiredThreads) {
      uint32_t x = 0;
      uint32_t y = 0;
      uint32_t z = 0;
      if (!payload.Read(0, &x) || !payload.Read(4, &y) || !payload.Read(8, &z)) return false;
      if (x > kMaxBlockThreads || y > kMaxBlockThreads || z > kMaxBlockThreads) return false;
      facts->max_threads = x * y * z;
    }
  }
  if (facts->param_bytes == 0) facts->param_bytes = extent;
  return reader.ok();
}

bool Cubin::SymbolSection(uint32_t symbol_index, const Elf64_Sym& symbol, uint32_t* section) const {
  if (symbol.st_shndx != SHN_XINDEX) {
    *section = symbol.st_shndx;
    return true;
  }
  return extended_indices_.Read(uint64_t{symbol_index} * sizeof(uint32_t), section);
}

bool Cubin::IsVariableSection(uint32_t index) const {
  Elf64_Shdr section;
  std::string_view name;
  if (!Section(index, &section) || !SectionName(section, &name)) return false;
  // Constants of the program are bank 3; the other banks are the compiler's own.
  return name.starts_with(".nv.global") || name == ".nv.constant3";
}

bool Cubin::VisitSymbols(const ImageSink& sink) {
  for (uint32_t i = 1; i < symbol_count_; ++i) {
    Elf64_Sym symbol;
    if (!symbols_.Read(uint64_t{i} * sizeof(symbol), &symbol)) return false;
    const int type = ELF64_ST_TYPE(symbol.st_info);
    const bool kernel = type == STT_FUNC && (symbol.st_other & kSymbolIsEntry) != 0;
    if (!kernel && type != STT_OBJECT) continue;
    uint32_t section = 0;
    std::string_view name;
    if (!SymbolSection(i, symbol, &section) || !symbol_names_.Text(symbol.st_name, &name)) {
      return false;
    }
    if (section == SHN_UNDEF || section >= section_count_ || name.empty()) continue;
    if (kernel) {
      if (!VisitKernel(i, section, name, sink)) return false;
    } else if (IsVariableSection(section)) {
      if (symbol.st_size > kMaxSectionBytes) return false;
      sink.Add(ImageGlobal{name.data(), static_cast<uint32_t>(name.size()), symbol.st_size});
    }
  }
  return true;
}

bool Cubin::VisitKernel(uint32_t symbol_index, uint32_t section, std::string_view name,
                        const ImageSink& sink) {
  const CodeFacts& code = code_facts_.As<CodeFacts>()[section];
  KernelFacts facts;
  if (!ReadKernelInfo(code.info_section, &facts)) return false;
  uint32_t registers = registers_.As<uint32_t>()[symbol_index];
  Elf64_Shdr text;
  if (!Section(section, &text)) return false;
  if (registers == 0)
    registers = text.sh_info >> 24;  // Where images without the attribute have it.
  if (registers > 255) return false;

  uint32_t max_threads = facts.max_threads;
  if (max_threads == 0) {
    // Registers are given out to warps, eight per thread at a time.
    const uint32_t per_warp =
        static_cast<uint32_t>(AlignUp(registers == 0 ? 1 : registers, 8)) * kWarpThreads;
    max_threads = kRegistersPerBlock / per_warp * kWarpThreads;
    if (max_threads > kMaxBlockThreads) max_threads = kMaxBlockThreads;
  }
  sink.Add(ImageKernel{name.data(), static_cast<uint32_t>(name.size()), facts.param_count,
                       facts.param_bytes, registers, code.shared_bytes, max_threads,
                       params_.As<ImageParam>()});
  return true;
}

}  // namespace

bool CubinRunsOn(int image_sm, int sm) {
  return image_sm / 10 == sm / 10 && image_sm % 10 <= sm % 10;
}

ImageStatus ParseCubin(const Bytes& image, int sm, ImageSink* sink) {
  Cubin cubin(image);
  int image_sm = 0;
  bool exact = false;
  if (!cubin.Open(&image_sm, &exact)) return ImageStatus::kInvalidImage;
  if (!CubinRunsOn(image_sm, sm) || (exact && image_sm != sm)) return ImageStatus::kNoBinaryForGpu;
  return cubin.Visit(image_sm, sink) ? ImageStatus::kOk : ImageStatus::kInvalidImage;
}

uint64_t CubinExtent(const void* image) {
  Elf64_Ehdr header;
  memcpy(&header, image, sizeof(header));
  if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_shentsize != sizeof(Elf64_Shdr) ||
      header.e_shoff > kMaxSectionBytes || header.e_shoff < sizeof(header) ||
      header.e_phoff > kMaxSectionBytes) {
    return 0;
  }
  uint64_t count = header.e_shnum;
  Elf64_Shdr section;
  const uint8_t* table = static_cast<const uint8_t*>(image) + header.e_shoff;
  if (count == 0) {
    memcpy(&section, table, sizeof(section));
    count = section.sh_size;
  }
  if (count > kMaxSections) return 0;
  uint64_t extent = header.e_shoff + count * sizeof(Elf64_Shdr);
  const uint64_t segments_end = header.e_phoff + uint64_t{header.e_phnum} * sizeof(Elf64_Phdr);
  if (segments_end > extent) extent = segments_end;
  for (uint64_t i = 0; i < count; ++i) {
    memcpy(&section, table + i * sizeof(section), sizeof(section));
    if (section.sh_type == SHT_NOBITS || section.sh_type == SHT_NULL) continue;
    if (section.sh_offset > kMaxSectionBytes || section.sh_size > kMaxSectionBytes) return 0;
    const uint64_t end = section.sh_offset + section.sh_size;
    if (end > extent) extent = end;
  }
  return extent;
}

}  // namespace hami::simgpu
