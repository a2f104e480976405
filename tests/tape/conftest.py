"""Functions of one array: recorded, replayed on balls and with rounding bounds, differentiated."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from gradlab.arithmetic.balls import BallArithmetic, balls, midpoints, precision
from gradlab.arithmetic.rounded import RoundedArithmetic
from gradlab.frontends.numpy_code import Recording
from gradlab.tape import Adjoints, Recorded, replay
from gradlab.tape.replay import ties

BITS = 400
STEP = 2.0**-100

X = np.random.default_rng(0).uniform(0.5, 2, (3, 4))


def function_of(code):
    """A form of NumPy as a function of np and x: an expression, or statements that end in r."""
    body = f"r = {code}" if not code.startswith("! ") else "\n ".join(part.strip() for part in code[2:].split(";"))
    names = {"math": math}
    exec(f"def f(np, x):\n {body}\n return r", names)
    return names["f"]


def record(function, *arrays):
    """A function of arrays as a program: the nodes of its arrays, and of what it returned."""
    recording = Recording({"f": function})
    leaves = [recording.leaf(array, "parameter") for array in arrays]
    given = [recording.array(index, array.dtype) for index, array in zip(leaves, arrays, strict=True)]
    found = recording.call(recording.functions["f"], *given)
    recording.whole()
    index = recording.nodes(found).reshape(-1)
    return SimpleNamespace(program=recording.program, leaves=leaves, found=found, index=index)


def on_balls(made, moved=None):
    """A run on balls; moved: what stands in the place of the first leaf."""
    start = int(made.leaves[0].reshape(-1)[0])
    return replay(made.program, BallArithmetic(), leaves=lambda block, _: moved if block.start == start else None)


def slopes(made):
    """The derivative of a combination of what came out, along a direction of the first leaf, both drawn.

    Returns: by the reverse sweep, and by central differences of exact balls 2⁻¹⁰⁰ apart.
    """
    rng = np.random.default_rng(0)
    direction = balls(rng.integers(1, 5, made.leaves[0].shape))
    weights = [int(one) for one in rng.integers(1, 8, made.index.size)]
    with precision(BITS):
        run = on_balls(made)
        assert not ties(run, made.program.guards)
        adjoints = Adjoints(run, made.index[:, None]).rows(made.leaves[0])
        leaf, step = run.stored(made.leaves[0]), balls(STEP)[()]
        ends = [on_balls(made, leaf + sign * step * direction).stored(made.index)[0] for sign in (1, -1)]
        by_sweep = sum(w * (row * direction).sum() for w, row in zip(weights, adjoints, strict=True))
        differences = [(up - down) / (2 * step) for up, down in zip(*ends, strict=True)]
        return by_sweep, sum(w * one for w, one in zip(weights, differences, strict=True))


def own(function, dtype):
    """What NumPy itself gives."""
    with np.errstate(all="ignore"):
        return function(np, X.astype(dtype))


def agree(code, dtype):
    """Record a form and hold everything about it against NumPy, against balls, and against differences."""
    function = function_of(code)
    wanted = own(function, dtype)
    made = record(lambda x: function(np, x), X.astype(dtype))
    found = made.found.floats if isinstance(made.found, Recorded) else made.found
    assert np.shape(found) == np.shape(wanted)
    assert np.asarray(found).dtype == np.asarray(wanted).dtype
    assert np.array_equal(found, wanted, equal_nan=True)
    if not isinstance(made.found, Recorded):
        return made
    if np.ndim(found) > 1 and min(found.shape) > 1:  # the order of sums depends on how numbers lie in memory
        assert np.array_equal(np.argsort(found.strides), np.argsort(wanted.strides))
    with precision(200):
        exact = midpoints(on_balls(made).stored(made.index)[0])
    with np.errstate(all="ignore"):
        run = replay(made.program, RoundedArithmetic(dtype))
        bounds = run.numbers(made.index).bounds()
    error = np.abs(np.asarray(found, np.float64).reshape(-1) - exact)
    assert (error <= bounds + np.spacing(np.abs(exact))).all()  # a spacing for the midpoint's own rounding
    assert np.isfinite(bounds).all()
    by_sweep, by_differences = slopes(made)
    with precision(BITS):
        assert abs(by_sweep - by_differences) < 2.0**-150 * (1 + abs(by_differences))
    return made


@pytest.fixture(scope="session")
def engine():
    return SimpleNamespace(
        X=X, agree=agree, function_of=function_of, on_balls=on_balls, own=own, record=record, slopes=slopes
    )
