"""Problems that gradients go wrong on, with the enclosures of everything that there is to know about them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from gradlab.arithmetic.balls import balls, midpoints, precision, radii
from gradlab.cells import cell
from gradlab.manual import rnn
from gradlab.oracles import certified
from gradlab.problem import Problem

BITS = 512
SCALES = (1.0, 0.1, 0.01, 1e-3, 1e-6)
KINDS = ("plain", "mixed", "saturated", "float32", "bits")


def problem(T=4, B=2, I=2, H=3, O=2, scale=1.0, kind="plain", seed=0):
    """Sizes as named; kind: weights of one scale, or mixed; one unit saturated; float32; bits from a zero state."""
    rng = np.random.default_rng([seed, T, B, I, H, O])
    weights = [scale * rng.uniform(-1, 1, shape) for shape in ((I, H), (H, H), (H, O))]
    x, y, a = rng.uniform(-1, 1, (T, B, I)), rng.uniform(0, 1, (T, B, O)), rng.uniform(0, 1, (B, H))
    if kind == "mixed":
        weights = [w * rng.choice(SCALES, w.shape) for w in weights]
    if kind == "saturated":
        array = weights[seed % 3]
        array[:, -1] = (40.0, -40.0, 300.0, -300.0)[seed % 4] * np.sign(array[:, -1]) / len(array)
    if kind == "bits":
        x, y, a = np.round(np.abs(x)), np.round(y), np.zeros_like(a)
    built = Problem(rnn.Params(*weights), x, y, rnn.State(a))
    return built.astype(np.float32) if kind == "float32" else built


def hundred():
    rng = np.random.default_rng(0)
    for i in range(100):
        sizes = (int(rng.integers(1, most + 1)) for most in (6, 3, 3, 4, 3))
        scale, kind = SCALES[i % 5], KINDS[i // 5 % 5]
        yield problem(*sizes, scale=scale, kind=kind, seed=i), scale, kind


def missed(evidence, exact):
    """The quantities whose error is not proven to be within the bound that the oracle gives."""
    with precision(BITS):
        found = []
        for name, value in evidence.values.items():
            bound = evidence.bounds[name]
            known = np.isfinite(bound)
            error = np.abs(balls(np.where(known, value, 0.0)) - exact[name])
            upper = (midpoints(error) + radii(error)) * (1 + 2.0**-50)
            found += [name] * bool((known & ~(upper * (1 - 2.0**-48) <= bound)).any())
        return found


@pytest.fixture(scope="session")
def lab():
    """rnn: the cell. problem(...): one problem. known: a hundred, each with scale, kind and its enclosures."""
    rnn_cell = cell("rnn")
    known = [
        SimpleNamespace(problem=built, scale=scale, kind=kind, exact=certified.evidence(rnn_cell, built, BITS).values)
        for built, scale, kind in hundred()
    ]

    def exact(built):
        return certified.evidence(rnn_cell, built, BITS).values

    return SimpleNamespace(rnn=rnn_cell, problem=problem, known=known, missed=missed, exact=exact, bits=BITS)
