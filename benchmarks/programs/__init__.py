"""Random NumPy programs with right gradients, to see whether a checker of gradients believes them.

program(seed) is a module with params, loss(params) and a hand-written grad(params), drawn from a grammar of
NumPy as people write it, forward and, step by step, backward. wrong(seed) is the same module with one line more,
which changes one entry of the gradient by a relative 1e-9. What the gradients are held against are the derivatives of
`Program.twin`, the same loss in jax.numpy.
"""

from __future__ import annotations

import linecache
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from programs.drawing import ACCUMULATIONS, Sketch, paths, sketch, source, twin
from programs.losses import PENALTY, TERMS
from programs.registry import REGISTRY
from programs.wiring import WIRINGS

FORMS = frozenset([*REGISTRY, *TERMS, PENALTY, *WIRINGS, *ACCUMULATIONS])
CHANGE = "1 + 1e-9"
LARGEST, LEAST = 100.0, 0.01  # of the largest entry of a gradient
NOT_NEGLIGIBLE = 0.1  # of the largest entry: what an entry to be changed has at least


@dataclass(frozen=True)
class Program:
    """A module, its functions and its point.

    source: of the module; its lines are known to linecache under `name`. params: a float, an array, or dicts and lists
    of them. forms: which of FORMS, and which ways to capture data, occur. twin: source of a module with the same loss
    in jax.numpy. edit: the lines that make it wrong; none in a right one.
    """

    name: str
    source: str
    loss: Callable[[Any], Any]
    grad: Callable[[Any], Any]
    params: Any
    forms: frozenset[str]
    twin: str
    edit: tuple[str, ...] = ()

    def forget(self) -> None:
        """Take the lines out of linecache; after that no message can quote them."""
        linecache.cache.pop(self.name, None)


def program(seed: int) -> Program:
    """The right program of this seed."""
    return _sane(seed)[1]


def wrong(seed: int) -> Program:
    """The same with one entry of the gradient off by a relative 1e-9; that entry is among the larger ones."""
    sketched, right = _sane(seed)
    right.loss(right.params)
    g = right.grad(right.params)
    leaves = {path: np.asarray(eval(f"g{path}", {"g": g})) for path, _ in paths(sketched.tree)}
    largest = max(np.abs(leaf).max() for leaf in leaves.values())
    places = [
        (path, tuple(int(i) for i in index))
        for path, leaf in leaves.items()
        for index in np.argwhere(np.abs(leaf) >= NOT_NEGLIGIBLE * largest)
    ]
    path, index = places[int(np.random.default_rng([seed, 11]).integers(len(places)))]
    at = ", ".join(map(str, index)) or "()"
    edit = (f"g{path} = np.array(g{path})", f"g{path}[{at}] *= {CHANGE}")
    return _loaded(f"wrong_{seed}.py", sketched, edit)


def _sane(seed: int) -> tuple[Sketch, Program]:
    """The first program of the seed of which the gradient is of order 1."""
    first = sorted(REGISTRY)[seed % len(REGISTRY)]
    for attempt in range(1000):
        sketched = sketch(seed + (attempt << 32), first)
        made = _loaded(f"program_{seed}.py", sketched)
        made.loss(made.params)
        g = made.grad(made.params)
        values = np.concatenate([np.ravel(eval(f"g{path}", {"g": g})) for path, _ in paths(sketched.tree)])
        if LEAST <= np.abs(values).max() <= LARGEST:
            return sketched, made
    raise AssertionError(f"no program of seed {seed} is of order 1")


def _loaded(name: str, sketched: Sketch, edit: tuple[str, ...] = ()) -> Program:
    text = source(sketched, edit)
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    module = types.ModuleType(name.removesuffix(".py"))
    module.__file__ = name
    exec(compile(text, name, "exec"), module.__dict__)
    return Program(name, text, module.loss, module.grad, module.params, sketched.forms, twin(sketched), edit)
