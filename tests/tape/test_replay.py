"""A program in another arithmetic, and what steered the run asked again."""

import numpy as np
import pytest

from gradlab.arithmetic.balls import BallArithmetic, balls, midpoints, precision
from gradlab.arithmetic.floats import FloatArithmetic
from gradlab.arithmetic.rounded import RoundedArithmetic
from gradlab.tape import replay
from gradlab.tape.replay import Unsupported, span, ties


def asked(engine, function, x, moved=None):
    """The comparisons that the balls leave open; moved: the first leaf instead."""
    made = engine.record(function, np.asarray(x, float))
    with precision(100):
        run = engine.on_balls(made, None if moved is None else balls(np.asarray(moved, float))[None])
        return ties(run, made.program.guards)


STEERED = {
    "if": lambda x: x if x[0] > 1 else -x,
    "while": lambda x: next(k for k in range(9) if x[0] * 2**k > 5) * x,
    "mask": lambda x: x[x > 1].sum(),
    "where": lambda x: np.where(x > 1, x, 0),
    "sort": lambda x: np.sort(x),
    "argsort": lambda x: x[np.argsort(x)],
    "argsort of all": lambda x: x[np.argsort(x.reshape(1, -1), axis=None)],
    "sorted": lambda x: np.array(sorted(x)),
    "max of Python": lambda x: max(x),
    "argmax": lambda x: x[np.argmax(np.exp(x))],
    "argmin": lambda x: x[x.argmin()],
    "partition": lambda x: np.partition(x, 1),
    "median": lambda x: np.median(x),
    "unique": lambda x: np.unique(x),
    "int": lambda x: x * int(x[0]),
    "round": lambda x: x * round(x[0]),
    "floor of math": lambda x: x * __import__("math").floor(x[0]),
    "astype(int)": lambda x: x * x.astype(int),
    "bool": lambda x: x if x[0] - 1 else 2 * x,
    "searchsorted": lambda x: x * np.searchsorted([1.0, 2.0], x),
    "digitize": lambda x: x * np.digitize(x, [1.0, 2.0]),
    "digitize down": lambda x: x * np.digitize(x, [2.0, 1.0]),
    "interp": lambda x: np.interp(x, [0.0, 1.0, 2.0, 9.0], [1.0, 2.0, 5.0, 6.0]),
    "isclose": lambda x: x if np.isclose(x[0], 1.0, rtol=0, atol=0.5) else 2 * x,
    "array_equal": lambda x: x if np.array_equal(x, [1.5, 0.25, 4.5]) else 2 * x,
    "signbit": lambda x: x * np.signbit(x - 1),
    "copysign": lambda x: np.copysign(1.0, x - 1) * x,
    "heaviside": lambda x: np.heaviside(x - 1, 0.5) * x,
    "any": lambda x: x * np.any(x - 1),
    "nonzero": lambda x: x[np.nonzero(x - 1)],
    "histogram": lambda x: np.histogram(x, bins=[0.0, 1.0, 2.0])[0] * x[:2],
    "membership": lambda x: x if 1.0 in x else 2 * x,
    "dictionary": lambda x: {1.0: x}.get(float(x[0]), 2 * x),
    "slogdet": lambda x: np.linalg.slogdet(np.diag(x) - np.eye(3))[0] * x,
}


@pytest.mark.parametrize("name", STEERED)
def test_what_steers_is_asked_again(name, engine):
    # 1.5, 0.25, 4.5 is far from every border above; the points moved to lie on the other side of one.
    x, others = (
        [1.5, 0.25, 4.5],
        ([0.5, 0.25, 4.5], [1.5, 1.75, 4.5], [1.0, 0.25, 4.5], [9.5, 0.25, 4.5], [1.5, 0.25, 0.75]),
    )
    assert not asked(engine, STEERED[name], x)
    if name not in ("dictionary",):
        assert any(asked(engine, STEERED[name], x, moved) for moved in others)


def test_a_tie_is_said(engine):
    assert [tie.contrary for tie in asked(engine, np.sort, [1.0, 1.0, 0.5])] == [True]
    assert [tie.contrary for tie in asked(engine, lambda x: x if np.sqrt(x[0]) ** 2 > 2 else -x, [2.0])] == [False]


def test_a_number_is_itself_however_wide_its_ball(engine):
    made = engine.record(lambda x: np.exp(x)[np.argmax(np.exp(x))] if x[0] >= x[0] else x, np.array([0.1, 0.2]))
    with precision(30):
        assert not ties(replay(made.program, BallArithmetic()), made.program.guards)


def test_the_guard_names_the_line(engine):
    (tie,) = asked(engine, lambda x: x if x[0] > 1 else -x, [0.5], [1.5])
    assert tie.where.startswith("test_replay.py:")


def test_blocks_may_be_given_other_numbers_and_a_run_may_stop(engine):
    made = engine.record(lambda x: np.exp(x * 2).sum(), np.array([0.0, 1.0]))
    number = next(i for i, block in enumerate(made.program.blocks) if block.operation == "multiply")
    run = replay(made.program, FloatArithmetic(), changed={number: np.zeros((1, 2))})
    assert run.stored(made.index)[0, 0] == 2
    short = replay(made.program, FloatArithmetic(), length=made.program.blocks[number].stop)
    assert np.array_equal(short.stored(made.program.blocks[number].nodes), [[0, 2]])


def test_what_an_arithmetic_does_not_know_is_named_with_its_line(engine):
    scipy_special = pytest.importorskip("scipy.special")
    made = engine.record(lambda x: scipy_special.erf(x), np.array([0.5]))
    with pytest.raises(Unsupported, match=r"test_replay.py:\d+: no bounds are known for erf"):
        replay(made.program, RoundedArithmetic())


def test_numbers_that_were_rounded_before_are_known_to_within_it(engine):
    made = engine.record(lambda x: x * [0.1, 0.5, 3.0, 1 / 3], np.ones(4))
    with precision(100):
        widths = [float(one.rad()) for one in replay(made.program, BallArithmetic(2.0**-50)).stored(made.index)[0]]
    assert widths[1] == widths[2] == 0 < widths[0] < 2.0**-52 < widths[3] < 2.0**-51


@pytest.mark.parametrize(
    ("index", "start"),
    [([3, 4, 5], 3), ([[2, 3], [4, 5]], 2), ([3, 5, 4], None), ([3, 3], None), ([5], 5), ([], None), ([4, 3], None)],
)
def test_nodes_that_follow_each_other(index, start):
    assert span(np.array(index, np.intp)) == start


def test_moving_by_a_hundredth_of_a_millionth_moves_what_comes_out(engine):
    made = engine.record(lambda x: x @ x, np.array([1.0, 2.0]))
    with precision(200):
        moved = engine.on_balls(made, balls(np.array([1.0, 2.0 + 2.0**-40]))[None])
        assert midpoints(moved.stored(made.index)[0])[0] == 5 + 4 * 2.0**-40
