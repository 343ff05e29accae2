"""What the tests of the package share: how to install a build and to use the result. Reads BUILD, CXX and WORK from the environment."""

import os
import shlex
import shutil
import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests/consumer/linking"
DIGITS = ROOT / "models/digits"
LABELS = "0 1 2 3 4 5 6 7 8 9"  # of models/digits/images.npy, as the data set's labels.npy has them
BUILD = Path(os.environ["BUILD"])
CXX = os.environ["CXX"]
WORK = Path(os.environ["WORK"])
HAS_PLUGIN = (ROOT / ".plugins/cpu").exists()
ENVIRONMENT = {k: v for k, v in os.environ.items() if k not in ("LD_LIBRARY_PATH", "DESTDIR")} | {"PJRT_PLUGIN_PATH": str(ROOT / ".plugins")}


def run(*command: object, **kwargs: object) -> str:
    """Standard output; fails with all that was written if the command fails."""
    environment = ENVIRONMENT | {k: str(v) for k, v in kwargs.pop("env", {}).items()}
    result = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, env=environment, **kwargs)
    if result.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: exit status {result.returncode}\n{result.stdout}")
    return result.stdout


def empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def install(prefix: Path, build: Path = BUILD) -> Path:
    shutil.rmtree(prefix, ignore_errors=True)
    run("cmake", "--install", build, "--prefix", prefix)
    return prefix


def pkg_config(prefix: Path, *arguments: str) -> list[str]:
    folder = next(prefix.glob("**/pjrt-core.pc")).parent
    return shlex.split(run("pkg-config", *arguments, env={"PKG_CONFIG_PATH": folder}))


class Linking(unittest.TestCase):
    """Programs and modules that link the package in `prefix`, by CMake and by pkg-config."""

    prefix: Path
    project: Path

    @classmethod
    def configure(cls, cxx: str = CXX) -> None:
        shutil.rmtree(cls.project, ignore_errors=True)
        run("cmake", "-G", "Ninja", "-S", HERE, "-B", cls.project, f"-DCMAKE_CXX_COMPILER={cxx}", f"-DCMAKE_PREFIX_PATH={cls.prefix}", "-DCMAKE_CXX_FLAGS=-O0",
            f"-DCMAKE_CXX_COMPILER_LAUNCHER={shutil.which('ccache') or ''}")

    def build(self, *targets: str) -> None:
        run("cmake", "--build", self.project, "-j2", "--target", *targets)

    def reads_digits(self, *command: object) -> None:
        """Whether every line that a program writes is the ten labels."""
        if not HAS_PLUGIN:
            self.skipTest("the plugin cpu was not fetched (scripts/fetch-plugins)")
        lines = [line.strip() for line in run(*command).splitlines()]
        self.assertEqual(set(lines), {LABELS})

    def links_npz_by_pkg_config(self, *arguments: str) -> None:
        program = self.project / "npz-by-pkg-config"
        run(CXX, "-std=c++23", "-O0", HERE / "npz.cpp", *pkg_config(self.prefix, "--cflags", "--libs", *arguments, "pjrt-model"), "-o", program)
        environment = {"LD_LIBRARY_PATH": next(self.prefix.glob("**/libpjrt_model.*")).parent}  # as if installed where the loader looks
        self.assertEqual(run(program, ROOT / "models/ode/inputs.npz", env=environment), "read\n")
