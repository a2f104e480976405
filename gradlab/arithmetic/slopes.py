"""Elementary functions with the steepest slope each takes on an interval.

Raises OverflowError beyond the largest float, and ValueError outside a function's domain, as `math` does. The functions
here do so without raising the processor's flags, at which NumPy would warn.
"""

import math
import sys
from collections.abc import Callable
from math import inf

LOG_LARGEST = math.log(sys.float_info.max)


def _exp(x: float) -> float:
    if x > LOG_LARGEST:
        raise OverflowError
    return math.exp(x)


def _expm1(x: float) -> float:
    return math.expm1(x) if x < 1 else _exp(x) - 1


def _sqrt(x: float) -> float:
    if x < 0:
        raise ValueError
    return math.sqrt(x)


def _nearest_zero(low: float, high: float) -> float:
    return max(low, -high, 0.0)


def _over(x: float) -> float:
    return 1 / x if x > 0 else inf


def _sech2(x: float) -> float:
    return 1 / math.cosh(min(x, 300.0)) ** 2  # an upper bound beyond 300, where cosh(x)**2 would overflow


FUNCTIONS: dict[str, tuple[Callable[[float], float], Callable[[float, float], float]]] = {
    # name: (function, the largest |slope| between low and high)
    "exp": (_exp, lambda low, high: _exp(high)),
    "expm1": (_expm1, lambda low, high: _exp(high)),
    "log": (math.log, lambda low, high: _over(low)),
    "log1p": (math.log1p, lambda low, high: _over(1 + low)),
    "sqrt": (_sqrt, lambda low, high: _over(2 * _sqrt(low))),
    "sin": (math.sin, lambda low, high: 1.0),
    "cos": (math.cos, lambda low, high: 1.0),
    "sinh": (math.sinh, lambda low, high: math.cosh(max(-low, high))),
    "cosh": (math.cosh, lambda low, high: math.sinh(max(-low, high))),
    "tanh": (math.tanh, lambda low, high: _sech2(_nearest_zero(low, high))),
    "arctan": (math.atan, lambda low, high: 1 / (1 + _nearest_zero(low, high) * _nearest_zero(low, high))),
}
