#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that each check of this folder finds what it is for: small trees, right and with one fault.

Run by ctest, one class a test; `tools/checks_test.py` alone runs all.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

TOOLS = pathlib.Path(__file__).resolve().parent
LICENCE = "// SPDX-License-Identifier: Apache-2.0\n"


class Tree(unittest.TestCase):
  def setUp(self) -> None:
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.root = pathlib.Path(folder.name)

  def put(self, name: str, text: str) -> pathlib.Path:
    path = self.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path

  def run_tool(self, name: str, *arguments: object) -> tuple[int, str]:
    done = subprocess.run([sys.executable, str(TOOLS / name), *map(str, arguments)],
                          capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr

  def expect(self, result: tuple[int, str], code: int, *texts: str) -> None:
    self.assertEqual(result[0], code, result[1])
    for text in texts:
      self.assertIn(text, result[1])


class Layers(Tree):
  TABLE = ("src/low: freestanding\n"
           "src/base: hosted\n  headers tl\n  sources fmt\n"
           "src/high: hosted\n  modules src/base\n")

  def setUp(self) -> None:
    super().setUp()
    self.put("tools/layers.txt", self.TABLE)
    self.put("src/low/a.h", "#include <stdint.h>\n#include <atomic>\n")
    self.put("src/base/b.h", "#include <string>\n#include <tl/expected.hpp>\n")
    self.put("src/base/b.cc", '#include "base/b.h"\n#include <fmt/format.h>\n')
    self.put("src/high/c.cc", '#include "base/b.h"\n')
    self.put("src/high/c_test.cc", "#include <gtest/gtest.h>\n")

  def check(self) -> tuple[int, str]:
    return self.run_tool("check_layers.py", "--root", self.root)

  def test_right_tree(self) -> None:
    self.expect(self.check(), 0)

  def test_upward(self) -> None:
    self.put("src/high/c.h", "")
    self.put("src/base/up.cc", '#include "high/c.h"\n')
    self.expect(self.check(), 1, "src/base/up.cc:1", "src/base may not include src/high")

  def test_runtime_in_freestanding(self) -> None:
    self.put("src/low/a.cc", "#include <stdint.h>\n#include <string>\n")
    self.expect(self.check(), 1, "src/low/a.cc:2", "needs the C++ runtime")

  def test_package_in_header(self) -> None:
    self.put("src/base/f.h", "#include <fmt/format.h>\n")
    self.expect(self.check(), 1, "a header of src/base may not include the package fmt")

  def test_package_that_is_not_listed(self) -> None:
    self.put("src/high/d.cc", "#include <nlohmann/json.hpp>\n")
    self.expect(self.check(), 1, "src/high may not include the package nlohmann")

  def test_unknown_folder_and_file(self) -> None:
    self.put("src/new/e.cc", "")
    self.put("src/high/g.cc", '#include "nowhere.h"\n')
    self.expect(self.check(), 1, "no block of layers.txt covers src/new", "is no file of ours")


class AbiFloor(Tree):
  MAP = "{ global: wanted; local: *; };"

  def build(self, text: str, *flags: str) -> pathlib.Path:
    source = self.put("x.c", text)
    library = self.root / "libx.so"
    subprocess.run(["gcc-12", "-shared", "-fPIC", "-nostartfiles", "-O1", "-o", library, source,
                    *flags], check=True)
    return library

  def check(self, library: pathlib.Path) -> tuple[int, str]:
    return self.run_tool("check_abi_floor.py", f"{library},{self.put('x.map', self.MAP)}")

  def test_right_library(self) -> None:
    self.expect(self.check(self.build("int wanted(void) { return 1; }")), 0)

  def test_new_symbol(self) -> None:
    # dlopen moved into libc with 2.34.
    library = self.build("void* dlopen(const char*, int); "
                         "int wanted(void) { return dlopen(0, 1) != 0; }")
    self.expect(self.check(library), 1, "needs version GLIBC_2.34", "dlopen")

  def test_other_library(self) -> None:
    library = self.build("double sin(double); double wanted(double x) { return sin(x); }", "-lm")
    self.expect(self.check(library), 1, "needs libm.so.6")

  def test_exports(self) -> None:
    library = self.build("int surplus(void) { return 1; }")
    self.expect(self.check(library), 1, "exports surplus", "does not export wanted")

  def test_stack_and_path(self) -> None:
    library = self.build("int wanted(void) { return 1; }", "-Wl,-z,execstack", "-Wl,-rpath,/tmp")
    self.expect(self.check(library), 1, "executable stack", "RPATH")

  def test_static(self) -> None:
    source = self.put("x.c", "int main(void) { return 0; }")
    for flag, code, words in (("-static-pie", 0, ["needs nothing"]),
                              ("-pie", 1, ["needs libc.so.6", "asks for a loader"])):
      program = self.root / "x"
      subprocess.run(["gcc-12", "-fPIE", flag, "-o", program, source], check=True)
      self.expect(self.run_tool("check_abi_floor.py", f"{program},static"), code, *words)


class Threads(Tree):
  def check(self, text: str) -> tuple[int, str]:
    source = self.put("x.cc", f"#include <thread>\nint main() {{ {text} }}\n")
    program = self.root / "x_test"
    subprocess.run(["g++-12", "-o", program, source], check=True)
    return self.run_tool("check_threads.py", program, self.root / "not_built")

  def test_one_thread(self) -> None:
    self.expect(self.check("return 0;"), 0)

  def test_two_threads(self) -> None:
    self.expect(self.check("std::thread([] {}).join();"), 1, "x_test", "_M_start_thread")

  def test_nothing_built(self) -> None:
    self.expect(self.run_tool("check_threads.py", self.root / "not_built"), 77, "no program")


class Headers(Tree):
  def check(self, name: str = "src/a/a.cc") -> tuple[int, str]:
    source = self.root / name
    if not source.exists():
      self.put(name, "")
    entry = {"directory": str(self.root), "file": str(source),
             "command": f"g++-12 -std=c++20 -I{self.root}/src -o a.o -c {source}"}
    build = self.put("out/compile_commands.json", json.dumps([entry])).parent
    return self.run_tool("check_headers.py", "--root", self.root, "--build", build)

  def test_right_header_then_fault_in_what_it_includes(self) -> None:
    self.put("src/a/low.h", "#pragma once\nstruct Low {};\n")
    self.put("src/a/high.h", '#pragma once\n#include "a/low.h"\nstruct High { Low low; };\n')
    self.expect(self.check(), 0, "2 compiled now")
    self.expect(self.check(), 0, "0 compiled now")
    self.put("src/a/low.h", "#pragma once\n")
    self.expect(self.check(), 1, "src/a/high.h does not compile alone")

  def test_what_its_source_includes_first(self) -> None:
    header = "#pragma once\nstruct Own {};\n"
    for text, words in (('#include "a/own.h"\n#include <string>\n', ["1 proven", "0 compiled"]),
                        ('#include <string>\n#include "a/own.h"\n', ["0 proven", "1 compiled"])):
      self.put("src/a/own.h", header)
      self.put("src/a/own.cc", text)
      self.expect(self.check("src/a/own.cc"), 0, *words)
    self.put("src/a/own.cc", '#include "a/own.h"\n')
    self.put("src/a/own.h", "inline std::string Own();\n")
    self.expect(self.check("src/a/own.cc"), 1, "0 proven", "src/a/own.h does not")

  def test_missing_include_and_guard(self) -> None:
    self.put("src/a/alone.h", "#pragma once\ninline std::string Name();\n")
    self.put("src/a/twice.h", "struct Twice {};\n")
    self.expect(self.check(), 1, "src/a/alone.h does not", "src/a/twice.h does not")


class Includes(Tree):
  def setUp(self) -> None:
    super().setUp()
    self.put("cmake/HamiPrecompiled.cmake",
             "set(HAMI_STANDARD_HEADERS\n  <string> <vector> <fmt/format.h>)\n")
    self.put("src/base/a.h", "#include <string>\nstd::string A();\n")
    self.put("src/base/a.cc", '#include "base/a.h"\n// std::vector\n'
             'std::string A() { return "std::vector"; }\n')

  def check(self) -> tuple[int, str]:
    return self.run_tool("check_includes.py", "--root", self.root)

  def test_right_tree(self) -> None:
    self.expect(self.check(), 0)

  def test_not_included(self) -> None:
    self.put("src/base/b.cc", '#include "base/a.h"\nstd::vector<int> b = fmt::format("");\n')
    self.expect(self.check(), 1,
                "src/base/b.cc: uses std::vector and does not include <vector>",
                "src/base/b.cc: uses fmt::format and does not include <fmt/format.h>")

  def test_like_named(self) -> None:
    self.put("src/base/c.cc", '#include <string>\nstd::string_view c;\n')
    self.expect(self.check(), 1, "does not include <string_view>")

  def test_precompiled_and_not_known_here(self) -> None:
    self.put("cmake/HamiPrecompiled.cmake", "set(HAMI_STANDARD_HEADERS <string> <span>)\n")
    self.expect(self.check(), 1, "<span> is precompiled")


class Hooks(Tree):
  """A release with one function and one structure, and our view of it."""

  VENDOR = """
    #include <stddef.h>
    typedef int CUresult;
    typedef struct Pair_st { int first; long second; } Pair;
    typedef enum Kind_enum { CU_KIND_ONE = 1 } Kind;
    #define CU_LIMIT 7
    CUresult cuThing(Pair* pair, size_t bytes);
    CUresult cuOther(int x);
  """
  TYPES = """
    #include <stddef.h>
    HAMI_VENDOR_API_BEGIN
    typedef int CUresult;
    typedef struct Pair_st {
      int first;
      long second;
    } Pair;
    typedef enum Kind_enum {
      CU_KIND_ONE = 1,
    } Kind;
    #define CU_LIMIT 7
  """
  CLASSES = "//   kQuery    tells something\n"
  FUNCTIONS = "CUresult cuThing(Pair* pair, size_t bytes);\nHAMI_VENDOR_API_END\n"

  def setUp(self) -> None:
    super().setUp()
    self.put("headers/cuda-13.0/cuda.h", self.strip(self.VENDOR))
    self.put("headers/nvml-13.0/nvml.h",
             "typedef int nvmlReturn_t;\nnvmlReturn_t nvmlInit(void);\n")
    self.put("api/nvml/functions.h", "HAMI_VENDOR_API_BEGIN\ntypedef int nvmlReturn_t;\n"
             "nvmlReturn_t nvmlInit(void);\nHAMI_VENDOR_API_END\n")
    self.put("src/preload/hooks.def", "HAMI_CUDA_HOOK(cuThing, kFailOpen)\n")
    self.put("src/preload/forwarded.def",
             self.CLASSES + "HAMI_FORWARD(cuOther, kQuery)\nHAMI_FORWARD(nvmlInit, kQuery)\n")
    self.put("src/preload/refused.def", "")
    (self.root / "tools").mkdir()
    shutil.copy(TOOLS / "regen_entry_points.py", self.root / "tools")
    shutil.copytree(TOOLS / "header_stubs", self.root / "tools/header_stubs")
    self.put("api/nvml/introduced.txt", "# none\n")
    self.put("tests/a_test.py", "call('cuThing')\n")
    self.ours(self.TYPES, self.FUNCTIONS)
    self.regen()

  def strip(self, text: str) -> str:
    return "\n".join(line.removeprefix("    ") for line in text.splitlines()) + "\n"

  def ours(self, types: str, functions: str) -> None:
    self.put("api/cuda/functions.h", self.strip(types) + functions)

  def regen(self) -> None:
    subprocess.run([sys.executable, str(self.root / "tools/regen_entry_points.py"),
                    str(self.root / "headers")], check=True, capture_output=True)

  def check(self) -> tuple[int, str]:
    return self.run_tool("check_hooks.py", "--root", self.root, "--headers", self.root / "headers")

  def test_right_tree(self) -> None:
    self.expect(self.check(), 0, "cuda-13.0")

  def test_no_headers(self) -> None:
    shutil.rmtree(self.root / "headers")
    self.expect(self.check(), 77, "only the tables were compared")

  def test_new_entry_point(self) -> None:
    self.put("headers/cuda-13.0/cuda.h", self.strip(self.VENDOR) + "CUresult cuNew(int x);\n")
    self.expect(self.check(), 1, "entry_points.def: not what the headers say")
    self.regen()
    self.expect(self.check(), 1, "cuNew is in none of hooks.def, refused.def, forwarded.def")

  def test_classified_twice_and_unknown(self) -> None:
    self.put("src/preload/hooks.def", "HAMI_CUDA_HOOK(cuThing, kFailOpen)\n"
             "HAMI_CUDA_HOOK(cuOther, kFailOpen)\nHAMI_CUDA_HOOK(cuNowhere, kFailOpen)\n")
    self.expect(self.check(), 1, "cuOther stands 2 times", "cuNowhere is no entry point",
                "cuOther has no prototype")

  def test_without_a_test(self) -> None:
    self.put("tests/a_test.py", "call('cuThing_v2')\n")
    self.expect(self.check(), 1, "hooks.def: no test names cuThing")

  def test_left_for_later_or_without_a_class(self) -> None:
    self.put("src/preload/forwarded.def", self.CLASSES +
             'HAMI_FORWARD(cuOther, kQuery)\nHAMI_LATER(nvmlInit, "not limited yet")\n')
    self.expect(self.check(), 1, "nvmlInit stands under HAMI_LATER")
    self.put("src/preload/forwarded.def", self.CLASSES +
             "HAMI_FORWARD(cuOther, kQuery)\nHAMI_FORWARD(nvmlInit, kWhatever)\n")
    self.expect(self.check(), 1, "nvmlInit is forwarded as kWhatever")

  def test_refused_with_arguments_that_no_stub_passes_on(self) -> None:
    self.put("src/preload/forwarded.def",
             self.CLASSES + "HAMI_FORWARD(nvmlInit, kQuery)\n")
    self.put("src/preload/refused.def", "HAMI_REFUSED(cuOther)\n")
    self.expect(self.check(), 0, "cuda-13.0")
    for arguments in ("double x", "Pair x", "int a, int b, int c, int d, int e, int f, int g"):
      vendor = self.strip(self.VENDOR).replace("cuOther(int x)", f"cuOther({arguments})")
      self.put("headers/cuda-13.0/cuda.h", vendor)
      self.expect(self.check(), 1, "arguments of cuOther")

  def test_signature(self) -> None:
    for wrong in ("Pair* pair, int bytes", "Pair* pair", "Pair pair, size_t bytes",
                  "int* pair, size_t bytes", "Pair* pair, size_t bytes, int more"):
      self.ours(self.TYPES, f"CUresult cuThing({wrong});\nHAMI_VENDOR_API_END\n")
      self.expect(self.check(), 1, "signature of cuThing")

  def test_layout(self) -> None:
    self.ours(self.TYPES.replace("int first", "short first").replace("long second", "int second"),
              self.FUNCTIONS)
    self.expect(self.check(), 1, "size of Pair", "field second of Pair", "field first of Pair")
    self.ours(self.TYPES.replace("int first", "int renamed"), self.FUNCTIONS)
    self.expect(self.check(), 1, "field renamed of Pair")

  def test_values(self) -> None:
    self.ours(self.TYPES.replace("ONE = 1", "ONE = 2").replace("LIMIT 7", "LIMIT 8"),
              self.FUNCTIONS)
    self.expect(self.check(), 1, "value of CU_KIND_ONE", "value of CU_LIMIT")

  def test_name_that_no_release_has(self) -> None:
    self.ours(self.TYPES, "CUresult cuInvented(int x);\n" + self.FUNCTIONS)
    self.expect(self.check(), 1, "no release has cuInvented")


class Tidy(Tree):
  def setUp(self) -> None:
    super().setUp()
    self.put("CHANGELOG.md", "# Changes\n\n## Unreleased\n")
    self.put("src/a/right.cc", LICENCE + "int f() { return 1; }\n")

  def check(self) -> tuple[int, str]:
    return self.run_tool("tidy.py", "--root", self.root)

  def test_right_tree(self) -> None:
    self.expect(self.check(), 0)

  def test_lines(self) -> None:
    self.put("src/a/text.cc", LICENCE + "// " + "x" * 98 +
             "\n//\tx\n// x \n// \u00e9\n// TO" "DO: x\n"
             "// TO" "DO(#12): fine\n// last")
    self.expect(self.check(), 1, "text.cc:2: 101 columns", "text.cc:3: a tab",
                "text.cc:4: trailing space", "text.cc:5: not ASCII", "text.cc:6: open work",
                "text.cc: the last line has no end")
    self.assertNotIn("text.cc:7", self.check()[1])

  def test_files(self) -> None:
    self.put("src/a/no_licence.cc", "int x;\n")
    self.put("src/a/string_utils.cc", LICENCE)
    self.put("src/a/long.cc", LICENCE + "int x;\n" * 800)
    self.put("src/a/script.sh", "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n")
    self.put("src/a/data.cc", LICENCE).chmod(0o755)
    self.put("CHANGELOG.md", "# Changes\n")
    self.expect(self.check(), 1, "no_licence.cc:1: no licence", "string_utils.cc: a name",
                "long.cc: 801 lines", "script.sh: starts with #! and is not executable",
                "data.cc: is executable", "no section Unreleased")

  def test_function(self) -> None:
    body = "  ++x;\n" * 68
    self.put("src/a/f.cc", LICENCE + "namespace a {\n\nint Fits(int x) {\n" + body + "}\n\n"
             "int Big(int x, int y,\n        int z) {\n" + body +
             "  ++x;\n}\n\n}  // namespace a\n")
    self.expect(self.check(), 1, "a function of 71 lines")
    self.assertEqual(self.check()[1].count("a function of"), 1)


class Reference(Tree):
  def test_row_that_the_page_lacks(self) -> None:
    row = 'HAMI_ENVIRONMENT(NAME_, "none",\n  "first "\n  "second")\n'
    self.put("src/preload/environment.def", row)
    (self.root / "docs/reference").mkdir(parents=True)
    arguments = ("regen_reference.py", "--root", self.root)
    self.expect(self.run_tool(*arguments), 0)
    self.assertIn("| `NAME_N` | none | first second |",
                  (self.root / "docs/reference/environment.md").read_text())
    self.expect(self.run_tool(*arguments, "--check"), 0)
    self.put("src/preload/environment.def", row + row.replace("NAME", "OTHER"))
    self.expect(self.run_tool(*arguments, "--check"), 1, "is not what environment.def says")


class NamedTests(Tree):
  PAGE = "docs/reference/hami-weak-points.md"
  HEAD = "| what | held by |\n| --- | --- |\n"

  def setUp(self) -> None:
    super().setUp()
    self.put("src/a/a_test.cc", "TEST_F(OneTest, IsThere) {}\n")
    self.put("tests/b/test_b.py", "def test_of_python():\n  pass\n")

  def check(self, text: str) -> tuple[int, str]:
    self.put(self.PAGE, text)
    return self.run_tool("check_named_tests.py", "--root", self.root)

  def test_right_page(self) -> None:
    self.expect(self.check(self.HEAD + "| x | `OneTest.IsThere`, `test_of_python` |\n"
                           "\n| y | no tests in this one |\n"), 0)

  def test_names_that_are_none(self) -> None:
    self.expect(self.check("`OneTest.IsGone`\n`test_gone`\n"), 1,
                ":1: no test is called OneTest.IsGone", ":2: no test is called test_gone")

  def test_row_without_a_test(self) -> None:
    self.expect(self.check(self.HEAD + "| x | nothing |\n"), 1, ":3: a row without a test")


class Counts(Tree):
  """tools/dev/count_tests.py: nothing red is counted green."""

  def report(self, *entries: str) -> tuple[int, str]:
    self.put("dev/programs.xml", "<testsuite>" + "".join(entries) + "</testsuite>")
    return self.run_tool("dev/count_tests.py", self.root)

  def entry(self, name: str, status: str = "run", inside: str = "") -> str:
    return f'<testcase name="{name}" status="{status}">{inside}</testcase>'

  def cases(self, name: str, *inside: str) -> None:
    self.put(f"dev/cases/{name}.xml", "<testsuites>" + "".join(
        f'<testcase classname="S" name="c{i}" status="run">{x}</testcase>'
        for i, x in enumerate(inside)) + "</testsuites>")

  def test_cases_count_one_by_one(self) -> None:
    self.cases("a_test", "", "", '<skipped message="no GPU"/>')
    self.expect(self.report(self.entry("a_test"), self.entry("tidy")), 0, "skipped: no GPU",
                "3 passed, 0 failed, 1 skipped\n")

  def test_failed_case(self) -> None:
    self.cases("a_test", "", '<failure message="x"/>')
    self.expect(self.report(self.entry("a_test", "fail")), 1, "a_test: S.c1",
                "1 passed, 1 failed, 0 skipped\n")

  def test_fault_outside_cases(self) -> None:
    self.cases("a_test", "", "")
    self.expect(self.report(self.entry("a_test", "fail")), 1, "ended badly outside its cases",
                "2 passed, 1 failed, 0 skipped\n")

  def test_crash_and_not_built(self) -> None:
    self.put("dev/cases/a_test.xml", "<testsuites><testcase")
    self.expect(self.report(self.entry("a_test", "fail"), self.entry("b_test", "notrun")), 1,
                "b_test: did not run", "0 passed, 2 failed, 0 skipped\n")

  def test_builds_and_fuzz_targets(self) -> None:
    for name, code in (("builds/dev", 0), ("builds/clang", 1), ("fuzz/good", 0), ("fuzz/bad", 77)):
      self.put(name, f"{code}\n")
    self.expect(self.run_tool("dev/count_tests.py", self.root), 1,
                "build clang (.cache/log/build-clang.log)", "fuzz bad (.cache/log/fuzz-bad.log)",
                "2 passed, 2 failed, 0 skipped\n")

  def test_skipped_check(self) -> None:
    self.expect(self.report(self.entry("tidy"), self.entry(
        "hooks", "notrun", '<skipped message="SKIP_RETURN_CODE=77"/>'
        "<system-out>x\nno headers here</system-out>")), 0, "skipped: no headers here",
        "1 passed, 0 failed, 1 skipped\n")

  def test_build_and_missing_report(self) -> None:
    self.put("builds/clang", "1\n")
    self.put("asan/no-report", "")
    self.expect(self.report(self.entry("tidy")), 1, "build clang", "asan: left no report",
                "1 passed, 2 failed, 0 skipped\n")

  def test_nothing_ran(self) -> None:
    self.expect(self.report(), 1, "0 passed, 0 failed, 0 skipped\n")


if __name__ == "__main__":
  unittest.main()
