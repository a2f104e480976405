"""The code under test: loaded from a file or a module, run and recorded, and checked for what it returns."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, get_type_hints

import numpy as np

from gradlab.arithmetic.rounded import RoundedArithmetic
from gradlab.cells import Cell, Code, named
from gradlab.checker.watch import SubmissionError, watched
from gradlab.frontends.numpy_code import Recording
from gradlab.frontends.replayable import mapped
from gradlab.problem import Inputs, Problem
from gradlab.tape.program import UNSET, Program, Site
from gradlab.tape.recorded import NotRecorded, Recorded, nodes
from gradlab.tape.replay import Run, Unsupported, replay, ties

Array = np.ndarray[Any, Any]

FUNCTIONS = ("forward", "loss", "gradient")


class Returned(NamedTuple):
    """What the three functions gave for some inputs, and every quantity in it by name."""

    inputs: Inputs
    trace: Any
    loss: Any
    grads: Any
    quantities: dict[str, Array]


class RecordedRun(NamedTuple):
    """The three functions as one program. All are of nodes: inputs, every quantity by its name, and the total loss."""

    program: Program
    inputs: Inputs
    quantities: dict[str, Array]
    total: Array


class Submission:
    """Code under test, every call watched.

    Args:
        cell: what it claims to be.
        code: the functions, the file that defines them, or None for the cell's own.
        seconds: the time limit of one call.

    The methods raise SubmissionError: a call raises, prints, changes its inputs in place or does not end in time, or
    what it returns lacks a field, or has the wrong shape or dtype. So do those that rest on a recording where one
    cannot be made, or gives other floats than the code itself: nothing is certified of what was not recorded.
    """

    def __init__(self, cell: Cell, code: Code | str | Path | None = None, seconds: float = 10.0) -> None:
        self.cell = cell
        self.seconds = seconds
        self.code = load(code, seconds, cell.code.names) if isinstance(code, str | Path) else code or cell.code
        self._kept: tuple[Problem, dict[str, Array]] | None = None
        self._recorded: tuple[Problem, RecordedRun] | None = None

    @property
    def _names(self) -> dict[str, str]:
        """What people know the functions by: `gradient` as bptt or rtrl."""
        return dict(zip(Code._fields, self.cell.code.names, strict=False))

    @property
    def origin(self) -> str:
        """Where people find the code: a module's name or a file's path."""
        return self.code.origin

    def floats(self, problem: Problem) -> dict[str, Array]:
        """Every quantity in the problem's own dtype."""
        if self._kept is None or self._kept[0] is not problem:
            functions = {function: getattr(self.code, function) for function in FUNCTIONS}
            returned = self._run(problem, functions, problem.inputs)
            self._kept = problem, self._quantities(problem, returned)
        return self._kept[1]

    def rounding(self, problem: Problem) -> dict[str, Array]:
        """The derived bound on what rounding in the problem's dtype may do to each quantity."""
        recorded = self.recorded(problem)
        with np.errstate(all="ignore"):
            run = self._replayed(recorded, RoundedArithmetic(problem.dtype))
            return {name: run.numbers(index).bounds() for name, index in recorded.quantities.items()}

    def balls(self, problem: Problem) -> Returned:
        """Everything on balls, at the precision in force."""
        from gradlab.arithmetic.balls import BallArithmetic

        recorded, module = self.recorded(problem), self.cell.module
        run = self._replayed(recorded, BallArithmetic())
        found = {name: run.numbers(index) for name, index in recorded.quantities.items()}
        trace = module.Trace(**{quantity.name: found[quantity.name] for quantity in self.cell.of_kind("trace")})
        loss = module.Loss(found["loss"], run.numbers(recorded.total))
        return Returned(mapped(run.numbers, recorded.inputs), trace, loss, None, found)

    def recorded(self, problem: Problem) -> RecordedRun:
        """The program of a run on the problem, whose floats are those of the code itself, bit for bit."""
        if self._recorded is None or self._recorded[0] is not problem:
            self._recorded = problem, self._record(problem)
        return self._recorded[1]

    def _record(self, problem: Problem) -> RecordedRun:
        wanted = self.floats(problem)
        functions = {function: getattr(self.code, function) for function in FUNCTIONS}
        try:
            recording = Recording(functions)
        except NotRecorded as error:
            raise SubmissionError(f"{self.origin}: {error}") from None
        leaves = problem.inputs(lambda array: recording.leaf(array, "parameter"))

        def fresh() -> Inputs:
            return mapped(lambda index: recording.array(index, problem.dtype), leaves)

        def calling(function: str) -> Callable[..., Any]:
            return lambda *args: recording.call(recording.functions[function], *args)

        try:
            returned = self._run(problem, {function: calling(function) for function in FUNCTIONS}, fresh)
            total = recording.nodes(returned.loss.total)
            found = {name: recording.nodes(value) for name, value in self._quantities(problem, returned).items()}
            recording.whole()
        except NotRecorded as error:
            raise SubmissionError(f"{self.origin}: {error}") from None
        program = recording.program
        unset = program.unset_read()
        if unset is not None:
            raise SubmissionError(f"{self._line(unset)}: takes an entry of an array that was never assigned")
        for name, index in found.items():
            self._same_floats(name, program.floats(index), wanted[name], index == UNSET)
        return RecordedRun(program, leaves, found, total)

    def _same_floats(self, name: str, found: Array, own: Array, unset: Array) -> None:
        own = own.astype(np.float64)
        other = (found != own) & ~(np.isnan(found) & np.isnan(own)) & ~unset
        if other.any():
            at = tuple(int(i) for i in np.argwhere(other)[0])
            label = self.cell.quantities[name].label
            raise SubmissionError(
                f"{self.origin}: {label}{list(at)} is {own[at]!r}, and {found[at]!r} when run again and recorded: "
                "what was recorded is not that code, so nothing can be certified"
            )

    def _replayed(self, recorded: RecordedRun, arithmetic: Any) -> Run:
        """The program in an arithmetic, in which what it was steered by is as it was."""
        try:
            run = replay(recorded.program, arithmetic)
        except Unsupported as error:
            raise SubmissionError(f"{self.origin}: {error}") from None
        for tie in ties(run, recorded.program.guards):
            what = "is decided by rounding" if tie.contrary else "is a tie"
            raise SubmissionError(f"{self._line(tie.guard.site)}: a comparison {what}, so nothing can be certified")
        return run

    def _line(self, site: Site) -> str:
        """origin:line, the innermost line of the code's own file, as other errors name it."""
        lines = [frame.line for frame in site.frames if frame.file == self.origin]
        return f"{self.origin}:{lines[0]}" if lines else f"{self.origin}: {site.where}".removesuffix(": ")

    def _run(
        self, problem: Problem, functions: Mapping[str, Callable[..., Any]], inputs: Callable[[], Inputs]
    ) -> Returned:
        """What the functions return; quantities are not yet looked at."""
        given = inputs()
        params, x, y, state = given
        trace = self._call(functions, "forward", params, x, state)
        if not hasattr(trace, "y_hat"):
            raise SubmissionError(f"{self.origin}: what forward returns has no field y_hat")
        loss = self._call(functions, "loss", trace.y_hat, y)
        grads = self._call(functions, "gradient", params, x, y, state, trace)
        self._check_fields(trace, loss, grads)
        return Returned(given, trace, loss, grads, {})

    def _call(self, functions: Mapping[str, Callable[..., Any]], function: str, *args: Any) -> Any:
        name = self._names[function]
        arrays = list(_arrays(args))
        before = [_contents(array) for array in arrays]
        result = watched(self.origin, name, self.seconds, functions[function], *args)
        if any(_contents(array) != kept for array, kept in zip(arrays, before, strict=True)):
            raise SubmissionError(f"{self.origin}: {name} changes one of its inputs in place; copy it first")
        return result

    def _quantities(self, problem: Problem, returned: Returned) -> dict[str, Array]:
        found = {}
        for name, value in named(self.cell, returned.trace, returned.loss, returned.grads).items():
            quantity = self.cell.quantities[name]
            wanted = tuple(problem.sizes[letter] for letter in quantity.axes)
            array = self._array(quantity.label, value)
            if array.shape != wanted:
                axes = f"({', '.join(quantity.axes)}) = {wanted}"
                raise SubmissionError(f"{self.origin}: {quantity.label} has shape {array.shape}, wanted {axes}")
            if array.dtype != problem.dtype:
                raise SubmissionError(
                    f"{self.origin}: {quantity.label} came back as {array.dtype} from {problem.dtype} inputs: "
                    "allocate with the inputs' dtype (np.empty_like)"
                )
            found[name] = array
        return found

    def _array(self, label: str, value: Any) -> Array:
        """A recorded array as it is; anything else as an array of its own."""
        if isinstance(value, Recorded):
            return value
        try:
            return np.array(value)
        except (TypeError, ValueError):
            raise SubmissionError(f"{self.origin}: {label} is no array of one shape") from None

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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(path.read_bytes(), str(path), "exec")
    except SyntaxError as error:
        where = f"{path}:{error.lineno}:{error.offset}" if (error.lineno or 0) > 0 else str(path)
        raise SubmissionError(f"{where}: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise SubmissionError(f"{path}: not Python that can be read: {error}") from None
    except OSError as error:
        raise SubmissionError(f"{path}: cannot be read: {error.strerror}") from None
    module = _imported(path, seconds)
    for name in names:
        if not callable(getattr(module, name, None)):
            raise SubmissionError(f"{path}: defines no function {name}; wanted {', '.join(names)}")
    return Code.of(module, str(path), names[-1])


def _imported(path: Path, seconds: float) -> ModuleType:
    name = f"gradlab_submission_{path.stem}"
    loader = importlib.machinery.SourceFileLoader(name, str(path))
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


def _contents(array: Array) -> bytes:
    """What stands in an array: numbers, or which nodes."""
    return (nodes(array) if isinstance(array, Recorded) else array).tobytes()
