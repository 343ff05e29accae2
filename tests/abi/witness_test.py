"""Compares our C declarations with the header that the wheel xla-cpu-pjrt ships (PJRT API 0.81): an independent witness.

The names that both have are read from the preprocessed headers; what they mean is asked of the compiler, in one program that includes
both. Run by ctest, or `CXX=g++ python3 tests/abi/witness_test.py`. Exit status 77 where the wheel was not fetched.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CXX = os.environ.get("CXX", "c++")
WITNESS = next((ROOT / ".plugins" / "cpu-0.81").glob("**/pjrt_c_api.h"), None)
LENIENT = ["-std=c++23", "-w", "-fpermissive"]  # the table's slots share their names with types

PROGRAM = """\
#include <cstddef>
#include <cstdio>
#include <type_traits>

#include "{theirs}"
#include "pjrt/abi/functions.hpp"

namespace ours = pjrt::abi;

int faults = 0;

void same(const char* what, long long our_value, long long their_value) {{
  if (our_value == their_value) return;
  ++faults;
  std::printf("%s: ours %lld, theirs %lld\\n", what, our_value, their_value);
}}

// What a field is, beside its size: both signedness and floating point matter to callers.
template <class T>
constexpr int kind = std::is_pointer_v<T> ? 1 : std::is_enum_v<T> ? 2 : std::is_class_v<T> || std::is_union_v<T> ? 3
    : std::is_array_v<T> ? 4 : std::is_same_v<T, bool> ? 5 : std::is_floating_point_v<T> ? 6 : std::is_signed_v<T> ? 7 : 8;

#define FIELD(S, F) \\
  same("offset of " #S "." #F, offsetof(ours::S, F), offsetof(::S, F)); \\
  same("size of " #S "." #F, sizeof(ours::S::F), sizeof(::S::F)); \\
  same("kind of " #S "." #F, kind<decltype(ours::S::F)>, kind<decltype(::S::F)>);
#define SIZE(S) same("sizeof " #S, sizeof(ours::S), sizeof(::S));
#define STRUCT_SIZE(S) same("struct_size of " #S, ours::struct_size<ours::S>, ::S##_STRUCT_SIZE);
#define ENUMERATOR(E) same("value of " #E, static_cast<long long>(ours::E), static_cast<long long>(::E));

int main() {{
{checks}
  return faults == 0 ? 0 : 1;
}}
"""


@dataclass
class Header:
    structs: dict[str, list[str]] = field(default_factory=dict)  # the fields' names; members of unions stand beside the others
    enumerators: list[str] = field(default_factory=list)


def run(command: list[str], **options) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def preprocessed(header: Path, include: Path) -> str:
    result = run([CXX, *LENIENT, "-E", "-P", "-I", str(include), "-x", "c++", str(header)])
    assert result.returncode == 0, result.stderr
    return result.stdout


def body_at(text: str, begin: int) -> str:
    """What stands between the brace at `begin` and the one that closes it."""
    depth = 0
    for i in range(begin, len(text)):
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        if depth == 0:
            return text[begin + 1:i]
    raise ValueError("unbalanced braces")


def field_names(body: str) -> list[str]:
    names = []
    for declaration in re.sub(r"\bunion\s*\{|\}", "", body).split(";"):
        declaration = declaration.strip()
        if not declaration:
            continue
        function = re.search(r"\(\s*\*\s*(\w+)\s*\)\s*\(", declaration)
        plain = re.search(r"(\w+)\s*(?:\[\w+\])?$", declaration)
        names.append((function or plain)[1])
    return names


def read(text: str) -> Header:
    header = Header()
    for match in re.finditer(r"\bstruct\s+(PJRT_\w+)\s*(?=\{)", text):
        header.structs[match[1]] = field_names(body_at(text, match.end()))
    for match in re.finditer(r"\btypedef\s+enum\b[^{;]*(?=\{)", text):
        header.enumerators += re.findall(r"(?:^|,)\s*(PJRT_\w+)", body_at(text, match.end()))
    return header


@dataclass
class Comparison:
    faults: str
    compared: dict[str, int]
    only_theirs: list[str]

    def __str__(self) -> str:
        return ", ".join(f"{n} {what}" for what, n in self.compared.items()) + f"; only theirs: {', '.join(self.only_theirs) or 'nothing'}"


def compare(include: Path = ROOT / "include") -> Comparison:
    theirs = read(preprocessed(WITNESS, include))
    ours = read(preprocessed(include / "pjrt/abi/core.h", include))
    only_theirs = [s for s in theirs.structs if s not in ours.structs] + [e for e in theirs.enumerators if e not in ours.enumerators]
    checks, counts = [], dict.fromkeys(("structs", "whole structs", "fields", "slots of PJRT_Api", "enumerators"), 0)
    for struct, fields in theirs.structs.items():
        if struct not in ours.structs:
            continue
        counts["structs"] += 1
        for name in fields:
            if name not in ours.structs[struct]:
                only_theirs.append(f"{struct}.{name}")
                continue
            checks.append(f"FIELD({struct}, {name})")
            counts["slots of PJRT_Api" if struct == "PJRT_Api" and name.startswith("PJRT_") else "fields"] += 1
        if set(fields) == set(ours.structs[struct]):
            counts["whole structs"] += 1
            checks.append(f"SIZE({struct})")
            if fields[0] == "struct_size":
                checks.append(f"STRUCT_SIZE({struct})")
    for name in theirs.enumerators:
        if name in ours.enumerators:
            checks.append(f"ENUMERATOR({name})")
            counts["enumerators"] += 1
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder) / "witness.cpp", Path(folder) / "witness"
        source.write_text(PROGRAM.format(theirs=WITNESS, checks="\n".join(f"  {c}" for c in checks)))
        built = run([CXX, *LENIENT, "-O0", "-I", str(include), str(source), "-o", str(program)])
        assert built.returncode == 0, built.stderr[:4000]
        ran = run([str(program)])
        assert (ran.returncode == 0) == (ran.stdout == ""), ran
        return Comparison(ran.stdout, counts, only_theirs)


class Witness(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls) -> None:
        cls.comparison = compare()
        print(f"compared with {WITNESS.relative_to(ROOT)}: {cls.comparison}", flush=True)

    def test_agrees_with_us(self):
        self.assertEqual(self.comparison.faults, "")

    def test_has_nothing_that_we_lack(self):
        self.assertEqual(self.comparison.only_theirs, [])

    def test_has_its_whole_header_in_common_with_us(self):
        floors = {"structs": 135, "whole structs": 130, "fields": 728, "slots of PJRT_Api": 118, "enumerators": 79}
        for what, floor in floors.items():
            self.assertGreaterEqual(self.comparison.compared[what], floor, what)

    def test_may_be_included_before_and_after_ours(self):
        includes = [f'#include "{WITNESS}"\n', '#include "pjrt/abi/core.h"\n#include "pjrt/abi/extensions.h"\n']
        for order in (includes, includes[::-1]):
            uses = "static_assert(!std::is_same_v<PJRT_Client_Compile_Args, pjrt::abi::PJRT_Client_Compile_Args>);\n"
            result = run([CXX, *LENIENT, "-fsyntax-only", "-I", str(ROOT / "include"), "-x", "c++", "-"],
                         input="#include <type_traits>\n" + "".join(order) + uses)
            self.assertEqual(result.returncode, 0, result.stderr)


class Mutation(unittest.TestCase):
    """The comparison sees a difference: it is made with a copy of our headers that is wrong in one place."""

    def compare_with(self, header: str, old: str, new: str) -> Comparison:
        with tempfile.TemporaryDirectory() as folder:
            include = Path(folder)
            shutil.copytree(ROOT / "include" / "pjrt" / "abi", include / "pjrt" / "abi")
            (include / "pjrt" / "detail").mkdir()
            shutil.copy(ROOT / "include" / "pjrt" / "detail" / "cxx23.hpp", include / "pjrt" / "detail")
            path = include / "pjrt" / "abi" / header
            text = path.read_text()
            self.assertEqual(text.count(old), 1, old)
            path.write_text(text.replace(old, new))
            return compare(include)

    def test_of_the_order_of_fields(self):
        before, after = "  int major_version;  /* out */\n", "  int minor_version;  /* out */\n"
        swapped = self.compare_with("core.h", before + after, after + before)
        self.assertIn("offset of PJRT_Api_Version.major_version: ours 20, theirs 16", swapped.faults)

    def test_of_a_field_that_is_wider(self):
        wider = self.compare_with("core.h", "  int major_version;", "  int64_t major_version;")
        self.assertIn("size of PJRT_Api_Version.major_version: ours 8, theirs 4", wider.faults)
        self.assertIn("sizeof PJRT_Api_Version: ours 32, theirs 24", wider.faults)

    def test_of_the_kind_of_a_field(self):
        floating = self.compare_with("core.h", "int64_t int64_value;", "double int64_value;")
        self.assertIn("kind of PJRT_NamedValue.int64_value", floating.faults)

    def test_of_a_field_that_is_missing(self):
        renamed = self.compare_with("core.h", "  int major_version;", "  int major_version_;")
        self.assertIn("PJRT_Api_Version.major_version", renamed.only_theirs)

    def test_of_the_order_of_slots(self):
        first, second = (f"  void (*PJRT_Error_{name})(PJRT_Error_{name}_Args*);\n" for name in ("Destroy", "Message"))
        swapped = self.compare_with("core.h", first + second, second + first)
        self.assertIn("offset of PJRT_Api.PJRT_Error_Destroy: ours 48, theirs 40", swapped.faults)

    def test_of_the_value_of_an_enumerator(self):
        changed = self.compare_with("core.h", "PJRT_Buffer_Type_F32 = 11,", "PJRT_Buffer_Type_F32 = 111,")
        self.assertEqual(changed.faults, "value of PJRT_Buffer_Type_F32: ours 111, theirs 11\n")

    def test_of_the_struct_size_that_is_written(self):
        changed = self.compare_with("functions.hpp", "struct_size<PJRT_Error_Destroy_Args> = 24;",
                                    "struct_size<PJRT_Error_Destroy_Args> = 16;")
        self.assertEqual(changed.faults, "struct_size of PJRT_Error_Destroy_Args: ours 16, theirs 24\n")


if __name__ == "__main__":
    if WITNESS is None:
        print("SKIPPED: the wheel xla-cpu-pjrt is not there; run scripts/fetch-plugins cpu-0.81")
        sys.exit(77)
    unittest.main()
