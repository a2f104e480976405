"""What the score is made of, piece by piece, each a task for a worker: a mutant's trial, names, and false alarms."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property
from typing import NamedTuple

from gradlab.arithmetic.balls import precision
from gradlab.cells import Cell
from gradlab.mistakes.ground import BITS, Ground
from gradlab.mistakes.mutants import Mutant
from gradlab.mistakes.naming import Naming, plant
from gradlab.mistakes.peers import Peers
from gradlab.mistakes.probes import DISTINCT, OTHER, SQUARE, drawn
from gradlab.mistakes.rows import Mistake
from gradlab.mistakes.runs import variants
from gradlab.problem import Problem


class Catch(NamedTuple):
    """What is known of one mutant at one scale.

    caught: proven wrong, or refused by a problem. label: the first wrong equation, "" where a problem refuses it, and
    "no equation" where each is satisfied although a quantity is wrong. gradient: a gradient is proven wrong.
    accepted: the peers that let it pass; looked at only for mutants of the third function whose gradient is proven
        wrong at some scale. agrees: with all that is certified, to as many digits as count, on every problem.
    """

    caught: bool
    label: str = ""
    gradient: bool = False
    accepted: tuple[str, ...] = ()
    agrees: bool = False


class Judged(NamedTuple):
    """One mutant. refused: why it does not run, and unwritten: because it reads what nothing was stored in.

    equivalent: why it changes nothing. at: else, what came of it at every scale.
    """

    refused: str = ""
    unwritten: bool = False
    equivalent: str = ""
    at: tuple[Catch, ...] = ()


class Place:
    """One weight scale: the problems a mutant is run on, one after the other until one decides, and the peers."""

    def __init__(self, cell: Cell, grounds: Sequence[Ground]) -> None:
        self.cell, self.grounds = cell, grounds

    @cached_property
    def peers(self) -> Peers:
        """The peers, on the first problem."""
        return Peers(self.cell, self.grounds[0].problem)


@cache
def place(cell: Cell, scale: float, seed: int) -> Place:
    """Two generic problems of that scale."""
    return Place(cell, [Ground(cell, drawn(cell, sizes, scale, seed + i)) for i, sizes in enumerate((DISTINCT, OTHER))])


def judge(mutants: Sequence[Mutant], scales: Sequence[float], seed: int) -> list[Judged]:
    """Try mutants of one cell at every scale."""
    return [judged(mutant, [place(mutant.cell, scale, seed) for scale in scales]) for mutant in mutants]


def judged(mutant: Mutant, places: Sequence[Place]) -> Judged:
    """Try one mutant; what is caught nowhere may be equivalent."""
    with precision(BITS[0]):
        first = places[0].grounds[0].outcome(mutant.code)
    if first.refused:
        return Judged(first.refused, first.unwritten)
    at = [caught(mutant, one) for one in places]
    if mutant.function == "gradient" and any(one.gradient for one in at):
        at = [
            one._replace(accepted=tuple(name for name, passed in there.peers.accepts(mutant.code).items() if passed))
            for one, there in zip(at, places, strict=True)
        ]
    if all(one.agrees for one in at):
        return Judged(equivalent=reason(mutant, sum(len(one.grounds) for one in places)))
    return Judged(at=tuple(at))


def caught(mutant: Mutant, place: Place) -> Catch:
    """Whether a mutant is wrong at one scale: at more bits, then on another problem, if nothing proves it."""
    agrees = True
    for ground in place.grounds:
        for bits in BITS:
            with precision(bits):
                seen = ground.outcome(mutant.code)
                if seen.refused:
                    return Catch(True)
                wrong = ground.wrong(seen, bits)
                if wrong:
                    first = variants(mutant.cell).first_wrong(seen)
                    label = "no equation" if first is None else f"{mutant.cell.name}.{first}"
                    return Catch(True, label, any(one.name in wrong for one in mutant.cell.of_kind("grad")))
                agrees = agrees and (bits < BITS[-1] or ground.agrees(seen, bits))
    return Catch(False, agrees=agrees)


def reason(mutant: Mutant, problems: int) -> str:
    """Why a mutant changes nothing."""
    agrees = f"every quantity agrees at {BITS[-1]} bits on {problems} problems"
    return f"{mutant.why}; {agrees}" if mutant.why else agrees


def name(cell: Cell, planted: Sequence[tuple[Mistake, ...]], scale: float, seed: int) -> Naming:
    """Plant mistakes, alone or several together, in code that runs on problems of one scale, and have them named."""
    sizes = (DISTINCT, SQUARE, {**SQUARE, "T": 7, "B": 3})
    probes = [drawn(cell, one, scale, seed + i) for i, one in enumerate(sizes)]
    tally = Naming()
    for together in planted:
        plant(cell, together, probes, tally)
    return tally


def alarms(cell: Cell, problems: Sequence[Problem]) -> list[bool]:
    """Whether the cell's own code raises an alarm, which would be false, on each problem."""
    return [_alarm(Ground(cell, problem)) for problem in problems]


def _alarm(ground: Ground) -> bool:
    with precision(BITS[0]):
        seen = ground.outcome(ground.cell.code)
        return bool(seen.refused or ground.wrong(seen) or variants(ground.cell).wrong(seen))


def rejecting(cell: Cell, scale: float, seed: int) -> list[str]:
    """The peers that do not let the cell's own gradient pass at that scale."""
    return [peer for peer, passed in place(cell, scale, seed).peers.accepts(cell.code).items() if not passed]
