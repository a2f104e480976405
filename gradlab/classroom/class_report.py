"""What became of every file in a folder: for people, as JSON, as CSV."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradlab.cells import cell
from gradlab.checker.verdict import Verdict
from gradlab.classroom.row import NOT_JUDGED, REFUSED, Row
from gradlab.files import write_bytes

STYLES = {
    str(Verdict.AGREE): "green",
    str(Verdict.DISAGREE): "bold red",
    str(Verdict.CANNOT_TELL): "yellow",
    REFUSED: "magenta",
    NOT_JUDGED: "dim",
}
BEFORE = ("file", "student", "verdict", "score", "out_of")
AFTER = ("first_wrong", "steps", "diagnosis", "note", "notes", "seed", "confined")


@dataclass
class FolderReport:
    """A row for each file, in the order of their names; `files` is how many there are.

    seed: what the files' own seeds are made of. confined: what files are kept from here, by what keeps them.
    """

    folder: str
    files: int
    rows: list[Row] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False
    seed: int = 0
    confined: tuple[str, ...] = ()

    @property
    def judged(self) -> list[Row]:
        """The rows of submissions."""
        return [row for row in self.rows if row.verdict != NOT_JUDGED]

    @property
    def labels(self) -> list[str]:
        """Every equation that some row has a grade of, in the order of the derivation, cell by cell."""
        graded = {grade.label for row in self.rows for grade in row.grades}
        cells = dict.fromkeys(label.partition(".")[0] for label in sorted(graded))
        return [q.label for name in cells for q in cell(name).quantities.values() if q.label in graded]

    @property
    def verdict(self) -> Verdict:
        """Agree only where every file does; disagree where one does."""
        verdicts = {row.verdict for row in self.judged}
        if Verdict.DISAGREE in verdicts:
            return Verdict.DISAGREE
        return Verdict.AGREE if verdicts == {Verdict.AGREE} and not self.interrupted else Verdict.CANNOT_TELL

    @property
    def ok(self) -> bool:
        return self.verdict is Verdict.AGREE

    def counts(self) -> dict[str, int]:
        """How many files have each verdict."""
        return {verdict: sum(row.verdict == verdict for row in self.rows) for verdict in STYLES}

    def to_json(self) -> dict[str, Any]:
        return {
            "verdict": str(self.verdict),
            "folder": self.folder,
            "files": self.files,
            "interrupted": self.interrupted,
            "seed": self.seed,
            "confined": list(self.confined),
            "counts": self.counts(),
            "rows": [row.to_json() for row in self.rows],
        }

    def to_csv(self) -> str:
        """A header and a line for each file: points as numbers, a column an equation.

        No cell that somebody else's words are in begins like a formula of a spreadsheet.
        """
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        labels = self.labels
        writer.writerow([*BEFORE, *labels, *AFTER])
        for row in self.rows:
            points = {grade.label: f"{grade.points:g}" for grade in row.grades}
            cells = [_plain(_cell(row, column)) for column in BEFORE]
            cells += [points.get(label, "") for label in labels]
            writer.writerow(cells + [_plain(_cell(row, column)) for column in AFTER])
        return out.getvalue()

    def write_csv(self, path: Path) -> None:
        """Raises FileError where it cannot be written."""
        write_bytes(path, self.to_csv().encode(errors="backslashreplace"))  # a name may be no text

    def write_feedback(self, folder: Path) -> None:
        """A page a student, and index.html of them all. Raises OSError where they cannot be written."""
        from gradlab.classroom.feedback import write_pages

        write_pages(self, folder)

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for column in ("file", "verdict", "points", "first wrong", "at t", "what is known", "s"):
            table.add_column(column, overflow="fold", justify="right" if column in ("s", "points") else "left")
        for row in self.rows:
            known = "; ".join(filter(None, (*row.diagnosis, row.note, *row.notes)))
            points = "" if row.score is None else f"{row.score:g} / {row.out_of:g}"
            cells = (points, row.first_wrong, ", ".join(map(str, row.steps)), _shown(known), f"{row.seconds:.1f}")
            table.add_row(Text(_shown(row.file)), Text(row.verdict, STYLES[row.verdict]), *map(Text, cells))
        counted = ", ".join(f"{count} {verdict}" for verdict, count in self.counts().items() if count)
        line = Text(f"{len(self.rows)} of {self.files} files: {counted or 'none'}", "bold")
        line.append(f"   seed {self.seed}, {self.seconds:.1f} s", "dim")
        if self.interrupted:
            line.append("   interrupted", "yellow")
        return Group(Text(_shown(self.folder), "bold"), Text(""), table, Text(""), line)

    def __str__(self) -> str:
        from gradlab.rendering import as_text

        return as_text(self, width=120)


def _shown(name: str) -> str:
    """A file may be called anything: nothing that would move a terminal's cursor."""
    return "".join(c if c.isprintable() else "?" for c in name)


def _cell(row: Row, column: str) -> str:
    value = getattr(row, column)
    if column in ("score", "out_of"):
        return "" if value is None else f"{value:g}"
    if column in ("steps", "confined"):
        return " ".join(map(str, value))
    if isinstance(value, tuple):
        return (" + " if column == "diagnosis" else "; ").join(value)
    return "" if value is None else str(value)


def _plain(text: str) -> str:
    """No line's end, no tab, no sign that a spreadsheet takes for the beginning of a formula."""
    text = "".join(c if c.isprintable() or "\udc80" <= c <= "\udcff" else " " for c in text)  # a name may be no text
    return f"'{text}" if text.lstrip()[:1] in ("=", "+", "-", "@") else text
