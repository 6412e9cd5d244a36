// SPDX-License-Identifier: Apache-2.0
//
// A file in the container hook's folder of a claim: the container of this ID was started without
// limits, because its image uses musl. Written by hami-cdi-hook, removed by who has reported it.

#pragma once

namespace hami::api {

inline constexpr char kInactivePrefix[] = "limits-inactive-";  // + the container's ID

}  // namespace hami::api
