"""What stands in for numpy, math and float while NumPy code is recorded.

NumPy asks a recorded array what to do in most of its functions (`gradlab.tape`). What makes an array of nothing, and
what Python and math do with one number, is asked nobody: for those there are stand-ins, which the code sees in the copy
of its globals that `rebind` made. NumPy itself is not changed.
"""

from __future__ import annotations

import copy
import functools
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from gradlab.frontends.number_types import abstract_types, numpy_types, python_float
from gradlab.frontends.recording_math import of_math, of_special
from gradlab.tape.functions import call as call_function
from gradlab.tape.operations import plain
from gradlab.tape.program import FLOAT64, ONE, UNSET, ZERO, Program
from gradlab.tape.recorded import (
    ARRAY,
    NotRecorded,
    Recorded,
    as_python,
    as_scalar,
    holds_recorded,
    lift,
    nodes,
    one_call,
    recorded,
    stacked,
)

Array = np.ndarray[Any, Any]

UFUNCS = {name: one for name in dir(np) if isinstance(one := getattr(np, name), np.ufunc)}


class RecordingNumPy:
    """The stand-ins of one program (see `rebind.StandIns`)."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._generators: dict[int, Draws] = {}
        self.random = Draws(self, copy.deepcopy(np.random.mtrand._rand), np.random)
        own = self._allocations() | self._conversions() | self._iterations() | numpy_types(self._own)
        ufuncs = {name: ListedUfunc(program, function) for name, function in UFUNCS.items()}
        self.members: dict[str, dict[str, Any]] = {
            "numpy": ufuncs | own,
            "numpy.lib.stride_tricks": {"as_strided": self._as_strided},
            "math": of_math(program),
            "numbers": abstract_types(),
            "scipy.special": of_special(program),
        }
        self.builtins = {"float": python_float(self._own)}
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
        """Generators of random numbers draw what is recorded, and leave the user's where they are."""
        if isinstance(given, (np.random.RandomState, np.random.Generator)):
            return self._draws(given)
        if isinstance(given, (types.MethodType, types.BuiltinMethodType)):
            owner = given.__self__
            if isinstance(owner, (np.random.RandomState, np.random.Generator)):
                return getattr(self._draws(owner), given.__name__)
        return NotImplemented

    def _draws(self, source: Any) -> Any:
        if source is np.random.mtrand._rand:
            return self.random
        return self._generators.setdefault(id(source), Draws(self, copy.deepcopy(source)))

    def module(self, name: str, member: Any) -> Any:
        """What a function of NumPy makes of floats alone is recorded too: it may be written to."""
        if not callable(member) or isinstance(member, (type, np.ufunc)):
            return member
        if name == "numpy.random":
            return getattr(self.random, member.__name__)
        if name == "numpy.testing":
            return lambda *args, **options: member(*map(plain, args), **options)
        return self._lifted(member) if name.startswith("numpy") else self._refusing(name, member)

    def _lifted(self, function: Any) -> Any:
        if id(function) not in self._lifting:

            @functools.wraps(function)
            def lifting(*args: Any, **options: Any) -> Any:
                # NumPy asks arrays, but not arrays in lists.
                if any(map(holds_recorded, (*args, *options.values()))):
                    with one_call(self.program):
                        return call_function(self.program, function, args, options)
                return self._own(function(*args, **options))

            self._lifting[id(function)] = lifting
        return self._lifting[id(function)]

    def _refusing(self, module: str, function: Any) -> Any:
        """A function of SciPy: what takes no recorded numbers is refused by its name."""

        @functools.wraps(function)
        def refusing(*args: Any, **options: Any) -> Any:
            try:
                return self._own(function(*args, **options))
            except (TypeError, ValueError, NotImplementedError) as error:
                if isinstance(error, NotRecorded) or not any(map(holds_recorded, (*args, *options.values()))):
                    raise
                raise NotRecorded(f"{module}.{function.__name__} is not recorded") from None

        return refusing

    def _own(self, made: Any) -> Any:
        if isinstance(made, GENERATORS):
            return Draws(self, made)
        if type(made) is np.ndarray:
            return self._made(made) if made.dtype.kind == "f" else integers(made)
        if isinstance(made, (list, tuple)) and any(type(one) is np.ndarray for one in made):
            parts = [self._own(one) for one in made]
            return type(made)(*parts) if hasattr(made, "_fields") else type(made)(parts)
        return made

    def _made(self, given: Array) -> Any:
        with one_call(self.program):
            if ((given == 0) | (given == 1)).all():
                index = np.empty_like(given, np.intp)
                index[...] = given
                return recorded(self.program, index, given.dtype)
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
                if any(map(holds_recorded, (array, *args, *options.values()))):
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
            "asarray_chkfinite": convert(False),
            "ascontiguousarray": contiguous,
            "asfortranarray": fortran,
            "frombuffer": self._refused("np.frombuffer: what the bytes of an array stood for is not known"),
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
            if wanted.kind == "O":
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

        def vectorize(function: Any = None, otypes: Any = None, doc: Any = None, **options: Any) -> Any:
            if any(options.values()):
                raise NotRecorded("np.vectorize with excluded or signature is not recorded")
            if function is None:
                return vectorize

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
            "random": self.random,
        }

    def _as_strided(self, x: Any, shape: Any = None, strides: Any = None, **options: Any) -> Any:
        if not isinstance(x, Recorded):
            return self._own(np.lib.stride_tricks.as_strided(x, shape, strides, **options))
        index = nodes(x)
        steps = None if strides is None else tuple(step * index.itemsize // x.format.itemsize for step in strides)
        return recorded(self.program, np.lib.stride_tricks.as_strided(index, shape, steps), x.format)


class ListedUfunc:
    """A ufunc that takes recorded numbers in lists too, which NumPy asks nobody about."""

    def __init__(self, program: Program, ufunc: np.ufunc) -> None:
        self._program, self._ufunc = program, ufunc

    def __call__(self, *args: Any, **options: Any) -> Any:
        if any(isinstance(one, (list, tuple)) and holds_recorded(one) for one in args):
            args = tuple(stacked(self._program, one) if holds_recorded(one) else one for one in args)
        return self._ufunc(*args, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ufunc, name)


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

    def __init__(self, numpy: RecordingNumPy, source: Any, module: Any = None) -> None:
        self._numpy, self._source, self._module = numpy, source, module

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._source if self._module is None or hasattr(self._source, name) else self._module, name)
        if not callable(found) or (isinstance(found, type) and found not in GENERATORS):
            return found

        def draw(*args: Any, **options: Any) -> Any:
            if name in ("shuffle", "permutation", "permuted", "choice") and args and isinstance(args[0], Recorded):
                return self._moved(found, args, options)
            if any(map(holds_recorded, (*args, *options.values()))):
                raise NotRecorded(f"drawing with {name} from what recorded numbers say is not recorded")
            made = found(*args, **options)
            if not isinstance(made, float):
                return self._numpy._own(made)
            index = self._numpy.program.append("numbers", (), np.asarray(made), "made")
            array = recorded(self._numpy.program, index)
            return as_scalar(array) if isinstance(made, np.floating) else as_python(array)

        return draw

    def _moved(self, function: Any, args: Any, options: Any) -> Any:
        """A function that reorders or chooses among numbers, on their nodes."""
        array, *rest = args
        if any(map(holds_recorded, (*rest, *options.values()))):
            raise NotRecorded("drawing with the odds that recorded numbers say is not recorded")
        made = function(nodes(array), *rest, **options)
        return None if made is None else as_scalar(recorded(self._numpy.program, made, array.format))


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


GENERATORS = (np.random.RandomState, np.random.Generator)

SUBCLASSES = {
    "matrix": "np.matrix is not recorded: its * is a matrix product; use np.array and @",
    "MaskedArray": "masked arrays are not recorded; use np.where",
}
