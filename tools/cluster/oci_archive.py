# SPDX-License-Identifier: Apache-2.0
"""Container images as OCI archives, written without any tool: one layer, one configuration.

The same content always gives the same bytes: names are sorted, times are zero, owners are root.
"""

import dataclasses
import filecmp
import gzip
import hashlib
import io
import json
import pathlib
import stat
import tarfile

OCI = "application/vnd.oci.image"


@dataclasses.dataclass
class Entry:
  """A file, folder or link of an image. Permissions as in `mode`."""
  kind: bytes
  mode: int
  data: bytes = b""
  target: str = ""


@dataclasses.dataclass
class Image:
  """`name` is localhost/NAME:TAG: other names without a registry are taken for docker.io's."""
  name: str
  entrypoint: list[str] = dataclasses.field(default_factory=list)
  command: list[str] = dataclasses.field(default_factory=list)
  environment: dict[str, str] = dataclasses.field(default_factory=dict)
  user: str = ""
  entries: dict[str, Entry] = dataclasses.field(default_factory=dict)

  def add_folder(self, path: str, mode: int = 0o755) -> None:
    self._add(path, Entry(tarfile.DIRTYPE, mode))

  def add_link(self, path: str, target: str) -> None:
    self._add(path, Entry(tarfile.SYMTYPE, 0o777, target=target))

  def add_bytes(self, path: str, data: bytes, mode: int = 0o644) -> None:
    self._add(path, Entry(tarfile.REGTYPE, mode, data))

  def add_file(self, path: str, source: pathlib.Path) -> None:
    mode = 0o755 if source.stat().st_mode & stat.S_IXUSR else 0o644
    self.add_bytes(path, source.read_bytes(), mode)

  def _add(self, path: str, entry: Entry) -> None:
    """With the folders above it. A path through a link of the image would become a folder beside
    it, so it is refused."""
    parts = path.strip("/").split("/")
    for length in range(1, len(parts)):
      parent = "/".join(parts[:length])
      known = self.entries.setdefault(parent, Entry(tarfile.DIRTYPE, 0o755))
      if known.kind != tarfile.DIRTYPE:
        raise ValueError(f"{self.name}: {path} lies below {parent}, which is no folder")
    self.entries["/".join(parts)] = entry

  def layer(self) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
      for path in sorted(self.entries):
        entry = self.entries[path]
        header = tarfile.TarInfo(path)
        header.type, header.mode, header.linkname = entry.kind, entry.mode, entry.target
        header.size = len(entry.data)
        archive.addfile(header, io.BytesIO(entry.data))
    return buffer.getvalue()

  def configuration(self, layer: bytes) -> dict:
    config = {
        "Env": [f"{name}={value}" for name, value in {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            **self.environment}.items()],
        "Entrypoint": self.entrypoint, "Cmd": self.command, "User": self.user,
        "WorkingDir": "/"}
    return {"architecture": "amd64", "os": "linux", "created": "1970-01-01T00:00:00Z",
            "config": {name: value for name, value in config.items() if value},
            "rootfs": {"type": "layers", "diff_ids": [digest(layer)]}}

  def write(self, path: pathlib.Path) -> bool:
    """Under a temporary name first: a file with the name is whole. Whether it has changed."""
    layer = self.layer()
    packed = gzip.compress(layer, compresslevel=1, mtime=0)
    config = to_json(self.configuration(layer))
    manifest = to_json({
        "schemaVersion": 2, "mediaType": f"{OCI}.manifest.v1+json",
        "config": describe(f"{OCI}.config.v1+json", config),
        "layers": [describe(f"{OCI}.layer.v1.tar+gzip", packed)]})
    index = to_json({
        "schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json",
        "manifests": [{**describe(f"{OCI}.manifest.v1+json", manifest),
                       "annotations": {"io.containerd.image.name": self.name,
                                       "org.opencontainers.image.ref.name": self.name}}]})
    files = {"oci-layout": to_json({"imageLayoutVersion": "1.0.0"}), "index.json": index}
    files |= {"blobs/sha256/" + digest(blob).removeprefix("sha256:"): blob
              for blob in (config, manifest, packed)}
    fresh = path.with_name(path.name + ".new")
    with tarfile.open(fresh, "w", format=tarfile.GNU_FORMAT) as archive:
      for name in sorted(files):
        header = tarfile.TarInfo(name)
        header.size = len(files[name])
        archive.addfile(header, io.BytesIO(files[name]))
    changed = not path.exists() or not filecmp.cmp(fresh, path, shallow=False)
    fresh.rename(path)
    return changed


def digest(blob: bytes) -> str:
  return "sha256:" + hashlib.sha256(blob).hexdigest()


def describe(media_type: str, blob: bytes) -> dict:
  return {"mediaType": media_type, "digest": digest(blob), "size": len(blob)}


def to_json(value: object) -> bytes:
  return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
