"""The library as a part of another project's build, by FetchContent. Configures; tests/consumer/use.cmake builds one such project."""

import json
import sys
import unittest

from package import CXX, ROOT, WORK, empty, run


class FetchContent(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.build = empty(WORK)
        cls.output = run("cmake", "-G", "Ninja", "-S", ROOT / "tests/consumer/fetch_content", "-B", cls.build, f"-DPJRT_SOURCE={ROOT}", f"-DCMAKE_CXX_COMPILER={CXX}",
                         "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON")
        cls.commands = {c["file"].removeprefix(f"{ROOT}/"): c["command"] for c in json.loads((cls.build / "compile_commands.json").read_text())}

    def test_brings_the_libraries_and_nothing_else(self):
        """No tests, benchmarks, examples, or command, and nothing to install."""
        folders = {f.split("/")[0] for f in self.commands if not f.startswith("tests/consumer")}
        self.assertEqual(folders, {"src"})
        self.assertFalse(list(self.build.glob("**/pjrt-config.cmake")))

    def test_is_compiled_as_cpp_23_in_a_project_of_17(self):
        for file, command in self.commands.items():
            self.assertRegex(command, r"-std=(gnu|c)\+\+(23|2b)", file)

    def test_marks_its_exports_for_those_who_use_it(self):
        self.assertIn("-DPJRT_SHARED", self.commands["tests/consumer/linking/module.cpp"])

    def test_warns_of_nothing(self):
        self.assertNotIn("Warning", self.output)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    unittest.main()
