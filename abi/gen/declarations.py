"""The C declarations: include/pjrt/abi/{core,extensions,profiler,xla_ffi}.h.

Valid C11 and C++. In C++ everything lives in namespace pjrt::abi, so that a program may include another PJRT header
beside ours; the layouts agree, the names do not clash.
"""

from __future__ import annotations

from emit import (CORE, EXTENSIONS, PROFILER, XLA_FFI, banner, declare, file_of, file_of_handle, parameters,
                  pointer_style, version_text)
from reader import OLDEST, Enum, Field, FunctionType, Registry, Struct, base_type

INCLUDES = {CORE: [], EXTENSIONS: [PROFILER], PROFILER: [CORE], XLA_FFI: [CORE]}
TITLES = {
    CORE: "The PJRT C API: argument structs, enums, callbacks and the function table.",
    EXTENSIONS: "The extension structs of the PJRT C API and their argument structs.",
    PROFILER: "The profiler interface behind the PJRT profiler extension.",
    XLA_FFI: "The XLA FFI C ABI: what a custom-call handler receives and may call.",
}


def _field(f: Field, registry: Registry) -> str:
    notes = []
    if f.direction != "in":
        notes.append(f.direction)
    if f.since != OLDEST:
        notes.append(f"since {version_text(f.since)}")
    note = f"  /* {', '.join(notes)} */" if notes else ""
    if f.union:
        members = " ".join(f"{declare(m.type, m.name)};" for m in f.union)
        return f"  union {{ {members} }};{note}\n"
    return f"  {declare(_spelled(f.type, registry), f.name)};{note}\n"


def _spelled(type_: str, registry: Registry) -> str:
    """Pointers to function types are written out: a slot has its function type's name, which C++ forbids to use first."""
    function = registry.function_types.get(base_type(type_))
    if function is None or function.is_pointer:
        return type_
    return f"{function.returns} (*)({', '.join(t for _, t in function.params)})"


def _enum(e: Enum) -> str:
    values = "".join(f"  {name} = {value},\n" for name, value in e.values)
    return f"typedef enum {e.name} PJRT_ABI_INT {{\n{values}}} {e.name};\n\n"


def _struct(s: Struct, registry: Registry) -> str:
    body = "".join(_field(f, registry) for f in s.fields)
    return f"struct {s.name} {{\n{body}}};\n\n"


def _function_type(f: FunctionType) -> str:
    name = f"(*{f.name})" if f.is_pointer else f.name
    return f"typedef {pointer_style(f.returns)} {name}({parameters(f.params)});\n"


def _in_order(structs: list[Struct]) -> list[Struct]:
    """Members held by value first; otherwise as the registry has them."""
    by_name = {s.name: s for s in structs}
    done: dict[str, Struct] = {}

    def visit(s: Struct) -> None:
        if s.name in done:
            return
        for f in s.fields:
            for type_ in [m.type for m in f.union] or [f.type]:
                held = by_name.get(type_)
                if held is not None:
                    visit(held)
        done[s.name] = s

    for s in structs:
        visit(s)
    return list(done.values())


def _file(name: str, registry: Registry) -> str:
    structs = [s for s in registry.structs.values() if file_of(s.header) == name]
    enums = [e for e in registry.enums.values() if file_of(e.header) == name]
    functions = [f for f in registry.function_types.values() if file_of(f.header) == name]
    struct_names = {s.name for s in structs}
    handles = [h for h in registry.handles if file_of_handle(h) == name and h not in registry.structs]
    aliases = [(a, t) for a, t in registry.aliases.items()
               if t in struct_names or (name == XLA_FFI and a.startswith("XLA_FFI"))]

    guard = f"PJRT_ABI_{name.removesuffix('.h').upper()}_H"
    out = [banner("declarations.py", "/*"), f"/* {TITLES[name]} 64-bit Linux (LP64). */\n\n",
           f"#ifndef {guard}\n#define {guard}\n\n", "#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n\n"]
    out += [f'#include "pjrt/abi/{i}"\n\n' for i in INCLUDES[name]]
    if name == CORE:
        out.append("#ifdef __cplusplus\n#define PJRT_ABI_INT : int\n#else\n#define PJRT_ABI_INT\n#endif\n\n")
        out += [f"#define PJRT_ABI_{n.removeprefix('PJRT_')} {v}\n" for n, v in registry.constants.items()
                if n in ("PJRT_API_MAJOR", "PJRT_API_MINOR", "XLA_FFI_API_MAJOR", "XLA_FFI_API_MINOR")]
        out.append("\n")
    out.append('#ifdef __cplusplus\nnamespace pjrt::abi {\nextern "C" {\n#endif\n\n')
    out += [_enum(e) for e in enums]
    # `struct X;` alone declares X here; the typedef alone would mean a global X of another header.
    out += [f"struct {name}; typedef struct {name} {name};\n" for name in [*handles, *(s.name for s in structs)]]
    out += [f"typedef {t} {a};\n" for a, t in aliases]
    out.append("\n")
    out += [_function_type(f) for f in functions]
    out.append("\n")
    out += [_struct(s, registry) for s in _in_order(structs)]
    out.append('#ifdef __cplusplus\n}  /* extern "C" */\n}  /* namespace pjrt::abi */\n#endif\n\n')
    out.append(f"#endif  /* {guard} */\n")
    return "".join(out)


def generate(registry: Registry) -> dict[str, str]:
    return {f"include/pjrt/abi/{name}": _file(name, registry) for name in TITLES}
