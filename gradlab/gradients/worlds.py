"""What stands in for numpy, math and float while a function runs in another arithmetic.

A float buffer cannot hold a ball: so the functions that allocate one allocate what can hold it. Nothing of NumPy itself
is changed; a function sees a stand-in only in the copy of its globals that `rehosted` made.
"""

from __future__ import annotations

import builtins
import importlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradlab.arithmetic.scalar import FUNCTIONS, Scalar, exact

Array = np.ndarray[Any, Any]

SPECIAL = ("expit", "logsumexp", "softmax", "log_softmax", "xlogy")


class World:
    """One arithmetic, and what a function under test sees there in place of numpy's and math's own functions.

    Args:
        scalar: makes a scalar of an exact number; None: numbers are complex.
        held: the float dtypes that stand for real numbers; storing in any other is a cast, which is refused.
        buffers: arrays of floats that the code makes or finds are copied into arrays that hold scalars.
    """

    def __init__(self, scalar: Callable[[Any], Any] | None, held: tuple[Any, ...], *, buffers: bool = False) -> None:
        self.scalar = scalar
        self.held = tuple(np.dtype(dtype) for dtype in held)
        self.buffers = buffers
        self.dtype = np.dtype(complex if scalar is None else object)
        self.float = _float_type(self)
        self.functions: dict[str, Any] = self._allocations() | {"float64": self.float, "double": self.float}
        self.functions |= {"abs": self._abs, "absolute": self._abs, "fabs": self._abs}
        self.special: dict[str, Any] = {}
        self.math: dict[str, Any] = {}
        if scalar is not None:
            self.functions |= {name: self._elementwise(name) for name in FUNCTIONS}
            self.functions |= self._composed()
            self.functions |= {"atan": self.functions["arctan"], "finfo": _finfo}
            self.math = {name: self.functions[name] for name in FUNCTIONS if hasattr(math, name)}
            self.math |= {"atan": self.functions["arctan"], "fabs": self._abs, "pow": lambda x, y: x**y, "fsum": sum}
            self.math |= {name: self.functions[name] for name in ("isnan", "isinf", "isfinite")}
            self.special = self._special()
        else:
            self.math = {name: getattr(np, name) for name in FUNCTIONS if hasattr(math, name)} | {"atan": np.arctan}
            self.functions |= {"var": _variance, "std": lambda *args, **options: np.sqrt(_variance(*args, **options))}
        self.builtins = vars(builtins) | {"float": self.float, "abs": self._abs}

    def buffer(self, array: Any) -> Any:
        """An array that can hold scalars, of the same numbers."""
        if self.scalar is None:
            return array.astype(complex)
        return np.frompyfunc(self.scalar, 1, 1)(array) if array.size and array.ndim else array.astype(object)

    def holds(self, dtype: Any) -> bool:
        """Whether code that says this dtype means a real number."""
        if dtype is None or dtype is float or dtype is self.float or dtype is complex:
            return True
        try:
            return np.dtype(dtype) in (*self.held, self.dtype)
        except TypeError:
            return False

    def _allocations(self) -> dict[str, Any]:
        def new(real: Callable[..., Any], fill: Any) -> Callable[..., Any]:
            def allocate(shape: Any, dtype: Any = float, *args: Any, **options: Any) -> Any:
                if not self.holds(dtype):
                    return real(shape, dtype, *args, **options)
                return np.full(shape, fill, self.dtype)

            return allocate

        def full(shape: Any, value: Any, dtype: Any = None, **options: Any) -> Any:
            plain = dtype is None and np.asarray(value).dtype.kind in "biu"
            if plain or not self.holds(dtype):
                return np.full(shape, value, dtype, **options)
            return np.full(shape, value, self.dtype)

        def like(real: Callable[..., Any], allocate: Callable[..., Any]) -> Callable[..., Any]:
            def alike(array: Any, *args: Any, dtype: Any = None, shape: Any = None, **options: Any) -> Any:
                values, dtype = args if len(args) == 2 else (args, dtype)
                values = () if real is not np.full_like else values
                if real is not np.full_like and args:
                    dtype = args[0]
                said = np.asarray(array).dtype if dtype is None else dtype
                if not self.holds(said):
                    return real(array, *values, dtype=dtype, **options)
                return allocate(np.shape(array) if shape is None else shape, *values, dtype=None)

            return alike

        def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = float, **options: Any) -> Any:
            return np.eye(N, M, k, dtype=int).astype(self.dtype) if self.holds(dtype) else np.eye(N, M, k, dtype)

        def array(real: Callable[..., Any]) -> Callable[..., Any]:
            def convert(given: Any, dtype: Any = None, *args: Any, **options: Any) -> Any:
                made = np.asarray(given)
                if made.dtype == self.dtype and self.holds(dtype):
                    return real(given, self.dtype, *args, **options)
                made = real(given, float if dtype is self.float else dtype, *args, **options)
                return self.buffer(made) if self.buffers and self.holds(made.dtype) else made

            return convert

        zeros, ones = new(np.zeros, 0), new(np.ones, 1)
        made = {"zeros": zeros, "empty": new(np.empty, 0), "ones": ones, "full": full, "eye": eye, "identity": eye}
        made |= {"zeros_like": like(np.zeros_like, zeros), "empty_like": like(np.empty_like, zeros)}
        made |= {"ones_like": like(np.ones_like, ones), "full_like": like(np.full_like, full)}
        return made | {
            name: array(getattr(np, name)) for name in ("array", "asarray", "ascontiguousarray", "asanyarray")
        }

    def lifted(self, x: Any) -> Any:
        """The scalars of an array, or of one number; what holds none is returned as it is."""
        if isinstance(x, Scalar):
            return x
        array = np.asarray(x)
        if array.dtype != object:
            return x
        lift = self.scalar or complex
        return np.frompyfunc(lambda y: y if isinstance(y, Scalar) else lift(y), 1, 1)(array)

    def _elementwise(self, name: str) -> Callable[..., Any]:
        ufunc = getattr(np, name)

        def function(x: Any, *args: Any, **options: Any) -> Any:
            return ufunc(self.lifted(x), *args, **options)

        function.__name__ = name
        return function

    def _abs(self, x: Any, *args: Any, **options: Any) -> Any:
        if self.scalar is None and np.iscomplexobj(x):
            # |x| continued off the real line, where abs() would throw the imaginary part away
            return np.where(np.real(x) < 0, -np.asarray(x), np.asarray(x))[()]
        return np.abs(x, *args, **options) if isinstance(x, np.ndarray) else builtins.abs(x)

    def _composed(self) -> dict[str, Any]:
        f = self.functions

        def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:  # noqa: A002
            if np.asarray(x).dtype != object:
                return np.linalg.norm(x, ord, axis, keepdims)
            if ord == 1 and (axis is not None or np.ndim(x) == 1):
                return np.sum(np.abs(x), axis=axis, keepdims=keepdims)
            if ord not in (None, 2, "fro") or (ord == 2 and np.ndim(x) > 1 and not isinstance(axis, int)):
                raise TypeError(f"np.linalg.norm of order {ord!r} has no exact counterpart")
            return f["sqrt"](np.sum(np.square(x), axis=axis, keepdims=keepdims))

        def logs(x: Any, base: int) -> Any:
            return f["log"](x) / self._log(base)

        def logaddexp(x: Any, y: Any) -> Any:
            return f["log"](f["exp"](x) + f["exp"](y))

        def always(answer: bool, real: Callable[..., Any]) -> Callable[..., Any]:
            def test(x: Any) -> Any:
                array = np.asarray(x)
                return np.full(array.shape, answer)[()] if array.dtype == object else real(x)

            return test

        return {
            "norm": norm,
            "log2": lambda x: logs(x, 2) if _scalars(x) else np.log2(x),
            "log10": lambda x: logs(x, 10) if _scalars(x) else np.log10(x),
            "tan": lambda x: f["sin"](x) / f["cos"](x) if _scalars(x) else np.tan(x),
            "logaddexp": lambda x, y: logaddexp(x, y) if _scalars(x) or _scalars(y) else np.logaddexp(x, y),
            "exp2": lambda x: f["exp"](x * self._log(2)) if _scalars(x) else np.exp2(x),
            "hypot": lambda x, y: f["sqrt"](x * x + y * y),
            "isnan": always(False, np.isnan),
            "isinf": always(False, np.isinf),
            "isfinite": always(True, np.isfinite),
        }

    def _log(self, number: int) -> Any:
        assert self.scalar is not None
        return self.scalar(number).log()

    def _special(self) -> dict[str, Any]:
        exp, log = self.functions["exp"], self.functions["log"]

        def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
            return log(np.sum(exp(x), axis=axis, keepdims=keepdims))

        def softmax(x: Any, axis: Any = None) -> Any:
            e = exp(x)
            return e / np.sum(e, axis=axis, keepdims=True)

        def log_softmax(x: Any, axis: Any = None) -> Any:
            return x - logsumexp(x, axis, keepdims=True)

        def expit(x: Any) -> Any:
            return 1 / (1 + exp(-x))

        def xlogy(x: Any, y: Any) -> Any:
            return x * log(y)

        own: dict[str, Callable[..., Any]] = {"expit": expit, "logsumexp": logsumexp, "softmax": softmax}
        own |= {"log_softmax": log_softmax, "xlogy": xlogy}
        return {name: _else_real(name, function) for name, function in own.items()}


def _variance(x: Any, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
    """The variance continued to complex numbers, where np.var takes the squares of magnitudes."""
    deviation = x - np.mean(x, axis=axis, keepdims=True)
    total = np.sum(deviation * deviation, axis=axis, keepdims=keepdims)
    return total / (np.size(x) / np.size(total) - ddof)


def _else_real(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def either(*args: Any, **options: Any) -> Any:
        if any(_scalars(arg) for arg in args):
            return function(*args, **options)
        return getattr(importlib.import_module("scipy.special"), name)(*args, **options)

    return either


def _scalars(x: Any) -> bool:
    return isinstance(x, Scalar) or np.asarray(x).dtype == object


def _finfo(dtype: Any) -> Any:
    return np.finfo(np.float64 if np.dtype(dtype) == object else dtype)


def _float_type(world: World) -> Any:
    """A type that stands for float: float(x) keeps a scalar, isinstance(x, float) accepts it, dtype=float holds it."""

    class Kind(type):
        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, (float, Scalar, complex if world.scalar is None else float))

        def __eq__(cls, other: object) -> bool:
            return other is cls or other is float

        __hash__ = type.__hash__

    class Float(metaclass=Kind):
        def __new__(cls, x: Any = 0.0) -> Any:
            held = x.item() if isinstance(x, np.ndarray) and x.size == 1 else x
            if isinstance(held, Scalar) or (world.scalar is None and isinstance(held, complex)):
                return held
            number = exact(held)
            return float(held) if number is None else float(number)

    return Float
