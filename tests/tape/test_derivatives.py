"""Every row of the table of partial derivatives is the derivative of its function, in every arithmetic."""

import numpy as np
import pytest

from gradlab.arithmetic.balls import FUNCTIONS, BallArithmetic, balls, midpoints, precision
from gradlab.arithmetic.rounded import RoundedArithmetic
from gradlab.tape.derivatives import PARTIALS

STEP = 2.0**-100

# Rows of a parameter, and what it may be.
PARAMETERS = {"integer_power": (0, 1, 2, 5, -1, -3), "cast": (np.float32,)}

# Of what is held constant the derivative is 0, and its value is not.
CONSTANT = ("detach",)


def points(name, count):
    """Where a function is smooth, on both sides of 0 if it can be."""
    drawn = np.random.default_rng(0).uniform(0.1, 0.9, (count, 40))
    if name == "arccosh":
        return drawn + 1
    if name in ("log", "log1p", "sqrt", "gammaln", "digamma", "power"):
        return drawn
    return drawn * np.where(np.arange(40) % 2, 1, -1)


def is_derivative(name, row, parameter=None):
    """Whether a row gives the central differences of the function, of balls 2⁻¹⁰⁰ apart: off by some 2⁻²⁰⁰."""
    function = lambda *operands: BallArithmetic().function(name, *operands, parameter=parameter)  # noqa: E731
    with precision(500):
        operands = [balls(one) for one in points(name, row.__code__.co_argcount - 3)]
        partials = row(BallArithmetic(), parameter, function(*operands), *operands)
        for place, partial in enumerate(partials):
            step = balls(STEP)[()]
            ends = [[x + sign * step * (i == place) for i, x in enumerate(operands)] for sign in (1, -1)]
            differences = (function(*ends[0]) - function(*ends[1])) / (2 * step)
            claimed = np.broadcast_to(np.asarray(1 if partial is None else partial, object), differences.shape)
            if not all(abs(one - other) < 2.0**-150 for one, other in zip(claimed, differences, strict=True)):
                return False
    return True


def test_there_is_a_row_for_every_function():
    assert set(PARTIALS) == set(FUNCTIONS) - {"trigamma"}


@pytest.mark.parametrize("name", [name for name in PARTIALS if name not in CONSTANT])
def test_every_row_is_the_derivative(name):
    for parameter in PARAMETERS.get(name, (None,)):
        assert is_derivative(name, PARTIALS[name], parameter)


def test_what_is_held_constant_has_none():
    (partial,) = PARTIALS["detach"](BallArithmetic(), None, balls([2.0]), balls([2.0]))
    assert partial[0] == 0


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("tanh", lambda ar, _, y, x: (1 - y,)),
        ("exp", lambda ar, _, y, x: (y + y * balls(STEP)[()],)),
        ("multiply", lambda ar, _, y, a, b: (a, b)),
        ("subtract", lambda ar, _, y, a, b: (None, None)),
        ("arctan2", lambda ar, _, y, a, b: (b / (a * a + b * b), a / (a * a + b * b))),
        ("absolute", lambda ar, _, y, x: (None,)),
    ],
)
def test_a_wrong_row_is_caught(name, wrong):
    assert not is_derivative(name, wrong)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("name", [name for name in PARTIALS if name in RoundedArithmetic().functions])
def test_bounds_of_the_partials_hold_for_floats(name, dtype):
    parameter = PARAMETERS.get(name, (None,))[-1]
    operands = [one.astype(dtype) for one in points(name, PARTIALS[name].__code__.co_argcount - 3)]
    with precision(200):
        exact, found = BallArithmetic(), [balls(one) for one in operands]
        wanted = PARTIALS[name](exact, parameter, exact.function(name, *found, parameter=parameter), *found)
    with np.errstate(all="ignore"):
        ar = RoundedArithmetic(dtype)
        found = [ar.numbers(ar.exact(one)) for one in operands]
        partials = PARTIALS[name](ar, parameter, ar.function(name, *found, parameter=parameter), *found)
    for one, other in zip(partials, wanted, strict=True):
        if one is not None and not isinstance(one, int):
            values = midpoints(other)
            known = np.isfinite(one.bounds())
            assert known.mean() > 0.5
            assert (np.abs(one.values() - values) <= one.bounds() + np.spacing(np.abs(values)))[known].all()
