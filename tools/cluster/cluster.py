#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`./dev cluster`: a real Kubernetes on this machine, beside which nothing is touched.

Help for people stands in tools/dev/cluster.sh; the parts are listed in README.md.
"""

import argparse
import os
import pathlib
import re
import sys

import api_nodes
import cluster_folder
import components
import go_modules
import images
import lifecycle
import namespaces
import network
import simulated_gpu
from cluster_folder import ClusterFolder, Settings

COMMAND_VERBS = ("kubectl", "exec")
NODE = "ecs-a10-sh"  # as in the published guide of HAMi's DRA driver


def parse_gate(text: str) -> tuple[str, bool]:
  match = re.fullmatch(r"([A-Za-z0-9]+)=(true|false)", text)
  if not match:
    raise argparse.ArgumentTypeError(f"'{text}' is not NAME=true or NAME=false")
  return match[1], match[2] == "true"


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
  shared = argparse.ArgumentParser(add_help=False)
  shared.add_argument("--version", choices=sorted(go_modules.KUBERNETES_VERSIONS),
                      default=go_modules.NEWEST)
  shared.add_argument("--name", help="default: the version")
  parser = argparse.ArgumentParser(prog="./dev cluster", description=__doc__.splitlines()[0])
  verbs = parser.add_subparsers(dest="verb", required=True)
  # `needs` says what has to be built for an `up` with the same options.
  for verb in ("up", "needs"):
    up = verbs.add_parser(verb, parents=[shared])
    up.add_argument("--gpu", default=simulated_gpu.DEFAULT, metavar="PROFILE[:N]")
    up.add_argument("--node", default=NODE)
    up.add_argument("--without-cdi", action="store_true")
    up.add_argument("--feature-gate", type=parse_gate, action="append", default=[],
                    metavar="NAME=BOOL")
    up.add_argument("--nodes", type=int)
    up.add_argument("--kubelets", type=int, choices=range(network.MOST_NODES + 1), default=1,
                    metavar="K")
    up.add_argument("--hami-nodes", type=int, default=0)
    up.add_argument("--node-gpus", default="8", metavar="COUNT[:MIB[:MODEL]]")
    up.add_argument("--node-list", default="", metavar="FILE")
    up.add_argument("--run-pods", action="store_true")
    up.add_argument("--replicas", type=int, default=0)
    up.add_argument("--scheduler-flag", action="append", default=[], metavar="FLAG")
    up.add_argument("--proxy", default="", metavar="PROGRAM")
    up.add_argument("--audit", action="store_true")
  down = verbs.add_parser("down", parents=[shared])
  down.add_argument("--all", action="store_true")
  verbs.add_parser("status", parents=[shared])
  verbs.add_parser("load", parents=[shared])
  for verb in ("restart", "kill"):
    verbs.add_parser(verb, parents=[shared]).add_argument("component")
  logs = verbs.add_parser("logs", parents=[shared])
  logs.add_argument("-f", "--follow", action="store_true")
  logs.add_argument("component", nargs="?")
  for verb in COMMAND_VERBS:
    verbs.add_parser(verb, parents=[shared])
  # What follows our own options belongs to the command, options too.
  command: list[str] = []
  if arguments[:1] and arguments[0] in COMMAND_VERBS:
    end = 1
    while end < len(arguments) and re.match(r"--(name|version)(=|$)", arguments[end]):
      end += 1 if "=" in arguments[end] else 2
    arguments, command = arguments[:end], arguments[end:]
  args = parser.parse_args(arguments)
  args.command = command[1:] if command[:1] == ["--"] else command
  return args


def count_list(args: argparse.Namespace) -> int:
  """How many nodes --node-list has; it says what the API objects are, so nothing else may."""
  if args.nodes is not None or args.hami_nodes:
    sys.exit("cluster: --node-list says how many nodes there are and what they have: neither "
             "--nodes nor --hami-nodes beside it")
  try:
    return len(api_nodes.read_list(pathlib.Path(args.node_list)))
  except (OSError, ValueError) as problem:
    sys.exit(f"cluster: {args.node_list}: {problem}")


def run_up(folder: ClusterFolder, args: argparse.Namespace) -> int:
  simulated_gpu.parse(args.gpu)
  api_nodes.Gpus.parse(args.node_gpus)
  if args.node_list:
    args.nodes = count_list(args) + args.kubelets
  elif args.nodes is None:
    args.nodes = max(1, args.kubelets)
  if args.nodes < max(1, args.kubelets) or args.hami_nodes > args.nodes - args.kubelets:
    sys.exit("cluster: --nodes counts them all: those with a kubelet, and API objects, of which "
             "--hami-nodes have HAMi's device plugin")
  settings = Settings(version=args.version, node=args.node, gpu=args.gpu,
                      cdi=not args.without_cdi, feature_gates=dict(args.feature_gate),
                      nodes=args.nodes, kubelets=args.kubelets, hami_nodes=args.hami_nodes,
                      node_gpus=args.node_gpus,
                      node_list=args.node_list and os.path.abspath(args.node_list),
                      run_pods=args.run_pods, replicas=args.replicas,
                      scheduler_flags=args.scheduler_flag,
                      proxy=args.proxy and os.path.abspath(args.proxy), audit=args.audit)
  if lifecycle.up(folder, settings):
    what = f"node {args.node}" if settings.nodes == settings.kubelets == 1 else \
        f"{args.nodes} nodes"
    print(f"cluster '{folder.name}': Kubernetes {args.version}, {what}")
  else:
    found = folder.read_settings()
    print(f"cluster '{folder.name}' is up already: Kubernetes {found.version}, node {found.node}")
    if found != settings:
      print("cluster: it is not as asked for now; take it down first, or give another --name",
            file=sys.stderr)
      return 1
  option = "" if folder.name == go_modules.NEWEST else f" --name {folder.name}"
  print(f"  kubectl:     ./dev cluster kubectl{option} get pods -A")
  print(f"  any program: ./dev cluster exec{option} -- COMMAND")
  print(f"  kubeconfig:  {folder.kubeconfig} (its address exists only inside)")
  return 0


def run_status(args: argparse.Namespace) -> int:
  """Exit code 0 if the named one, or without a name any, is up."""
  folders = [ClusterFolder(args.name)] if args.name else cluster_folder.list_folders()
  any_up = False
  for folder in folders:
    if not folder.exists():
      print(f"{folder.name}: down")
      continue
    is_up = lifecycle.is_up(folder)
    any_up |= is_up
    try:
      settings = folder.read_settings()
      what = f"Kubernetes {settings.version}, node {settings.node}, GPU {settings.gpu}" + \
          ("" if settings.cdi else ", without CDI")
    except FileNotFoundError:
      what = "no settings"
    print(f"{folder.name}: {'up' if is_up else 'broken or starting'}: {what}")
    for name in folder.components():
      process = folder.read_process(name)
      running = process is not None and process.is_running()
      print(f"  {name:24} {'process ' + str(process.pid) if running else 'has ended'}")
  if not folders:
    print("no cluster is up")
  return 0 if any_up else 1


def run_logs(folder: ClusterFolder, args: argparse.Namespace) -> int:
  logs = sorted(path.stem for path in (folder / "log").glob("*.log"))
  if args.component not in logs:
    if args.component:
      print(f"cluster: no log of '{args.component}'", file=sys.stderr)
    print("logs: " + " ".join(logs) if logs else f"cluster '{folder.name}' has no logs")
    return 2 if args.component else 0
  path = str(folder.log(args.component))
  os.execvp("tail", ["tail", "-n", "+1", *(["-F"] if args.follow else []), path])


def run_inside(folder: ClusterFolder, verb: str, command: list[str]) -> int:
  environment = {**os.environ, "KUBECONFIG": str(folder.kubeconfig)}
  if verb == "kubectl":
    command = [components.kubectl(), *command]
  elif not command:
    command = [os.environ.get("SHELL", "/bin/bash")]
  # Our kubectl and ctr come first; a kubectl of the host's may be of any version.
  environment["PATH"] = components.search_path() + ":" + os.environ.get("PATH", "")
  return namespaces.run(folder, command, environment)


def main() -> int:
  args = parse_arguments(sys.argv[1:])
  if args.verb == "needs":
    print("\n".join(lifecycle.missing_builds(args.version)))
    return 0
  if os.geteuid() != 0:
    sys.exit("cluster: needs root: it makes namespaces, mounts and cgroups")
  if args.verb == "status":
    return run_status(args)
  if args.verb == "down" and args.all:
    for folder in cluster_folder.list_folders():
      lifecycle.down(folder)
      print(f"cluster '{folder.name}' is down")
    return 0
  folder = ClusterFolder(args.name or args.version)
  if args.verb == "up":
    return run_up(folder, args)
  if args.verb == "down":
    was = lifecycle.down(folder)
    print(f"cluster '{folder.name}' is down" if was else f"cluster '{folder.name}' is not up")
    return 0
  if args.verb == "load":
    namespaces.must_have_init(folder)
    for node in [folder, *folder.workers()]:
      images.import_into(node, images.archives())
    print(f"cluster '{folder.name}' has {len(images.archives())} images as they are now")
    return 0
  if args.verb == "restart":
    lifecycle.restart(folder, args.component)
    print(f"{args.component} of cluster '{folder.name}' was restarted")
    return 0
  if args.verb == "kill":
    lifecycle.kill(folder, args.component)
    print(f"{args.component} of cluster '{folder.name}' was killed")
    return 0
  if args.verb == "logs":
    return run_logs(folder, args)
  return run_inside(folder, args.verb, args.command)


if __name__ == "__main__":
  sys.exit(main())
