"""Which mistakes of the catalogue reproduce what code gave: exactly, on every probe.

From deltas each wrong equation is explained by itself: its value must be that of a wrong right-hand side with
everything upstream as the code under test has it. From gradients alone, whole backward passes are run with every
mistake and every two together in them. Floats only choose what is worth running on balls; balls decide.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np

from gradlab.cells import Cell
from gradlab.mistakes.outcomes import FAR, FORWARD, Outcome, far, same
from gradlab.mistakes.rows import Mistake
from gradlab.mistakes.runs import Variants
from gradlab.mistakes.stack import Stack

Array = np.ndarray[Any, Any]
Rows = tuple[Mistake, ...]


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
            name: [i for i in tried if (name, i) in near and not far(near[name, i], floats.found[name])]
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
    table, floats = _table(known, _Trace(seen[0])), seen[0].floats
    found = table.fitting({q.name: floats.found[q.name] for q in known.cell.of_kind("grad")})
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
def _table(known: Variants, trace: _Trace) -> _Table:
    return _Table(known, trace.seen)


class _Table:
    """The gradients of every single mistake and every two of the backward pass, in float64, for one trace.

    A mistake in gradients' own equations alone changes nothing else. So backward passes are run only for mistakes
    further up and for every two of those; with at most one of them, each gradient is tried with each of its options.
    Every two are run all together as a `Stack`, and one by one where the gradients of that leave them open.
    """

    def __init__(self, known: Variants, seen: Outcome) -> None:
        self.known, self.seen = known, seen
        up, last = _split(known)
        self.names = [quantity.name for quantity in known.cell.of_kind("grad")]
        self.last = [(row, known.choice([row]).items()) for row in last]
        self.few: list[Rows] = [(), *((row,) for row in up)]
        self.endings = _stacked([_or_nothing(known.endings, seen, rows) for rows in self.few])
        self.pairs = [(a, b) for a, b in combinations(up, 2) if not a.changes.keys() & b.changes.keys()]
        stack = Stack(known, seen)
        sizes = [seen.found[name].size for name in stack.names]
        self.parts = [
            (name, end - size, end) for name, size, end in zip(stack.names, sizes, np.cumsum(sizes), strict=True)
        ]
        self.table = stack.run([known.choice(pair) for pair in self.pairs])
        self.runs: dict[int, dict[str, Array]] = {}

    def fitting(self, values: dict[str, Array]) -> list[Rows]:
        """All that gives these gradients up to rounding."""
        near = {key: there & ~_far_rows(table, values[key[0]]) for key, (there, table) in self.endings.items()}
        few = [
            rows
            for i, up in enumerate(self.few)
            for rows in self._ended(up, {key for key, rows_near in near.items() if rows_near[i]})
        ]
        far_in_part = np.zeros(len(self.pairs), bool)
        for name, start, end in self.parts:
            far_in_part |= _far_rows(self.table[:, start:end], values[name])
        return [*few, *(self.pairs[i] for i in np.flatnonzero(~far_in_part) if self._gives(int(i), values))]

    def _gives(self, pair: int, values: dict[str, Array]) -> bool:
        """Whether a pair, run by itself, gives these gradients up to rounding."""
        if pair not in self.runs:
            self.runs[pair] = _or_nothing(self.known.run, self.seen, self.pairs[pair])
        grads = self.runs[pair]
        return bool(grads) and all(_near(np.asarray(grads[name], float), values[name]) for name in self.names)

    def _ended(self, up: Rows, near: set[tuple[str, int]]) -> Iterator[Rows]:
        """At most one mistake further up, with as many in the gradients' own equations as make two with it."""
        wrong = {name for name in self.names if (name, 0) not in near}
        changed = {label for row in up for label in row.changes}
        fit = [(row, choice) for row, choice in self.last if choice <= near and not row.changes.keys() & changed]
        for count in range(3 - len(up)):
            for chosen in combinations(fit, count):
                names = [name for _, choice in chosen for name, _ in choice]
                if wrong <= set(names) and len(names) == len(set(names)):
                    yield (*up, *(row for row, _ in chosen))


def _stacked(rows: Sequence[dict[tuple[str, int], Array]]) -> dict[tuple[str, int], tuple[Array, Array]]:
    """The values of each key in every row that has it: where there is one, and the flat values."""
    found = {}
    for key in dict.fromkeys(key for row in rows for key in row):
        there = np.array([key in row for row in rows])
        table = np.zeros((len(rows), next(row[key].size for row in rows if key in row)))
        table[there] = [np.asarray(row[key], float).ravel() for row in rows if key in row]
        found[key] = (there, table)
    return found


def _far_rows(table: Array, value: Array) -> Array:
    """Which rows are not equal to a value up to rounding; `far` for each of them."""
    with np.errstate(all="ignore"):
        scale = np.maximum(np.abs(table).max(axis=1, initial=0), np.abs(value).max(initial=0))
        return np.abs(table - value.ravel()).max(axis=1, initial=0) > FAR * scale


def _near(left: Array, right: Array) -> bool:
    return left.shape == right.shape and bool(np.isfinite(left).all()) and not far(left, right)


def _or_nothing(run: Callable[..., Any], seen: Outcome, rows: Rows) -> Any:
    """What a run gives; nothing where it raises: what does not run here reproduces nothing here."""
    try:
        return run(seen, rows)
    except Exception:  # noqa: BLE001
        return {}


def _split(known: Variants) -> tuple[list[Mistake], list[Mistake]]:
    """The mistakes of the backward pass: those further up, and those in gradients' own equations alone."""
    kinds = {row.name: {known.cell.quantities[k.partition(".")[2]].kind for k in row.changes} for row in known.rows}
    backward = [row for row in known.rows if not kinds[row.name] & set(FORWARD)]
    return [row for row in backward if kinds[row.name] != {"grad"}], [
        row for row in backward if kinds[row.name] == {"grad"}
    ]


def is_forward(cell: Cell, name: str) -> bool:
    """Whether an equation belongs to the forward pass or the loss."""
    return cell.quantities[name].kind in FORWARD
