"""Running error analysis: what any IEEE evaluation of the same source may be off by, whole arrays at a time.

    X   the exact value                  u   unit roundoff of the format (2**-53, 2**-24, 2**-11)
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

Two values are special: v = ±inf, e = 0 says that X and F are at least half the largest number in magnitude, F possibly
infinite, and its reciprocal is 0; v = nan, e = inf is unresolved, and so is what is computed from it.

The bounds are themselves computed in float64, from non-negative terms: an operation makes at most thirty roundings,
each relative, and exp, cosh and powers to 4 ulp at most twice, 16 more, which INFLATE covers (64 of 2**-53); a matrix
product adds up m terms in any order, at most m more roundings of each of three sums, and is inflated by 2 m more. What
they lose to underflow is far below (INFLATE - 1) * tiny.

What overflows on its way to an infinite bound makes NumPy warn: compute under np.errstate(all="ignore").
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from math import inf, nan
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

INFLATE = 1 + 2.0**-47
LOG_LARGEST = math.log(sys.float_info.max)


class Format(NamedTuple):
    """Unit roundoff, smallest normal number, largest number, and rounding to the format."""

    unit: float
    tiny: float
    largest: float
    round: Any

    def gamma(self, k: int) -> float:
        """The bound k u / (1 - k u) on the relative error of k roundings; inf where there is none."""
        return k * self.unit / (1 - k * self.unit) if k * self.unit < 1 else inf


FORMATS = {
    np.dtype(t): Format(float(np.finfo(t).eps) / 2, float(np.finfo(t).tiny), float(np.finfo(t).max), t)
    for t in (np.float64, np.float32, np.float16)
}


class Numbers:
    """Numbers with their bounds, (4, …): v, e, A and n of each. They add, multiply and divide as NumPy's arrays do."""

    __array_ufunc__ = None  # NumPy leaves the operators to this class
    __slots__ = ("form", "parts")

    def __init__(self, parts: Array, form: Format) -> None:
        self.parts, self.form = parts, form

    @property
    def shape(self) -> tuple[int, ...]:
        return self.parts.shape[1:]

    @property
    def ndim(self) -> int:
        return self.parts.ndim - 1

    @property
    def size(self) -> int:
        return math.prod(self.parts.shape[1:])

    def reshape(self, *shape: int) -> Numbers:
        return Numbers(self.parts.reshape(4, *shape), self.form)

    def closed(self) -> Numbers:
        """The same numbers with their open sums rounded: n <= 1, A = |v|, the whole bound in e."""
        v, e, A, n = self.parts
        if _maximum(n, axis=None, initial=0) <= 1:
            return self
        form = self.form
        additions = np.maximum(n - 1, 0)
        lost = additions * form.unit
        gamma = np.where(lost < 1, lost / (1 - lost), inf)
        magnitude = A + 2 * e
        e = (e + gamma * magnitude + additions * form.tiny) * (INFLATE + n * 2.0**-52)
        # Some order of summation passes through partial sums as large as `magnitude`.
        made = _unless(_beyond(magnitude + 2 * e, form.largest), v, e, form).parts
        return Numbers(np.where(n <= 1, self.parts, made), form)

    def bounds(self) -> Array:
        """Bounds on |F - X|; inf where unresolved or infinite."""
        v, e, _, _ = self.closed().parts
        return np.where(np.isfinite(v), e, inf)

    def values(self) -> Array:
        """The values of one evaluation."""
        return self.closed().parts[0]

    def interval(self) -> tuple[Array, Array]:
        """Bounds that hold for X, v and every F."""
        v, e, _, _ = self.closed().parts
        half = self.form.largest / 2
        low = np.where(e == 0, v, np.nextafter(v - 2 * e, -inf))
        high = np.where(e == 0, v, np.nextafter(v + 2 * e, inf))
        low, high = np.where(v == inf, half, low), np.where(v == -inf, -half, high)
        return np.where(np.isnan(low), -inf, low), np.where(np.isnan(high), inf, high)

    def lift(self, number: Any) -> Numbers:
        """A small whole number, to broadcast against these."""
        if isinstance(number, Numbers):
            return number
        made = np.array([number, 0.0, abs(number), 1.0 if number else 0.0]).reshape(4, *[1] * self.ndim)
        return Numbers(made, self.form)

    def __add__(self, other: Any) -> Numbers:
        a, b = _aligned(self, self.lift(other))
        found = a.parts + b.parts
        beyond = _beyond(found[2], self.form.largest)
        if beyond is not None:
            x, y = np.broadcast_arrays(a.closed().parts, b.closed().parts)
            found[:, beyond] = np.array([nan, inf, inf, 1.0])[:, None]
            for one, two in ((y, x), (x, y)):  # an infinite one stays as large if the other has its sign
                same = np.copysign(1, one[0]) * two[0] - 2 * two[1] >= 0
                stays = beyond & np.isinf(one[0]) & (two[1] < inf) & same
                found[:, stays] = one[:, stays]
        return Numbers(found, self.form)

    def __neg__(self) -> Numbers:
        found = self.parts.copy()
        found[0] = -found[0]
        return Numbers(found, self.form)

    def __sub__(self, other: Any) -> Numbers:
        return self + -self.lift(other)

    def __rsub__(self, other: Any) -> Numbers:
        return self.lift(other) + -self

    def __mul__(self, other: Any) -> Numbers:
        a, b = _aligned(self.closed(), self.lift(other).closed())
        form = self.form
        (va, ea, sa, na), (vb, eb, sb, nb) = a.parts, b.parts
        v = va * vb
        # |Fa Fb - Xa Xb| <= |Xa| eb + |Xb| ea + ea eb with |X| <= |v| + e
        moved = sa * eb + sb * ea + 3 * ea * eb
        e = (moved + form.unit * (np.abs(v) + 2 * moved) + form.tiny) * INFLATE
        e = np.where(na * nb == 0, 0.0, e)  # nothing is lost of an exact zero
        return _unless(None if np.isfinite(v).all() else (sa == inf) | (sb == inf), v, e, form)

    def __truediv__(self, other: Any) -> Numbers:
        a, b = _aligned(self.closed(), self.lift(other).closed())
        form = self.form
        (va, ea, sa, na), (vb, eb, sb, _) = a.parts, b.parts
        least = sb - 2 * eb
        # Fa/Fb - Xa/Xb = (Fa - Xa)/Fb - (Xa/Xb) (Fb - Xb)/Fb; tiny: the division may have underflowed
        quotient = (sa + ea) / least + form.tiny
        moved = ea / least + quotient * (eb / least)
        v, e = va / vb, (moved + form.unit * (quotient + moved) + form.tiny) * INFLATE
        infinite = np.isinf(vb)
        if infinite.any():
            # The quotients are at most 2 m / largest, m = max(|Xa|, |Fa|, 1), and rounding does not double that.
            small = 4 * np.maximum(sa + 2 * ea, 1.0) / form.largest * INFLATE
            v, e = np.where(infinite, 0.0, v), np.where(infinite, small, e)
        unresolved = (sa == inf) | (eb == inf) | ~((least > 0) | infinite)
        zero = na == 0
        if zero.any():
            v, e = np.where(zero, 0.0, v), np.where(zero, 0.0, e)
        return _unless(unresolved, v, e, form)

    def __rtruediv__(self, other: Any) -> Numbers:
        return self.lift(other) / self

    __radd__ = __add__
    __rmul__ = __mul__


class RoundedArithmetic:
    """The arithmetic of running error bounds in a format, for programs (see `gradlab.tape.replay`).

    Args:
        dtype: float64, float32 or float16.

    Raises:
        ValueError: any other has no bounds.
    """

    channels = 4
    dtype = np.float64

    def __init__(self, dtype: Any = np.float64) -> None:
        if np.dtype(dtype) not in FORMATS:
            raise ValueError(f"{np.dtype(dtype)} has no bounds: wanted float64, float32 or float16")
        self.form = FORMATS[np.dtype(dtype)]

    def exact(self, numbers: Array, dtype: Any = np.float64) -> Array:
        """(…) floats -> (4, …), each with the error of storing it in the format."""
        form = self.form
        numbers = np.asarray(numbers, np.float64)
        size = np.abs(numbers)
        held = (size >= form.tiny) & (size <= form.largest)
        if form.round is not np.float64:
            held &= numbers.astype(form.round) == numbers
        held |= (size == 0) | (size == inf)
        return _ended(numbers, np.where(held, 0.0, (form.unit * size + form.tiny) * INFLATE), form).parts

    def rounded(self, numbers: Array, dtype: Any = np.float64) -> Array:
        """The same: the run itself has these floats."""
        return self.exact(numbers, dtype)

    def numbers(self, stored: Array) -> Numbers:
        """(4, …) -> what can be calculated with."""
        return Numbers(stored, self.form)

    @staticmethod
    def stored(numbers: Numbers) -> Array:
        """The reverse."""
        return numbers.parts

    def constant(self, number: float) -> Numbers:
        """One exact number."""
        return Numbers(self.exact(np.asarray(number)), self.form)

    def function(self, name: str, *operands: Any, parameter: Any = None) -> Numbers:
        """A function of `FUNCTIONS`, elementwise. Raises KeyError for any other."""
        if name in MONOTONE or name in STEEPEST:
            return _function(name, operands[0])
        return FUNCTIONS[name](*operands) if parameter is None else FUNCTIONS[name](*operands, parameter)

    @property
    def functions(self) -> frozenset[str]:
        return frozenset(FUNCTIONS) | frozenset(MONOTONE) | frozenset(STEEPEST)

    def at_least(self, a: Numbers, b: Numbers) -> Numbers:
        """The slope of max(a, b) by a: 1, 0, or where that is not certain what lies between."""
        (low_a, high_a), (low_b, high_b) = a.interval(), b.interval()
        v = np.where(low_a > high_b, 1.0, np.where(high_a < low_b, 0.0, 0.5))
        return _ended(v, np.where(v == 0.5, 0.5, 0.0), self.form)

    def sign(self, x: Numbers) -> Numbers:
        """The slope of |x|: 1, -1, or at 0 what lies between."""
        low, high = x.interval()
        v = np.where(low > 0, 1.0, np.where(high < 0, -1.0, 0.0))
        return _ended(v, np.where(v == 0, 1.0, 0.0), self.form)

    def total(self, terms: Numbers, axes: tuple[int, ...]) -> Numbers:
        """The open sum over some of the axes, which stay, of length 1."""
        parts = terms.parts
        added = np.add.reduce(parts, axis=tuple(axis + 1 for axis in axes), keepdims=True)
        if _beyond(added[2], self.form.largest) is None:
            return Numbers(added, self.form)
        kept = [axis for axis in range(terms.ndim) if axis not in axes]
        order = [0, *[axis + 1 for axis in (*kept, *axes)]]
        flat = parts.transpose(order).reshape(4, *[parts.shape[axis + 1] for axis in kept], -1)
        found = Numbers(flat[..., 0], self.form)
        for term in range(1, flat.shape[-1]):
            found = found + Numbers(flat[..., term], self.form)
        return found.reshape(*added.shape[1:])

    def product(self, left: Numbers, right: Numbers, keys: Any = None) -> Numbers:
        """(…, n, m) times (…, m, p), the leading axes equal."""
        a, b = left.closed(), right.closed()
        form = self.form
        (va, ea, sa, na), (vb, eb, sb, nb) = a.parts, b.parts
        m = va.shape[-1]
        A, n = sa @ sb, na @ nb
        moved = sa @ eb + ea @ (sb + 3 * eb)
        e = (moved + form.unit * (A + 2 * moved) + form.tiny * n) * (INFLATE + m * 2.0**-52)
        if _beyond(A + 2 * e, form.largest) is None:
            return Numbers(np.stack([va @ vb, e, A, n]), form)
        terms = Numbers(a.parts[..., :, :, None], form) * Numbers(b.parts[..., None, :, :], form)
        parts = self.total(terms, (terms.ndim - 2,)).parts
        return Numbers(parts.reshape(*parts.shape[:-2], parts.shape[-1]), form)

    def compare(self, name: str, a: Numbers, b: Numbers) -> tuple[Array, Array]:
        """Where a comparison certainly holds, and where it certainly fails."""
        (low_a, high_a), (low_b, high_b) = a.interval(), b.interval()
        equal = (low_a == high_a) & (low_b == high_b) & (low_a == low_b)
        apart = (high_a < low_b) | (high_b < low_a)
        holds: Any
        holds, fails = {
            "less": (high_a < low_b, low_a >= high_b),
            "less_equal": (high_a <= low_b, low_a > high_b),
            "greater": (low_a > high_b, high_a <= low_b),
            "greater_equal": (low_a >= high_b, high_a < low_b),
            "equal": (equal, apart),
            "not_equal": (apart, equal),
        }[name]
        return holds, fails

    @staticmethod
    def sizes(partial: Any) -> tuple[Any, Any]:
        """Of a partial derivative: the largest magnitude it may have, and what its computed value may be off by."""
        if partial is None or isinstance(partial, int):
            return abs(1 if partial is None else partial), 0.0
        _, e, A, _ = partial.closed().parts
        return A + e, e


_maximum = np.maximum.reduce


def _aligned(a: Numbers, b: Numbers) -> tuple[Numbers, Numbers]:
    """Numbers of as many axes each."""
    if a.ndim == b.ndim:
        return a, b
    rank = max(a.ndim, b.ndim)
    x, y = (one.reshape(*(1,) * (rank - one.ndim), *one.shape) for one in (a, b))
    return x, y


def _beyond(sizes: Array, largest: float) -> Array | None:
    """Where sizes, nan among them, are beyond the largest number; None if nowhere."""
    return None if _maximum(sizes, axis=None, initial=0.0) <= largest else ~(sizes <= largest)


def _ended(v: Array, e: Array, form: Format) -> Numbers:
    """Closed numbers with these values and bounds."""
    found = np.empty((4, *v.shape))
    found[0], found[1] = v, e
    found[2] = size = np.abs(v)
    found[3] = (v != 0) | (e != 0)
    beyond = _beyond(size + 2 * e, form.largest)
    if beyond is not None:
        infinite = beyond & (e < inf) & (size - 2 * e >= form.largest / 2)
        found[0] = np.where(infinite, np.copysign(inf, v), np.where(beyond, nan, v))
        found[1] = np.where(infinite, 0.0, np.where(beyond, inf, e))
        found[2] = np.where(beyond, inf, size)
    return Numbers(found, form)


def _unless(unresolved: Array | None, v: Array, e: Array, form: Format) -> Numbers:
    """Closed numbers; unresolved where said."""
    if unresolved is not None and unresolved.any():
        v, e = np.where(unresolved, nan, v), np.where(unresolved, inf, e)
    return _ended(v, e, form)


def _function(name: str, x: Numbers) -> Numbers:
    """An elementary function, by the steepest slope that it takes between X and F (the mean value theorem)."""
    x = x.closed()
    form = x.form
    v, e, _, n = x.parts
    low, high = x.interval()
    value, steepest = (MONOTONE | STEEPEST)[name]
    y = value(v)
    moved = np.where(e == 0, 0.0, steepest(low, high) * e)
    bound = (moved + 8 * form.unit * (np.abs(y) + 2 * moved) + form.tiny) * INFLATE  # 4 ulp <= 8 u
    if name in EXPONENTIAL:
        beyond = (v > LOG_LARGEST) | ((e != 0) & (high > LOG_LARGEST))
        y = np.where(beyond, np.where(low > LOG_LARGEST, inf, nan), y)
        bound = np.where(beyond, np.where(low > LOG_LARGEST, 0.0, inf), bound)
    if name in ODD:
        bound = np.where(n == 0, 0.0, bound)
    return _unless(np.isnan(y) | (e == inf) | np.isnan(bound), y, bound, form)


def _nearest_zero(low: Array, high: Array) -> Array:
    return np.maximum(np.maximum(low, -high), 0.0)


def _over(x: Array) -> Array:
    return np.where(x > 0, 1 / x, inf)


def _largest(low: Array, high: Array) -> Array:
    return np.maximum(np.abs(low), np.abs(high))


def _root_over(low: Array, high: Array) -> Array:
    """1 / √(1 - x²) at the end that is farther from 0; inf beyond the domain."""
    room = 1 - _largest(low, high) ** 2
    return np.where(room > 0, 1 / np.sqrt(np.abs(room)), inf)


Slope = Callable[[Array, Array], Array]

EXPONENTIAL = frozenset({"exp", "expm1", "sinh", "cosh"})
ODD = frozenset({"expm1", "log1p", "sqrt", "sin", "sinh", "tan", "tanh", "arctan", "arcsin", "arcsinh", "arctanh"})

# name: (function, the largest |slope| between low and high)
MONOTONE: dict[str, tuple[Callable[[Array], Array], Slope]] = {
    "exp": (np.exp, lambda low, high: np.exp(high)),
    "expm1": (np.expm1, lambda low, high: np.exp(high)),
    "log": (np.log, lambda low, high: _over(low)),
    "log1p": (np.log1p, lambda low, high: _over(1 + low)),
    "sqrt": (np.sqrt, lambda low, high: _over(2 * np.sqrt(np.maximum(low, 0.0)))),
    "sinh": (np.sinh, lambda low, high: np.cosh(_largest(low, high))),
    # An upper bound beyond 300, where cosh(x)**2 would overflow.
    "tanh": (np.tanh, lambda low, high: 1 / np.cosh(np.minimum(_nearest_zero(low, high), 300.0)) ** 2),
    "arctan": (np.arctan, lambda low, high: 1 / (1 + _nearest_zero(low, high) ** 2)),
    "arcsin": (np.arcsin, _root_over),
    "arccos": (np.arccos, _root_over),
    "arcsinh": (np.arcsinh, lambda low, high: 1 / np.sqrt(1 + _nearest_zero(low, high) ** 2)),
    "arccosh": (np.arccosh, lambda low, high: _over(np.sqrt(np.maximum(low**2 - 1, 0.0)))),
    "arctanh": (np.arctanh, lambda low, high: _over(1 - _largest(low, high) ** 2)),
}
STEEPEST: dict[str, tuple[Callable[[Array], Array], Slope]] = {
    "sin": (np.sin, lambda low, high: np.ones(np.shape(low))),
    "cos": (np.cos, lambda low, high: np.ones(np.shape(low))),
    "cosh": (np.cosh, lambda low, high: np.sinh(_largest(low, high))),
    "tan": (np.tan, lambda low, high: _tangent_slope(low, high)),
}


def _tangent_slope(low: Array, high: Array) -> Array:
    """1 + tan² at the steeper end; inf where a pole lies between."""
    one_branch = np.floor(low / np.pi + 0.5) == np.floor(high / np.pi + 0.5)
    steepest = 1 + np.maximum(np.tan(low) ** 2, np.tan(high) ** 2)
    # Below 2³⁰ the division misjudges the branch only within 2⁻²⁰ of a pole, where the slope is steeper than 2⁴⁰.
    return np.where(one_branch & (steepest < 2.0**39) & (_largest(low, high) < 2.0**30), steepest, inf)


def _angle(y: Numbers, x: Numbers) -> Numbers:
    """arctan2: its slopes are at most 1 over the distance from the origin; it jumps where y = 0 and x is negative."""
    y, x = _aligned(y.closed(), x.closed())
    form = y.form
    (low_y, high_y), (low_x, high_x) = y.interval(), x.interval()
    nearest = np.hypot(_nearest_zero(low_y, high_y), _nearest_zero(low_x, high_x)) * (1 - 2.0**-50)
    value = np.arctan2(y.values(), x.values())
    moved = (y.parts[1] + x.parts[1]) * _over(nearest)
    moved = np.where((y.parts[1] == 0) & (x.parts[1] == 0), 0.0, moved)
    bound = (moved + 8 * form.unit * (np.abs(value) + 2 * moved) + form.tiny) * INFLATE
    jumps = (low_y <= 0) & (high_y >= 0) & (low_x <= 0)
    return _unless(jumps | np.isnan(bound), value, bound, form)


def _integer_power(x: Numbers, n: int) -> Numbers:
    """x to an integer: products in any order, or a library to 4 ulp."""
    x = x.closed()
    form = x.form
    if n < 0:
        return 1 / _integer_power(x, -n)
    if n == 0:
        return Numbers(np.broadcast_to(x.lift(1).parts, x.parts.shape), form)
    if n == 1:
        return x
    v, e, A, entries = x.parts
    most = A + 2 * e
    moved = n * (most ** (n - 1) + form.tiny) * e  # tiny: the power may have underflowed
    bound = (moved + form.gamma(max(n - 1, 8)) * most**n + n * form.tiny) * INFLATE
    return _unless(A == inf, v**n, np.where(entries == 0, 0.0, bound), form)


def _power(x: Numbers, p: Numbers) -> Numbers:
    """x**p, by the mean value theorem: its slopes are x**p p/x and x**p log x, and x**p is largest in a corner."""
    x, p = _aligned(x.closed(), x.lift(p).closed())
    form = x.form
    (low, high), (least, most) = x.interval(), p.interval()
    positive = low > 0
    low = np.where(positive, low, 1.0)
    corners = [base**exponent for base in (low, high) for exponent in (least, most)]
    largest = np.maximum.reduce(np.broadcast_arrays(*corners)) + form.tiny  # tiny: it may have underflowed
    steepest = _largest(least, most) * (x.parts[1] / low) + np.maximum(-np.log(low), np.log(high)) * p.parts[1]
    y, moved = x.parts[0] ** p.parts[0], largest * steepest
    bound = (moved + 8 * form.unit * (np.abs(y) + 2 * moved) + form.tiny) * INFLATE
    return _unless(~positive | np.isnan(bound), y, bound, form)


def _magnitude(x: Numbers) -> Numbers:
    v, e, _, _ = x.closed().parts
    return _ended(np.abs(v), e, x.form)


def _larger(a: Numbers, b: Numbers) -> Numbers:
    """The maximum: no further off than the worse of the two."""
    a, b = _aligned(a.closed(), b.closed())
    return _unless(None, np.maximum(a.parts[0], b.parts[0]), np.maximum(a.parts[1], b.parts[1]), a.form)


def _stepped(step: Callable[[Array], Array]) -> Callable[[Numbers], Numbers]:
    """A function that is constant between jumps: exact where no jump is near."""

    def stepped(x: Numbers) -> Numbers:
        low, high = x.interval()
        y, below, above = step(x.values()), step(low), step(high)
        return _unless(~np.isfinite(above - below), y, np.maximum(np.abs(y - below), np.abs(above - y)), x.form)

    return stepped


def _cast(x: Numbers, dtype: Any = None) -> Numbers:
    """Rounded to a format, or to the arithmetic's own if that is the narrower."""
    form = x.form if dtype is None else max(x.form, FORMATS[np.dtype(dtype)], key=lambda one: one.unit)
    return Numbers((Numbers(x.closed().parts, form) * 1).parts, x.form)


FUNCTIONS: dict[str, Callable[..., Numbers]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "negative": lambda x: -x,
    "positive": lambda x: x,
    "detach": lambda x: x,
    "cast": _cast,
    "reciprocal": lambda x: 1 / x,
    "integer_power": _integer_power,
    "power": _power,
    "arctan2": _angle,
    "absolute": _magnitude,
    "maximum": _larger,
    "minimum": lambda a, b: -_larger(-a, -b),
    "sign": _stepped(np.sign),
    "floor": _stepped(np.floor),
    "ceil": _stepped(np.ceil),
    "rint": _stepped(np.rint),
    "trunc": _stepped(np.trunc),
}
