"""Running error analysis: what any IEEE evaluation of the same source may be off by.

    X   the exact value                  u   unit roundoff of the format (2**-53, 2**-24)
    F   the floating-point value         v   one evaluation, in float64
    e   |F - X| <= e and |v - X| <= e    A   sum of |v| over the terms of an open sum
    n   number of those terms, 0 for an exact zero

The bound holds for every F that uses any order of summation (BLAS and XLA reorder), fused multiply-add or not, gradual
underflow or flush to zero (hence `tiny`, the smallest normal number, is charged per operation), and elementary
functions good to 4 ulp (NumPy's vectorised exp is not correctly rounded).

Additions leave a sum open: terms with values F_i, |F_i| <= |v_i| + 2 e_i, add up in any order to within
gamma(n - 1) sum |F_i|, gamma(k) = k u / (1 - k u) (N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd
ed., 2002, sections 3.1 and 4.2). A fused product is one term left unrounded, whose error is below its e. Any other
operation closes its operands first, n <= 1, and from |X| <= |v| + e, |F| <= |v| + 2 e bounds
|op(F) - op(X)| + u |op(F)| + tiny.

The bounds are themselves computed in float64, from non-negative terms: the relative error of k such operations is below
(k + 1) 2**-53, so one factor `INFLATE` = 1 + 2**-47 covers the thirty of an operation, and `closed` adds two units for
each term of its sum. What they lose to underflow is far below (INFLATE - 1) * tiny.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from math import inf, nan
from typing import Any, final

import numpy as np

from gradlab.arithmetic.formats import FORMATS, Format
from gradlab.arithmetic.scalar import Scalar, elementwise, exact, from_real
from gradlab.arithmetic.slopes import FUNCTIONS

INFLATE = 1 + 2.0**-47

_blank = object.__new__

_format = FORMATS[np.dtype(np.float64)]


@contextmanager
def rounding(dtype: Any) -> Iterator[None]:
    """Bound evaluations in `dtype` inside the block (outside: float64).

    A number belongs to the block it was made in: compute with it, and read its `bounds`, there, since an open sum is
    rounded when it is closed. Raises ValueError for anything but float64 and float32.
    """
    global _format
    if np.dtype(dtype) not in FORMATS:
        raise ValueError(f"rounding({np.dtype(dtype)}): only float64 and float32 have bounds")
    before, _format = _format, FORMATS[np.dtype(dtype)]
    try:
        yield
    finally:
        _format = before


def format_in_force() -> Format:
    """The format in which the innermost `rounding` block bounds evaluations."""
    return _format


@final
class Rounded(Scalar):
    """A number with a bound on the rounding error of every evaluation, from an exact Python or NumPy real number.

    A number that the format does not hold exactly (0.1 in float32, a subnormal) starts with the error of storing it.
    Two values are special: `v=±inf, e=0` says that X and F are at least half the largest number in magnitude, F
    possibly infinite, and its reciprocal is 0; `v=nan, e=inf` is unresolved, and so is what is computed from it.
    A comparison is decided only if X and every F agree; else it raises `Undecidable`. `float()` raises TypeError.
    """

    __slots__ = ("A", "e", "n", "v")
    v: float
    e: float
    A: float
    n: int

    def __init__(self, number: Any) -> None:
        value = exact(number)
        if value is None:
            raise TypeError(f"expected a real number, got {type(number).__name__}")
        v, (unit, tiny, largest, fmt) = float(value), _format
        held = v == 0 or (tiny <= abs(v) <= largest and float(fmt(v)) == value)
        start = _closed(v, 0.0 if held else (unit * abs(v) + tiny) * INFLATE)
        self.v, self.e, self.A, self.n = start.v, start.e, start.A, start.n

    def closed(self) -> Rounded:
        """The same number with its open sum rounded: n <= 1 and the whole bound in e."""
        if self.n <= 1:
            return self
        additions = self.n - 1
        magnitude = self.A + 2 * self.e
        e = self.e + _format.gamma(additions) * magnitude + additions * _format.tiny
        e *= INFLATE + self.n * 2.0**-52
        # Some order of summation passes through partial sums as large as `magnitude`.
        return _closed(self.v, e) if magnitude + 2 * e <= _format.largest else UNRESOLVED

    def __add__(self, other: object) -> Any:
        b = other if type(other) is Rounded else self._lift(other)
        if b is None:
            return NotImplemented
        magnitude = self.A + b.A
        if magnitude <= _format.largest:
            return _new(self.v + b.v, self.e + b.e, magnitude, self.n + b.n)
        a, b = self.closed(), b.closed()
        for x, y in ((a, b), (b, a)):  # an infinite x stays as large if y has its sign
            if abs(x.v) == inf and y.e < inf and math.copysign(1, x.v) * y.v - 2 * y.e >= 0:
                return x
        return UNRESOLVED

    def __sub__(self, other: object) -> Any:
        b = other if type(other) is Rounded else self._lift(other)
        return NotImplemented if b is None else self + _new(-b.v, b.e, b.A, b.n)

    def __mul__(self, other: object) -> Any:
        b = other if type(other) is Rounded else self._lift(other)
        if b is None:
            return NotImplemented
        a = self if self.n <= 1 else self.closed()
        if b.n > 1:
            b = b.closed()
        if not a.n or not b.n:
            return UNRESOLVED if inf in (a.A, b.A) else ZERO
        if inf in (a.A, b.A):
            return UNRESOLVED
        unit, tiny, *_ = _format
        v = a.v * b.v
        # |Fa Fb - Xa Xb| <= |Xa| eb + |Xb| ea + ea eb with |X| <= |v| + e
        moved = a.A * b.e + b.A * a.e + 3 * a.e * b.e
        return _closed(v, (moved + unit * (abs(v) + 2 * moved) + tiny) * INFLATE)

    def __truediv__(self, other: object) -> Any:
        b = self._lift(other)
        if b is None:
            return NotImplemented
        a, b = self.closed(), b.closed()
        if a.A == inf or b.e == inf:
            return UNRESOLVED
        unit, tiny, largest, _ = _format
        if abs(b.v) == inf:
            # The quotients are at most 2 m / largest, m = max(|Xa|, |Fa|, 1), and rounding does not double that.
            return _closed(0.0, 4 * max(abs(a.v) + 2 * a.e, 1.0) / largest * INFLATE) if a.n else ZERO
        least = abs(b.v) - 2 * b.e
        if not least > 0:
            return UNRESOLVED
        if not a.n:
            return ZERO
        # Fa/Fb - Xa/Xb = (Fa - Xa)/Fb - (Xa/Xb) (Fb - Xb)/Fb
        quotient = (abs(a.v) + a.e) / least + tiny  # tiny: the division may have underflowed
        moved = a.e / least + quotient * (b.e / least)
        return _closed(a.v / b.v, (moved + unit * (quotient + moved) + tiny) * INFLATE)

    def __pow__(self, other: object) -> Any:
        b = self._lift(other)
        if b is None:
            return NotImplemented
        a, b = self.closed(), b.closed()
        try:
            if b.e == 0 and b.v.is_integer():
                return _integer_power(a, int(b.v))
            return _real_power(a, b)
        except OverflowError:
            return UNRESOLVED

    def __neg__(self) -> Rounded:
        return _new(-self.v, self.e, self.A, self.n)

    def __abs__(self) -> Rounded:
        x = self.closed()
        return _new(abs(x.v), x.e, x.A, x.n)

    def __repr__(self) -> str:
        x = self.closed()
        return f"Rounded({x.v!r} ± {x.e:.3g})"

    def interval(self) -> tuple[float, float]:
        """Bounds that hold for X, v and every F."""
        x = self.closed()
        if x.e == 0 and abs(x.v) < inf:
            return x.v, x.v
        if abs(x.v) == inf:
            return (_format.largest / 2, inf) if x.v > 0 else (-inf, -_format.largest / 2)
        return math.nextafter(x.v - 2 * x.e, -inf), math.nextafter(x.v + 2 * x.e, inf)

    def _lift(self, other: object) -> Rounded | None:
        if type(other) is Rounded:
            return other
        return None if exact(other) is None else Rounded(other)

    def _less(self, other: Rounded) -> bool:
        return self.interval()[1] < other.interval()[0]

    def _at_most(self, other: Rounded) -> bool:
        return self.interval()[1] <= other.interval()[0]

    def _equal(self, other: Rounded) -> bool:
        (low, high), theirs = self.interval(), other.interval()
        return low == high and (low, high) == theirs


def _new(v: float, e: float, A: float, n: int) -> Rounded:
    x: Rounded = _blank(Rounded)
    x.v = v
    x.e = e
    x.A = A
    x.n = n
    return x


def _closed(v: float, e: float) -> Rounded:
    size = abs(v)
    if size + 2 * e <= _format.largest:
        return _new(v, e, size, 1 if v or e else 0)
    if e < inf and abs(v) - 2 * e >= _format.largest / 2:
        return INFINITE if v > 0 else -INFINITE
    return UNRESOLVED


INFINITE = _new(inf, 0.0, inf, 1)
ZERO = _new(0.0, 0.0, 0.0, 0)
UNRESOLVED = _new(nan, inf, inf, 1)


def _integer_power(x: Rounded, n: int) -> Rounded:
    """x**n, computed as n - 1 products in any order or by a library to 4 ulp."""
    if n < 0:
        return 1 / _integer_power(x, -n)
    if n == 0:
        return Rounded(1)
    if n == 1 or not x.n:
        return x
    if x.A == inf:
        return UNRESOLVED
    most = abs(x.v) + 2 * x.e
    moved = n * (most ** (n - 1) + _format.tiny) * x.e  # tiny: the power may have underflowed
    return _closed(x.v**n, (moved + _format.gamma(max(n - 1, 8)) * most**n + n * _format.tiny) * INFLATE)


def _real_power(x: Rounded, p: Rounded) -> Rounded:
    """x**p, by the mean value theorem: its slopes are x**p p/x and x**p log x, and x**p is largest in a corner."""
    (low, high), exponents = x.interval(), p.interval()
    if inf in (x.A, p.A) or low <= 0:
        return UNRESOLVED
    most = max(b**q for b, q in product((low, high), exponents)) + _format.tiny  # tiny: it may have underflowed
    steepest = max(map(abs, exponents)) * (x.e / low) + max(-math.log(low), math.log(high)) * p.e
    return _rounded_function(x.v**p.v, most * steepest)


def _rounded_function(v: float, moved: float) -> Rounded:
    return _closed(v, (moved + 8 * _format.unit * (abs(v) + 2 * moved) + _format.tiny) * INFLATE)  # 4 ulp <= 8 u


def _method(function: Callable[[float], float], slope: Callable[[float, float], float]) -> Callable[[Rounded], Rounded]:
    def method(x: Rounded) -> Rounded:
        x = x.closed()
        if x.e == inf:
            return UNRESOLVED
        low, high = x.interval()
        try:
            if not x.n and function(0.0) == 0:
                return ZERO
            return _rounded_function(function(x.v), slope(low, high) * x.e if x.e else 0.0)
        except ValueError:  # outside the domain
            return UNRESOLVED
        except OverflowError:
            return INFINITE if _overflows(function, low) else UNRESOLVED

    return method


def _overflows(function: Callable[[float], float], low: float) -> bool:
    """Whether the function is beyond the largest float on all of [low, inf). Those that overflow increase for x > 0."""
    try:
        function(max(low, 0.0))
    except OverflowError:
        return True
    return False


for _name, _row in FUNCTIONS.items():
    setattr(Rounded, _name, _method(*_row))


def rounded(array: Any) -> np.ndarray:
    """The numbers of a float or integer array, as an object array of its shape. Raises TypeError for other dtypes."""
    return from_real(Rounded, array)


# The readers below take exact numbers among the elements, as np.zeros_like leaves them there.


def values(array: Any) -> np.ndarray:
    """The values of one evaluation."""
    return elementwise(lambda x: _number(x).v, array, dtype=float)


def bounds(array: Any) -> np.ndarray:
    """Bounds on |F - X|, and on |v - X|; inf where unresolved or infinite."""

    def bound(x: Any) -> float:
        x = _number(x)
        return x.e if math.isfinite(x.v) else inf

    return elementwise(bound, array, dtype=float)


def _number(x: Any) -> Rounded:
    return (x if type(x) is Rounded else Rounded(x)).closed()
