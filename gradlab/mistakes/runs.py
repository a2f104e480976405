"""Code run on balls, and the cell's own equations beside it: as they are, and with the catalogue's right-hand sides.

Everything upstream of an equation is taken from the code under test, so a mistake shows at its own equation alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from types import FunctionType
from typing import Any, NamedTuple, cast

import numpy as np

from gradlab.arithmetic import finite, midpoints, overlaps, radii
from gradlab.cells import Cell, Code, grad_record, records
from gradlab.checker.locate import total_is_wrong
from gradlab.equations import choosing, equations
from gradlab.interrupts import checkpoint
from gradlab.mistakes.catalogue import mistakes
from gradlab.mistakes.rows import Mistake
from gradlab.problem import Inputs

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

    refused: why there is nothing.
    """

    inputs: Inputs
    trace: Any
    found: dict[str, Array]
    total: Any = None
    refused: str = ""

    @property
    def unwritten(self) -> bool:
        """Whether it is refused because it reads or returns entries in which nothing was stored.

        On floats such code may run, on whatever the memory held before.
        """
        return "NoneType" in self.refused

    @property
    def misreported(self) -> bool:
        """Whether the total is proven not to be the sum of the steps' losses."""
        return self.total is not None and total_is_wrong(self.total, self.found["loss"])

    @property
    def floats(self) -> Outcome:
        """The same with the midpoints of its balls."""
        named = Inputs(*(_converted(part, midpoints) for part in self.inputs))
        trace = type(self.trace)(*(midpoints(array) for array in self.trace))
        return Outcome(named, trace, {name: midpoints(array) for name, array in self.found.items()})


def _converted(part: Any, convert: Any) -> Any:
    return type(part)(*(convert(array) for array in part)) if isinstance(part, tuple) else convert(part)


def outcome(cell: Cell, code: Code, inputs: Inputs, sizes: Mapping[str, int], *, deltas: bool = True) -> Outcome:
    """Run code on inputs in any arithmetic.

    Args:
        sizes: the length of each axis by its letter.
        deltas: look at the deltas, and at whatever else the gradient is made of; where they are missing, or not to be
            looked at, they are left out.
    """
    checkpoint()
    params, x, y, state = inputs
    nothing = Outcome(inputs, None, {})
    try:
        with np.errstate(all="ignore"):
            trace = code.forward(params, x, state)
            loss = code.loss(trace.y_hat, y)
            grads = code.gradient(params, x, y, state, trace)
        found = dict(_returned(cell, trace, loss, grads, deltas))
    except Exception as error:  # noqa: BLE001  whatever code under test raises is a refusal
        cause: BaseException = error
        while isinstance(cause, SystemError) and cause.__cause__ is not None:
            cause = cause.__cause__  # NumPy goes on after the first error of a matrix product, and wraps it each time
        return nothing._replace(refused=f"{type(cause).__name__}: {cause}")
    for name, array in found.items():
        wanted = tuple(sizes[letter] for letter in cell.quantities[name].axes)
        if array.shape != wanted:
            return nothing._replace(refused=f"{name} has shape {array.shape}, wanted {wanted}")
        if any(entry is None for entry in array.flat):
            return nothing._replace(refused=f"{name} holds entries in which nothing was stored: NoneType")
        if not np.all(finite(array)):
            return nothing._replace(refused=f"{name} holds entries that are no numbers")
    return Outcome(inputs, trace, found, getattr(loss, "total", None))


def _returned(cell: Cell, trace: Any, loss: Any, grads: Any, deltas: bool) -> Iterable[tuple[str, Array]]:
    for quantity in cell.quantities.values():
        if quantity.kind == "loss":
            yield quantity.name, np.asarray(loss.per_step)
        elif quantity.kind == "grad":
            yield quantity.name, np.asarray(getattr(grad_record(cell, grads, quantity.by), quantity.by))
        elif quantity.kind == "trace":
            yield quantity.name, np.asarray(getattr(trace, quantity.name))
        else:
            record = getattr(grads, records(cell.module)[quantity.kind], None)
            part = getattr(record, quantity.name.removeprefix(f"{quantity.kind}_"), None)
            if deltas and part is not None:
                yield quantity.name, np.asarray(part)


def disjoint(left: Array, right: Array) -> bool:
    """Proven to differ in some entry."""
    return not overlaps(left, right).all()


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

        params, x, y, state = seen.inputs
        with np.errstate(all="ignore"):
            grads = self.gradient(params, x, y, state, seen.trace, choose=choose)
        return {q.name: getattr(grad_record(self.cell, grads, q.by), q.by) for q in self.cell.of_kind("grad")}

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
        given, values, failed = seen.found, dict[tuple[str, int], Array](), set[tuple[str, int]]()

        def choose(name: str, options: Any, index: Any) -> Any:
            if name not in given:
                return options[0]()
            for i in wanted.get(name, ()):
                if (name, i) not in values:
                    values[name, i] = np.empty_like(given[name])
                try:
                    values[name, i][index] = options[i]()
                except Exception:  # noqa: BLE001  an option that does not run here reproduces nothing here
                    failed.add((name, i))
            return given[name][index]

        params, x, y, state = seen.inputs
        kinds = {self.cell.quantities[name].kind for name in wanted}
        with np.errstate(all="ignore"):
            if "trace" in kinds:
                self.forward(params, x, state, choose=choose)
            if "loss" in kinds:
                self.loss(seen.trace.y_hat, y, choose=choose)
            if kinds - set(FORWARD):
                self.gradient(params, x, y, state, seen.trace, choose=choose)
        return {key: value for key, value in values.items() if key not in failed}

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
