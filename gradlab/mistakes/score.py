"""The mutation score of the checker: how many wrong gradients it would let pass, beside how many its peers would.

Mutants are all small changes of a cell's own functions (`mutants`). One that does not run on balls, or returns another
shape, is refused; so is one that reads entries in which nothing was stored. Of the others, one whose balls agree with
the certified derivative in every quantity, on every problem tried at 256 bits, is equivalent. All that remain have to
be caught at every scale.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradlab.cells import Cell
from gradlab.cells import cell as registered
from gradlab.mistakes.catalogue import mistakes
from gradlab.mistakes.ground import Ground
from gradlab.mistakes.mutants import Mutant, mutants
from gradlab.mistakes.naming import Naming, sampled
from gradlab.mistakes.probes import drawn
from gradlab.mistakes.rows import Mistake
from gradlab.mistakes.tables import Row, Score
from gradlab.mistakes.trial import Judged, alarms, judge, name, rejecting
from gradlab.mistakes.workers import Task, spread
from gradlab.problem import Problem

__all__ = ["SCALES", "Ground", "Row", "Score", "score"]

SCALES = (1.0, 0.1, 0.01, 1e-3, 1e-6)
Progress = Callable[[str, int, int], None]

CHUNK = 4  # mutants, mistakes or problems in one task: seconds at most, and handing it over takes next to nothing


def score(
    cell_name: str = "rnn",
    *,
    scales: Sequence[float] = SCALES,
    pairs: int | None = 200,
    unchanged: int = 40,
    seed: int = 0,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Score:
    """Score the checker on one cell.

    Args:
        scales: what normal weights are multiplied by.
        pairs: how many pairs of catalogue mistakes to name at each scale, spread over all of them; None: all.
        unchanged: on how many random problems at each scale the code as it is must raise no alarm.
        seed: the same seed draws the same problems.
        jobs: how many processes; the result is the same for any number.
        progress: called with (what is done, done, to do).

    Interrupted (Ctrl-C), it returns what is known by then.

    Raises:
        UnknownName: no such cell.
        WorkerError: one of several processes ended before it answered.
    """
    cell = registered(cell_name)
    everything = mutants(cell)
    batches = [*_mutants(everything, scales, seed)]
    for i, scale in enumerate(scales):
        batches += _mistakes(cell, i, scale, pairs, seed)
        batches += _unchanged(cell, i, scale, unchanged, seed)
    found = Score(cell.name, len(everything), rows=[Row(scale) for scale in scales])
    totals, done, results = Counter[str](), Counter[str](), dict[int, Any]()
    for batch in batches:
        totals[batch.what] += batch.size
    try:
        for number, result in spread([batch.task for batch in batches], jobs):
            results[number], what = result, batches[number].what
            done[what] += batches[number].size
            if progress is not None:
                progress(what, done[what], totals[what])
    except KeyboardInterrupt:
        found.interrupted = True
    for number in sorted(results):
        batches[number].add(found, results[number])
    return found


class _Batch(NamedTuple):
    """A task of `size` things of one kind, and what is done with its result."""

    what: str
    size: int
    task: Task
    add: Callable[[Score, Any], None]


def _chunks(things: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (things[i : i + CHUNK] for i in range(0, len(things), CHUNK))


def _mutants(everything: Sequence[Mutant], scales: Sequence[float], seed: int) -> Iterator[_Batch]:
    for some in _chunks(everything):

        def count(found: Score, results: Sequence[Judged], some: Sequence[Mutant] = some) -> None:
            for mutant, result in zip(some, results, strict=True):
                _count(found, mutant, result)

        yield _Batch("mutants", len(some), (judge, (some, tuple(scales), seed)), count)


def _count(found: Score, mutant: Mutant, result: Judged) -> None:
    if result.refused:
        found.refused.append(str(mutant))
        found.unwritten += [str(mutant)] if result.unwritten else []
    elif result.equivalent:
        found.equivalent[str(mutant)] = result.equivalent
    gradient = mutant.function == "gradient" and any(catch.gradient for catch in result.at)
    for row, catch in zip(found.rows, result.at, strict=False):
        row.mutants += 1
        row.caught += catch.caught
        row.located += catch.label in mutant.labels
        if not catch.caught:
            row.escaped.append(str(mutant))
        elif catch.label not in mutant.labels:
            at = catch.label or "nowhere, for a problem refuses it"
            row.mislocated.append(f"{mutant}: at {at}, wanted {' or '.join(mutant.labels)}")
        if gradient:
            row.gradients += 1
            row.passed += not catch.caught
            for peer in catch.accepted:
                row.accepted[peer] += 1


def _mistakes(cell: Cell, at: int, scale: float, pairs: int | None, seed: int) -> Iterator[_Batch]:
    kinds: dict[str, list[tuple[Mistake, ...]]] = {
        "singles": [(one,) for one in mistakes(cell.name)],
        "pairs": list(sampled(mistakes(cell.name), pairs, offset=at)),
    }
    for kind, planted in kinds.items():

        def count(found: Score, tally: Naming, kind: str = kind) -> None:
            getattr(found.rows[at], kind).add(tally)

        what = "single mistakes" if kind == "singles" else kind
        for some in _chunks(planted):
            yield _Batch(what, len(some), (name, (cell, some, scale, seed)), count)


def _unchanged(cell: Cell, at: int, scale: float, count: int, seed: int) -> Iterator[_Batch]:
    def counted(found: Score, raised: Sequence[bool]) -> None:
        found.rows[at].unchanged += len(raised)
        found.rows[at].alarms += sum(raised)

    def judged(found: Score, peers: Sequence[str]) -> None:
        found.rows[at].rejecting += peers

    for some in _chunks(list(_random(cell, scale, count, seed))):
        yield _Batch("unchanged code", len(some), (alarms, (cell, some)), counted)
    yield _Batch("unchanged code", 1, (rejecting, (cell, scale, seed)), judged)


def _random(cell: Cell, scale: float, count: int, seed: int) -> Iterator[Problem]:
    rng = np.random.default_rng(seed)
    for _ in range(count):
        sizes = {letter: int(rng.integers(1, 5)) for letter in "TBIHO"}
        yield drawn(cell, sizes, scale, int(rng.integers(2**32)))
