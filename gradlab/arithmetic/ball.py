"""Balls: real numbers as a midpoint and a rigorous radius.

The arithmetic is Arb's (F. Johansson, Arb: efficient arbitrary-precision midpoint-radius interval arithmetic, IEEE
Transactions on Computers 66, 2017), through python-flint. A result always contains the exact result for every choice of
numbers in the operands; what has no finite enclosure (1/0, the logarithm of a ball that holds 0) is nan, which contains
everything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf, isnan, nextafter
from typing import Any, final

import numpy as np
from flint import arb, ctx

from gradlab.arithmetic.scalar import FUNCTIONS, Scalar, elementwise, exact, from_real


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Compute with `bits` bits inside the block. Raises ValueError for fewer than 2."""
    if bits < 2:
        raise ValueError(f"precision({bits}): at least 2 bits are needed")
    before = ctx.prec
    ctx.prec = bits
    try:
        yield
    finally:
        ctx.prec = before


@final
class Ball(Scalar):
    """A ball, from a Python or NumPy real number (exactly: 0.1 means the double), an `arb` or another ball.

    Lives in NumPy object arrays and mixes with exact numbers on either side. A comparison that the balls do not decide
    raises `Undecidable`; `float()`, and with it storing in a float buffer, raises TypeError.
    """

    __slots__ = ("arb",)

    def __init__(self, value: Any) -> None:
        self.arb: arb = value if type(value) is arb else _arb(value)

    # The first line of an operator is its fast path: matrix products live there.

    def __add__(self, other: object) -> Any:
        if type(other) is Ball:
            return Ball(self.arb + other.arb)
        number = exact(other)
        return NotImplemented if number is None else Ball(self.arb + number)

    def __sub__(self, other: object) -> Any:
        if type(other) is Ball:
            return Ball(self.arb - other.arb)
        number = exact(other)
        return NotImplemented if number is None else Ball(self.arb - number)

    def __mul__(self, other: object) -> Any:
        if type(other) is Ball:
            return Ball(self.arb * other.arb)
        number = exact(other)
        return NotImplemented if number is None else Ball(self.arb * number)

    def __truediv__(self, other: object) -> Any:
        if type(other) is Ball:
            return Ball(self.arb / other.arb)
        number = exact(other)
        return NotImplemented if number is None else Ball(self.arb / number)

    def __pow__(self, other: object) -> Any:
        exponent = self._lift(other)
        return NotImplemented if exponent is None else Ball(power(self.arb, exponent.arb))

    def __neg__(self) -> Ball:
        return Ball(-self.arb)

    def __abs__(self) -> Ball:
        return Ball(abs(self.arb))

    def __repr__(self) -> str:
        return f"Ball({self.arb})"

    def _lift(self, other: object) -> Ball | None:
        if type(other) is Ball:
            return other
        number = exact(other)
        return None if number is None else Ball(number)

    def _less(self, other: Ball) -> bool:
        return self.arb < other.arb

    def _at_most(self, other: Ball) -> bool:
        return self.arb <= other.arb

    def _equal(self, other: Ball) -> bool:
        return self.arb == other.arb


def power(base: arb, exponent: arb) -> arb:
    """base ** exponent, also where Arb has none for a ball around 0: (-r, r)**n lies in (-r**n, r**n)."""
    found = base**exponent
    if found.is_nan() and base.mid() == 0 and exponent.is_integer() and exponent > 0:
        return arb(0, base.abs_upper() ** exponent)
    return found


def _function(name: str) -> Callable[[Ball], Ball]:
    compute = getattr(arb, {"arctan": "atan"}.get(name, name))
    return lambda ball: Ball(compute(ball.arb))


for _name in FUNCTIONS:
    setattr(Ball, _name, _function(_name))


def _arb(value: Any) -> arb:
    if type(value) is Ball:
        return value.arb
    number = exact(value)
    if number is None:
        raise TypeError(f"expected a ball or a real number, got {type(value).__name__}")
    return arb(number)


def balls(array: Any) -> np.ndarray:
    """The exact balls of a float or integer array, as an object array of its shape.

    Raises TypeError for any other dtype.
    """
    return from_real(Ball, array)


# The readers below take arrays of balls; exact numbers may stand among them, as np.zeros_like leaves them there.


def midpoints(array: Any) -> np.ndarray:
    """The midpoints, rounded to float64."""
    return elementwise(lambda x: float(_arb(x).mid()), array, dtype=float)


def radii(array: Any) -> np.ndarray:
    """The radii, rounded up to float64; inf where unbounded. They do not cover the rounding of `midpoints`."""
    return elementwise(lambda x: _float_up(_radius(_arb(x))), array, dtype=float)


def relative_radius(array: Any) -> np.ndarray:
    """The radius over the least magnitude in the ball, rounded up; 0 where exact, inf where the ball holds 0."""
    return elementwise(lambda x: _float_up(_relative_radius(_arb(x))), array, dtype=float)


def within(array: Any, most: float) -> np.ndarray:
    """Where `relative_radius` is at most `most`, at a fraction of its cost for most balls."""
    # A ball of b accurate bits has rad < 2**-b |mid|, so its relative radius is below 2**-b / (1 - 2**-b) <= 2**(1-b).
    bits = 1 - math.log2(most)

    def narrow(x: Any) -> bool:
        x = _arb(x)
        accurate = not x.is_nan() and x.rel_accuracy_bits() >= bits
        return accurate or _float_up(_relative_radius(x)) <= most

    return elementwise(narrow, array, dtype=bool)


def digits(array: Any) -> np.ndarray:
    """How many decimal digits are certain: -log10 of the relative radius, at least 0; inf where exact."""

    def certain(x: Any) -> float:
        ratio = _relative_radius(_arb(x))
        return inf if ratio == 0 else max(0.0, float((-ratio.log() / arb.const_log10()).lower()))

    return elementwise(certain, array, dtype=float)


def overlaps(a: Any, b: Any) -> np.ndarray:
    """Where the balls of `a` and `b` have a point in common; where they do not, the exact numbers differ."""
    return elementwise(lambda x, y: _arb(x).overlaps(_arb(y)), a, b, dtype=bool)


def contains(a: Any, b: Any) -> np.ndarray:
    """Where the balls of `a` contain those of `b` (balls or exact numbers)."""
    return elementwise(lambda x, y: _arb(x).contains(_arb(y)), a, b, dtype=bool)


def finite(array: Any) -> np.ndarray:
    """Where the balls are bounded: neither infinite nor nan."""
    return elementwise(lambda x: bool(_arb(x).is_finite()), array, dtype=bool)


def _radius(x: arb) -> arb:
    return arb(inf) if x.is_nan() else x.rad()


def _relative_radius(x: arb) -> arb:
    radius = _radius(x)
    if radius == 0:
        return radius
    least = x.abs_lower()
    return radius / least if least > 0 else arb(inf)


def _float_up(x: arb) -> float:
    upper = x.upper()
    nearest = float(upper)
    return inf if isnan(nearest) else nearest if upper <= nearest else nextafter(nearest, inf)
