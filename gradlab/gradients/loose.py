"""Scalars among which a constant that was rounded before it came here counts as known to an ulp only.

`x / 3` and `x * (1 / 3)` are the same formula, and different on balls: 1/3 has become the nearest double. A gradient is
proven wrong only if it stays so when every exact number that meets a scalar may be off by an ulp. Exempt are numbers
of at most 24 bits (0.5, 3, 1e3), which no rounding has touched, and the data that the functions themselves hold.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from gradlab.arithmetic.scalar import FUNCTIONS, Scalar, exact


def loose(lift: Callable[[float], Any], blurred: Callable[[float], Any], data: Collection[float]) -> Any:
    """The scalar type over an arithmetic.

    Args:
        lift: a scalar of the arithmetic, of an exact number. blurred: the same, known to an ulp.
        data: numbers that are exact although they have many bits.
    """

    class Loose(Scalar):
        __slots__ = ("inner",)
        inner: Any

        def __init__(self, value: Any) -> None:
            if type(value) is Loose:
                self.inner = value.inner
                return
            number = exact(value)
            if number is None:
                self.inner = value
                return
            known = isinstance(number, int) or float(np.float32(number)) == number or number in data
            self.inner = lift(number) if known else blurred(number)

        def _lift(self, other: object) -> Any:
            if type(other) is Loose:
                return other
            return None if exact(other) is None else Loose(other)

        def __add__(self, other: object) -> Any:
            b = self._lift(other)
            return NotImplemented if b is None else Loose(self.inner + b.inner)

        def __sub__(self, other: object) -> Any:
            b = self._lift(other)
            return NotImplemented if b is None else Loose(self.inner - b.inner)

        def __mul__(self, other: object) -> Any:
            b = self._lift(other)
            return NotImplemented if b is None else Loose(self.inner * b.inner)

        def __truediv__(self, other: object) -> Any:
            b = self._lift(other)
            return NotImplemented if b is None else Loose(self.inner / b.inner)

        def __pow__(self, other: object) -> Any:
            b = self._lift(other)
            return NotImplemented if b is None else Loose(self.inner**b.inner)

        def __neg__(self) -> Any:
            return Loose(-self.inner)

        def __abs__(self) -> Any:
            return Loose(abs(self.inner))

        def __repr__(self) -> str:
            return repr(self.inner)

        def _less(self, other: Any) -> bool:
            return bool(self.inner._less(other.inner))

        def _at_most(self, other: Any) -> bool:
            return bool(self.inner._at_most(other.inner))

        def _equal(self, other: Any) -> bool:
            return bool(self.inner._equal(other.inner))

    for name in FUNCTIONS:
        setattr(Loose, name, lambda x, name=name: Loose(getattr(x.inner, name)()))
    return Loose
