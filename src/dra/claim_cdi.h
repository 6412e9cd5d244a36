// SPDX-License-Identifier: Apache-2.0
//
// The CDI document of a claim: one device for each slice, so that a container which uses one
// request gets that slice and no other. What every container of the claim needs (driver libraries,
// ours, the hook) stands once. Pure.

#pragma once

#include <string>

#include "cdi/spec.h"
#include "dra/claim_shares.h"
#include "dra/grant.h"
#include "gpu/driver_files.h"

namespace hami::dra {

struct ClaimCdiInput {
  const ClaimGrant* grant = nullptr;
  const gpu::DriverFiles* driver = nullptr;  // with the nodes of the grant's GPUs
  const ShareRoot* shares = nullptr;
  std::string library_folder;  // on the node: libvgpu.so and hami-cdi-hook
};

// "<uid>-<request>-<n>"; of an alternative the base request's name.
std::string CdiDeviceName(const ClaimGrant& grant, size_t index);

// "k8s.hami-core-gpu.project-hami.io/claim=<device>"
std::string CdiDeviceId(const ClaimGrant& grant, size_t index);

cdi::Spec MakeClaimSpec(const ClaimCdiInput& input);

}  // namespace hami::dra
