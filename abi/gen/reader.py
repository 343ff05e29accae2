"""Reads abi/registry.json, abi/overlay.json and abi/protos.json into typed objects.

The only file that knows how the data is spelled. Everything suspicious is refused with the place of the fault,
written as a path into the data ("structs.PJRT_Program.fields[2].offset"), before a generator sees it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

SCALARS = {
    "bool": 1, "char": 1, "uint8_t": 1, "int": 4, "int32_t": 4, "uint32_t": 4, "float": 4,
    "int64_t": 8, "uint64_t": 8, "size_t": 8, "intptr_t": 8, "uintptr_t": 8, "double": 8,
}
OLDEST = (0, 57)  # the last reordering of PJRT_Api; everything older counts as present since then
DIRECTIONS = ("in", "out", "inout")


class BadRegistry(Exception):
    """A fault in the data. The text starts with the place of the fault."""

    def __init__(self, place: str, what: str):
        super().__init__(f"{place}: {what}")


def require(condition: object, place: str, what: str) -> None:
    if not condition:
        raise BadRegistry(place, what)


def parse_version(text: object, place: str) -> tuple[int, int]:
    require(isinstance(text, str) and re.fullmatch(r"\d+\.\d+", text), place, f"'{text}' is not a version MAJOR.MINOR")
    major, minor = text.split(".")
    return int(major), int(minor)


@dataclass
class UnionMember:
    name: str
    type: str
    size: int


@dataclass
class Field:
    name: str  # empty for an anonymous union
    type: str
    offset: int
    size: int
    direction: str
    since: tuple[int, int]
    union: list[UnionMember]


@dataclass
class Struct:
    name: str
    header: str
    sizeof: int
    struct_size: int
    fields: list[Field]

    def field(self, name: str) -> Field | None:
        return next((f for f in self.fields if f.name == name), None)

    @property
    def has_struct_size(self) -> bool:
        return bool(self.fields) and self.fields[0].name == "struct_size"


@dataclass
class Enum:
    name: str
    header: str
    values: list[tuple[str, int]]


@dataclass
class FunctionType:
    name: str
    header: str
    returns: str
    params: list[tuple[str, str]]  # (name, type)
    is_pointer: bool  # the name stands for a pointer to function already


@dataclass
class Function:
    name: str
    slot: int
    offset: int
    since: tuple[int, int]
    args: str
    returns: str


@dataclass
class ExtensionEntry:
    """One pointer-sized entry of an extension struct behind its base."""

    field: str
    offset: int
    type: str
    function: str | None  # name of its function type; None for data and for slots the API has withdrawn
    args: str | None
    returns: str | None


@dataclass
class Extension:
    type: int
    enumerator: str
    struct: str | None
    struct_size: int
    entries: list[ExtensionEntry]

    @property
    def name(self) -> str:
        return self.enumerator.removeprefix("PJRT_Extension_Type_")


@dataclass
class Ownership:
    """What the overlay knows beside the layout."""

    parents: dict[str, str]
    destroyed_by: dict[str, str]
    consumes: dict[str, list[str]]
    frees: dict[str, str]
    unchecked_size: list[str]


@dataclass
class Registry:
    api_version: tuple[int, int]
    ffi_version: tuple[int, int]
    constants: dict[str, int]
    enums: dict[str, Enum]
    handles: list[str]
    aliases: dict[str, str]
    function_types: dict[str, FunctionType]
    structs: dict[str, Struct]
    functions: list[Function]
    extensions: list[Extension]
    enumerators_since: dict[str, tuple[int, int]] = field(default_factory=dict)  # those that came after API 0.57
    ownership: Ownership = field(default_factory=lambda: Ownership({}, {}, {}, {}, []))


@dataclass
class ProtoField:
    number: int
    name: str
    type: str


@dataclass
class Protos:
    messages: dict[str, list[ProtoField]]
    enums: dict[str, list[tuple[int, str]]]


def base_type(text: str) -> str:
    """The named type under const and pointers; '' for function pointers and arrays, which are spelled out."""
    if "(" in text or "[" in text:
        return ""
    return text.replace("const", " ").replace("*", " ").strip()


class _Checker:
    def __init__(self, registry: Registry):
        self.r = registry

    def known(self, name: str) -> bool:
        r = self.r
        return (name in SCALARS or name == "void" or name in r.structs or name in r.enums or name in r.handles
                or name in r.function_types or name in r.aliases)

    def size_of(self, text: str, place: str) -> int:
        array = re.fullmatch(r"(\w+)\[(\d+)\]", text)
        if array:
            return self.size_of(array[1], place) * int(array[2])
        if "(*)" in text or text.endswith("*") or text.endswith("const"):
            return 8
        name = base_type(text)
        if name in SCALARS:
            return SCALARS[name]
        if name in self.r.enums:
            return 4
        if name in self.r.structs:
            return self.r.structs[name].sizeof
        if name in self.r.aliases:
            return self.size_of(self.r.aliases[name], place)
        function = self.r.function_types.get(name)
        require(function is not None and function.is_pointer, place, f"type '{text}' has no size")
        return 8

    def check_type(self, text: str, place: str) -> None:
        for word in re.findall(r"[A-Za-z_]\w*", text):
            require(word == "const" or self.known(word), place, f"unknown type '{word}'")

    def check_struct(self, s: Struct) -> None:
        place = f"structs.{s.name}"
        end = 0
        ends = {0}
        names: set[str] = set()
        for i, f in enumerate(s.fields):
            at = f"{place}.fields[{i}] ({f.name or 'union'})"
            require(f.name or f.union, at, "a field without a name must be a union")
            require(f.name not in names or not f.name, at, f"field '{f.name}' stands twice")
            names.add(f.name)
            require(f.offset >= end, f"{at}.offset", f"{f.offset} overlaps the field before it, which ends at {end}")
            if f.union:
                for j, m in enumerate(f.union):
                    self.check_type(m.type, f"{at}.union[{j}]")
                    size = self.size_of(m.type, f"{at}.union[{j}]")
                    require(size == m.size, f"{at}.union[{j}]", f"size {m.size}, but {m.type} has {size}")
                require(f.size == max(m.size for m in f.union), f"{at}.size", "is not that of its largest member")
            else:
                self.check_type(f.type, at)
                size = self.size_of(f.type, at)
                require(size == f.size, f"{at}.size", f"{f.size}, but {f.type} has {size}")
            align = min(8, f.size) if f.size in (1, 2, 4, 8) else self.alignment(f)
            require(f.offset % align == 0, f"{at}.offset", f"{f.offset} is not a multiple of {align}")
            require(f.offset - end < 8, f"{at}.offset", f"{f.offset} leaves a hole behind {end}")
            require(OLDEST <= f.since <= self.r.api_version, f"{at}.since", "lies outside the versions described")
            end = f.offset + f.size
            ends.add(end)
        require(s.sizeof >= end, f"{place}.sizeof", f"{s.sizeof}, but its fields end at {end}")
        require(s.sizeof - end < 8, f"{place}.sizeof", f"{s.sizeof} leaves more than padding behind {end}")
        require(s.struct_size in ends, f"{place}.struct_size", f"{s.struct_size} is the end of none of its fields")

    def alignment(self, f: Field) -> int:
        array = re.fullmatch(r"(\w+)\[(\d+)\]", f.type)
        if array:
            return self.size_of(array[1], f.name)
        return 8 if f.size % 8 == 0 else 4 if f.size % 4 == 0 else 1

    def check_enum(self, e: Enum) -> None:
        names = [n for n, _ in e.values]
        values = [v for _, v in e.values]
        require(len(set(names)) == len(names), f"enums.{e.name}", "an enumerator stands twice")
        require(len(set(values)) == len(values), f"enums.{e.name}", "two enumerators share a value")

    def check_functions(self) -> None:
        api = self.r.structs.get("PJRT_Api")
        require(api is not None, "structs", "PJRT_Api is missing")
        seen: set[str] = set()
        for i, f in enumerate(self.r.functions):
            place = f"functions[{i}] ({f.name})"
            require(f.slot == i, f"{place}.slot", f"{f.slot}, expected {i}")
            require(f.name not in seen, place, "stands twice")
            seen.add(f.name)
            slot = api.field(f.name)
            require(slot is not None, place, "has no slot in PJRT_Api")
            require(slot.offset == f.offset, f"{place}.offset", f"{f.offset}, but the slot in PJRT_Api is at {slot.offset}")
            require(f.args in self.r.structs, f"{place}.args", f"unknown struct '{f.args}'")
            require(self.r.structs[f.args].has_struct_size, f"{place}.args", "does not begin with struct_size")
            require(f.returns in ("void", "PJRT_Error *"), f"{place}.returns", f"unexpected '{f.returns}'")
            require(OLDEST <= f.since <= self.r.api_version, f"{place}.since", "lies outside the versions described")
        slots = [f.name for f in api.fields if f.name.startswith("PJRT_")]
        require(slots == [f.name for f in self.r.functions], "functions", "do not match the slots of PJRT_Api in order")

    def check_extensions(self) -> None:
        numbers = {v: n for n, v in self.r.enums["PJRT_Extension_Type"].values}
        require(sorted(numbers) == sorted(e.type for e in self.r.extensions), "extensions",
                "do not match the enumerators of PJRT_Extension_Type")
        for i, e in enumerate(self.r.extensions):
            place = f"extensions[{i}] ({e.name})"
            require(numbers[e.type] == e.enumerator, f"{place}.type", f"{e.type} is {numbers[e.type]}")
            if e.struct is None:
                continue
            require(e.struct in self.r.structs, f"{place}.struct", f"unknown struct '{e.struct}'")
            struct = self.r.structs[e.struct]
            require(struct.struct_size == e.struct_size, f"{place}.struct_size",
                    f"{e.struct_size}, but the struct says {struct.struct_size}")
            for j, entry in enumerate(e.entries):
                f = struct.field(entry.field)
                require(f is not None and f.offset == entry.offset, f"{place}.functions[{j}] ({entry.field})",
                        "does not match the struct")
                if entry.args is not None:
                    require(entry.args in self.r.structs, f"{place}.functions[{j}]", f"unknown struct '{entry.args}'")

    def check_ownership(self) -> None:
        o = self.r.ownership
        functions = {f.name for f in self.r.functions} | {
            en.function for e in self.r.extensions for en in e.entries if en.function}
        for child, parent in o.parents.items():
            require(child in self.r.handles or child in self.r.structs, f"overlay.parents.{child}", "unknown handle")
            require(parent in self.r.handles or parent == "PJRT_Api", f"overlay.parents.{child}", f"unknown '{parent}'")
        for handle, function in o.destroyed_by.items():
            require(handle in self.r.handles or handle in self.r.structs, f"overlay.destroyed_by.{handle}", "unknown handle")
            require(function in functions or function.startswith("PLUGIN_"), f"overlay.destroyed_by.{handle}",
                    f"unknown function '{function}'")
        for function, names in o.consumes.items():
            require(function in functions, f"overlay.consumes.{function}", "unknown function")
            for name in names:
                require(self.r.structs[f"{function}_Args"].field(name) is not None,
                        f"overlay.consumes.{function}", f"unknown field '{name}'")
        for path in o.frees:
            struct, _, name = path.partition(".")
            require(struct in self.r.structs and self.r.structs[struct].field(name) is not None,
                    f"overlay.frees.{path}", "unknown field")
        for function in o.unchecked_size:
            require(function in functions, f"overlay.unchecked_size.{function}", "unknown function")

    def run(self) -> None:
        for s in self.r.structs.values():
            self.check_struct(s)
        for e in self.r.enums.values():
            self.check_enum(e)
        for name, f in self.r.function_types.items():
            for param, type_ in [("returns", f.returns), *f.params]:
                self.check_type(type_, f"function_types.{name}.{param}")
        for name, target in self.r.aliases.items():
            self.check_type(target, f"aliases.{name}")
        self.check_functions()
        self.check_extensions()
        self.check_ownership()


def _load(path: Path) -> dict:
    def no_twins(pairs: list[tuple[str, object]]) -> dict:
        keys = [k for k, _ in pairs]
        twin = next((k for k in keys if keys.count(k) > 1), None) if len(set(keys)) != len(keys) else None
        require(twin is None, path.name, f"key '{twin}' stands twice")
        return dict(pairs)

    try:
        data = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=no_twins)
    except json.JSONDecodeError as e:
        raise BadRegistry(f"{path.name}:{e.lineno}:{e.colno}", e.msg) from e
    require(isinstance(data, dict), path.name, "is not a JSON object")
    return data


def _typed(value: object, kind: type, place: str):
    require(isinstance(value, kind) and not (kind is int and isinstance(value, bool)), place, f"is not of type {kind.__name__}")
    return value


def _get(data: object, key: str, kind: type, place: str):
    require(key in _typed(data, dict, place), place, f"'{key}' is missing")
    return _typed(data[key], kind, f"{place}.{key}")


def _rows(data: object, kinds: tuple[type, ...], place: str) -> list[tuple]:
    """A list of lists that each hold values of these types."""
    rows = []
    for i, row in enumerate(_typed(data, list, place)):
        at = f"{place}[{i}]"
        require(isinstance(row, list) and len(row) == len(kinds), at, f"is not a list of {len(kinds)} values")
        rows.append(tuple(_typed(value, kind, at) for value, kind in zip(row, kinds)))
    return rows


def _map(data: object, kind: type, place: str) -> dict:
    return {key: _typed(value, kind, f"{place}.{key}") for key, value in _typed(data, dict, place).items()}


def _list(data: object, kind: type, place: str) -> list:
    return [_typed(value, kind, f"{place}[{i}]") for i, value in enumerate(_typed(data, list, place))]


def _field(data: object, place: str) -> Field:
    direction = _typed(data, dict, place).get("dir", "in")
    require(isinstance(direction, str) and direction in DIRECTIONS, f"{place}.dir", f"'{direction}' is none of {', '.join(DIRECTIONS)}")
    since = parse_version(data["since"], f"{place}.since") if "since" in data else OLDEST
    union = [UnionMember(*m) for m in _rows(data.get("union", []), (str, str, int), f"{place}.union")]
    return Field(_get(data, "name", str, place), _get(data, "type", str, place), _get(data, "offset", int, place),
                 _get(data, "size", int, place), direction, since, union)


def _entry(data: dict, place: str, function_types: dict[str, FunctionType]) -> ExtensionEntry:
    type_ = _get(data, "type", str, place)
    function = function_types.get(base_type(type_))
    args = None
    if function is not None and len(function.params) == 1:
        args = base_type(function.params[0][1])
    return ExtensionEntry(_get(data, "field", str, place), _get(data, "offset", int, place), type_,
                          function.name if function else None, args, function.returns if function else None)


def read_registry(path: Path, overlay: Path | None = None) -> Registry:
    data = _load(path)
    top = path.name
    structs = {}
    for name, s in _get(data, "structs", dict, top).items():
        place = f"structs.{name}"
        fields = [_field(f, f"{place}.fields[{i}]") for i, f in enumerate(_get(s, "fields", list, place))]
        structs[name] = Struct(name, _get(s, "header", str, place), _get(s, "sizeof", int, place),
                               _get(s, "struct_size", int, place), fields)
    enums = {n: Enum(n, _get(e, "header", str, f"enums.{n}"), _rows(_get(e, "values", list, f"enums.{n}"), (str, int), f"enums.{n}.values"))
             for n, e in _get(data, "enums", dict, top).items()}
    function_types = {
        n: FunctionType(n, _get(f, "header", str, f"function_types.{n}"), _get(f, "returns", str, f"function_types.{n}"),
                        _rows(_get(f, "params", list, f"function_types.{n}"), (str, str), f"function_types.{n}.params"),
                        _get(f, "is_pointer", bool, f"function_types.{n}"))
        for n, f in _get(data, "function_types", dict, top).items()}
    functions = []
    for i, f in enumerate(_get(data, "functions", list, top)):
        place = f"functions[{i}]"
        functions.append(Function(_get(f, "name", str, place), _get(f, "slot", int, place), _get(f, "offset", int, place),
                                  parse_version(f.get("since"), f"{place}.since"), _get(f, "args", str, place),
                                  _get(f, "returns", str, place)))
    extensions = []
    for i, e in enumerate(_get(data, "extensions", list, top)):
        place = f"extensions[{i}]"
        number, enumerator = _get(e, "type", int, place), _get(e, "enumerator", str, place)
        struct = _get(e, "struct", str, place) if e.get("struct") is not None else None
        size = _get(e, "struct_size", int, place) if struct is not None else 0
        entries = [_entry(x, f"{place}.functions[{j}]", function_types)
                   for j, x in enumerate(_typed(e.get("functions", []), list, f"{place}.functions"))]
        extensions.append(Extension(number, enumerator, struct, size, entries))
    registry = Registry(parse_version(data.get("pjrt_api_version"), f"{top}.pjrt_api_version"),
                        parse_version(data.get("xla_ffi_api_version"), f"{top}.xla_ffi_api_version"),
                        _map(_get(data, "constants", dict, top), int, "constants"), enums,
                        _list(_get(data, "handles", list, top), str, "handles"),
                        _map(_get(data, "aliases", dict, top), str, "aliases"), function_types, structs, functions, extensions)
    if overlay is not None:
        _apply_overlay(registry, _load(overlay))
    _Checker(registry).run()
    return registry


def _apply_overlay(registry: Registry, data: dict) -> None:
    for struct, fields in _get(data, "directions", dict, "overlay").items():
        require(struct in registry.structs, f"overlay.directions.{struct}", "unknown struct")
        for name, direction in _map(fields, str, f"overlay.directions.{struct}").items():
            place = f"overlay.directions.{struct}.{name}"
            f = registry.structs[struct].field(name)
            require(f is not None, place, "unknown field")
            require(direction in DIRECTIONS, place, f"'{direction}' is none of {', '.join(DIRECTIONS)}")
            require(f.direction == "in", place, f"the registry says '{f.direction}' already")
            f.direction = direction
    enumerators = {name for e in registry.enums.values() for name, _ in e.values}
    for name, since in _get(data, "enumerators_since", dict, "overlay").items():
        require(name in enumerators, f"overlay.enumerators_since.{name}", "unknown enumerator")
        registry.enumerators_since[name] = parse_version(since, f"overlay.enumerators_since.{name}")
    consumes = _get(data, "consumes", dict, "overlay")
    registry.ownership = Ownership(
        _map(_get(data, "parents", dict, "overlay"), str, "overlay.parents"),
        _map(_get(data, "destroyed_by", dict, "overlay"), str, "overlay.destroyed_by"),
        {function: _list(names, str, f"overlay.consumes.{function}") for function, names in consumes.items()},
        _map(_get(data, "frees", dict, "overlay"), str, "overlay.frees"),
        _list(_get(data, "unchecked_size", list, "overlay"), str, "overlay.unchecked_size"))


def read_protos(path: Path) -> Protos:
    data = _load(path)
    messages: dict[str, list[ProtoField]] = {}
    for name, fields in _get(data, "messages", dict, path.name).items():
        numbers: set[int] = set()
        names: set[str] = set()
        messages[name] = []
        for i, (number, field_name, type_) in enumerate(_rows(fields, (object, str, str), f"{path.name}.messages.{name}")):
            place = f"{path.name}.messages.{name}[{i}]"
            if field_name == "(oneof data)":
                continue
            require(isinstance(number, int) and not isinstance(number, bool) and 0 < number < 1 << 29, place, f"bad field number {number}")
            require(number not in numbers, place, f"field number {number} stands twice")
            require(field_name not in names, place, f"field '{field_name}' stands twice")
            numbers.add(number)
            names.add(field_name)
            messages[name].append(ProtoField(number, field_name, type_))
    return Protos(messages, {n: _rows(e, (int, str), f"{path.name}.enums.{n}") for n, e in _get(data, "enums", dict, path.name).items()})
