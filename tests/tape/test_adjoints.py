"""Reverse sweeps: every row, every sum, whatever the outputs are and however nodes are shared."""

import numpy as np
import pytest

from gradlab.arithmetic.balls import BallArithmetic, contains, midpoints, precision
from gradlab.arithmetic.floats import FloatArithmetic
from gradlab.tape import Adjoints, replay


def jacobian(engine, function, x, arithmetic=FloatArithmetic):
    """(K, …) by one sweep for all outputs."""
    made = engine.record(function, x)
    with np.errstate(all="ignore"):
        run = replay(made.program, arithmetic())
        return midpoints(Adjoints(run, made.index[:, None]).rows(made.leaves[0])) if arithmetic is BallArithmetic else (
            Adjoints(run, made.index[:, None]).rows(made.leaves[0])
        )  # fmt: skip


@pytest.mark.parametrize("arithmetic", [FloatArithmetic, BallArithmetic])
@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 1], [0], [2]], ids=str)
def test_outputs_may_be_any_part_of_a_block_in_any_order(order, arithmetic, engine):
    x = np.array([1.0, 2.0, 3.0])
    assert np.array_equal(jacobian(engine, lambda x: (x * x)[order], x, arithmetic), np.diag(2 * x)[order])


def test_an_output_that_is_a_parameter(engine):
    assert np.array_equal(jacobian(engine, lambda x: x[1], np.ones(3)), [[0, 1, 0]])


def test_an_output_that_depends_on_nothing(engine):
    assert np.array_equal(jacobian(engine, lambda x: x.size * 1.0, np.ones(3)), [[0, 0, 0]])


def test_an_output_that_is_in_a_row_twice(engine):
    made = engine.record(lambda x: x * x, np.array([3.0, 4.0]))
    sweep = Adjoints(replay(made.program, FloatArithmetic()), np.stack([made.index, made.index[[0, 0]]]))
    assert np.array_equal(sweep.rows(made.leaves[0]), [[6, 8], [12, 0]])


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (lambda x: x[[0, 0, 1]] @ x[[0, 1, 1]], [2 * 2 + 3, 2 + 2 * 3]),
        (lambda x: (x[[0, 0, 0]] * [1.0, 2.0, 3.0]).sum(), [6, 0]),
        (lambda x: (x[:, None] * [1.0, 2.0, 3.0]).sum(), [6, 6]),
        (lambda x: (x[0] * [[1.0, 2.0], [3.0, 4.0]]).sum(), [10, 0]),
        (lambda x: (x[[0, 1, 0]][:, None] + [[1.0, 2.0]]).sum(), [4, 2]),
        (lambda x: (x.reshape(2, 1) * x.reshape(1, 2)).sum(), [10, 10]),
        (lambda x: (x * x[:0, None]).sum() + x[1], [0, 1]),
        (lambda x: np.sum(x[None, :, None], axis=(0, -1)) @ [3.0, 4.0], [3, 4]),
    ],
)
def test_nodes_that_are_met_several_times(function, wanted, engine):
    assert np.array_equal(jacobian(engine, function, np.array([2.0, 3.0])), [wanted])


def test_products_of_stacks_of_matrices(engine):
    x = np.random.default_rng(0).normal(size=(2, 3, 3))
    found = jacobian(engine, lambda x: np.trace(x @ x, axis1=1, axis2=2).sum(), x)
    assert np.allclose(found[0], 2 * np.swapaxes(x, 1, 2), rtol=1e-14)


@pytest.mark.parametrize("shared", [False, True], ids=["rows", "sums"])
def test_sums_are_the_sums_of_the_rows(shared, engine):
    rng = np.random.default_rng(0)
    W, x = rng.normal(size=(3, 3)), rng.normal(size=(4, 3))

    def states(W):
        h, out = x[0], []
        for row in x:
            h = np.tanh(h @ W + row) * W[0, 0] if shared else np.tanh(h @ W + row)
            out.append(h.sum())
        return np.array(out)

    made = engine.record(states, W)
    run = replay(made.program, FloatArithmetic())
    rows = Adjoints(run, made.index[:, None]).rows(made.leaves[0])
    sums = Adjoints(run, made.index[:, None], summed=[made.leaves[0]]).sums(made.leaves[0])
    assert np.allclose(sums, rows.sum(axis=0), rtol=1e-13)


@pytest.mark.parametrize(
    ("function", "holds", "never"),
    [
        (lambda x: np.maximum(x[0], 1.0), [[0, 0], [0.3, 0], [1, 0]], [[1.1, 0], [0.5, 0.1]]),
        (lambda x: np.abs(x[0] - 1), [[-1, 0], [0, 0], [1, 0]], [[1.1, 0]]),
        (lambda x: np.max(x[:2]), [[1, 0], [0, 1], [0.5, 0.5]], [[-0.1, 1], [1.1, 0]]),
        (lambda x: np.minimum(x[0], x[1]), [[1, 0], [0, 1]], [[2, 0]]),
    ],
)
def test_at_a_tie_the_slope_is_all_that_it_may_be(function, holds, never, engine):
    made = engine.record(function, np.array([1.0, 1.0]))
    arithmetic = BallArithmetic()
    found = Adjoints(replay(made.program, arithmetic), made.index[:, None]).rows(made.leaves[0])[0]
    assert arithmetic.tied
    assert all(contains(found, np.array(one, float)).all() for one in holds)
    assert not any(contains(found, np.array(one, float)).all() for one in never)


def test_a_number_beside_itself_is_no_tie(engine):
    x = np.array([[1.0, 5.0], [2.0, 3.0]])
    made = engine.record(lambda x: np.maximum(x, x.T).sum(), x)
    arithmetic = BallArithmetic()
    found = Adjoints(replay(made.program, arithmetic), made.index[:, None]).rows(made.leaves[0])[0]
    assert not arithmetic.tied
    assert np.array_equal(midpoints(found), [[1, 2], [0, 1]])


def test_the_adjoints_of_what_lies_between(engine):
    made = engine.record(lambda x: np.sum(np.tanh(x) ** 2), np.array([0.5, -0.5]))
    tanh = next(block for block in made.program.blocks if block.operation == "tanh")
    with precision(100):
        run = replay(made.program, BallArithmetic())
        found = Adjoints(run, made.index[:, None]).rows(tanh.nodes)[0]
    assert np.allclose(midpoints(found), 2 * np.tanh([0.5, -0.5]), rtol=1e-15)
