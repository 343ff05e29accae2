"""src/proto/fields.hpp: the protobuf field numbers and enum values of the messages the library reads or writes."""

from __future__ import annotations

import re

from emit import MARK
from reader import Protos

HEAD = """
#pragma once

#include <cstdint>

namespace pjrt::proto {

"""
RESERVED = {"map", "operator", "default", "register", "namespace", "template", "double", "float", "int", "bool", "string", "struct", "union"}


def _namespace(message: str) -> str:
    name = message.removeprefix("google.protobuf.").removeprefix("stream_executor.").removeprefix("xla.")
    return name.removeprefix("tensorflow.profiler.").replace(".", "_")


def _name(name: str) -> str:
    return f"{name}_" if name in RESERVED else name


def generate(protos: Protos) -> dict[str, str]:
    out = [f"// {MARK}proto_fields.py from abi/protos.json. Do not edit; run `python3 abi/gen`.\n", HEAD]
    for message, fields in protos.messages.items():
        if not fields:
            continue
        values = ", ".join(f"{_name(f.name)} = {f.number}" for f in sorted(fields, key=lambda f: f.number))
        out.append(f"namespace {_namespace(message)} {{\nenum Field : std::uint32_t {{{values}}};\n}}\n")
    out.append("\n")
    for enum, values in protos.enums.items():
        rows = ", ".join(f"{_name(re.sub(r'^DEFAULT$', 'DEFAULT_', n))} = {v}" for v, n in values)
        out.append(f"enum class {_namespace(enum)} : std::int32_t {{{rows}}};\n")
    out.append("\n}  // namespace pjrt::proto\n")
    return {"src/proto/fields.hpp": "".join(out)}


_KINDS = {"bool": "Bool", "int32": "Int", "int64": "Int", "float": "Float", "double": "Double", "string": "String"}


def _debug_option(f, enums) -> str | None:
    """A row for an option of a kind that a single value can set; maps and messages have none."""
    repeated = f.type.startswith("repeated ")
    type_ = f.type.removeprefix("repeated ")
    kind = "Enum" if type_ in enums else _KINDS.get(type_)
    if kind is None:
        return None
    enum = f"kEnum_{_namespace(type_)}" if kind == "Enum" else "{}"
    return f'    {{"{f.name}", {f.number}, OptionKind::{kind}, {"true" if repeated else "false"}, {enum}}},\n'


def debug_options(protos: Protos) -> dict[str, str]:
    fields = sorted(protos.messages["xla.DebugOptions"], key=lambda f: f.name)
    used = sorted({f.type.removeprefix("repeated ") for f in fields} & set(protos.enums))
    out = [f"// {MARK}proto_fields.py from abi/protos.json. Do not edit; run `python3 abi/gen`.\n",
           "\n#pragma once\n\n#include \"proto/option_table.hpp\"\n\nnamespace pjrt::proto {\n\n"]
    for enum in used:
        rows = ", ".join(f'{{"{n}", {v}}}' for v, n in protos.enums[enum])
        out.append(f"inline constexpr OptionEnumerator kEnum_{_namespace(enum)}[] = {{{rows}}};\n")
    out.append("\n/// The fields of xla.DebugOptions, by name.\ninline constexpr OptionField kDebugOptions[] = {\n")
    out += [row for f in fields if (row := _debug_option(f, protos.enums))]
    out.append("};\n\n}  // namespace pjrt::proto\n")
    return {"src/proto/debug_options.hpp": "".join(out)}
