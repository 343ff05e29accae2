"""The shared package: it runs from any prefix and exports what is listed. `CXX=c++ WORK=/tmp/work BUILD=unused python3 tests/consumer/shared_test.py`."""

import importlib.machinery
import importlib.util
import re
import shutil
import sys
import unittest

from package import CXX, DIGITS, ROOT, WORK, Linking, install, run

sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader("exported_symbols", str(ROOT / "scripts/exported-symbols"))
exported_symbols = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
loader.exec_module(exported_symbols)


class Shared(Linking):
    @classmethod
    def setUpClass(cls):
        build = WORK / "build"
        build.mkdir(parents=True, exist_ok=True)  # kept from run to run
        options = ["BUILD_SHARED_LIBS=ON", "CMAKE_CXX_FLAGS=-O0", "PJRT_BUILD_TESTS=OFF", "PJRT_BUILD_BENCH=OFF", "PJRT_BUILD_EXAMPLES=OFF", f"CMAKE_CXX_COMPILER={CXX}"]
        run("cmake", "-G", "Ninja", "-S", ROOT, "-B", build, *(f"-D{o}" for o in options))
        run("cmake", "--build", build, "-j2")
        install(WORK / "first", build)
        cls.prefix = WORK / "a prefix with spaces"
        shutil.rmtree(cls.prefix, ignore_errors=True)
        (WORK / "first").rename(cls.prefix)
        cls.libraries = next(cls.prefix.glob("**/libpjrt_core.so")).parent
        cls.project = WORK / "project"
        cls.configure()

    def test_the_command_runs_from_where_it_was_moved(self):
        command = self.prefix / "bin/pjrt"
        self.assertIn("run", run(command, "--help"))
        libraries = dict(re.findall(r"(libpjrt_\w+)\.so\S* => (.*?) \(", run("ldd", command)))
        self.assertEqual(set(libraries), {"libpjrt_core", "libpjrt_model"})
        for path in libraries.values():
            self.assertTrue(path.startswith(str(self.prefix)), path)

    def test_the_libraries_find_each_other(self):
        for library in self.libraries.glob("*.so"):
            self.assertNotIn("not found", run("ldd", library))

    def test_nothing_names_the_folder_it_was_built_in(self):
        for file in [self.prefix / "bin/pjrt", *self.libraries.glob("*.so")]:
            self.assertRegex(run("readelf", "-d", file), r"RUNPATH.*\[\$ORIGIN(/\.\./lib\w*)?\]|RPATH.*\[\$ORIGIN")

    def test_is_named_by_the_versions_that_are_compatible(self):
        major, minor, patch = re.findall(r"#define PJRT_CPP_VERSION_\w+ (\d+)", (ROOT / "include/pjrt/version.hpp").read_text())
        for name in exported_symbols.LIBRARIES:
            self.assertIn(f"[lib{name}.so.{major}.{minor}]", run("readelf", "-d", self.libraries / f"lib{name}.so"))
            self.assertTrue((self.libraries / f"lib{name}.so.{major}.{minor}.{patch}").is_file())

    def test_exports_what_is_listed(self):
        """After a change of the public interface: scripts/exported-symbols."""
        for name in exported_symbols.LIBRARIES:
            listed = (exported_symbols.LISTS / f"{name}.txt").read_text().splitlines()
            self.assertEqual(exported_symbols.exported(self.libraries / f"lib{name}.so"), listed)

    def test_exports_nothing_but_the_namespace(self):
        for name in exported_symbols.LIBRARIES:
            others = [s for _, s in exported_symbols.symbols(self.libraries / f"lib{name}.so") if not re.match(r"_Z(T[ISV])?NK?[RO]?4pjrt", s)]
            self.assertEqual(others, [])

    def test_is_linked_by_pkg_config(self):
        self.links_npz_by_pkg_config()

    def test_is_linked_by_find_package(self):
        self.build("npz", "module", "hidden", "host")
        self.assertEqual(run(self.project / "npz", ROOT / "models/ode/inputs.npz"), "read\n")
        self.reads_digits(self.project / "hidden", DIGITS)
        self.reads_digits(self.project / "host", DIGITS, self.project / "libmodule.so")

    def test_users_need_no_libzip(self):
        """Neither its headers nor its development files: it is the library's own affair."""
        self.assertNotIn("zip", (next(self.prefix.glob("**/pjrt-model-targets.cmake"))).read_text())


if __name__ == "__main__":
    unittest.main()
