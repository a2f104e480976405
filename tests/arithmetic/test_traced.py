"""Arrays on a tape: they move as object arrays do, differentiate as Variables do, and refuse what is not recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flint import arb

from gradlab.arithmetic import Ball, balls, gradient, overlaps, radii, relative_radius, rounding, variables, within
from gradlab.arithmetic.ball_arrays import Adjoints, BallArithmetic, as_balls
from gradlab.arithmetic.rounded_arrays import RoundedArithmetic, bounds
from gradlab.arithmetic.traced import Tape

A = np.array([[0.5, -1.25, 2.0], [0.0, 3.0, -0.75]])
B = np.array([[1.5, -0.5], [0.25, 2.0], [-1.0, 0.125]])


def moved(a: Any, b: Any) -> Any:
    kept = np.empty_like(a, shape=(3, *a.shape))
    kept[:2] = a
    kept[2] = a * a
    kept[1, 0] = kept[2, 1]  # another name of what is there
    return np.concatenate([kept[1], kept[2][::-1]]) + np.zeros_like(a)[0] + np.moveaxis(kept, 0, -1)[:, 0, 2].sum()


FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "products": lambda a, b: a.dot(b) @ b.T,
    "vectors": lambda a, b: a[0] @ b + a @ b[:, 0],
    "a row of ones": lambda a, b: np.ones_like(a[:, 0]) @ a,
    "broadcast": lambda a, b: a[:, :, None] * b - b[:, 0][:, None] / (3 + b),
    "functions": lambda a, b: np.tanh(a) * np.reciprocal(1 + np.exp(-a)),
    "powers": lambda a, b: (a - 7) ** 3 + b[:2, :1] ** 2 + (b[:2, :1] + 9) ** -1,
    "the same twice": lambda a, b: a[[0, 0, 1]] * a[[1, 0, 1]] + 0.5 * (a + a)[[0, 1, 1]],
    "moved": moved,
    "sums": lambda a, b: a.sum(axis=0) * np.sum(b, axis=(0, 1)) + a.sum(axis=1, keepdims=True),
}


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_values_and_derivatives_are_those_of_variables(name: str) -> None:
    tape = Tape(BallArithmetic())
    a, b = tape.numbers(A), tape.numbers(B)
    result = FUNCTIONS[name](a, b)
    adjoints = Adjoints(tape, result.reshape(1, -1))
    summed = Adjoints(tape, np.stack([result.reshape(-1)] * 2), [a])
    by_a, by_b = variables(balls(A)), variables(balls(B))
    wanted = FUNCTIONS[name](by_a, by_b)
    value = np.frompyfunc(lambda x: x.value, 1, 1)(wanted)
    assert overlaps(as_balls(tape.values(result)[0]), value).all() and result.shape == wanted.shape
    for one, by in ((a, by_a), (b, by_b)):
        found = as_balls(adjoints.rows(one)[0])
        assert overlaps(found, gradient(wanted.sum(), by)).all() and (radii(found) < 1e-12).all()
    assert overlaps(as_balls(summed.sums(a)), 2 * gradient(wanted.sum(), by_a)).all()


def test_a_partial_that_is_wrong_is_seen() -> None:
    tape = Tape(BallArithmetic())
    a = tape.numbers(A)
    result = np.tanh(a)
    block = tape.blocks[-1]
    tape.blocks[-1] = block._replace(parents=((block.parents[0][0], None),))
    by = variables(balls(A))
    found = as_balls(Adjoints(tape, result.reshape(1, -1)).rows(a)[0])
    assert not overlaps(found, gradient(np.tanh(by).sum(), by))[A != 0].any()


@pytest.mark.parametrize(
    ("calculation", "error", "message"),
    [
        (lambda a: np.einsum("ij->i", a), TypeError, "np.einsum is not recorded"),
        (np.sin, TypeError, "np.sin is not recorded; there are add, divide, exp"),
        (lambda a: a**0.5, TypeError, "np.power is not recorded"),
        (np.cumsum, TypeError, "np.cumsum is not recorded"),
        (np.add.accumulate, TypeError, "np.add with accumulate is not recorded"),
        (lambda a: a + np.empty_like(a), IndexError, "out of bounds"),
        (lambda a: a.dot(a), ValueError, "do not conform"),
        (lambda a: a @ np.zeros((2, 3, 2)), TypeError, "a product of shapes"),
        (lambda a: float(a.sum()), TypeError, "no float"),
        (lambda a: np.zeros_like(a, dtype=float), TypeError, "cannot be stored as float64"),
        (lambda a: np.zeros(a.shape, a.dtype) * 2.0, TypeError, "multiply"),
    ],
)
def test_what_is_not_recorded_is_refused(calculation: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        calculation(Tape(BallArithmetic()).numbers(A))


def test_numbers_are_stored_in_the_format_in_force() -> None:
    for dtype, stored in ((np.float64, [True, True, False]), (np.float32, [True, False, False])):
        with rounding(dtype):
            found = bounds(RoundedArithmetic().exact(np.array([0.5, 0.1, 5e-324])))
        assert (found == 0).tolist() == stored


def test_within_is_what_the_relative_radius_says() -> None:
    several = np.array(
        [Ball(arb(m, r)) for m in (0, 1, -3) for r in (0, 2**-40, 2**-33, 2**-32.5, 2)] + [Ball(arb("nan"))]
    )
    for most in (2.0**-33, 2.0**-40, 1.0):
        assert (within(several, most) == (relative_radius(several) <= most)).all()
