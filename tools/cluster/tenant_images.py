# SPDX-License-Identifier: Apache-2.0
"""Images of tenants: the layouts in which a GPU must work, each as small as it can be.

localhost/tenant-debian:dev  libraries in the multiarch folder, ldconfig, a cache of it
localhost/tenant-rhel:dev    libraries in /usr/lib64, a loader that searches nowhere else, ldconfig
localhost/tenant-bare:dev    Debian's libraries, neither ldconfig nor its cache, no shell but
                             busybox, and an /etc/ld.so.preload of its own
localhost/tenant-musl:dev    musl's loader, as far as one can see from outside, and busybox

Each but the last has tests/tenant as /usr/bin/tenant; all have the environment that CUDA's images
have.
"""

import pathlib
import stat
import subprocess
import tarfile
import tempfile

import images
import library_closure
import rhel_loader
from oci_archive import Image
from product_image import LIBRARIES, add_libraries, add_root_layout

ENVIRONMENT = {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}
# Linked dynamically, as in images of a distribution; the rest is busybox, which is not.
DYNAMIC_TOOLS = ("bash", "cat", "env", "id", "ls", "sleep")
BUSYBOX = pathlib.Path("/bin/busybox")
MARK = "usr/lib/tenant/libmark.so"


def _make(name: str, distribution: str, build: pathlib.Path, folder: str, loader: bytes,
          tools: tuple[str, ...]) -> Image:
  image = Image(f"localhost/{name}:dev", command=["sleep", "infinity"], environment=ENVIRONMENT)
  add_root_layout(image, distribution)
  programs = [pathlib.Path("/bin") / tool for tool in tools] + [build / "bin" / "tenant"]
  for program in programs:
    image.add_file(f"usr/bin/{program.name}", program)
  add_libraries(image, library_closure.glibc() | library_closure.closure(programs), folder)
  file = f"{folder}/{library_closure.LOADER.name}"
  image.add_bytes(file, loader, 0o755)
  if folder != "usr/lib64":
    image.add_link(f"usr/lib64/{library_closure.LOADER.name}", f"../../{file}")
  _add_busybox(image, ("ldconfig", *tools))
  return image


def _add_busybox(image: Image, without: tuple[str, ...] = ()) -> None:
  # No package's files but those copied, so that one image is like another on any machine.
  image.add_file("usr/bin/busybox", BUSYBOX)
  applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True)
  for applet in applets.stdout.split():
    if applet not in ("busybox", *without):
      image.add_link(f"usr/bin/{applet}", "busybox")


def _ldconfig() -> bytes:
  # On Ubuntu ldconfig is a script around this.
  real = pathlib.Path("/sbin/ldconfig.real")
  return (real if real.exists() else pathlib.Path("/sbin/ldconfig")).read_bytes()


def _add_ldconfig(image: Image, program: bytes, search: str) -> None:
  """The program, its configuration, and the cache that it makes of the image."""
  image.add_bytes("usr/sbin/ldconfig", program, 0o755)
  image.add_bytes("etc/ld.so.conf", b"include /etc/ld.so.conf.d/*.conf\n")
  image.add_folder("etc/ld.so.conf.d")
  if search:
    image.add_bytes("etc/ld.so.conf.d/image.conf", search.encode())
  with tempfile.TemporaryDirectory() as scratch:
    root = pathlib.Path(scratch)
    _unpack(image, root)
    # It complains of folders that are not there.
    result = subprocess.run([root / "usr/sbin/ldconfig", "-r", str(root)], capture_output=True,
                            text=True)
    cache = root / "etc/ld.so.cache"
    if result.returncode or not cache.exists():
      raise SystemExit(f"image: ldconfig of {image.name}: {result.stderr.strip()}")
    image.add_bytes("etc/ld.so.cache", cache.read_bytes())


def _unpack(image: Image, root: pathlib.Path) -> None:
  for path, entry in sorted(image.entries.items()):
    target = root / path
    if entry.kind == tarfile.DIRTYPE:
      target.mkdir()
    elif entry.kind == tarfile.SYMTYPE:
      target.symlink_to(entry.target)
    else:
      target.write_bytes(entry.data)
      target.chmod(stat.S_IMODE(entry.mode))


def debian(build: pathlib.Path) -> Image:
  image = _make("tenant-debian", "debian", build, LIBRARIES, library_closure.LOADER.read_bytes(),
                DYNAMIC_TOOLS)
  _add_ldconfig(image, _ldconfig(), "/usr/local/lib/x86_64-linux-gnu\n"
               "/lib/x86_64-linux-gnu\n/usr/lib/x86_64-linux-gnu\n")
  return image


def rhel(build: pathlib.Path) -> Image:
  loader = rhel_loader.patch(library_closure.LOADER.read_bytes())
  with tempfile.TemporaryDirectory() as scratch:
    copy = pathlib.Path(scratch) / "loader"
    copy.write_bytes(loader)
    copy.chmod(0o755)
    found = rhel_loader.search_folders(copy)
  if found != list(rhel_loader.RHEL):
    raise SystemExit(f"image: the changed loader searches {found}")
  image = _make("tenant-rhel", "rhel", build, "usr/lib64", loader, DYNAMIC_TOOLS)
  _add_ldconfig(image, rhel_loader.patch(_ldconfig()), "")
  return image


def bare(build: pathlib.Path) -> Image:
  image = _make("tenant-bare", "bare", build, LIBRARIES, library_closure.LOADER.read_bytes(), ())
  image.add_bytes(MARK, images.compile_c("mark.c", "-shared", "-fPIC"), 0o755)
  image.add_bytes("etc/ld.so.preload", f"/{MARK}\n".encode())
  image.add_bytes("usr/bin/show", images.compile_c("show.c"), 0o755)
  return image


def musl(build: pathlib.Path) -> Image:
  """Its programs are linked statically, so that the loader need not work."""
  image = Image("localhost/tenant-musl:dev", command=["sleep", "infinity"],
                environment=ENVIRONMENT)
  add_root_layout(image, "musl")
  _add_busybox(image)
  image.add_bytes("usr/lib/ld-musl-x86_64.so.1", b"", 0o755)
  return image
