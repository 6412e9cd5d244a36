// SPDX-License-Identifier: Apache-2.0
//
// Compile-time comparison of two declarations of one function or structure, for the source files
// that tools/abi_compare.py writes. Equal means: a caller that sees one and a callee that sees the
// other understand each other. Names of parameters and of opaque types do not matter.

#pragma once

#include <stddef.h>

#include <type_traits>

namespace hami::abi {

template <class T>
concept Complete = requires { sizeof(T); };

template <class A, class B>
constexpr bool SameFunction();

template <class A, class B>
constexpr bool SameType() {
  using U = std::remove_cv_t<A>;
  using V = std::remove_cv_t<B>;
  if constexpr (std::is_void_v<U> || std::is_void_v<V>) {
    return std::is_void_v<U> == std::is_void_v<V>;
  } else if constexpr (std::is_pointer_v<U> || std::is_pointer_v<V>) {
    if constexpr (!std::is_pointer_v<U> || !std::is_pointer_v<V>) {
      return false;
    } else {
      using P = std::remove_cv_t<std::remove_pointer_t<U>>;
      using Q = std::remove_cv_t<std::remove_pointer_t<V>>;
      if constexpr (std::is_function_v<P> && std::is_function_v<Q>) {
        return SameFunction<P, Q>();
      } else if constexpr (!Complete<P> || !Complete<Q>) {
        // void or opaque on one side: nothing is read through it there.
        return std::is_function_v<P> == std::is_function_v<Q>;
      } else {
        return SameType<P, Q>();
      }
    }
  } else if constexpr (std::is_floating_point_v<U> || std::is_floating_point_v<V>) {
    return std::is_same_v<U, V>;
  } else if constexpr (std::is_integral_v<U> || std::is_enum_v<U>) {
    return (std::is_integral_v<V> || std::is_enum_v<V>) && sizeof(U) == sizeof(V);
  } else {
    return std::is_class_v<U> == std::is_class_v<V> && std::is_union_v<U> == std::is_union_v<V> &&
           sizeof(U) == sizeof(V) && alignof(U) == alignof(V);
  }
}

template <class F>
struct Signature;

template <class R, class... A>
struct Signature<R(A...)> {
  template <class F>
  struct Against : std::false_type {};
  template <class S, class... B>
    requires(sizeof...(A) == sizeof...(B))
  struct Against<S(B...)>
      : std::bool_constant<SameType<R, S>() && (SameType<A, B>() && ... && true)> {};
};

template <class A, class B>
constexpr bool SameFunction() {
  return Signature<A>::template Against<B>::value;
}

// Whether a stub of six 64-bit arguments can pass on whatever the function takes: integers and
// pointers only, in the registers of x86-64 and aarch64.
template <class R, class... A>
constexpr bool InRegisters(R (*)(A...)) {
  return sizeof...(A) <= 6 && std::is_integral_v<R> + std::is_enum_v<R> == 1 &&
         ((std::is_integral_v<A> || std::is_enum_v<A> || std::is_pointer_v<A>) && ... && true);
}

}  // namespace hami::abi
