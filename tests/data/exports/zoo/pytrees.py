"""Shapes of the argument and result trees."""

from collections import OrderedDict, namedtuple

import jax
import numpy as np
from jax import export

from . import add

F = np.float32


def row(*values):
    return np.array(values, F)


Point = namedtuple("Point", ["y", "x"])
export.register_namedtuple_serialization(Point, serialized_name="zoo.Point")


@jax.tree_util.register_pytree_node_class
class Interval:
    """A custom node without key names: its children are known by position only."""

    def __init__(self, low, high, unit):
        self.low, self.high, self.unit = low, high, unit

    def tree_flatten(self):
        return (self.low, self.high), self.unit

    @classmethod
    def tree_unflatten(cls, unit, children):
        return cls(*children, unit)


export.register_pytree_node_serialization(
    Interval,
    serialized_name="zoo.Interval",
    serialize_auxdata=lambda unit: b"\x00\xff" + unit.encode(),
    deserialize_auxdata=lambda data: data[2:].decode(),
)

add(
    "kwargs",
    "(x - y) * scale with y and scale by keyword, one of them a dict",
    lambda x, *, y, scale: (x - y["w"]) * scale,
    row(5, 6),
    kwargs={"scale": F(3), "y": {"w": row(1, 4)}},
)
add(
    "namedtuple",
    "a namedtuple in and out; its fields are in the order y, x, not sorted",
    lambda p, q: Point(y=p.y - q.x, x=p.x * q.y),
    Point(y=row(1, 2), x=row(3, 4)),
    Point(y=row(5, 6), x=row(7, 8)),
)
add(
    "nested_tree",
    "tuples, lists, dicts and None, nested; the result nests otherwise",
    lambda t: {"list": [t["b"][0] - t["a"], None, (t["c"][1]["deep"],)], "first": t["c"][0] * 2},
    {"b": [row(10, 20), None], "a": row(1, 2), "c": (row(3, 4), {"deep": row(5, 6), "none": None})},
)
add(
    "dict_order",
    "a dict written with its keys as w, b: they arrive sorted, b first",
    lambda p: p["w"] * 2 - p["b"],
    {"w": row(10, 20), "b": row(1, 2)},
)
add(
    "ordered_dict",
    "an OrderedDict keeps its own order: w first, then b",
    lambda p: OrderedDict([("z", p["w"] * 2 - p["b"]), ("a", p["b"])]),
    OrderedDict([("w", row(10, 20)), ("b", row(1, 2))]),
    notes="a custom node named collections.OrderedDict; its auxiliary data is the JSON list of the keys",
)
add(
    "odd_keys",
    "dict keys with a quote, a slash, a space, a backslash, an empty one and one that is not ASCII",
    lambda p: {
        "it's": p["it's"] - p["conv/kernel"],
        'say "hi"': p["two words"] * 2,
        "\u00fc": p["\u00fc"] + p[""],
        "both'\"": p["back\\slash"] * 3,
    },
    {"it's": row(9), "conv/kernel": row(4), "two words": row(3), "\u00fc": row(5), "": row(6), "back\\slash": row(7)},
    notes="paths are Python's repr of the key: double quotes around a key with a single quote in it, unless it has both",
)
add(
    "custom_node",
    "a registered class without key names: children by position, auxiliary data opaque and not text",
    lambda i: (Interval(i.low - 1, i.high * 2, i.unit), i.high - i.low),
    Interval(row(1, 2), row(10, 20), "mm"),
)
add(
    "twelve_arguments",
    "twelve arguments, twelve results in reverse, each plus its number: 10 must not sort before 2",
    lambda *a: [v + i for i, v in enumerate(reversed(a))],
    *[F(100 * i) for i in range(12)],
)
add(
    "unused_arguments",
    "five arguments of which the program keeps the second and the fourth",
    lambda a, b, c, d, e: b - d,
    row(1),
    row(20, 21),
    row(3, 3, 3),
    row(4, 5),
    {"e": row(5)},
)
add("duplicate_outputs", "one value given twice, among others", lambda x: (x + 1, x * 2, x + 1), row(1, 2, 3))
add(
    "passthrough",
    "an argument handed on untouched, another changed",
    lambda x, y: (y, x * 2, y),
    row(1, 2),
    row(3, 4, 5),
)
