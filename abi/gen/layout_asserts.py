"""src/abi/layout_asserts.cpp: the size of every struct and the offset of every field, checked by the compiler."""

from __future__ import annotations

from emit import banner
from reader import Registry


def generate(registry: Registry) -> dict[str, str]:
    out = [banner("layout_asserts.py"), "\n#include <cstddef>\n\n",
           '#include "pjrt/abi/core.h"\n#include "pjrt/abi/extensions.h"\n#include "pjrt/abi/profiler.h"\n'
           '#include "pjrt/abi/xla_ffi.h"\n\n', "namespace pjrt::abi {\n\n"]
    for s in registry.structs.values():
        out.append(f"static_assert(sizeof({s.name}) == {s.sizeof});\n")
        for f in s.fields:
            for name in [m.name for m in f.union] or [f.name]:
                out.append(f"static_assert(offsetof({s.name}, {name}) == {f.offset});\n")
                if not f.union:
                    out.append(f"static_assert(sizeof({s.name}::{name}) == {f.size});\n")
    for e in registry.enums.values():
        out.append(f"static_assert(sizeof({e.name}) == 4);\n")
    out.append("\n}  // namespace pjrt::abi\n")
    return {"src/abi/layout_asserts.cpp": "".join(out)}
