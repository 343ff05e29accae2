"""Writes the first files of the corpora: what the formats hold, and bombs of depth, rank and length.

    python3 seeds.py
"""

import pathlib
import shutil

HERE = pathlib.Path(__file__).parent
DATA = HERE.parent / "data"


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, content):
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def write(corpus, name, data):
    folder = HERE / "corpus" / corpus
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())


def copy(corpus, files):
    folder = HERE / "corpus" / corpus
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copyfile(file, folder / ("seed_" + file.name))


DEEP = 3000

copy("mlir_text", [*DATA.glob("modules/*[a-z_].mlir"), DATA / "program/add_one.mlir"])
write("mlir_text", "bomb_tuple", "func.func @main(%a: " + "tuple<" * DEEP + ">" * DEEP + ") { return }")
write("mlir_text", "bomb_array", "module attributes {a.b = " + "[" * DEEP + "]" * DEEP + "} {}")
write("mlir_text", "bomb_region", "module {" + '"a.b"() ({ ' * DEEP + "}) : () -> ()\n" * DEEP + "}")
write("mlir_text", "bomb_alias", "#a0 = []\n" + "".join(f"#a{i} = [#a{i - 1}]\n" for i in range(1, DEEP)) + "module {}")
write("mlir_text", "bomb_alias_loop", "#a = #b\n#b = #a\n!t = !t\nfunc.func @main(%x: !t) attributes {a.b = #a} { return }")
write("mlir_text", "bomb_rank", "func.func @main(%a: tensor<" + "1x" * DEEP + "f32>) { return }")
write("mlir_text", "bomb_open", "(" * DEEP)
write("mlir_text", "bomb_sharding",
      "func.func @main(" + ", ".join(f'%{i}: tensor<65536xf32> {{mhlo.sharding = "{{devices=[65536]<=[65536]}}"}}'
                                     for i in range(300)) + ") { return }")

copy("mlir_bytecode", [*DATA.glob("modules/*.mlirbc"), *DATA.glob("program/*.mlirbc")])
# An array attribute that holds itself, and the deepest chain that fits: version 6, no producer.
def bytecode(attributes):
    num = lambda n: bytes([n << 1 | 1]) if n < 128 else (n << 2 | 2).to_bytes(2, "little")
    section = lambda id, content: bytes([id]) + num(len(content)) + content
    strings = b"builtin\0module\0"
    offsets = num(len(attributes)) + num(0) + num(0) + num(len(attributes)) + b"".join(
        num(len(a) << 1 | 1) for a in attributes)
    return (b"ML\xefR" + num(6) + b"\0" + section(0, num(2) + num(7) + num(8) + strings) +
            section(1, num(1) + num(0) + num(1) + num(0) + num(1) + num(1 << 1 | 1)) + section(2, b"".join(attributes)) +
            section(3, offsets) + section(4, num(0)) + section(8, num(0)))
num = lambda n: bytes([n << 1 | 1]) if n < 128 else (n << 2 | 2).to_bytes(2, "little")
write("mlir_bytecode", "bomb_loop", bytecode([num(0) + num(1) + num(0)]))
write("mlir_bytecode", "bomb_chain", bytecode([num(0) + num(1) + num(i + 1) for i in range(DEEP)] + [num(0) + num(0)]))
write("mlir_bytecode", "bomb_twice", bytecode([num(0) + num(2) + num(i + 1) + num(i + 1) for i in range(60)] + [num(7)]))

copy("hlo", [DATA / "program/add_one.hlo.pb", DATA / "program/add_one.hlo.txt", DATA / "program/add_one.mlir",
             DATA / "program/add_one_1.9.0.mlirbc", DATA / "exports/kwargs.jaxexp"])
shape = field(2, 11)
for _ in range(DEEP):
    shape = field(2, 13) + field(4, shape)
program = lambda result: field(1, b"m") + field(4, field(2, result))
write("hlo", "bomb_tuple", program(shape))
write("hlo", "bomb_rank", program(field(2, 11) + field(3, varint(1) * DEEP)))
write("hlo", "bomb_width", program(field(2, 13) + field(4, b"") * DEEP))
write("hlo", "bomb_wrapped", field(1, field(1, field(1, program(field(2, 11))))))
write("hlo", "bomb_sharding",
      program(field(2, 11)) + field(14, field(1, 3) + field(3, varint(1 << 16) * 4)) + field(15, field(1, 1 << 40)))
write("hlo", "lfs", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")

plane = field(2, b"/host:CPU") + field(3, field(2, b"line") + field(4, field(1, 1) + field(2, 5) + field(3, 7))) + field(
    4, field(1, 1) + field(2, field(1, 1) + field(2, b"event")))
write("xspace", "seed_plane", field(1, plane))
write("xspace", "seed_two", field(1, plane) + field(1, plane) + field(2, b"an error") + field(4, b"host"))
write("xspace", "bomb_width", field(1, field(3, b"") * DEEP))
write("xspace", "bomb_events", field(1, field(3, field(4, b"") * DEEP)))
nested = b""
for _ in range(DEEP):
    nested = field(1, nested)
write("xspace", "bomb_depth", nested)

for i, text in enumerate(["{replicated}", "{maximal device=3}", "{devices=[2,2]<=[4]}", "{devices=[2,1,2]0,2,1,3 last_tile_dim_replicate}",
                          "{devices=[2,1,2]<=[2,2]T(1,0) last_tile_dims={replicated}}", "{manual}",
                          "{devices=[65536,1]<=[65536]}", "{devices=[" + "1," * DEEP + "1]<=[" + "1," * DEEP + "1]}",
                          "{devices=[9223372036854775807,2]<=[4294967296,4294967296]}",
                          '#sdy.sharding<@mesh, [{"x", ?}, {"y"}p1]>', '{mesh = #sdy.mesh<["x"=2, "y"=4]>}',
                          "#sdy.sharding<@mesh, [" + "{" * DEEP, '{mesh = #sdy.mesh<["x"=9223372036854775807]>}']):
    write("sharding", f"seed_{i}", b"\x02" + text.encode())
write("sharding", "seed_proto", b"\x02" + field(1, 3) + field(3, b"\x02\x02") + field(4, b"\0\1\2\3"))
write("sharding", "bomb_proto", b"\x02" + field(1, 3) + field(3, b"\x01" * DEEP) + field(8, b"\x01" * DEEP))

for i, text in enumerate(["{}", "{0}", "{1,0}", "{1,0:T(8,128)(2,1)}", "{2,1,0:T(8,128)S(1)}", "{1,0:E(4)}", "{0:T(*,2)}",
                          "{" + ",".join(map(str, range(DEEP))) + "}", "{0:" + "T" + "(1)" * DEEP + "}", "{:}",
                          "{99999999999999999999}", "{-1}", "{0,0}"]):
    write("layout", f"seed_{i}", text)
