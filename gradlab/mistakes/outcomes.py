"""What code gave for some inputs, on floats or recorded once and replayed on balls; and how two of such compare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from gradlab.arithmetic.balls import BallArithmetic, bits_in_force, finite, meet, midpoints, radii
from gradlab.cells import Cell, Code, grad_record, records
from gradlab.checker.locate import total_is_wrong
from gradlab.frontends.replayable import Replayable, Undecided, mapped
from gradlab.interrupts import checkpoint
from gradlab.problem import Inputs, Problem
from gradlab.tape.program import UNSET
from gradlab.tape.recorded import NotRecorded
from gradlab.tape.replay import Unsupported

Array = np.ndarray[Any, Any]

# Two values are the same where their balls overlap and leave less than this part of the largest entry open.
NARROW = 2.0**-40
NOTHING = 2.0**-100  # at 128 bits, what is left of terms of order 1 that cancel

# In float64, values further apart than this part of the largest entry are not equal up to rounding.
FAR = 1e-9

# What the forward pass and the loss give; every other kind of quantity comes from the third function.
FORWARD = ("trace", "loss")


class Outcome(NamedTuple):
    """What code gave for some inputs: every quantity it returned by its name, and the total loss that it reported.

    refused: why there is nothing. unwritten: because it reads or returns entries in which nothing was stored; on floats
    such code may run, on whatever the memory held before.
    """

    inputs: Inputs
    trace: Any
    found: dict[str, Array]
    total: Any = None
    refused: str = ""
    unwritten: bool = False

    @property
    def misreported(self) -> bool:
        """Whether the total is proven not to be the sum of the steps' losses."""
        return self.total is not None and total_is_wrong(self.total, self.found["loss"])

    @property
    def on_balls(self) -> bool:
        """Whether what it holds are balls."""
        return any(array.dtype == object for array in self.found.values())

    @property
    def floats(self) -> Outcome:
        """The same with the midpoints of its balls."""
        inputs, trace = mapped(floats_of, self.inputs), mapped(floats_of, self.trace)
        return Outcome(inputs, trace, {name: floats_of(array) for name, array in self.found.items()})


def floats_of(array: Array) -> Array:
    """The midpoints of balls; floats as they are."""
    return array if array.dtype.kind == "f" else midpoints(array)


def outcome(cell: Cell, code: Code, inputs: Inputs, sizes: Mapping[str, int], *, deltas: bool = True) -> Outcome:
    """Run code on floats.

    Args:
        sizes: the length of each axis by its letter.
        deltas: look at the deltas, and at whatever else the gradient is made of; where they are missing, or not to be
            looked at, they are left out.
    """
    checkpoint()
    try:
        with np.errstate(all="ignore"):
            trace, found, total = _run(cell, code, inputs, deltas)
    except Exception as error:  # noqa: BLE001  whatever code under test raises is a refusal
        return _refusal(inputs, f"{type(error).__name__}: {error}")
    found = {name: np.asarray(array) for name, array in found.items()}
    refused = _misshapen(cell, {name: array.shape for name, array in found.items()}, sizes)
    for name, array in found.items():
        if not refused and (array.dtype.kind not in "biuf" or not np.isfinite(array).all()):
            refused = f"{name} holds entries that are no numbers"
    return _refusal(inputs, refused) if refused else Outcome(inputs, trace, found, total)


def _refusal(inputs: Inputs, why: str, unwritten: bool = False) -> Outcome:
    return Outcome(inputs, None, {}, refused=why, unwritten=unwritten)


def _run(cell: Cell, code: Any, inputs: Inputs, deltas: bool) -> tuple[Any, dict[str, Any], Any]:
    """The trace, every quantity by its name, and the total."""
    params, x, y, state = inputs
    trace = code.forward(params, x, state)
    loss = code.loss(trace.y_hat, y)
    grads = code.gradient(params, x, y, state, trace)
    return trace, dict(returned(cell, trace, loss, grads, deltas)), getattr(loss, "total", None)


def _misshapen(cell: Cell, shapes: Mapping[str, tuple[int, ...]], sizes: Mapping[str, int]) -> str:
    for name, shape in shapes.items():
        wanted = tuple(sizes[letter] for letter in cell.quantities[name].axes)
        if shape != wanted:
            return f"{name} has shape {shape}, wanted {wanted}"
    return ""


def returned(cell: Cell, trace: Any, loss: Any, grads: Any, deltas: bool) -> Iterable[tuple[str, Any]]:
    """Every quantity in what the three functions returned, by its name."""
    for quantity in cell.of_kind("trace"):
        yield quantity.name, getattr(trace, quantity.name)
    for quantity in cell.of_kind("loss"):
        yield quantity.name, loss.per_step
    yield from _of_gradient(cell, grads, deltas)


def _of_gradient(cell: Cell, grads: Any, deltas: bool) -> Iterable[tuple[str, Any]]:
    for quantity in cell.quantities.values():
        if quantity.kind == "grad":
            yield quantity.name, getattr(grad_record(cell, grads, quantity.by), quantity.by)
        elif quantity.kind not in FORWARD:
            record = getattr(grads, records(cell.module)[quantity.kind], None)
            part = getattr(record, quantity.name.removeprefix(f"{quantity.kind}_"), None)
            if deltas and part is not None:
                yield quantity.name, part


class RecordedCode:
    """Code recorded once for each set of sizes, and replayed on balls at whatever numbers a problem has.

    Of code whose forward and loss are the cell's own the gradient alone is recorded, and starts from the cell's trace.
    """

    def __init__(self, cell: Cell, code: Code) -> None:
        self.cell, self.code = cell, code
        self._begins = code is not cell.code and code[:2] == cell.code[:2]
        self._kept: dict[Any, _RecordedOutcome] = {}

    def outcome(self, problem: Problem, *, deltas: bool = True) -> Outcome:
        """What it gives on balls, at the precision in force; deltas: as for `outcome`."""
        checkpoint()
        inputs = problem.astype(np.float64).inputs()
        key = (*problem.sizes.items(), deltas)
        if key not in self._kept:
            self._kept[key] = self._recorded(problem, deltas)
        recorded = self._kept[key]
        if recorded.call is not None and recorded.call.program.guards:
            recorded = self._recorded(problem, deltas)  # at other numbers it may go another way
        return recorded.outcome(self.cell, inputs, self._before(problem))

    def _before(self, problem: Problem) -> Outcome | None:
        """What the cell's own forward and loss give, where the code has the same."""
        return own_outcome(self.cell, problem, bits_in_force()) if self._begins else None

    def _recorded(self, problem: Problem, deltas: bool) -> _RecordedOutcome:
        inputs, before = problem.astype(np.float64).inputs(), self._before(problem)
        failures: list[Exception] = []

        def body(code: Any, inputs: Inputs, *trace: Any) -> Any:
            try:
                if not trace:
                    return _run(self.cell, code, inputs, deltas)[1:]
                return dict(_of_gradient(self.cell, code.gradient(*inputs, *trace), deltas)), None
            except Exception as error:  # noqa: BLE001  whatever code under test raises is a refusal
                failures.append(error)
                return {}, None

        names = ("gradient",) if self._begins else ("forward", "loss", "gradient")
        functions = {name: getattr(self.code, name) for name in names}
        try:
            call = Replayable(functions, body, inputs, *([before.floats.trace] if before is not None else []))
        except NotRecorded as error:
            return _RecordedOutcome(None, f"NotRecorded: {error}")
        if call.program.unset_read() is not None:
            return _RecordedOutcome(None, "it reads entries in which nothing was stored", unwritten=True)
        if failures:
            return _RecordedOutcome(None, f"{type(failures[0]).__name__}: {failures[0]}")
        found, _ = call.result
        refused = _misshapen(self.cell, {name: index.shape for name, index in found.items()}, problem.sizes)
        if refused:
            return _RecordedOutcome(None, refused)
        for name, index in found.items():
            if (index == UNSET).any():
                return _RecordedOutcome(None, f"{name} holds entries in which nothing was stored", unwritten=True)
        return _RecordedOutcome(call, "")


class _RecordedOutcome(NamedTuple):
    """Code as a program, or why there is none."""

    call: Replayable | None
    refused: str
    unwritten: bool = False

    def outcome(self, cell: Cell, inputs: Inputs, before: Outcome | None) -> Outcome:
        if self.call is None:
            return _refusal(inputs, self.refused, self.unwritten)
        try:
            trace = [before.trace] if before is not None else []
            found, total = self.call.replayed(BallArithmetic(), inputs, *trace)
        except (Undecided, Unsupported) as error:
            return _refusal(inputs, str(error))
        if before is not None:
            forward = {name: before.found[name] for name in before.found if cell.quantities[name].kind in FORWARD}
            found, total = forward | found, before.total
        return _enclosed(cell, inputs, found, total)


def _enclosed(cell: Cell, inputs: Inputs, found: dict[str, Array], total: Any) -> Outcome:
    """What code gave on balls, if all of them are numbers."""
    for name, array in found.items():
        if not np.all(finite(array)):
            return _refusal(inputs, f"{name} holds entries that are no numbers")
    trace = cell.module.Trace(*(found[name] for name in cell.module.Trace._fields))
    return Outcome(inputs, trace, found, total)


@lru_cache(maxsize=64)
def own_outcome(cell: Cell, problem: Problem, bits: int) -> Outcome:
    """What the cell's own code gives, at the precision in force, which is `bits`."""
    return recorded_code(cell, cell.code).outcome(problem)


@lru_cache(maxsize=16)
def recorded_code(cell: Cell, code: Code) -> Any:
    """Code, recorded; what is tried on several problems is recorded once.

    Code that runs elsewhere is recorded there, and gives its `outcome` itself.
    """
    return code if hasattr(code, "outcome") else RecordedCode(cell, code)


def refusal(problem: Problem, why: str) -> Outcome:
    """The outcome of code that cannot be run on a problem."""
    return _refusal(problem.inputs(), why)


def disjoint(left: Array, right: Array) -> bool:
    """Proven to differ in some entry."""
    return not meet(left, right)


def same(left: Array, right: Array) -> bool:
    """The balls overlap in every entry and are narrow."""
    if disjoint(left, right):
        return False
    width = max(float(radii(left).max(initial=0)), float(radii(right).max(initial=0)))
    scale = max(float(np.abs(midpoints(left)).max(initial=0)), float(np.abs(midpoints(right)).max(initial=0)))
    return width <= NARROW * scale or max(width, scale) <= NOTHING


def far(left: Array, right: Array) -> bool:
    """Whether floats are not equal up to rounding."""
    with np.errstate(all="ignore"):
        scale = np.maximum(np.abs(left).max(initial=0), np.abs(right).max(initial=0))
        return bool(np.abs(left - right).max(initial=0) > FAR * scale)
