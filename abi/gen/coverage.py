"""docs/coverage.md and docs/matrix.md: every C function, its C++ home, and where it was called.

The C++ homes are read from the public headers' own words ("Wraps PJRT_X, since 0.NN"); what was called where comes from docs/calls.tsv, which
`scripts/coverage` writes from the counter between the tests and the plugins. A function without a home, a home that names a
function there is not, and a wrong `since` are faults.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from emit import MARK, version_text
from reader import OLDEST, BadRegistry, Registry

PLUGINS = ["cpu", "cpu-0.106", "cpu-0.81", "tpu", "cuda"]
TITLES = {"cpu": "CPU 0.115", "cpu-0.106": "CPU 0.106", "cpu-0.81": "CPU 0.81", "tpu": "TPU 0.117, no TPU", "cuda": "CUDA 0.116, no GPU", "fake": "fake"}


@dataclass
class Calls:
    tests: int = 0
    worked: int = 0
    unimplemented: int = 0
    failed: int = 0
    suites: list[str] = field(default_factory=list)


def read_calls(path: Path) -> dict[str, dict[str, Calls]]:
    """function -> plugin -> what happened."""
    calls: dict[str, dict[str, Calls]] = defaultdict(dict)
    if not path.exists():
        return calls
    for line in path.read_text().splitlines()[1:]:
        function, plugin, tests, worked, unimplemented, failed, suites = line.split("\t")
        calls[function][plugin] = Calls(int(tests), int(worked), int(unimplemented), int(failed), suites.split(","))
    return calls


def _declared_name(code: str) -> str | None:
    """The name a declaration introduces: a function's, or a class's."""
    kind = re.match(r"(?:template <.*?>\s*)?(?:class|struct|using) (?:PJRT_EXPORT )?(\w+)", code)
    if kind:
        return kind[1]
    function = re.search(r"(operator\(\)|operator\[\]|~?\w+)\s*\(", code.removeprefix("explicit "))
    return function[1] if function else None


def read_homes(include: Path) -> dict[str, list[tuple[str, str | None]]]:
    """C function -> [(C++ name, the `since` its doc says)]."""
    homes: dict[str, list[tuple[str, str | None]]] = defaultdict(list)
    for header in sorted(include.rglob("*.hpp")):
        if "abi" in header.relative_to(include).parts[:1]:
            continue
        scope: list[tuple[int, str]] = []  # (indentation, class)
        doc: list[str] = []
        for line in header.read_text().splitlines():
            text = line.strip()
            if text.startswith("///"):
                doc.append(text[3:].strip())
                continue
            if not text or text.startswith(("//", "#", "template <", "requires", "[[")):
                continue
            indent = len(line) - len(line.lstrip())
            scope = [s for s in scope if s[0] < indent]
            name = _declared_name(text)
            is_class = re.match(r"(?:class|struct) (?:PJRT_EXPORT )?\w+(?: final)?(?: :.*)? \{", text) is not None
            if doc and name:
                owner = "::".join(s[1] for s in scope)
                full = f"{name}::~{name}" if is_class else f"{owner}::{name}" if owner else name
                words = " ".join(doc)
                for part in re.findall(r"(?:Wraps|Reads) ((?:(?!\.\s|\.$).)*)", words):
                    since = re.search(r"since (\d+\.\d+)", part)
                    for function in re.findall(r"\b(?:PJRT|PLUGIN)_\w+(?:\.\w+)?", part):
                        own = re.search(re.escape(function) + r"\s*\(since (\d+\.\d+)\)", part)
                        homes[function].append((full, (own or since or [None, None])[1]))
            if is_class:
                scope.append((indent, name))
            doc = []
    return homes


def _outcome(calls: Calls | None, absent: bool) -> str:
    if absent:
        return "absent"
    if calls is None:
        return ""
    if calls.worked:
        return "worked"
    return "unimplemented" if calls.unimplemented and not calls.failed else "failed cleanly"


def _absent(since: tuple[int, int], plugin: str) -> bool:
    version = {"cpu": (0, 115), "cpu-0.106": (0, 106), "cpu-0.81": (0, 81), "tpu": (0, 117), "cuda": (0, 116)}[plugin]
    return since > version


def _row_names(registry: Registry) -> list[tuple[str, list[tuple[str, str, tuple[int, int] | None]]]]:
    """Sections of (display name, function, since)."""
    sections = [("Core", [(f.name, f.name, f.since) for f in registry.functions])]
    for e in registry.extensions:
        if e.entries:
            sections.append((f"{e.name} (extension {e.type})",
                             [(en.function if en.args else f"{e.struct}.{en.field}", en.function if en.args else f"{e.struct}.{en.field}", None)
                              for en in e.entries]))
    return sections


def generate(registry: Registry, root: Path) -> dict[str, str]:
    homes = read_homes(root / "include/pjrt")
    calls = read_calls(root / "docs/calls.tsv")
    since_of = {f.name: f.since for f in registry.functions}
    known = {function for _, rows in _row_names(registry) for _, function, _ in rows}
    for function, found in homes.items():
        if function.startswith(("PJRT_KeyValue", "PJRT_Api_Version", "PLUGIN_")):
            continue
        if function not in known:
            raise BadRegistry(f"include/pjrt ({found[0][0]})", f"wraps {function}, which the registry does not have")
        wanted = since_of.get(function, OLDEST)
        for name, since in found:
            if function in since_of and since != (version_text(wanted) if wanted != OLDEST else None):
                raise BadRegistry(f"include/pjrt ({name})", f"says {function} is since {since}, the registry {version_text(wanted)}")

    banner = f"<!-- {MARK}coverage.py from the registry, the headers and docs/calls.tsv. Do not edit; run `python3 abi/gen`. -->\n"
    out = [banner, "# Coverage of the C API\n\n",
           "Every function of the PJRT C API 0.114 and of its extensions, the C++ function that wraps it, and the plugins on which the tests call it, with the\n"
           "number of tests. Made by `scripts/coverage`, which runs the tests with a counter between them and the plugins.\n\n"]
    matrix = [banner, "# What the plugins do\n\n",
              "For each function what came back when the tests called it through the library: *worked* (at least once), *unimplemented*, *failed cleanly* (only\n"
              "other errors: no hardware, or a misuse that the test is about), *absent* (newer than the plugin). Empty: not called there. Made by `scripts/coverage`.\n\n"]
    summary = []
    details = []
    for title, rows in _row_names(registry):
        wrapped = sum(1 for _, function, _ in rows if function in homes)
        real = sum(1 for _, function, _ in rows if any(p in calls.get(function, {}) for p in PLUGINS))
        fake = sum(1 for _, function, _ in rows if "fake" in calls.get(function, {}) and not any(p in calls.get(function, {}) for p in PLUGINS))
        summary.append((title, len(rows), wrapped, real, fake))
        details.append(f"\n## {title}: {wrapped} of {len(rows)}\n\n| C | C++ | since | called on | tests |\n|---|---|---|---|---|\n")
        matrix.append(f"\n## {title}\n\n| | {' | '.join(TITLES[p] for p in PLUGINS)} |\n|---|{'---|' * len(PLUGINS)}\n")
        for display, function, since in rows:
            names = ", ".join(dict.fromkeys(f"`{n}`" for n, _ in homes.get(function, [])))
            where = calls.get(function, {})
            called = ", ".join(f"{TITLES[p].split(',')[0]} ({where[p].tests})" for p in [*PLUGINS, "fake"] if p in where)
            suites = list(dict.fromkeys(s for p in [*PLUGINS, "fake"] if p in where for s in where[p].suites))
            tests = ", ".join(suites[:3]) + (f" and {len(suites) - 3} more" if len(suites) > 3 else "")
            details.append(f"| {display} | {names or '**missing**'} | {version_text(since) if since and since != OLDEST else ''} | {called} | {tests} |\n")
            cells = [_outcome(where.get(p), since is not None and _absent(since, p)) for p in PLUGINS]
            matrix.append(f"| {display} | {' | '.join(cells)} |\n")
    core, extensions = summary[0], summary[1:]
    total = ["| | functions | wrapped | called on a real plugin | only on the fake one |\n|---|---|---|---|---|\n",
             f"| core | {core[1]} | {core[2]} | {core[3]} | {core[4]} |\n",
             f"| extensions | {' | '.join(str(sum(s[i] for s in extensions)) for i in (1, 2, 3, 4))} |\n"]
    return {"docs/coverage.md": "".join(out + total + details), "docs/matrix.md": "".join(matrix)}
