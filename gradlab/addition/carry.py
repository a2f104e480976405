"""\"The RNN is going to learn the carry bit on its own\": read it off the hidden state.

A linear probe, fitted by least squares on some pairs and judged on others, says whether the state after column t
tells the carry out of column t, which the network was never shown.

    T columns   B pairs   H hidden units       state (T, B, H), carry (T, B)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradlab import cells
from gradlab.addition.data import (
    AdditionError,
    Array,
    carries,
    check_bits,
    params_sizes,
    random_pairs,
    sequences,
    zero_state,
)
from gradlab.problem import axes

FITTED = 1000
JUDGED = 1000
FIT, JUDGE = 10, 11


@dataclass(frozen=True)
class Unit:
    """How one hidden unit goes with the carry.

    correlation: with the true carry out, over all held-out columns; 0 for a unit that never moves.
    weight: in the probe, times the unit's deviation: how much of the probe's decision is its.
    """

    index: int
    correlation: float
    weight: float


@dataclass(frozen=True)
class CarryProbe:
    """What a linear probe of the hidden state knows about the carry, on pairs that it was not fitted on.

    accuracy: fraction of all held-out columns whose carry out is told right.
    exact: fraction of held-out pairs with every carry told right.
    baseline: accuracy of always saying the commoner carry.
    inputs_only: accuracy of the same probe on the column's two input bits, without the hidden state.
    by_column: accuracy in each column, least significant first; in the last the carry is always 0.
    units: the hidden units, the one that goes most with the carry first.
    """

    accuracy: float
    exact: float
    baseline: float
    inputs_only: float
    by_column: tuple[float, ...]
    units: tuple[Unit, ...]
    state: str
    fitted: int
    judged: int

    def __str__(self) -> str:
        columns = " ".join(f"{fraction:.0%}" for fraction in reversed(self.by_column))
        rows = [f"  unit {u.index:>3}   {u.correlation:>+11.3f}   {u.weight:>+12.3f}" for u in self.units[:8]]
        return "\n".join(
            [
                f"the carry, read off {self.state} by a linear probe on {self.judged} held-out pairs:",
                f"  {self.accuracy:.2%} of the columns right, {self.exact:.2%} of the pairs in every column",
                f"  always the commoner carry: {self.baseline:.2%}; the input bits alone: {self.inputs_only:.2%}",
                f"  by column, most significant first: {columns}",
                "             correlation   probe weight",
                *rows,
                *([f"  … and {len(self.units) - 8} more"] if len(self.units) > 8 else []),
            ]
        )


@dataclass(frozen=True)
class CarryHistory:
    """The probe's accuracy over training: at each step, of all columns (`accuracy`) and of whole pairs (`exact`)."""

    steps: tuple[int, ...]
    accuracy: tuple[float, ...]
    exact: tuple[float, ...]

    def __str__(self) -> str:
        rows = zip(self.steps, self.accuracy, self.exact, strict=True)
        lines = [f"{step:>8}  {right:>8.2%}  {exact:>8.2%}  {'█' * round(20 * exact)}" for step, right, exact in rows]
        return "\n".join(["    step   columns     pairs  with every carry told right", *lines])


def probe(params: Any, bits: int = 8, cell: str = "rnn", seed: int = 0, state: str | None = None) -> CarryProbe:
    """Fit a probe on 1,000 random pairs, judge it on 1,000 others.

    An untrained net scores well above `inputs_only` too: a random state echoes past inputs (a reservoir). What
    training adds is the step from there to every carry of every pair.

    Args:
        bits: width of the sums, at least 3. No pair is both fitted on and judged; below 7 bits fewer are fitted.
        state: the intermediate to read, (T, B, H); by default the first that the next step could see (`states`).

    Raises:
        AdditionError: a width outside 3 to 62, or no such state.
        KeyError: no such cell.
    """
    if check_bits(bits) < 3:
        raise AdditionError(f"bits = {bits}: a probe wants at least 3, or no pairs are left to judge it on")
    state = _check_state(cell, state)
    fit, judge = _split(bits, seed)
    weights = _fit(_features(params, fit, bits, cell, state), carries(fit, bits).out)
    features, true = _features(params, judge, bits, cell, state), carries(judge, bits).out
    right = (features @ weights > 0) == true
    x_fit, x_judge = (_with_one(sequences(pairs, bits)[0]) for pairs in (fit, judge))
    inputs_right = (x_judge @ _fit(x_fit, carries(fit, bits).out) > 0) == true
    return CarryProbe(
        accuracy=float(right.mean()),
        exact=float(right.all(axis=0).mean()),
        baseline=float(max(true.mean(), 1 - true.mean())),
        inputs_only=float(inputs_right.mean()),
        by_column=tuple(right.mean(axis=1).tolist()),
        units=_units(features[..., :-1], true, weights[:-1]),
        state=state,
        fitted=len(fit),
        judged=len(judge),
    )


def probe_over_training(
    snapshots: Iterable[tuple[int, Any]], bits: int = 8, cell: str = "rnn", seed: int = 0, state: str | None = None
) -> CarryHistory:
    """The probe at each (step, params) of a training run; arguments and errors as `probe`."""
    found = [(step, probe(params, bits, cell, seed, state)) for step, params in snapshots]
    steps = tuple(step for step, _ in found)
    return CarryHistory(steps, tuple(p.accuracy for _, p in found), tuple(p.exact for _, p in found))


def states(cell: str) -> tuple[str, ...]:
    """The intermediates of a cell that a probe can read: those of (T, B, H)."""
    return tuple(quantity.name for quantity in cells.cell(cell).of_kind("trace") if quantity.axes == ("T", "B", "H"))


def _check_state(cell: str, state: str | None) -> str:
    known = states(cell)
    if state is None:
        declared = axes(cells.cell(cell).module.State)
        carried = [name for name in known if any(name.split("_")[0] == field.split("_")[0] for field in declared)]
        return (carried or list(known))[0]
    if state not in known:
        raise AdditionError(f"state = {state!r}: the {cell} cell has {', '.join(known)}")
    return state


def _split(bits: int, seed: int) -> tuple[Array, Array]:
    """Pairs to fit on and pairs to judge by, (B, 2) each, with no pair in both."""
    streams = (np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(stream,))) for stream in (FIT, JUDGE))
    fit, judge = (random_pairs(rng, count, bits) for rng, count in zip(streams, (FITTED, 2 * JUDGED), strict=True))
    if bits < 7:
        fit = fit[: 2 ** (2 * bits - 3)]
    seen = set(map(tuple, fit.tolist()))
    return fit, judge[[pair not in seen for pair in map(tuple, judge.tolist())]][:JUDGED]


def _features(params: Any, pairs: Array, bits: int, cell: str, state: str) -> Array:
    """The state after each column and a constant 1, (T, B, H + 1)."""
    x, _ = sequences(pairs, bits)
    trace = cells.cell(cell).code.forward(params, x, zero_state(cell, params_sizes(params) | {"B": x.shape[1]}))
    return _with_one(getattr(trace, state))


def _with_one(features: Array) -> Array:
    return np.concatenate([features, np.ones((*features.shape[:-1], 1))], axis=-1)


def _fit(features: Array, carry: Array) -> Array:
    """Least squares: the weights (F,) whose value is nearest to +1 where the carry is 1 and to −1 where it is 0."""
    return np.linalg.lstsq(features.reshape(-1, features.shape[-1]), 2.0 * carry.ravel() - 1, rcond=None)[0]


def _units(states: Array, carry: Array, weights: Array) -> tuple[Unit, ...]:
    """The units of states (T, B, H), ranked by how strongly they go with the carry."""
    flat, target = states.reshape(-1, states.shape[-1]), carry.ravel() - carry.mean()
    moved = flat - flat.mean(axis=0)
    deviation = moved.std(axis=0)
    scale = deviation * target.std()
    covariance = (moved * target[:, None]).mean(axis=0)
    correlation = np.divide(covariance, scale, out=np.zeros_like(scale), where=scale > 1e-12)
    order = np.argsort(-np.abs(correlation), kind="stable")
    return tuple(Unit(int(h), float(correlation[h]), float(weights[h] * deviation[h])) for h in order)
