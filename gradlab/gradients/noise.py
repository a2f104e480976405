"""How noisy a function is where no bound can be derived: an estimate, from the function's own values.

ECnoise (J. Moré and S. Wild, Estimating computational noise, SIAM J. Sci. Comput. 33, 2011): the differences of order k
of values at equally, closely spaced points are those of the noise alone, once k is large enough for the smooth part to
have vanished.
"""

from __future__ import annotations

from collections.abc import Callable
from math import factorial
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

POINTS = 9
# A function that passes through float32 is constant over the closest spacing, and noisy over the widest.
SPACINGS = (2.0**-40, 2.0**-26, 2.0**-14)
# What is taken for a bound: so many standard deviations.
DEVIATIONS = 8.0


def estimated(function: Callable[[Array], Array], point: Array, rng: np.random.Generator) -> Array:
    """An estimate of what rounding may do to function(point), (K,); at least an ulp."""
    direction = (
        rng.choice([-1.0, 1.0], point.size) * rng.uniform(0.5, 1, point.size) * np.maximum(np.abs(point), 2.0**-10)
    )
    noise = np.zeros(1)
    for spacing in SPACINGS:
        offsets = spacing * (np.arange(POINTS) - POINTS // 2)
        values = np.array([function(point + offset * direction) for offset in offsets])
        levels = np.array([_level(column) for column in values.T])
        noise = np.maximum(noise, DEVIATIONS * levels + 4 * np.spacing(np.abs(values).max(axis=0)))
    return noise


def _level(values: Array) -> float:
    """The standard deviation of the noise: of the first order from which on the estimates agree within a factor 4.

    0 where there is none such: the values are equal, or too far apart to show their noise.
    """
    differences, levels, signs = values, [], []
    for k in range(1, len(values) - 1):
        differences = np.diff(differences)
        gamma = factorial(k) ** 2 / factorial(2 * k)
        levels.append(float(np.sqrt(gamma * np.mean(differences**2))))
        signs.append(bool(differences.min() < 0 < differences.max()))
    for k in range(len(levels) - 2):
        part = levels[k : k + 3]
        if signs[k] and max(part) <= 4 * min(part):
            return part[0]
    return 0.0 if np.isfinite(levels).all() else float("inf")
