"""The examples in README.md are the files that are named above them, or parts of those. `python3 tests/consumer/readme_test.py`."""

import re
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"<!-- example: (\S+) -->\n```\w+\n(.*?)```", README, re.DOTALL)


class Readme(unittest.TestCase):
    def test_shows_what_is_compiled_and_run(self):
        for name, text in EXAMPLES:
            with self.subTest(name):
                self.assertIn(text, (ROOT / name).read_text())

    def test_names_a_file_for_every_program(self):
        self.assertEqual(len(re.findall(r"```(?:cpp|cmake)\n", README)), len(EXAMPLES))
        self.assertIn("tests/consumer/find_package/main.cpp", dict(EXAMPLES))

    def test_shows_a_whole_program_of_less_than_40_lines(self):
        program = dict(EXAMPLES)["tests/consumer/find_package/main.cpp"]
        self.assertEqual(program, (ROOT / "tests/consumer/find_package/main.cpp").read_text())
        self.assertLess(program.count("\n"), 40)

    def test_names_files_that_are_there(self):
        for link in re.findall(r"\]\(((?!https?:)[^)#]+)\)", README):
            self.assertTrue((ROOT / link).exists(), link)
        for script in set(re.findall(r"^(scripts/\S+)", README, re.MULTILINE)):
            self.assertTrue((ROOT / script).exists(), script)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    unittest.main()
