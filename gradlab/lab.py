"""Check and diagnose: what `gradlab.check` and the command line run."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from gradlab.cells import Code
from gradlab.checker.check import check as check_only
from gradlab.checker.report import CellReport, Report
from gradlab.checker.submission import Submission
from gradlab.checker.watch import watched
from gradlab.faults import shielded
from gradlab.interrupts import held


def check(
    cell_name: str = "rnn", *, code: Code | str | Path | None = None, hint: bool = False, **options: Any
) -> Report:
    """`gradlab.checker.check.check`, and for a cell that disagrees the diagnosis: which mistake it is.

    Args:
        cell_name, code: as there, and so are the options examples, seed, scales, seconds, progress.
        hint: the diagnosis keeps the correct form of the equation back.

    Raises:
        As there.
    """
    report = check_only(cell_name, code=code, **options)
    for found in report.cells.values():
        if found.counterexample is not None and not report.interrupted:
            try:
                with held():
                    found.diagnosis = _diagnosis(found, code, hint, options.get("seconds", 10.0))
            except KeyboardInterrupt:
                report.interrupted = True
    return report


def _diagnosis(found: CellReport, code: Code | str | Path | None, hint: bool, seconds: float) -> Any:
    from gradlab.mistakes import diagnose

    tested = Submission(found.cell, code, seconds).code
    names = found.cell.code.names
    guarded = [partial(watched, tested.origin, name, seconds, run) for name, run in zip(names, tested[:3], strict=True)]
    problem = found.counterexample.problem if found.counterexample is not None else None
    search = partial(diagnose, found.cell, Code._make([*guarded, tested.origin]), also=problem, hint=hint)
    return shielded("diagnosis", search, "__str__", "to_json")
