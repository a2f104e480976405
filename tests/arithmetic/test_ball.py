import math
from fractions import Fraction

import numpy as np
import pytest
from flint import arb, ctx
from hypothesis import given
from hypothesis import strategies as st

from gradlab.arithmetic import Ball, contains, digits, midpoints, overlaps, precision, radii, relative_radius
from gradlab.arithmetic.ball import balls
from gradlab.arithmetic.scalar import FUNCTIONS

# No number is so small that 400 bits do not resolve what is added to it.
REALS = st.integers(-50 * 2**30, 50 * 2**30).map(lambda k: k / 2**30)
UNBOUNDED = Ball(1) / 0


def fraction(number: arb) -> Fraction:
    mantissa, exponent = map(int, number.man_exp())
    return Fraction(mantissa) * Fraction(2) ** exponent


def encloses(ball: Ball, number: Fraction) -> bool:
    return abs(fraction(ball.arb.mid()) - number) <= fraction(ball.arb.rad())


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_ring_operations_enclose_the_exact_rational(a, b):
    p, q = Fraction(a), Fraction(b)
    assert encloses(Ball(a) + Ball(b), p + q)
    assert encloses(Ball(a) - b, p - q)
    assert encloses(a * Ball(b), p * q)
    if b:
        assert encloses(Ball(a) / Ball(b), p / q)


def test_encloses_fails_for_a_neighbour():
    assert not encloses(Ball(1) / 3, Fraction(1, 3) + Fraction(1, 2**50))


@pytest.mark.parametrize("name", FUNCTIONS)
@given(x=REALS, y=REALS)
def test_functions_enclose_the_value_at_400_bits(name, x, y):
    def compute(x, y):
        return getattr(np, name)(np.array([Ball(x) * Ball(y)]))[0]

    with precision(400):
        narrow = compute(x, y)
    assert contains(compute(x, y), narrow)


def test_a_chain_encloses_itself_at_400_bits(rnn):
    problem = rnn.problem()

    def run(bits):
        with precision(bits):
            return rnn.backward(*map(balls, problem))

    for wide, narrow in zip(run(53), run(400), strict=True):
        assert contains(wide, narrow).all()
        assert not contains(wide, narrow + 1e-9).any()
        assert digits(wide).min() > 8
        assert digits(narrow).min() > 110


def test_precision_is_restored_even_after_an_error():
    before = ctx.prec
    with precision(300):
        assert ctx.prec == 300
    with pytest.raises(ZeroDivisionError), precision(300):
        _ = 1 / 0
    assert ctx.prec == before


def test_precision_needs_two_bits():
    with pytest.raises(ValueError, match=r"precision\(1\): at least 2 bits"), precision(1):
        pass


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_inputs_are_exact_at_any_precision(dtype):
    array = np.array([2**62 + 1, -3, 0]) if dtype is np.int64 else np.array([0.1, 1e30, -3], dtype=dtype)
    with precision(4):
        lifted = balls(array)
    assert (radii(lifted) == 0).all()
    assert [fraction(x.arb) for x in lifted] == [Fraction(x.item()) for x in array]


def test_readers():
    third = Ball(1) / 3
    wide = Ball(arb(1, 2))
    array = np.array([Ball(2), third, wide, UNBOUNDED, 0], dtype=object)
    np.testing.assert_allclose(midpoints(array), [2, 1 / 3, 1, np.nan, 0])
    assert radii(array)[0] == radii(array)[4] == 0
    assert 0 < radii(array)[1] < 1e-15
    assert radii(array)[2] >= 2
    assert radii(array)[3] == math.inf
    assert relative_radius(array)[[0, 2, 3, 4]].tolist() == [0, math.inf, math.inf, 0]
    assert relative_radius(array)[1] >= 3 * radii(array)[1]
    assert digits(array)[[0, 2, 3, 4]].tolist() == [math.inf, 0, 0, math.inf]
    assert 15 < digits(array)[1] < 17


def test_radii_are_rounded_up():
    assert radii(Ball(arb(1, "1e-400"))) == 5e-324
    assert radii(Ball(arb(1, "1e400"))) == math.inf
    with precision(200):
        tenth = arb("0.1").upper()
        radius = float(radii(Ball(arb(0, tenth))))
    assert Fraction(radius) >= fraction(arb(0, tenth).rad())


def test_overlap_and_containment():
    third, half = Ball(1) / 3, Ball(0.5)
    assert overlaps([third, half, UNBOUNDED], [third, third, half]).tolist() == [True, False, True]
    assert contains([half, half, third, UNBOUNDED], [0.5, 0.25, 0.5, third]).tolist() == [True, False, False, True]
    with pytest.raises(TypeError, match="expected a ball or a real number, got str"):
        overlaps("a", half)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_powers_of_a_ball_around_zero_stay_finite(n):
    around_zero = Ball(arb(0, 0.5))
    assert contains(around_zero**n, [0.5**n, 0, (-0.5) ** n]).all()
    assert radii(around_zero**n) < 0.51


def test_what_has_no_finite_enclosure_is_unbounded():
    around_zero = Ball(arb(0, 0.5))
    for result in (1 / around_zero, np.log(around_zero), np.sqrt(around_zero - 1), around_zero**-1):
        assert radii(result) == math.inf
