// SPDX-License-Identifier: Apache-2.0
//
// For std::unique_ptr of what a C library frees: std::unique_ptr<X509, Freed<X509_free>>.

#pragma once

namespace hami::base {

template <auto Free>
struct Freed {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};

}  // namespace hami::base
