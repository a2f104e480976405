"""Balls: real numbers as a midpoint and a rigorous radius, whole arrays of them.

The arithmetic is Arb's (F. Johansson, Arb: efficient arbitrary-precision midpoint-radius interval arithmetic, IEEE
Transactions on Computers 66, 2017), through python-flint, on object arrays of `arb`. A result always contains the exact
result for every choice of numbers in the operands; what has no finite enclosure (1/0, the logarithm of a ball that
holds 0) is nan, which contains everything. Matrix products are Arb's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf, isnan, nan, nextafter
from typing import Any, NamedTuple

import numpy as np
from flint import arb, arb_mat, ctx

Array = np.ndarray[Any, Any]

# How many factors of products are kept as Arb has them.
KEPT = 16

ZERO = arb(0)
HALF = arb(0.5)
# What a slope may be at a tie: of a maximum, and of a magnitude.
BETWEEN_0_AND_1 = arb(0.5, 0.5)
BETWEEN_SIGNS = arb(0, 1)


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


def elementwise(function: Callable[..., Any], *arrays: Any, dtype: Any = object) -> Array:
    """`function` of each element, broadcast over `arrays`, as an array of `dtype` even for a single element."""
    result = np.frompyfunc(function, len(arrays), 1)(*(np.asarray(array, dtype=object) for array in arrays))
    return np.asarray(result, dtype=dtype)


def balls(array: Any) -> Array:
    """The exact balls of an array of floats or integers. Raises TypeError for any other dtype."""
    array = np.asarray(array)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"expected an array of floats or integers, got dtype {array.dtype}")
    return elementwise(arb, array.astype(np.float64) if array.dtype.kind == "f" else array)


class BallArithmetic:
    """The arithmetic of balls, at the precision in force, for programs (see `gradlab.tape.replay`).

    Args:
        inexact: the relative width to which constants are known that were rounded before they came here; 0: exactly.

    tied: some slope was a choice, and is enclosed by all that it may be.
    """

    channels = 1
    dtype = object

    def __init__(self, inexact: float = 0.0) -> None:
        self.inexact = inexact
        self.tied = False
        self._matrices: dict[Any, arb_mat] = {}

    def exact(self, numbers: Array, dtype: Any = np.float64) -> Array:
        """(…) floats -> (1, …)."""
        return elementwise(_exact, numbers)[None]

    def rounded(self, numbers: Array, dtype: Any = np.float64) -> Array:
        """(…) floats that stand for something within `inexact` of them -> (1, …)."""
        if not self.inexact:
            return self.exact(numbers)
        return elementwise(self._near, np.asarray(numbers, np.float64))[None]

    def _near(self, number: float) -> arb:
        # A number of few bits (0.5, 3, 1e3) has been rounded by nobody.
        few = float(np.float32(number)) == number
        return arb(number) if few else arb(number, abs(number) * self.inexact)

    @staticmethod
    def numbers(stored: Array) -> Array:
        """(1, …) -> what can be calculated with."""
        return stored[0]

    @staticmethod
    def stored(numbers: Any) -> Array:
        """The reverse."""
        return np.asarray(numbers, dtype=object)[None]

    def constant(self, number: float) -> Any:
        """One exact number."""
        return arb(number)

    def function(self, name: str, *operands: Any, parameter: Any = None) -> Any:
        """A function of `FUNCTIONS`, elementwise. Raises KeyError for any other."""
        return FUNCTIONS[name](*operands) if parameter is None else FUNCTIONS[name](*operands, parameter)

    @property
    def functions(self) -> frozenset[str]:
        return frozenset(FUNCTIONS)

    def at_least(self, a: Any, b: Any) -> Array:
        """The slope of max(a, b) by a: 1, 0, or at a tie what lies between."""
        return elementwise(lambda x, y: arb(1) if x > y else ZERO if x < y else self._tie(BETWEEN_0_AND_1), a, b)

    def sign(self, x: Any) -> Array:
        """The slope of |x|: 1, -1, or at 0 what lies between."""
        return elementwise(lambda y: arb(1) if y > 0 else arb(-1) if y < 0 else self._tie(BETWEEN_SIGNS), x)

    def _tie(self, slopes: arb) -> arb:
        self.tied = True
        return slopes

    def total(self, terms: Array, axes: tuple[int, ...]) -> Array:
        """The sum over some of the axes, which stay, of length 1."""
        return np.asarray(np.add.reduce(terms, axis=axes, keepdims=True), dtype=object)

    def product(self, left: Array, right: Array, keys: tuple[Any, Any] = (None, None)) -> Array:
        """(…, n, m) times (…, m, p), the leading axes equal.

        Args:
            keys: what tells either factor apart from all others of this arithmetic, None for one that is used once.
        """
        (n, m), p = left.shape[-2:], right.shape[-1]
        if left.ndim > 2:
            made = np.empty((len(left), n, p), dtype=object)
            for i, (a, b) in enumerate(zip(left, right, strict=True)):
                made[i] = self.product(a, b)
            return made
        if not n * m * p:
            return np.full((n, p), ZERO, dtype=object)
        product = self._matrix(left, keys[0]) * self._matrix(right, keys[1])
        return np.fromiter(product.entries(), object, n * p).reshape(n, p)

    def _matrix(self, array: Array, key: Any) -> Any:
        if key is None:
            return _matrix(array)
        if key not in self._matrices:
            if len(self._matrices) == KEPT:
                self._matrices.pop(next(iter(self._matrices)))
            self._matrices[key] = _matrix(array)
        return self._matrices[key]

    def compare(self, name: str, a: Any, b: Any) -> tuple[Array, Array]:
        """Where a comparison certainly holds, and where it certainly fails."""
        holds, fails = COMPARISONS[name]
        a, b = np.broadcast_arrays(np.asarray(a, object), np.asarray(b, object))
        return elementwise(holds, a, b, dtype=bool), elementwise(fails, a, b, dtype=bool)


def _matrix(array: Array) -> arb_mat:
    rows, columns = array.shape
    return arb_mat(rows, columns, array.ravel().tolist())


def _exact(x: Any) -> arb:
    return arb(x) if not isinstance(x, np.generic) else arb(x.item())


def power(base: arb, exponent: arb) -> arb:
    """base ** exponent, also where Arb has none for a ball around 0: (-r, r)**n lies in (-r**n, r**n)."""
    found = base**exponent
    if found.is_nan() and base.mid() == 0 and exponent.is_integer() and exponent > 0:
        return arb(0, base.abs_upper() ** exponent)
    return found


def _powers(x: Any, exponent: float) -> Array:
    n = arb(exponent)
    return elementwise(lambda one: power(one, n), x)


def _nearest_integer(x: arb) -> arb:
    """Half to even; both neighbours where a half may be met."""
    low, high = (x - HALF).ceil(), (x + HALF).floor()
    if low == high or not (x.is_exact() and low.is_exact() and high.is_exact()):
        return low.union(high)
    return low if (low / 2).is_integer() else high


def _truncated(x: arb) -> arb:
    return x.floor() if x >= 0 else x.ceil() if x <= 0 else x.floor().union(x.ceil())


def _signum(x: arb) -> arb:
    return arb(1) if x > 0 else arb(-1) if x < 0 else ZERO if x == 0 else BETWEEN_SIGNS


def _method(name: str) -> Callable[[Any], Array]:
    compute = getattr(arb, name)
    return lambda x: elementwise(compute, x)


_WRITTEN: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "negative": lambda x: -x,
    "positive": lambda x: x,
    "detach": lambda x: x,
    "cast": lambda x, *_: x,
    "reciprocal": lambda x: 1 / x,
    "integer_power": _powers,
    "power": lambda a, b: elementwise(power, a, b),
    "absolute": lambda x: elementwise(abs, x),
    "maximum": lambda a, b: elementwise(lambda x, y: x.max(y), a, b),
    "minimum": lambda a, b: elementwise(lambda x, y: x.min(y), a, b),
    "sign": lambda x: elementwise(_signum, x),
    "floor": _method("floor"),
    "ceil": _method("ceil"),
    "rint": lambda x: elementwise(_nearest_integer, x),
    "trunc": lambda x: elementwise(_truncated, x),
    "arctan": _method("atan"),
    "arcsin": _method("asin"),
    "arccos": _method("acos"),
    "arcsinh": _method("asinh"),
    "arccosh": _method("acosh"),
    "arctanh": _method("atanh"),
    "arctan2": lambda a, b: elementwise(lambda y, x: arb.atan2(y, x), a, b),
    "gammaln": _method("lgamma"),
    "trigamma": lambda x: elementwise(lambda y: arb(2).zeta(y), x),
}
_ARBS = "exp expm1 log log1p sqrt sin cos tan sinh cosh tanh erf erfc digamma"
FUNCTIONS = _WRITTEN | {name: _method(name) for name in _ARBS.split()}

COMPARISONS: dict[str, tuple[Callable[[Any, Any], bool], Callable[[Any, Any], bool]]] = {
    # name: (it certainly holds, it certainly fails)
    "less": (lambda a, b: a < b, lambda a, b: a >= b),
    "greater": (lambda a, b: a > b, lambda a, b: a <= b),
    "less_equal": (lambda a, b: a <= b, lambda a, b: a > b),
    "greater_equal": (lambda a, b: a >= b, lambda a, b: a < b),
    "equal": (lambda a, b: a == b, lambda a, b: not a.overlaps(b)),
    "not_equal": (lambda a, b: not a.overlaps(b), lambda a, b: a == b),
}


class Compared(NamedTuple):
    """Two arrays of balls side by side, entry by entry.

    overlap: they have a point in common. narrow: both have a relative radius of at most what was asked for. zero: both
    hold 0. bounded: both are finite. middle, other: their midpoints. radius, other_radius: their radii, rounded up.
    """

    overlap: Array
    narrow: Array
    zero: Array
    bounded: Array
    middle: Array
    other: Array
    radius: Array
    other_radius: Array


def compared(one: Array, other: Array, most: float) -> Compared:
    """Compare balls with balls, in one pass; `most`: the relative radius of what is narrow."""
    bits = 1 - math.log2(most)

    def pair(x: Any, y: Any) -> tuple[Any, ...]:
        x, y = _arb(x), _arb(y)
        if x.is_nan() or y.is_nan():
            return True, False, True, False, nan, nan, inf, inf
        zero = x.contains(0) and y.contains(0)
        narrow = (x.rel_accuracy_bits() >= bits or within(x, most)) and (
            y.rel_accuracy_bits() >= bits or within(y, most)
        )
        bounded = x.is_finite() and y.is_finite()
        middles = float(x.mid()), float(y.mid())
        return x.overlaps(y), narrow, zero, bounded, *middles, _float_radius(x), _float_radius(y)

    x, y = (np.asarray(array, dtype=object) for array in (one, other))
    rows = [pair(a, b) for a, b in zip(x.reshape(-1).tolist(), y.reshape(-1).tolist(), strict=True)]
    columns = zip(*rows, strict=True) if rows else [[]] * len(Compared._fields)
    kinds = [bool] * 4 + [float] * 4
    return Compared(*(np.array(c, kind).reshape(x.shape) for c, kind in zip(columns, kinds, strict=True)))


# The readers below take arrays of balls; exact numbers may stand among them.


def _arb(value: Any) -> arb:
    if type(value) is arb:
        return value
    return value.arb if hasattr(value, "arb") else _exact(value)


def as_balls(array: Any) -> Array:
    """The same numbers, each an `arb`."""
    array = np.asarray(array, dtype=object)
    return array if set(map(type, array.flat)) <= {arb} else elementwise(_arb, array)


def meet(a: Any, b: Any) -> bool:
    """Whether the balls of two arrays of one shape have a point in common, entry by entry; `overlaps`, all at once."""
    a, b = as_balls(a), as_balls(b)
    if a.shape != b.shape:
        return bool(overlaps(a, b).all())
    return all(map(arb.overlaps, a.reshape(-1).tolist(), b.reshape(-1).tolist()))


def midpoints(array: Any) -> Array:
    """The midpoints, rounded to float64."""
    return elementwise(lambda x: float(_arb(x).mid()), array, dtype=float)


def radii(array: Any) -> Array:
    """The radii, rounded up to float64; inf where unbounded. They do not cover the rounding of `midpoints`."""
    return elementwise(_float_radius, array, dtype=float)


def relative_radius(array: Any) -> Array:
    """The radius over the least magnitude in the ball, rounded up; 0 where exact, inf where the ball holds 0."""
    return elementwise(lambda x: float_up(_relative_radius(_arb(x))), array, dtype=float)


def within(array: Any, most: float) -> Array:
    """Where `relative_radius` is at most `most`, at a fraction of its cost for most balls."""
    # A ball of b accurate bits has rad < 2**-b |mid|, so its relative radius is below 2**-b / (1 - 2**-b) <= 2**(1-b).
    bits = 1 - math.log2(most)

    def narrow(x: Any) -> bool:
        x = _arb(x)
        accurate = not x.is_nan() and x.rel_accuracy_bits() >= bits
        return accurate or float_up(_relative_radius(x)) <= most

    return elementwise(narrow, array, dtype=bool)


def digits(array: Any) -> Array:
    """How many decimal digits are certain: -log10 of the relative radius, at least 0; inf where exact."""

    def certain(x: Any) -> float:
        ratio = _relative_radius(_arb(x))
        return inf if ratio == 0 else max(0.0, float((-ratio.log() / arb.const_log10()).lower()))

    return elementwise(certain, array, dtype=float)


def overlaps(a: Any, b: Any) -> Array:
    """Where the balls of `a` and `b` have a point in common; where they do not, the exact numbers differ."""
    return elementwise(lambda x, y: _arb(x).overlaps(_arb(y)), a, b, dtype=bool)


def contains(a: Any, b: Any) -> Array:
    """Where the balls of `a` contain those of `b` (balls or exact numbers)."""
    return elementwise(lambda x, y: _arb(x).contains(_arb(y)), a, b, dtype=bool)


def holds_zero(array: Any) -> Array:
    """Where the balls contain 0."""
    return elementwise(lambda x: _arb(x).contains(0), array, dtype=bool)


def finite(array: Any) -> Array:
    """Where the balls are bounded: neither infinite nor nan."""
    array = as_balls(array)
    return np.array(list(map(arb.is_finite, array.reshape(-1).tolist())), bool).reshape(array.shape)


def gaps(a: Any, b: Any) -> Array:
    """Lower bounds on how far apart the numbers in two balls are: 0 where they overlap."""

    def gap(x: Any, y: Any) -> float:
        x, y = _arb(x), _arb(y)
        if x.overlaps(y):
            return 0.0
        return max(0.0, float_down(abs(x - y).lower()))

    return elementwise(gap, a, b, dtype=float)


def reaches(array: Any) -> Array:
    """Upper bounds on the magnitudes of the numbers in the balls; inf where unbounded."""
    return elementwise(lambda x: inf if _arb(x).is_nan() else float_up(_arb(x).abs_upper()), array, dtype=float)


def _float_radius(x: Any) -> float:
    x = _arb(x)
    if x.is_exact():
        return 0.0
    # Converting rounds to the nearest float: a unit more is above it.
    return inf if x.is_nan() else float(x.rad()) * (1 + 2.0**-52) or nextafter(0.0, inf)


def _radius(x: arb) -> arb:
    return arb(inf) if x.is_nan() else x.rad()


def _relative_radius(x: arb) -> arb:
    radius = _radius(x)
    if radius == 0:
        return radius
    least = x.abs_lower()
    return radius / least if least > 0 else arb(inf)


def float_up(x: arb) -> float:
    """A float64 at or above every number in the ball."""
    upper = x.upper()
    nearest = float(upper)
    return inf if isnan(nearest) else nearest if upper <= nearest else nextafter(nearest, inf)


def float_down(x: arb) -> float:
    """A float64 at or below every number in the ball."""
    return -float_up(-x)
