"""A ball as a scalar, for object arrays of NumPy and for terms that are evaluated number by number.

What holds whole arrays of balls, and what reads them, is in `gradlab.arithmetic.balls`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import numpy as np
from flint import arb

from gradlab.arithmetic.balls import power
from gradlab.arithmetic.scalar import FUNCTIONS, Scalar, exact, from_real


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
