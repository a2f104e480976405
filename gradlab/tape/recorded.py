"""Arrays that record what is calculated with them, for NumPy code that knows of no tape.

A `Recorded` array holds the indices of nodes. NumPy itself moves them about (views, transposes, assignment, fancy
indexing), so two names of one number stay two names of one node, and aliasing is the user's own. What calculates
appends a block to the program, with the floats that NumPy gives. What NumPy cannot be asked for by name is refused.

    kind    array, numpy (a scalar as np.float64 is one) or python (as float is one): scalars are immutable, and
            Python's floats have a power of their own
    format  float64, float32 or float16: what the run calculates in
"""

from __future__ import annotations

import dis
import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gradlab.tape.program import FLOAT64, ZERO, Program, is_foreign

Array = np.ndarray[Any, Any]

# Two fields, so that neither an operation that is not recorded nor a buffer of floats takes indices for numbers: NumPy
# casts nothing of several fields.
NODE = np.dtype([("low", np.uint32), ("high", np.uint32)])

ARRAY, NUMPY, PYTHON = "array", "numpy", "python"


# Who answers for ufuncs, functions and powers: the files of NumPy's vocabulary say so themselves.
ANSWERS: dict[str, Callable[..., Any]] = {}


EQUAL: Any = np.equal
NOT_EQUAL: Any = np.not_equal


class NotRecorded(TypeError):
    """Something that is calculated in a way that no program holds."""


class Recorded(np.ndarray):
    """An array of the nodes of a program."""

    program: Program
    format: np.dtype[Any]
    kind: str

    def __array_finalize__(self, parent: Any) -> None:
        self.program = getattr(parent, "program", None)  # type: ignore[assignment]
        self.format = getattr(parent, "format", FLOAT64)
        self.kind = ARRAY

    @property
    def dtype(self) -> Any:
        """The format of the floats that the nodes stand for."""
        return self.format

    @property
    def itemsize(self) -> int:
        return self.format.itemsize

    @property
    def nbytes(self) -> int:
        return self.size * self.format.itemsize

    @property  # type: ignore[misc]
    def strides(self) -> Any:
        return tuple(step * self.format.itemsize // NODE.itemsize for step in np.ndarray.strides.__get__(self))

    @property
    def floats(self) -> Any:
        """What NumPy code that records nothing has in its place: an array, a NumPy scalar or a Python float."""
        found = self.program.floats(nodes(self), self.format)
        return found if self.kind == ARRAY else found[()] if self.kind == NUMPY else float(found)

    @property
    def T(self) -> Any:  # noqa: N802  (NumPy's name)
        return self if self.kind != ARRAY else self.transpose()

    # ---- calculation

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        with one_call(self.program) as program:
            return ANSWERS["ufunc"](program, ufunc, method, inputs, options)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        with one_call(self.program) as program:
            return ANSWERS["function"](program, function, args, kwargs)

    def __pow__(self, exponent: Any, modulus: None = None) -> Any:
        return _scalar_power(self, exponent) if _are_scalars(self, exponent) else super().__pow__(exponent)

    def __rpow__(self, base: Any, modulus: None = None) -> Any:
        return _scalar_power(base, self) if _are_scalars(self, base) else super().__rpow__(base)

    def __eq__(self, other: object) -> Any:
        # NumPy would compare arrays of several fields field by field.
        return EQUAL(self, other) if _is_numeric(other) else NotImplemented

    def __ne__(self, other: object) -> Any:
        return NOT_EQUAL(self, other) if _is_numeric(other) else NotImplemented

    # ---- moving about

    def __getitem__(self, key: Any) -> Any:
        found = nodes(self)[plain_key(key)]
        made = recorded(self.program, found, self.format)
        if not isinstance(found, np.ndarray):
            made.kind = NUMPY
        return made

    def __setitem__(self, key: Any, value: Any) -> None:
        with one_call(self.program):
            nodes(self)[plain_key(key)] = nodes(cast(lift(self.program, value), self.format))

    def __contains__(self, item: Any) -> bool:
        return bool(np.any(EQUAL(self, item)))

    def __iter__(self) -> Iterator[Any]:
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    @property
    def flat(self) -> Any:
        return Flat(self)

    @flat.setter
    def flat(self, value: Any) -> None:
        self[...] = np.resize(lift(self.program, value), self.shape)

    def copy(self, order: Any = "C") -> Any:
        made = recorded(self.program, nodes(self).copy(order), self.format)
        made.kind = self.kind
        return made

    def __copy__(self) -> Any:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy()

    def view(self, dtype: Any = None, type: Any = None) -> Any:  # noqa: A002  (NumPy's name)
        if dtype is None or (dtype is Recorded and type is None):
            return super().view(Recorded)
        if _is_number_type(dtype) and np.dtype(dtype) == self.format:
            return self[...]
        raise NotRecorded(f"a view as {dtype} is not recorded")

    def ravel(self, order: Any = "C") -> Any:
        return recorded(self.program, nodes(self).ravel(order), self.format)

    def flatten(self, order: Any = "C") -> Any:
        return recorded(self.program, nodes(self).flatten(order), self.format)

    def astype(self, dtype: Any, order: Any = "K", casting: Any = "unsafe", subok: Any = True, copy: Any = True) -> Any:
        """As NumPy's: to a format of floats a copy, rounded to it; to integers, what stands there, compared anew."""
        wanted = np.dtype(dtype)
        if wanted.kind == "f":
            with one_call(self.program):
                made = cast(self, wanted)
            made = made.copy(order) if copy and made is self else made
            return made if self.kind == ARRAY else as_scalar(made)
        if wanted.kind == "b":
            return np.not_equal(self, 0)
        if wanted.kind in "iu":
            found = np.asarray(self.floats).astype(wanted, order=order)
            _guard_integers(self, found)
            return found
        raise NotRecorded(f"recorded numbers as {wanted} are not recorded")

    def item(self, *at: Any) -> Any:
        found = (
            self[at[0] if len(at) == 1 and isinstance(at[0], tuple) else at]
            if len(at) > 1
            else (self.reshape(-1)[at[0] if at else 0] if at or self.size == 1 else None)
        )
        if found is None:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        return as_python(found)

    def tolist(self) -> Any:
        return [part.tolist() for part in self] if self.ndim else as_python(self)

    def tobytes(self, order: Any = "C") -> bytes:
        return np.asarray(self.floats).tobytes(order)

    @property  # type: ignore[misc]
    def real(self) -> Any:
        return self

    @property  # type: ignore[misc]
    def imag(self) -> Any:
        return recorded(self.program, np.full(self.shape, ZERO, np.intp), self.format)

    def conj(self) -> Any:
        return self

    conjugate = conj

    def fill(self, value: Any) -> None:
        self[...] = value

    def sort(self, axis: Any = -1, kind: Any = None, order: Any = None, **options: Any) -> None:
        self[...] = np.sort(self, axis=axis)

    def put(self, indices: Any, values: Any, mode: Any = "raise") -> None:
        np.put(self, indices, values, mode=mode)

    def partition(self, kth: Any, axis: Any = -1, kind: Any = "introselect", order: Any = None) -> None:
        self[...] = np.partition(self, kth, axis)

    def compress(self, condition: Any, axis: Any = None, out: Any = None) -> Any:
        return np.compress(condition, self, axis, out)

    # ---- reading, which costs no proof

    def __repr__(self) -> str:
        return repr(self.floats)

    def __str__(self) -> str:
        return str(self.floats)

    def __format__(self, how: str) -> str:
        return format(self.floats, how)

    def __hash__(self) -> int:  # type: ignore[override]
        if self.kind == ARRAY:
            raise TypeError("unhashable type: 'numpy.ndarray'")
        return hash(self.floats)

    def __float__(self) -> float:
        if self.size != 1:
            raise TypeError("only 0-dimensional arrays can be converted to Python scalars")
        if not _is_shown():
            self.program.lose("a number is calculated with where nothing is recorded")
        return float(np.asarray(self.floats).reshape(())[()])

    def __int__(self) -> int:
        found = int(np.asarray(self.floats).reshape(())[()])
        _guard_integers(self.reshape(()), np.asarray(found))
        return found

    __trunc__ = __int__

    def __index__(self) -> int:
        raise TypeError("only integer scalar arrays can be converted to a scalar index")

    def __complex__(self) -> complex:
        raise NotRecorded("complex numbers are not recorded")

    def __bool__(self) -> bool:
        if self.size != 1:
            return bool(np.asarray(self.floats))  # NumPy's own words about an array's truth
        return bool(np.not_equal(self.reshape(()), 0))

    def __round__(self, digits: int | None = None) -> Any:
        if digits is None:
            found = round(float(np.asarray(self.floats).reshape(())[()]))
            half = nodes(lift(self.program, 0.5))
            self.program.guard("less_equal", nodes(np.abs(self.reshape(()) - found)), half, True)
            return found
        return as_python(np.round(self, digits))

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise NotRecorded("recorded numbers cannot be pickled")

    def is_integer(self) -> bool:
        """As float.is_integer."""
        return float(np.asarray(self.floats).reshape(())[()]).is_integer()

    def as_integer_ratio(self) -> Any:
        """As float.as_integer_ratio; what is calculated with it is not recorded."""
        self.program.lose("as_integer_ratio() is not recorded")
        return float(np.asarray(self.floats).reshape(())[()]).as_integer_ratio()


class Flat:
    """What stands for an array's `flat`."""

    def __init__(self, array: Recorded) -> None:
        self._array = array

    def __contains__(self, item: Any) -> bool:
        return bool(np.any(EQUAL(self, item)))

    def __iter__(self) -> Iterator[Any]:
        return iter(self._array.ravel())

    def __len__(self) -> int:
        return self._array.size

    def __getitem__(self, key: Any) -> Any:
        return self._array.ravel()[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        array = self._array
        with one_call(array.program):
            nodes(array).flat[plain_key(key)] = nodes(cast(lift(array.program, value), array.format))


class one_call:  # noqa: N801  (a context manager, read as a phrase)
    """One call of NumPy: its operations are numbered from 0."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def __enter__(self) -> Program:
        if not self.program.depth:
            self.program.nth = 0
        self.program.depth += 1
        return self.program

    def __exit__(self, *error: Any) -> None:
        self.program.depth -= 1


def nodes(array: Any) -> Array:
    """The indices in a recorded array, (…).

    Raises:
        NotRecorded: it is an array of floats, made where nothing is recorded.
    """
    if not isinstance(array, Recorded):
        raise NotRecorded("recorded numbers would be written into an array of floats that was made elsewhere")
    return np.ndarray.view(array, np.ndarray).view(np.intp)


def recorded(program: Program, index: Any, dtype: Any = FLOAT64) -> Any:
    """The array of these nodes."""
    made = np.asarray(index, np.intp).view(NODE).view(Recorded)
    made.program, made.format = program, np.dtype(dtype)
    return made


def as_python(array: Any) -> Any:
    """The same number as Python's floats are."""
    if not isinstance(array, Recorded):
        return array
    made = recorded(array.program, nodes(array).reshape(()))  # of any format: widening rounds nothing
    made.kind = PYTHON
    return made


def as_scalar(array: Any) -> Any:
    """A result of no axes, as NumPy gives it: a scalar."""
    if isinstance(array, Recorded) and array.ndim == 0 and array.kind == ARRAY:
        array.kind = NUMPY
    return array


def lift(program: Program, given: Any) -> Any:
    """Anything numeric as a recorded array.

    Raises:
        NotRecorded: it is complex, or no number.
    """
    if isinstance(given, Recorded):
        return given
    if isinstance(given, (list, tuple)):
        return stacked(program, given)
    if isinstance(given, np.ndarray) and np.ndarray.dtype.__get__(given) == NODE:
        return recorded(program, given.view(np.intp))
    array = np.asarray(given)
    if array.dtype.kind not in "biuf":
        raise NotRecorded(f"{'complex numbers' if array.dtype.kind == 'c' else array.dtype} among recorded numbers")
    dtype = array.dtype if array.dtype.kind == "f" else FLOAT64
    if array.ndim == 0:
        made = recorded(program, program.literal(float(array), dtype), dtype)
        made.kind = PYTHON if isinstance(given, (int, float)) and not isinstance(given, np.generic) else NUMPY
        return made
    if not isinstance(given, np.ndarray) or array.dtype.kind != "f":
        floats = array.astype(np.float64)
        if ((floats == 0) | (floats == 1)).all():
            return recorded(program, floats.astype(np.intp), dtype)
        return recorded(program, program.append("numbers", (), array.astype(dtype), "literal"), dtype)
    return recorded(program, program.append("numbers", (), array, "made"), dtype)


def stacked(program: Program, given: Any) -> Any:
    """Nested lists of recorded numbers and others as one array."""
    if not holds_recorded(given):
        return lift(program, np.asarray(given))
    parts = [stacked(program, part) if isinstance(part, (list, tuple)) else lift(program, part) for part in given]
    dtype = np.result_type(*[part.format for part in parts])
    return recorded(program, np.stack([nodes(cast(part, dtype)) for part in parts]), dtype)


def common_format(*given: Any) -> np.dtype[Any]:
    """The format in which NumPy calculates with these: a Python number takes that of an array."""
    kinds = [
        0.0 if is_python(one) else one.format if isinstance(one, Recorded) else np.asarray(one).dtype for one in given
    ]
    found = np.result_type(*kinds)
    return found if found.kind == "f" else FLOAT64


def is_python(given: Any) -> bool:
    """Whether a number is Python's own, recorded or not."""
    return given.kind == PYTHON if isinstance(given, Recorded) else type(given) in (int, float, bool)


def cast(array: Any, dtype: Any) -> Any:
    """The same numbers rounded to a format."""
    dtype = np.dtype(dtype)
    if array.format == dtype:
        return array
    if dtype.kind != "f":
        raise NotRecorded(f"recorded numbers as {dtype} are not recorded")
    index = nodes(array)
    value = array.program.floats(index, array.format).astype(dtype, order="K")
    if dtype.itemsize > array.format.itemsize:  # nothing is rounded
        return recorded(array.program, index.copy("K"), dtype)
    return recorded(array.program, array.program.append("cast", (index,), value, dtype), dtype)


def holds_recorded(given: Any) -> bool:
    """Whether there is a recorded array in nested lists."""
    return isinstance(given, Recorded) or (isinstance(given, (list, tuple)) and any(map(holds_recorded, given)))


def plain_key(key: Any) -> Any:
    """An index, as NumPy takes it."""
    if isinstance(key, tuple):
        return tuple(map(plain_key, key))
    if isinstance(key, Recorded):
        raise IndexError("only integers, slices, ellipsis, None and arrays of integers or flags are valid indices")
    return key


def _are_scalars(one: Any, other: Any) -> bool:
    """Whether Python or NumPy calculates one number from two, and not an array."""
    mine = one.kind != ARRAY
    theirs = other.kind != ARRAY if isinstance(other, Recorded) else isinstance(other, (int, float, np.number))
    return mine and theirs


def _scalar_power(base: Any, exponent: Any) -> Any:
    with one_call(base.program if isinstance(base, Recorded) else exponent.program) as program:
        plain = [one.floats if isinstance(one, Recorded) else one for one in (base, exponent)]
        with np.errstate(all="ignore"):
            value = plain[0] ** plain[1]
        made = ANSWERS["power"](program, base, exponent, value)
    if type(value) is float:
        made.kind = PYTHON
    return made


def _is_numeric(given: Any) -> bool:
    return isinstance(given, (np.ndarray, np.generic, bool, int, float, list, tuple))


def _is_number_type(dtype: Any) -> bool:
    try:
        return np.dtype(dtype).kind in "biufc"
    except TypeError:
        return False


def _guard_integers(array: Any, found: Array) -> None:
    """Keep that numbers, cut to integers, are these."""
    program = array.program
    index, whole = nodes(array), nodes(lift(program, np.asarray(found, np.float64)))
    further = nodes(lift(program, np.asarray(found, np.float64) + np.where(np.asarray(array.floats) < 0, -1.0, 1.0)))
    negative = np.asarray(array.floats) < 0
    program.guard("less_equal", np.where(negative, index, whole), np.where(negative, whole, index), True)
    program.guard("less", np.where(negative, further, index), np.where(negative, index, further), True)


@functools.cache
def _formats(code: Any, instruction: int) -> bool:
    """Whether an instruction of Python is the % that formats."""
    for one in dis.get_instructions(code):
        if one.offset == instruction:
            return one.opname == "BINARY_OP" and one.argrepr in ("%", "%=")
    return False


def _is_shown() -> bool:
    """Whether a number is asked for by what only shows it."""
    frame = sys._getframe(2)
    return _formats(frame.f_code, frame.f_lasti) or (
        is_foreign(frame.f_code.co_filename)
        and frame.f_globals.get("__name__", "").partition(".")[0] in ("logging", "rich")
    )
