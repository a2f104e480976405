"""What rounding may do to a derivative: floats of every format and order stay within the sums over paths."""

import numpy as np
import pytest

from gradlab.arithmetic.balls import BallArithmetic, midpoints, precision
from gradlab.arithmetic.floats import FloatArithmetic
from gradlab.arithmetic.rounded import RoundedArithmetic
from gradlab.tape import Adjoints, replay
from gradlab.tape.paths import Paths

FUNCTIONS = {
    "products": lambda x: np.trace(x @ x @ x),
    "net": lambda x: np.sum(np.tanh(np.tanh(x @ x) @ x) ** 2),
    "cancelling": lambda x: np.sum(x * (1 + 1e-6) - x) * 1e6,
    "quotients": lambda x: np.sum(x / (1 + x * x)) + np.prod(x[0]),
    "part of a block": lambda x: (x * x)[1, 1],
    "of an empty sum": lambda x: np.sum(x[:0]) + x[0, 0],
    "softmax": lambda x: np.log(np.exp(x) / np.sum(np.exp(x), axis=1, keepdims=True))[0, 0],
    "stack": lambda x: np.sum(np.stack([x, x]) @ np.stack([x, x])),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_reverse_sweep_in_floats_is_within_the_bounds(name, seed, engine):
    made = engine.record(FUNCTIONS[name], np.random.default_rng(seed).normal(size=(3, 3)))
    outputs = made.index[:, None]
    with precision(200):
        exact = midpoints(Adjoints(replay(made.program, BallArithmetic()), outputs).rows(made.leaves[0]))
    with np.errstate(all="ignore"):
        found = Adjoints(replay(made.program, FloatArithmetic()), outputs).rows(made.leaves[0])
        bounds = Paths(replay(made.program, RoundedArithmetic()), outputs).bounds(made.leaves[0])
    assert np.isfinite(bounds).all()
    assert (np.abs(found - exact) <= bounds + np.spacing(np.abs(exact))).all()
    assert (bounds <= 1e-6 * (1 + np.abs(exact).max())).all()


def test_beyond_the_outputs_there_is_nothing(engine):
    made = engine.record(lambda x: (x * 2)[0, 0] + 0 * (x * 3)[0, 0], np.ones((2, 2)))
    later = next(block for block in made.program.blocks if block.operation == "multiply" and block.shape == (2, 2))
    with np.errstate(all="ignore"):
        paths = Paths(replay(made.program, RoundedArithmetic()), made.leaves[0].reshape(-1)[:1, None])
    assert not paths.bounds(later.nodes).any()


def test_a_partial_without_a_bound_leaves_none(engine):
    made = engine.record(lambda x: np.sqrt(x[0, 0]), np.zeros((1, 1)))
    with np.errstate(all="ignore"):
        assert np.isinf(
            Paths(replay(made.program, RoundedArithmetic()), made.index[:, None]).bounds(made.leaves[0])
        ).all()
