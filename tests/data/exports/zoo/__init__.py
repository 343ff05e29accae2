"""The cases: each module adds its own to CASES as it is imported."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field

import jax


@dataclass
class Case:
    name: str
    what: str
    function: Callable | None = None
    args: tuple = ()
    kwargs: dict = field(default_factory=dict)
    platforms: tuple[str, ...] = ("cpu",)
    x64: bool = False
    shardy: bool = True
    calling_convention: int | None = None
    disabled_checks: tuple = ()
    vjp_order: int = 0
    refuse: str | None = None  # why the run must be refused, in the words a message could use
    by_platform: dict[str, Callable] = field(default_factory=dict)  # what other platforms than cpu give, by numpy
    specs: tuple | None = None  # what to export for, where it is not the arguments themselves
    fortran: bool = False  # the arrays of inputs.npz are in Fortran order
    rtol: float | None = None
    atol: float | None = None
    notes: str = ""


CASES: list[Case] = []


def add(name: str, what: str, function: Callable, *args: object, jit: dict | None = None, **options: object) -> None:
    """A case: `function` under jax.jit(**jit), exported for and run on `args`; the options are the fields of Case."""

    def traced(*a, **k):
        return function(*a, **k)

    traced.__name__ = traced.__qualname__ = name
    CASES.append(Case(name, what, jax.jit(traced, **(jit or {})), args, **options))


def load() -> list[Case]:
    for module in ("element_types", "operations", "pytrees", "calling_convention", "refused", "sharded"):
        importlib.import_module(f".{module}", __name__)
    return CASES
