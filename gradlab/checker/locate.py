"""Which equation is the first wrong one, and at which time steps.

Every equation is held against its own right-hand side with everything upstream taken from the code under test.
A delta that is wrong only because the delta after it is wrong satisfies its own equation, and is not the culprit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from gradlab.arithmetic.balls import BallArithmetic, as_balls, finite, overlaps
from gradlab.cells import Cell, records
from gradlab.equations import forcing
from gradlab.frontends.replayable import Replayable, mapped
from gradlab.problem import Inputs

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class FirstWrong:
    """The first equation, in the order of the derivation, that the code under test does not satisfy.

    label: the equation. steps: the time steps at which it is wrong, of `of` steps in all.
    note: what is known of a sum over time ("the term of step 0 is missing"), or "".
    index: the first wrong entry; value: what the code gives there; wanted: what the equation gives there.
    """

    label: str
    steps: tuple[int, ...]
    of: int
    note: str
    index: tuple[int, ...]
    value: Any
    wanted: Any

    def __str__(self) -> str:
        where = f"t = {', '.join(map(str, self.steps))} of 0..{self.of - 1}"
        return f"{self.label} is first wrong at {where}" + (f": {self.note}" if self.note else "")


def first_wrong(cell: Cell, inputs: Inputs, trace: Any, total: Any, given: dict[str, Array]) -> FirstWrong | None:
    """The first wrong equation of what the code under test returned on balls; None where none is proven wrong.

    Args:
        inputs: the problem's arrays as balls. trace, total: what forward returned for them, and the total loss.
        given: every quantity by its name.
    """
    local = _local(cell, inputs, trace, given)
    for name, wanted in local.items():
        wrong = ~overlaps(given[name], wanted) | (~finite(given[name]) & finite(wanted))
        if wrong.any():
            index = tuple(int(i) for i in np.argwhere(wrong)[0])
            steps, note = _steps(cell, inputs, trace, given, name, wrong, wanted)
            label = cell.quantities[name].label
            return FirstWrong(label, steps, len(inputs.x), note, index, given[name][index], wanted[index])
        if cell.quantities[name].kind == "loss" and total_is_wrong(total, given[name]):
            steps, note = tuple(range(len(inputs.x))), "the total is not the sum of the steps' losses"
            return FirstWrong(cell.quantities[name].label, steps, len(inputs.x), note, (), total, wanted.sum())
    return None


def total_is_wrong(total: Any, per_step: Array) -> bool:
    """Whether the loss that is reported is proven not to be the sum of the steps' losses."""
    return not bool(overlaps(total, per_step.sum()).all())


def _local(cell: Cell, inputs: Inputs, trace: Any, given: dict[str, Array]) -> dict[str, Array]:
    """Each equation's right-hand side on balls, everything upstream as given."""
    record = cell.module.Trace(*(getattr(trace, name) for name in cell.module.Trace._fields))
    arguments = mapped(as_balls, (inputs, record, {name: given[name] for name in cell.quantities}))
    shapes = tuple((name, array.shape) for name, array in (*inputs.named(), ("y", inputs.y)))
    return _equations(cell, shapes).replayed(BallArithmetic(), *arguments)


@lru_cache(maxsize=32)
def _equations(cell: Cell, shapes: tuple[tuple[str, tuple[int, ...]], ...]) -> Replayable:
    """The cell's equations, each evaluated with all that is upstream of it given, for arrays of these shapes."""
    sizes = {letter: n for name, shape in shapes for letter, n in zip(cell.axes[name], shape, strict=True)}
    parts = {"forward": ("trace",), "loss": ("loss",), "gradient": (*records(cell.module), "grad")}
    names = {part: tuple(q.name for kind in kinds for q in cell.of_kind(kind)) for part, kinds in parts.items()}

    def anything(axes: tuple[str, ...]) -> Array:
        return np.full([sizes[letter] for letter in axes], 0.5)

    def body(functions: Any, inputs: Inputs, trace: Any, given: dict[str, Array]) -> dict[str, Array]:
        params, x, y, state = inputs
        arguments = {"forward": (params, x, state), "loss": (trace.y_hat, y), "gradient": (*inputs, trace)}
        local = {name: np.empty_like(value) for name, value in given.items()}
        for part, mine in names.items():
            getattr(functions, part)(*arguments[part], given={name: given[name] for name in mine}, local=local)
        return local

    module = cell.module
    functions = {part: forcing(getattr(cell.code, part), mine) for part, mine in names.items()}
    params, state = (
        kind(*(anything(cell.axes[name]) for name in kind._fields)) for kind in (module.Params, module.State)
    )
    inputs = Inputs(params, anything(cell.axes["x"]), anything(cell.axes["y"]), state)
    trace = module.Trace(*(anything(cell.axes[name]) for name in module.Trace._fields))
    given = {name: anything(quantity.axes) for name, quantity in cell.quantities.items()}
    return Replayable(functions, body, inputs, trace, given)


def _steps(
    cell: Cell, inputs: Inputs, trace: Any, given: dict[str, Array], name: str, wrong: Array, wanted: Array
) -> tuple[tuple[int, ...], str]:
    """The steps at which an equation is wrong: read off its time axis, or, for a sum over time, off its terms."""
    T = len(inputs.x)
    every = tuple(range(T))
    if "T" in cell.quantities[name].axes:
        axis = cell.quantities[name].axes.index("T")
        return tuple(t for t in every if wrong.take(t, axis=axis).any()), ""
    if not finite(given[name]).all():
        return every, ""
    terms = [_term(cell, inputs, trace, given, name, t) for t in every]
    for t, term in enumerate(terms):
        if not _nonzero(term).any():
            continue
        if overlaps(given[name], wanted - term).all():
            return (t,), f"the term of step {t} is missing"
        if overlaps(given[name], wanted + term).all():
            return (t,), f"the term of step {t} is counted twice"
    for t, term in enumerate(terms):
        if T > 1 and _nonzero(term).any() and overlaps(given[name], term).all():
            return tuple(k for k in every if k != t), f"only the term of step {t} is there"
    return every, ""


def _term(cell: Cell, inputs: Inputs, trace: Any, given: dict[str, Array], name: str, t: int) -> Array:
    """Step t's term in a gradient that sums over time: it is linear in derivatives of the loss, so all others are 0."""
    masked = dict(given)
    for quantity in (*cell.of_kind("delta"), *cell.step_grads):
        kept = np.zeros_like(given[quantity.name])
        kept[t] = given[quantity.name][t]
        masked[quantity.name] = kept
    return _local(cell, inputs, trace, masked)[name]


def _nonzero(balls: Array) -> Array:
    return ~overlaps(balls, np.zeros_like(balls))
