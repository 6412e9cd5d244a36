// SPDX-License-Identifier: Apache-2.0
//
// Where the API server is, whom to trust and who we are. Loading reads the configuration, not the
// secrets it points to: files of tokens and certificates are read when they are needed, and again
// when they change (credentials.h).
//
// Refused, because it would be done unawares: certificates that are not verified, unless the
// kubeconfig says insecure-skip-tls-verify; http:// to anything but this machine.

#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace hami::kube {

// PEM in place or in a file; both empty: none.
struct PemSource {
  std::string text;
  std::string file;

  bool empty() const { return text.empty() && file.empty(); }
};

// A program that prints credentials (client.authentication.k8s.io), as cloud providers have them.
struct ExecPlugin {
  std::string command;  // empty: none
  std::vector<std::string> arguments;
  std::vector<std::pair<std::string, std::string>> environment;
  std::string api_version;
  std::string install_hint;
};

struct ClusterConfig {
  std::string server;  // "https://10.96.0.1:443", without a slash at the end
  PemSource ca;        // empty: the system's
  std::string tls_server_name;
  bool insecure = false;
  std::string proxy_url;

  PemSource certificate;
  PemSource key;
  std::string token;
  std::string token_file;  // wins over `token`
  ExecPlugin exec;
  std::string impersonate_user;
  std::vector<std::string> impersonate_groups;

  std::string name_space = "default";
  std::string origin;  // for people: "kubeconfig /root/.kube/config, context admin"
};

// `paths` as in KUBECONFIG: what comes first wins, files that do not exist are passed over.
// kNotFound: none of them exists. kInvalidArgument names file and field. An empty context is the
// files' current one.
Result<ClusterConfig> LoadKubeconfig(const std::vector<std::string>& paths,
                                     const std::string& context = {});

// Of a pod: KUBERNETES_SERVICE_HOST and _PORT, and what the service account's folder has.
// kNotFound: this is no pod.
Result<ClusterConfig> LoadInCluster(
    const std::string& folder = "/var/run/secrets/kubernetes.io/serviceaccount");

// What a program with `--kubeconfig` and `--context` means: the file it names, else KUBECONFIG,
// else the pod's own account, else ~/.kube/config.
Result<ClusterConfig> LoadConfig(const std::string& kubeconfig_flag = {},
                                 const std::string& context = {});

}  // namespace hami::kube
