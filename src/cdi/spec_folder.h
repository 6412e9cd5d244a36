// SPDX-License-Identifier: Apache-2.0
//
// The CDI documents of a folder that runtimes watch, one file for each id:
// <vendor>-<class>_<id>.json. A runtime parses the folder at every event in it, so a document
// appears and disappears whole: it is written under a name without .json, and renamed.
//
// An id should stand for one content for ever, because runtimes keep what they have parsed: a
// claim's UID, never a counter. Calls for different ids may run side by side; those for one id are
// the caller's to order.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cdi/spec.h"

namespace hami::cdi {

// Where runtimes look for documents that do not outlive a boot.
inline constexpr char kDynamicSpecFolder[] = "/var/run/cdi";

// "<vendor>-<class>_<id>.json". kInvalidArgument: the id is empty, longer than 128 bytes, or has
// other characters than letters, digits, '-', '_' and '.'.
Result<std::string> SpecFileName(std::string_view vendor, std::string_view device_class,
                                 std::string_view id);

// Writes the document and returns its path; the file and its name are on the disk when this
// succeeds, mode 0644. A file with the same content is left alone, because every event in the
// folder makes runtimes parse all of it; one with another content is replaced at once. The folder
// is made if it is missing. kInvalidArgument: Validate refuses the document.
Result<std::string> PublishSpec(const std::string& folder, const Spec& spec, std::string_view id);

// Nothing there is success.
Status WithdrawSpec(const std::string& folder, std::string_view vendor,
                    std::string_view device_class, std::string_view id);

// What a folder has of one vendor and class.
struct PublishedSpecs {
  std::vector<std::string> ids;      // sorted
  std::vector<std::string> remains;  // temporary files, names: a writer died, or is writing now
};

// For sweeping after a restart: while nobody publishes, every remains may be removed. A folder that
// does not exist is empty.
Result<PublishedSpecs> ListSpecs(const std::string& folder, std::string_view vendor,
                                 std::string_view device_class);

// Removes what died writers left. Not while another thread or process publishes there.
Status RemoveRemains(const std::string& folder, const PublishedSpecs& specs);

}  // namespace hami::cdi
