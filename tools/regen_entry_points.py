#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes api/cuda/entry_points.def and api/nvml/entry_points.def from vendor headers.

Usage: regen_entry_points.py [--check] HEADERS

HEADERS is the folder that `./dev setup --headers` fills: one sub-folder per toolkit release
(cuda-11.8, cuda-12.4, ... and nvml-11.8, ...), each an include folder. Only facts are taken: the
names of the exported functions, the CUDA version in which each variant appeared (from the
`PFN_name_vVERSION` typedef names) and which per-thread-stream variants exist.

With --check nothing is written; a difference between what would be written and what is committed
is printed and the exit code is 1.
"""

import argparse
import collections
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CUDA_HEADERS = ["cuda.h", "cudaGL.h", "cudaEGL.h", "cudaVDPAU.h", "cudaProfiler.h"]
TYPEDEF_HEADERS = [h.replace(".h", "Typedefs.h") for h in CUDA_HEADERS]
# How the preprocessor is told to show the three spellings of each entry point.
MODES = [[], ["-DCUDA_API_PER_THREAD_DEFAULT_STREAM"], ["-D__CUDA_API_VERSION_INTERNAL"]]

# NVML has no version in its typedefs. A name counts as introduced by the driver branch whose
# toolkit header shows it first; for the oldest header by INTRODUCED, else by OLDEST or before.
OLDEST = 440
INTRODUCED = ROOT / "api/nvml/introduced.txt"
NVML_BRANCH = {"11.8": 520, "12.4": 550, "12.9": 575, "13.0": 580, "13.5": 615}


def preprocess(header: pathlib.Path, flags: list[str]) -> str:
  """The header's own text after preprocessing, without what it includes from the system."""
  stubs = ROOT / "tools" / "header_stubs"
  cmd = ["g++-12", "-E", "-P", "-x", "c++", f"-I{header.parent}", f"-I{stubs}", *flags,
         str(header)]
  return subprocess.run(cmd, check=True, capture_output=True, text=True).stdout


def split_symbol(symbol: str) -> tuple[str, int, str]:
  """cuMemcpyHtoD_v2_ptds -> (cuMemcpyHtoD, 2, ptds)."""
  match = re.fullmatch(r"(\w+?)(?:_v(\d+))?(?:_(ptds|ptsz))?", symbol)
  return match.group(1), int(match.group(2) or 1), match.group(3) or ""


def read_cuda(folders: list[pathlib.Path]):
  symbols: set[str] = set()
  versions: dict[tuple[str, str], set[int]] = collections.defaultdict(set)
  for folder in folders:
    for name in CUDA_HEADERS:
      if not (folder / name).exists():
        continue
      for flags in MODES:
        text = preprocess(folder / name, flags)
        symbols.update(re.findall(r"\bCUresult\s+(?:CUDAAPI\s+)?(cu[A-Z]\w*)\s*\(", text))
    for name in TYPEDEF_HEADERS:
      if not (folder / name).exists():
        continue
      text = (folder / name).read_text()
      for base, version, stream in re.findall(r"PFN_(cu\w+?)_v(\d+)(?:_(ptsz|ptds))?\)", text):
        versions[base, stream].add(int(version))
  # cudaProfiler.h is not in the runtime package, its typedefs are.
  symbols.update(base for base, _ in versions if base.startswith("cuProfiler"))
  return symbols, versions


def match_versions(symbols, versions) -> list[tuple[str, str, int, str]]:
  """Pairs the variants of each base name, in order, with the versions of its typedefs."""
  groups = collections.defaultdict(list)
  for symbol in symbols:
    base, number, stream = split_symbol(symbol)
    groups[base, stream].append((number, symbol))
  rows = []
  for (base, stream), found in sorted(groups.items()):
    # The look-up functions themselves have per-thread forms without typedefs of their own.
    known = sorted(versions.get((base, stream)) or versions.get((base, ""), []))
    found.sort()
    if len(known) != len(found):
      # A typedef set may know an older variant whose symbol no header declares any more (or the
      # other way round); the newest ones belong together.
      print(f"note: {base} {stream}: symbols {[s for _, s in found]}, versions {known}",
            file=sys.stderr)
    known = known[-len(found):] if known else []
    known = [known[0] if known else 2000] * (len(found) - len(known)) + known
    rows += [(symbol, base, version, stream or "none")
             for (_, symbol), version in zip(found, known)]
  return sorted(rows)


def render_cuda(rows) -> str:
  lines = [
      "// SPDX-License-Identifier: Apache-2.0",
      "//",
      "// Every function that libcuda.so.1 has exported from CUDA 2.0 to 13.5, one line each:",
      "//   HAMI_CUDA_ENTRY(symbol, base name, CUDA version of this variant, stream form)",
      "// base name and version are what a caller hands to cuGetProcAddress to get this symbol; "
      "the",
      "// stream form is none, ptds or ptsz (the variant for a per-thread default stream).",
      "// Written by tools/regen_entry_points.py from the vendor headers; tools/check_hooks proves",
      "// that it is current.",
      "",
  ]
  lines += [f"HAMI_CUDA_ENTRY({s}, {b}, {v}, {k})" for s, b, v, k in rows]
  return "\n".join(lines) + "\n"


def read_introduced() -> dict[str, int]:
  lines = (line.split() for line in INTRODUCED.read_text().splitlines() if line[:1] != "#")
  return {name: int(branch) for name, branch in lines}


def read_nvml(folders: dict[str, pathlib.Path]) -> list[tuple[str, int]]:
  first: dict[str, int] = {}
  oldest = min(NVML_BRANCH.values())
  introduced = read_introduced()
  for release, folder in sorted(folders.items(), key=lambda kv: NVML_BRANCH[kv[0]]):
    names: set[str] = set()
    for flags in [[], ["-DNVML_NO_UNVERSIONED_FUNC_DEFS"]]:
      text = preprocess(folder / "nvml.h", flags)
      names.update(re.findall(r"\b(?:nvmlReturn_t|const char\s*\*)\s*(nvml[A-Z]\w*)\s*\(", text))
    for name in names:
      branch = NVML_BRANCH[release]
      first.setdefault(name, introduced.get(name, OLDEST) if branch == oldest else branch)
  if unknown := introduced.keys() - first.keys():
    sys.exit(f"{INTRODUCED}: in no header: {', '.join(sorted(unknown))}")
  return sorted(first.items())


def render_nvml(rows) -> str:
  lines = [
      "// SPDX-License-Identifier: Apache-2.0",
      "//",
      "// Every function that libnvidia-ml.so.1 exports, one line each:",
      "//   HAMI_NVML_ENTRY(symbol, driver branch that has it first)",
      "// 440 stands for \"440 or older\". Written by tools/regen_entry_points.py from the vendor",
      "// headers and introduced.txt.",
      "",
  ]
  lines += [f"HAMI_NVML_ENTRY({name}, {branch})" for name, branch in rows]
  return "\n".join(lines) + "\n"


def main() -> int:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--check", action="store_true", help="compare, write nothing")
  parser.add_argument("headers", type=pathlib.Path)
  args = parser.parse_args()
  cuda = sorted(args.headers.glob("cuda-*"))
  nvml = {p.name.split("-")[1]: p for p in args.headers.glob("nvml-*")}
  if not cuda or not nvml:
    sys.exit(f"{args.headers}: no cuda-* or nvml-* folders; run ./dev setup --headers")
  outputs = {
      ROOT / "api/cuda/entry_points.def": render_cuda(match_versions(*read_cuda(cuda))),
      ROOT / "api/nvml/entry_points.def": render_nvml(read_nvml(nvml)),
  }
  stale = 0
  for path, text in outputs.items():
    if args.check:
      if not path.exists() or path.read_text() != text:
        print(f"{path.relative_to(ROOT)}: not what the headers say; run {sys.argv[0]}")
        stale = 1
    else:
      path.write_text(text)
  return stale


if __name__ == "__main__":
  sys.exit(main())
