"""Mistakes planted and diagnosed: how many are named, alone and two together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from gradlab.cells import Cell
from gradlab.mistakes.catalogue import mistakes
from gradlab.mistakes.diagnose import diagnose
from gradlab.mistakes.patch import PatchError, with_mistakes
from gradlab.mistakes.rows import Mistake
from gradlab.problem import Problem


@dataclass
class Naming:
    """How many mistakes, single or in pairs, were named.

    undecided: the right one among several; unnamed: none. refused: those that do not run together (the logarithm of an
    output that is not squashed), and so cannot be planted. cancelled: those that undo each other, of which gradients
    alone show nothing. Neither counts in the total.
    """

    right: int = 0
    undecided: int = 0
    unnamed: int = 0
    refused: int = 0
    cancelled: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.right + self.undecided + self.unnamed + len(self.wrong)

    def add(self, other: Naming) -> None:
        """Count what another has counted."""
        self.right += other.right
        self.undecided += other.undecided
        self.unnamed += other.unnamed
        self.refused += other.refused
        self.cancelled += other.cancelled
        self.wrong += other.wrong


def sampled(rows: Sequence[Mistake], count: int | None, offset: int = 0) -> Iterator[tuple[Mistake, Mistake]]:
    """Pairs of mistakes that change different equations: all, or `count` of them at even distances from each other."""
    pairs = [(a, b) for a, b in combinations(rows, 2) if not a.changes.keys() & b.changes.keys()]
    if count is None or count >= len(pairs):
        yield from pairs
        return
    step = len(pairs) / max(count, 1)
    yield from (pairs[(int(i * step) + offset * 37) % len(pairs)] for i in range(count))


def plant(
    cell: Cell, planted: Sequence[Mistake], problems: Sequence[Problem], tally: Naming, *, deltas: bool = True
) -> None:
    """Plant mistakes, have them diagnosed, and count what came of it."""
    try:
        code = with_mistakes(cell, *planted)
    except PatchError:
        tally.refused += 1
        return
    found = diagnose(cell, code, problems=problems, deltas=deltas)
    if found is None and not deltas:
        tally.cancelled += 1
        return
    if found is None or not found.named:
        tally.unnamed += 1
        return
    by_name = {row.name: row for row in mistakes(cell.name)}
    wanted = frozenset().union(*(row.key for row in planted))
    keys = [frozenset().union(*(by_name[n].key for n in one)) for one in (found.mistakes, *found.alternatives)]
    if found.decided and keys[0] == wanted:
        tally.right += 1
    elif wanted in keys:
        tally.undecided += 1
    else:
        tally.wrong.append(f"{' and '.join(row.name for row in planted)} taken for {' and '.join(found.mistakes)}")
