// SPDX-License-Identifier: Apache-2.0

#include "extender/binder.h"

#include <utility>

#include "base/json_writer.h"
#include "domain/names.h"
#include "domain/pod.h"
#include "json/value.h"
#include "kube/request.h"

namespace hami::extender {
namespace {

// For the question what became of a bind that got no answer.
constexpr int64_t kAskTimeoutMs = 3'000;

// Whether the server did something may be in doubt.
bool IsDoubtful(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
    case Code::kPermissionDenied:
    case Code::kUnauthenticated:
    case Code::kResourceExhausted:
    case Code::kUnimplemented:
      return false;
    default:
      return true;
  }
}

}  // namespace

std::string BindingBody(const Reservation& reservation) {
  base::JsonWriter json;
  json.BeginObject().Member("apiVersion", "v1").Member("kind", "Binding");
  json.Key("metadata").BeginObject();
  json.Member("name", reservation.pod.name);
  json.Member("namespace", reservation.pod.name_space);
  json.Member("uid", reservation.uid);
  if (!reservation.annotations.empty()) {
    json.Key("annotations").BeginObject();
    for (const auto& [key, value] : reservation.annotations) json.Member(key, value);
    json.EndObject();
  }
  json.EndObject();
  json.Key("target").BeginObject();
  json.Member("apiVersion", "v1").Member("kind", "Node");
  json.Member("name", reservation.facts.node);
  json.EndObject().EndObject();
  return std::move(json).Take();
}

BindAnswer Binder::Bind(const Reservation& reservation, int64_t timeout_ms) {
  if (const Status key = kube::CheckKey(reservation.pod); !key) {
    return {BindOutcome::kRefused, key.error().message};
  }
  kube::ApiRequest request =
      kube::CreateRequest(kube::kPods, reservation.pod.name_space, BindingBody(reservation));
  request.path += "/" + reservation.pod.name + "/binding";
  request.timeout_ms = timeout_ms;
  const Result<std::string> answer = client_.Do(std::move(request));
  if (answer) return {};
  const Error& error = answer.error();
  if (error.code == Code::kNotFound) return {BindOutcome::kGone, error.message};
  if (!IsDoubtful(error.code)) return {BindOutcome::kRefused, error.message};
  return AskWhatBecame(reservation, error);
}

// The answer may have been lost, or ours may be the write that a conflict is with.
BindAnswer Binder::AskWhatBecame(const Reservation& reservation, const Error& error) {
  kube::ApiRequest get = kube::GetRequest(kube::kPods, reservation.pod);
  get.timeout_ms = kAskTimeoutMs;
  const Result<std::string> text = client_.Do(std::move(get));
  if (!text) {
    if (text.error().code == Code::kNotFound) return {BindOutcome::kGone, error.message};
    return {BindOutcome::kUncertain, error.message + "; and then " + text.error().message};
  }
  json::Document document;
  if (!document.Parse(*text)) return {BindOutcome::kUncertain, error.message};
  const json::Value pod = document.root();
  if (pod["metadata"]["uid"].Text() != reservation.uid) return {BindOutcome::kGone, error.message};
  const std::string_view node = pod["spec"]["nodeName"].Text();
  if (node.empty()) {
    // A conflict is an answer; after anything else the write may still be on its way.
    return {error.code == Code::kAborted ? BindOutcome::kRefused : BindOutcome::kUncertain,
            error.message};
  }
  const std::string_view allocation = pod["metadata"]["annotations"][domain::kAllocation].Text();
  if (node == reservation.facts.node && allocation == reservation.allocation_id) return {};
  return {BindOutcome::kRefused, "the pod is on node " + std::string(node) + " already"};
}

}  // namespace hami::extender
