"""The score: what came of every scale, and the tables in which a person reads it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from gradlab.mistakes.naming import Naming
from gradlab.mistakes.peers import NAMES

WIDTH = 118


@dataclass
class Row:
    """One weight scale.

    mutants: those that run and are not equivalent. located: caught, and first wrong at an equation of the change.
    escaped: not caught. mislocated: first wrong elsewhere, or, where another problem of that scale refuses it, nowhere.
    gradients: mutants of the third function whose gradient, not only a delta, is proven wrong at some scale.
    passed: how many of those escape here. accepted: how many of those a peer lets pass.
    rejecting: the peers that do not let the right gradient pass either.
    alarms: false ones, on `unchanged` problems with the code as it is.
    """

    scale: float
    mutants: int = 0
    caught: int = 0
    located: int = 0
    escaped: list[str] = field(default_factory=list)
    mislocated: list[str] = field(default_factory=list)
    gradients: int = 0
    passed: int = 0
    accepted: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NAMES, 0))
    rejecting: list[str] = field(default_factory=list)
    singles: Naming = field(default_factory=Naming)
    pairs: Naming = field(default_factory=Naming)
    unchanged: int = 0
    alarms: int = 0


@dataclass
class Score:
    """All scales of one cell.

    generated: all mutants. refused: what does not run. unwritten: those of them that read entries in which nothing was
    stored; on floats they may run, on whatever the memory held, and balls refuse them.
    equivalent: each with the reason why it changes nothing.
    interrupted: not all were tried; the rows hold what was known by then.
    """

    cell: str
    generated: int
    refused: list[str] = field(default_factory=list)
    unwritten: list[str] = field(default_factory=list)
    equivalent: dict[str, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    interrupted: bool = False

    @property
    def flawed(self) -> bool:
        """Something escaped, was misplaced or misnamed, or there was a false alarm."""
        return any(r.escaped or r.mislocated or r.singles.wrong or r.pairs.wrong or r.alarms for r in self.rows)

    @property
    def ok(self) -> bool:
        """Nothing is flawed, and everything was tried."""
        return not self.flawed and not self.interrupted

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __rich__(self) -> Any:
        return shown(self)

    def __str__(self) -> str:
        return text(self)


def shown(score: Score) -> Any:
    """The tables of one cell: the checker, the names, the peers; then what escaped, and the equivalent mutants."""
    from rich.console import Group
    from rich.text import Text

    running = score.rows[0].mutants if score.rows else 0
    tried = running + len(score.refused) + len(score.equivalent)
    some = f"interrupted, {tried} of " if score.interrupted else ""
    head = f"{score.cell}: {some}{score.generated} mutants, "
    head += f"{len(score.refused)} refused (they do not run, or not in shape; {len(score.unwritten)} of them because "
    head += "they read what nothing was stored in), "
    parts: list[Any] = [
        Text(head + f"{len(score.equivalent)} equivalent, {running} to be caught", style="bold"),
        Text(""),
    ]
    parts += [_checker(score), Text(""), _names(score), Text(""), _peers(score), Text("")]
    if any(row.rejecting for row in score.rows):
        parts += [Text("† It rejects the right gradient too.", style="dim"), Text("")]
    for row in score.rows:
        wrong = row.escaped + row.mislocated + row.singles.wrong + row.pairs.wrong
        parts += [Text(f"at {row.scale:g}: {one}", style="red") for one in wrong]
    for reason in dict.fromkeys(score.equivalent.values()):
        alike = [mutant for mutant, why in score.equivalent.items() if why == reason]
        parts += [Text(f"{len(alike)} equivalent: {reason}", style="bold")]
        parts += [Text(f"  {mutant}", style="dim", overflow="ellipsis", no_wrap=True) for mutant in alike]
    return Group(*parts)


def text(score: Score) -> str:
    """The same as plain text."""
    from gradlab.rendering import as_text

    return as_text(shown(score), WIDTH)


def _table(*columns: str) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _checker(score: Score) -> Any:
    table = _table("weights", "mutants", "caught", "escaped", "located", "false alarms")
    for row in score.rows:
        alarms = f"{row.alarms} of {row.unchanged}"
        cells = (row.mutants, row.caught, len(row.escaped), row.located)
        table.add_row(f"{row.scale:g}", *map(str, cells), alarms)
    return table


def _names(score: Score) -> Any:
    table = _table("weights", "single mistakes named", "undecided", "unnamed", "misnamed")
    for column in ("pairs named", "undecided", "unnamed", "misnamed"):
        table.add_column(column, justify="right")
    for row in score.rows:
        table.add_row(f"{row.scale:g}", *_naming(row.singles), *_naming(row.pairs))
    return table


def _naming(naming: Naming) -> tuple[str, ...]:
    named = f"{naming.right} of {naming.total}"
    return named, str(naming.undecided), str(naming.unnamed), str(len(naming.wrong))


def _peers(score: Score) -> Any:
    table = _table("weights", "wrong gradients", "gradlab accepts", *(f"{name} accepts" for name in NAMES))
    for row in score.rows:
        table.add_row(f"{row.scale:g}", str(row.gradients), str(row.passed), *(_share(row, name) for name in NAMES))
    return table


def _share(row: Row, name: str) -> str:
    accepted = row.accepted[name]
    mark = " †" if name in row.rejecting else ""
    return (f"{accepted} ({accepted / row.gradients:.0%})" if row.gradients else "0") + mark
