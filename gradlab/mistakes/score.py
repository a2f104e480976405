"""The mutation score of the checker: how many wrong gradients it would let pass, beside how many its peers would.

Mutants are all small changes of a cell's own functions (`mutants`). One that does not run on balls, or returns another
shape, is refused; so is one that reads entries in which nothing was stored. Of the others, one whose balls agree with
the certified derivative in every quantity, on every problem tried at 256 bits, is equivalent. All that remain have to
be caught at every scale.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np

from gradlab.cells import Cell
from gradlab.cells import cell as registered
from gradlab.mistakes.catalogue import mistakes
from gradlab.mistakes.ground import Ground
from gradlab.mistakes.mutants import Mutant, mutants
from gradlab.mistakes.naming import Naming, sampled
from gradlab.mistakes.peers import NAMES
from gradlab.mistakes.probes import drawn
from gradlab.mistakes.rows import Mistake
from gradlab.mistakes.trial import Judged, alarms, judge, name, rejecting
from gradlab.mistakes.workers import Task, spread
from gradlab.problem import Problem

__all__ = ["SCALES", "Ground", "Row", "Score", "score"]

SCALES = (1.0, 0.1, 0.01, 1e-3, 1e-6)
Progress = Callable[[str, int, int], None]

CHUNK = 4  # mutants, mistakes or problems in one task: seconds at most, and handing it over takes next to nothing


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
        from gradlab.mistakes.tables import shown

        return shown(self)

    def __str__(self) -> str:
        from gradlab.mistakes.tables import text

        return text(self)


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
