"""How far rounding can excuse a float, in the words of this process.

A file's own rounding bounds are what its own code gives when it runs on numbers that carry them, so they cannot be
believed without limit: a bound without limit would excuse any value. What it may claim is LOOSE times what gradlab's
own formula needs, plus LOOSE units of what the quantity would be if no unit were saturated, which leaves room for
formulas that are right and round worse.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from gradlab.cells import CELLS, Cell, named
from gradlab.checker.submission import TOTAL, Submission
from gradlab.checker.watch import SubmissionError
from gradlab.problem import Inputs, Problem

Array = np.ndarray[Any, Any]

LOOSE = 2.0**12
TAME = 40.0  # no formula overflows, in float32 either, where no pre-activation is larger


class Allowance:
    """What rounding may do to each quantity of one problem.

    values: those of gradlab's own run. bounds: on any honest run. natural: the magnitude were no unit saturated.
    tame: nothing saturates so far that another formula could overflow.
    """

    def __init__(self, cell: Cell, problem: Problem) -> None:
        own = Submission(cell)
        self.values = own.floats(problem)
        needed = own.rounding(problem)
        unit = float(np.finfo(problem.dtype).eps)
        self.natural = _natural(cell, problem)
        self.tame = all(float(np.abs(self.values[q.name]).max()) <= TAME for q in cell.of_kind("trace"))
        self.bounds = {
            name: LOOSE * (needed[name] + unit * np.maximum(np.abs(value.astype(np.float64)), self.natural[name]))
            for name, value in self.values.items()
        }

    def capped(self, floats: dict[str, Array], claimed: dict[str, Array]) -> dict[str, Array]:
        """The bounds that a file claims for its floats, none beyond what is allowed.

        Where something saturates, a float may have overflowed honestly: there the claim stands.
        """
        found = {}
        for name, bound in claimed.items():
            overflowed = ~np.isfinite(floats[name]) & (not self.tame)
            found[name] = np.where(overflowed, bound, np.minimum(bound, self.bounds[name]))
        return found


@lru_cache(maxsize=16)
def allowance(cell: Cell, problem: Problem) -> Allowance:
    """What rounding is allowed to do on a problem; many files are run on the same few."""
    return Allowance(cell, problem)


def judgeable(cell: Cell, problem: Problem) -> bool:
    """Whether a problem decides anything of this cell: where its own code meets a tie within rounding, it does not.

    Those that ship with gradlab are smooth, and meet none.
    """
    if cell.name in CELLS:
        return True
    try:
        allowance(cell, problem)
    except SubmissionError:
        return False
    return True


def _natural(cell: Cell, problem: Problem) -> dict[str, Array]:
    """The magnitude of each quantity were no unit saturated: 1 for intermediates, else with activations near ½."""
    params, x, y, state = problem.astype(np.float64).inputs(np.abs)
    trace = cell.code.forward(params, x, state)
    rng = np.random.default_rng(0)  # not ½ itself: where two activations are subtracted, something has to be left
    middling = type(trace)(*(rng.uniform(0.25, 0.75, np.shape(part)) for part in trace))
    inputs = Inputs(params, x, np.zeros_like(y), state)
    loss = cell.code.loss(trace.y_hat, inputs.y)
    found = named(cell, trace, loss, cell.code.gradient(*inputs, middling))
    kinds = {name: quantity.kind for name, quantity in cell.quantities.items()}
    ones = ("trace", "loss")
    natural = {name: np.ones(np.shape(v)) if kinds[name] in ones else np.abs(v) for name, v in found.items()}
    return natural | {TOTAL: np.asarray(float(np.size(loss.per_step)))}
