"""A lesson's report: each equation's grade, the score, and what may be said of a wrong one."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gradlab.checker.verdict import Verdict


class Status(StrEnum):
    """What can be said of one equation of a lesson."""

    RIGHT = "right"
    WRONG = "wrong"
    NOT_DONE = "not done"
    NOT_REACHED = "not reached"
    CANNOT_TELL = "cannot tell"


STYLES = {
    Status.RIGHT: "green",
    Status.WRONG: "bold red",
    Status.NOT_DONE: "dim",
    Status.NOT_REACHED: "yellow",
    Status.CANNOT_TELL: "yellow",
}


@dataclass(frozen=True)
class Grade:
    """One equation, judged with everything upstream of it as it should be.

    label: the equation. steps: the time steps at which it is wrong, of `of` in all. note: why it has no value, or what
    is known of a sum over time. kind: what kind of mistake it is, as far as that is known; never the answer.
    mistake: its name in the catalogue, or "". points: what it brings, of `out_of`.
    """

    label: str
    status: Status
    steps: tuple[int, ...] = ()
    of: int = 0
    note: str = ""
    kind: str = ""
    mistake: str = ""
    points: float = 0.0
    out_of: float = 1.0

    def to_json(self) -> dict[str, Any]:
        said = {"label": self.label, "status": str(self.status), "steps": list(self.steps), "of": self.of}
        said |= {"note": self.note, "kind": self.kind, "mistake": self.mistake}
        return said | {"points": self.points, "out_of": self.out_of}

    @classmethod
    def read(cls, said: dict[str, Any]) -> Grade:
        """The grade that `to_json` gave."""
        return cls(**said | {"status": Status(said["status"]), "steps": tuple(said["steps"])})


@dataclass(repr=False)
class LessonReport:
    """What became of a lesson.

    whole: once every equation is right, what is wrong with the gradient that the file puts together of them, or "".
    hint: say of wrong equations at which steps, and of what kind the mistake is.
    seed: of the problems that it could not foresee. confined: what the process that ran it was kept from, by name.
    """

    cell: str
    origin: str
    grades: list[Grade] = field(default_factory=list)
    whole: str = ""
    hint: bool = False
    seconds: float = 0.0
    seed: int = 0
    confined: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def points(self) -> float:
        """What its equations bring together."""
        return sum(grade.points for grade in self.grades)

    @property
    def out_of(self) -> float:
        """What they could bring."""
        return sum(grade.out_of for grade in self.grades)

    @property
    def right(self) -> int:
        return sum(grade.status is Status.RIGHT for grade in self.grades)

    @property
    def score(self) -> str:
        """In words; with points where they are not one an equation."""
        text = f"{self.right} of {len(self.grades)} equations right"
        plain = all(grade.out_of == 1 for grade in self.grades)
        return text if plain else f"{text}, {self.points:g} of {self.out_of:g} points"

    @property
    def verdict(self) -> Verdict:
        """Blanks are neither right nor wrong: what is not done cannot be told."""
        found = {grade.status for grade in self.grades}
        if Status.WRONG in found or self.whole:
            return Verdict.DISAGREE
        return Verdict.AGREE if found == {Status.RIGHT} else Verdict.CANNOT_TELL

    @property
    def ok(self) -> bool:
        return self.verdict is Verdict.AGREE

    @property
    def first_wrong(self) -> Grade | None:
        return next((grade for grade in self.grades if grade.status is Status.WRONG), None)

    def to_json(self) -> dict[str, Any]:
        return {
            "verdict": str(self.verdict),
            "cell": self.cell,
            "origin": self.origin,
            "score": self.points,
            "out_of": self.out_of,
            "seed": self.seed,
            "confined": list(self.confined),
            "notes": list(self.notes),
            "equations": [grade.to_json() for grade in self.grades],
            "whole": self.whole,
            "seconds": round(self.seconds, 3),
        }

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for column in ("equation", "grade", "wrong at" if self.hint else "", ""):
            table.add_column(column, overflow="fold")
        for grade in self.grades:
            table.add_row(grade.label, Text(grade.status, STYLES[grade.status]), *map(Text, self._hinted(grade)))
        parts: list[Any] = [Text(f"{self.cell} · lesson · {self.origin}", "bold"), Text(""), table, Text("")]
        if self.whole:
            parts.append(Text(f"Every equation is right, but the gradient made of them is not: {self.whole}", "red"))
        if self.verdict is Verdict.DISAGREE and not self.hint and not self.whole:
            parts.append(Text("--hint says at which steps, and what kind of mistake it is.", "dim"))
        parts += [Text(f"note: {note}", "yellow") for note in self.notes]
        return Group(*parts, Text(self.score, "green" if self.ok else "bold"))

    def _hinted(self, grade: Grade) -> tuple[str, str]:
        if not self.hint:
            return "", grade.note if not grade.steps else ""
        steps = f"t = {', '.join(map(str, grade.steps))} of 0..{grade.of - 1}" if grade.steps else ""
        return steps, "; ".join(filter(None, (grade.note, grade.kind)))

    def _repr_html_(self) -> str:
        from gradlab.rendering import as_html

        return as_html(self, width=100)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        from gradlab.rendering import as_text

        return as_text(self, width=100)
