"""What the scalars of this package share: how they meet NumPy, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

FUNCTIONS = ("exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "sinh", "cosh", "tanh", "arctan")
"""The functions every scalar has as methods, under the names by which NumPy calls them on object arrays."""


class Undecidable(ArithmeticError):
    """A comparison that the enclosures of its operands leave open."""


def exact(number: object) -> int | float | None:
    """The Python number equal to `number`, or None where there is none (an array, a complex, a longdouble)."""
    if isinstance(number, (int, float)):  # float64 and bool are among them
        return number
    if isinstance(number, (np.integer, np.float32, np.float16, np.bool_)):
        return number.item()
    return None


def elementwise(function: Callable[..., Any], *arrays: Any, dtype: type = object) -> np.ndarray:
    """`function` of each element, broadcast over `arrays`, as an array of `dtype` even for a single element."""
    result = np.frompyfunc(function, len(arrays), 1)(*(np.asarray(array, dtype=object) for array in arrays))
    return np.asarray(result, dtype=dtype)


def from_real(scalar: Callable[[Any], Any], array: Any) -> np.ndarray:
    """`scalar` of each element of a real array. Raises TypeError where the elements are no integers or floats."""
    array = np.asarray(array)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"expected an array of floats or integers, got dtype {array.dtype}")
    return elementwise(scalar, array)


_COMPARISONS: dict[str, tuple[Callable[[Any, Any], bool], Callable[[Any, Any], bool]]] = {
    # operator: (it certainly holds, it certainly fails)
    "<": (lambda a, b: a._less(b), lambda a, b: b._at_most(a)),
    ">": (lambda a, b: b._less(a), lambda a, b: a._at_most(b)),
    "<=": (lambda a, b: a._at_most(b), lambda a, b: b._less(a)),
    ">=": (lambda a, b: b._at_most(a), lambda a, b: a._less(b)),
    "==": (lambda a, b: a._equal(b), lambda a, b: a._less(b) or b._less(a)),
    "!=": (lambda a, b: a._less(b) or b._less(a), lambda a, b: a._equal(b)),
}


class Scalar:
    """A real number for NumPy object arrays; immutable.

    A subclass gives `__add__`, `__sub__`, `__mul__`, `__truediv__`, `__pow__`, `__neg__`, `__abs__`, the methods named
    in `FUNCTIONS`, `_lift` (an operand as one of its own kind, or None), and what is certain: `_less`, `_at_most`,
    `_equal`.
    """

    __slots__ = ()

    def __radd__(self, other: object) -> Any:
        lifted = self._lift(other)
        return NotImplemented if lifted is None else lifted + self

    def __rsub__(self, other: object) -> Any:
        lifted = self._lift(other)
        return NotImplemented if lifted is None else lifted - self

    def __rmul__(self, other: object) -> Any:
        lifted = self._lift(other)
        return NotImplemented if lifted is None else lifted * self

    def __rtruediv__(self, other: object) -> Any:
        lifted = self._lift(other)
        return NotImplemented if lifted is None else lifted / self

    def __rpow__(self, other: object) -> Any:
        lifted = self._lift(other)
        return NotImplemented if lifted is None else lifted**self

    def __pos__(self) -> Any:
        return self

    def conjugate(self) -> Any:
        """The number itself; np.var asks for it."""
        return self

    def fabs(self) -> Any:
        """The magnitude, for np.fabs."""
        return abs(self)  # type: ignore[arg-type]

    def __lt__(self, other: object) -> bool:
        return self._decide("<", other)

    def __gt__(self, other: object) -> bool:
        return self._decide(">", other)

    def __le__(self, other: object) -> bool:
        return self._decide("<=", other)

    def __ge__(self, other: object) -> bool:
        return self._decide(">=", other)

    def __eq__(self, other: object) -> bool:
        return self._decide("==", other)

    def __ne__(self, other: object) -> bool:
        return self._decide("!=", other)

    def __bool__(self) -> bool:
        return self != 0

    def _decide(self, symbol: str, other: object) -> Any:
        lifted = self._lift(other)
        if lifted is None:
            return NotImplemented
        holds, fails = _COMPARISONS[symbol]
        if holds(self, lifted):
            return True
        if fails(self, lifted):
            return False
        raise Undecidable(f"{self!r} {symbol} {lifted!r} is undecidable: the enclosures overlap")

    def _lift(self, other: object) -> Any:
        raise NotImplementedError

    def __float__(self) -> NoReturn:
        kind = type(self).__name__
        raise TypeError(
            f"a {kind} is no float: storing it in a float buffer would silently lose its error bound. "
            f"Allocate the buffer with the dtype of the inputs, e.g. np.empty_like(x) or np.zeros(shape, dtype=x.dtype)"
        )

    __int__ = __complex__ = __float__

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self
