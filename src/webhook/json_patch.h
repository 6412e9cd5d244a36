// SPDX-License-Identifier: Apache-2.0
//
// Collects the operations of a JSON patch (RFC 6902) as text. Paths are made of names by
// Pointer, which escapes them (RFC 6901).

#pragma once

#include <string>
#include <string_view>

namespace hami::webhook {

// Pointer("/metadata/annotations", "hami.io/vgpu-node") is
// "/metadata/annotations/hami.io~1vgpu-node".
std::string Pointer(std::string_view parent, std::string_view name);

class JsonPatch {
 public:
  // Replaces a member of an object that is there; puts in before an element of an array; "-" is
  // behind its last one. `json` is a value as JSON.
  void Add(std::string_view path, std::string_view json) { Append("add", path, &json); }
  void AddText(std::string_view path, std::string_view text);
  void Replace(std::string_view path, std::string_view json) { Append("replace", path, &json); }
  // The patch holds only if this is there.
  void Test(std::string_view path, std::string_view json) { Append("test", path, &json); }
  // What does not exist cannot be removed: the patch would fail.
  void Remove(std::string_view path) { Append("remove", path, nullptr); }

  bool empty() const { return text_.empty(); }
  // The patch, "" if it has no operation.
  std::string Take() &&;

 private:
  void Append(std::string_view operation, std::string_view path, const std::string_view* json);

  std::string text_;
};

}  // namespace hami::webhook
