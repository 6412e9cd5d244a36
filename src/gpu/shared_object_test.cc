// SPDX-License-Identifier: Apache-2.0
//
// Sonames of libraries, real and broken. fuzz/shared_object_fuzz.cc has the rest of the broken
// ones.

#include "gpu/shared_object.h"

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <link.h>
#include <stdlib.h>

#include <algorithm>
#include <cstddef>

#include "gpu/fake_shared_object.h"

namespace hami::gpu {
namespace {

using ::testing::HasSubstr;

Result<SharedObject> Parse(const std::string& content) {
  return ParseSharedObject([&](uint64_t offset, std::span<std::byte> bytes) -> size_t {
    if (offset >= content.size()) return 0;
    const size_t count = std::min(bytes.size(), content.size() - static_cast<size_t>(offset));
    std::memcpy(bytes.data(), content.data() + offset, count);
    return count;
  });
}
Result<SharedObject> Parse(const FakeSharedObject& object) { return Parse(object.Bytes()); }

TEST(SharedObjectTest, ReadsARealLibrary) {
  void* library = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
  ASSERT_NE(library, nullptr);
  link_map* map = nullptr;
  ASSERT_EQ(dlinfo(library, RTLD_DI_LINKMAP, &map), 0);
  const Result<SharedObject> object = ReadSharedObject(map->l_name);
  ASSERT_TRUE(object) << object.error().message;
  EXPECT_TRUE(object->is_native);
  EXPECT_EQ(object->soname, "libc.so.6");
  dlclose(library);
}

TEST(SharedObjectTest, ReadsTheSoname) {
  EXPECT_EQ(Parse(FakeSharedObject("libcuda.so.1"))->soname, "libcuda.so.1");
  EXPECT_EQ(Parse(FakeSharedObject(""))->soname, "");
  EXPECT_TRUE(Parse(FakeSharedObject(""))->is_native);
}

TEST(SharedObjectTest, OtherMachinesAreNotNative) {
  FakeSharedObject object("libcuda.so.1");
  object.header.e_ident[EI_CLASS] = ELFCLASS32;
  EXPECT_FALSE(Parse(object)->is_native);
  object = FakeSharedObject("libcuda.so.1");
  object.header.e_machine = EM_RISCV;
  EXPECT_FALSE(Parse(object)->is_native);
}

TEST(SharedObjectTest, EveryCutIsAnErrorOrHarmless) {
  const std::string whole = FakeSharedObject("libcuda.so.1").Bytes();
  const size_t name_ends = offsetof(FakeSharedObject, strings) + 1 + sizeof("libcuda.so.1");
  for (size_t bytes = 0; bytes < whole.size(); ++bytes) {
    EXPECT_EQ(Parse(whole.substr(0, bytes)).has_value(), bytes >= name_ends) << bytes;
  }
}

TEST(SharedObjectTest, LiesAreErrors) {
  const auto refusal = [](auto change) {
    FakeSharedObject object("libcuda.so.1");
    change(&object);
    const Result<SharedObject> parsed = Parse(object);
    return parsed ? "accepted, soname " + parsed->soname : parsed.error().message;
  };
  using Fake = FakeSharedObject;
  EXPECT_THAT(refusal([](Fake* o) { o->header.e_type = ET_CORE; }), HasSubstr("type"));
  EXPECT_THAT(refusal([](Fake* o) { o->header.e_phentsize = 1; }), HasSubstr("segments"));
  EXPECT_THAT(refusal([](Fake* o) { o->header.e_phnum = 0xffff; }), HasSubstr("segments"));
  EXPECT_THAT(refusal([](Fake* o) { o->header.e_phoff = UINT64_MAX; }), HasSubstr("cut off"));
  EXPECT_THAT(refusal([](Fake* o) { o->dynamic.p_type = PT_NULL; }), HasSubstr("no dynamic"));
  EXPECT_THAT(refusal([](Fake* o) { o->dynamic.p_filesz = UINT64_MAX; }), HasSubstr("too large"));
  EXPECT_THAT(refusal([](Fake* o) { o->entries[2].d_un.d_val = UINT64_MAX; }),
              HasSubstr("outside"));
  EXPECT_THAT(refusal([](Fake* o) { o->entries[0].d_un.d_ptr = 0; }), HasSubstr("outside"));
  EXPECT_THAT(refusal([](Fake* o) { o->load.p_offset = UINT64_MAX; }), HasSubstr("outside"));
  EXPECT_THAT(refusal([](Fake* o) { o->entries[1].d_un.d_val = 5; }), HasSubstr("does not end"));
  EXPECT_THAT(refusal([](Fake* o) { o->strings[4] = '/'; }), HasSubstr("no file name"));
  EXPECT_THAT(refusal([](Fake* o) { o->strings[4] = '\n'; }), HasSubstr("no file name"));
  EXPECT_THAT(refusal([](Fake* o) { o->strings[1] = '.'; }), HasSubstr("no file name"));
}

TEST(SharedObjectTest, FilesThatAreNoLibrariesAreNamed) {
  const Result<SharedObject> folder = ReadSharedObject("/proc/self");
  ASSERT_FALSE(folder);
  EXPECT_THAT(folder.error().message, HasSubstr("/proc/self"));
  EXPECT_EQ(ReadSharedObject("/no/such/file").error().code, Code::kNotFound);
}

}  // namespace
}  // namespace hami::gpu
