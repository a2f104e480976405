"""The score as a person reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradlab.mistakes.peers import NAMES

if TYPE_CHECKING:
    from gradlab.mistakes.naming import Naming
    from gradlab.mistakes.score import Row, Score

WIDTH = 118


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
