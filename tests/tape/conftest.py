"""Functions of one array, recorded, replayed on balls and differentiated."""

from types import SimpleNamespace

import numpy as np
import pytest

from gradlab.arithmetic.balls import BallArithmetic, balls, midpoints, precision, radii
from gradlab.frontends.numpy_code import Recording
from gradlab.tape import Adjoints, replay
from gradlab.tape.recorded import Recorded
from gradlab.tape.replay import ties

BITS = 400
STEP = 2.0**-100


def record(function, *arrays, origin="parameter"):
    """A function of arrays as a program: the nodes of its arrays, and what it returned."""
    recording = Recording({"f": function})
    leaves = [recording.leaf(array, origin) for array in arrays]
    given = [recording.array(index, array.dtype) for index, array in zip(leaves, arrays, strict=True)]
    found = recording.call(recording.functions["f"], *given)
    recording.whole()
    index = recording.nodes(found)
    return SimpleNamespace(recording=recording, program=recording.program, leaves=leaves, found=found, index=index)


def ball_run(made, moved=None):
    """A run on balls; moved: exact balls in the place of a leaf, by its number."""
    starts = {int(index.reshape(-1)[0]): number for number, index in enumerate(made.leaves) if index.size}

    def leaves(block, values):
        number = starts.get(block.start)
        return None if moved is None or number not in moved else moved[number][None]

    return replay(made.program, BallArithmetic(), leaves=leaves)


def slopes(made, direction, seed=0):
    """The derivative of a random combination of what came out, along a direction of the first array.

    Returns: as the reverse sweep has it, and as central differences of exact balls 2⁻¹⁰⁰ apart, both on balls.
    """
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 8, made.index.size)
    with precision(BITS):
        run = ball_run(made)
        assert not ties(run, made.program.guards)
        rows = np.arange(made.index.size)[:, None]
        adjoints = Adjoints(run, made.index.reshape(-1)[rows]).rows(made.leaves[0])
        leaf = run.stored(made.leaves[0].reshape(-1))[0].reshape(direction.shape)
        by_sweep = sum(w * (row * direction).sum() for w, row in zip(weights.tolist(), adjoints, strict=True))
        ends = []
        for sign in (1, -1):
            moved = ball_run(made, {0: leaf + sign * balls(direction) * balls(np.array(STEP))[()]})
            values = moved.stored(made.index.reshape(-1))[0]
            ends.append(sum(w * value for w, value in zip(weights.tolist(), values.tolist(), strict=True)))
        by_differences = (ends[0] - ends[1]) / balls(np.array(2 * STEP))[()]
        return by_sweep, by_differences


@pytest.fixture(scope="session")
def engine():
    return SimpleNamespace(record=record, ball_run=ball_run, slopes=slopes, Recorded=Recorded, midpoints=midpoints, radii=radii)
