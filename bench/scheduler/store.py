# SPDX-License-Identifier: Apache-2.0
"""Fills an API server's store with objects that are alike, by etcd itself: 100 000 pods in seconds
instead of minutes. A template is created through the API server, so what stands in the store is
what it writes; the others are its bytes with names, uids and devices of the same length put in
their place, which leaves the encoding (protobuf) valid."""

import base64
import http.client
import json
import uuid

# Below etcd's --max-txn-ops and --max-request-bytes.
OBJECTS_PER_WRITE = 100


def replaced(text, changes):
  """`changes`: bytes -> bytes, each of the same length."""
  for before, after in changes.items():
    if len(before) != len(after):
      raise ValueError(f"{before!r} and {after!r} are of different lengths")
    if before not in text:
      raise ValueError(f"the template has no {before!r}")
    text = text.replace(before, after)
  return text


class Store:
  def __init__(self, address):
    self._connection = http.client.HTTPConnection(address, timeout=120)
    self.revision = 0

  def _call(self, verb, body):
    self._connection.request("POST", f"/v3/kv/{verb}", json.dumps(body),
                             {"Content-Type": "application/json"})
    answer = self._connection.getresponse()
    text = answer.read()
    if answer.status != 200:
      raise SystemExit(f"bench scheduler: etcd says {answer.status}: {text[:400]!r}")
    said = json.loads(text)
    self.revision = int(said["header"]["revision"])
    return said

  def read(self, key):
    return base64.b64decode(self._call("range", {"key": _text(key.encode())})["kvs"][0]["value"])

  def write(self, objects):
    """`objects`: (key, bytes)."""
    puts = []
    for key, value in objects:
      puts.append({"requestPut": {"key": _text(key.encode()), "value": _text(value)}})
      if len(puts) == OBJECTS_PER_WRITE:
        self._call("txn", {"success": puts})
        puts = []
    if puts:
      self._call("txn", {"success": puts})


def _text(value):
  return base64.b64encode(value).decode()


class Copies:
  """Objects like the one at `key`, which has the uid `uid`."""

  def __init__(self, store, key, uid):
    self._key, self._uid = key, uid.encode()
    self._bytes = store.read(key)

  def make(self, changes):
    """(key, bytes) of another one. `changes`: texts of the template -> what stands there instead;
    they change its key, too."""
    encoded = {before.encode(): after.encode() for before, after in changes.items()}
    key = self._key
    for before, after in changes.items():
      key = key.replace(before, after)
    return key, replaced(self._bytes, {self._uid: str(uuid.uuid4()).encode(), **encoded})
