"""Which equation is the first wrong one, and at which time steps.

Every equation is held against its own right-hand side with everything upstream taken from the code under test.
A delta that is wrong only because the delta after it is wrong satisfies its own equation, and is not the culprit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gradlab.arithmetic import finite, overlaps
from gradlab.cells import Cell, records
from gradlab.equations import forced
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
    """Each equation's right-hand side, everything upstream as given."""
    params, x, y, state = inputs

    def part(*kinds: str) -> dict[str, Array]:
        return {q.name: given[q.name] for kind in kinds for q in cell.of_kind(kind)}

    found = forced(cell.code.forward, part("trace"), params, x, state)
    found |= forced(cell.code.loss, part("loss"), trace.y_hat, y)
    return found | forced(cell.code.gradient, part(*records(cell.module), "grad"), params, x, y, state, trace)


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
