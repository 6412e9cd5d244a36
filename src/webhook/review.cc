// SPDX-License-Identifier: Apache-2.0

#include "webhook/review.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "base/json_writer.h"
#include "kube/base64.h"

namespace hami::webhook {
namespace {

// API servers cut warnings that are longer, all together at 4 KiB (k8s.io/apiserver warning.go).
constexpr size_t kMaxWarnings = 10;
constexpr size_t kMaxWarningBytes = 250;
// A denial may quote what the user wrote.
constexpr size_t kMaxMessageBytes = 2000;

// Of the first `size` bytes, what ends with a whole character.
std::string_view Cut(std::string_view text, size_t size) {
  if (text.size() <= size) return text;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  return text.substr(0, size);
}

// Warnings travel in an HTTP header.
std::string OneLine(std::string_view text) {
  std::string line(Cut(text, kMaxWarningBytes));
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  }
  return line;
}

std::string_view ReasonOf(int code) {
  switch (code) {
    case 400:
      return "BadRequest";
    case 403:
      return "Forbidden";
    case 422:
      return "Invalid";
    default:
      return "InternalError";
  }
}

}  // namespace

Answer Deny(int code, std::string message) {
  return {.allowed = false, .code = code, .message = std::move(message)};
}

Result<Review> ReadReview(std::string_view body, json::Document* document) {
  RETURN_IF_ERROR(document->Parse(body));
  const json::Value root = document->root();
  if (root["kind"].Text() != "AdmissionReview") {
    return Fail(Code::kInvalidArgument, "no AdmissionReview");
  }
  Review review;
  review.api_version = root["apiVersion"].Text();
  if (review.api_version != "admission.k8s.io/v1" &&
      review.api_version != "admission.k8s.io/v1beta1") {
    return Fail(Code::kInvalidArgument,
                fmt::format("apiVersion \"{}\" is neither admission.k8s.io/v1 nor v1beta1",
                            Cut(review.api_version, 64)));
  }
  const json::Value request = root["request"];
  review.uid = request["uid"].Text();
  if (review.uid.empty()) return Fail(Code::kInvalidArgument, "request.uid is missing");
  review.operation = request["operation"].Text();
  review.group = request["kind"]["group"].Text();
  review.kind = request["kind"]["kind"].Text();
  review.resource = request["resource"]["resource"].Text();
  review.subresource = request["subResource"].Text();
  review.name_space = request["namespace"].Text();
  review.user = request["userInfo"]["username"].Text();
  review.dry_run = request["dryRun"].Flag();
  review.object = request["object"];
  review.old_object = request["oldObject"];
  return review;
}

std::string WriteAnswer(const Review& review, const Answer& answer) {
  base::JsonWriter json;
  json.BeginObject();
  json.Member("kind", "AdmissionReview").Member("apiVersion", review.api_version);
  json.Key("response").BeginObject();
  json.Member("uid", review.uid).Member("allowed", answer.allowed);
  if (!answer.message.empty() || !answer.allowed) {
    json.Key("status").BeginObject();
    if (!answer.allowed) {
      json.Member("status", "Failure").Member("reason", ReasonOf(answer.code));
    }
    json.Member("message", Cut(answer.message, kMaxMessageBytes)).Member("code", answer.code);
    json.EndObject();
  }
  if (answer.allowed && !answer.patch.empty()) {
    json.Member("patchType", "JSONPatch").Member("patch", kube::EncodeBase64(answer.patch));
  }
  if (!answer.warnings.empty()) {
    json.Key("warnings").BeginArray();
    for (size_t i = 0; i < answer.warnings.size() && i < kMaxWarnings; ++i) {
      json.Value(OneLine(answer.warnings[i]));
    }
    json.EndArray();
  }
  return std::move(json.EndObject().EndObject()).Take();
}

}  // namespace hami::webhook
