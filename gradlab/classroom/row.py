"""One file of a folder: judged on the few problems that hide nothing, and what became of it in one row."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from gradlab.cells import Cell, cell
from gradlab.checker.check import _compare
from gradlab.checker.report import CellReport, Comparison
from gradlab.checker.verdict import Verdict
from gradlab.checker.watch import SubmissionError
from gradlab.classroom.exercise import lesson_of
from gradlab.classroom.grade import grade_lesson
from gradlab.classroom.isolated import IsolatedSubmission
from gradlab.classroom.limits import Limits
from gradlab.classroom.single import fresh
from gradlab.mistakes.probes import probes, short
from gradlab.problem import Problem

REFUSED = "refused"


@dataclass(frozen=True)
class Row:
    """What became of one file.

    verdict: a `Verdict`, or "refused": it cannot be judged, and `note` says why in one line.
    first_wrong: the first wrong equation, and the steps at which it is wrong of `of` in all.
    diagnosis: the mistakes that reproduce it, by name. score: of a lesson, "5 of 9 equations right".
    """

    file: str
    verdict: str
    first_wrong: str = ""
    steps: tuple[int, ...] = ()
    of: int = 0
    diagnosis: tuple[str, ...] = ()
    score: str = ""
    note: str = ""
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        said: dict[str, Any] = {"file": self.file, "verdict": self.verdict, "first_wrong": self.first_wrong}
        said |= {"steps": list(self.steps), "of": self.of, "diagnosis": list(self.diagnosis)}
        return said | {"score": self.score, "note": self.note, "seconds": self.seconds}

    @classmethod
    def read(cls, said: dict[str, Any]) -> Row:
        """The row that `to_json` gave."""
        return cls(**said | {"steps": tuple(said["steps"]), "diagnosis": tuple(said["diagnosis"])})


def judged(path: Path, file: str, cell_name: str, limits: Limits, diagnosis: bool) -> Row:
    """Judge one file, lesson or not, under the name `file`; whatever is the matter with it is said in its row."""
    start = time.perf_counter()
    try:
        if path.is_symlink():  # a link to somebody else's file, or to the solution
            raise SubmissionError(f"{path}: a symbolic link; hand in the file itself")
        row = _lesson(path, limits) if lesson_of(path) else _submission(path, cell(cell_name), limits, diagnosis)
    except SubmissionError as error:
        row = Row(file, REFUSED, note=str(error).removeprefix(f"{path}: ").removeprefix(f"{path}:"))
    return replace(row, file=file, seconds=round(time.perf_counter() - start, 3))


def _lesson(path: Path, limits: Limits) -> Row:
    report = grade_lesson(path, limits=limits)
    first, score = report.first_wrong, report.score
    if first is None:
        return Row("", str(report.verdict), score=score, note=report.whole)
    return Row("", str(report.verdict), first.label, first.steps, first.of, score=score, note=first.note)


@cache
def problems(cell: Cell) -> tuple[Problem, ...]:
    """Generic ones that hide nothing, at two scales; one where every wrong transpose conforms; short ones; float32."""
    first, *others = probes(cell)
    return (first, *others, short(cell, 1), short(cell, 2), first.astype(np.float32))


def _submission(path: Path, tested: Cell, limits: Limits, diagnosis: bool) -> Row:
    with IsolatedSubmission(tested, path, limits) as submission:
        report, wrong = _report(submission)
        if wrong is None:
            return Row("", str(report.verdict))
        first = wrong.first_wrong
        row = Row("", str(wrong.verdict), wrong.label or "")
        if first is not None:
            row = replace(row, steps=first.steps, of=first.of, note=first.note)
        if not diagnosis:
            return row
        names = _diagnosis(submission, wrong.problem)
        try:
            if not names:
                submission.floats(wrong.problem)  # an unknown mistake, or has its process ended meanwhile?
        except SubmissionError as error:
            why = str(error).removeprefix(f"{path}: ")
            return replace(row, note="; ".join(part for part in (row.note, f"not diagnosed: {why}") if part))
        return replace(row, diagnosis=names)


def _report(submission: IsolatedSubmission) -> tuple[CellReport, Comparison | None]:
    """The tallies of all problems, up to the first on which it disagrees."""
    report = CellReport(submission.cell, submission.origin)
    for problem in (*problems(submission.cell), *fresh(submission.cell)):
        comparison = _compare(submission, problem, ["certified"])
        report.add(comparison)
        if comparison.verdict is Verdict.DISAGREE:
            return report, comparison
    return report, None


def _diagnosis(submission: IsolatedSubmission, problem: Problem) -> tuple[str, ...]:
    from gradlab.mistakes.diagnose import diagnose

    found = diagnose(submission.cell, submission.code, also=problem)
    return () if found is None else tuple(found.to_json()["mistakes"])
