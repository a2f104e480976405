"""The mutation score of the checker: how many wrong gradients it would let pass, beside how many its peers would.

Mutants are all small changes of a cell's own functions (`mutants`). One that does not run, or returns another shape, is
refused, and no checker would be fooled by it. Of the others, one whose balls agree with the certified derivative in
every quantity, on every problem tried at 256 bits, is equivalent. All that remain have to be caught at every scale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from gradlab.arithmetic import balls, precision
from gradlab.cells import Cell, Code
from gradlab.cells import cell as registered
from gradlab.mistakes.catalogue import mistakes
from gradlab.mistakes.mutants import Mutant, mutants
from gradlab.mistakes.naming import Naming, plant, sampled
from gradlab.mistakes.peers import NAMES, Peers
from gradlab.mistakes.probes import DISTINCT, OTHER, SQUARE, drawn
from gradlab.mistakes.runs import Outcome, disjoint, outcome, same, variants
from gradlab.oracles import oracle
from gradlab.problem import Problem

SCALES = (1.0, 0.1, 0.01, 1e-3, 1e-6)
BITS = (128, 256)
Progress = Callable[[str, int, int], None]


@dataclass
class Row:
    """One weight scale.

    mutants: those that run and are not equivalent. located: caught, and first wrong at an equation of the change.
    gradients: mutants of the third function whose gradient is wrong, not only a delta.
    accepted: how many of those a peer lets pass.
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
    accepted: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NAMES, 0))
    rejecting: list[str] = field(default_factory=list)
    singles: Naming = field(default_factory=Naming)
    pairs: Naming = field(default_factory=Naming)
    unchanged: int = 0
    alarms: int = 0


@dataclass
class Score:
    """All scales of one cell. equivalent: each with the reason why it changes nothing. refused: what does not run."""

    cell: str
    generated: int
    refused: list[str]
    equivalent: dict[str, str]
    rows: list[Row] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Nothing escaped, nothing was misplaced or misnamed, and there was no false alarm."""
        return not any(r.escaped or r.mislocated or r.singles.wrong or r.pairs.wrong or r.alarms for r in self.rows)

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
    progress: Progress | None = None,
) -> Score:
    """Score the checker on one cell.

    Args:
        scales: what normal weights are multiplied by.
        pairs: how many pairs of catalogue mistakes to name at each scale, spread over all of them; None: all.
        unchanged: on how many random problems at each scale the code as it is must raise no alarm.
        seed: the same seed draws the same problems.
        progress: called with (what is done, done, to do).
    """
    return _Scoring(registered(cell_name), seed, progress or (lambda what, done, total: None)).run(
        scales, pairs, unchanged
    )


class Ground:
    """One problem with what is right on it, at several precisions."""

    def __init__(self, cell: Cell, problem: Problem) -> None:
        self.cell, self.problem = cell, problem
        self._right: dict[int, dict[str, Any]] = {}

    def right(self, bits: int) -> dict[str, Any]:
        """Every certified quantity at that precision."""
        if bits not in self._right:
            self._right[bits] = oracle("certified").evidence(self.cell, self.problem, bits).values
        return self._right[bits]

    def outcome(self, code: Code) -> Outcome:
        """What code gives, at the precision in force."""
        return outcome(self.cell, code, self.problem.inputs(balls), self.problem.sizes)

    def wrong(self, seen: Outcome, bits: int = BITS[0]) -> list[str]:
        """The quantities proven to differ from the certified ones; "loss" too where its total is not its sum."""
        differ = [name for name, value in self.right(bits).items() if disjoint(seen.found[name], value)]
        return [*differ, "loss"] if seen.misreported and "loss" not in differ else differ


class _Scoring:
    def __init__(self, cell: Cell, seed: int, progress: Progress) -> None:
        self.cell, self.seed, self.progress = cell, seed, progress

    def run(self, scales: Sequence[float], pairs: int | None, unchanged: int) -> Score:
        grounds = {
            scale: [
                Ground(self.cell, drawn(self.cell, sizes, scale, self.seed + i))
                for i, sizes in enumerate((DISTINCT, OTHER))
            ]
            for scale in scales
        }
        everything = mutants(self.cell)
        with precision(BITS[0]):
            refused = [m for m in everything if grounds[scales[0]][0].outcome(m.code).refused]
        running = [m for m in everything if m not in refused]
        equivalent = self._equivalent(running, [ground for both in grounds.values() for ground in both])
        tried = [m for m in running if m not in equivalent]
        found = Score(
            self.cell.name, len(everything), [str(m) for m in refused], {str(m): why for m, why in equivalent.items()}
        )
        for i, scale in enumerate(scales):
            row = Row(scale, mutants=len(tried))
            self._mutants(row, tried, grounds[scale])
            self._names(row, pairs, offset=i)
            self._unchanged(row, unchanged)
            found.rows.append(row)
        return found

    def _equivalent(self, running: Sequence[Mutant], grounds: Sequence[Ground]) -> dict[Mutant, str]:
        """The mutants that agree everywhere, each with the reason."""
        found = {}
        for i, mutant in enumerate(running):
            if not any(self._differs(mutant, ground) for ground in grounds):
                found[mutant] = reason(mutant, len(grounds))
            self.progress("equivalent mutants", i + 1, len(running))
        return found

    def _differs(self, mutant: Mutant, ground: Ground) -> bool:
        """Whether a mutant does anything that is not right: in a quantity, or in the total that it reports."""
        bits = BITS[-1]
        with precision(bits):
            seen = ground.outcome(mutant.code)
            if seen.refused or seen.misreported:
                return True
            return not all(same(seen.found[name], value) for name, value in ground.right(bits).items())

    def _mutants(self, row: Row, tried: Sequence[Mutant], grounds: Sequence[Ground]) -> None:
        peers = Peers(self.cell, grounds[0].problem)
        row.rejecting = [name for name, passed in peers.accepts(self.cell.code).items() if not passed]
        grads = {quantity.name for quantity in self.cell.of_kind("grad")}
        for i, mutant in enumerate(tried):
            wrong, label = self._caught(mutant, grounds)
            if not wrong:
                row.escaped.append(str(mutant))
            elif label in mutant.labels:
                row.located += 1
            elif label is not None:
                row.mislocated.append(f"{mutant}: at {label}, wanted {' or '.join(mutant.labels)}")
            row.caught += bool(wrong)
            if mutant.function == "gradient" and grads & set(wrong):
                row.gradients += 1
                for name, passed in peers.accepts(mutant.code).items():
                    row.accepted[name] += passed
            self.progress(f"mutants at {row.scale:g}", i + 1, len(tried))

    def _caught(self, mutant: Mutant, grounds: Sequence[Ground]) -> tuple[list[str], str | None]:
        """The wrong quantities and the first wrong equation; at more bits, then on another problem, if there are none.

        A mutant that a problem refuses is caught by that, with no equation to blame.
        """
        for ground in grounds:
            for bits in BITS:
                with precision(bits):
                    seen = ground.outcome(mutant.code)
                    if seen.refused:
                        return ["refused"], None
                    wrong = ground.wrong(seen, bits)
                    if wrong:
                        local = variants(self.cell).wrong(seen)
                        return wrong, f"{self.cell.name}.{local[0]}" if local else "no equation"
        return [], None

    def _names(self, row: Row, pairs: int | None, offset: int) -> None:
        probes = [
            drawn(self.cell, sizes, row.scale, self.seed + i)
            for i, sizes in enumerate((DISTINCT, SQUARE, {**SQUARE, "T": 7, "B": 3}))
        ]
        rows = mistakes(self.cell.name)
        for i, one in enumerate(rows):
            plant(self.cell, (one,), probes, row.singles)
            self.progress(f"single mistakes at {row.scale:g}", i + 1, len(rows))
        chosen = list(sampled(rows, pairs, offset))
        for i, two in enumerate(chosen):
            plant(self.cell, two, probes, row.pairs)
            self.progress(f"pairs at {row.scale:g}", i + 1, len(chosen))

    def _unchanged(self, row: Row, count: int) -> None:
        rng = np.random.default_rng(self.seed)
        with precision(BITS[0]):
            for i in range(count):
                sizes = {letter: int(rng.integers(1, 5)) for letter in "TBIHO"}
                ground = Ground(self.cell, drawn(self.cell, sizes, row.scale, int(rng.integers(2**32))))
                seen = ground.outcome(self.cell.code)
                row.alarms += bool(seen.refused or ground.wrong(seen) or variants(self.cell).wrong(seen))
                row.unchanged += 1
                self.progress(f"unchanged code at {row.scale:g}", i + 1, count)


def reason(mutant: Mutant, problems: int) -> str:
    """Why a mutant changes nothing."""
    agrees = f"every quantity agrees at {BITS[-1]} bits on {problems} problems"
    if mutant.commutes:
        return f"a sum and an elementwise product commute; {agrees}"
    if mutant.allocates:
        return f"only shape and type of what an allocation names are read, or what it holds is overwritten; {agrees}"
    return agrees
