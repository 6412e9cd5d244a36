// SPDX-License-Identifier: Apache-2.0
//
// An AdmissionReview (admission.k8s.io/v1 or v1beta1) and its answer. Reading and writing alone:
// what is decided is in admission.h and validation.h. Any user who can create pods writes most of
// what stands in a review, so every byte of it is hostile. Source: k8s.io/api/admission.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/value.h"

namespace hami::webhook {

// Views live as long as the Document that they were read from.
struct Review {
  std::string_view api_version;  // "admission.k8s.io/v1", as the answer has to say too
  std::string_view uid;
  std::string_view operation;  // "CREATE", "UPDATE"
  std::string_view group;      // of the object's kind; empty: core
  std::string_view kind;       // "Pod", "Binding"
  std::string_view resource;   // "pods"
  std::string_view subresource;
  std::string_view name_space;
  std::string_view user;
  bool dry_run = false;
  json::Value object;
  json::Value old_object;
};

struct Answer {
  bool allowed = true;
  int code = 200;                          // HTTP status that the user's request ends with
  std::string message;                     // for the user; of a denial, what to write instead
  std::string patch = {};                  // JSON patch (RFC 6902) as text; empty: nothing changes
  std::vector<std::string> warnings = {};  // for the user, shown by kubectl
};

// A denial.
Answer Deny(int code, std::string message);

// Parses `body` into `document` and reads it. kInvalidArgument: no AdmissionReview of a version
// that we speak, or one without uid, to which no answer can be written.
Result<Review> ReadReview(std::string_view body, json::Document* document);

// The AdmissionReview that answers.
std::string WriteAnswer(const Review& review, const Answer& answer);

}  // namespace hami::webhook
