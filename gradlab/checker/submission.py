"""The code under test: loaded from a file or a module, run in any arithmetic, and checked for what it returns."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, get_type_hints

import numpy as np

from gradlab.arithmetic import Scalar, balls, bounds, rounded, rounding
from gradlab.cells import Cell, Code, named
from gradlab.checker.watch import SubmissionError, watched
from gradlab.problem import Inputs, Problem

Array = np.ndarray[Any, Any]


# What stands among the quantities for the loss that a file reports: no equation's name has a point in it.
TOTAL = "loss.total"

NUMBERS = (Scalar, int, float, np.floating, np.integer, type(None))  # None: an entry that was never assigned


class Returned(NamedTuple):
    """What the three functions gave for some inputs, and every quantity in it by name."""

    inputs: Inputs
    trace: Any
    loss: Any
    grads: Any
    quantities: dict[str, Array]


class Submission:
    """Code under test, every call watched.

    Args:
        cell: what it claims to be.
        code: the functions, the file that defines them, or None for the cell's own.
        seconds: the time limit of one call.

    The methods raise SubmissionError: a call raises, prints, changes its inputs in place or does not end in time, or
    what it returns lacks a field, or has the wrong shape or dtype.
    """

    def __init__(self, cell: Cell, code: Code | str | Path | None = None, seconds: float = 10.0) -> None:
        self.cell = cell
        self.seconds = seconds
        self.code = load(code, seconds, cell.code.names) if isinstance(code, str | Path) else code or cell.code

    @property
    def _names(self) -> dict[str, str]:
        """What people know the functions by: `gradient` as bptt or rtrl."""
        return dict(zip(Code._fields, self.cell.code.names, strict=False))

    @property
    def origin(self) -> str:
        """Where people find the code: a module's name or a file's path."""
        return self.code.origin

    def floats(self, problem: Problem) -> dict[str, Array]:
        """Every quantity in the problem's own dtype, and TOTAL."""
        return self._run(problem, problem.inputs(), problem.dtype).quantities

    def rounding(self, problem: Problem) -> dict[str, Array]:
        """The derived bound on what rounding in the problem's dtype may do to each quantity."""
        with rounding(problem.dtype):
            found = self._run(problem, problem.inputs(rounded), object).quantities
            with np.errstate(invalid="ignore"):
                return {name: bounds(value) for name, value in found.items()}

    def balls(self, problem: Problem) -> Returned:
        """Everything on balls, at the precision in force."""
        return self._run(problem, problem.inputs(balls), object)

    def _run(self, problem: Problem, inputs: Inputs, dtype: Any) -> Returned:
        params, x, y, state = inputs
        trace = self._call("forward", params, x, state)
        if not hasattr(trace, "y_hat"):
            raise SubmissionError(f"{self.origin}: what forward returns has no field y_hat")
        loss = self._call("loss", trace.y_hat, y)
        grads = self._call("gradient", params, x, y, state, trace)
        return Returned(inputs, trace, loss, grads, self._quantities(problem, trace, loss, grads, dtype))

    def _call(self, function: str, *args: Any) -> Any:
        name = self._names[function]
        arrays = list(_arrays(args))
        before = [array.tobytes() for array in arrays]  # of an object array: which objects it holds
        result = watched(self.origin, name, self.seconds, getattr(self.code, function), *args)
        if any(array.tobytes() != kept for array, kept in zip(arrays, before, strict=True)):
            raise SubmissionError(f"{self.origin}: {name} changes one of its inputs in place; copy it first")
        return result

    def _quantities(self, problem: Problem, trace: Any, loss: Any, grads: Any, dtype: Any) -> dict[str, Array]:
        self._check_fields(trace, loss, grads)
        found = {}
        for name, value in named(self.cell, trace, loss, grads).items():
            quantity = self.cell.quantities[name]
            wanted = tuple(problem.sizes[letter] for letter in quantity.axes)
            try:
                array = np.asarray(value)
            except ValueError:
                raise SubmissionError(f"{self.origin}: {quantity.label} is no array of one shape") from None
            if array.shape != wanted:
                axes = f"({', '.join(quantity.axes)}) = {wanted}"
                raise SubmissionError(f"{self.origin}: {quantity.label} has shape {array.shape}, wanted {axes}")
            if array.dtype != dtype:
                raise SubmissionError(
                    f"{self.origin}: {quantity.label} came back as {array.dtype} from {np.dtype(dtype)} inputs: "
                    "allocate with the inputs' dtype (np.empty_like)"
                )
            found[name] = self._scalars(quantity.label, array) if dtype is object else array
        return found | {TOTAL: self._total(loss.total, dtype)}

    def _total(self, total: Any, dtype: Any) -> Array:
        """The loss that is reported, ()."""
        array = np.asarray(total)
        if array.shape != ():
            raise SubmissionError(f"{self.origin}: the loss's total has shape {array.shape}, wanted one number")
        if dtype is object:
            return self._scalars("the loss's total", array.astype(object))
        if array.dtype.kind not in "fiu":
            raise SubmissionError(f"{self.origin}: the loss's total is a {type(total).__name__}, wanted a number")
        return array.astype(dtype)

    def _scalars(self, label: str, array: Array) -> Array:
        """An object array of numbers; an entry that was never assigned is not one of them, so it becomes NaN."""
        kinds = set(map(type, array.flat))
        if not all(issubclass(kind, NUMBERS) for kind in kinds):
            index, entry = next((i, e) for i, e in np.ndenumerate(array) if not isinstance(e, NUMBERS))
            raise SubmissionError(f"{self.origin}: {label}{list(index)} is a {type(entry).__name__}, wanted a number")
        return np.where(_unassigned(array).astype(bool), np.nan, array) if type(None) in kinds else array.copy()

    def _check_fields(self, trace: Any, loss: Any, grads: Any) -> None:
        module = self.cell.module
        wanted = [
            ("forward", trace, module.Trace, ""),
            ("loss", loss, module.Loss, ""),
            ("gradient", grads, module.Grads, ""),
        ]
        for part, record in _records(module.Grads).items():
            wanted.append(("gradient", getattr(grads, part, None), record, f"{part}."))
        for function, returned, record, prefix in wanted:
            for field in record._fields:
                if not hasattr(returned, field):
                    name = self._names[function]
                    raise SubmissionError(f"{self.origin}: what {name} returns has no field {prefix}{field}")


@cache
def _records(record: Any) -> dict[str, Any]:
    """The fields of a NamedTuple that are NamedTuples themselves."""
    return {part: kind for part, kind in get_type_hints(record).items() if hasattr(kind, "_fields")}


def load(path: str | Path, seconds: float = 10.0, names: Sequence[str] = ("forward", "loss", "bptt")) -> Code:
    """The three functions of those names that a Python file defines.

    Raises:
        SubmissionError: the file is missing, does not parse, raises, prints or does not end within `seconds` when
            imported, or lacks one of the functions.
    """
    path = Path(path)
    if not path.is_file():
        raise SubmissionError(f"{path}: {'not a file' if path.exists() else 'no such file'}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SubmissionError(f"{path}: cannot be read: {error.strerror}") from None
    return load_text(content, path, seconds, names)


def load_text(
    content: str | bytes, path: str | Path, seconds: float = 10.0, names: Sequence[str] = ("forward", "loss", "bptt")
) -> Code:
    """`load` of a file that need not be there: its text, and the path that it is known by."""
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(content, str(path), "exec")
    except SyntaxError as error:
        where = f"{path}:{error.lineno}:{error.offset}" if (error.lineno or 0) > 0 else str(path)
        raise SubmissionError(f"{where}: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise SubmissionError(f"{path}: not Python that can be read: {error}") from None
    module = _imported(content, path, seconds)
    for name in names:
        if not callable(getattr(module, name, None)):
            raise SubmissionError(f"{path}: defines no function {name}; wanted {', '.join(names)}")
    return Code.of(module, str(path), names[-1])


class _Text(importlib.machinery.SourceFileLoader):
    """Runs a text as the file it is from."""

    def __init__(self, name: str, path: str, content: bytes) -> None:
        super().__init__(name, path)
        self.content = content

    def get_data(self, path: str) -> bytes:
        return self.content if path == self.path else super().get_data(path)

    def path_stats(self, path: str) -> Any:
        raise OSError  # no bytecode of it is kept anywhere


def _imported(content: str | bytes, path: Path, seconds: float) -> ModuleType:
    name = f"gradlab_submission_{path.stem}"
    loader = _Text(name, str(path), content if isinstance(content, bytes) else content.encode())
    module = importlib.util.module_from_spec(importlib.machinery.ModuleSpec(name, loader, origin=str(path)))
    module.__file__ = str(path)
    kept, folder = sys.dont_write_bytecode, str(path.resolve().parent)
    sys.dont_write_bytecode = True  # nothing is written beside somebody's file
    sys.modules[name] = module  # dataclasses and typing look a class's module up by name
    sys.path.insert(0, folder)  # as when the file is run: it may import its neighbours
    try:
        watched(str(path), "importing it", seconds, loader.exec_module, module)
    finally:
        sys.dont_write_bytecode = kept
        if folder in sys.path:
            sys.path.remove(folder)
    return module


def _arrays(values: Any) -> Iterator[Array]:
    for value in values:
        if isinstance(value, np.ndarray):
            yield value
        elif isinstance(value, tuple):
            yield from _arrays(value)


# What np.empty leaves in an entry of an object array that is never assigned.
_unassigned = np.frompyfunc(lambda entry: entry is None, 1, 1)
