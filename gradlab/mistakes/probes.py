"""The problems on which mistakes are told apart: generic ones, in regimes that hide nothing.

A loss at every step, a non-zero initial state, T ≥ 5, a batch, distinct sizes, asymmetric weights of order 1 and of
order 0.01; one with all weights square, where every wrong transpose conforms; and the short ones, T = 1 and T = 2.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from gradlab.cells import Cell
from gradlab.problem import Problem, axes

DISTINCT = {"T": 6, "B": 2, "O": 3, "H": 4, "I": 5}
OTHER = {"T": 8, "B": 3, "O": 6, "H": 4, "I": 2}
SQUARE = {"T": 5, "B": 2, "O": 3, "H": 3, "I": 3}


def drawn(cell: Cell, sizes: dict[str, int], scale: float, seed: int) -> Problem:
    """A random problem of those sizes: weights of normal entries times scale, inputs likewise of order 1.

    Targets lie in (0, 1), states in (-1, 1); no entry is 0, and none equals another.
    """
    rng = np.random.default_rng(seed)
    module = cell.module

    def array(letters: tuple[str, ...]) -> np.ndarray:
        return rng.standard_normal([sizes.get(letter, 3) for letter in letters])

    params = module.Params(**{name: scale * array(letters) for name, letters in axes(module.Params).items()})
    x, y = array(("T", "B", "I")), rng.uniform(0.05, 0.95, (sizes["T"], sizes["B"], sizes["O"]))
    state = module.State(**{name: np.tanh(array(letters)) for name, letters in axes(module.State).items()})
    return Problem(params, x, y, state)


@cache
def probe(cell: Cell, *, square: bool = False, scale: float = 1.0, seed: int = 0) -> Problem:
    """One generic problem: distinct sizes, or all weights square."""
    return drawn(cell, SQUARE if square else DISTINCT, scale, seed)


@cache
def probes(cell: Cell, scales: tuple[float, ...] = (1.0, 0.01)) -> tuple[Problem, ...]:
    """The problems that a candidate has to reproduce: every scale in distinct sizes, and square ones at the first."""
    sizes = [DISTINCT, OTHER]
    generic = [drawn(cell, sizes[i % 2], scale, seed=i) for i, scale in enumerate(scales)]
    return (*generic, drawn(cell, SQUARE, scales[0], seed=len(scales)))


@cache
def spare(cell: Cell, scale: float = 0.01) -> tuple[Problem, ...]:
    """More square problems, for code that runs nowhere else."""
    sizes = {**SQUARE, "T": 7, "B": 3}
    return drawn(cell, sizes, 1.0, seed=50), drawn(cell, sizes, scale, seed=51)


@cache
def short(cell: Cell, steps: int, scale: float = 1.0) -> Problem:
    """A generic problem of that many steps."""
    return drawn(cell, {**OTHER, "T": steps}, scale, seed=100 + steps)
