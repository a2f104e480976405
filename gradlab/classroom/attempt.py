"""A lesson's equations run one by one, in the process that runs somebody's code.

Every equation is evaluated with the right values of all the others in place, so none fails for another's sake.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from gradlab.arithmetic import balls, midpoints
from gradlab.cells import named
from gradlab.checker.submission import Submission
from gradlab.checker.watch import SubmissionError, watched
from gradlab.classroom import wire
from gradlab.equations import EquationError, choosing, equations
from gradlab.problem import Problem

Array = np.ndarray[Any, Any]

BLANK = "not done"
MISSING = "missing"


def attempt(submission: Submission, problem: Problem, bits: int) -> bytes:
    """What the file's equations give: in the problem's dtype, or on balls where `bits` says how many.

    Returns:
        A line of JSON, why an equation has no value by its name ("" where it has one), and the values of all.
    """
    cell, function = submission.cell, submission.code.gradient
    exact = bits > 0
    inputs = problem.inputs(balls) if exact else problem.inputs()
    params, x, y, state = inputs
    trace = cell.code.forward(params, x, state)
    loss = cell.code.loss(trace.y_hat, y)
    given = named(cell, trace, loss, cell.code.gradient(params, x, y, state, trace))
    names = [equation.name for equation in equations(cell.code.gradient).values()]
    try:
        written = {equation.name for equation in equations(function).values()}
        chosen = choosing(function, {})
    except (EquationError, OSError, StopIteration, SyntaxError, TypeError) as error:
        raise SubmissionError(f"{submission.origin}: its equations cannot be read: {error}") from None
    record = _Record({name: given[name] for name in names if name in written}, exact)
    arguments = (*inputs, trace)
    called = cell.code.names[2]

    def run() -> None:
        chosen(*arguments, choose=record.choose)

    failed = ""
    try:
        watched(submission.origin, called, submission.seconds, run)
    except SubmissionError as error:
        failed = str(error)
    status, values = {}, []
    for name in names:
        status[name], value = (MISSING, None) if name not in written else record.result(name, failed)
        values.append(np.full_like(given[name], np.nan) if value is None else value)
    packed = wire.pack_balls(values, bits) if exact else wire.pack_arrays(values, problem.dtype)
    return json.dumps(status).encode() + b"\n" + packed


class _Record:
    """What each equation gave, step by step, and what kept it from giving anything."""

    def __init__(self, given: dict[str, Array], exact: bool) -> None:
        self.given = given
        self.exact = exact
        self.values = {name: np.full_like(value, np.nan) for name, value in given.items()}
        self.reached: set[str] = set()
        self.problems: dict[str, str] = {}

    def choose(self, name: str, options: Any, index: Any) -> Any:
        """Evaluate an equation of the file; give the right value in its place."""
        if name not in self.given:
            return options[0]()
        right = self.given[name][index]
        self.reached.add(name)
        try:
            value = options[0]()
            if value is ...:
                self.problems.setdefault(name, BLANK)
            elif np.shape(value) != right.shape:
                self.problems.setdefault(name, f"has shape {np.shape(value)}, wanted {right.shape}")
            else:
                self._keep(name, index, np.asarray(value))
        except Exception as error:  # noqa: BLE001  whatever somebody's equation raises is said of that equation
            text = " ".join(str(error).split())[:200]
            self.problems.setdefault(name, f"raises {type(error).__name__}: {text}")
        return right

    def _keep(self, name: str, index: Any, value: Array) -> None:
        if self.exact:
            midpoints(value)  # raises where an entry is no number
        elif value.dtype != self.values[name].dtype:
            raise TypeError(f"came out as {value.dtype} from {self.values[name].dtype}")
        self.values[name][index] = value

    def result(self, name: str, failed: str) -> tuple[str, Array | None]:
        if name in self.problems:
            return self.problems[name], None
        if name not in self.reached:
            return f"not reached: {failed}" if failed else "never evaluated", None
        return "", self.values[name]
