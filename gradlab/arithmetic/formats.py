"""Floating-point formats: the constants of their rounding."""

from collections.abc import Callable
from math import inf
from typing import Any, NamedTuple

import numpy as np


class Format(NamedTuple):
    """Unit roundoff, smallest normal number, largest number, and rounding to the format."""

    unit: float
    tiny: float
    largest: float
    round: Callable[[float], Any]

    def gamma(self, k: int) -> float:
        """The bound k u / (1 - k u) on the relative error of k roundings; inf where there is none."""
        return k * self.unit / (1 - k * self.unit) if k * self.unit < 1 else inf


FORMATS = {
    np.dtype(t): Format(float(np.finfo(t).eps) / 2, float(np.finfo(t).tiny), float(np.finfo(t).max), t)
    for t in (np.float64, np.float32)
}
