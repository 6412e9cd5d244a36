// SPDX-License-Identifier: Apache-2.0
//
// PTX text (PTX ISA, "Directives"): the module's version and target, its variables, and of every
// entry the parameters, bounds and static shared memory. Instructions are counted, not checked:
// what a driver's compiler would refuse inside a body is accepted here. Shared variables of called
// functions are not added to their callers.

#include "simgpu/image/parsers.h"
#include "simgpu/image/ptx_lexer.h"
#include "simgpu/image/scratch.h"

namespace hami::simgpu {
namespace {

constexpr uint64_t kInstructionBytes = 16;    // since compute capability 7.0
constexpr uint64_t kConstantBankBytes = 352;  // of a kernel, before its parameters
constexpr uint32_t kMaxBlockThreads = 1024;
constexpr uint32_t kMaxParams = 4096;
constexpr uint32_t kMaxParamBytes = 32764;
// Shared variables outside of functions, which compilers move into the kernel where they can.
constexpr size_t kMaxModuleShared = 64;

struct TypeSize {
  std::string_view name;
  uint32_t bytes;
};
constexpr TypeSize kTypes[] = {
    {".b8", 1},    {".u8", 1},     {".s8", 1},         {".b16", 2},     {".u16", 2},
    {".s16", 2},   {".f16", 2},    {".bf16", 2},       {".b32", 4},     {".u32", 4},
    {".s32", 4},   {".f32", 4},    {".f16x2", 4},      {".bf16x2", 4},  {".tf32", 4},
    {".b64", 8},   {".u64", 8},    {".s64", 8},        {".f64", 8},     {".f32x2", 8},
    {".b128", 16}, {".texref", 8}, {".samplerref", 8}, {".surfref", 8},
};

uint32_t TypeBytes(std::string_view name) {
  for (const TypeSize& type : kTypes) {
    if (type.name == name) return type.bytes;
  }
  return 0;
}

// Decimal, hexadecimal or octal, with or without U at the end.
bool ParseNumber(std::string_view text, uint64_t* out) {
  if (!text.empty() && text.back() == 'U') text.remove_suffix(1);
  uint64_t base = 10;
  if (text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
    base = 16;
    text.remove_prefix(2);
  } else if (text.size() > 1 && text[0] == '0') {
    base = 8;
  }
  if (text.empty()) return false;
  uint64_t value = 0;
  for (const char c : text) {
    uint64_t digit = 16;
    if (c >= '0' && c <= '9') digit = static_cast<uint64_t>(c - '0');
    if (c >= 'a' && c <= 'f') digit = static_cast<uint64_t>(c - 'a') + 10;
    if (c >= 'A' && c <= 'F') digit = static_cast<uint64_t>(c - 'A') + 10;
    if (digit >= base) return false;
    value = value * base + digit;
    if (value > kMaxSectionBytes) return false;
  }
  *out = value;
  return true;
}

struct Variable {
  std::string_view name;
  uint64_t bytes = 0;
  uint64_t alignment = 1;
};

struct Entry {
  std::string_view name;
  uint32_t param_count = 0;
  uint64_t param_bytes = 0;
  uint64_t threads_bound = 0;
  uint64_t registers_bound = 0;
  uint64_t shared_bytes = 0;
  uint64_t instructions = 0;
};

struct ModuleShared {
  Variable variable;
  uint32_t used_by;  // number of the last function that names it
};

class PtxParser {
 public:
  PtxParser(std::string_view text, ImageSink* sink) : lexer_(text), sink_(sink) { Advance(); }

  ImageStatus Parse(int sm, int max_ptx);

 private:
  void Advance() { token_ = lexer_.Next(); }
  bool Accept(std::string_view text) {
    if (!token_.Is(text)) return false;
    Advance();
    return true;
  }
  bool AcceptNumber(uint64_t* out) {
    if (token_.kind != PtxToken::Kind::kNumber || !ParseNumber(token_.text, out)) return false;
    Advance();
    return true;
  }

  ImageStatus ParseHeader(int sm, int max_ptx);
  bool ParseStatement();
  bool ParseVariables(std::string_view space, bool external);
  bool ParseVariable(Variable* out);
  bool ParseType(Variable* out);
  bool ParseNameAndSize(Variable* out);
  bool SkipInitialiser(uint64_t* elements);
  bool ParseEntry();
  bool ParseParams(Entry* entry);
  bool ParseEntryDirectives(Entry* entry);
  bool ParseThreads(uint64_t* out);
  bool ParseFunction();
  bool ParseBody(Entry* entry);
  bool SkipBraces();
  bool SkipToSemicolon();
  void NoteSharedUse(Entry* entry);

  PtxLexer lexer_;
  ImageSink* sink_;
  PtxToken token_;
  Scratch params_;
  uint64_t variable_bytes_ = 0;
  uint32_t functions_ = 0;
  size_t module_shared_count_ = 0;
  ModuleShared module_shared_[kMaxModuleShared] = {};
};

// ".version 8.4", ".target sm_86, debug", ".address_size 64", in this order.
ImageStatus PtxParser::ParseHeader(int sm, int max_ptx) {
  if (!Accept(".version") || token_.kind != PtxToken::Kind::kNumber) {
    return ImageStatus::kInvalidPtx;
  }
  const std::string_view version = token_.text;
  const size_t dot = version.find('.');
  uint64_t major = 0;
  uint64_t minor = 0;
  if (dot == std::string_view::npos) return ImageStatus::kInvalidPtx;
  // Not substr: it may throw, and nothing of libstdc++ is there.
  std::string_view whole = version;
  whole.remove_suffix(version.size() - dot);
  std::string_view fraction = version;
  fraction.remove_prefix(dot + 1);
  if (!ParseNumber(whole, &major) || !ParseNumber(fraction, &minor) || major > 1000 || minor > 9) {
    return ImageStatus::kInvalidPtx;
  }
  if (max_ptx != 0 && static_cast<int>(major * 10 + minor) > max_ptx) {
    return ImageStatus::kUnsupportedPtxVersion;
  }
  Advance();
  if (!Accept(".target") || !token_.IsWord() || !token_.text.starts_with("sm_")) {
    return ImageStatus::kInvalidPtx;
  }
  std::string_view target = token_.text;
  target.remove_prefix(3);
  const char suffix = target.empty() ? '\0' : target.back();
  if (suffix == 'a' || suffix == 'f') target.remove_suffix(1);
  uint64_t target_sm = 0;
  if (!ParseNumber(target, &target_sm) || target_sm > 1000) return ImageStatus::kInvalidPtx;
  // The compiler refuses a target above the device's, and of another device where PTX is bound to
  // one; to the caller that is a failed compilation.
  const int needed = static_cast<int>(target_sm);
  if (needed > sm || (suffix == 'a' && needed != sm) || (suffix == 'f' && needed / 10 != sm / 10)) {
    return ImageStatus::kInvalidPtx;
  }
  Advance();
  while (Accept(",")) Advance();
  if (Accept(".address_size")) {
    uint64_t bits = 0;
    if (!AcceptNumber(&bits) || bits != 64) return ImageStatus::kInvalidPtx;
  }
  return ImageStatus::kOk;
}

ImageStatus PtxParser::Parse(int sm, int max_ptx) {
  const ImageStatus status = ParseHeader(sm, max_ptx);
  if (status != ImageStatus::kOk) return status;
  while (!token_.Ends()) {
    if (!ParseStatement()) return ImageStatus::kInvalidPtx;
  }
  if (token_.kind != PtxToken::Kind::kEnd) return ImageStatus::kInvalidPtx;
  sink_->device_bytes += AlignUp(variable_bytes_, kSectionAlignment);
  return ImageStatus::kOk;
}

bool PtxParser::ParseStatement() {
  bool external = false;
  while (token_.Is(".extern") || token_.Is(".visible") || token_.Is(".weak") ||
         token_.Is(".common")) {
    external = external || token_.Is(".extern");
    Advance();
  }
  if (!token_.IsDirective()) return Accept(";");
  const std::string_view directive = token_.text;
  if (directive == ".loc" || directive == ".file") {
    lexer_.SkipLine();
    Advance();
    return true;
  }
  Advance();
  if (directive == ".entry") return ParseEntry();
  if (directive == ".func") return ParseFunction();
  if (directive == ".section") {
    while (!token_.Is("{") && !token_.Ends()) Advance();
    return SkipBraces();
  }
  if (directive == ".global" || directive == ".const" || directive == ".shared" ||
      directive == ".tex") {
    return ParseVariables(directive, external);
  }
  return SkipToSemicolon();
}

bool PtxParser::ParseVariables(std::string_view space, bool external) {
  Variable type;
  if (!ParseType(&type)) return false;
  do {
    Variable variable = type;
    if (!ParseNameAndSize(&variable)) return false;
    if (external) continue;
    if (space == ".shared") {
      if (module_shared_count_ < kMaxModuleShared) {
        module_shared_[module_shared_count_++] = {variable, 0};
      }
      continue;
    }
    variable_bytes_ = AlignUp(variable_bytes_, variable.alignment) + variable.bytes;
    if (variable_bytes_ > kMaxSectionBytes) return false;
    if (space == ".tex") continue;
    sink_->Add(ImageGlobal{variable.name.data(), static_cast<uint32_t>(variable.name.size()),
                           variable.bytes});
  } while (Accept(","));
  return Accept(";");
}

// Everything between the state space and the name; `bytes` becomes that of one element.
bool PtxParser::ParseType(Variable* out) {
  uint64_t alignment = 0;
  uint64_t lanes = 1;
  uint64_t bytes = 0;
  while (token_.IsDirective()) {
    const std::string_view word = token_.text;
    Advance();
    if (word == ".align") {
      uint64_t value = 0;
      if (!AcceptNumber(&value) || value == 0 || value > 4096 || (value & (value - 1)) != 0) {
        return false;
      }
      if (bytes == 0) alignment = value;  // Behind the type it speaks of what a pointer points to.
    } else if (word == ".attribute") {
      if (!Accept("(")) return false;
      while (!token_.Is(")")) {
        if (token_.Ends()) return false;
        Advance();
      }
      Advance();
    } else if (word == ".v2" || word == ".v4" || word == ".v8") {
      lanes = static_cast<uint64_t>(word[2] - '0');
    } else if (const uint32_t size = TypeBytes(word); size != 0) {
      bytes = size;
    } else if (word != ".ptr" && word != ".global" && word != ".const" && word != ".shared" &&
               word != ".local" && word != ".param") {
      return false;
    }
  }
  if (bytes == 0) return false;
  out->bytes = bytes * lanes;
  out->alignment = alignment != 0 ? alignment : out->bytes;
  return true;
}

// "name", "name[4][8]", "name[] = {1, 2}", "name = 7".
bool PtxParser::ParseNameAndSize(Variable* out) {
  if (!token_.IsWord()) return false;
  out->name = token_.text;
  Advance();
  bool open_array = false;
  uint64_t elements = 1;
  while (Accept("[")) {
    uint64_t extent = 1;
    if (!token_.Is("]")) {
      if (!AcceptNumber(&extent)) return false;
    } else {
      open_array = true;
    }
    if (!Accept("]")) return false;
    if (extent != 0 && elements > kMaxSectionBytes / extent) return false;
    elements *= extent;
  }
  uint64_t initialised = 0;
  if (Accept("=") && !SkipInitialiser(&initialised)) return false;
  if (open_array) elements *= initialised;
  if (elements > kMaxSectionBytes / out->bytes) return false;
  out->bytes *= elements;
  return true;
}

bool PtxParser::SkipInitialiser(uint64_t* elements) {
  uint32_t depth = 0;
  *elements = 1;
  while (!token_.Ends()) {
    if (depth == 0 && (token_.Is(";") || token_.Is(","))) return true;
    if (token_.Is("{") || token_.Is("(")) ++depth;
    if (token_.Is("}") || token_.Is(")")) {
      if (depth == 0) return false;
      --depth;
    }
    if (depth == 1 && token_.Is(",")) ++*elements;
    Advance();
  }
  return false;
}

bool PtxParser::ParseParams(Entry* entry) {
  if (!Accept("(")) return true;
  if (Accept(")")) return true;
  ImageParam* params = params_.As<ImageParam>();
  if (params == nullptr) {
    if (!params_.Allocate(kMaxParams * sizeof(ImageParam))) return false;
    params = params_.As<ImageParam>();
  }
  do {
    Variable param;
    if (!Accept(".param") || !ParseType(&param) || !ParseNameAndSize(&param)) return false;
    if (entry->param_count == kMaxParams || param.bytes > kMaxParamBytes) return false;
    const uint64_t offset = AlignUp(entry->param_bytes, param.alignment);
    params[entry->param_count++] = {static_cast<uint32_t>(offset),
                                    static_cast<uint32_t>(param.bytes)};
    entry->param_bytes = offset + param.bytes;
    if (entry->param_bytes > kMaxParamBytes) return false;
  } while (Accept(","));
  return Accept(")");
}

// "256, 1, 1", of which the last two may be missing.
bool PtxParser::ParseThreads(uint64_t* out) {
  uint64_t product = 1;
  int dimensions = 0;
  do {
    uint64_t extent = 0;
    if (++dimensions > 3 || !AcceptNumber(&extent) || extent > kMaxBlockThreads) return false;
    product *= extent;
  } while (Accept(","));
  *out = product;
  return true;
}

bool PtxParser::ParseEntryDirectives(Entry* entry) {
  while (token_.IsDirective()) {
    const std::string_view directive = token_.text;
    Advance();
    if (directive == ".maxntid" || directive == ".reqntid") {
      if (!ParseThreads(&entry->threads_bound)) return false;
    } else if (directive == ".maxnreg") {
      if (!AcceptNumber(&entry->registers_bound)) return false;
    } else {
      // Others have numbers, strings or nothing behind them, and none concerns us.
      while (token_.kind == PtxToken::Kind::kNumber || token_.kind == PtxToken::Kind::kString ||
             token_.Is(",") || (directive == ".pragma" && token_.Is(";"))) {
        Advance();
      }
    }
  }
  return true;
}

bool PtxParser::ParseEntry() {
  Entry entry;
  if (!token_.IsWord()) return false;
  entry.name = token_.text;
  Advance();
  if (!ParseParams(&entry) || !ParseEntryDirectives(&entry)) return false;
  if (Accept(";")) return true;  // declared, not defined
  if (!ParseBody(&entry)) return false;

  uint32_t registers = kPtxRegisters;
  if (entry.registers_bound != 0 && entry.registers_bound < registers) {
    registers = static_cast<uint32_t>(entry.registers_bound);
  }
  uint32_t max_threads = kMaxBlockThreads;
  if (entry.threads_bound != 0 && entry.threads_bound < max_threads) {
    max_threads = static_cast<uint32_t>(entry.threads_bound);
  }
  sink_->Add(ImageKernel{entry.name.data(), static_cast<uint32_t>(entry.name.size()),
                         entry.param_count, static_cast<uint32_t>(entry.param_bytes), registers,
                         static_cast<uint32_t>(entry.shared_bytes), max_threads,
                         params_.As<ImageParam>()});
  sink_->device_bytes += AlignUp(kConstantBankBytes + entry.param_bytes, kSectionAlignment);
  return true;
}

// ".func (.reg .u32 result) name (.param .u32 in) { ... }", or only declared.
bool PtxParser::ParseFunction() {
  while (!token_.Is("{") && !token_.Is(";")) {
    if (token_.Ends()) return false;
    Advance();
  }
  if (Accept(";")) return true;
  Entry ignored;
  return ParseBody(&ignored);
}

bool PtxParser::ParseBody(Entry* entry) {
  if (!Accept("{")) return false;
  ++functions_;
  uint32_t depth = 1;
  bool statement_start = true;
  bool instruction = false;
  while (depth != 0) {
    if (token_.Ends()) return false;
    if (statement_start && token_.Is(".loc")) {
      lexer_.SkipLine();
      Advance();
      continue;
    }
    if (statement_start && Accept(".shared")) {
      Variable variable;
      if (!ParseType(&variable) || !ParseNameAndSize(&variable) || !Accept(";")) return false;
      entry->shared_bytes = AlignUp(entry->shared_bytes, variable.alignment) + variable.bytes;
      if (entry->shared_bytes > UINT32_MAX) return false;
      continue;
    }
    if (statement_start) instruction = !token_.IsDirective();
    statement_start = token_.Is("{") || token_.Is("}") || token_.Is(";") || token_.Is(":");
    if (token_.Is("{")) ++depth;
    if (token_.Is("}")) --depth;
    if (token_.Is(";") && instruction) ++entry->instructions;
    if (token_.IsWord()) NoteSharedUse(entry);
    Advance();
  }
  sink_->device_bytes += AlignUp((entry->instructions + 1) * kInstructionBytes, kSectionAlignment);
  return true;
}

void PtxParser::NoteSharedUse(Entry* entry) {
  for (size_t i = 0; i < module_shared_count_; ++i) {
    ModuleShared& shared = module_shared_[i];
    if (shared.used_by == functions_ || shared.variable.name != token_.text) continue;
    shared.used_by = functions_;
    const uint64_t start = AlignUp(entry->shared_bytes, shared.variable.alignment);
    if (start + shared.variable.bytes <= UINT32_MAX) {
      entry->shared_bytes = start + shared.variable.bytes;
    }
  }
}

bool PtxParser::SkipBraces() {
  if (!Accept("{")) return false;
  uint32_t depth = 1;
  while (depth != 0) {
    if (token_.Ends()) return false;
    if (token_.Is("{")) ++depth;
    if (token_.Is("}")) --depth;
    Advance();
  }
  return true;
}

bool PtxParser::SkipToSemicolon() {
  while (!token_.Is(";")) {
    if (token_.Ends()) return false;
    Advance();
  }
  Advance();
  return true;
}

}  // namespace

bool LooksLikePtx(std::string_view text) {
  PtxLexer lexer(text);
  return lexer.Next().Is(".version");
}

ImageStatus ParsePtx(std::string_view text, int sm, int max_ptx, ImageSink* sink) {
  PtxParser parser(text, sink);
  return parser.Parse(sm, max_ptx);
}

}  // namespace hami::simgpu
