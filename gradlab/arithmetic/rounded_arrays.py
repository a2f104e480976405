"""`gradlab.arithmetic.rounded` on whole arrays of float64: the same formulas, an operation at a time.

    numbers (4, …)    v, e, A and n of each entry, as there; n is a float
    closed (4, …)     numbers whose open sums are rounded: n <= 1, A = |v|, the whole bound in e

An exact zero is v = e = A = n = 0; unresolved is v = nan, e = A = inf.

The bounds are computed in other orders than there, so their own rounding is covered anew: from non-negative terms an
operation makes at most thirty roundings, each relative, and exp, cosh and powers to 4 ulp at most twice, 16 more, which
INFLATE covers (64 of 2**-53); a matrix product adds up m terms in any order, at most m more roundings of each of three
sums, and is inflated by 2 m more.

What overflows on its way to an infinite bound makes NumPy warn: compute under np.errstate(all="ignore").
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, nan
from typing import Any

import numpy as np

from gradlab.arithmetic.scalar_rounded import INFLATE, format_in_force
from gradlab.arithmetic.slopes import LOG_LARGEST
from gradlab.arithmetic.traced import Operation

Array = np.ndarray[Any, Any]


class RoundedArithmetic:
    """Rounded numbers as arrays (4, …), in the format in force."""

    channels = 4
    dtype = np.float64

    @property
    def operations(self) -> dict[str, Callable[..., Operation]]:
        return _OPERATIONS

    def exact(self, numbers: Array) -> Array:
        """The numbers of an array of floats, each with the error of storing it."""
        unit, tiny, largest, _ = format_in_force()
        fmt: Any = format_in_force().round
        size = np.abs(numbers)
        held = (size >= tiny) & (size <= largest)
        if fmt is not np.float64:
            held &= numbers.astype(fmt) == numbers
        held |= size == 0
        return _ended(numbers, np.where(held, 0.0, (unit * size + tiny) * INFLATE))

    def matrix_product(self, left: Array, right: Array) -> tuple[Array, Array, Array]:
        """(4, n, m) times (4, m, p) -> (4, n, p), and the closed factors."""
        a, b = closed(left), closed(right)
        unit, tiny, largest, _ = format_in_force()
        (va, ea, sa, na), (vb, eb, sb, nb) = a, b
        m = va.shape[1]
        found = np.empty((4, len(va), vb.shape[1]))
        found[0], found[2], found[3] = va @ vb, sa @ sb, na @ nb
        _, e, A, n = found
        moved = sa @ eb + ea @ (sb + 3 * eb)
        e[...] = (moved + unit * (A + 2 * moved) + tiny * n) * (INFLATE + m * 2.0**-52)
        if _beyond(A + 2 * e, largest) is None:
            return found, a, b
        terms = _multiply(a[:, :, :, None], b[:, None]).values
        return self.total(terms, (1,))[:, :, 0], a, b

    def total(self, terms: Array, axes: tuple[int, ...]) -> Array:
        """The open sum over some of the axes of the entries, which stay, of length 1."""
        added = np.add.reduce(terms, axis=tuple(axis + 1 for axis in axes), keepdims=True)
        if _beyond(added[2], format_in_force().largest) is None:
            return added
        kept = [axis for axis in range(terms.ndim - 1) if axis not in axes]
        flat = terms.transpose(0, *[axis + 1 for axis in (*kept, *axes)]).reshape(
            4, *[terms.shape[axis + 1] for axis in kept], -1
        )
        found = flat[..., 0]
        for term in range(1, flat.shape[-1]):
            found = _add(found, flat[..., term]).values
        return found.reshape(added.shape)


def closed(x: Array) -> Array:
    """The same numbers with their open sums rounded."""
    v, e, A, n = x
    if _maximum(n, axis=None, initial=0) <= 1:
        return x
    unit, tiny, largest, _ = format_in_force()
    additions = np.maximum(n - 1, 0)
    lost = additions * unit
    gamma = np.where(lost < 1, lost / (1 - lost), inf)
    magnitude = A + 2 * e
    e = (e + gamma * magnitude + additions * tiny) * (INFLATE + n * 2.0**-52)
    # Some order of summation passes through partial sums as large as `magnitude`.
    made = _unless(_beyond(magnitude + 2 * e, largest), v, e)
    return np.where(n <= 1, x, made)


def bounds(x: Array) -> Array:
    """Bounds on |F - X|; inf where unresolved or infinite."""
    v, e, _, _ = closed(x)
    return np.where(np.isfinite(v), e, inf)


def sizes(x: Array | int | None) -> tuple[Any, Any]:
    """Of a partial derivative: the largest magnitude it may have, and what its computed value may be off by."""
    if x is None or isinstance(x, int):
        return abs(1 if x is None else x), 0.0
    _, e, A, _ = x  # every operation gives its partials closed
    return A + e, e


_maximum = np.maximum.reduce


def _beyond(sizes: Array, largest: float) -> Array | None:
    """Where sizes, nan among them, are beyond the largest number; None if nowhere."""
    return None if _maximum(sizes, axis=None, initial=0.0) <= largest else ~(sizes <= largest)


def _ended(v: Array, e: Array) -> Array:
    """Closed numbers with these values and bounds."""
    largest = format_in_force().largest
    found = np.empty((4, *v.shape))
    found[0], found[1] = v, e
    found[2] = size = np.abs(v)
    found[3] = (v != 0) | (e != 0)
    beyond = _beyond(size + 2 * e, largest)
    if beyond is not None:
        infinite = beyond & (e < inf) & (size - 2 * e >= largest / 2)
        found[0] = np.where(infinite, np.copysign(inf, v), np.where(beyond, nan, v))
        found[1] = np.where(infinite, 0.0, np.where(beyond, inf, e))
        found[2] = np.where(beyond, inf, size)
    return found


def _unless(unresolved: Array | None, v: Array, e: Array) -> Array:
    """Closed numbers; unresolved where said."""
    if unresolved is not None and unresolved.any():
        v, e = np.where(unresolved, nan, v), np.where(unresolved, inf, e)
    return _ended(v, e)


def _rounded_function(v: Array, moved: Array) -> tuple[Array, Array]:
    unit, tiny, _, _ = format_in_force()
    return v, (moved + 8 * unit * (np.abs(v) + 2 * moved) + tiny) * INFLATE  # 4 ulp <= 8 u


def _add(a: Array, b: Array) -> Operation:
    found = a + b
    beyond = _beyond(found[2], format_in_force().largest)
    if beyond is not None:
        x, y = np.broadcast_arrays(closed(a), closed(b))
        found[:, beyond] = np.array([nan, inf, inf, 1.0])[:, None]
        for one, other in ((y, x), (x, y)):  # an infinite one stays as large if the other has its sign
            same = np.copysign(1, one[0]) * other[0] - 2 * other[1] >= 0
            stays = beyond & np.isinf(one[0]) & (other[1] < inf) & same
            found[:, stays] = one[:, stays]
    return Operation(found, (None, None))


def _negated(x: Array) -> Array:
    found = x.copy()
    np.negative(found[0], out=found[0])
    return found


def _subtract(a: Array, b: Array) -> Operation:
    return Operation(_add(a, _negated(b)).values, (None, -1))


def _negative(x: Array) -> Operation:
    return Operation(_negated(x), (-1,))


def _multiply(a: Array, b: Array) -> Operation:
    a, b = closed(a), closed(b)
    unit, tiny, _, _ = format_in_force()
    (va, ea, sa, na), (vb, eb, sb, nb) = a, b
    v = va * vb
    # |Fa Fb - Xa Xb| <= |Xa| eb + |Xb| ea + ea eb with |X| <= |v| + e
    moved = sa * eb + sb * ea + 3 * ea * eb
    e = (moved + unit * (np.abs(v) + 2 * moved) + tiny) * INFLATE * (na * nb)  # nothing is lost of an exact zero
    found = _unless(None if np.isfinite(v).all() else (sa == inf) | (sb == inf), v, e)
    return Operation(found, (b, a))


def _quotient(a: Array, b: Array) -> Array:
    a, b = closed(a), closed(b)
    unit, tiny, largest, _ = format_in_force()
    (va, ea, sa, na), (vb, eb, sb, _) = a, b
    least = sb - 2 * eb
    # Fa/Fb - Xa/Xb = (Fa - Xa)/Fb - (Xa/Xb) (Fb - Xb)/Fb; tiny: the division may have underflowed
    quotient = (sa + ea) / least + tiny
    moved = ea / least + quotient * (eb / least)
    v, e = va / vb, (moved + unit * (quotient + moved) + tiny) * INFLATE
    infinite = np.isinf(vb)
    if infinite.any():
        # The quotients are at most 2 m / largest, m = max(|Xa|, |Fa|, 1), and rounding does not double that.
        small = 4 * np.maximum(sa + 2 * ea, 1.0) / largest * INFLATE
        v, e = np.where(infinite, 0.0, v), np.where(infinite, small, e)
    unresolved = (sa == inf) | (eb == inf) | ~((least > 0) | infinite)
    zero = na == 0
    if zero.any():
        v, e = np.where(zero, 0.0, v), np.where(zero, 0.0, e)
    return _unless(unresolved, v, e)


def _number(number: int, x: Array) -> Array:
    """A small integer that is not 0, to broadcast against x."""
    return np.array([number, 0.0, abs(number), 1.0]).reshape(4, *[1] * (x.ndim - 1))


def _divide(a: Array, b: Array) -> Operation:
    quotient, inverse = _quotient(a, b), _quotient(_number(1, b), b)
    return Operation(quotient, (inverse, _multiply(_negated(quotient), inverse).values))


def _reciprocal(x: Array) -> Operation:
    quotient = _quotient(_number(1, x), x)
    return Operation(quotient, (_quotient(_negated(quotient), x),))


def _power(x: Array, exponent: int) -> Operation:
    """x to an integer: products in any order, or a library to 4 ulp."""
    x = closed(x)
    if exponent == 0:
        return Operation(_integer_power(x, 0), (np.zeros_like(x),))
    slope = _multiply(_number(exponent, x), _integer_power(x, exponent - 1)).values
    return Operation(_integer_power(x, exponent), (slope,))


def _integer_power(x: Array, n: int) -> Array:
    if n < 0:
        return _quotient(_number(1, x), _integer_power(x, -n))
    if n == 0:
        return np.broadcast_to(_number(1, x), x.shape)
    if n == 1:
        return x
    v, e, A, entries = x
    form = format_in_force()
    most = A + 2 * e
    moved = n * (most ** (n - 1) + form.tiny) * e  # tiny: the power may have underflowed
    bound = (moved + form.gamma(max(n - 1, 8)) * most**n + n * form.tiny) * INFLATE
    return _unless(A == inf, v**n, np.where(entries == 0, 0.0, bound))


def _interval(x: Array) -> tuple[Array, Array]:
    """Bounds that hold for X, v and every F of closed numbers."""
    v, e, _, _ = x
    half = format_in_force().largest / 2
    low = np.where(e == 0, v, np.nextafter(v - 2 * e, -inf))
    high = np.where(e == 0, v, np.nextafter(v + 2 * e, inf))
    return np.where(v == inf, half, low), np.where(v == -inf, -half, high)


def _exp(x: Array) -> Operation:
    x = closed(x)
    v, e, _, _ = x
    low, high = _interval(x)
    moved = np.where(e == 0, 0.0, np.exp(high) * e)
    values, bound = _rounded_function(np.exp(v), moved)
    beyond = (v > LOG_LARGEST) | ((e != 0) & (high > LOG_LARGEST))
    if beyond.any():
        values = np.where(beyond, np.where(low > LOG_LARGEST, inf, nan), values)
        bound = np.where(beyond, np.where(low > LOG_LARGEST, 0.0, inf), bound)
    found = _unless(np.isnan(values) | (e == inf), values, bound)
    return Operation(found, (found,))


def _tanh(x: Array) -> Operation:
    x = closed(x)
    v, e, _, n = x
    low, high = _interval(x)
    # An upper bound beyond 300, where cosh(x)**2 would overflow.
    steepest = 1 / np.cosh(np.minimum(np.maximum(np.maximum(low, -high), 0.0), 300.0)) ** 2
    values, bound = _rounded_function(np.tanh(v), np.where(e == 0, 0.0, steepest * e))
    found = _unless(e == inf, values, np.where(n == 0, 0.0, bound))
    slope = closed(_subtract(_number(1, x), _multiply(found, found).values).values)
    return Operation(found, (slope,))


_OPERATIONS: dict[str, Callable[..., Operation]] = {
    "add": _add,
    "subtract": _subtract,
    "multiply": _multiply,
    "divide": _divide,
    "negative": _negative,
    "reciprocal": _reciprocal,
    "power": _power,
    "exp": _exp,
    "tanh": _tanh,
}
