"""What stands in for numpy, math and float while NumPy code is recorded.

NumPy asks a recorded array what to do in most of its functions (`gradlab.tape`). What makes an array of nothing, and
what Python and math do with one number, is asked nobody: for those there are stand-ins, which the code sees in the copy
of its globals that `rebind` made. NumPy itself is not changed.
"""

from __future__ import annotations

import functools
import math
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from gradlab.tape.functions import call as call_function
from gradlab.tape.program import FLOAT64, ONE, UNSET, ZERO, Program
from gradlab.tape.recorded import (
    ARRAY,
    NUMPY,
    NotRecorded,
    Recorded,
    as_python,
    as_scalar,
    cast,
    holds_recorded,
    lift,
    nodes,
    one_call,
    recorded,
    stacked,
)
from gradlab.tape.ufuncs import COMPOSED, elementwise, plain, power, settled

Array = np.ndarray[Any, Any]


class RecordingNumPy:
    """The stand-ins of one program (see `rebind.StandIns`)."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.float = _float_type(self, float, FLOAT64)
        self.types = {name: _float_type(self, getattr(np, name), np.dtype(name)) for name in FORMATS}
        self.members: dict[str, dict[str, Any]] = {
            "numpy": self._allocations() | self._conversions() | self._iterations() | self.types,
            "math": self._math(),
            "scipy.special": {name: self._special(name, function) for name, function in SPECIAL.items()},
        }
        self.builtins = {"float": self.float}
        self._lifting: dict[int, Any] = {}

    # ---- what rebind asks for

    def array(self, given: Array) -> Any:
        """Floats that the code holds are nodes; of other numbers a copy."""
        if type(given) is not np.ndarray and isinstance(given, np.ndarray):
            raise NotRecorded(SUBCLASSES.get(type(given).__name__, f"{type(given).__name__} is not recorded"))
        if given.dtype.kind != "f":
            return integers(given.copy())
        return recorded(self.program, self.program.append("numbers", (), given, "captured"), given.dtype)

    def object(self, given: Any) -> Any:
        """Generators of random numbers draw what is recorded."""
        if isinstance(given, (np.random.RandomState, np.random.Generator)):
            return Draws(self, given)
        owner = getattr(given, "__self__", None)
        if isinstance(owner, (np.random.RandomState, np.random.Generator)):
            return getattr(Draws(self, owner), given.__name__)
        return NotImplemented

    def module(self, name: str, member: Any) -> Any:
        """What a function of NumPy makes of floats alone is recorded too: it may be written to."""
        if name == "numpy.random":
            return self.object(member) if callable(member) and hasattr(member, "__self__") else self._lifted(member)
        if not isinstance(member, (types.FunctionType, types.BuiltinFunctionType)) and not (
            name.startswith("numpy") and callable(member) and not isinstance(member, (type, np.ufunc))
        ):
            return member
        if not name.startswith("numpy"):
            return member
        if name == "numpy.testing":
            return lambda *args, **options: member(*map(plain, args), **options)
        return self._lifted(member)

    def _lifted(self, function: Any) -> Any:
        if not callable(function) or isinstance(function, type):
            return function
        if id(function) not in self._lifting:

            @functools.wraps(function)
            def lifting(*args: Any, **options: Any) -> Any:
                return self._own(function(*args, **options))

            self._lifting[id(function)] = lifting
        return self._lifting[id(function)]

    def _own(self, made: Any) -> Any:
        if isinstance(made, (np.random.RandomState, np.random.Generator)):
            return Draws(self, made)
        if type(made) is np.ndarray:
            return self._made(made) if made.dtype.kind == "f" else integers(made)
        return made

    def _made(self, given: Array) -> Any:
        with one_call(self.program):
            if given.dtype == FLOAT64 and ((given == 0) | (given == 1)).all():
                index = np.empty_like(given, np.intp)
                index[...] = given
                return recorded(self.program, index)
            return recorded(self.program, self.program.append("numbers", (), given, "made"), given.dtype)

    # ---- arrays of nothing

    def _allocations(self) -> dict[str, Any]:
        def new(function: Callable[..., Any], node: int) -> Callable[..., Any]:
            def allocate(shape: Any, dtype: Any = float, order: Any = "C", **options: Any) -> Any:
                wanted = self._dtype(dtype)
                if wanted.kind != "f":
                    return function(shape, dtype, order, **options)
                return recorded(self.program, np.full(shape, node, np.intp, order), wanted)

            return allocate

        def full(shape: Any, fill_value: Any, dtype: Any = None, order: Any = "C", **options: Any) -> Any:
            wanted = np.asarray(plain(fill_value)).dtype if dtype is None else self._dtype(dtype)
            if wanted.kind != "f":
                return np.full(shape, plain(fill_value), dtype, order, **options)
            made = recorded(self.program, np.full(shape, ZERO, np.intp, order), wanted)
            made[...] = fill_value
            return made

        def like(function: Callable[..., Any]) -> Callable[..., Any]:
            def alike(array: Any, *args: Any, **options: Any) -> Any:
                if isinstance(array, Recorded) or holds_recorded(array) or any(map(holds_recorded, args)):
                    return call_function(self.program, function, (array, *args), options)
                made = self._own(function(np.asarray(array), *args, **options))
                if function is np.empty_like and isinstance(made, Recorded):
                    nodes(made)[...] = UNSET
                return made

            return alike

        made: dict[str, Any] = {"zeros": new(np.zeros, ZERO), "empty": new(np.empty, UNSET), "ones": new(np.ones, ONE)}
        made |= {"full": full}
        made |= {name: like(getattr(np, name)) for name in ("zeros_like", "ones_like", "empty_like", "full_like")}
        return made

    def _dtype(self, dtype: Any) -> np.dtype[Any]:
        return FLOAT64 if dtype is None else np.dtype(dtype)

    # ---- conversions

    def _conversions(self) -> dict[str, Any]:
        def convert(copies: bool) -> Callable[..., Any]:
            def array(given: Any, dtype: Any = None, copy: Any = copies, order: Any = "K", **options: Any) -> Any:
                made = self._array(given, dtype, bool(copy), order)
                least = options.get("ndmin", 0)
                return made.reshape((1,) * max(0, least - np.ndim(made)) + np.shape(made)) if least else made

            return array

        def contiguous(given: Any, dtype: Any = None, **options: Any) -> Any:
            made = np.atleast_1d(self._array(given, dtype, False, "C"))
            return made if not isinstance(made, Recorded) or nodes(made).flags.c_contiguous else made.copy("C")

        def fortran(given: Any, dtype: Any = None, **options: Any) -> Any:
            made = self._array(given, dtype, False, "F")
            return made.copy("F") if isinstance(made, Recorded) else made

        return {
            "array": convert(True),
            "asarray": convert(False),
            "asanyarray": convert(False),
            "require": convert(False),
            "ascontiguousarray": contiguous,
            "asfortranarray": fortran,
            "frombuffer": lambda *args, **options: self._own(np.frombuffer(*args, **options).copy()),
            "fromiter": lambda given, dtype=float, *args, **options: self._array(list(given), dtype, True, "C"),
            "matrix": self._refused("np.matrix: its * is a matrix product; use np.array and @"),
            "asmatrix": self._refused("np.asmatrix: its * is a matrix product; use np.array and @"),
        }

    def _array(self, given: Any, dtype: Any, copies: bool, order: Any) -> Any:
        with one_call(self.program):
            if isinstance(given, (list, tuple)) or not isinstance(given, Recorded):
                if not holds_recorded(given):
                    plain_array = np.array(given, dtype=dtype, copy=copies or None, order=order)
                    return self._own(plain_array)
                given, copies = stacked(self.program, given), False
            wanted = given.format if dtype is None else np.dtype(dtype)
            if wanted == object:
                raise NotRecorded("arrays of objects are not recorded")
            made = given if wanted == given.format else given.astype(wanted)
            if not isinstance(made, Recorded):
                return made
            made = made.copy(order) if copies and made is given else made
            return made if made.kind == ARRAY else recorded(self.program, nodes(made), made.format)

    def _refused(self, what: str) -> Callable[..., Any]:
        def refuse(*args: Any, **options: Any) -> Any:
            raise NotRecorded(f"{what} (it is not recorded)")

        return refuse

    # ---- number by number

    def _iterations(self) -> dict[str, Any]:
        def nditer(array: Any, *args: Any, **options: Any) -> Any:
            if not isinstance(array, Recorded):
                return np.nditer(array, *args, **options)
            if options.get("flags") or len(args) > 1:
                raise NotRecorded("np.nditer with flags is not recorded")
            return (array[(*at, ...)] for at in np.ndindex(array.shape))

        def vectorize(function: Any = None, *args: Any, **options: Any) -> Any:
            if function is None:
                return functools.partial(vectorize, *args, **options)

            def vectorized(*given: Any) -> Any:
                arrays = np.broadcast_arrays(*given) if len(given) > 1 else given
                shape = np.shape(arrays[0])
                made = [function(*(np.asarray(a)[at] if not isinstance(a, Recorded) else a[at] for a in arrays))
                        for at in np.ndindex(shape)]  # fmt: skip
                return self._array(made, None, False, "C").reshape(shape) if shape else made[0]

            return vectorized

        def fromfunction(function: Any, shape: Any, *, dtype: Any = float, **options: Any) -> Any:
            return function(*[self._own(one) for one in np.indices(shape, dtype=np.dtype(dtype))], **options)

        return {
            "nditer": nditer,
            "ndenumerate": lambda array: ((at, array[at]) for at in np.ndindex(np.shape(array))),
            "vectorize": vectorize,
            "fromfunction": fromfunction,
            "r_": _Rows(self, -1),
            "c_": _Columns(self),
            "random": Draws(self, np.random),
            "lib": _Library(self),
        }

    # ---- math

    def _math(self) -> dict[str, Any]:
        def one(name: str, operation: str) -> Callable[..., Any]:
            function = getattr(math, name)

            def applied(*args: Any) -> Any:
                if not any(isinstance(x, Recorded) for x in args):
                    return function(*args)
                value = function(*(float(np.asarray(plain(x)).reshape(())) for x in args))
                args = tuple(x.reshape(()) if isinstance(x, Recorded) else x for x in args)
                with one_call(self.program) as program:
                    if operation in COMPOSED:
                        return as_python(settled(program, COMPOSED[operation](program, *args), value))
                    if operation == "power":
                        return as_python(power(program, *args, value=value))
                    return as_python(elementwise(program, operation, *args, value=value))

            return applied

        natural = one("log", "log")

        def log(x: Any, base: Any = None) -> Any:
            return natural(x) if base is None else natural(x) / natural(base)

        def whole(name: str) -> Callable[[Any], Any]:
            def cut(x: Any) -> Any:
                if not isinstance(x, Recorded):
                    return getattr(math, name)(x)
                return int(getattr(np, name)(x))

            return cut

        def over(name: str, total: Any) -> Callable[..., Any]:
            def summed(given: Any, *args: Any, **options: Any) -> Any:
                given = list(given)
                if not holds_recorded(given):
                    return getattr(math, name)(given, *args, **options)
                value = getattr(math, name)([float(np.asarray(plain(x))) for x in given], *args, **options)
                with one_call(self.program) as program:
                    return as_python(settled(program, total(stacked(program, given)), value))

            return summed

        made: dict[str, Any] = {name: one(name, operation) for name, operation in MATH.items()}
        made |= {"log": log} | {name: whole(name) for name in ("floor", "ceil", "trunc")}
        made |= {"fsum": over("fsum", np.sum), "prod": over("prod", np.prod)}
        made |= {"gamma": lambda x: made["exp"](made["lgamma"](x)) if isinstance(x, Recorded) else math.gamma(x)}
        made |= {name: lambda x, name=name: bool(getattr(np, name)(plain(x))) for name in ("isnan", "isinf", "isfinite")}
        return made | {"isclose": _is_close}

    def _special(self, name: str, formula: Callable[..., Any]) -> Callable[..., Any]:
        def function(*args: Any, **options: Any) -> Any:
            import importlib

            real = getattr(importlib.import_module("scipy.special"), name)
            if not any(map(holds_recorded, (*args, *options.values()))):
                return self._own(real(*args, **options))
            value = real(*map(plain, args), **{key: plain(one) for key, one in options.items()})
            with one_call(self.program) as program:
                lifted = [lift(program, one) if holds_recorded(one) else one for one in args]
                return settled(program, formula(*lifted, **options), value)

        return function


class Integers(np.ndarray):
    """An array that records nothing, whose `dot` asks recorded numbers all the same: NumPy's own would ask nobody."""

    def dot(self, other: Any, out: Any = None) -> Any:
        return np.dot(self, other, out)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if any(issubclass(kind, Recorded) for kind in types):
            return NotImplemented  # which leaves it to the recorded array
        return super().__array_function__(function, types, args, kwargs)


def integers(array: Array) -> Array:
    """An array of integers or truths as the code sees it."""
    return array.view(Integers) if type(array) is np.ndarray and array.dtype.kind in "biu" else array


class Draws:
    """A generator of random numbers, or numpy.random: what is drawn is data, with the line that drew it."""

    def __init__(self, numpy: RecordingNumPy, source: Any) -> None:
        self._numpy, self._source = numpy, source

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._source, name)
        if not callable(found) or isinstance(found, type):
            return found

        def draw(*args: Any, **options: Any) -> Any:
            made = found(*map(plain, args), **{key: plain(value) for key, value in options.items()})
            if name == "shuffle" and args and isinstance(args[0], Recorded):
                raise NotRecorded("shuffling recorded numbers is not recorded")
            if isinstance(made, float):
                program = self._numpy.program
                index = program.append("numbers", (), np.asarray(made), "made")
                return as_scalar(recorded(program, index)) if isinstance(made, np.floating) else as_python(
                    recorded(program, index)
                )
            return self._numpy._own(made)

        return draw


class _Rows:
    """np.r_, for arrays and numbers."""

    def __init__(self, numpy: RecordingNumPy, axis: int) -> None:
        self._numpy = numpy

    def __getitem__(self, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)
        if not any(map(holds_recorded, parts)):
            return self._numpy._own(np.r_[key])
        return np.concatenate([np.atleast_1d(self._numpy._own(np.r_[p]) if isinstance(p, slice) else
                               lift(self._numpy.program, p)) for p in parts])  # fmt: skip


class _Columns:
    """np.c_, for arrays of one or two axes."""

    def __init__(self, numpy: RecordingNumPy) -> None:
        self._numpy = numpy

    def __getitem__(self, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)
        if not any(map(holds_recorded, parts)):
            return self._numpy._own(np.c_[key])
        arrays = [lift(self._numpy.program, part) for part in parts]
        return np.concatenate([one[:, None] if one.ndim == 1 else np.atleast_2d(one) for one in arrays], axis=-1)


class _Library:
    """np.lib, whose as_strided is given nodes."""

    def __init__(self, numpy: RecordingNumPy) -> None:
        self._numpy = numpy
        self.stride_tricks = types.SimpleNamespace(
            as_strided=self._as_strided, sliding_window_view=np.lib.stride_tricks.sliding_window_view,
            broadcast_to=np.broadcast_to,
        )  # fmt: skip

    def __getattr__(self, name: str) -> Any:
        return getattr(np.lib, name)

    def _as_strided(self, x: Any, shape: Any = None, strides: Any = None, **options: Any) -> Any:
        if not isinstance(x, Recorded):
            return np.lib.stride_tricks.as_strided(x, shape, strides, **options)
        index = nodes(x)
        scale = index.itemsize // x.format.itemsize
        steps = None if strides is None else tuple(step * scale for step in strides)
        return recorded(self._numpy.program, np.lib.stride_tricks.as_strided(index, shape, steps), x.format)


def _float_type(numpy: RecordingNumPy, real: Any, dtype: np.dtype[Any]) -> Any:
    """A type that stands for float, np.float64 …: it keeps a recorded number, and is a dtype as the real one is."""
    numbers = (real, float) if real in (float, np.float64) else (real,)

    class Kind(type):
        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, numbers) or (
                isinstance(instance, Recorded) and instance.ndim == 0 and instance.kind != ARRAY
            )

        def __subclasscheck__(cls, subclass: Any) -> bool:
            return issubclass(subclass, real)

        def __eq__(cls, other: object) -> bool:
            return other is cls or other is real

        __hash__ = type.__hash__

        def __getattr__(cls, name: str) -> Any:
            return getattr(real, name)

    class Float(metaclass=Kind):
        def __new__(cls, given: Any = 0.0) -> Any:
            if not isinstance(given, Recorded):
                return numpy._own(real(given)) if not isinstance(given, str) else real(given)
            with one_call(numpy.program):
                made = cast(given, dtype)
            if real is float:
                if given.size != 1:
                    raise TypeError("only 0-dimensional arrays can be converted to Python scalars")
                return as_python(made)
            made = recorded(numpy.program, nodes(made).copy(), made.format)
            if made.ndim == 0:
                made.kind = NUMPY
            return made

    Float.dtype = dtype  # type: ignore[attr-defined]
    Float.__name__ = Float.__qualname__ = real.__name__
    return Float


def _is_close(a: Any, b: Any, *, rel_tol: float = 1e-9, abs_tol: float = 0.0) -> bool:
    return bool(abs(a - b) <= max(rel_tol * max(abs(a), abs(b)), abs_tol))


def _logsumexp(a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False) -> Any:
    if return_sign:
        raise NotRecorded("scipy.special.logsumexp with return_sign is not recorded")
    top = np.max(np.asarray(plain(a)), axis=axis, keepdims=True)
    scaled = np.exp(a - top) if b is None else b * np.exp(a - top)
    total = np.log(np.sum(scaled, axis=axis, keepdims=True)) + top
    return total if keepdims else np.squeeze(total, axis=axis)


def _softmax(x: Any, axis: Any = None) -> Any:
    e = np.exp(x - np.max(np.asarray(plain(x)), axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def _log_softmax(x: Any, axis: Any = None) -> Any:
    moved = x - np.max(np.asarray(plain(x)), axis=axis, keepdims=True)
    return moved - np.log(np.sum(np.exp(moved), axis=axis, keepdims=True))


FORMATS = ("float64", "float32", "float16", "double", "single", "half")

SUBCLASSES = {
    "matrix": "np.matrix is not recorded: its * is a matrix product; use np.array and @",
    "MaskedArray": "masked arrays are not recorded; use np.where",
}

SPECIAL: dict[str, Callable[..., Any]] = {"logsumexp": _logsumexp, "softmax": _softmax, "log_softmax": _log_softmax}

# math's functions: the operation, or the formula, that each is
MATH = {
    name: name for name in ("exp", "expm1", "log1p", "log2", "log10", "sqrt", "sin", "cos", "tan", "sinh", "cosh")
} | {
    "tanh": "tanh",
    "atan": "arctan",
    "asin": "arcsin",
    "acos": "arccos",
    "asinh": "arcsinh",
    "acosh": "arccosh",
    "atanh": "arctanh",
    "atan2": "arctan2",
    "fabs": "absolute",
    "pow": "power",
    "hypot": "hypot",
    "fmod": "fmod",
    "copysign": "copysign",
    "degrees": "degrees",
    "radians": "radians",
    "erf": "erf",
    "erfc": "erfc",
    "lgamma": "gammaln",
}
