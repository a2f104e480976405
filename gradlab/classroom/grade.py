"""`gradlab check LESSON`: each equation judged by itself, everything upstream of it as it should be."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gradlab.arithmetic import balls, finite, midpoints, overlaps, precision
from gradlab.cells import Cell, cell, run
from gradlab.checker.allowance import allowance
from gradlab.checker.check import _compare
from gradlab.checker.locate import _steps
from gradlab.checker.verdict import Verdict, judge_balls
from gradlab.checker.watch import SubmissionError
from gradlab.classroom.attempt import BLANK, MISSING
from gradlab.classroom.exercise import lesson_of
from gradlab.classroom.isolated import IsolatedSubmission
from gradlab.classroom.lesson import Grade, LessonReport, Status
from gradlab.classroom.limits import Limits
from gradlab.classroom.rebuilt import returned
from gradlab.classroom.single import fresh
from gradlab.equations import equations
from gradlab.interrupts import held
from gradlab.mistakes.probes import probes
from gradlab.mistakes.runs import Outcome, same, variants
from gradlab.problem import Inputs, Problem

Array = np.ndarray[Any, Any]

BITS = 128


def grade_lesson(path: str | Path, *, limits: Limits | None = None, hint: bool = False) -> LessonReport:
    """Grade a lesson that `write_lesson` wrote and somebody filled in; it runs in a process of its own.

    Raises:
        SubmissionError: the file is no lesson, its cell is none, or it cannot be run.
    """
    start = time.perf_counter()
    name = lesson_of(path)
    if name is None:
        raise SubmissionError(f"{path}: no lesson: its first line is not '# gradlab lesson: CELL'")
    try:
        tested = cell(name)
    except KeyError as error:
        raise SubmissionError(f"{path}:1: {error.args[0]}") from None
    report = LessonReport(name, str(path), hint=hint)
    with held(), IsolatedSubmission(tested, path, limits) as submission, precision(BITS):
        attempts = [_Attempt.of(submission, problem) for problem in (*probes(tested), *fresh(tested, 1))]
        labels = equations(tested.code.gradient)
        report.grades = [_graded(submission, attempts, equation.label, equation.name) for equation in labels.values()]
        if report.right == len(report.grades):
            report.whole = _whole(submission, attempts[0].problem)
    report.seconds = time.perf_counter() - start
    return report


@dataclass(frozen=True)
class _Attempt:
    """One problem: what each equation of the lesson gave on it, and what is right."""

    problem: Problem
    inputs: Inputs
    status: Mapping[str, str]
    exact: Mapping[str, Array]
    floats: Mapping[str, Array]
    right: Mapping[str, Array]

    @classmethod
    def of(cls, submission: IsolatedSubmission, problem: Problem) -> _Attempt:
        exact_status, exact = submission.attempt(problem, BITS)
        status, floats = submission.attempt(problem)
        said = {name: status[name] or exact_status[name] for name in status}
        inputs = problem.inputs(balls)
        return cls(problem, inputs, said, exact, floats, run(submission.cell, inputs))


def _graded(submission: IsolatedSubmission, attempts: Sequence[_Attempt], label: str, name: str) -> Grade:
    said = next((one.status[name] for one in attempts if one.status[name]), "")
    if said in (BLANK, MISSING):
        note = "" if said == BLANK else f"no line ends in # {label}: put the label back"
        return Grade(label, Status.NOT_DONE, note=note)
    if said:
        return Grade(label, Status.WRONG, note=said)
    undecided = False
    for one in attempts:
        judged = judge_balls(one.exact[name], one.right[name])
        wrong = judged.disagree | ~finite(one.exact[name])
        allowed = allowance(submission.cell, one.problem)
        with np.errstate(invalid="ignore"):
            off = ~(np.abs(one.floats[name] - allowed.values[name]) <= allowed.bounds[name])
        if (wrong | off).any():
            in_floats = "" if wrong.any() else f"right on exact numbers, wrong in {one.problem.dtype}"
            steps, note = _where(submission.cell, one, name, wrong if wrong.any() else off)
            kind = in_floats or _kind(submission.cell, attempts, label, name)
            return Grade(label, Status.WRONG, steps, one.problem.sizes["T"], note, kind)
        nonzero = ~overlaps(one.right[name], np.zeros_like(one.right[name]))
        undecided = undecided or bool((nonzero & ~judged.agree).any())
    return Grade(label, Status.CANNOT_TELL if undecided else Status.RIGHT)


def _where(cell: Cell, one: _Attempt, name: str, wrong: Array) -> tuple[tuple[int, ...], str]:
    given = {**one.right, name: one.exact[name]}
    right = returned(cell, one.inputs, one.right)
    return _steps(cell, one.inputs, right.trace, given, name, wrong, one.right[name])


def _whole(submission: IsolatedSubmission, problem: Problem) -> str:
    try:
        comparison = _compare(submission, problem, ["certified"])
    except SubmissionError as error:
        return str(error)
    return "" if comparison.verdict is Verdict.AGREE else f"{comparison.first_wrong or comparison.label}"


def _kind(cell: Cell, attempts: Sequence[_Attempt], label: str, name: str) -> str:
    """What kind of mistake it is: its name in the catalogue, or how the value differs from the right one."""
    named = _catalogued(cell, attempts, label, name)
    if named:
        return named
    pairs = [(one.exact[name], one.right[name]) for one in attempts]
    for text, holds in _SHAPES_OF_MISTAKES.items():
        if all(finite(found).all() and holds(found, right) for found, right in pairs):
            return text
    for other in cell.quantities.values():
        if other.name != name and all(_equal(one.exact[name], one.right[other.name]) for one in attempts):
            return f"it is what {other.label} should be"
    return "of no known kind"


def _catalogued(cell: Cell, attempts: Iterable[_Attempt], label: str, name: str) -> str:
    known = variants(cell)
    texts = known.options.get(label, ())
    left = set(range(1, 1 + len(texts)))
    for one in attempts:
        outcome = Outcome(one.inputs, returned(cell, one.inputs, one.right).trace, dict(one.right))
        values = known.local(outcome, {name: sorted(left)})
        left = {i for i in left if (name, i) in values and _equal(one.exact[name], values[name, i])}
    rows = [row for row in known.rows if row.labels == (label,) and known.option(label, row.changes[label]) in left]
    return rows[0].name if rows else ""


def _equal(found: Array, right: Array) -> bool:
    return found.shape == right.shape and bool(finite(found).all()) and same(found, right)


def _is_zero(found: Array, right: Array) -> bool:
    return bool(overlaps(found, np.zeros_like(found)).all())


def _is_factor(found: Array, right: Array) -> bool:
    """One factor for all entries."""
    values, wanted = midpoints(found).ravel(), midpoints(right).ravel()
    i = int(np.abs(wanted).argmax())
    return _equal(found * right.ravel()[i], right * found.ravel()[i]) and bool(values[i])


def _is_times(number: int, found: Array, right: Array) -> bool:
    return _equal(found, number * right)


def _is_transposed(found: Array, right: Array) -> bool:
    return found.ndim == 2 and found.shape == found.T.shape and _equal(found, right.T)


def _is_shifted(found: Array, right: Array) -> bool:
    return found.ndim == 3 and len(found) > 1 and (_equal(found[1:], right[:-1]) or _equal(found[:-1], right[1:]))


_SHAPES_OF_MISTAKES: dict[str, Callable[[Array, Array], bool]] = {
    "zero everywhere": _is_zero,
    "the sign": partial(_is_times, -1),
    "one factor, 2, too much": partial(_is_times, 2),
    "one factor, the same for all entries": _is_factor,
    "transposed": _is_transposed,
    "one step early or late": _is_shifted,
}
