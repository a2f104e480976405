"""Balls contain what is exact, whatever is done with them; what cannot be enclosed is unbounded."""

import math
from fractions import Fraction

import numpy as np
import pytest
from flint import arb, ctx
from hypothesis import given
from hypothesis import strategies as st

from gradlab.arithmetic.balls import (
    COMPARISONS,
    FUNCTIONS,
    BallArithmetic,
    balls,
    compared,
    contains,
    digits,
    finite,
    gaps,
    holds_zero,
    midpoints,
    overlaps,
    precision,
    radii,
    reaches,
    relative_radius,
    within,
)

# No number is so small that 400 bits do not resolve what is added to it.
REALS = st.integers(-50 * 2**30, 50 * 2**30).map(lambda k: k / 2**30)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)

TWO = ("add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "arctan2")


def fraction(number: arb) -> Fraction:
    mantissa, exponent = map(int, number.man_exp())
    return Fraction(mantissa) * Fraction(2) ** exponent


def encloses(ball: arb, number: Fraction) -> bool:
    return abs(fraction(ball.mid()) - number) <= fraction(ball.rad())


@given(FLOATS, FLOATS)
def test_ring_operations_enclose_the_exact_rational(a, b):
    function, p, q = BallArithmetic().function, Fraction(a), Fraction(b)
    x, y = balls([a]), balls([b])
    assert encloses(function("add", x, y)[0], p + q)
    assert encloses(function("subtract", x, y)[0], p - q)
    assert encloses(function("multiply", x, y)[0], p * q)
    assert encloses(function("integer_power", x, parameter=3)[0], p**3)
    if b:
        assert encloses(function("divide", x, y)[0], p / q)


def test_encloses_fails_for_a_neighbour():
    assert not encloses(arb(1) / 3, Fraction(1, 3) + Fraction(1, 2**50))


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in ("cast", "integer_power")])
@given(x=REALS, y=REALS)
def test_functions_enclose_the_value_at_400_bits(name, x, y):
    def compute():
        operands = (balls([x]) * balls([y]), balls([y]) / 3)[: 2 if name in TWO else 1]
        return BallArithmetic().function(name, *operands)

    with precision(400):
        narrow = compute()
    assert contains(compute(), narrow).all() or not finite(narrow).any()


@pytest.mark.parametrize("name", ["rint", "trunc", "floor", "ceil", "sign"])
@given(x=st.integers(-(2**10), 2**10).map(lambda k: k / 4))
def test_steps_are_numpys_where_a_number_is_exact(name, x):
    assert midpoints(BallArithmetic().function(name, balls([x])))[0] == getattr(np, name)(x)


@pytest.mark.parametrize(("name", "low", "high"), [("rint", 0, 1), ("trunc", 0, 1), ("floor", 0, 1), ("sign", -1, 1)])
def test_steps_enclose_both_sides_of_a_jump(name, low, high):
    edge = {"rint": 0.5, "trunc": 1.0, "floor": 1.0, "sign": 0.0}[name]
    found = BallArithmetic().function(name, np.array([arb(edge, 1e-9)], object))
    assert contains(found, [low]).all() and contains(found, [high]).all() and not contains(found, [high + 1]).any()


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_powers_of_a_ball_around_zero_stay_finite(n):
    around = np.array([arb(0, 0.5)], object)
    for found in (
        BallArithmetic().function("integer_power", around, parameter=n),
        BallArithmetic().function("power", around, balls([float(n)])),
    ):
        assert contains(found, [0.5**n]).all() and contains(found, [0.0]).all() and reaches(found)[0] < 2 * 0.5**n


def test_what_has_no_finite_enclosure_is_unbounded():
    function = BallArithmetic().function
    around, negative = np.array([arb(0, 0.5)], object), balls([-1.0])
    for found in (
        balls([1.0]) / around,
        function("log", around),
        function("sqrt", negative),
        function("arcsin", balls([2.0])),
    ):
        assert not finite(found).any() and np.isinf(radii(found)).all() and np.isinf(reaches(found)).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int64, bool])
def test_inputs_are_exact_at_any_precision(dtype):
    numbers = np.array([0, 1, 0.1, 3e4], float).astype(dtype)
    with precision(2):
        found = balls(numbers)
    assert not radii(found).any() and np.array_equal(midpoints(found), numbers.astype(float))
    assert not radii(BallArithmetic().exact(numbers)).any()


def test_other_inputs_are_refused():
    with pytest.raises(TypeError, match="expected an array of floats or integers, got dtype complex128"):
        balls([1j])


def test_precision_is_restored_even_after_an_error():
    before = ctx.prec
    with pytest.raises(ZeroDivisionError), precision(99):
        _ = ctx.prec / 0
    assert ctx.prec == before


def test_precision_needs_two_bits():
    with pytest.raises(ValueError, match=r"precision\(1\): at least 2 bits are needed"), precision(1):
        pass


def test_products_are_those_of_exact_integers():
    rng = np.random.default_rng(0)
    a, b = rng.integers(-9, 9, (2, 3, 4)), rng.integers(-9, 9, (2, 4, 5))
    arithmetic = BallArithmetic()
    assert np.array_equal(midpoints(arithmetic.product(balls(a), balls(b))), a @ b)
    key = ("a", 1)
    for _ in range(2):  # a factor that is kept
        assert np.array_equal(midpoints(arithmetic.product(balls(a[0]), balls(b[0]), keys=(key, None))), a[0] @ b[0])
    assert arithmetic.product(balls(a[0][:0]), balls(b[0])).shape == (0, 5)
    assert not midpoints(arithmetic.product(balls(a[0][:, :0]), balls(b[0][:0]))).any()


def test_factors_are_kept_no_longer_than_there_is_room():
    arithmetic = BallArithmetic()
    for number in range(40):
        made = arithmetic.product(balls([[float(number)]]), balls([[1.0]]), keys=(number, None))
        assert midpoints(made)[0, 0] == number


def test_sums_over_axes_stay_of_length_one():
    x = np.arange(24).reshape(2, 3, 4)
    for axes in [(0,), (1, 2), (0, 1, 2), ()]:
        assert np.array_equal(midpoints(BallArithmetic().total(balls(x), axes)), x.sum(axis=axes, keepdims=True))


@pytest.mark.parametrize("name", COMPARISONS)
def test_a_comparison_holds_or_fails_only_where_that_is_certain(name):
    wide = np.array([arb(1, 0.5), arb(1, 0.5), arb(1)], object)
    other = balls([1.0, 3.0, 1.0])
    holds, fails = BallArithmetic().compare(name, wide, other)
    exact = getattr(np, name)([1, 1, 1], [1, 3, 1])
    assert not holds[0] and not fails[0]
    assert np.array_equal(holds[1:], exact[1:]) and np.array_equal(fails[1:], ~exact[1:])


def test_slopes_at_a_tie_are_said():
    arithmetic = BallArithmetic()
    assert midpoints(arithmetic.at_least(balls([2.0, 1.0]), balls([1.0, 2.0]))).tolist() == [1, 0]
    assert midpoints(arithmetic.sign(balls([2.0, -1.0]))).tolist() == [1, -1]
    assert not arithmetic.tied
    assert contains(arithmetic.at_least(balls([1.0]), balls([1.0])), [0.0]).all() and arithmetic.tied


def test_readers():
    found = np.array([arb(1), arb(1, 0.25), arb(0, 1), arb("nan"), arb(2.0**-1074, 2.0**-1074)], object)
    assert midpoints(found)[:3].tolist() == [1, 1, 0]
    assert radii(found)[0] == 0 and radii(found)[1] >= 0.25 and np.isinf(radii(found)[3]) and radii(found)[4] > 0
    assert (
        relative_radius(found)[0] == 0
        and relative_radius(found)[1] >= 1 / 3
        and np.isinf(relative_radius(found)[2:4]).all()
    )
    assert within(found, 0.5).tolist() == [True, True, False, False, False]
    assert digits(found)[0] == math.inf and 0 < digits(found)[1] < 1 and digits(found)[2] == 0
    assert holds_zero(found).tolist() == [False, False, True, True, True]
    assert finite(found).tolist() == [True, True, True, False, True]
    assert reaches(found)[1] >= 1.25 and np.isinf(reaches(found)[3])


def test_overlap_containment_and_gaps():
    a, b = np.array([arb(0, 1), arb(0, 1)], object), np.array([arb(1.5, 1), arb(3, 1)], object)
    assert overlaps(a, b).tolist() == [True, False]
    assert contains(a, [0.5, 1.5]).tolist() == [True, False]
    assert gaps(a, b)[0] == 0 and 0.99 < gaps(a, b)[1] <= 1


def test_side_by_side():
    a = np.array([arb(1), arb(0, 1e-300), arb("nan"), arb(1)], object)
    b = np.array([arb(1, 1e-12), arb(0), arb(1), arb(2)], object)
    seen = compared(a, b, 1e-9)
    assert seen.overlap.tolist() == [True, True, True, False]
    assert seen.narrow.tolist() == [True, False, False, True]
    assert seen.zero.tolist() == [False, True, True, False]
    assert seen.bounded.tolist() == [True, True, False, True]
    assert seen.other[3] == 2 and seen.other_radius[0] >= 1e-12 and np.isinf(seen.radius[2])
    assert compared(a[:0], b[:0], 1e-9).overlap.shape == (0,)
