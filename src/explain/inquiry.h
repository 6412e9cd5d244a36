// SPDX-License-Identifier: Apache-2.0
//
// From a name to a report: which facts are gathered in which order, and analysed. Waits for
// answers.

#pragma once

#include "base/result.h"
#include "explain/gather.h"
#include "explain/report.h"
#include "kube/object.h"

namespace hami::explain {

// A claim that is not there is a report too; errors are those of the API.
Result<Report> InquireClaim(Gatherer* gatherer, const kube::ObjectKey& key);

// kNotFound if there is no such pod.
Result<Report> InquirePod(Gatherer* gatherer, const kube::ObjectKey& key);

}  // namespace hami::explain
