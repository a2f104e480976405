"""`gradlab check FILE`: one file, run in a process of its own."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from gradlab.cells import Cell, cell
from gradlab.checker.check import Progress, _check, _compare
from gradlab.checker.report import CellReport, Report
from gradlab.checker.verdict import Verdict
from gradlab.classroom.isolated import IsolatedSubmission
from gradlab.classroom.limits import Limits
from gradlab.interrupts import held
from gradlab.mistakes.diagnose import diagnose
from gradlab.mistakes.probes import drawn
from gradlab.problem import Problem
from gradlab.strategies import SCALES

FRESH = 2


def check_file(
    path: str | Path,
    cell_name: str = "rnn",
    *,
    examples: int = 100,
    seed: int = 0,
    scales: Sequence[float] = SCALES,
    limits: Limits | None = None,
    hint: bool = False,
    progress: Progress | None = None,
) -> Report:
    """`gradlab.check` of a file that runs in a process of its own, with the diagnosis where it disagrees.

    A file that agrees is also run on problems that nobody could foresee, so that no table of answers passes; they are
    reported only where they disagree.

    Args:
        hint: the diagnosis keeps the correct form of the equation back. The others are those of `gradlab.check`.

    Raises:
        KeyError: no such cell.
        ValueError: examples is less than 1.
        SubmissionError: the file cannot be judged.
    """
    if examples < 1:
        raise ValueError(f"examples = {examples}: at least 1 is needed")
    start = time.perf_counter()
    report = Report(examples, seed)
    try:
        with held(), IsolatedSubmission(cell(cell_name), path, limits) as submission:
            found = report.cells[cell_name] = CellReport(submission.cell, submission.origin)
            _check(submission, found, examples, seed, scales, progress)
            if found.verdict is not Verdict.DISAGREE:
                _check_fresh(submission, found)
            if found.counterexample is not None:
                problem = found.counterexample.problem
                found.diagnosis = diagnose(submission.cell, submission.code, also=problem, hint=hint)
    except KeyboardInterrupt:
        if not report.cells:
            raise
        report.interrupted = True
    report.seconds = time.perf_counter() - start
    return report


def _check_fresh(submission: IsolatedSubmission, report: CellReport) -> None:
    for problem in fresh(submission.cell):
        comparison = _compare(submission, problem, ["certified"])
        if comparison.verdict is Verdict.DISAGREE:
            report.add(comparison)
            report.counterexample = comparison
            return


def fresh(cell: Cell, count: int = FRESH) -> Iterator[Problem]:
    """Problems that differ in every run, of sizes and scales that do too."""
    for _ in range(count):
        sizes = {letter: 2 + secrets.randbelow(3) for letter in "TBIHO"}
        yield drawn(cell, sizes, secrets.choice((1.0, 0.3, 0.1)), secrets.randbits(32))
