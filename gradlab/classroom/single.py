"""`gradlab check FILE`: one file, run in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from gradlab.cells import cell, known
from gradlab.checker.check import Progress, _check, _check_large
from gradlab.checker.large import large
from gradlab.checker.report import CellReport, Report
from gradlab.checker.verdict import Verdict
from gradlab.checker.watch import SubmissionError
from gradlab.classroom.isolated import IsolatedSubmission
from gradlab.classroom.limits import Limits
from gradlab.classroom.own import fresh, own_seed
from gradlab.classroom.source import Source, notes, read_source
from gradlab.faults import shielded
from gradlab.interrupts import held
from gradlab.mistakes.diagnose import diagnose
from gradlab.strategies import SCALES

DEFAULT = "rnn"


def cell_of(source: Source, asked: str | None = None) -> str:
    """The cell that a file says it is, by its first line or its labels; else the one asked for, or the RNN.

    Raises:
        KeyError: there is no cell as the one asked for.
        SubmissionError: the one asked for is not the file's.
    """
    name = None if asked is None else cell(asked).name
    said = source.lesson or source.labelled
    if said is not None and name is not None and said != name and said in known():
        what = "is a lesson on" if source.lesson else "has the labels of"
        raise SubmissionError(f"{source.path}: {what} {said}, and --cell says {name}; leave --cell out")
    return said or name or DEFAULT


def check_file(
    path: str | Path | Source,
    cell_name: str | None = None,
    *,
    examples: int = 100,
    seed: int | None = None,
    scales: Sequence[float] = SCALES,
    limits: Limits | None = None,
    hint: bool = False,
    progress: Progress | None = None,
) -> Report:
    """`gradlab.check` of a file that runs in a process of its own, with the diagnosis where it disagrees.

    A file that agrees is also run on problems that nobody could foresee, large ones among them.

    Args:
        cell_name: what it claims to be; by default what its labels say, or an RNN.
        seed: of all problems. By default the generated ones are those of seed 0, and those of its own are of another
            seed each time, which the report says.
        hint: the diagnosis keeps the correct form of the equation back. The others are those of `gradlab.check`.

    Raises:
        KeyError: no such cell.
        ValueError: examples is less than 1.
        SubmissionError: the file cannot be judged.
    """
    if examples < 1:
        raise ValueError(f"examples = {examples}: at least 1 is needed")
    start = time.perf_counter()
    source = path if isinstance(path, Source) else read_source(path)
    tested = cell(cell_of(source, cell_name))
    report = Report(examples, seed or 0)
    try:
        with held(), IsolatedSubmission(tested, source, limits) as submission:
            report.confined = submission.confined
            report.notes = tuple(notes(source, tested.code.names))
            entry = report.cells[tested.name] = CellReport(tested, submission.origin)
            _check(submission, entry, examples, report.seed, scales, progress)
            if entry.verdict is not Verdict.DISAGREE:
                report.own_seed = own_seed(seed)
                rng = np.random.default_rng(report.own_seed)
                _check_large(submission, entry, (*fresh(tested, rng), *large(tested, rng)))
            if entry.counterexample is not None:
                problem = entry.counterexample.problem
                search = partial(diagnose, tested, submission.code, also=problem, hint=hint)
                entry.diagnosis = shielded("diagnosis", search, "__str__", "to_json")
    except KeyboardInterrupt:
        if not report.cells:
            raise
        report.interrupted = True
    report.seconds = time.perf_counter() - start
    return report
