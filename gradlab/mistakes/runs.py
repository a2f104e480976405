"""Code run on balls, and the cell's own equations beside it: as they are, and with the catalogue's right-hand sides.

Everything upstream of an equation is taken from the code under test, so a mistake shows at its own equation alone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache, lru_cache
from types import FunctionType, SimpleNamespace
from typing import Any, NamedTuple, cast

import numpy as np

from gradlab.arithmetic.balls import BallArithmetic, as_balls, finite, meet, midpoints, radii
from gradlab.cells import Cell, Code, grad_record, records
from gradlab.checker.locate import total_is_wrong
from gradlab.equations import choosing, equations
from gradlab.frontends.replayable import Replayable, Undecided, leaves, mapped
from gradlab.interrupts import checkpoint
from gradlab.mistakes.catalogue import mistakes
from gradlab.mistakes.rows import Mistake
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

KEPT = 64  # programs of one cell's variants

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
        inputs, trace = mapped(_floats, self.inputs), mapped(_floats, self.trace)
        return Outcome(inputs, trace, {name: _floats(array) for name, array in self.found.items()})


def _floats(array: Array) -> Array:
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
    return trace, dict(_returned(cell, trace, loss, grads, deltas)), getattr(loss, "total", None)


def _misshapen(cell: Cell, shapes: Mapping[str, tuple[int, ...]], sizes: Mapping[str, int]) -> str:
    for name, shape in shapes.items():
        wanted = tuple(sizes[letter] for letter in cell.quantities[name].axes)
        if shape != wanted:
            return f"{name} has shape {shape}, wanted {wanted}"
    return ""


def _returned(cell: Cell, trace: Any, loss: Any, grads: Any, deltas: bool) -> Iterable[tuple[str, Any]]:
    for quantity in cell.quantities.values():
        if quantity.kind == "loss":
            yield quantity.name, loss.per_step
        elif quantity.kind == "grad":
            yield quantity.name, getattr(grad_record(cell, grads, quantity.by), quantity.by)
        elif quantity.kind == "trace":
            yield quantity.name, getattr(trace, quantity.name)
        else:
            record = getattr(grads, records(cell.module)[quantity.kind], None)
            part = getattr(record, quantity.name.removeprefix(f"{quantity.kind}_"), None)
            if deltas and part is not None:
                yield quantity.name, part


class RecordedCode:
    """Code recorded once for each set of sizes, and replayed on balls at whatever numbers a problem has."""

    def __init__(self, cell: Cell, code: Code) -> None:
        self.cell, self.code = cell, code
        self._kept: dict[Any, _RecordedOutcome] = {}

    def outcome(self, problem: Problem, *, deltas: bool = True) -> Outcome:
        """What it gives on balls, at the precision in force; deltas: as for `outcome`."""
        checkpoint()
        inputs = problem.astype(np.float64).inputs()
        key = (*problem.sizes.items(), deltas)
        if key not in self._kept:
            self._kept[key] = self._recorded(inputs, problem.sizes, deltas)
        recorded = self._kept[key]
        if recorded.call is not None and recorded.call.program.guards:
            recorded = self._recorded(inputs, problem.sizes, deltas)  # at other numbers it may go another way
        return recorded.outcome(self.cell, inputs)

    def _recorded(self, inputs: Inputs, sizes: Mapping[str, int], deltas: bool) -> _RecordedOutcome:
        failures: list[Exception] = []

        def body(code: Any, inputs: Inputs) -> Any:
            try:
                return _run(self.cell, code, inputs, deltas)[1:]
            except Exception as error:  # noqa: BLE001  whatever code under test raises is a refusal
                failures.append(error)
                return {}, None

        functions = {name: getattr(self.code, name) for name in ("forward", "loss", "gradient")}
        try:
            call = Replayable(functions, body, inputs)
        except NotRecorded as error:
            return _RecordedOutcome(None, f"NotRecorded: {error}")
        if call.program.unset_read() is not None:
            return _RecordedOutcome(None, "it reads entries in which nothing was stored", unwritten=True)
        if failures:
            return _RecordedOutcome(None, f"{type(failures[0]).__name__}: {failures[0]}")
        found, _ = call.result
        refused = _misshapen(self.cell, {name: index.shape for name, index in found.items()}, sizes)
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

    def outcome(self, cell: Cell, inputs: Inputs) -> Outcome:
        if self.call is None:
            return _refusal(inputs, self.refused, self.unwritten)
        try:
            found, total = self.call.replayed(BallArithmetic(), inputs)
        except (Undecided, Unsupported) as error:
            return _refusal(inputs, str(error))
        for name, array in found.items():
            if not np.all(finite(array)):
                return _refusal(inputs, f"{name} holds entries that are no numbers")
        trace = cell.module.Trace(*(found[name] for name in cell.module.Trace._fields))
        return Outcome(inputs, trace, found, total)


@lru_cache(maxsize=16)
def recorded_code(cell: Cell, code: Code) -> RecordedCode:
    """Code, recorded; what is tried on several problems is recorded once."""
    return RecordedCode(cell, code)


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


class Variants:
    """The cell's functions with every right-hand side of the catalogue compiled in beside its own."""

    def __init__(self, cell: Cell, rows: Iterable[Mistake]) -> None:
        self.cell = cell
        self.rows = tuple(rows)
        self.options: dict[str, tuple[str, ...]] = {}
        for row in self.rows:
            for label, text in row.changes.items():
                known = self.options.get(label, ())
                self.options[label] = known if text in known else (*known, text)
        self.forward, self.loss, self.gradient = (
            choosing(f, {label: texts for label, texts in self.options.items() if label in equations(f)})
            for f in (cast(FunctionType, function) for function in cell.code[:3])
        )
        self._functions = {"forward": self.forward, "loss": self.loss, "gradient": self.gradient}
        self._programs: OrderedDict[Any, Replayable] = OrderedDict()

    def option(self, label: str, text: str) -> int:
        """The number of a right-hand side at its equation; 0 is the equation's own."""
        return 1 + self.options[label].index(text)

    def choice(self, rows: Iterable[Mistake]) -> dict[str, int]:
        """The options that these mistakes together take, by the name of the equation."""
        return {k.partition(".")[2]: self.option(k, text) for row in rows for k, text in row.changes.items()}

    def right(self, seen: Outcome) -> Outcome:
        """What the cell's own loss and third function give for the trace that was seen."""
        params, x, y, state = seen.inputs
        with np.errstate(all="ignore"):
            loss = self.cell.code.loss(seen.trace.y_hat, y)
            grads = self.cell.code.gradient(params, x, y, state, seen.trace)
        return Outcome(seen.inputs, seen.trace, dict(_returned(self.cell, seen.trace, loss, grads, True)))

    def run(self, seen: Outcome, rows: Iterable[Mistake] = ()) -> dict[str, Array]:
        """The gradients that the third function gives with these mistakes in it, for the trace that was seen."""
        choice = self.choice(rows)

        def choose(name: str, options: Any, index: Any) -> Any:
            return options[choice.get(name, 0)]()

        def gradients(functions: Any, inputs: Inputs, trace: Any) -> dict[str, Array]:
            grads = functions.gradient(*inputs, trace, choose=choose)
            return {q.name: getattr(grad_record(self.cell, grads, q.by), q.by) for q in self.cell.of_kind("grad")}

        if not seen.on_balls:
            return self._on_floats(gradients, seen.inputs, seen.trace)
        return self._on_balls(("run", *sorted(choice.items())), gradients, seen.inputs, seen.trace)

    def _on_floats(self, body: Any, *arguments: Any) -> Any:
        with np.errstate(all="ignore"):
            return body(SimpleNamespace(**self._functions), *arguments)

    def _on_balls(self, key: Any, body: Any, *arguments: Any, only: frozenset[Any] | None = None) -> Any:
        """What a body gives, recorded once for each key and shapes, and replayed."""
        key = (key, *(array.shape for argument in arguments for array in leaves(argument)))
        if key not in self._programs:
            self._programs[key] = Replayable(self._functions, body, *(mapped(_floats, one) for one in arguments))
            if len(self._programs) > KEPT:
                self._programs.popitem(last=False)
        self._programs.move_to_end(key)
        given = [mapped(lambda array: array if array.dtype.kind == "f" else as_balls(array), one) for one in arguments]
        return self._programs[key].replayed(BallArithmetic(), *given, only=only)

    def endings(self, seen: Outcome, rows: Iterable[Mistake] = ()) -> dict[tuple[str, int], Array]:
        """The gradients as `run` gives them, option 0, and as every option of their own equations gives them.

        Returns:
            The values by (name, option); those that raise are left out.
        """
        choice, grads = self.choice(rows), {quantity.name for quantity in self.cell.of_kind("grad")}
        values: dict[tuple[str, int], Array] = {}

        def choose(name: str, options: Any, index: Any) -> Any:
            value = options[choice.get(name, 0)]()
            for i in range(len(options)) if name in grads else ():
                with suppress(Exception):  # an option that does not run here reproduces nothing here
                    other = options[i]() if i else value
                    if other.shape == seen.found[name].shape:
                        values[name, i] = other
            return value

        params, x, y, state = seen.inputs
        with np.errstate(all="ignore"):
            self.gradient(params, x, y, state, seen.trace, choose=choose)
        return values

    def local(self, seen: Outcome, wanted: Mapping[str, Iterable[int]]) -> dict[tuple[str, int], Array]:
        """What the wanted options of each equation give, everything upstream as the code under test has it.

        Args:
            seen: what the code under test gave. Equations that it says nothing of are the cell's own.
            wanted: numbers of options by the name of the equation.

        Returns:
            The values by (name, option); those that raise are left out.
        """
        if not seen.on_balls:
            return self._on_floats(self._local(wanted), seen.inputs, seen.trace, seen.found)
        keys = frozenset((name, i) for name, some in wanted.items() for i in some)
        own = all(i == 0 for _, i in keys)
        tried = {name: range(1 if own else 1 + self._count(name)) for name in seen.found}
        key = ("local", own, *seen.found)
        return self._on_balls(key, self._local(tried), seen.inputs, seen.trace, seen.found, only=keys)

    def _count(self, name: str) -> int:
        """How many right-hand sides an equation has beside its own."""
        return len(self.options.get(self.cell.quantities[name].label, ()))

    def _local(self, options: Mapping[str, Iterable[int]]) -> Callable[..., dict[tuple[str, int], Array]]:
        """What evaluates these options of each equation, everything upstream as given, with functions of any kind."""
        kinds = {self.cell.quantities[name].kind for name in options}

        def body(functions: Any, inputs: Inputs, trace: Any, given: dict[str, Array]) -> dict[tuple[str, int], Array]:
            values, failed = dict[tuple[str, int], Array](), set[tuple[str, int]]()

            def choose(name: str, alternatives: Any, index: Any) -> Any:
                if name not in given:
                    return alternatives[0]()
                for i in options.get(name, ()):
                    if (name, i) not in values:
                        values[name, i] = np.empty_like(given[name])
                    try:
                        values[name, i][index] = alternatives[i]()
                    except Exception:  # noqa: BLE001  an option that does not run here reproduces nothing here
                        failed.add((name, i))
                return given[name][index]

            params, x, y, state = inputs
            if "trace" in kinds:
                functions.forward(params, x, state, choose=choose)
            if "loss" in kinds:
                functions.loss(trace.y_hat, y, choose=choose)
            if kinds - set(FORWARD):
                functions.gradient(params, x, y, state, trace, choose=choose)
            return {key: value for key, value in values.items() if key not in failed}

        return body

    def wrong(self, seen: Outcome) -> list[str]:
        """The equations, by name in the order of the derivation, that what the code gave is proven not to satisfy."""
        return list(self._wrong(seen))

    def first_wrong(self, seen: Outcome) -> str | None:
        """The first of them, None where there is none; functions that come after its own are not run."""
        return next(self._wrong(seen), None)

    def _wrong(self, seen: Outcome) -> Iterator[str]:
        kinds = {name: self.cell.quantities[name].kind for name in seen.found}
        for among in (*FORWARD, None):
            names = [name for name, kind in kinds.items() if (kind if kind in FORWARD else None) == among]
            for (name, _), value in self.local(seen, dict.fromkeys(names, (0,))).items():
                if disjoint(seen.found[name], value) or (name == "loss" and seen.misreported):
                    yield name


@cache
def variants(cell: Cell) -> Variants:
    """The cell with its catalogue compiled in."""
    return Variants(cell, mistakes(cell.name))
