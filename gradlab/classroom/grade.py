"""Each equation of a file judged by itself, everything upstream of it as it should be."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gradlab.arithmetic import finite, midpoints, overlaps, precision
from gradlab.arithmetic.ball import balls
from gradlab.arithmetic.balls import as_balls
from gradlab.cells import Cell, cell, run
from gradlab.checker.allowance import allowance
from gradlab.checker.check import _compare
from gradlab.checker.locate import _steps
from gradlab.checker.verdict import Verdict, judge_balls
from gradlab.checker.watch import SubmissionError
from gradlab.classroom.isolated import IsolatedSubmission, Stuck
from gradlab.classroom.lesson import Grade, LessonReport, Status
from gradlab.classroom.limits import Limits
from gradlab.classroom.own import fresh, own_seed
from gradlab.classroom.plan import Plan, Said, planned, suggestion
from gradlab.classroom.points import Points
from gradlab.classroom.rebuilt import returned
from gradlab.classroom.source import Source, read_source
from gradlab.interrupts import held
from gradlab.mistakes.outcomes import Outcome, same
from gradlab.mistakes.probes import probes
from gradlab.mistakes.runs import variants
from gradlab.problem import Inputs, Problem

Array = np.ndarray[Any, Any]

BITS = 128


def grade_lesson(
    path: str | Path | Source,
    *,
    limits: Limits | None = None,
    hint: bool = False,
    seed: int | None = None,
    points: Points | None = None,
    readable: Iterable[Path] | None = None,
) -> LessonReport:
    """Grade a lesson that `write_lesson` wrote and somebody filled in; it runs in processes of its own.

    Args:
        hint: say of wrong equations at which steps, and of what kind the mistake is.
        seed: of the problems that it cannot foresee; by default another one each time, which the report says.
        points: what each equation is worth; by default 1.
        readable: what it may read; by default the modules it has beside it.

    Raises:
        SubmissionError: the file is no lesson, its cell is none, or it cannot be run.
    """
    start = time.perf_counter()
    source = path if isinstance(path, Source) else read_source(path)
    if source.lesson is None:
        raise SubmissionError(f"{source.path}: no lesson: its first line is not '# gradlab lesson: CELL'")
    try:
        tested = cell(source.lesson)
    except KeyError as error:
        raise SubmissionError(f"{source.path}:1: {error.args[0]}") from None
    report = LessonReport(tested.name, str(source.path), hint=hint, seed=own_seed(seed))
    tried = [*probes(tested), *fresh(tested, np.random.default_rng(report.seed), 1)]
    with held(), precision(BITS):
        judged = grade_equations(source, tested, [tested.code.gradient], tried, limits, readable)
        worth = points or Points()
        report.grades = [worth.of(grade) for grade in judged.grades]
        report.confined = judged.confined
        if report.right == len(report.grades):
            report.whole = _whole(source, tested, limits, readable, tried)
    report.seconds = time.perf_counter() - start
    return report


@dataclass
class Equations:
    """The grades of a file's equations, and what the process that ran them was kept from."""

    grades: list[Grade]
    confined: tuple[str, ...]


def grade_equations(
    source: Source,
    tested: Cell,
    functions: Sequence[Any],
    problems: Sequence[Problem],
    limits: Limits | None = None,
    readable: Iterable[Path] | None = None,
) -> Equations:
    """Grade the equations of some of a cell's functions, each with everything else right.

    Raises:
        SubmissionError: the file cannot be run, or one of the functions is not in it.
    """
    plan = planned(source, tested, functions)
    own = None if readable is None else list(readable)
    return graded_with(
        source, tested, plan, problems, lambda: IsolatedSubmission(tested, source, limits, plan=plan, readable=own)
    )


def graded_with(
    source: Source, tested: Cell, plan: Plan, problems: Sequence[Problem], opened: Callable[[], Any]
) -> Equations:
    """Grade the equations of a plan.

    Args:
        opened: gives what runs them, an `IsolatedSubmission` or what has its `steps`; another after one got stuck.
    """
    runner = _Runner(source, tested, plan, opened)
    attempts = runner.attempts(problems)
    said, readable_source = runner.said, Source(source.path, plan.text, source.cells)
    grades = []
    for spot in plan.spots:
        status, note = said.get(spot.name, (None, ""))
        if status is None:
            grades.append(_graded(tested, attempts, spot.label, spot.name))
        else:
            grades.append(Grade(spot.label, status, note=note + suggestion(note, readable_source)))
    return Equations(grades, runner.confined)


@dataclass
class _Attempt:
    """One problem: what each equation gave on it, and what is right."""

    problem: Problem
    inputs: Inputs
    right: Mapping[str, Array]
    exact: dict[str, Array] = field(default_factory=dict)
    floats: dict[str, Array] = field(default_factory=dict)


class _Runner:
    """Runs a file's equations on problems; one that ends the process, or takes for ever, is left out from then on."""

    def __init__(self, source: Source, cell: Cell, plan: Plan, opened: Callable[[], Any]) -> None:
        self.source, self.cell, self.plan, self.open = source, cell, plan, opened
        self.functions = list(dict.fromkeys(spot.function for spot in plan.spots))
        self.said: dict[str, Said] = dict(plan.said)
        self.confined: tuple[str, ...] = ()

    def attempts(self, problems: Sequence[Problem]) -> list[_Attempt]:
        submission = self._opened()
        found = []
        try:
            for problem in problems:
                if self._left() == []:
                    break
                inputs = problem.inputs(balls)
                one = _Attempt(problem, inputs, run(self.cell, inputs))
                for bits, right, values in (
                    (0, run(self.cell, problem.inputs()), one.floats),
                    (BITS, one.right, one.exact),
                ):
                    submission = self._run(submission, problem, right, values, bits)
                found.append(one)
        finally:
            submission.close()
        return found

    def _left(self) -> list[str]:
        return [spot.name for spot in self.plan.spots if spot.name not in self.said]

    def _opened(self) -> Any:
        submission = self.open()
        self.confined = submission.confined
        return submission

    def _run(
        self,
        submission: Any,
        problem: Problem,
        right: Mapping[str, Array],
        values: dict[str, Array],
        bits: int,
    ) -> Any:
        """Run what is left; the submission to go on with, which is another where this one was stuck."""
        while self._left():
            try:
                steps, ended = submission.steps(problem, right, self.functions, self.said, bits)
            except Stuck as error:
                text = str(error).removeprefix(f"{self.source.path}: ")
                if not error.equation:
                    self._say(self._left(), Status.NOT_REACHED, text)
                    return submission
                slow = text.startswith("no answer within")
                self._say([error.equation], Status.WRONG, "did not end in time" if slow else text)
                submission = self._opened()
                continue
            for step in steps:
                if step.value is None:
                    self._say([step.name], Status.WRONG, step.why)
                    continue
                array = values.setdefault(step.name, np.full_like(right[step.name], np.nan))
                array[... if step.at is None else step.at] = step.value
            why = f"a line before it {ended}" if ended else "no line that runs comes to it"
            self._say([name for name in self._left() if name not in values], Status.NOT_REACHED, why)
            break
        return submission

    def _say(self, names: Iterable[str], status: Status, note: str) -> None:
        for name in names:
            self.said.setdefault(name, (status, note))


def _graded(cell: Cell, attempts: Sequence[_Attempt], label: str, name: str) -> Grade:
    undecided = False
    for one in attempts:
        judged = judge_balls(one.exact[name], one.right[name])
        wrong = judged.disagree | ~finite(one.exact[name])
        allowed = allowance(cell, one.problem)
        with np.errstate(invalid="ignore"):
            off = ~(np.abs(one.floats[name] - allowed.values[name]) <= allowed.bounds[name])
        if (wrong | off).any():
            in_floats = "" if wrong.any() else f"right on exact numbers, wrong in {one.problem.dtype}"
            steps, note = _where(cell, one, name, wrong if wrong.any() else off)
            kind, name_of_it = (in_floats, "") if in_floats else _kind(cell, attempts, label, name)
            return Grade(label, Status.WRONG, steps, one.problem.sizes["T"], note, kind, name_of_it)
        nonzero = ~overlaps(one.right[name], np.zeros_like(one.right[name]))
        undecided = undecided or bool((nonzero & ~judged.agree).any())
    return Grade(label, Status.CANNOT_TELL if undecided or not attempts else Status.RIGHT)


def _where(cell: Cell, one: _Attempt, name: str, wrong: Array) -> tuple[tuple[int, ...], str]:
    exact = {other: as_balls(value) for other, value in one.right.items()}
    given = exact | {name: as_balls(one.exact[name])}
    return _steps(cell, one.inputs, returned(cell, one.inputs, exact).trace, given, name, wrong, exact[name])


def _whole(
    source: Source, tested: Cell, limits: Limits | None, readable: Iterable[Path] | None, problems: Sequence[Problem]
) -> str:
    """What is wrong with the gradient that the file puts together of right equations, run as it is; "" for nothing."""
    try:
        with IsolatedSubmission(tested, source, limits, readable=readable) as submission:
            for problem in problems:
                comparison = _compare(submission, problem, ["certified"])
                if comparison.verdict is not Verdict.AGREE:
                    return f"{comparison.first_wrong or comparison.label}"
    except SubmissionError as error:
        return str(error)
    return ""


def _kind(cell: Cell, attempts: Sequence[_Attempt], label: str, name: str) -> tuple[str, str]:
    """What kind of mistake it is, in a few words, and its name in the catalogue, or ""."""
    row = _catalogued(cell, attempts, label, name)
    if row is not None:
        return f"{row.name}: {row.does}", row.name
    pairs = [(one.exact[name], one.right[name]) for one in attempts]
    for text, holds in _SHAPES_OF_MISTAKES.items():
        if all(finite(value).all() and holds(value, right) for value, right in pairs):
            return text, ""
    for other in cell.quantities.values():
        if other.name != name and all(_equal(one.exact[name], one.right[other.name]) for one in attempts):
            return f"it is what {other.label} should be", ""
    return "of no known kind", ""


def _catalogued(cell: Cell, attempts: Iterable[_Attempt], label: str, name: str) -> Any:
    known = variants(cell)
    texts = known.options.get(label, ())
    left = set(range(1, 1 + len(texts)))
    for one in attempts:
        outcome = Outcome(one.inputs, returned(cell, one.inputs, one.right).trace, dict(one.right))
        values = known.local(outcome, {name: sorted(left)})
        left = {i for i in left if (name, i) in values and _equal(one.exact[name], values[name, i])}
    rows = [row for row in known.rows if row.labels == (label,) and known.option(label, row.changes[label]) in left]
    return rows[0] if rows else None


def _equal(value: Array, right: Array) -> bool:
    return value.shape == right.shape and bool(finite(value).all()) and same(value, right)


def _is_zero(value: Array, right: Array) -> bool:
    return bool(overlaps(value, np.zeros_like(value)).all())


def _is_factor(value: Array, right: Array) -> bool:
    """One factor for all entries."""
    values, wanted = midpoints(value).ravel(), midpoints(right).ravel()
    i = int(np.abs(wanted).argmax())
    return _equal(value * right.ravel()[i], right * value.ravel()[i]) and bool(values[i])


def _is_times(number: int, value: Array, right: Array) -> bool:
    return _equal(value, number * right)


def _is_transposed(value: Array, right: Array) -> bool:
    return value.ndim == 2 and value.shape == value.T.shape and _equal(value, right.T)


def _is_shifted(value: Array, right: Array) -> bool:
    return value.ndim == 3 and len(value) > 1 and (_equal(value[1:], right[:-1]) or _equal(value[:-1], right[1:]))


_SHAPES_OF_MISTAKES: dict[str, Callable[[Array, Array], bool]] = {
    "zero everywhere": _is_zero,
    "the sign": partial(_is_times, -1),
    "one factor, 2, too much": partial(_is_times, 2),
    "one factor, the same for all entries": _is_factor,
    "transposed": _is_transposed,
    "one step early or late": _is_shifted,
}
