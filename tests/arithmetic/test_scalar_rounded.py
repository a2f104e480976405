"""No evaluation, in any order, may be off by more than the bound: each is measured against balls of 200 bits."""

import math
from functools import reduce

import numpy as np
import pytest

from gradlab.arithmetic import Rounded, Undecidable, balls, bounds, precision, rounded, rounding, values
from gradlab.arithmetic.scalar import FUNCTIONS

DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])


def excess(evaluation, exact, bound):
    """Where |evaluation - exact| certainly exceeds the bound (and a bound of inf is never exceeded)."""
    with precision(200):
        return np.array(
            [
                bool(abs(error) > limit) if math.isfinite(limit) else False
                for error, limit in zip(np.ravel(balls(evaluation) - exact), np.ravel(bound), strict=True)
            ]
        )


def judge(function, inputs, dtype, evaluations=()):
    """Bounds, and how often float results exceed them: `function` in `dtype` and any others of the same formula."""
    with precision(200):
        exact = function(*map(balls, inputs))
    with rounding(dtype):
        symbolic = function(*map(rounded, inputs))
        bound, one = bounds(symbolic), values(symbolic)
    with np.errstate(all="ignore"):
        results = [one, function(*inputs), *(evaluate(*inputs) for evaluate in evaluations)]
    return bound, [excess(result, exact, bound).sum() for result in results], results[1], exact


def sequential(a, b):
    return reduce(np.add, (np.multiply.outer(a[:, k], b[k]) for k in range(a.shape[1])))


def pairwise(terms):
    half = len(terms) // 2
    return terms[0] if len(terms) == 1 else pairwise(terms[:half]) + pairwise(terms[half:])


def fused(a, b):
    """Multiply-adds rounded once, as near as doubles give them for float32."""
    wide, total = np.longdouble if a.dtype == np.float64 else np.float64, np.zeros((len(a), b.shape[1]), a.dtype)
    for k in range(a.shape[1]):
        total = (total.astype(wide) + np.multiply.outer(a[:, k].astype(wide), b[k].astype(wide))).astype(a.dtype)
    return total


def flushed(a, b):
    """Every product and every sum below the smallest normal number becomes 0."""
    tiny, total = np.finfo(a.dtype).tiny, np.zeros((len(a), b.shape[1]), a.dtype)
    for k in range(a.shape[1]):
        term = np.multiply.outer(a[:, k], b[k])
        total = total + np.where(abs(term) < tiny, 0, term)
        total = np.where(abs(total) < tiny, 0, total)
    return total


ORDERS = [
    sequential,
    lambda a, b: sequential(a[:, ::-1], b[::-1]),
    lambda a, b: pairwise([np.multiply.outer(a[:, k], b[k]) for k in range(a.shape[1])]),
    lambda a, b: np.einsum("ik,kj->ij", a, b),
    lambda a, b: (b.T @ a.T).T,
    fused,
    flushed,
]


def cancelling(rng, dtype):
    a, b = rng.normal(size=(12, 10)), rng.normal(size=(10, 12))
    return np.hstack([a, -a * (1 + 1e-6)]).astype(dtype), np.vstack([b, b]).astype(dtype)


MATRICES = {
    "plain": lambda rng, dtype: (rng.normal(size=(12, 20)).astype(dtype), rng.normal(size=(20, 12)).astype(dtype)),
    "cancelling": cancelling,
    "spread": lambda rng, dtype: tuple(
        (rng.normal(size=s) * 10.0 ** rng.integers(-12, 12, size=s)).astype(dtype) for s in ((12, 20), (20, 12))
    ),
    "underflowing": lambda rng, dtype: tuple(
        (rng.normal(size=s) * math.sqrt(np.finfo(dtype).tiny)).astype(dtype) for s in ((12, 20), (20, 12))
    ),
    "subnormal": lambda rng, dtype: (
        (rng.normal(size=(12, 20)) * float(np.finfo(dtype).tiny) / 8).astype(dtype),
        rng.normal(size=(20, 12)).astype(dtype),
    ),
}


@DTYPES
@pytest.mark.parametrize("matrices", MATRICES.values(), ids=MATRICES)
def test_no_order_of_a_matrix_product_exceeds_the_bound(dtype, matrices):
    for seed in range(2):
        a, b = matrices(np.random.default_rng(seed), dtype)
        bound, exceeding, *_ = judge(np.matmul, (a, b), dtype, ORDERS)
        assert np.isfinite(bound).all()
        assert exceeding == [0] * (2 + len(ORDERS))


def test_the_bound_of_float64_is_exceeded_in_float32():
    a, b = MATRICES["plain"](np.random.default_rng(0), np.float32)
    with precision(200):
        exact = balls(a) @ balls(b)
    assert excess(a @ b, exact, bounds(rounded(a) @ rounded(b))).mean() > 0.9


def test_a_bound_of_one_rounding_is_exceeded_by_a_sum():
    a, b = MATRICES["plain"](np.random.default_rng(0), np.float64)
    with precision(200):
        exact = balls(a) @ balls(b)
    assert excess(a @ b, exact, 2.0**-53 * abs(a @ b)).mean() > 0.3


@DTYPES
def test_no_order_of_a_sum_exceeds_the_bound(dtype):
    x = np.random.default_rng(1).normal(size=(60, 40)).astype(dtype)
    orders = [
        lambda x: x[::-1].sum(axis=0),
        lambda x: reduce(np.add, list(x)),
        lambda x: pairwise(list(x)),
        lambda x: np.sort(x, axis=0).sum(axis=0),
        lambda x: np.ones(len(x), x.dtype) @ x,
    ]
    bound, exceeding, *_ = judge(lambda x: x.sum(axis=0), (x,), dtype, orders)
    assert exceeding == [0] * 7
    assert bound.max() < 60 * 60 * np.finfo(dtype).eps * 2


@DTYPES
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_stay_within_the_bound(dtype, name):
    rng = np.random.default_rng(2)
    x = (rng.normal(size=400) * 10.0 ** rng.uniform(-6, 1, size=400)).astype(dtype)
    x, y = (abs(x), abs(x[::-1])) if name in ("log", "log1p", "sqrt") else (x, x[::-1])
    bound, exceeding, *_ = judge(lambda x, y: getattr(np, name)(x * y + x), (x, y), dtype)
    assert exceeding == [0, 0]
    assert np.isfinite(bound).mean() > 0.9


OPERATIONS = {
    "divide": lambda x, y: (x + y) / (x * y),
    "reciprocal": lambda x, y: np.reciprocal(x - y),
    "square": lambda x, y: (x + y) ** 2,
    "cube": lambda x, y: (x - y) ** 3,
    "large-power": lambda x, y: (x + y) ** 17,
    "negative-power": lambda x, y: (x - y) ** -3,
    "root": lambda x, y: abs(x * y) ** 0.5,
    "real-power": lambda x, y: abs(x * y - x) ** 2.5,
    "negative-real-power": lambda x, y: abs(x * y - x) ** -3.7,
    "inexact-exponent": lambda x, y: abs(x) ** (8 * x * y),
    "both-inexact": lambda x, y: abs(x * y) ** (x + y),
    "of-a-constant": lambda x, y: 0.1 * x - y / 3 + 0.7,
    "abs-and-sign": lambda x, y: -abs(x - y) * (x * y),
    "maximum": lambda x, y: np.maximum(x * x, 3 * y * y + x),
}


@DTYPES
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_operations_stay_within_the_bound(dtype, operation):
    rng = np.random.default_rng(3)
    x, y = (rng.normal(size=400).astype(dtype) for _ in range(2))
    bound, exceeding, result, _ = judge(operation, (x, y), dtype)
    assert exceeding == [0, 0]
    assert np.median(bound / abs(result)) < 200 * np.finfo(dtype).eps


@DTYPES
@pytest.mark.parametrize(("operation", "power"), [(np.multiply, 0.5), (np.subtract, 1)], ids=["product", "difference"])
def test_one_result_flushed_to_zero_stays_within_the_bound(dtype, operation, power):
    tiny = float(np.finfo(dtype).tiny) ** power
    # Below the smallest normal number: 0.78 of it as a product, 0.25 as a difference.
    x, y = (np.array([factor * tiny], dtype=dtype) for factor in (1.25, 0.625 if operation is np.multiply else 1.0))
    with precision(200):
        exact = operation(balls(x), balls(y))
    with rounding(dtype):
        assert not excess(np.zeros(1), exact, bounds(operation(rounded(x), rounded(y)))).any()
    assert excess(np.zeros(1), exact, np.finfo(dtype).eps * abs(operation(x, y))).any()


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


@DTYPES
def test_a_sigmoid_overflows_to_zero(dtype):
    z = np.array([-1000, 1000, -87.5, -90, -110, -709, -720, 0], dtype=dtype)
    bound, exceeding, result, _ = judge(sigmoid, (z,), dtype)
    assert exceeding == [0, 0]
    assert result[:2].tolist() == [0, 1]
    assert np.isfinite(bound).all()
    assert bound[0] <= 4.01 / float(np.finfo(dtype).max)
    assert bound[1] <= 4 * np.finfo(dtype).eps


def test_what_may_or_may_not_overflow_counts_as_infinite():
    with rounding(np.float32):
        edge = np.exp(rounded(np.array([88.7229], dtype=np.float32)))
        assert values(edge) == math.inf
        assert values(1 / edge) == 0
        assert 1 < bounds(1 / edge) * float(np.finfo(np.float32).max) < 5


INFINITE = np.exp(Rounded(1000))
UNRESOLVED = {
    "infinite-minus": INFINITE - 1,
    "infinite-minus-infinite": INFINITE - INFINITE,
    "infinite-times": INFINITE * 2,
    "zero-times-infinite": 0 * INFINITE,
    "infinite-over-infinite": INFINITE / INFINITE,
    "infinite-power": INFINITE**2,
    "overflowing-sum": Rounded(1.7e308) + 1.7e308,
    "cancelling-partial-sums": sum(rounded([1e308, 1e308, -1e308])) * 1,
    "overflowing-power": Rounded(1e200) ** 2.5,
    "over-zero": Rounded(1) / 0,
    "over-around-zero": 1 / (Rounded(0.1) + 0.2 - 0.3),
    "log-of-zero": np.log(Rounded(0)),
    "log-around-zero": np.log(Rounded(0.1) + 0.2 - 0.3),
    "root-of-negative": np.sqrt(Rounded(-1)),
    "real-power-of-negative": Rounded(-1) ** 0.5,
    "nan": Rounded(math.nan),
    "of-unresolved": np.tanh(np.log(Rounded(-1))) * 0 + 1,
}


@pytest.mark.parametrize("number", UNRESOLVED.values(), ids=UNRESOLVED)
def test_unresolved_is_said_and_not_raised(number):
    assert bounds(number) == math.inf
    assert math.isnan(values(number))
    with pytest.raises(Undecidable):
        bool(number > 0)


def test_infinite_keeps_its_sign():
    assert values([INFINITE + 1, 1 + INFINITE, -INFINITE - 1]).tolist() == [math.inf, math.inf, -math.inf]
    assert values([1 / INFINITE, -3 / INFINITE, 0 / INFINITE, np.exp(-INFINITE)]).tolist() == [0, 0, 0, 0]
    assert values([np.tanh(INFINITE), np.tanh(-INFINITE)]).tolist() == [1, -1]
    assert bounds(INFINITE) == math.inf
    assert INFINITE > 1e300
    with pytest.raises(Undecidable):
        bool(INFINITE > 1.7e308)


ZEROS = {
    "times": lambda zero, x: zero * x,
    "times-unrounded-sum": lambda zero, x: (x + x) * zero,
    "sum": lambda zero, x: zero + 0,
    "over": lambda zero, x: zero / x,
    "power": lambda zero, x: zero**3,
    "tanh": lambda zero, x: np.tanh(zero),
    "sqrt": lambda zero, x: np.sqrt(zero),
    "negative": lambda zero, x: -zero,
    "abs": lambda zero, x: abs(zero),
    "product": lambda zero, x: np.array([zero, 0 * x]) @ np.array([x, x]),
}


@DTYPES
@pytest.mark.parametrize("operation", ZEROS.values(), ids=ZEROS)
def test_structural_zeros_stay_exact(dtype, operation):
    with rounding(dtype):
        zero = operation(Rounded(0), Rounded(0.1) * 3)
        assert (zero.v, zero.e, zero.A, zero.n) == (0, 0, 0, 0)


def test_an_exact_zero_adds_no_term():
    total = Rounded(1) + Rounded(2)
    assert (total + 0).n == (0 + total).n == total.n == 2
    assert bounds(total + 0) == bounds(total)


@DTYPES
def test_what_the_format_does_not_hold_starts_with_an_error(dtype):
    numbers = [1.0, 0.1, float(np.finfo(dtype).tiny) / 2]
    with rounding(dtype):
        held = bounds(rounded(np.array(numbers))) == 0
    assert held.tolist() == [True, dtype is np.float64, False]
    with rounding(dtype):
        assert bounds(Rounded(2**60 + 1)) >= 1


def test_rounding_is_restored_even_after_an_error():
    with pytest.raises(ZeroDivisionError), rounding(np.float32):
        _ = 1 / 0
    assert bounds(Rounded(0.1)) == 0


def test_rounding_has_two_formats():
    with pytest.raises(ValueError, match=r"rounding\(float16\): only float64 and float32"), rounding(np.float16):
        pass


@DTYPES
def test_a_net_forward_and_backward_stays_within_bounds_that_are_not_absurd(rnn, dtype):
    ratios = []
    for seed in range(4):
        problem = rnn.problem(seed=seed, dtype=dtype)

        def gradients(*problem):
            return np.concatenate([grad.ravel() for grad in rnn.backward(*problem)])

        bound, exceeding, result, exact = judge(gradients, problem, dtype)
        assert exceeding == [0, 0]
        with precision(200):
            error = abs(np.array([float((x - y).arb.mid()) for x, y in zip(balls(result), exact, strict=True)]))
        ratios.extend(bound[error > 0] / error[error > 0])
    assert 1 < np.median(ratios) < 1e4
    assert min(ratios) >= 1


@pytest.mark.parametrize("scale", [30, 1000])
@DTYPES
def test_a_saturated_net_stays_within_its_bounds(rnn, dtype, scale):
    problem = rnn.problem(seed=5, scale=scale, dtype=dtype)
    bound, exceeding, *_ = judge(lambda *p: np.concatenate([g.ravel() for g in rnn.backward(*p)]), problem, dtype)
    assert exceeding == [0, 0]
    assert np.isfinite(bound).any()
