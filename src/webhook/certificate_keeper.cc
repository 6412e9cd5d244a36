// SPDX-License-Identifier: Apache-2.0

#include "webhook/certificate_keeper.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "base/json_writer.h"
#include "base/log.h"
#include "base/periodic.h"
#include "json/value.h"
#include "kube/base64.h"
#include "webhook/json_patch.h"

namespace hami::webhook {
namespace {

const kube::ResourceType kSecrets{"", "v1", "secrets"};
const kube::ResourceType kMutating{"admissionregistration.k8s.io", "v1",
                                   "mutatingwebhookconfigurations"};
const kube::ResourceType kValidating{"admissionregistration.k8s.io", "v1",
                                     "validatingwebhookconfigurations"};

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kRequestMs = 10'000;
constexpr int64_t kRetryMs = 2'000;
// Each round in which another replica was faster reads what that one stored.
constexpr int kTries = 5;

struct Secret {
  std::string resource_version;  // empty: there is none
  StoredCertificates stored;
};

Result<Secret> ReadSecret(const std::string& text) {
  json::Document document;
  RETURN_IF_ERROR(document.Parse(text));
  std::map<std::string, std::string> data;
  for (const auto [key, value] : document.root()["data"].Members()) {
    data.emplace(key, kube::DecodeBase64(value.Text()).value_or(""));
  }
  return Secret{std::string(document.root()["metadata"]["resourceVersion"].Text()),
                FromSecretData(data)};
}

// A new object, or a merge patch that holds only if nobody was faster.
std::string WriteSecret(const kube::ObjectKey& key, const Secret& before,
                        const StoredCertificates& after) {
  base::JsonWriter json;
  json.BeginObject().Member("apiVersion", "v1").Member("kind", "Secret");
  json.Key("metadata").BeginObject().Member("name", key.name).Member("namespace", key.name_space);
  if (!before.resource_version.empty()) json.Member("resourceVersion", before.resource_version);
  json.EndObject().Key("data").BeginObject();
  for (const auto& [name, value] : ToSecretData(after)) {
    json.Member(name, kube::EncodeBase64(value));
  }
  return std::move(json.EndObject().EndObject()).Take();
}

kube::ApiRequest Short(kube::ApiRequest request) {
  request.timeout_ms = kRequestMs;
  return request;
}

// The patch that gives every webhook of a configuration this bundle; "" if they have it. The names
// are tested, so that what changed in between is not hit.
std::string BundlePatch(const json::Value& configuration, const std::string& bundle) {
  JsonPatch patch;
  size_t index = 0;
  for (const json::Value webhook : configuration["webhooks"].Elements()) {
    const std::string place = fmt::format("/webhooks/{}", index++);
    if (webhook["clientConfig"]["caBundle"].Text() == bundle) continue;
    patch.Test(place + "/name", webhook["name"].Json());
    patch.AddText(place + "/clientConfig/caBundle", bundle);
  }
  return std::move(patch).Take();
}

}  // namespace

class CertificateKeeper::Impl {
 public:
  Impl(KeeperOptions options, kube::Client& client, net::ServerTls& tls, const base::Clock& clock)
      : options_(std::move(options)),
        key_{options_.secret_namespace, options_.secret_name},
        client_(client),
        tls_(tls),
        clock_(clock),
        thread_([this] { return Round(); }) {}

  KeeperStats stats() const { return {failures_, made_, loaded_}; }

  std::string problem() const {
    const std::lock_guard lock(mutex_);
    return problem_;
  }

 private:
  int64_t NowS() const { return clock_.WallNs() / kSecondNs; }

  int64_t Round() {
    const Status done = Work();
    {
      const std::lock_guard lock(mutex_);
      problem_ = done ? "" : done.error().message;
    }
    if (done) return options_.poll_ms;
    ++failures_;
    LOG_WARN_EVERY(30'000, "the webhook's certificate could not be kept",
                   Field("error", done.error()));
    return std::min(options_.poll_ms, kRetryMs);
  }

  Status Work() {
    ASSIGN_OR_RETURN(const StoredCertificates stored, Agree());
    RETURN_IF_ERROR(Serve(stored));
    const Status trusted = Trust(stored.authorities);
    if (!trusted) {
      trusted_since_s_.reset();
      return trusted;
    }
    if (trusted_ != stored.authorities || !trusted_since_s_) trusted_since_s_ = NowS();
    trusted_ = stored.authorities;
    return {};
  }

  // What is stored, after what had to be done with it. Of several replicas that do it at once one
  // wins, and the others take what it stored.
  Result<StoredCertificates> Agree() {
    for (int i = 0; i < kTries; ++i) {
      ASSIGN_OR_RETURN(const Secret secret, Read());
      const int64_t now_s = NowS();
      const bool is_known = trusted_ == secret.stored.authorities;
      const CertificateStep step = NextStep(secret.stored, options_.host_names, options_.times,
                                            now_s, is_known ? trusted_since_s_ : std::nullopt);
      if (step == CertificateStep::kNone) return secret.stored;
      Identity made;
      if (step != CertificateStep::kPromote) {
        ASSIGN_OR_RETURN(made, MakeIdentity(options_.host_names, now_s, options_.times.valid_s));
      }
      const StoredCertificates after = After(step, secret.stored, made, now_s);
      const Status written = Write(secret, after);
      if (written) {
        if (step != CertificateStep::kPromote) ++made_;
        LOG_INFO(step == CertificateStep::kPromote ? "the next serving certificate is in use"
                                                   : "made a serving certificate",
                 Field("secret", key_.Text()));
        return after;
      }
      const Code code = written.error().code;
      if (code != Code::kAborted && code != Code::kAlreadyExists && code != Code::kNotFound) {
        return Fail(Error(written.error()).Wrap("store the certificate"));
      }
    }
    return Fail(Code::kAborted, "the secret " + key_.Text() + " changes all the time");
  }

  Result<Secret> Read() {
    const Result<std::string> text = client_.Do(Short(kube::GetRequest(kSecrets, key_)));
    if (text) return ReadSecret(*text);
    if (text.error().code == Code::kNotFound) return Secret{};
    return Fail(Error(text.error()).Wrap("read the secret " + key_.Text()));
  }

  Status Write(const Secret& before, const StoredCertificates& after) {
    std::string body = WriteSecret(key_, before, after);
    const Result<std::string> written =
        before.resource_version.empty()
            ? client_.Do(Short(kube::CreateRequest(kSecrets, key_.name_space, std::move(body))))
            : client_.Do(Short(
                  kube::PatchRequest(kSecrets, key_, kube::PatchKind::kMerge, std::move(body))));
    if (!written) return Fail(written.error());
    return {};
  }

  Status Serve(const StoredCertificates& stored) {
    if (stored.certificate == served_) return {};
    RETURN_IF_ERROR(tls_.Set(stored.certificate, stored.key));
    served_ = stored.certificate;
    ++loaded_;
    LOG_INFO("serving the certificate of a secret", Field("secret", key_.Text()),
             Field("expires_at", tls_.ExpiresAtS().value_or(0)));
    return {};
  }

  // The first failure, after all were tried.
  Status Trust(const std::string& authorities) {
    const std::string bundle = kube::EncodeBase64(authorities);
    Status result;
    for (const auto& [type, names] : {std::pair{&kMutating, &options_.mutating_configurations},
                                      {&kValidating, &options_.validating_configurations}}) {
      for (const std::string& name : *names) {
        const Status trusted = TrustIn(*type, name, bundle);
        if (!trusted && result) {
          result = Fail(Error(trusted.error()).Wrap("set caBundle of " + name));
        }
      }
    }
    return result;
  }

  Status TrustIn(const kube::ResourceType& type, const std::string& name,
                 const std::string& bundle) {
    ASSIGN_OR_RETURN(const std::string text, client_.Do(Short(kube::GetRequest(type, {"", name}))));
    json::Document document;
    RETURN_IF_ERROR(document.Parse(text));
    std::string patch = BundlePatch(document.root(), bundle);
    if (patch.empty()) return {};
    const Result<std::string> patched = client_.Do(
        Short(kube::PatchRequest(type, {"", name}, kube::PatchKind::kJson, std::move(patch))));
    if (!patched) return Fail(patched.error());
    LOG_INFO("a webhook configuration has our authorities", Field("name", name));
    return {};
  }

  const KeeperOptions options_;
  const kube::ObjectKey key_;
  kube::Client& client_;
  net::ServerTls& tls_;
  const base::Clock& clock_;
  // Of the thread alone.
  std::string served_;
  std::string trusted_;
  std::optional<int64_t> trusted_since_s_;

  std::atomic<uint64_t> failures_{0};
  std::atomic<uint64_t> made_{0};
  std::atomic<uint64_t> loaded_{0};
  mutable std::mutex mutex_;
  std::string problem_;
  base::Periodic thread_;  // last: it uses the others
};

CertificateKeeper::CertificateKeeper(KeeperOptions options, kube::Client& client,
                                     net::ServerTls& tls, const base::Clock& clock)
    : impl_(std::make_unique<Impl>(std::move(options), client, tls, clock)) {}
CertificateKeeper::~CertificateKeeper() = default;

KeeperStats CertificateKeeper::stats() const { return impl_->stats(); }
std::string CertificateKeeper::problem() const { return impl_->problem(); }

}  // namespace hami::webhook
