"""Where a gradient's code leaves the truth: shown by putting the truth in its place, and replaying what follows.

An instruction is a *candidate* if a true derivative in the place of what it makes repairs leaves that are wrong, and
spoils none. All candidates are put right at once; the first whose own line, fed with what is right, still gives
something else is *to blame*. It stays right, and the search goes on with what is wrong still.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradlab.gradients.candidates import RANK, Candidates, Fit
from gradlab.gradients.truths import Truths
from gradlab.gradients.worlds import World, close

Array = np.ndarray[Any, Any]

ROUNDS = 5  # mistakes that are looked for


@dataclass(frozen=True, eq=False)
class Blamed:
    """One place: what should stand there, which executions are wrong, and which leaves become right.

    given: (n, …) what the line gives for operands that are right. beside: all that was put right to see that.
    """

    fit: Fit
    repairs: tuple[str, ...]
    given: Array
    executions: tuple[int, ...]
    beside: tuple[Fit, ...]


@dataclass
class _Chosen:
    fit: Fit
    repairs: tuple[str, ...]
    others: list[Fit]


class Locator:
    """The search, in one world.

    Args:
        wrong: the paths of the leaves that are wrong. deadline: of time.perf_counter().
    """

    def __init__(self, world: World, wrong: list[str], deadline: float) -> None:
        self.world, self.wrong, self.deadline = world, wrong, deadline
        self.truths = Truths(world)
        self.candidates = Candidates(world, self.truths)
        self.left = list(wrong)
        self.blamed: list[Blamed] = []
        self.changed: dict[int, Array] = {}
        self.complete = True

    def run(self) -> list[Blamed]:
        """The places, in the order in which they were found."""
        for _ in range(ROUNDS):
            if not self.left:
                break
            if time.perf_counter() > self.deadline:
                self.complete = False
                break
            new = self._next()
            if new is None:
                break
            self.blamed.append(new)
            self.changed |= self._put(new.fit)
            now = self.world.replayed(self.changed)
            self.left = [path for path in self.left if not close(now.gradients[path], now.true[path])]
        return self.blamed

    @property
    def repaired(self) -> World:
        """With all that is to blame put right."""
        return self.world.replayed(self.changed)

    def value(self, fit: Fit) -> Array:
        return fit.value(self.truths, self.world)

    def _put(self, fit: Fit) -> dict[int, Array]:
        return dict(zip(fit.made.numbers, self.value(fit), strict=True))

    def _next(self) -> Blamed | None:
        families: dict[tuple[str, ...], list[_Chosen]] = {}
        for one in self._shown():
            families.setdefault(tuple(sorted(one.repairs)), []).append(one)
        # Of two explanations, the one with fewer mistakes; of places, the earliest.
        for _, chosen in sorted(families.items(), key=lambda f: (-len(f[0]), _start(f[1][0].fit))):
            new = self._to_blame(chosen)
            if new:
                return min(new, key=lambda one: _start(one.fit))
        return None

    def _to_blame(self, chosen: list[_Chosen]) -> list[Blamed]:
        """Of candidates, all put right at once, those whose own line still gives something else."""
        every = dict(self.changed)
        for one in chosen:
            every |= self._put(one.fit)
        right = self.world.replayed(every)
        found = []
        for one in chosen:
            given = one.fit.made.itself(right)
            bad = {id(fit): self._unlike(given, fit) for fit in (one.fit, *one.others)}
            best = min((one.fit, *one.others), key=lambda fit: len(bad[id(fit)]))
            if not bad[id(best)]:
                continue
            # Of what repairs it, what needs the fewest changes, if it is no more far-fetched.
            alike = [fit for fit in one.others if _alike(fit, one.fit)]
            best = min((one.fit, *alike), key=lambda fit: len(bad[id(fit)]))
            found.append(Blamed(best, one.repairs, given, tuple(bad[id(best)]), tuple(other.fit for other in chosen)))
        return found

    def _unlike(self, given: Array, fit: Fit) -> list[int]:
        value = self.value(fit)
        scale = max(float(np.abs(value).max(initial=0)), 1e-300)
        return [k for k in range(len(given)) if not close(given[k], value[k], scale, 1e-7)]

    def _shown(self) -> list[_Chosen]:
        """Candidates: of each instruction the best fit that, replayed, repairs leaves and spoils none."""
        now = self.world.replayed(self.changed) if self.changed else self.world
        skip = {one.fit.made.key for one in self.blamed}
        closing = self.candidates.closing(now, set(self.changed), self.left, skip)
        stacks: dict[int, Array] = {}

        def order(one: tuple[Fit, list[str]]) -> Any:
            fit, paths = one
            stack = stacks.setdefault(id(fit.made), fit.made.stack(now))
            value = self.value(fit)
            scale = float(np.abs(value).max(initial=0)) or 1e-300
            already = sum(close(a, b, scale) for a, b in zip(stack, value, strict=True))
            many = len(fit.made.numbers) > 1
            against = many and fit.backwards != self.candidates.backwards
            return -len(paths), fit.scale != 1, RANK[fit.truth.kind], against, fit.shifted, -already, fit.turn != ""

        best: dict[int, _Chosen] = {}
        for fit, paths in sorted(closing, key=order):
            known = best.get(id(fit.made))
            if known is not None and len(known.repairs) >= len(paths):
                known.others.append(fit)
                continue
            if self._stands(fit, stacks[id(fit.made)]):
                continue
            after = self.world.replayed({**self.changed, **self._put(fit)})
            repaired = tuple(p for p in self.left if close(after.gradients[p], after.true[p]))
            spoilt = [p for p in after.gradients if p not in self.left and not close(after.gradients[p], after.true[p])]
            if repaired and not spoilt:
                best[id(fit.made)] = _Chosen(fit, repaired, [] if known is None else known.others)
        return sorted(best.values(), key=lambda one: _start(one.fit))

    def _stands(self, fit: Fit, stack: Array) -> bool:
        """Whether the same is there already, in the order in which the loops run."""
        if len(fit.made.numbers) < 2 or fit.backwards == self.candidates.backwards:
            return False
        return close(stack, self.value(fit)[::-1])


def _start(fit: Fit) -> int:
    return fit.made.numbers[0]


def _alike(other: Fit, fit: Fit) -> bool:
    """Whether one fit is no more far-fetched than another."""
    same = other.scale == fit.scale and other.backwards == fit.backwards and other.truth.kind == fit.truth.kind
    return same and other.shifted <= fit.shifted
