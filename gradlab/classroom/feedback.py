"""Pages for a class: one for each student, and one of them all. What is right, what is wrong, a hint; never the key."""

from __future__ import annotations

from gradlab.classroom.lesson import Grade, Status
from gradlab.classroom.row import Row


def sentence(grade: Grade, row: Row) -> str:
    """What may be said of an equation that is not right, in a sentence or two."""
    if grade.status is Status.WRONG:
        where = _where(grade)
        why = grade.kind or grade.note
        return f"Wrong{where}{': ' + why if why else ''}."
    return f"{grade.status.capitalize()}{': ' + grade.note if grade.note else ''}."


def _where(grade: Grade) -> str:
    if not grade.steps:
        return ""
    every = len(grade.steps) == grade.of
    steps = ", ".join(map(str, grade.steps))
    return " at every step" if every else f" at step {steps} of 0 to {grade.of - 1}"
