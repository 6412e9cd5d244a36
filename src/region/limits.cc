// SPDX-License-Identifier: Apache-2.0

#include "region/limits.h"

#include "region/os.h"

namespace hami::region {
namespace {

constexpr uint64_t kMaxMemoryBytes = uint64_t{1} << 48;

struct Word {
  const char* text;
  size_t bytes;
};

template <size_t N>
bool Is(Word word, const char (&literal)[N]) {
  return word.bytes == N - 1 && __builtin_memcmp(word.text, literal, N - 1) == 0;
}

bool ParseNumber(Word word, uint64_t max, uint64_t* value) {
  if (word.bytes == 0 || word.bytes > 19) return false;
  uint64_t sum = 0;
  for (size_t i = 0; i < word.bytes; ++i) {
    if (word.text[i] < '0' || word.text[i] > '9') return false;
    sum = sum * 10 + static_cast<uint64_t>(word.text[i] - '0');
  }
  *value = sum;
  return sum <= max;
}

bool ParsePolicy(Word word, CorePolicy* policy) {
  if (Is(word, "default")) {
    *policy = CorePolicy::kDefault;
  } else if (Is(word, "force")) {
    *policy = CorePolicy::kForce;
  } else if (Is(word, "disable")) {
    *policy = CorePolicy::kDisable;
  } else if (Is(word, "burst")) {
    *policy = CorePolicy::kBurst;
  } else {
    return false;
  }
  return true;
}

// Splits the text into lines of a key and a value.
class Lines {
 public:
  Lines(const char* text, size_t bytes) : at_(text), end_(text + bytes) {}

  // False at the end of the text, or with error() set.
  bool Next(Word* key, Word* value) {
    if (at_ == end_ || error_ != nullptr) return false;
    ++line_;
    SkipSpaces();
    *key = TakeWord();
    SkipSpaces();
    *value = TakeWord();
    SkipSpaces();
    if (at_ == end_) {
      error_ = "the last line does not end in a newline: the file is truncated";
      return false;
    }
    if (*at_ != '\n') {
      error_ = "more than a key and a value on one line";
      return false;
    }
    ++at_;
    return true;
  }

  bool AtEnd() const { return at_ == end_; }
  int line() const { return line_; }
  const char* error() const { return error_; }

 private:
  void SkipSpaces() {
    while (at_ != end_ && *at_ == ' ') ++at_;
  }
  Word TakeWord() {
    const char* begin = at_;
    while (at_ != end_ && *at_ > ' ' && *at_ < 127) ++at_;
    return {begin, static_cast<size_t>(at_ - begin)};
  }

  const char* at_;
  const char* end_;
  int line_ = 0;
  const char* error_ = nullptr;
};

// What has been seen of the device that is being read.
struct DeviceReader {
  DeviceLimit* device = nullptr;
  bool has_memory = false;

  const char* Finish() const {
    return device != nullptr && !has_memory ? "the device before this line has no `memory`"
                                            : nullptr;
  }

  const char* Begin(Word uuid, Limits* limits) {
    if (const char* error = Finish()) return error;
    if (limits->device_count == api::kMaxDevices) return "more than 16 devices";
    if (uuid.bytes < 5 || uuid.bytes >= api::kUuidBytes) return "`device` needs a UUID";
    for (int i = 0; i < limits->device_count; ++i) {
      const char* other = limits->devices[i].uuid;
      if (__builtin_strlen(other) == uuid.bytes &&
          __builtin_memcmp(other, uuid.text, uuid.bytes) == 0) {
        return "a device is named twice";
      }
    }
    device = &limits->devices[limits->device_count++];
    *device = DeviceLimit{};
    __builtin_memcpy(device->uuid, uuid.text, uuid.bytes);
    device->priority = 1;
    has_memory = false;
    return nullptr;
  }

  const char* Set(Word key, Word value) {
    uint64_t number = 0;
    if (Is(key, "memory")) {
      if (!ParseNumber(value, kMaxMemoryBytes, &number)) return "`memory` needs bytes, 0 to 2^48";
      device->memory_bytes = number;
      has_memory = true;
    } else if (Is(key, "cores")) {
      if (!ParseNumber(value, 100, &number)) return "`cores` needs a percentage, 0 to 100";
      device->cores_pct = number == 100 ? 0 : static_cast<uint32_t>(number);
    } else if (Is(key, "policy")) {
      if (!ParsePolicy(value, &device->policy))
        return "`policy` is default, force, disable or burst";
    } else if (Is(key, "priority")) {
      if (!ParseNumber(value, 1, &number)) return "`priority` is 0 or 1";
      device->priority = static_cast<uint8_t>(number);
    } else if (Is(key, "context")) {
      if (!ParseNumber(value, kMaxMemoryBytes, &number)) return "`context` needs bytes, 0 to 2^48";
      device->context_bytes = number;
    } else {
      return "unknown key";
    }
    return nullptr;
  }
};

}  // namespace

LimitsError ParseLimits(const char* text, size_t bytes, Limits* limits) {
  __builtin_memset(limits, 0, sizeof(*limits));
  Lines lines(text, bytes);
  DeviceReader reader;
  Word key = {};
  Word value = {};
  uint64_t number = 0;

  if (!lines.Next(&key, &value) || !Is(key, "hami-limits")) return {"not a limits file", 1};
  if (!Is(value, "1")) return {"a format version this build does not know", 1};
  while (lines.Next(&key, &value)) {
    const char* error = nullptr;
    if (Is(key, "end")) {
      error = reader.Finish();
      if (error == nullptr && value.bytes != 0) error = "`end` takes no value";
      if (error == nullptr && !lines.AtEnd()) error = "text after `end`";
      if (error == nullptr && limits->generation == 0) error = "no `generation`";
      return {error, lines.line()};
    }
    if (Is(key, "generation")) {
      if (!ParseNumber(value, 0x7fffffff, &number) || number == 0) {
        error = "`generation` needs a number above 0";
      }
      limits->generation = static_cast<uint32_t>(number);
    } else if (Is(key, "device")) {
      error = reader.Begin(value, limits);
    } else if (reader.device == nullptr) {
      error = "a key before the first `device`";
    } else {
      error = reader.Set(key, value);
    }
    if (error != nullptr) return {error, lines.line()};
  }
  return {lines.error() != nullptr ? lines.error() : "no `end`: the file is truncated",
          lines.line()};
}

LimitsError LoadLimits(const char* path, Limits* limits) {
  const int fd = os::Open(path, os::kRead, 0);
  if (fd < 0) return {"cannot be read", 0};
  // One page more than allowed, so that a longer file is noticed. Not on the stack: threads of the
  // application may have small ones.
  constexpr size_t kBufferBytes = kMaxLimitsBytes + 4096;
  char* buffer = static_cast<char*>(os::MapAnonymous(kBufferBytes));
  LimitsError error = {"out of memory", 0};
  if (buffer != nullptr) {
    size_t filled = 0;
    int64_t got;
    while (filled < kBufferBytes &&
           (got = os::Read(fd, buffer + filled, kBufferBytes - filled)) > 0) {
      filled += static_cast<size_t>(got);
    }
    error = filled > kMaxLimitsBytes ? LimitsError{"longer than 64 KiB", 0}
                                     : ParseLimits(buffer, filled, limits);
    os::Unmap(buffer, kBufferBytes);
  }
  os::Close(fd);
  return error;
}

}  // namespace hami::region
