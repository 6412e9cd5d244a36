# SPDX-License-Identifier: Apache-2.0
"""Writes and compiles a source file that includes our interface headers beside the vendor's.

Ours are read inside namespace `ours` (HAMI_VENDOR_API_BEGIN). Each function, structure, enumerator
and constant of ours that the vendor's header of a release also has becomes assertions; one that no
release has is a problem of its own. Our headers are plain C declarations, so regular expressions
read them.
"""

import dataclasses
import pathlib
import re
import subprocess

TOOLS = pathlib.Path(__file__).resolve().parent
VENDOR_HEADERS = {"cuda": ["cuda.h", "cudaGL.h", "cudaEGL.h", "vdpau/vdpau.h", "cudaVDPAU.h"],
                  "nvml": ["nvml.h"]}
# What the vendor's headers include of graphics interfaces, so that they can be read anywhere.
STUBS = TOOLS / "header_stubs"
# So that every variant is declared under the name that the library exports. A few per-thread forms
# of CUDA functions are only declared in the second way.
VENDOR_MODES = {"cuda": ["-D__CUDA_API_VERSION_INTERNAL", "-DCUDA_API_PER_THREAD_DEFAULT_STREAM"],
                "nvml": ["-DNVML_NO_UNVERSIONED_FUNC_DEFS"]}


@dataclasses.dataclass
class Interface:
  functions: set[str] = dataclasses.field(default_factory=set)
  structs: dict[str, list[str]] = dataclasses.field(default_factory=dict)  # name -> paths of fields
  enumerators: set[str] = dataclasses.field(default_factory=set)
  constants: set[str] = dataclasses.field(default_factory=set)

  def names(self) -> set[str]:
    return self.functions | self.structs.keys() | self.enumerators | self.constants


def strip_comments(text: str) -> str:
  return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.S)


def prototypes(text: str) -> set[str]:
  pattern = r"^\s*(?:CUresult|nvmlReturn_t|const char\s*\*)\s*(cu[A-Z]\w*|nvml[A-Z]\w*)\s*\("
  return set(re.findall(pattern, strip_comments(text), re.M))


def field_paths(body: str, prefix: str = "") -> list[str]:
  """The fields of a structure's body; those of nested ones as a.b."""
  paths = []
  while body.strip():
    nested = re.match(r"\s*(?:struct|union)\s*\{", body)
    if nested:
      depth, end = 1, nested.end()
      while depth:
        depth += {"{": 1, "}": -1}.get(body[end], 0)
        end += 1
      name = re.match(r"\s*(\w*)[^;]*;", body[end:])
      index = "[0]" if "[" in name[0] else ""
      inner = f"{prefix}{name[1]}{index}." if name[1] else prefix
      paths += field_paths(body[nested.end():end - 1], inner)
      body = body[end + name.end():]
      continue
    line, _, body = body.partition(";")
    function = re.search(r"\(\s*\*\s*(\w+)\s*\)", line)
    name = function or re.search(r"(\w+)\s*(?:\[[^\]]*\]\s*)*$", line.strip())
    if name:
      paths.append(prefix + name[1])
  return paths


def read_interface(texts: list[str]) -> Interface:
  result = Interface()
  for text in map(strip_comments, texts):
    result.functions |= prototypes(text)
    for match in re.finditer(r"typedef\s+(?:struct|union)\s+\w*\s*\{", text):
      depth, end = 1, match.end()
      while depth:
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        end += 1
      for name in re.findall(r"\w+", text[end:text.index(";", end)]):
        result.structs[name] = field_paths(text[match.end():end - 1])
    for body in re.findall(r"\benum\b\s*\w*\s*\{([^}]*)\}", text):
      result.enumerators |= set(re.findall(r"^\s*(\w+)\s*=", body, re.M))
    # HAMI_ names are ours; macros with parameters are no constants.
    result.constants |= {name for name in re.findall(r"^#define\s+(\w+)[ \t]+\S", text, re.M)
                         if not name.startswith("HAMI_")}
  return result


def vendor_includes(folder: pathlib.Path, api: str) -> list[str]:
  return [f"#include <{name}>" for name in VENDOR_HEADERS[api]
          if (folder / name).exists() or (STUBS / name).exists()]


def vendor_names(folder: pathlib.Path, api: str, mode: str, compiler: str) -> set[str]:
  """Every identifier that the release's headers declare or define as a macro."""
  base = [compiler, "-E", "-P", "-x", "c++", f"-I{folder}", f"-I{STUBS}", mode]
  source = "\n".join(vendor_includes(folder, api)) + "\n"
  names: set[str] = set()
  for extra, pattern in (([], r"\w+"), (["-dM"], r"(?<=#define )\w+")):
    text = subprocess.run([*base, *extra, "-"], check=True, input=source, capture_output=True,
                          text=True).stdout
    names |= set(re.findall(pattern, text))
  return names


def is_filler(path: str) -> bool:
  """Its size is what is left; the structure's size covers it."""
  return bool(re.match(r"(reserved|pad|unused)", path.split(".")[-1], re.I))


def struct_assertions(name: str, paths: list[str], newest: bool) -> list[str]:
  lines = [f'static_assert(sizeof(ours::{name}) == sizeof(::{name}), "size of {name}");',
           f'static_assert(alignof(ours::{name}) == alignof(::{name}), "alignment of {name}");']
  for path in paths:
    if is_filler(path):
      continue
    check = "Check_" + name + "_" + re.sub(r"\W+", "_", path)
    # A field that an older release does not have yet is room that it reserves.
    missing = "false" if newest else "true"
    lines += [
        f"template <class T> constexpr bool {check}() {{",
        f"  if constexpr (requires(T t) {{ t.{path}; }})",
        f"    return offsetof(T, {path}) == offsetof(ours::{name}, {path}) &&",
        f"           sizeof(T{{}}.{path}) == sizeof(ours::{name}{{}}.{path});",
        f"  else return {missing};",
        "}",
        f'static_assert({check}<::{name}>(), "field {path} of {name}");',
    ]
  return lines


def write_source(includes: list[str], ours: Interface, our_headers: list[str], known: set[str],
                 newest: bool, refused: set[str]) -> str:
  lines = [*includes, "#include <stdint.h>",
           '#include "tools/abi_assertions.h"',
           "namespace theirs {"]
  constants = sorted(ours.constants & known)
  for name in constants:
    lines.append(f"constexpr auto value_{name} = static_cast<unsigned long long>({name});")
  lines.append("}")
  lines += [f"#undef {name}" for name in sorted(ours.names())]
  lines += ["#define HAMI_VENDOR_API_BEGIN namespace ours {", "#define HAMI_VENDOR_API_END }"]
  lines += [f'#include "{header}"' for header in our_headers]
  for name in constants:
    lines.append(f"static_assert(static_cast<unsigned long long>({name}) == theirs::value_{name}, "
                 f'"value of {name}");')
  for name in sorted(ours.enumerators & known):
    lines.append(f"static_assert(static_cast<long long>(ours::{name}) == "
                 f'static_cast<long long>(::{name}), "value of {name}");')
  for name in sorted(ours.structs.keys() & known):
    lines += struct_assertions(name, ours.structs[name], newest)
  for name in sorted(ours.functions & known):
    lines.append("static_assert(hami::abi::SameFunction<"
                 f"decltype(ours::{name}), decltype(::{name})>(), "
                 f'"signature of {name}");')
  for name in sorted(refused & known):
    lines.append(f'static_assert(hami::abi::InRegisters(::{name}), "arguments of {name}");')
  return "\n".join(lines) + "\n"


def short_messages(stderr: str) -> list[str]:
  failed = re.findall(r"static assertion failed: (.*)", stderr)
  others = [line for line in stderr.splitlines()
            if " error: " in line and "static assert" not in line]
  return [f"differs: {message}" for message in failed] + others[:5]


def compare(root: pathlib.Path, api: str, releases: list[pathlib.Path], compiler: str,
            refused: set[str]) -> list[str]:
  paths = sorted((root / "api" / api).glob("*.h"))
  ours = read_interface([path.read_text() for path in paths])
  headers = [str(path.relative_to(root)) for path in paths]
  problems = []
  seen: set[str] = set()
  newest = max(releases, key=lambda path: list(map(int, path.name.split("-")[1].split("."))))
  for folder in releases:
    covered: set[str] = set()
    for mode in VENDOR_MODES[api]:
      known = vendor_names(folder, api, mode, compiler) - covered
      source = write_source(vendor_includes(folder, api), ours, headers, known, folder == newest,
                            refused)
      done = subprocess.run(
          [compiler, "-std=gnu++20", "-fsyntax-only", "-w", "-x", "c++", f"-I{folder}", f"-I{root}",
           f"-I{TOOLS.parent}", f"-I{STUBS}", mode, "-"], cwd=root, input=source,
          capture_output=True, text=True)
      if done.returncode:
        problems += [f"{folder.name}: {message}" for message in short_messages(done.stderr)]
      covered |= known
    seen |= covered
  problems += [f"api/{api}: no release has {name}" for name in sorted(ours.names() - seen)]
  return problems
