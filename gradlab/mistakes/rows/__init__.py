"""The rows of the catalogue: one module for each cell, under the cell's name, with `EQUATIONS` and `ROWS`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Mistake:
    """One named way of getting a gradient wrong.

    name: in kebab-case, one of a kind in its cell. cell: the registered cell it is a mistake in.
    changes: the wrong right-hand side, one NumPy expression in the names of the function's own scope, by label.
    latex: the mistaken equation as it would stand in a derivation, by label; correct: what stands there in truth.
    does: what is wrong with it. hides: what keeps it from being noticed. seen: where it was found.
    square: it conforms only where inputs, hidden units and outputs are equally many.
    """

    name: str
    cell: str
    changes: Mapping[str, str]
    latex: Mapping[str, str]
    correct: Mapping[str, str]
    does: str
    hides: str
    seen: str
    square: bool = False

    @property
    def labels(self) -> tuple[str, ...]:
        """The equations it changes, in the order they are written down."""
        return tuple(self.changes)

    @property
    def key(self) -> frozenset[tuple[str, str]]:
        """What it changes: two mistakes together that change just this are this mistake."""
        return frozenset(self.changes.items())
