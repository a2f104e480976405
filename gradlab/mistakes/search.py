"""Which mistakes of the catalogue reproduce what code gave: exactly, on every probe.

From deltas each wrong equation is explained by itself: its value must be that of a wrong right-hand side with
everything upstream as the code under test has it. From gradients alone, whole backward passes are run with every
mistake and every two together in them. Floats only choose what is worth running on balls; balls decide.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np

from gradlab.cells import Cell
from gradlab.mistakes.rows import Mistake
from gradlab.mistakes.runs import FORWARD, Outcome, Variants, same

Array = np.ndarray[Any, Any]
Rows = tuple[Mistake, ...]

# In float64, values further apart than this part of the largest entry are not equal up to rounding.
FAR = 1e-9


def _far(left: Array, right: Array) -> bool:
    with np.errstate(all="ignore"):
        scale = np.maximum(np.abs(left).max(initial=0), np.abs(right).max(initial=0))
        return bool(np.abs(left - right).max(initial=0) > FAR * scale)


def from_deltas(
    known: Variants,
    seen: Sequence[Outcome],
    wrong: Sequence[str],
    among: Sequence[str] | None = None,
    screened: bool = True,
) -> list[Rows]:
    """Every way to account for all the wrong equations, the fewest mistakes first.

    A mistake that changes nothing beside the others (a slope at the last step, where all other deltas are 0) cannot be
    excluded: what accounts for the wrong equations is also listed with each such mistake added.

    Args:
        seen: what the code gave on each probe on which it runs, on balls.
        wrong: the names of the equations that it does not satisfy on some probe.
        among: the names of the equations to look at; by default all.
        screened: floats choose what is worth running on balls; where floats cancel, they may leave out the right one.
    """
    matching = _matching(known, seen, known.cell.quantities if among is None else among, screened)
    labels = [f"{known.cell.name}.{name}" for name in wrong]
    fit = [row for row in known.rows if row.key <= matching]
    found = list(_covers(labels, fit))
    idle = [row for row in fit if not row.changes.keys() & set(labels)]
    found += [
        (*rows, row) for rows in found for row in idle if not any(row.changes.keys() & r.changes.keys() for r in rows)
    ]
    return _distinct(found)


def _matching(
    known: Variants, seen: Sequence[Outcome], among: Container[str], screened: bool
) -> frozenset[tuple[str, str]]:
    """The wrong right-hand sides, by label, that give what the code gave, everything upstream as the code has it."""
    prefix = f"{known.cell.name}."
    options: dict[str, Sequence[int]] = {
        label.removeprefix(prefix): range(1, 1 + len(texts))
        for label, texts in known.options.items()
        if label.removeprefix(prefix) in among and all(label.removeprefix(prefix) in one.found for one in seen)
    }
    for one in seen if screened else ():
        floats = one.floats
        near = known.local(floats, options)
        options = {
            name: [i for i in tried if (name, i) in near and not _far(near[name, i], floats.found[name])]
            for name, tried in options.items()
        }
    for one in seen:
        values = known.local(one, options)
        options = {
            name: [i for i in tried if (name, i) in values and same(values[name, i], one.found[name])]
            for name, tried in options.items()
        }
    return frozenset(
        (prefix + name, known.options[prefix + name][i - 1]) for name, fits in options.items() for i in fits
    )


def _covers(labels: Sequence[str], rows: Sequence[Mistake]) -> Iterator[Rows]:
    """Every set of rows, no two of one equation, that together change each of the labels."""
    if not labels:
        yield ()
        return
    for row in rows:
        if labels[0] in row.changes:
            left = [label for label in labels if label not in row.changes]
            apart = [other for other in rows if not other.changes.keys() & row.changes.keys()]
            for rest in _covers(left, apart):
                yield (row, *rest)


def _distinct(found: Iterator[Rows] | Sequence[Rows]) -> list[Rows]:
    """The fewest rows first; of several that change the same equations in the same way, the first."""
    kept: dict[Any, Rows] = {}
    for rows in sorted(found, key=len):
        kept.setdefault(frozenset().union(*(row.key for row in rows)), rows)
    return list(kept.values())


def from_gradients(known: Variants, seen: Sequence[Outcome]) -> list[Rows]:
    """The single mistakes and the pairs of the backward pass that give these gradients, the fewest mistakes first.

    Args:
        seen: what the code gave on each probe on which it runs, on balls; its trace is taken as it is.
    """
    chosen, table = _table(known, _Trace(seen[0]))
    values = _flat(known, seen[0].floats.found)
    fits = np.ones(len(table), bool)
    with np.errstate(all="ignore"):
        for part in _parts(known, seen[0].found):
            scale = np.maximum(np.abs(table[:, part]).max(axis=1), np.abs(values[part]).max(initial=0))
            fits &= np.abs(table[:, part] - values[part]).max(axis=1) <= FAR * scale
    found = [chosen[i] for i in np.flatnonzero(fits)]
    return _distinct([rows for rows in found if rows and all(reproduces(known, one, rows) for one in seen)])


def reproduces(known: Variants, seen: Outcome, rows: Rows) -> bool:
    """Whether the backward pass with these mistakes in it gives the very gradients that the code gave."""
    try:
        grads = known.run(seen, rows)
    except Exception:  # noqa: BLE001  what does not run where the code runs does not reproduce it
        return False
    return all(same(seen.found[name], value) for name, value in grads.items())


class _Trace:
    """What a backward pass starts from, in floats; equal to another of the same numbers."""

    def __init__(self, seen: Outcome) -> None:
        self.seen = seen.floats
        arrays = [array for _, array in self.seen.inputs.named()] + [self.seen.inputs.y, *self.seen.trace]
        self.numbers = tuple(array.tobytes() for array in arrays)

    def __hash__(self) -> int:
        return hash(self.numbers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Trace) and self.numbers == other.numbers


@lru_cache(maxsize=8)
def _table(known: Variants, trace: _Trace) -> tuple[tuple[Rows, ...], Array]:
    """The gradients of every configuration in float64, a row each; NaN where one does not run."""
    floats = trace.seen
    chosen = tuple(configurations(known))
    table = np.full((len(chosen), _flat(known, floats.found).size), np.nan)
    for i, rows in enumerate(chosen):
        try:
            table[i] = _flat(known, known.run(floats, rows))
        except Exception:  # noqa: BLE001  it stays NaN: it reproduces nothing here
            continue
    return chosen, table


def configurations(known: Variants) -> Iterator[Rows]:
    """No mistake, every single one of the backward pass, every two that change different equations of it."""
    kinds = {label: known.cell.quantities[label.partition(".")[2]].kind for label in known.options}
    rows = [row for row in known.rows if all(kinds[label] not in FORWARD for label in row.changes)]
    yield ()
    yield from ((row,) for row in rows)
    yield from ((a, b) for a, b in combinations(rows, 2) if not a.changes.keys() & b.changes.keys())


def _flat(known: Variants, values: dict[str, Array]) -> Array:
    return np.concatenate([np.asarray(values[q.name], float).ravel() for q in known.cell.of_kind("grad")])


def _parts(known: Variants, values: dict[str, Array]) -> Iterator[slice]:
    start = 0
    for quantity in known.cell.of_kind("grad"):
        size = values[quantity.name].size
        yield slice(start, start + size)
        start += size


def is_forward(cell: Cell, name: str) -> bool:
    """Whether an equation belongs to the forward pass or the loss."""
    return cell.quantities[name].kind in FORWARD
