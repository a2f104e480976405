"""Three functions to be called here that run in the process of an isolated file: for what takes a `Code`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradlab.arithmetic import midpoints
from gradlab.cells import Cell, Code
from gradlab.checker.submission import TOTAL, Returned
from gradlab.checker.watch import SubmissionError
from gradlab.mistakes.outcomes import Outcome, refusal
from gradlab.problem import Inputs, Problem

Array = np.ndarray[Any, Any]


class IsolatedCode(Code):
    """The functions of a file that runs elsewhere, to be called on floats; on balls it is recorded there."""

    run: Callable[[Problem, bool], Returned]

    def outcome(self, problem: Problem, *, deltas: bool = True) -> Outcome:
        """What it gives on balls, at the precision in force."""
        try:
            found = self.run(problem.astype(np.float64), True)
        except SubmissionError as error:
            return refusal(problem, str(error))
        named = {name: array for name, array in found.quantities.items() if name != TOTAL}
        return Outcome(problem.astype(np.float64).inputs(), found.trace, named, found.loss.total)


def proxy(cell: Cell, origin: str, run: Callable[[Problem, bool], Returned]) -> Code:
    """The functions of a file, to be called one after the other on the arrays of one `Problem`, floats or balls.

    Args:
        run: all three at once: takes the problem, and whether to run it on balls.
    """
    last: dict[str, Any] = {}

    def returned(params: Any, x: Any, y: Any, state: Any) -> Returned:
        given = Problem(*(_plain(part) for part in Inputs(params, x, y, state)))
        return run(given, np.asarray(x).dtype == object)

    def forward(params: Any, x: Any, state: Any) -> Any:
        last["inputs"] = params, x, state
        return returned(params, x, np.full(_targets(cell, params, x), 0.5, _plain(x).dtype), state).trace

    def loss(y_hat: Any, y: Any) -> Any:
        params, x, state = last["inputs"]
        last["returned"] = returned(params, x, y, state)
        return last["returned"].loss

    def gradient(params: Any, x: Any, y: Any, state: Any, trace: Any) -> Any:
        return last["returned"].grads

    found = IsolatedCode(forward, loss, gradient, origin)
    found.run = run
    return found


def _plain(part: Any) -> Any:
    """A record or an array of floats, or of the floats that its balls are."""
    if isinstance(part, tuple):
        return type(part)(*(_plain(array) for array in part))
    return midpoints(part) if part.dtype == object else part


def _targets(cell: Cell, params: Any, x: Array) -> tuple[int, ...]:
    """The shape of y, which forward is not told."""
    sizes = dict(zip(cell.axes["x"], x.shape, strict=True))
    for name, array in params._asdict().items():
        sizes |= dict(zip(cell.axes[name], array.shape, strict=True))
    return tuple(sizes[letter] for letter in cell.axes["y"])
