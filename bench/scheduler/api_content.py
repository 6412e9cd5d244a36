# SPDX-License-Identifier: Apache-2.0
"""Nodes of eight GPUs, and pods on them, in an API server of its own."""

import http.client
import json
import ssl
import urllib.parse

import cluster_load
from cluster_load import NAMESPACE
from store import Copies, Store

import api_nodes

POD_KEY = f"/registry/pods/{NAMESPACE}/"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"


class ApiContent:
  """`server`: tests/cluster/api_server.ApiServer, with nothing in it yet."""

  def __init__(self, server, caller):
    self.server = server
    self._caller = caller
    self._store = Store(server.etcd)
    self._placed = None
    for path, name in (("/api/v1/namespaces", NAMESPACE),
                       # No controller makes it here, and without it pods are refused.
                       (f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", "default")):
      self.create(path, [{"metadata": {"name": name}}], callers=1)

  def tls(self):
    pki = self.server.pki
    return ["--tls", "--ca", pki / "ca.crt", "--cert", pki / "admin.crt", "--key",
            pki / "admin.key"]

  def create(self, path, bodies, callers=4):
    address = urllib.parse.urlsplit(self.server.url).netloc
    return self._caller.post(address, path, bodies, callers=callers, tls=self.tls())

  def connection(self):
    pki = self.server.pki
    context = ssl.create_default_context(cafile=pki / "ca.crt")
    context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
    return http.client.HTTPSConnection(urllib.parse.urlsplit(self.server.url).netloc,
                                       context=context, timeout=120)

  def call(self, method, path, body=None, kind="application/json"):
    connection = self.connection()
    connection.request(method, path, json.dumps(body) if body is not None else None,
                       {"Content-Type": kind})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status >= 300:
      raise SystemExit(f"bench scheduler: {method} {path}: {answer.status} {text[:400]!r}")
    return json.loads(text)

  def raw(self, path):
    """A GET of a list, decoded, in pages."""
    connection = self.connection()
    items, more = [], ""
    while True:
      connection.request("GET", path + f"?limit=2000&continue={urllib.parse.quote(more)}")
      page = json.loads(connection.getresponse().read())
      items += page["items"]
      more = page["metadata"].get("continue", "")
      if not more:
        return items

  # What is made.

  def make_nodes(self, count):
    names = api_nodes.names(count)
    first = self.call("POST", "/api/v1/nodes", api_nodes.node_body(names[0], cluster_load.GPUS))
    # Admission says that it is not ready; nobody here would take that back.
    self.call("PATCH", f"/api/v1/nodes/{names[0]}", {"spec": {"taints": None}},
              "application/merge-patch+json")
    copies = Copies(self._store, f"/registry/minions/{names[0]}", first["metadata"]["uid"])
    # The cards' ids have the node's number in them.
    prefix = api_nodes.uuid(names[0], 0)[:13]
    self._store.write(copies.make({names[0]: name, prefix: api_nodes.uuid(name, 0)[:13]})
                      for name in names[1:])
    self._settle(f"/api/v1/nodes/{names[-1]}")

  def place(self, first, where):
    """Pods on nodes, numbered from `first` on. `where`: (node, card), card None for none."""
    if not where:
      return
    if self._placed is None:
      self._placed = self._templates()
    with_device, without = self._placed

    def changed():
      for index, (node, card) in enumerate(where, first):
        number = f"{index:06}"
        if card is None:
          yield without.make({"plain-000000": f"plain-{number}", "node-00000": node})
        else:
          yield with_device.make({
              "placed-000000": f"placed-{number}", "node-00000": node,
              f"v1,{0:016x}": f"v1,{index + 1:016x}",
              api_nodes.uuid("node-00000", 0): api_nodes.uuid(node, card)})

    self._store.write(changed())
    last = len(where) + first - 1
    self._settle(f"{PODS}/{'plain' if where[-1][1] is None else 'placed'}-{last:06}")

  def fill_nodes(self, nodes):
    """One pod on each that holds all of all its cards."""
    made = self.call("POST", PODS, cluster_load.whole_node_pod("whole-000000", "node-00000"))
    name = made["metadata"]["name"]
    copies = Copies(self._store, POD_KEY + name, made["metadata"]["uid"])
    self.remove([name])
    prefix = api_nodes.uuid("node-00000", 0)[:13]
    self._store.write(copies.make({
        "whole-000000": f"whole-{index:06}", "node-00000": node,
        prefix: api_nodes.uuid(node, 0)[:13]}) for index, node in enumerate(nodes))
    self._settle(f"{PODS}/whole-{len(nodes) - 1:06}")

  def _templates(self):
    """Their originals stay in nobody's way: they are removed."""
    found = []
    plain = cluster_load.pod("plain-000000", {}, node="node-00000")
    for body in (cluster_load.placed_pod(0, "node-00000", 0), plain):
      made = self.call("POST", PODS, body)
      name = made["metadata"]["name"]
      found.append(Copies(self._store, POD_KEY + name, made["metadata"]["uid"]))
      self.remove([name])
    return found

  def remove(self, names):
    connection = self.connection()
    for name in names:
      connection.request("DELETE", f"{PODS}/{name}", json.dumps({"gracePeriodSeconds": 0}),
                         {"Content-Type": "application/json"})
      connection.getresponse().read()

  def _settle(self, path):
    """Until the API server's cache has what was written to the store."""
    connection = self.connection()
    for _ in range(600):
      connection.request("GET", f"{path}?resourceVersion={self._store.revision}")
      answer = connection.getresponse()
      answer.read()
      if answer.status == 200:
        return
    raise SystemExit(f"bench scheduler: {path} never comes")


