"""Floats as an arithmetic: what NumPy gives, at other numbers."""

import numpy as np
import pytest

from gradlab.arithmetic.balls import FUNCTIONS
from gradlab.arithmetic.floats import FloatArithmetic
from gradlab.frontends.numpy_code import Recording
from gradlab.tape import replay


def test_a_replay_gives_the_floats_of_the_recorded_run():
    x = np.random.default_rng(0).normal(size=(3, 3))

    def function(x):
        y = np.tanh(x @ x) ** 3 + x**-2
        return np.sum(np.max(y, axis=0) * np.exp(np.minimum(x, 0.5))) + np.abs(y).mean()

    recording = Recording({"f": function})
    leaf = recording.leaf(x, "parameter")
    index = recording.nodes(recording.call(recording.functions["f"], recording.array(leaf, float)))
    run = replay(recording.program, FloatArithmetic())
    assert np.isclose(run.stored(index)[0], function(x), rtol=1e-14)
    elsewhere = replay(
        recording.program, FloatArithmetic(), leaves=lambda block, _: x[None] * 2 if block.start == leaf[0, 0] else None
    )
    assert np.isclose(elsewhere.stored(index)[0], function(2 * x), rtol=1e-14)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_numpys_or_named(name):
    x = np.array([0.25, 0.5])
    operands = (
        (x, x) if name in ("add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "arctan2") else (x,)
    )
    if name in ("erf", "erfc", "gammaln", "digamma", "trigamma"):
        with pytest.raises(KeyError, match=name):
            FloatArithmetic.function(name, *operands)
    elif name == "integer_power":
        assert np.array_equal(FloatArithmetic.function(name, x, parameter=-2), 1 / x**2)
    elif name == "cast":
        assert FloatArithmetic.function(name, np.array([0.1]), parameter=np.float32)[0] == np.float32(0.1)
    elif name == "detach":
        assert np.array_equal(FloatArithmetic.function(name, x), x)
    else:
        with np.errstate(all="ignore"):
            wanted = getattr(np, name)(*operands)
            assert np.array_equal(FloatArithmetic.function(name, *operands), wanted, equal_nan=True)


def test_slopes_and_comparisons():
    a, b = np.array([1.0, 2.0, 2.0]), np.array([2.0, 1.0, 2.0])
    assert FloatArithmetic.at_least(a, b).tolist() == [0, 1, 0.5]
    assert FloatArithmetic.sign(a - b).tolist() == [-1, 1, 0]
    holds, fails = FloatArithmetic.compare("less", a, b)
    assert holds.tolist() == [True, False, False] and fails.tolist() == [False, True, True]
    assert FloatArithmetic.total(np.ones((2, 3)), (1,)).tolist() == [[3], [3]]
