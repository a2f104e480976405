"""One file of a folder: judged on the few problems that hide nothing, and what became of it in one row."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from gradlab.arithmetic import finite, overlaps, precision
from gradlab.arithmetic.ball import balls
from gradlab.cells import Cell, cell
from gradlab.checker.allowance import judgeable
from gradlab.checker.check import _compare
from gradlab.checker.large import large
from gradlab.checker.locate import _local, total_is_wrong
from gradlab.checker.report import CellReport, Comparison
from gradlab.checker.submission import TOTAL
from gradlab.checker.verdict import Verdict
from gradlab.checker.watch import SubmissionError
from gradlab.classroom.grade import BITS, grade_equations, grade_lesson
from gradlab.classroom.isolated import IsolatedSubmission
from gradlab.classroom.lesson import Grade, Status
from gradlab.classroom.limits import Limits
from gradlab.classroom.own import fresh
from gradlab.classroom.points import Points
from gradlab.classroom.single import cell_of
from gradlab.classroom.source import Source, notes, read_source
from gradlab.faults import Fault, shielded
from gradlab.mistakes.probes import probes, short
from gradlab.problem import Problem

REFUSED, NOT_JUDGED = "refused", "not judged"


@dataclass(frozen=True)
class Row:
    """What became of one file.

    file: its path in the folder. student: whose it is, by the folder it lies in, or by its name.
    verdict: a `Verdict`, "refused": it cannot be judged, or "not judged": it is no submission; `note` says why.
    grades: its equations. first_wrong: the first wrong one, and the steps at which it is wrong of `of` in all.
    diagnosis: the mistakes that reproduce it, by name. seed: of the problems that it could not foresee.
    notes: what is to be known beside the verdict. lesson: whether it is one; cell: what it is on.
    """

    file: str
    verdict: str
    student: str = ""
    cell: str = ""
    lesson: bool = False
    grades: tuple[Grade, ...] = ()
    first_wrong: str = ""
    steps: tuple[int, ...] = ()
    of: int = 0
    diagnosis: tuple[str, ...] = ()
    note: str = ""
    notes: tuple[str, ...] = ()
    seed: int | None = None
    confined: tuple[str, ...] = ()
    seconds: float = field(default=0.0, compare=False)

    @property
    def score(self) -> float | None:
        """What its equations bring together; None where it is no submission."""
        return None if self.verdict == NOT_JUDGED else sum(grade.points for grade in self.grades)

    @property
    def out_of(self) -> float | None:
        """What they could bring."""
        return None if self.verdict == NOT_JUDGED else sum(grade.out_of for grade in self.grades)

    def to_json(self) -> dict[str, Any]:
        """Of JSON's types, and the same again for the same file and seed: without the time it took."""
        said = asdict(self)
        del said["seconds"], said["grades"]
        said |= {"score": self.score, "out_of": self.out_of}
        return said | {"equations": [grade.to_json() for grade in self.grades]}

    @classmethod
    def read(cls, said: dict[str, Any]) -> Row:
        """The row that `to_json` gave, with or without "seconds"."""
        lists = {name: tuple(said[name]) for name in ("steps", "diagnosis", "notes", "confined")}
        grades = tuple(Grade.read(grade) for grade in said["equations"])
        rest = {name: value for name, value in said.items() if name not in ("score", "out_of", "equations")}
        return cls(**rest | lists | {"grades": grades})


@dataclass(frozen=True)
class Task:
    """A file to be judged, and how. worth: points by label. seed: of the problems that it cannot foresee."""

    path: str
    file: str
    student: str
    cell: str | None
    seed: int
    readable: tuple[str, ...] = ()
    worth: dict[str, float] = field(default_factory=dict)
    diagnosis: bool = True

    @property
    def points(self) -> Points:
        return Points(self.worth)


def judged(task: Task, limits: Limits) -> Row:
    """Judge one file, lesson or not; whatever is the matter with it is said in its row."""
    start, path = time.perf_counter(), Path(task.path)
    row = Row(task.file, REFUSED, task.student, seed=task.seed)
    try:
        if path.is_symlink():  # a link to somebody else's file, or to the solution
            raise SubmissionError(f"{path}: a symbolic link; hand in the file itself")
        source = read_source(path)
        row = replace(row, cell=cell_of(source, task.cell), lesson=source.lesson is not None)
        row = _lesson(row, source, task, limits) if row.lesson else _submission(row, source, task, limits)
        row = replace(row, notes=tuple(notes(source, cell(row.cell).code.names)))
    except (SubmissionError, KeyError) as error:
        text = str(error).removeprefix(f"{path}: ").removeprefix(f"{path}:").removeprefix(f"{path}, ")
        grades = row.grades or _nothing_done(row, task)
        row = replace(row, verdict=REFUSED, note=text.replace(str(path), path.name), grades=grades)
    return replace(row, seconds=round(time.perf_counter() - start, 3))


def _nothing_done(row: Row, task: Task) -> tuple[Grade, ...]:
    """The equations of a file that cannot be run at all, none of them reached."""
    try:
        tested = cell(row.cell or task.cell or "rnn")
    except KeyError:
        return ()
    functions = [tested.code.gradient] if row.lesson else list(tested.code[:3])
    from gradlab.equations import equations

    labels = [label for function in functions for label in equations(function)]
    return tuple(task.points.of(Grade(label, Status.NOT_REACHED)) for label in labels)


def _lesson(row: Row, source: Source, task: Task, limits: Limits) -> Row:
    readable = [Path(path) for path in task.readable]
    report = grade_lesson(source, limits=limits, seed=task.seed, points=task.points, readable=readable)
    first = report.first_wrong
    row = replace(row, verdict=str(report.verdict), grades=tuple(report.grades), confined=report.confined)
    mistakes = tuple(dict.fromkeys(grade.mistake for grade in report.grades if grade.mistake))
    row = replace(row, diagnosis=mistakes, note=report.whole)
    if first is None:
        return row
    return replace(row, first_wrong=first.label, steps=first.steps, of=first.of, note=first.note)


@cache
def problems(cell: Cell) -> tuple[Problem, ...]:
    """Generic ones that hide nothing, at two scales; one where every wrong transpose conforms; short ones; float32."""
    first, *others = probes(cell)
    return (first, *others, short(cell, 1), short(cell, 2), first.astype(np.float32))


def _own(tested: Cell, seed: int) -> Iterator[Problem]:
    """Those that a file cannot foresee: two small ones, a long one, a wide one, one of large weights."""
    rng = np.random.default_rng(seed)
    yield from fresh(tested, rng)
    long, _, wide, twins = large(tested, rng)
    yield from (twins, wide, long)


def _submission(row: Row, source: Source, task: Task, limits: Limits) -> Row:
    tested, readable = cell(row.cell), [Path(path) for path in task.readable]
    started = not source.is_python  # what does not start as it is does not start in pieces either, but for a typo
    try:
        with IsolatedSubmission(tested, source, limits, readable=readable) as submission:
            started, row = True, replace(row, confined=submission.confined)
            whole = _Whole(submission)
            for problem in (*problems(tested), *_own(tested, task.seed)):
                if judgeable(tested, problem):
                    whole.add(problem)
            row = replace(row, verdict=str(whole.verdict), grades=whole.grades(task.points))
            return _located(row, submission, whole, task, Path(task.path))
    except SubmissionError as error:
        grades = _by_equation(source, tested, limits, readable, task) if started else ()
        if not grades:
            raise
        text = str(error).removeprefix(f"{source.path}: ").removeprefix(f"{source.path}:")
        first = next((grade for grade in grades if grade.status is Status.WRONG), None)
        row = replace(row, verdict=REFUSED, note=text.replace(str(source.path), source.path.name), grades=grades)
        return row if first is None else replace(row, first_wrong=first.label, steps=first.steps, of=first.of)


def _located(row: Row, submission: IsolatedSubmission, whole: _Whole, task: Task, path: Path) -> Row:
    wrong = whole.wrong
    if wrong is None:
        return row
    row, first = replace(row, first_wrong=wrong.label or ""), wrong.first_wrong
    if first is not None:
        row = replace(row, steps=first.steps, of=first.of, note=first.note)
    if not task.diagnosis:
        return row
    names = shielded("diagnosis", lambda: _diagnosis(submission, wrong.problem))
    if isinstance(names, Fault):
        return replace(row, note="; ".join(filter(None, (row.note, names.said))))
    try:
        if not names:
            submission.floats(wrong.problem)  # an unknown mistake, or has its process ended meanwhile?
    except SubmissionError as error:
        why = str(error).removeprefix(f"{path}: ")
        return replace(row, note="; ".join(part for part in (row.note, f"not diagnosed: {why}") if part))
    return replace(row, diagnosis=names)


def _by_equation(source: Source, tested: Cell, limits: Limits, readable: list[Path], task: Task) -> tuple[Grade, ...]:
    """The equations of a file that does not run as a whole, where it has labels; () where nothing is to be had."""
    if source.labelled != tested.name:
        return ()
    try:
        with precision(BITS):
            found = grade_equations(source, tested, list(tested.code[:3]), probes(tested), limits, readable)
    except SubmissionError:
        return ()
    return tuple(task.points.of(grade) for grade in found.grades)


class _Whole:
    """A file run as it is on problems: its verdict, and by equation whether it holds with what is upstream as given."""

    def __init__(self, submission: IsolatedSubmission) -> None:
        self.submission = submission
        self.report = CellReport(submission.cell, submission.origin)
        self.wrong: Comparison | None = None
        self.broken: dict[str, tuple[int, ...]] = {}

    @property
    def verdict(self) -> Verdict:
        return self.report.verdict

    def add(self, problem: Problem) -> None:
        comparison = _compare(self.submission, problem, ["certified"])
        self.report.add(comparison)
        if comparison.verdict is not Verdict.DISAGREE:
            return
        self.wrong = self.wrong or comparison
        local = self._broken(problem)
        if not local and comparison.label:
            local = [comparison.label]
        for label in local:
            first = comparison.first_wrong
            steps = first.steps if first is not None and first.label == label else ()
            self.broken.setdefault(label, steps)

    def _broken(self, problem: Problem) -> list[str]:
        """The equations that do not hold on balls."""
        cell = self.submission.cell
        with precision(BITS):
            found = self.submission.balls(problem)
            local = _local(cell, problem.inputs(balls), found.trace, found.quantities)
            wrong = [
                name
                for name, value in local.items()
                if (~overlaps(found.quantities[name], value) | (~finite(found.quantities[name]) & finite(value))).any()
            ]
            if total_is_wrong(found.quantities[TOTAL][()], found.quantities["loss"]):
                wrong.append("loss")
        return [cell.quantities[name].label for name in dict.fromkeys(wrong)]

    def grades(self, points: Points) -> tuple[Grade, ...]:
        of = self.wrong.problem.sizes["T"] if self.wrong is not None else 0
        found = []
        for name, quantity in self.submission.cell.quantities.items():
            if quantity.label in self.broken:
                grade = Grade(quantity.label, Status.WRONG, self.broken[quantity.label], of)
            elif self.report.verdict_of(name) is Verdict.CANNOT_TELL:
                grade = Grade(quantity.label, Status.CANNOT_TELL)
            else:
                grade = Grade(quantity.label, Status.RIGHT)
            found.append(points.of(grade))
        return tuple(found)


def _diagnosis(submission: IsolatedSubmission, problem: Problem) -> tuple[str, ...]:
    from gradlab.mistakes.diagnose import diagnose

    found = diagnose(submission.cell, submission.code, also=problem)
    return () if found is None else tuple(found.to_json()["mistakes"])
