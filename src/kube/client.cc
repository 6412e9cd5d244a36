// SPDX-License-Identifier: Apache-2.0

#include "kube/client.h"

#include <fmt/format.h>

#include <future>
#include <utility>

#include "base/check.h"
#include "kube/client_impl.h"
#include "kube/protobuf_object.h"

namespace hami::kube {
namespace {

// A list that expires so often in the middle is asked for in one piece.
constexpr int kPagedTries = 2;

constexpr char kAcceptJson[] = "application/json";

}  // namespace

Client::Client(ClusterConfig config, ClientOptions options)
    : impl_(std::make_shared<Impl>(std::move(config), std::move(options))) {}

Client::~Client() { impl_->Close(); }

Client::CallId Client::Start(ApiRequest request, Done done) {
  return impl_->Start(std::move(request), std::move(done));
}

Client::CallId Client::Stream(ApiRequest request, Data data, StreamDone done) {
  return impl_->Stream(std::move(request), std::move(data), std::move(done));
}

void Client::Cancel(CallId id) { impl_->Cancel(id); }

net::IoThread& Client::io_thread() { return impl_->thread(); }
const ClusterConfig& Client::config() const { return impl_->config(); }
ClientStats Client::stats() const { return impl_->stats(); }

Result<std::string> Client::Do(ApiRequest request) {
  CHECK(!impl_->thread().IsCurrent());
  auto answer = std::make_shared<std::promise<Result<std::string>>>();  // with the handler
  Start(std::move(request),
        [answer](Result<std::string> result) { answer->set_value(std::move(result)); });
  return answer->get_future().get();
}

Result<std::string> Client::Get(const ResourceType& type, const ObjectKey& key) {
  RETURN_IF_ERROR(CheckKey(key));
  return Do(GetRequest(type, key));
}

Result<std::string> Client::ListPages(const ResourceType& type, const ListOptions& options,
                                      std::string accept, const VisitEncoded& visit,
                                      const std::function<void()>& restart) {
  ListOptions now = options;
  std::string token;
  json::Document document;
  for (int tries = 0;;) {
    ApiRequest request = ListRequest(type, now, token);
    request.accept = accept;
    Result<std::string> text = Do(std::move(request));
    if (!text && RefusesForm(text.error()) && accept != kAcceptJson) {
      accept = kAcceptJson;
      continue;
    }
    if (!text && IsExpired(text.error()) && !token.empty() && now.page_size > 0) {
      if (++tries >= kPagedTries) now.page_size = 0;
      token.clear();
      restart();
      continue;
    }
    if (!text) return text;
    ASSIGN_OR_RETURN(PageFacts page, ReadListPage(&*text, &document, visit));
    token = std::move(page.continue_token);
    if (token.empty()) return std::move(page.resource_version);
  }
}

Result<std::string> Client::List(const ResourceType& type, const ListOptions& options,
                                 const Visit& visit, const std::function<void()>& restart) {
  return ListPages(
      type, options, kAcceptJson,
      [&visit](const EncodedObject& object) { return visit(object.json); }, restart);
}

Result<std::string> Client::ListEncoded(const ResourceType& type, const ListOptions& options,
                                        const VisitEncoded& visit,
                                        const std::function<void()>& restart) {
  return ListPages(type, options, kAcceptProtobuf, visit, restart);
}

Result<ObjectList> Client::List(const ResourceType& type, const ListOptions& options) {
  ObjectList list;
  ASSIGN_OR_RETURN(list.resource_version, List(
                                              type, options,
                                              [&list](json::Value item) -> Status {
                                                list.items.push_back(item.Json());
                                                return {};
                                              },
                                              [&list] { list.items.clear(); }));
  return list;
}

Result<std::string> Client::Create(const ResourceType& type, const std::string& name_space,
                                   std::string body) {
  return Do(CreateRequest(type, name_space, std::move(body)));
}

Result<std::string> Client::Update(const ResourceType& type, const ObjectKey& key,
                                   std::string body) {
  RETURN_IF_ERROR(CheckKey(key));
  return Do(UpdateRequest(type, key, std::move(body)));
}

Result<std::string> Client::UpdateStatus(const ResourceType& type, const ObjectKey& key,
                                         std::string body) {
  RETURN_IF_ERROR(CheckKey(key));
  return Do(Subresource(UpdateRequest(type, key, std::move(body)), "status"));
}

Result<std::string> Client::Patch(const ResourceType& type, const ObjectKey& key, PatchKind kind,
                                  std::string body) {
  RETURN_IF_ERROR(CheckKey(key));
  return Do(PatchRequest(type, key, kind, std::move(body)));
}

Status Client::Delete(const ResourceType& type, const ObjectKey& key,
                      const Preconditions& preconditions) {
  RETURN_IF_ERROR(CheckKey(key));
  if (const auto answer = Do(DeleteRequest(type, key, preconditions)); !answer) {
    return Fail(answer.error());
  }
  return {};
}

}  // namespace hami::kube
