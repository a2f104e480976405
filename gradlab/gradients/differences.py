"""Central differences, Richardson-extrapolated, along coordinates or random directions; kinks told by their two sides.

K outputs   D directions   N coordinates
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradlab.oracles.finite_difference import extrapolated

Array = np.ndarray[Any, Any]

# Steps that are tried; at each, the extrapolation takes it, its half and its quarter.
TRIED = range(1, 15)
# A step so much smaller that a kink nearby is left outside.
CLOSER = (1.0, 2.0**-6, 2.0**-12)
# Where a function is smooth, the second difference over h is proportional to h: half of it at half the step.
SMOOTH = 0.6


@dataclass
class Slopes:
    """Derivatives along D directions, (D, K), their bounds, and where the point is a kink."""

    values: Array
    bounds: Array
    kinks: Array


class Differences:
    """Differences of one function at one point.

    Args:
        function: (N,) -> (K,). noise: bounds on what rounding may do to it, (K,).
    """

    def __init__(self, function: Callable[[Array], Array], point: Array, noise: Array) -> None:
        self.function, self.point, self.noise = function, point, noise
        self.middle = function(point)

    def along(self, direction: Array, step: float) -> Slopes:
        """The slope along one direction, (1, K), at the step or, where a kink is within it, at a smaller one."""
        for closer in CLOSER:
            value, bound, kink = self._at(direction, step * closer, self._values(direction, step * closer))
            if not kink.any():
                break
        return Slopes(value[None], np.where(kink, np.inf, bound)[None], kink[None])

    def step(self, direction: Array) -> float:
        """The step whose bound is the smallest in this direction."""
        at = {k: self._pair(direction, 2.0**-k) for k in range(TRIED[0], TRIED[-1] + 3)}
        best, least = 2.0 ** -TRIED[-1], np.inf
        for k in TRIED:
            values = np.array([one for j in range(3) for one in at[k + j]])
            value, bound, kink = self._at(direction, 2.0**-k, values)
            with np.errstate(invalid="ignore", divide="ignore"):
                worst = float(np.max(np.where(kink, np.inf, bound) / np.maximum(np.abs(value), 1e-300)))
            if worst < least:
                best, least = 2.0**-k, worst
        return best

    def _values(self, direction: Array, step: float) -> Array:
        return np.array([one for part in (1, 2, 4) for one in self._pair(direction, step / part)])

    def _pair(self, direction: Array, step: float) -> tuple[Array, Array]:
        return self.function(self.point + step * direction), self.function(self.point - step * direction)

    def _at(self, direction: Array, step: float, values: Array) -> tuple[Array, Array, Array]:
        with np.errstate(all="ignore"):
            slope, bound = extrapolated(values, step, self.noise)
            # The nudged point itself is rounded.
            moved = np.max(np.spacing(np.abs(self.point) + step) * (direction != 0)) / step
            bound = bound + 16 * moved * np.abs(slope)
            bends = np.abs(
                np.array([(values[2 * i] - 2 * self.middle + values[2 * i + 1]) / (step / 2**i) for i in range(3)])
            )
            # What the noise may make of a second difference, at the widest step and at the closest.
            wide, close = (16 * self.noise / part + 8 * moved * np.abs(slope) for part in (step, step / 4))
            bent = (bends[1] > SMOOTH * bends[0]) | (bends[2] > SMOOTH * bends[1])
            kink = bent & (bends[1] > (wide + close) / 2)
            # Quotients that move apart as the step shrinks do not converge, whatever they have in common.
            quotients = [(values[2 * i] - values[2 * i + 1]) / (2 * step / 2**i) for i in range(3)]
            first, second = np.abs(quotients[0] - quotients[1]), np.abs(quotients[1] - quotients[2])
            kink |= (second > SMOOTH * first) & (second > close)
            # A kink that the noise hides moves the slope by no more than what hides it.
            hidden = bent | (bends[0] <= wide)
            bound = bound + np.where(hidden, (bends.max(axis=0) + close) / 2, 0.0)
        unknown = ~np.isfinite(slope) | ~np.isfinite(bound)
        return np.where(unknown, 0.0, slope), np.where(unknown, np.inf, bound), kink & ~unknown


class Coordinates(Sequence[Array]):
    """The directions of coordinates among `size`, each made when it is asked for."""

    def __init__(self, size: int, at: Sequence[int]) -> None:
        self.size, self.at = size, at

    def __len__(self) -> int:
        return len(self.at)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return Coordinates(self.size, self.at[key])
        direction = np.zeros(self.size)
        direction[self.at[key]] = 1.0
        return direction


def directions(point: Array, places: list[slice], rng: np.random.Generator, count: int) -> Array:
    """Random directions in the given parts of the point, (count, N), each of length about 1."""
    drawn = np.zeros((count, point.size))
    for place in places:
        part = drawn[:, place]
        part[...] = rng.choice([-1.0, 1.0], part.shape) * rng.uniform(0.5, 1, part.shape)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
