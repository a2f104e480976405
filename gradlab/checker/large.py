"""Problems beyond the generated ones, on which small ones show nothing: long, wide, of large weights and gradients.

A gradient may be right on every small problem and be clipped at ±5, cut off after 8 steps, or divided by the batch
where that is large. Sizes vary with the generator, so that no file can foresee them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from gradlab.cells import Cell
from gradlab.problem import Problem, axes

Array = np.ndarray[Any, Any]

# What exact numbers cost grows with the entries of the largest quantity; in forward mode those are H³ a step.
LARGEST_QUANTITY = 1 << 13

HUGE = 1024.0  # a power of two: what it multiplies stays as exact as it was


def large(cell: Cell, rng: np.random.Generator) -> Iterator[Problem]:
    """Problems of four kinds, none of their weights 0.

    Long: T of 56 to 72, gradients by the output weights over 10. Wide: H of 30 to 36, B of 8 to 10. Both, less so. Of
    twins: weights over 1,000 and nothing saturated, so deltas and gradients are in the hundreds.
    """
    long = drawn(cell, {"T": _among(rng, 56, 72), "B": 3, "H": 4}, rng, 0.7)
    weights = long.params._asdict().items()
    above = {name: np.abs(weight) if cell.axes[name][-1] == "O" else weight for name, weight in weights}
    # Every output is larger than its target, so that what each step adds to a gradient has the same sign.
    yield replace(long, params=type(long.params)(**above), y=np.zeros_like(long.y))
    yield drawn(cell, {"T": 3, "B": _among(rng, 8, 10), "H": _among(rng, 30, 36)}, rng, 0.3)
    yield drawn(cell, {"T": _among(rng, 10, 12), "B": _among(rng, 5, 6), "H": _among(rng, 17, 18)}, rng, 0.3)
    yield twins(drawn(cell, {"T": _among(rng, 4, 6), "B": 3, "H": 4}, rng, 0.5))


def drawn(cell: Cell, sizes: dict[str, int], rng: np.random.Generator, scale: float) -> Problem:
    """A random problem: normal weights times scale, states in (-1, 1), targets in (0, 1); sizes not given are 2 or 3.

    Sizes are lowered, those of the batch first, where a quantity of the cell would be too large to be judged.
    """
    module = cell.module
    letters = dict.fromkeys(letter for names in cell.axes.values() for letter in names)
    sizes = _affordable(cell, {letter: sizes.get(letter, _among(rng, 2, 3)) for letter in letters})

    def array(names: tuple[str, ...]) -> Array:
        return rng.standard_normal([sizes[letter] for letter in names])

    params = module.Params(**{name: scale * array(names) for name, names in axes(module.Params).items()})
    state = module.State(**{name: np.tanh(array(names)) for name, names in axes(module.State).items()})
    y = rng.uniform(0.05, 0.95, (sizes["T"], sizes["B"], sizes["O"]))
    return Problem(params, array(("T", "B", "I")), y, state)


def twins(problem: Problem) -> Problem:
    """The same with hidden units in pairs that always agree, and whose weights to others are large and nearly cancel.

    Two units with the same incoming weights and state have the same activation a, so w·a − (w − v)·a = v·a however
    large w is: nothing saturates, but what comes back through w is as large as w. Weights from the inputs are large
    where the inputs are small.
    """
    record, arrays = type(problem.params), problem.arrays()
    letters = axes(record) | axes(type(problem.state))
    for name, names in letters.items():
        array = arrays[name].copy()
        if names[-1] == "H":
            array[..., 1::2] = array[..., 0::2][..., : array[..., 1::2].shape[-1]]
        if names[0] == "H" and len(names) > 1:
            first, second = array[0::2], array[1::2]
            big = HUGE * (1.5 + np.abs(first[: len(second)]))
            array[1::2] = second - big
            array[0::2][: len(second)] = big
        if names[0] == "I":
            array *= 8 * HUGE
        arrays[name] = array
    params = record(**{name: arrays[name] for name in record._fields})
    state = type(problem.state)(**{name: arrays[name] for name in problem.state._fields})
    return replace(problem, params=params, state=state, x=problem.x / (8 * HUGE))


def cut(problem: Problem, sizes: dict[str, int]) -> Problem:
    """The corner of a problem that has those sizes, by axis letter."""
    record, state = type(problem.params), type(problem.state)
    letters = {"x": ("T", "B", "I"), "y": ("T", "B", "O")} | axes(record) | axes(state)
    kept = {
        name: array[tuple(slice(sizes[letter]) for letter in letters[name])] for name, array in problem.arrays().items()
    }
    params = record(**{name: kept[name] for name in record._fields})
    return Problem(params, kept["x"], kept["y"], state(**{name: kept[name] for name in state._fields}))


def smaller(problem: Problem) -> Iterator[Problem]:
    """The problem with one axis at half its length, or one shorter, the longest first."""
    sizes = problem.sizes
    for letter in sorted(sizes, key=lambda letter: -sizes[letter]):
        for size in dict.fromkeys((sizes[letter] // 2, sizes[letter] - 1)):
            if size >= 1:
                yield cut(problem, sizes | {letter: size})


def _affordable(cell: Cell, sizes: dict[str, int]) -> dict[str, int]:
    sizes = dict(sizes)
    while max(math.prod(sizes[letter] for letter in q.axes) for q in cell.quantities.values()) > LARGEST_QUANTITY:
        letter = next((letter for letter, least in (("B", 1), ("T", 2), ("H", 1)) if sizes[letter] > least), "")
        if not letter:
            break
        sizes[letter] = max(sizes[letter] // 2, 1) if letter != "H" else sizes[letter] - 1
    return sizes


def _among(rng: np.random.Generator, low: int, high: int) -> int:
    return int(rng.integers(low, high + 1))
