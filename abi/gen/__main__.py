"""Generates everything that follows from the registry: `python3 abi/gen` writes it, `python3 abi/gen --verify` only compares.

--verify is byte-exact and also fails on a missing file and on an orphan: a file that bears the banner but that no
generator makes any more.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path

import coverage
import declarations
import functions
import layout_asserts
import proto_fields
import tables
from emit import MARK
from reader import BadRegistry, read_protos, read_registry

ROOT = Path(__file__).resolve().parents[2]
SEARCHED = ("include", "src", "tests", "docs", "cli")


def generate_all(abi: Path, root: Path) -> dict[str, str]:
    registry = read_registry(abi / "registry.json", abi / "overlay.json")
    outputs: dict[str, str] = {}
    for module in (declarations, layout_asserts, tables, functions):
        outputs.update(module.generate(registry))
    protos = read_protos(abi / "protos.json")
    outputs.update(proto_fields.generate(protos))
    outputs.update(proto_fields.debug_options(protos))
    if (root / "include/pjrt/plugin.hpp").exists():  # a whole project, not only its data
        outputs.update(coverage.generate(registry, root))
    return outputs


def orphans(root: Path, outputs: dict[str, str]) -> list[str]:
    found = []
    for folder in SEARCHED:
        for path in sorted((root / folder).rglob("*")):
            if not path.is_file() or path.suffix not in (".h", ".hpp", ".cpp", ".inc", ".md"):
                continue
            name = path.relative_to(root).as_posix()
            with path.open("rb") as f:
                if MARK.encode() in f.read(256) and name not in outputs:
                    found.append(name)
    return found


def verify(root: Path, outputs: dict[str, str]) -> list[str]:
    faults = []
    for name, text in outputs.items():
        path = root / name
        if not path.exists():
            faults.append(f"{name}: missing")
        elif path.read_bytes() != text.encode():
            diff = difflib.unified_diff(path.read_text(errors="replace").splitlines(), text.splitlines(),
                                        f"{name} (committed)", f"{name} (generated)", lineterm="", n=1)
            faults.append(f"{name}: differs from what the registry says\n" + "\n".join(list(diff)[:20]))
    return faults + [f"{name}: orphan, no generator makes it" for name in orphans(root, outputs)]


def main() -> int:
    parser = argparse.ArgumentParser(prog="abi/gen", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--verify", action="store_true", help="compare with the committed files instead of writing")
    parser.add_argument("--root", type=Path, default=ROOT, help="the project (default: this one)")
    parser.add_argument("--abi", type=Path, default=None, help="the folder with the data (default: ROOT/abi)")
    args = parser.parse_args()
    try:
        outputs = generate_all(args.abi or args.root / "abi", args.root)
    except BadRegistry as e:
        print(f"abi/gen: {e}", file=sys.stderr)
        return 2
    if args.verify:
        faults = verify(args.root, outputs)
        for fault in faults:
            print(f"abi/gen: {fault}", file=sys.stderr)
        print(f"abi/gen: {len(outputs)} files, {len(faults)} faults")
        return 1 if faults else 0
    for name, text in outputs.items():
        path = args.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != text.encode():
            path.write_bytes(text.encode())
            print(f"wrote {name}")
    for name in orphans(args.root, outputs):
        print(f"orphan: {name}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
