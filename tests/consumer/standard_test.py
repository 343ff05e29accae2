"""What a compiler says that is told an older standard than C++23. `CXX=c++ python3 tests/consumer/standard_test.py`."""

import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

INCLUDE = Path(__file__).resolve().parents[2] / "include"
CXX = os.environ.get("CXX", "c++")
HEADERS = sorted(p.relative_to(INCLUDE).as_posix() for p in INCLUDE.glob("pjrt/**/*.hpp"))


def errors(header: str, *flags: str) -> list[str]:
    command = [CXX, *flags, "-fsyntax-only", "-I", str(INCLUDE), "-include", header, "-x", "c++", os.devnull]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ, LC_ALL="C"))
    return re.findall(r"^\S+:\d+:\d+: (?:fatal )?error: (.*)", result.stderr, re.MULTILINE)


class Standard(unittest.TestCase):
    def test_older_than_23_is_one_sentence_from_every_header(self):
        for header, standard in [(h, "c++17") for h in HEADERS] + [("pjrt/pjrt.hpp", s) for s in ("c++14", "c++20")]:
            with self.subTest(header, standard=standard):
                found = errors(header, f"-std={standard}")
                self.assertIn("pjrt-cpp needs C++23: compile with -std=c++23", found[0])
                self.assertEqual(len(found), 2)  # the sentence, and the header that ends the compilation

    def test_23_without_expected_is_one_sentence(self):
        """What a standard library from before std::expected is, as seen from here: its <version> does not name it."""
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "version").write_text("#include_next <version>\n#undef __cpp_lib_expected\n")
            found = errors("pjrt/version.hpp", "-std=c++23", f"-isystem{folder}")
            self.assertIn("pjrt-cpp needs std::expected: use GCC 12 or newer, or Clang 19 or newer", found[0])
            self.assertEqual(len(found), 2)

    def test_23_is_enough(self):
        self.assertEqual(errors("pjrt/pjrt.hpp", "-std=c++23"), [])


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    unittest.main()
