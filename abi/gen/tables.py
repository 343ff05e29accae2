"""include/pjrt/abi/tables.hpp: the functions, extensions and enumerators as data, for messages, reports and tests."""

from __future__ import annotations

from emit import banner
from reader import Registry

HEAD = """
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "pjrt/abi/core.h"
#include "pjrt/abi/extensions.h"
#include "pjrt/abi/xla_ffi.h"
#include "pjrt/detail/cxx23.hpp"

namespace pjrt::abi {

/// A function of PJRT_Api: its slot, its offset in the table and the API minor version that brought it (57: or before).
struct CoreFunction {
  const char* name;
  std::uint16_t slot;
  std::uint16_t offset;
  std::uint16_t since_minor;
};

/// A pointer-sized entry of an extension struct. `function` is null for data and for withdrawn slots.
struct ExtensionEntry {
  const char* field;
  const char* function;
  std::uint16_t offset;
};

/// An extension of the API. `struct_size` is 0 where the number is reserved but no struct is public.
struct ExtensionType {
  int type;
  const char* name;
  std::uint16_t struct_size;
  std::span<const ExtensionEntry> entries;
};

"""


def _suffix(enum: str, names: list[str]) -> int:
    """How much of the enumerators' names is only their prefix."""
    first, last = min(names), max(names)
    n = 0
    while n < len(first) and n < len(last) and first[n] == last[n]:
        n += 1
    if len(names) == 1:
        n = first.rfind("_") + 1
    while n > 0 and first[n - 1] != "_" and not (first[n - 1] == "k" and first[n - 2] == "_"):
        n -= 1
    return n


def generate(registry: Registry) -> dict[str, str]:
    out = [banner("tables.py"), HEAD]
    out.append(f"inline constexpr std::array<CoreFunction, {len(registry.functions)}> core_functions{{{{\n")
    out += [f'    {{"{f.name}", {f.slot}, {f.offset}, {f.since[1]}}},\n' for f in registry.functions]
    out.append("}};\n\n")
    for e in registry.extensions:
        if not e.entries:
            continue
        out.append(f"inline constexpr std::array<ExtensionEntry, {len(e.entries)}> {e.name}_entries{{{{\n")
        for entry in e.entries:
            function = f'"{entry.function}"' if entry.function and entry.args else "nullptr"
            out.append(f'    {{"{entry.field}", {function}, {entry.offset}}},\n')
        out.append("}};\n\n")
    out.append(f"inline constexpr std::array<ExtensionType, {len(registry.extensions)}> extension_types{{{{\n")
    for e in registry.extensions:
        entries = f"{e.name}_entries" if e.entries else "{}"
        out.append(f'    {{{e.type}, "{e.name}", {e.struct_size}, {entries}}},\n')
    out.append("}};\n\n")
    for e in registry.enums.values():
        if e.name.endswith("Bits"):
            continue
        cut = _suffix(e.name, [n for n, _ in e.values])
        out.append(f"/// The enumerator without its prefix, or an empty string for a value this API version does not know.\n"
                   f"constexpr std::string_view enumerator_name({e.name} value) {{\n  switch (value) {{\n")
        out += [f'    case {name}: return "{name[cut:]}";\n' for name, _ in e.values]
        out.append("  }\n  return {};\n}\n\n")
    types = registry.enums["PJRT_Buffer_Type"]
    out.append("/// The API minor version that brought an element type (57: or before).\n"
               "constexpr int since_minor(PJRT_Buffer_Type value) {\n  switch (value) {\n")
    out += [f"    case {name}: return {registry.enumerators_since[name][1]};\n"
            for name, _ in types.values if name in registry.enumerators_since]
    out.append("    default: return 57;\n  }\n}\n\n")
    out.append("}  // namespace pjrt::abi\n")
    return {"include/pjrt/abi/tables.hpp": "".join(out)}
