"""Problems that a file under test cannot foresee, the same again from the seed that its report says."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import numpy as np

from gradlab.cells import Cell
from gradlab.mistakes.probes import drawn
from gradlab.problem import Problem

FRESH = 2
LARGEST_SEED = 1 << 32


def own_seed(given: int | None) -> int:
    """The seed given, or one that nobody knows beforehand."""
    return secrets.randbelow(LARGEST_SEED) if given is None else given


def fresh(cell: Cell, rng: np.random.Generator, count: int = FRESH) -> Iterator[Problem]:
    """Problems of sizes and scales that vary with the generator."""
    for _ in range(count):
        sizes = {letter: int(rng.integers(2, 5)) for letter in "TBIHO"}
        scale = float(rng.choice((1.0, 0.3, 0.1)))
        yield drawn(cell, sizes, scale, int(rng.integers(LARGEST_SEED)))
