"""include/pjrt/abi/functions.hpp: one type per C function, which the choke point is keyed by."""

from __future__ import annotations

from emit import banner, sized_structs, version_text
from reader import OLDEST, Extension, ExtensionEntry, Function, Registry, base_type

HEAD = """
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "pjrt/abi/core.h"
#include "pjrt/abi/extensions.h"
#include "pjrt/abi/profiler.h"
#include "pjrt/abi/tables.hpp"
#include "pjrt/abi/xla_ffi.h"

namespace pjrt::abi {

/// What to write into `struct_size`: the end of the last field, without tail padding. 0 for structs that have none.
template <class T>
inline constexpr std::size_t struct_size = 0;

"""

NEWER = """
/// A field that the caller fills in and that plugins older than `since_minor` do not read.
struct NewerField {
  const char* name;
  std::uint16_t offset;
  std::uint16_t size;
  std::uint16_t since_minor;
};

/// The input fields of `T` that came after API 0.57.
template <class T>
inline constexpr std::array<NewerField, 0> newer_fields{};

/// The minor version of the newest of them; 0 if there is none.
template <class T>
inline constexpr int kNewestField = [] {
  int newest = 0;
  for (const NewerField& f : newer_fields<T>) newest = f.since_minor > newest ? f.since_minor : newest;
  return newest;
}();

"""


SUBJECT = """
/// The handle that a function works on: its offset among the arguments, and its type. The offset is -1 for functions
/// that work on none.
struct Subject {
  std::int16_t offset;
  const char* handle;
};
template <class Args>
inline constexpr Subject subject_of{-1, ""};
"""


def _subjects(registry: Registry) -> list[str]:
    """The first argument of a function, if it is a handle that the caller gives."""
    args = [f.args for f in registry.functions] + [en.args for e in registry.extensions for en in e.entries if en.args]
    out = []
    for name in args:
        fields = [f for f in registry.structs[name].fields if f.name not in ("struct_size", "extension_start", "priv")]
        first = fields[0] if fields else None
        if first is None or first.direction == "out" or not first.type.endswith("*") or first.type.count("*") != 1:
            continue
        handle = base_type(first.type)
        if handle in registry.handles and handle != "PJRT_Error":
            out.append(f'template <>\ninline constexpr Subject subject_of<{name}>{{{first.offset}, "{handle}"}};\n')
    return out


def _newer(registry: Registry) -> list[str]:
    out = []
    for s in registry.structs.values():
        if s.name == "PJRT_Api":
            continue
        fields = [f for f in s.fields if f.since != OLDEST and f.direction != "out"]
        if fields:
            rows = ", ".join(f'{{"{f.name}", {f.offset}, {f.size}, {f.since[1]}}}' for f in fields)
            out.append(f"template <>\ninline constexpr std::array<NewerField, {len(fields)}> newer_fields<{s.name}>{{{{{rows}}}}};\n")
    return out


def _core(f: Function) -> str:
    return (f"struct {f.name} {{\n  using Args = {f.args};\n  static constexpr auto slot = &PJRT_Api::{f.name};\n"
            f"  static constexpr const CoreFunction& info = core_functions[{f.slot}];\n"
            f"  static constexpr bool fallible = {'false' if f.returns == 'void' else 'true'};\n}};\n")


def _extension(e: Extension, entry: ExtensionEntry, index: int) -> str:
    return (f"struct {entry.function} {{\n  using Args = {entry.args};\n  using Extension = {e.struct};\n"
            f"  static constexpr auto slot = &{e.struct}::{entry.field};\n"
            f"  static constexpr const ExtensionEntry& info = {e.name}_entries[{index}];\n"
            f"  static constexpr bool fallible = {'false' if entry.returns == 'void' else 'true'};\n}};\n")


def generate(registry: Registry) -> dict[str, str]:
    out = [banner("functions.py"), HEAD]
    out += [f"template <>\ninline constexpr std::size_t struct_size<{s.name}> = {s.struct_size};\n" for s in sized_structs(registry)]
    out.append("\n/// The number of an extension by its struct; -1 for other types.\n"
               "template <class Extension>\ninline constexpr int extension_type_of = -1;\n")
    out += [f"template <>\ninline constexpr int extension_type_of<{e.struct}> = {e.type};\n" for e in registry.extensions if e.struct]
    out.append(NEWER)
    out += _newer(registry)
    out.append(SUBJECT)
    out += _subjects(registry)
    out.append("\n/// The functions of PJRT_Api.\nnamespace fn {\n\n")
    out += [_core(f) for f in registry.functions]
    out.append("\n/// The functions of the extensions.\n\n")
    for e in registry.extensions:
        out += [_extension(e, entry, i) for i, entry in enumerate(e.entries) if entry.args]
    out.append("\n}  // namespace fn\n\n")
    extension_functions = [entry.function for e in registry.extensions for entry in e.entries if entry.args]
    for name, what, functions in (("core_functions_of", "core", [f.name for f in registry.functions]),
                                  ("extension_functions_of", "extension", extension_functions)):
        names = ",\n    ".join(f"fn::{f}" for f in functions)
        out.append(f"/// All {what} functions as arguments of a template.\n"
                   f"template <template <class...> class List>\nusing {name} = List<\n    {names}>;\n\n")
    out.append("}  // namespace pjrt::abi\n")
    return {"include/pjrt/abi/functions.hpp": "".join(out)}
