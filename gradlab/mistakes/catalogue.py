"""The catalogue of mistakes: what there is for a cell, by name, and as a table for people."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any

from gradlab.cells import cell as registered
from gradlab.mistakes.rows import Mistake

__all__ = ["Mistake", "mistake", "mistakes", "table"]


@cache
def mistakes(cell: str) -> tuple[Mistake, ...]:
    """The mistakes known of a cell, in the order of its derivation; none where it has no rows yet.

    Raises:
        ValueError: as `distinct`.
    """
    module = f"gradlab.mistakes.rows.{cell}"
    if importlib.util.find_spec(module) is None:
        return ()
    return distinct(importlib.import_module(module).ROWS)


def distinct(rows: tuple[Mistake, ...]) -> tuple[Mistake, ...]:
    """The rows, if each is one of a kind.

    Raises:
        ValueError: two rows have one name, or change the same equations in the same way.
    """
    names: dict[str, Mistake] = {}
    keys: dict[frozenset[tuple[str, str]], Mistake] = {}
    for row in rows:
        if row.name in names:
            raise ValueError(f"two mistakes of {row.cell} are called {row.name}")
        if row.key in keys:
            raise ValueError(f"{row.name} and {keys[row.key].name} change the same in the same way")
        names[row.name] = keys[row.key] = row
    return rows


def mistake(cell: str, name: str) -> Mistake:
    """The mistake of that name.

    Raises:
        KeyError: no such mistake; the message names the nearest.
    """
    import difflib

    by_name = {row.name: row for row in mistakes(cell)}
    if name not in by_name:
        near = difflib.get_close_matches(name, by_name, n=3, cutoff=0.3)
        raise KeyError(f"no mistake of {cell} is called {name!r}" + (f"; near: {', '.join(near)}" if near else ""))
    return by_name[name]


class Catalogue:
    """The rows of one cell, as a table for people and as plain data."""

    def __init__(self, cell: str) -> None:
        self.cell = registered(cell).name
        self.rows = mistakes(cell)

    def __rich__(self) -> Any:
        return table(self.cell)

    def to_json(self) -> dict[str, Any]:
        """{"cell": …, "mistakes": [every field of every row]}."""
        return {"cell": self.cell, "mistakes": [_plain(row) for row in self.rows]}


def table(cell: str) -> Any:
    """The catalogue of one cell as a rich table."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, padding=(0, 2, 1, 0), show_header=False)
    shown.add_column("mistake", no_wrap=True)
    shown.add_column("what is known of it", overflow="fold")
    for row in mistakes(cell):
        name = Text.assemble((row.name, "bold"), *(("\n" + label, "dim") for label in row.labels))
        parts = [row.does, *row.latex.values(), f"hidden by: {row.hides}", f"seen: {row.seen}"]
        # As Text, because in a plain string [t > 0] would be markup.
        shown.add_row(name, Text("\n".join(parts)))
    return shown


def _plain(row: Mistake) -> dict[str, Any]:
    found = {field.name: getattr(row, field.name) for field in fields(row)}
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in found.items()}
