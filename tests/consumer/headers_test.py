"""What the public headers bring with them: the standard library, the system's own headers, and ours. `CXX=c++ python3 tests/consumer/headers_test.py`."""

import os
import re
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INCLUDE = ROOT / "include"
CXX = os.environ.get("CXX", "c++")
HEADERS = sorted(p.relative_to(INCLUDE).as_posix() for p in INCLUDE.glob("pjrt/**/*.h*"))
FOREIGN = re.compile(r"protozero|flatbuffers|nlohmann|zip\.h|zipconf|fmt/|CLI/|gtest|google/protobuf|xla/|absl/")


def brought_by(headers: list[str], flags: list[str]) -> list[str]:
    text = "".join(f"#include <{h}>\n" for h in headers)
    result = subprocess.run([CXX, "-std=c++23", *flags, "-I", str(INCLUDE), "-M", "-x", "c++", "-"], input=text, capture_output=True, text=True, check=True)
    return result.stdout.replace("\\\n", " ").split()[1:]


class Headers(unittest.TestCase):
    def test_bring_nothing_foreign(self):
        self.assertEqual([f for f in brought_by(HEADERS, []) if FOREIGN.search(f)], [])

    def test_bring_nothing_of_ours_that_is_not_public(self):
        ours = [f for f in brought_by(HEADERS, []) if str(ROOT) in str(Path(f).resolve())]
        self.assertEqual([f for f in ours if not Path(f).resolve().is_relative_to(INCLUDE)], [])

    def test_are_all_in_the_header_that_includes_them_all(self):
        """But for the headers of extensions and of the C declarations' tables, which are asked for by name."""
        whole = {Path(f).resolve() for f in brought_by(["pjrt/pjrt.hpp"], [])}
        missing = [h for h in HEADERS if (INCLUDE / h) not in whole and not h.startswith(("pjrt/ext/", "pjrt/abi/", "pjrt/detail/"))]
        self.assertEqual(missing, [])


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    unittest.main()
