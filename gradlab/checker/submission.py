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
from gradlab.checker.watch import NotCertified, SubmissionError, watched
from gradlab.frontends.numpy_code import Recording
from gradlab.frontends.replayable import leaves, mapped
from gradlab.problem import Inputs, Problem
from gradlab.tape.program import UNSET, Program, Site
from gradlab.tape.recorded import NotRecorded, Recorded, nodes
from gradlab.tape.replay import Run, Unsupported, replay, ties

Array = np.ndarray[Any, Any]

FUNCTIONS = ("forward", "loss", "gradient")

# What stands among the quantities for the loss that a file reports: no equation's name has a point in it.
TOTAL = "loss.total"

MORE_BITS = (512, 2048)  # where those in force leave a comparison open
KEPT = 32  # programs of the cells' own code
_own: dict[Any, RecordedRun] = {}


class Returned(NamedTuple):
    """What the three functions gave for some inputs, and every quantity in it by name."""

    inputs: Inputs
    trace: Any
    loss: Any
    grads: Any
    quantities: dict[str, Array]


class RecordedRun(NamedTuple):
    """The three functions as one program. All are of nodes: the inputs, and every quantity and TOTAL by its name.

    numbers: of the blocks that hold the inputs.
    """

    program: Program
    inputs: Inputs
    numbers: tuple[int, ...]
    quantities: dict[str, Array]


class Submission:
    """Code under test, every call watched.

    Args:
        cell: what it claims to be.
        code: the functions, the file that defines them, or None for the cell's own.
        seconds: the time limit of one call.

    The methods raise SubmissionError: a call raises, prints, changes its inputs in place or does not end in time, or
    what it returns lacks a field, or has the wrong shape or dtype. Those that rest on a recording raise NotCertified
    where one cannot be made, or gives other floats than the code itself.
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
        """Every quantity in the problem's own dtype, and TOTAL."""
        if self._kept is None or self._kept[0] is not problem:
            functions = {function: getattr(self.code, function) for function in FUNCTIONS}
            returned = self._run(problem, functions, problem.inputs)
            self._kept = problem, self._quantities(problem, returned)
        return self._kept[1]

    def rounding(self, problem: Problem) -> dict[str, Array]:
        """The derived bound on what rounding in the problem's dtype may do to each quantity."""
        recorded = self.recorded(problem)
        with np.errstate(all="ignore"):
            run = self._replayed(recorded, RoundedArithmetic(problem.dtype), problem)
            return {name: run.numbers(index).bounds() for name, index in recorded.quantities.items()}

    def balls(self, problem: Problem) -> Returned:
        """Everything on balls, at the precision in force."""
        from gradlab.arithmetic.balls import BallArithmetic, bits_in_force, precision

        recorded, module = self.recorded(problem), self.cell.module
        for bits in (bits_in_force(), *MORE_BITS):
            with precision(bits):
                try:
                    run = self._replayed(recorded, BallArithmetic(), problem)
                    break
                except NotCertified:  # more digits may decide a comparison
                    if bits == MORE_BITS[-1]:
                        raise
        found = {name: np.asarray(run.numbers(index), object) for name, index in recorded.quantities.items()}
        trace = module.Trace(**{quantity.name: found[quantity.name] for quantity in self.cell.of_kind("trace")})
        loss = module.Loss(found["loss"], found[TOTAL][()])
        return Returned(mapped(run.numbers, recorded.inputs), trace, loss, None, found)

    def recorded(self, problem: Problem) -> RecordedRun:
        """The program of a run on the problem, whose floats are those of the code itself, bit for bit.

        The cell's own code does the same whatever the numbers: there a program of the same sizes will do.
        """
        own = self.code is self.cell.code
        key = (self.cell, problem.dtype, *problem.sizes.items())
        if own and key in _own:
            return _own[key]
        if self._recorded is None or self._recorded[0] is not problem:
            self._recorded = problem, self._record(problem)
        recorded = self._recorded[1]
        if own and not recorded.program.guards:
            _own[key] = recorded
            if len(_own) > KEPT:
                del _own[next(iter(_own))]
        return recorded

    def _record(self, problem: Problem) -> RecordedRun:
        wanted = self.floats(problem)
        functions = {function: getattr(self.code, function) for function in FUNCTIONS}
        try:
            recording = Recording(functions)
        except NotRecorded as error:
            raise NotCertified(f"{self.origin}: {error}") from None
        numbers: list[int] = []

        def leaf(array: Array) -> Array:
            numbers.append(len(recording.program.blocks))
            return recording.leaf(array, "parameter")

        nodes_of_inputs = mapped(leaf, problem.inputs())

        def fresh() -> Inputs:
            return mapped(lambda index: recording.array(index, problem.dtype), nodes_of_inputs)

        def calling(function: str) -> Callable[..., Any]:
            return lambda *args: recording.call(recording.functions[function], *args)

        try:
            returned = self._run(problem, {function: calling(function) for function in FUNCTIONS}, fresh)
            found = {name: recording.nodes(value) for name, value in self._quantities(problem, returned).items()}
            recording.whole()
        except NotRecorded as error:
            raise NotCertified(f"{self.origin}: {error}") from None
        program = recording.program
        unset = program.unset_read()
        if unset is not None:
            raise SubmissionError(f"{self._line(unset)}: takes an entry of an array that was never assigned")
        for name, index in found.items():
            self._same_floats(name, program.floats(index), wanted[name], index == UNSET)
        return RecordedRun(program, nodes_of_inputs, tuple(numbers), found)

    def _same_floats(self, name: str, found: Array, own: Array, unset: Array) -> None:
        own = own.astype(np.float64)
        other = (found != own) & ~(np.isnan(found) & np.isnan(own)) & ~unset
        if other.any():
            at = tuple(int(i) for i in np.argwhere(other)[0])
            label = TOTAL if name == TOTAL else self.cell.quantities[name].label
            raise NotCertified(
                f"{self.origin}: {label}{list(at)} is {own[at]!r}, and {found[at]!r} when run again and recorded: "
                "what was recorded is not that code, so nothing can be certified"
            )

    def _replayed(self, recorded: RecordedRun, arithmetic: Any, problem: Problem) -> Run:
        """The program in an arithmetic, in which what it was steered by is as it was."""
        arrays = leaves(tuple(problem.inputs()))
        changed = {n: arithmetic.exact(array) for n, array in zip(recorded.numbers, arrays, strict=True)}
        try:
            run = replay(recorded.program, arithmetic, changed)
        except Unsupported as error:
            raise NotCertified(f"{self.origin}: {error}") from None
        for tie in ties(run, recorded.program.guards):
            what = "is decided by rounding" if tie.contrary else "is a tie"
            raise NotCertified(f"{self._line(tie.guard.site)}: a comparison {what}, so nothing can be certified")
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
        return found | {TOTAL: self._total(returned.loss.total, problem.dtype)}

    def _total(self, total: Any, dtype: Any) -> Array:
        """The loss that is reported, ()."""
        array = self._array("the loss's total", total)
        if array.shape != ():
            raise SubmissionError(f"{self.origin}: the loss's total has shape {array.shape}, wanted one number")
        if array.dtype.kind not in "fiu":
            raise SubmissionError(f"{self.origin}: the loss's total is a {type(total).__name__}, wanted a number")
        return array if isinstance(array, Recorded) else array.astype(dtype)

    def _array(self, label: str, value: Any) -> Array:
        """A recorded array as it is; anything else as an array of its own."""
        if isinstance(value, Recorded):
            return value
        try:
            array = np.array(value)
        except (TypeError, ValueError):
            raise SubmissionError(f"{self.origin}: {label} is no array of one shape") from None
        if array.dtype.kind == "V":
            raise SubmissionError(f"{self.origin}: {label} is no array of numbers")
        return array

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


def _contents(array: Array) -> bytes:
    """What stands in an array: numbers, or which nodes."""
    return (nodes(array) if isinstance(array, Recorded) else array).tobytes()
