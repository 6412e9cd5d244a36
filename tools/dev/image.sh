# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# image: make our image and those of the tests' tenants, and give them to the clusters that are up
#
# Usage: ./dev image [--no-import] [NAME ...]
#
#   NAME          default all:
#     hami             localhost/hami:dev, what ./dev build made; runs as user 65532
#     tenant-debian    a tenant with multiarch folders and ldconfig
#     tenant-rhel      a tenant with /usr/lib64 alone, as in RHEL's images
#     tenant-bare      a tenant without ldconfig, with an /etc/ld.so.preload of its own
#     tenant-musl      a tenant that the limits cannot reach: its loader would be musl's
#     pause            the first process of every pod
#   --no-import   only write them
#
# They are OCI archives in .cache/images, written without a container tool; the same content gives
# the same bytes. Clusters that come up later get them too. Pods need imagePullPolicy: Never.

verb_image() {
  setup_group cluster
  build_preset dev product tenant
  "$HAMI_PYTHON" tools/cluster/image.py "$@"
}
