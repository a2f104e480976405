"""A training run: what determines it, how far it is, and the random streams that it draws from.

Everything random is a function of the seed and the step number (each chunk of steps draws from a stream of its own),
so a run *is* its settings, its step and its weights: stop it anywhere and it goes on to the same bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from gradlab import cells
from gradlab.addition.adder import Sum, add
from gradlab.addition.data import (
    INITS,
    MAX_BITS,
    AdditionError,
    Array,
    check_bits,
    check_count,
    long_pairs,
    network_sizes,
    problem,
    random_pairs,
    random_params,
)
from gradlab.problem import Problem

STOPS = ("wide", "exact", "never")
HELD_OUT = 1000
CHUNK = 64
WEIGHTS, PAIRS, NARROW, WIDE = range(4)


@dataclass(frozen=True)
class Settings:
    """What a run is determined by; the defaults are the seeds' own.

    bits: width of the sums, 1 to 62.    hidden: units, 1 to 2048.    batch: pairs a step, 1 to 1024.
    epochs: steps at most.               rate: above 0.               init: "uniform" or "normal".
    evaluate_every: steps between two looks at the held-out pairs.
    stop: "exact" once 1,000 held-out pairs are added exactly; "wide" once 1,000 of 62 bits with long carries are too (a
        net may add 8 bits exactly and still let go of a carry that it has to hold for longer); "never" before the end.

    Raises:
        AdditionError: a setting outside its limits, named with its value.
        KeyError: no such cell.
    """

    bits: int = 8
    hidden: int = 16
    epochs: int = 10_000
    rate: float = 0.1
    seed: int = 0
    init: str = "uniform"
    cell: str = "rnn"
    batch: int = 1
    evaluate_every: int = 250
    stop: str = "wide"

    def __post_init__(self) -> None:
        check_bits(self.bits)
        limits = {"hidden": (1, 2**11), "epochs": (0, 10**12), "seed": (0, 2**63 - 1), "batch": (1, 2**10)}
        for name, (least, most) in (limits | {"evaluate_every": (1, 10**12)}).items():
            object.__setattr__(self, name, check_count(name, getattr(self, name), least, most))
        if isinstance(self.rate, bool) or not isinstance(self.rate, (int, float)) or not 0 < self.rate < math.inf:
            raise AdditionError(f"rate = {self.rate!r}: wanted a finite number above 0")
        for name, known in (("init", INITS), ("stop", STOPS)):
            if getattr(self, name) not in known:
                raise AdditionError(f"{name} = {getattr(self, name)!r}: wanted {', '.join(known)}")
        cells.cell(self.cell)

    def rng(self, *stream: int) -> np.random.Generator:
        """A generator of this seed's own for one purpose; streams are independent of each other."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=stream))


class Point(NamedTuple):
    """One point of the learning curve: the state of things after `step` steps.

    loss: L on the next step's pairs, not yet trained on.
    exact, bits: fractions of the held-out sums and bits that are right.
    wide: fraction of the held-out 62-bit sums with long carries; nan where `exact` is below 1 and it was not looked at.
    """

    step: int
    loss: float
    exact: float
    bits: float
    wide: float


@dataclass(eq=False)
class Run:
    """A training run in progress. `at` is (step, weights), replaced as one, so that no interrupt can part them."""

    settings: Settings
    at: tuple[int, Any]
    curve: list[Point] = field(default_factory=list)

    @classmethod
    def start(cls, settings: Settings) -> Run:
        """A run before its first step."""
        sizes = network_sizes(settings.hidden)
        return cls(settings, (0, random_params(settings.cell, sizes, settings.rng(WEIGHTS), settings.init)))

    @property
    def step(self) -> int:
        return self.at[0]

    @property
    def params(self) -> Any:
        return self.at[1]

    @property
    def finished(self) -> str:
        """Why there is nothing left to do, or ""."""
        last = self.curve[-1] if self.curve and self.curve[-1].step == self.step else None
        stop = self.settings.stop
        if last and last.exact == 1 and (stop == "exact" or (stop == "wide" and last.wide == 1)):
            return "every held-out pair is added exactly"
        return "all epochs are done" if self.step >= self.settings.epochs else ""

    def continued(self, **changes: Any) -> Run:
        """This run with other `epochs`, `stop` or `evaluate_every`, which do not touch the way of its weights.

        Raises:
            AdditionError: another setting would change, or as `Settings`.
        """
        for name, value in changes.items():
            if name not in ("epochs", "stop", "evaluate_every") and getattr(self.settings, name) != value:
                begun = getattr(self.settings, name)
                raise AdditionError(f"{name} = {value!r}: the run was begun with {begun!r}, and that cannot change")
        return Run(replace(self.settings, **changes), self.at, list(self.curve))

    def pairs(self) -> Array:
        """The pairs (B, 2) of the next step."""
        return chunk_of_pairs(self.settings, self.step // CHUNK)[self.step % CHUNK]

    def problem(self) -> Problem:
        """The next step's pairs with the live weights."""
        return problem(self.pairs(), self.settings.bits, cell=self.settings.cell, params=self.params)

    def add(self, a: int, b: int, bits: int | None = None) -> Sum:
        """a + b by this run's network (`gradlab.addition.add`)."""
        return add(a, b, self.params, self.settings.cell, bits)


@lru_cache(maxsize=8)
def held_out(settings: Settings) -> Array:
    """1,000 pairs (B, 2) from a stream of their own. There are few pairs in few bits: some will be trained on."""
    return _frozen(random_pairs(settings.rng(NARROW), HELD_OUT, settings.bits))


@lru_cache(maxsize=8)
def held_out_wide(settings: Settings) -> Array:
    """1,000 pairs (B, 2) whose 62-bit sums have long carries, from a stream of their own."""
    return _frozen(long_pairs(settings.rng(WIDE), HELD_OUT, MAX_BITS))


@lru_cache(maxsize=4)
def chunk_of_pairs(settings: Settings, chunk: int) -> Array:
    """The pairs of the steps chunk · 64 onwards, (64, B, 2)."""
    pairs = random_pairs(settings.rng(PAIRS, chunk), CHUNK * settings.batch, settings.bits)
    return _frozen(pairs.reshape(CHUNK, settings.batch, 2))


def _frozen(pairs: Array) -> Array:
    """Read-only: what is kept for the next call must not change in a caller's hands."""
    pairs.setflags(write=False)
    return pairs
