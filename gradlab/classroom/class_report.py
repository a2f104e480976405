"""What became of every file in a folder: for people, as JSON, as CSV."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradlab.checker.verdict import Verdict
from gradlab.classroom.row import REFUSED, Row
from gradlab.files import write_bytes

STYLES = {
    str(Verdict.AGREE): "green",
    str(Verdict.DISAGREE): "bold red",
    str(Verdict.CANNOT_TELL): "yellow",
    REFUSED: "magenta",
}
COLUMNS = ("file", "verdict", "first_wrong", "steps", "diagnosis", "score", "note", "seconds")


@dataclass
class FolderReport:
    """A row for each file, in the order of their names; `files` is how many there are."""

    folder: str
    files: int
    rows: list[Row] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def verdict(self) -> Verdict:
        """Agree only where every file does; disagree where one does."""
        verdicts = {row.verdict for row in self.rows}
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
            "seconds": round(self.seconds, 3),
            "counts": self.counts(),
            "rows": [row.to_json() for row in self.rows],
        }

    def to_csv(self) -> str:
        """A header and a line for each file. No cell begins like a formula of a spreadsheet."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in self.rows:
            writer.writerow([_plain(_cell(row, column)) for column in COLUMNS])
        return out.getvalue()

    def write_csv(self, path: Path) -> None:
        """Raises FileError where it cannot be written."""
        write_bytes(path, self.to_csv().encode(errors="backslashreplace"))  # a name may be no text

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for column in ("file", "verdict", "first wrong", "at t", "what is known", "s"):
            table.add_column(column, overflow="fold", justify="right" if column == "s" else "left")
        for row in self.rows:
            known = "; ".join(filter(None, (row.score, *row.diagnosis, row.note)))
            style = STYLES[row.verdict]
            cells = (row.first_wrong, ", ".join(map(str, row.steps)), known, f"{row.seconds:.1f}")
            table.add_row(Text(_shown(row.file)), Text(row.verdict, style), *map(Text, cells))
        counted = ", ".join(f"{count} {verdict}" for verdict, count in self.counts().items() if count)
        line = Text(f"{len(self.rows)} of {self.files} files: {counted or 'none'}", "bold")
        line.append(f"   {self.seconds:.1f} s", "dim")
        if self.interrupted:
            line.append("   interrupted", "yellow")
        return Group(Text(_shown(self.folder), "bold"), Text(""), table, Text(""), line)

    def __str__(self) -> str:
        from rich.console import Console

        console = Console(file=io.StringIO(), width=120, color_system=None, highlight=False)
        console.print(self)
        return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())  # type: ignore[attr-defined]


def _shown(name: str) -> str:
    """A file may be called anything: nothing that would move a terminal's cursor."""
    return "".join(c if c.isprintable() else "?" for c in name)


def _cell(row: Row, column: str) -> str:
    if column == "steps":
        return " ".join(map(str, row.steps))
    value = getattr(row, column)
    return " + ".join(value) if isinstance(value, tuple) else str(value)


def _plain(text: str) -> str:
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
