"""No evaluation, in any format and any order, is off by more than the bound: each is measured against balls."""

import math
from functools import reduce

import numpy as np
import pytest

from gradlab.arithmetic.balls import BallArithmetic, balls, precision
from gradlab.arithmetic.rounded import FUNCTIONS, MONOTONE, STEEPEST, RoundedArithmetic
from gradlab.frontends.numpy_code import Recording
from gradlab.tape import replay

DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16], ids=["float64", "float32", "float16"])


def excess(evaluation, exact, bound):
    """Where |evaluation - exact| certainly exceeds the bound (and a bound of inf is never exceeded)."""
    with precision(300):
        errors = balls(np.ravel(evaluation)) - np.ravel(exact)
        pairs = zip(errors, np.ravel(bound), strict=True)
        return np.array([bool(abs(error) > limit) if math.isfinite(limit) else False for error, limit in pairs])


def judge(function, inputs, dtype, evaluations=()):
    """Bounds on a function of arrays, and how often floats exceed them: its own run's, and any others'."""
    recording = Recording({"f": function})
    arrays = [recording.array(recording.leaf(x, "parameter"), x.dtype) for x in inputs]
    index = recording.nodes(recording.call(recording.functions["f"], *arrays))
    with precision(300):
        exact = replay(recording.program, BallArithmetic()).stored(index.reshape(-1))[0]
    with np.errstate(all="ignore"):
        numbers = replay(recording.program, RoundedArithmetic(dtype)).numbers(index.reshape(-1))
        results = [numbers.values(), function(*inputs), *(evaluate(*inputs) for evaluate in evaluations)]
    bound = numbers.bounds()
    # The values are those of one evaluation in float64.
    return bound, [excess(result, exact, bound).sum() for result in results[1:]], np.ravel(results[1]), exact


def sequential(a, b):
    return reduce(np.add, (np.multiply.outer(a[:, k], b[k]) for k in range(a.shape[1])))


def pairwise(terms):
    half = len(terms) // 2
    return terms[0] if len(terms) == 1 else pairwise(terms[:half]) + pairwise(terms[half:])


def fused(a, b):
    """Multiply-adds rounded once, as near as wider floats give them."""
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
    lambda a, b: (b.T @ a.T).T,
    fused,
    flushed,
]


def normal(rng, dtype, sizes=lambda shape: 1.0):
    return tuple((rng.normal(size=s) * sizes(s)).astype(dtype) for s in ((12, 20), (20, 12)))


def cancelling(rng, dtype):
    a, b = rng.normal(size=(12, 10)), rng.normal(size=(10, 12))
    return np.hstack([a, -a * 1.0625]).astype(dtype), np.vstack([b, b]).astype(dtype)


MATRICES = {
    "plain": normal,
    "cancelling": cancelling,
    "spread": lambda rng, dtype: normal(rng, dtype, lambda shape: 2.0 ** rng.integers(-6, 6, size=shape)),
    "underflowing": lambda rng, dtype: normal(rng, dtype, lambda shape: math.sqrt(np.finfo(dtype).tiny)),
}


@DTYPES
@pytest.mark.parametrize("matrices", MATRICES.values(), ids=MATRICES)
@pytest.mark.parametrize("product", [np.matmul, lambda a, b: np.einsum("ik,kj->ij", a, b)], ids=["matmul", "einsum"])
def test_no_order_of_a_matrix_product_exceeds_the_bound(dtype, matrices, product):
    a, b = matrices(np.random.default_rng(0), dtype)
    bound, exceeding, *_ = judge(product, (a, b), dtype, ORDERS)
    assert np.isfinite(bound).all()
    assert exceeding == [0] * (1 + len(ORDERS))


def test_the_bound_of_float64_is_exceeded_in_float32():
    a, b = normal(np.random.default_rng(0), np.float32)
    bound, *_, result, exact = judge(np.matmul, (a, b), np.float64)
    assert excess(result, exact, bound).mean() > 0.9


def test_a_bound_of_one_rounding_is_exceeded_by_a_sum():
    a, b = normal(np.random.default_rng(0), np.float64)
    *_, result, exact = judge(np.matmul, (a, b), np.float64)
    assert excess(result, exact, 2.0**-53 * abs(result)).mean() > 0.3


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
    assert exceeding == [0] * 6
    assert bound.max() < 60 * 60 * np.finfo(dtype).eps * 2


def test_a_bound_of_half_the_terms_is_exceeded():
    x = np.ones(2**12, np.float16) + np.random.default_rng(0).uniform(0, 0.9, 2**12).astype(np.float16) / 8
    bound, exceeding, result, exact = judge(lambda x: reduce(np.add, list(x[:1024])), (x,), np.float16)
    assert exceeding == [0] and excess(result, exact, bound / 100).all()


@DTYPES
@pytest.mark.parametrize("name", [*MONOTONE, *STEEPEST])
def test_functions_stay_within_the_bound(dtype, name):
    rng = np.random.default_rng(2)
    x = (rng.uniform(-1, 1, size=400) * 2.0 ** rng.uniform(-8, 0, size=400)).astype(dtype)
    x = abs(x) if name in ("log", "log1p", "sqrt") else 1 + abs(x) if name == "arccosh" else x
    moved = (lambda x: x * x * x / x / x) if name != "arccosh" else (lambda x: 1 + x * x - x)
    bound, exceeding, *_ = judge(lambda x: getattr(np, name)(moved(x)), (x,), dtype)
    assert exceeding == [0]
    assert np.isfinite(bound).mean() > (0.8 if dtype != np.float16 else 0.3)  # many underflow


OPERATIONS = {
    "divide": lambda x, y: (x + y) / (x * y),
    "reciprocal": lambda x, y: np.reciprocal(x - y),
    "square": lambda x, y: (x + y) ** 2,
    "cube": lambda x, y: (x - y) ** 3,
    "large power": lambda x, y: (x + y) ** 7,
    "negative power": lambda x, y: (x - y) ** -3,
    "root": lambda x, y: abs(x * y) ** 0.5,
    "real power": lambda x, y: abs(x * y - x) ** 2.5,
    "negative real power": lambda x, y: (1 + abs(x * y - x)) ** -3.7,
    "both inexact": lambda x, y: (1 + abs(x * y)) ** (x + y),
    "of a constant": lambda x, y: 0.1 * x - y / 3 + 0.7,
    "magnitude": lambda x, y: -abs(x - y) * (x * y),
    "maximum": lambda x, y: np.maximum(x * x, 3 * y * y + x),
    "minimum": lambda x, y: np.minimum(x * x, 3 * y * y + x),
    "angle": lambda x, y: np.arctan2(x * y, x - y),
    "steps": lambda x, y: np.floor(8 * x) + np.ceil(8 * y) + np.trunc(8 * x) + np.rint(8 * y) + np.sign(x - y),
    "as float32": lambda x, y: (x * y).astype(np.float32) * x,
    "as float16": lambda x, y: (x * y).astype(np.float16) * x,
}


@DTYPES
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_operations_stay_within_the_bound(dtype, operation):
    rng = np.random.default_rng(3)
    x, y = (rng.normal(size=400).astype(dtype) for _ in range(2))
    bound, exceeding, *_ = judge(operation, (x, y), dtype)
    assert exceeding == [0]
    assert np.isfinite(bound).mean() > (0.9 if dtype != np.float16 else 0.6)


@DTYPES
@pytest.mark.parametrize("operation", [np.multiply, np.subtract], ids=["product", "difference"])
def test_one_result_flushed_to_zero_stays_within_the_bound(dtype, operation):
    tiny = float(np.finfo(dtype).tiny) ** (0.5 if operation is np.multiply else 1)
    # Below the smallest normal number: 0.78 of it as a product, 0.25 as a difference.
    x, y = (np.array([factor * tiny], dtype) for factor in (1.25, 0.625 if operation is np.multiply else 1.0))
    bound, *_, exact = judge(operation, (x, y), dtype)
    assert not excess(np.zeros(1), exact, bound).any()


@DTYPES
def test_a_sigmoid_overflows_to_zero(dtype):
    z = np.array([-1000, 1000, -87.5, -90, -110, -709, -720, 0], dtype=dtype)
    bound, exceeding, result, _ = judge(lambda z: 1 / (1 + np.exp(-z)), (z,), dtype)
    assert exceeding == [0]
    assert result[:2].tolist() == [0, 1]
    assert np.isfinite(bound).all()
    assert bound[0] <= 4.01 / float(np.finfo(dtype).max)
    assert bound[1] <= 4 * np.finfo(dtype).eps


UNRESOLVED = {
    "infinite minus infinite": lambda x: np.exp(1e4 * x) - np.exp(1e4 * x),
    "infinite times": lambda x: np.exp(1e4 * x) * (x - x + 2),
    "zero times infinite": lambda x: np.exp(1e4 * x) * (x - x),
    "over zero": lambda x: x / (x - x),
    "over around zero": lambda x: 1 / (x / 3 + x / 3 + x / 3 - x),
    "log of zero": lambda x: np.log(x - x),
    "log around zero": lambda x: np.log(x / 3 + x / 3 + x / 3 - x),
    "root of negative": lambda x: np.sqrt(-x),
    "real power of negative": lambda x: (-x) ** 0.5,
    "an angle at the cut": lambda x: np.arctan2(x / 3 + x / 3 + x / 3 - x, -x),
    "a pole of the tangent": lambda x: np.tan(np.arctan(x) * 2),
    "beyond arcsin": lambda x: np.arcsin(x / 3 + x / 3 + x / 3),
    "of unresolved": lambda x: np.tanh(np.log(-x)) * 0 + 1,
}


@pytest.mark.parametrize("function", UNRESOLVED.values(), ids=UNRESOLVED)
def test_unresolved_is_said(function):
    bound, *_ = judge(function, (np.ones(1),), np.float64)
    assert bound == math.inf


def test_a_step_at_the_edge_may_be_off_by_one():
    bound, *_ = judge(lambda x: np.floor(x / 3 + x / 3 + x / 3), (np.ones(1),), np.float64)
    assert bound == 1


ZEROS = {
    "times": lambda zero, x: zero * x,
    "times a sum": lambda zero, x: (x + x) * zero,
    "sum": lambda zero, x: np.sum(zero * x, keepdims=True),
    "over": lambda zero, x: zero / x,
    "power": lambda zero, x: zero**3,
    "tanh": lambda zero, x: np.tanh(zero),
    "sqrt": lambda zero, x: np.sqrt(zero),
    "negative": lambda zero, x: -zero,
    "magnitude": lambda zero, x: abs(zero),
    "product": lambda zero, x: zero[None] @ x[:, None],
    "cast": lambda zero, x: (zero * x).astype(np.float16),
}


@DTYPES
@pytest.mark.parametrize("operation", ZEROS.values(), ids=ZEROS)
def test_structural_zeros_stay_exact(dtype, operation):
    bound, exceeding, result, _ = judge(operation, (np.zeros(3, dtype), np.array([0.1, 0.2, 0.3], dtype)), dtype)
    assert not bound.any() and exceeding == [0] and not result.any()


@DTYPES
def test_what_the_format_does_not_hold_starts_with_an_error(dtype):
    arithmetic = RoundedArithmetic(dtype)
    numbers = arithmetic.numbers(arithmetic.exact(np.array([1.0, 0.1, float(np.finfo(dtype).tiny) / 2, np.inf])))
    assert (numbers.bounds() == 0).tolist() == [True, dtype is np.float64, False, False]
    assert (numbers.interval()[0] <= [1.0, 0.1, float(np.finfo(dtype).tiny) / 2, np.inf]).all()


def test_other_formats_have_no_bounds():
    with pytest.raises(ValueError, match="int64 has no bounds: wanted float64, float32 or float16"):
        RoundedArithmetic(np.int64)


def test_comparisons_are_certain_only_beyond_the_bounds():
    arithmetic = RoundedArithmetic()
    with np.errstate(all="ignore"):
        third = arithmetic.numbers(arithmetic.exact(np.array([1.0]))) / 3
        whole = third + third + third
        one = arithmetic.numbers(arithmetic.exact(np.array([1.0])))
        for name in ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal"):
            holds, fails = arithmetic.compare(name, whole, one)
            assert not holds.any() and not fails.any()
            holds, fails = arithmetic.compare(name, third, one)
            assert holds.all() is np.True_ or fails.all()
            assert bool(holds[0]) == bool(getattr(np, name)(1 / 3, 1.0))


@DTYPES
def test_a_net_forward_and_backward_stays_within_bounds_that_are_not_absurd(rnn, dtype):
    ratios = []
    for seed in range(2):
        problem = rnn.problem(seed=seed, dtype=dtype)
        bound, exceeding, result, exact = judge(
            lambda *problem: np.concatenate([grad.ravel() for grad in rnn.backward(*problem)]), problem, dtype
        )
        assert exceeding == [0]
        with precision(200):
            error = abs(np.array([float((x - y).mid()) for x, y in zip(balls(result), exact, strict=True)]))
        ratios.extend(bound[error > 0] / error[error > 0])
    assert 1 < np.median(ratios) < 1e4
    assert min(ratios) >= 1


def test_every_operation_that_has_bounds_is_named():
    assert RoundedArithmetic().functions == set(FUNCTIONS) | set(MONOTONE) | set(STEEPEST)
    assert RoundedArithmetic().functions <= BallArithmetic().functions
