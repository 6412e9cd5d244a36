// SPDX-License-Identifier: Apache-2.0
//
// The table of vendors, as HAMi's chart configures them. Facts: hami-control-plane.md section 6. To
// add a vendor: docs/guide/add-a-vendor.md.

#pragma once

#include <string>
#include <vector>

#include "vendor/spec.h"

namespace hami::vendor {

// One entry each.
Spec NvidiaSpec();
Spec CambriconSpec();
Spec HygonSpec();
Spec EnflameWholeSpec();
Spec EnflameSharedSpec();
Spec MthreadsSpec();
Spec MetaxWholeSpec();
Spec MetaxSharedSpec();
Spec KunlunSpec();
Spec KunlunSharedSpec();
Spec NeuronSpec();
Spec AmdSpec();
Spec VastaiSpec();
Spec BirenSpec();

// Families of chips that differ in names and sizes: an entry for a common word, with the resource
// names that HAMi's chart gives it.
Spec AscendSpec(const std::string& common_word);
Spec IluvatarSpec(const std::string& common_word);
std::vector<Spec> AscendSpecs();
std::vector<Spec> IluvatarSpecs();

// Entries of all vendors but the two families, in the order in which HAMi creates its backends,
// which is that of VendorIds and of texts for people.
std::vector<Spec> SingleSpecs();

}  // namespace hami::vendor
