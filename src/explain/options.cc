// SPDX-License-Identifier: Apache-2.0

#include "explain/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

#include "base/arguments.h"

namespace hami::explain {
namespace {

constexpr std::string_view kHelp =
    R"(usage: hami explain claim [options] [NAMESPACE/]NAME
       hami explain pod [options] [NAMESPACE/]NAME

Says why a ResourceClaim is as it is: what it holds, or what it waits for, what
the nearest device lacks, who holds that, and what to do. Of a pod: the same for
each of its claims; and if it asks for devices as resources, which nodes have no
room for it, card by card, the nearest first.

  -n, --namespace NS   default: the namespace of the kubeconfig's context
  --kubeconfig FILE    default: $KUBECONFIG, a pod's own account, ~/.kube/config
  --context NAME       of the kubeconfig; default: its current one
  --json               for programs; docs/reference/explain.md lists the keys
  -h, --help

It reads the API server with your own rights and changes nothing. What you may
not read is said, and the rest is explained without it. For everything it wants
to get and list: resourceclaims, resourceclaimtemplates, resourceslices,
deviceclasses, pods, events; nodes of a pod that asks for devices, nodes and
daemonsets where no device is published.

examples:
  hami explain claim train-gpu
  hami explain claim team-a/train-gpu --json
  hami explain pod train-0 -n team-a

exit codes:
  0  explained, also if the claim waits
  1  no such claim or pod; no answer from the API server
  2  wrong usage
)";

// A whole word of a name is checked by the client; here only where it is split.
Status SplitName(Options* options) {
  const size_t slash = options->name.find('/');
  if (slash == std::string::npos) return {};
  const std::string name_space = options->name.substr(0, slash);
  options->name.erase(0, slash + 1);
  if (name_space.empty() || options->name.empty() || options->name.find('/') != std::string::npos) {
    return Fail(Code::kInvalidArgument, "a name is NAME or NAMESPACE/NAME");
  }
  if (!options->name_space.empty() && options->name_space != name_space) {
    return Fail(Code::kInvalidArgument,
                fmt::format("--namespace {} and {}/{}: which of them?", options->name_space,
                            name_space, options->name));
  }
  options->name_space = name_space;
  return {};
}

}  // namespace

std::string_view Help() { return kHelp; }

Result<Options> ParseOptions(const std::vector<std::string>& arguments) {
  Options options;
  std::vector<std::string> words;
  CLI::App app;
  try {
    app.set_help_flag();
    app.add_flag("-h,--help", options.help);
    app.add_flag("--json", options.json);
    app.add_option("-n,--namespace", options.name_space);
    app.add_option("--kubeconfig", options.kubeconfig);
    app.add_option("--context", options.context);
    app.add_option("words", words);
    app.parse(base::ReverseArguments(arguments));
  } catch (const CLI::Error& error) {
    return Fail(Code::kInvalidArgument, error.what());
  }
  if (options.help) return options;
  if (words.empty()) return Fail(Code::kInvalidArgument, "explain what? A claim or a pod");
  if (words[0] != "claim" && words[0] != "pod") {
    return Fail(Code::kInvalidArgument,
                fmt::format("\"{}\" cannot be explained, only claim NAME and pod NAME", words[0]));
  }
  options.pod = words[0] == "pod";
  if (words.size() != 2) {
    return Fail(Code::kInvalidArgument, fmt::format("hami explain {} takes one name", words[0]));
  }
  options.name = words[1];
  RETURN_IF_ERROR(SplitName(&options));
  return options;
}

}  // namespace hami::explain
