# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# cluster: a real Kubernetes here, in namespaces of its own, with simulated GPUs
#
# Usage: ./dev cluster up       [--version V] [--name NAME] [--gpu PROFILE[:N]] [--node NODE]
#                               [--without-cdi] [--feature-gate NAME=BOOL]...
#                               [--nodes N] [--kubelets K] [--hami-nodes H] [--run-pods]
#                               [--node-gpus COUNT[:MIB[:MODEL]]] [--node-list FILE] [--replicas R]
#                               [--scheduler-flag FLAG]... [--proxy PROGRAM] [--audit]
#        ./dev cluster down     [--version V] [--name NAME] [--all]
#        ./dev cluster status   [--name NAME]
#        ./dev cluster kubectl  [--name NAME] ARGUMENT...
#        ./dev cluster exec     [--name NAME] [-- COMMAND...]
#        ./dev cluster logs     [--name NAME] [-f] [COMPONENT]
#        ./dev cluster restart  [--name NAME] COMPONENT
#        ./dev cluster kill     [--name NAME] COMPONENT
#        ./dev cluster load     [--name NAME]
#        ./dev cluster build    [--version V]
#
#   --version V     1.36 (default), 1.35 or 1.34
#   --name NAME     default: the version. Clusters of several names stand side by side
#   --gpu P:N       N simulated GPUs of a profile (build/bin/hami sim profiles), behind a driver
#                   root at /run/nvidia/driver; default a10-550:1; none for a node without
#   --node NODE     the node's name, default ecs-a10-sh
#   --without-cdi   containerd ignores CDI, as old nodes do
#   --feature-gate  for API server, controller manager, scheduler and kubelet; 1.34 and 1.35 have
#                   DRAConsumableCapacity and DRAPartitionableDevices on already
#   --nodes N       default K. What has no kubelet is an API object that one program keeps ready
#   --kubelets K    1 (default), or up to 16: real nodes, each with its own containerd, network and
#                   GPUs. The second is called NODE-2, and exec, logs, restart and kill take it by
#                   --name NAME.node2. 0: a control plane alone, with API objects for nodes
#   --hami-nodes H  so many of the API objects have HAMi's device plugin, the others ours
#   --node-gpus     what each API object has; default 8 A100 of 81920 MiB
#   --node-list FILE  the API objects, in place of --nodes alike: what `kubectl get nodes -o json`
#                   prints, of another cluster for example
#   --run-pods      pods on API objects become Running; annotation cluster.hami.io/run-seconds says
#                   after how many seconds they succeed
#   --replicas R    R times hami-scheduler and a kube-scheduler of its own, by deploy/classic
#   --scheduler-flag  one more flag for each hami-scheduler
#   --proxy PROGRAM a built tests/fakes/api_proxy between each replica and the API server
#   --audit         the API server writes each write to /var/lib/hami-cluster/NAME/log/audit
#
# `up` builds what is missing (the first time 7 minutes on 2 cores, 4 more for each older version),
# then takes seconds. It imports the images that ./dev image made. `exec` runs a program of this
# machine on the node: it sees the cluster's network, processes, /run, /var/lib and /etc, and has
# KUBECONFIG set; without a command it is a shell. Nothing else reaches the API server. An option
# --help of a program stands behind `--`. `restart` starts a program such as kubelet again, `kill`
# ends one without a warning, `load` imports the images again. `down` leaves nothing behind,
# whatever state it finds.
#
# Needs root. State: /var/lib/hami-cluster/NAME. How it works: tools/cluster/README.md.

build_cluster_programs() {  # build_cluster_programs OPTION...: what `up` with these options needs
  local name names
  names=$("$HAMI_PYTHON" tools/cluster/cluster.py needs "$@") || return
  for name in $names; do
    if [ -n "$("$HAMI_PYTHON" tools/cluster/build_go.py --missing "$name")" ]; then
      run_step "build-$name" "build $name" \
        nice "$HAMI_PYTHON" tools/cluster/build_go.py --jobs "$(job_count)" "$name" || return
    fi
  done
}

verb_cluster() {
  case ${1:-} in
    up | build)
      ((EUID == 0)) || die "cluster: needs root: it makes namespaces, mounts and cgroups"
      setup_group cluster
      build_cluster_programs "${@:2}"
      [ "$1" = build ] && return
      # Where there is no GPU, nothing of ours is needed.
      if [[ " $* " == *" --replicas"* ]] ||
        ! [[ " $* " == *" --gpu none "* || " $* " == *" --gpu=none "* ]]; then
        build_preset dev product
      fi
      ;;
    down | status | kubectl | exec | logs | restart | kill | load) ;;
    *) die "cluster: wants up, down, status, kubectl, exec, logs, restart, kill, load or build" 2 ;;
  esac
  # What is run inside starts where the caller stands.
  local root=$PWD
  cd "$HAMI_CALLER_DIR" || return
  exec "$HAMI_PYTHON" "$root/tools/cluster/cluster.py" "$@"
}
