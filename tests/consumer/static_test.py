"""The static package, as other projects link it. `BUILD=build/release CXX=c++ WORK=/tmp/work python3 tests/consumer/static_test.py`."""

import shutil
import sys
import unittest

from package import BUILD, CXX, DIGITS, HERE, ROOT, WORK, Linking, empty, install, pkg_config, run


class Static(Linking):
    @classmethod
    def setUpClass(cls):
        empty(WORK)
        install(WORK / "first")
        cls.prefix = WORK / "a prefix with spaces"  # what is installed may be moved
        (WORK / "first").rename(cls.prefix)
        cls.project = WORK / "project"
        cls.configure()

    def test_pkg_config_links_alone(self):
        self.links_npz_by_pkg_config()

    def test_pkg_config_links_with_static(self):
        self.links_npz_by_pkg_config("--static")

    def test_pkg_config_asks_for_nothing_that_a_shared_libzip_brings(self):
        for arguments in ((), ("--static",)):
            libraries = [a for a in pkg_config(self.prefix, "--libs", *arguments, "pjrt-model") if a.startswith("-l")]
            self.assertLessEqual(set(libraries), {"-lpjrt_model", "-lpjrt_core", "-lzip", "-ldl", "-lpthread"})

    def test_find_package_links_alone(self):
        self.build("npz")
        self.assertEqual(run(self.project / "npz", ROOT / "models/ode/inputs.npz"), "read\n")

    def test_goes_into_shared_libraries_and_modules_which_can_be_closed_and_be_several(self):
        self.build("shared", "module", "host")
        self.reads_digits(self.project / "host", DIGITS, self.project / "libshared.so", self.project / "libmodule.so")

    def test_modules_export_nothing_of_it(self):
        """Two modules with two versions of the library do not take each other's functions."""
        self.build("module")
        names = run("nm", "-DC", "--defined-only", self.project / "libmodule.so").splitlines()
        ours = [n for n in names if " pjrt::" in n and " T " in n]
        self.assertEqual(ours, [])

    def test_goes_with_other_flags(self):
        for way in ("no_rtti", "no_exceptions", "hidden", "lto", "warnings"):
            with self.subTest(way):
                self.build(way)
                self.reads_digits(self.project / way, DIGITS)

    def test_goes_with_the_other_compiler(self):
        other = next((c for c in ("clang++-19", "clang++-20", "clang++") if shutil.which(c) and c != CXX), None)
        if other is None:
            self.skipTest("there is no other compiler")
        program = self.project / "by-other-compiler"
        sources = [HERE / f"{f}.cpp" for f in ("module", "main")]
        run(other, "-std=c++23", *sources, *pkg_config(self.prefix, "--cflags", "--libs", "pjrt-model"), "-o", program)
        self.reads_digits(program, DIGITS)

    def test_is_staged_below_destdir(self):
        stage = empty(WORK / "stage")
        run("cmake", "--install", BUILD, "--prefix", "/opt/pjrt", env={"DESTDIR": stage})
        self.assertEqual([p.name for p in stage.iterdir()], ["opt"])
        self.assertTrue(list(stage.glob("opt/pjrt/lib*/**/pjrt-config.cmake")))
        self.assertNotIn(str(stage), next(stage.glob("**/pjrt-model.pc")).read_text())


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    unittest.main()
