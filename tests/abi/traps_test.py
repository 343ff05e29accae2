#!/usr/bin/env python3
"""docs/traps.md names tests that exist."""

import re
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def tests_in_the_tree() -> set[str]:
    names = set()
    for source in (ROOT / "tests").rglob("*_test.cpp"):
        for suite, test in re.findall(r"^TEST(?:_P|_F)?\(\s*(\w+),\s*(\w+)\s*\)", source.read_text(), re.MULTILINE):
            names |= {suite, f"{suite}.{test}"}
    return names


class Traps(unittest.TestCase):
    def test_every_row_names_tests_that_exist(self):
        known = tests_in_the_tree()
        rows = [line for line in (ROOT / "docs/traps.md").read_text().splitlines() if line.startswith("| ") and not line.startswith("| What")]
        self.assertGreater(len(rows), 30)
        for row in rows:
            shown_by = row.rstrip(" |").rsplit(" | ", 1)[1]
            named = re.findall(r"`([\w.]+)`", shown_by)
            self.assertTrue(named, row)
            for name in named:
                self.assertIn(name, known, row)


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
