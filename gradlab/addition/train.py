"""Online training on addition, as in the seeds: one random pair a step, the hand-written gradient, plain descent.

weights ← weights − rate · ∂L/∂weights        L is summed over time and batch, not averaged
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradlab import cells
from gradlab.addition.adder import accuracy, predict, spaced
from gradlab.addition.data import MAX_BITS, Array, decode, network_sizes, sequences, zero_state
from gradlab.addition.run import CHUNK, Point, Run, Settings, chunk_of_pairs, held_out, held_out_wide
from gradlab.addition.run_file import RunFileError, load, save
from gradlab.problem import Problem

__all__ = [
    "Diverged",
    "GradientDisagreement",
    "Point",
    "Progress",
    "Run",
    "RunFileError",
    "Settings",
    "load",
    "look",
    "save",
    "train",
]


class Diverged(ArithmeticError):
    """A weight is no longer finite: the rate is too large."""


class GradientDisagreement(RuntimeError):
    """The check rejected the hand-written gradient on the live weights; `step` says when."""

    def __init__(self, step: int) -> None:
        super().__init__(f"step {step}: the check disagrees with the hand-written gradient on the live weights")
        self.step = step


@dataclass(frozen=True, eq=False)
class Progress:
    """A look at a run: its weights, its point on the curve, and the next pair as the network adds it now."""

    params: Any
    point: Point
    a: int
    b: int
    sum: int
    bits: int

    @property
    def step(self) -> int:
        return self.point.step

    def __str__(self) -> str:
        """The seeds' printed report."""
        return "\n".join(
            [
                f"Error:{self.point.loss:.6f}",
                f"Pred:{spaced(self.sum, self.bits)}",
                f"True:{spaced(self.a + self.b, self.bits)}",
                f"{self.a} + {self.b} = {self.sum}",
                "------------",
            ]
        )


def train(
    run: Run, code: cells.Code | None = None, check: Callable[[Problem], bool] | None = None, check_every: int = 0
) -> Iterator[Progress]:
    """Train until the run is finished, with a look at every evaluation, the first before step 0.

    The run is updated in place and whole after every step: stop iterating, or interrupt it, and `train(run)` goes on.

    Args:
        code: the functions that are trained with; the registered cell's by default.
        check: called with the live `Problem` every `check_every` steps (0: never); False stops the run.

    Raises:
        GradientDisagreement: the check said False.
        Diverged: a weight is no longer finite.
    """
    code = code or cells.cell(run.settings.cell).code
    epochs, every = run.settings.epochs, run.settings.evaluate_every
    checked = -1
    while True:
        if (run.step % every == 0 or run.step >= epochs) and (not run.curve or run.curve[-1].step < run.step):
            progress = look(run, code)
            run.curve.append(progress.point)
            yield progress
        if run.finished:
            return
        if check and check_every and run.step % check_every == 0 and checked < run.step:
            checked = run.step
            if not check(run.problem()):
                raise GradientDisagreement(run.step)
        stops = [epochs, run.step // every * every + every]
        if check and check_every:
            stops.append(run.step // check_every * check_every + check_every)
        _advance(run, min(stops), code)


def look(run: Run, code: cells.Code | None = None) -> Progress:
    """The run as it stands: held-out accuracy, and the next pair as the network adds it now.

    Raises:
        Diverged: a weight is not finite.
    """
    settings, (step, params) = run.settings, run.at
    code = code or cells.cell(settings.cell).code
    for name, array in params._asdict().items():
        if not np.isfinite(array).all():
            raise Diverged(f"{name} is not finite after step {step}: rate {settings.rate} is too large")
    narrow, wide = accuracy(params, held_out(settings), settings.bits, settings.cell, code), math.nan
    if narrow.exact == 1:
        wide = accuracy(params, held_out_wide(settings), MAX_BITS, settings.cell, code).exact
    pairs = run.pairs()
    y_hat = predict(params, pairs, settings.bits, settings.cell, code)[..., None]
    loss = float(code.loss(y_hat, sequences(pairs, settings.bits)[1]).total)
    a, b = pairs[0].tolist()
    point = Point(step, loss, narrow.exact, narrow.bits, wide)
    return Progress(params, point, a, b, int(decode(y_hat[:, 0, 0] > 0.5)), settings.bits)


def _advance(run: Run, stop: int, code: cells.Code) -> None:
    """Train up to step `stop`."""
    settings, (step, params) = run.settings, run.at
    forward, gradient, make, rate = code.forward, code.gradient, type(params)._make, settings.rate
    state = zero_state(settings.cell, network_sizes(settings.hidden, settings.batch))
    with np.errstate(over="ignore", invalid="ignore"):
        while step < stop:
            first, last = step % CHUNK, min(CHUNK, step % CHUNK + stop - step)
            for x, y in _steps(chunk_of_pairs(settings, step // CHUNK)[first:last], settings.bits):
                grads = gradient(params, x, y, state, forward(params, x, state)).params
                params = make([weight - rate * grad for weight, grad in zip(params, grads, strict=True)])
                step += 1
                run.at = step, params


def _steps(pairs: Array, bits: int) -> Iterator[tuple[Array, Array]]:
    """The x (T, B, 2) and y (T, B, 1) of each step, of pairs (steps, B, 2)."""
    steps, batch, _ = pairs.shape
    x, y = sequences(pairs.reshape(-1, 2), bits)
    shaped = (array.reshape(bits, steps, batch, -1).swapaxes(0, 1) for array in (x, y))
    return zip(*map(np.ascontiguousarray, shaped), strict=True)
