"""What stands in for numpy, math and float while a function runs on complex numbers, for the complex step.

A buffer of floats throws the imaginary part away, so the functions that allocate one allocate complex numbers; abs() is
continued to them.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

SAME = ["exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "sinh", "cosh", "tanh"]


class ComplexNumPy:
    """The stand-ins (see `gradlab.frontends.rebind.StandIns`)."""

    def __init__(self) -> None:
        self.float = _float_type()
        functions: dict[str, Any] = {"zeros": _new(np.zeros), "empty": _new(np.empty), "ones": _new(np.ones)}
        functions |= {name: _like(getattr(np, name)) for name in ("zeros_like", "ones_like", "empty_like", "full_like")}
        functions |= {name: _converted(getattr(np, name)) for name in ("array", "asarray", "asanyarray", "eye", "full")}
        functions |= {name: _converted(getattr(np, name)) for name in ("ascontiguousarray", "identity", "linspace")}
        functions |= {"abs": magnitude, "absolute": magnitude, "fabs": magnitude}
        functions |= {"float64": self.float, "double": self.float, "var": _variance, "std": _deviation}
        self.members: dict[str, dict[str, Any]] = {
            "numpy": functions,
            "math": {name: getattr(np, name) for name in SAME} | {"atan": np.arctan, "fabs": magnitude},
        }
        self.builtins = {"float": self.float, "abs": magnitude}

    def array(self, given: Array) -> Any:
        return given.astype(complex) if given.dtype.kind == "f" else given.copy()

    def object(self, given: Any) -> Any:
        return NotImplemented

    def module(self, name: str, member: Any) -> Any:
        return member


def magnitude(x: Any, *args: Any, **options: Any) -> Any:
    """|x|, continued off the real line, where abs() would throw the imaginary part away."""
    if np.iscomplexobj(x):
        return np.where(np.real(x) < 0, -np.asarray(x), np.asarray(x))[()]
    return np.abs(x, *args, **options) if isinstance(x, np.ndarray) else builtins.abs(x)


def _is_real(dtype: Any) -> bool:
    """Whether code that says this dtype means a real number."""
    try:
        return dtype is None or np.dtype(dtype).kind in "fc"
    except TypeError:
        return False


def _new(function: Callable[..., Any]) -> Callable[..., Any]:
    def allocate(shape: Any, dtype: Any = float, *args: Any, **options: Any) -> Any:
        return function(shape, complex if _is_real(dtype) else dtype, *args, **options)

    return allocate


def _like(function: Callable[..., Any]) -> Callable[..., Any]:
    def alike(array: Any, *args: Any, dtype: Any = None, **options: Any) -> Any:
        real = _is_real(dtype) if dtype is not None else np.asarray(array).dtype.kind in "fc"
        return function(array, *args, dtype=complex if real else dtype, **options)

    return alike


def _converted(function: Callable[..., Any]) -> Callable[..., Any]:
    def convert(*args: Any, **options: Any) -> Any:
        if _is_real(options.get("dtype")) or len(args) > 1:
            options.pop("dtype", None)
            args = (args[0],) if len(args) > 1 and isinstance(args[1], (type, np.dtype, str)) else args
        made = function(*args, **options)
        return made.astype(complex) if made.dtype.kind == "f" else made

    return convert


def _variance(x: Any, axis: Any = None, ddof: float = 0, keepdims: bool = False, **options: Any) -> Any:
    """The variance continued to complex numbers, where np.var takes the squares of magnitudes."""
    deviation = x - np.mean(x, axis=axis, keepdims=True)
    total = np.sum(deviation * deviation, axis=axis, keepdims=keepdims)
    return total / (np.size(x) / np.size(total) - ddof)


def _deviation(*args: Any, **options: Any) -> Any:
    return np.sqrt(_variance(*args, **options))


def _float_type() -> Any:
    """A type that stands for float: float(x) keeps a complex number, isinstance(x, float) accepts it."""

    class Kind(type):
        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, (float, complex))

        def __eq__(cls, other: object) -> bool:
            return other is cls or other is float

        __hash__ = type.__hash__

    class Float(metaclass=Kind):
        dtype = np.dtype(np.float64)

        def __new__(cls, x: Any = 0.0) -> Any:
            held = x.item() if isinstance(x, np.ndarray) and x.size == 1 else x
            return held if isinstance(held, complex) else float(held)

    return Float
