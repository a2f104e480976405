"""`results.json` as Gradescope's autograder reads it: https://gradescope-autograders.readthedocs.io/en/latest/specs/."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gradlab.classroom.feedback import sentence
from gradlab.classroom.lesson import Status
from gradlab.classroom.row import Row
from gradlab.files import write_json


def results(row: Row) -> dict[str, Any]:
    """The score, and a test an equation with what its author may know of it."""
    tests = [
        {
            "name": grade.label,
            "score": grade.points,
            "max_score": grade.out_of,
            "status": "passed" if grade.status is Status.RIGHT else "failed",
            "output": "" if grade.status is Status.RIGHT else sentence(grade),
            "visibility": "visible",
        }
        for grade in row.grades
    ]
    text = "; ".join(filter(None, (row.verdict, row.note, *row.notes)))
    return {"score": row.score or 0.0, "output": text, "visibility": "visible", "tests": tests}


def write_results(path: Path, row: Row) -> None:
    """Raises FileError where it cannot be written."""
    write_json(path, results(row))
