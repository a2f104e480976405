"""Floats as an arithmetic for programs: a run at other numbers, and derivatives without error bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


class FloatArithmetic:
    """Plain float64 arrays (see `gradlab.tape.replay`). Compute under np.errstate(all="ignore")."""

    channels = 1
    dtype = np.float64

    @staticmethod
    def exact(numbers: Array, dtype: Any = np.float64) -> Array:
        """(…) floats -> (1, …)."""
        return np.asarray(numbers, np.float64)[None]

    rounded = exact

    @staticmethod
    def numbers(stored: Array) -> Array:
        """(1, …) -> what can be calculated with."""
        return stored[0]

    @staticmethod
    def stored(numbers: Any) -> Array:
        """The reverse."""
        return np.asarray(numbers, np.float64)[None]

    @staticmethod
    def constant(number: float) -> Array:
        """One number."""
        return np.asarray(number, np.float64)

    @staticmethod
    def function(name: str, *operands: Any, parameter: Any = None) -> Any:
        """A function of NumPy, elementwise. Raises KeyError for one that NumPy has not."""
        if name in FUNCTIONS:
            return FUNCTIONS[name](*operands) if parameter is None else FUNCTIONS[name](*operands, parameter)
        if not isinstance(getattr(np, name, None), np.ufunc):
            raise KeyError(name)
        return getattr(np, name)(*operands)

    @staticmethod
    def at_least(a: Any, b: Any) -> Array:
        """The slope of max(a, b) by a; half at a tie."""
        return np.where(a > b, 1.0, np.where(a < b, 0.0, 0.5))

    @staticmethod
    def sign(x: Any) -> Array:
        """The slope of |x|; 0 at 0."""
        return np.sign(x)

    @staticmethod
    def total(terms: Array, axes: tuple[int, ...]) -> Array:
        """The sum over some of the axes, which stay, of length 1."""
        return np.add.reduce(terms, axis=axes, keepdims=True)

    @staticmethod
    def product(left: Array, right: Array, keys: Any = None) -> Array:
        """(…, n, m) times (…, m, p)."""
        return left @ right

    @staticmethod
    def compare(name: str, a: Any, b: Any) -> tuple[Array, Array]:
        """Where a comparison holds, and where it fails."""
        holds = getattr(np, name)(a, b)
        return holds, ~holds


def _integer_power(x: Array, n: int) -> Array:
    return x**n if n >= 0 else 1 / x**-n


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "detach": lambda x: x,
    "integer_power": _integer_power,
    "cast": lambda x, dtype=np.float64: np.asarray(x).astype(dtype).astype(np.float64),
}
