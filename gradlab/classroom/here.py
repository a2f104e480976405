"""Functions that live in this process, a notebook's, judged as a file is: equation by equation, and as a whole.

Nothing is contained here: it is one's own code, in one's own process.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gradlab.arithmetic import precision
from gradlab.arithmetic.ball import balls
from gradlab.cells import Cell, Code
from gradlab.checker.check import _compare
from gradlab.checker.submission import Submission
from gradlab.checker.verdict import Verdict
from gradlab.checker.watch import SubmissionError
from gradlab.classroom import wire
from gradlab.classroom.grade import BITS, graded_with
from gradlab.classroom.isolated import Step
from gradlab.classroom.lesson import LessonReport
from gradlab.classroom.own import fresh, own_seed
from gradlab.classroom.plan import Plan, planned
from gradlab.classroom.points import Points
from gradlab.classroom.source import Source
from gradlab.classroom.stepwise import CHOOSE, Steps, TimeUp, attempt, instrumented, said
from gradlab.interrupts import held
from gradlab.mistakes.probes import probes
from gradlab.problem import Problem

Array = np.ndarray[Any, Any]

SECONDS = 5.0


def grade_here(tested: Cell, text: str, names: Mapping[str, Any], origin: str, seed: int | None = None) -> LessonReport:
    """Grade the equations of the gradient that a notebook's cell defines.

    Args:
        text: of that cell. names: the notebook's, with forward and loss among them.

    Raises:
        SubmissionError: the cell is no Python, or does not define the gradient.
    """
    start = time.perf_counter()
    source = Source(Path(origin), text)
    report = LessonReport(tested.name, origin, hint=True, seed=own_seed(seed))
    tried = [*probes(tested), *fresh(tested, np.random.default_rng(report.seed), 1)]
    with held(), precision(BITS):
        plan = planned(source, tested, [tested.code.gradient])
        grades = graded_with(source, tested, plan, tried, lambda: _Here(tested, plan, names, origin)).grades
        report.grades = [Points().of(grade) for grade in grades]
        if report.right == len(report.grades):
            report.whole = _whole(tested, names, origin, tried)
    report.seconds = time.perf_counter() - start
    return report


def code_of(tested: Cell, names: Mapping[str, Any], origin: str) -> Code:
    """The cell's three functions among a notebook's names.

    Raises:
        SubmissionError: one is missing.
    """
    missing = [name for name in tested.code.names if not callable(names.get(name))]
    if missing:
        raise SubmissionError(
            f"{origin}: {', '.join(missing)} must be defined first; wanted {', '.join(tested.code.names)}"
        )
    forward, loss, gradient = (names[name] for name in tested.code.names)
    return Code(forward, loss, gradient, origin)


def _whole(tested: Cell, names: Mapping[str, Any], origin: str, problems: Sequence[Problem]) -> str:
    try:
        submission = Submission(tested, code_of(tested, names, origin))
        for problem in problems:
            comparison = _compare(submission, problem, ["certified"])
            if comparison.verdict is not Verdict.AGREE:
                return f"{comparison.first_wrong or comparison.label}"
    except SubmissionError as error:
        return str(error)
    return ""


class _Here:
    """In the place of a process that runs a file: the same answers, from a copy of the notebook's names."""

    confined: tuple[str, ...] = ()

    def __init__(self, cell: Cell, plan: Plan, names: Mapping[str, Any], origin: str) -> None:
        self.cell, self.names = cell, dict(names)
        exec(instrumented(plan.text, origin, plan.to_json()), self.names)

    def steps(
        self, problem: Problem, right: Mapping[str, Array], functions: Sequence[str], skip: Iterable[str], bits: int = 0
    ) -> tuple[list[Step], str]:
        """As `IsolatedSubmission.steps`."""
        found: list[Step] = []

        def ask(kind: bytes, payload: bytes) -> bytes:
            head, _, rest = payload.partition(b"\n")
            name, place = json.loads(head)
            wanted = np.asarray(right[name] if place is None else right[name][place])
            if kind == wire.VALUE:
                shapes = {name: wanted.shape}
                values = (
                    wire.unpack_balls(rest, shapes, bits) if bits else wire.unpack_arrays(rest, shapes, wanted.dtype)
                )
                found.append(Step(name, place, values[name], ""))
            elif kind == wire.FAILED:
                found.append(Step(name, place, None, rest.decode()))
            return wire.pack_balls([wanted], bits) if bits else wire.pack_arrays([wanted], problem.dtype)

        shapes = {name: np.shape(value) for name, value in right.items()}
        self.names[CHOOSE] = Steps(ask, lambda *_: None, shapes, problem.dtype, bits, list(skip), SECONDS)
        trace = self.cell.module.Trace(*(right[quantity.name] for quantity in self.cell.of_kind("trace")))
        chosen = [self.names.get(name) if name in functions else None for name in self.cell.code.names]
        try:
            attempt(chosen, problem.inputs(balls if bits else np.array), trace)
        except (Exception, TimeUp) as error:  # noqa: BLE001  a line of the author's own, which stands outside equations
            return found, said(error) if isinstance(error, Exception) else "did not end in time"
        return found, ""

    def close(self) -> None:
        """Nothing is to be ended."""
