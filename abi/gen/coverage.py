"""docs/coverage.md and docs/matrix.md: every C function, its C++ home, and where it was called.

The C++ homes are read from the public headers' own words ("Wraps PJRT_X, since 0.NN"). What was called where comes from docs/calls.tsv, which
`scripts/coverage` writes from the counter between the tests and the plugins; what a plugin has at all from docs/plugins.tsv, where the same
script puts what `pjrt info` says. A function without a home, a home that names a function there is not, and a wrong `since` are faults.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from emit import MARK, version_text
from reader import OLDEST, BadRegistry, Registry

# The columns of the matrix.
PLUGINS = ["cpu", "cpu-0.106", "cpu-0.81", "tpu", "cuda"]
FAKE = "fake"


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


@dataclass
class Presence:
    """What a plugin has."""

    version: str = ""
    absent: set[str] = field(default_factory=set)  # core functions
    extensions: dict[str, int] = field(default_factory=dict)  # name -> how many of its entries, from the first


def read_plugins(path: Path) -> dict[str, Presence]:
    plugins: dict[str, Presence] = defaultdict(Presence)
    if not path.exists():
        return plugins
    for line in path.read_text().splitlines()[1:]:
        plugin, what, name, count = line.split("\t")
        if what == "version":
            plugins[plugin].version = name
        elif what == "absent":
            plugins[plugin].absent.add(name)
        else:
            plugins[plugin].extensions[name] = int(count)
    return plugins


def _title(plugin: str, plugins: dict[str, Presence]) -> str:
    if plugin == FAKE:
        return FAKE
    platform = plugin.split("-")[0].upper()
    return f"{platform} {plugins[plugin].version}"


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
            text = line.strip().removeprefix("[[nodiscard]] ")
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


@dataclass
class Row:
    function: str  # the C function, or Struct.field for what is none
    since: str
    extension: str = ""
    index: int = 0

    def absent(self, plugin: Presence) -> bool:
        if self.extension:
            return self.index >= plugin.extensions.get(self.extension, 0)
        return self.function in plugin.absent


def _sections(registry: Registry) -> list[tuple[str, list[Row]]]:
    sections = [("Core", [Row(f.name, version_text(f.since) if f.since != OLDEST else "") for f in registry.functions])]
    for e in registry.extensions:
        if e.entries:
            sections.append((f"{e.name} (extension {e.type})",
                             [Row(en.function if en.args else f"{e.struct}.{en.field}", "", e.name, i) for i, en in enumerate(e.entries)]))
    return sections


def _check_homes(homes: dict[str, list[tuple[str, str | None]]], registry: Registry) -> None:
    since_of = {f.name: version_text(f.since) if f.since != OLDEST else None for f in registry.functions}
    known = {row.function for _, rows in _sections(registry) for row in rows}
    for function, found in homes.items():
        if function.startswith(("PJRT_KeyValue", "PJRT_Api_Version", "PLUGIN_")):
            continue
        if function not in known:
            raise BadRegistry(f"include/pjrt ({found[0][0]})", f"wraps {function}, which the registry does not have")
        for name, since in found:
            if function in since_of and since != since_of[function]:
                raise BadRegistry(f"include/pjrt ({name})", f"says {function} is since {since}, the registry {since_of[function] or 'always'}")


def generate(registry: Registry, root: Path) -> dict[str, str]:
    homes = read_homes(root / "include/pjrt")
    _check_homes(homes, registry)
    calls = read_calls(root / "docs/calls.tsv")
    plugins = read_plugins(root / "docs/plugins.tsv")

    banner = f"<!-- {MARK}coverage.py from the registry, the headers, docs/calls.tsv and docs/plugins.tsv. Do not edit; run `python3 abi/gen`. -->\n"
    coverage = [banner, "# Coverage of the C API\n\n",
                "Every function of the PJRT C API 0.114 and of its extensions, the C++ function that wraps it, the API version since when there is one\n"
                "(empty: 0.57 or before), the plugins on which the tests call it with the number of tests, and the suites they are in. Made by\n"
                "`scripts/coverage`, which runs the tests with a counter between them and the plugins.\n\n"]
    matrix = [banner, "# What the plugins do\n\n",
              "For each function what came back when the tests called it through the library: *worked* (at least once), *unimplemented*, *failed cleanly* (only\n"
              "other errors: no hardware, or a misuse that the test is about), *absent* (the plugin's table or its extensions lack it). Empty: not called there;\n"
              "without a TPU or GPU there is no client of those plugins to call most functions with. Made by `scripts/coverage`.\n"]
    summary = []
    details = []
    for title, rows in _sections(registry):
        wrapped = sum(1 for row in rows if row.function in homes)
        real = sum(1 for row in rows if set(calls.get(row.function, {})) - {FAKE})
        fake = sum(1 for row in rows if set(calls.get(row.function, {})) == {FAKE})
        summary.append((len(rows), wrapped, real, fake))
        details.append(f"\n## {title}: {wrapped} of {len(rows)}\n\n| C | C++ | since | called on | tests |\n|---|---|---|---|---|\n")
        matrix.append(f"\n## {title}\n\n| | {' | '.join(_title(p, plugins) for p in PLUGINS)} |\n|---|{'---|' * len(PLUGINS)}\n")
        for row in rows:
            names = ", ".join(dict.fromkeys(f"`{n}`" for n, _ in homes.get(row.function, [])))
            where = calls.get(row.function, {})
            order = [p for p in PLUGINS if p in where] + sorted(p for p in where if p not in PLUGINS and p != FAKE) + [p for p in where if p == FAKE]
            called = ", ".join(f"{_title(p, plugins)} ({where[p].tests})" for p in order)
            if "." in row.function:
                called = "read only: data, or withdrawn by the plugins"
            suites = list(dict.fromkeys(s for p in order for s in where[p].suites))
            tests = ", ".join(suites[:3]) + (f" and {len(suites) - 3} more" if len(suites) > 3 else "")
            details.append(f"| {row.function} | {names or '**missing**'} | {row.since} | {called} | {tests} |\n")
            cells = [_outcome(where.get(p), p in plugins and row.absent(plugins[p])) for p in PLUGINS]
            matrix.append(f"| {row.function} | {' | '.join(cells)} |\n")
    core, extensions = summary[0], summary[1:]
    total = ["| | functions | wrapped | called on a real plugin | only on the fake one |\n|---|---|---|---|---|\n",
             f"| core | {' | '.join(map(str, core))} |\n",
             f"| extensions | {' | '.join(str(sum(s[i] for s in extensions)) for i in range(4))} |\n"]
    return {"docs/coverage.md": "".join(coverage + total + details), "docs/matrix.md": "".join(matrix)}
