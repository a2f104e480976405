"""The gates: against jax.vjp, in every arithmetic, in both tails.

Bounds: u = 2⁻⁵³, γ(n) = n u / (1 - n u). A sum of n products, in any order, is off by at most γ(n) times the same sum
of magnitudes (Higham, Accuracy and Stability, eq. 3.5); two such results differ by at most twice that.
"""

from __future__ import annotations

import decimal
import warnings
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradlab.manual import gates
from gradlab.problem import Array

U = 2.0**-53
DTYPES = (np.float32, np.float64, np.complex128)


def _gamma(n: int) -> float:
    return n * U / (1 - n * U)


def _normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).normal(size=shape)


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def _vjp(function: Any, delta: Array, *arguments: Array) -> tuple[Array, tuple[Array, ...]]:
    with jax.enable_x64(True):
        value, back = jax.vjp(function, *map(jnp.asarray, arguments))
        return np.asarray(value), tuple(np.asarray(part) for part in back(jnp.asarray(delta)))


def _agree(got: Array, wanted: Array, bound: Array) -> None:
    assert got.shape == wanted.shape and got.dtype == wanted.dtype == np.float64
    off = np.argwhere(~(abs(got - wanted) <= bound))
    assert not off.size, f"at {off[0]}: {got[tuple(off[0])]!r}, jax {wanted[tuple(off[0])]!r}"


ROWS = pytest.mark.parametrize("leading", [(), (1,), (5,), (4, 3), (2, 4, 3)], ids=str)


def _check_multiply(backward: Any, leading: tuple[int, ...]) -> None:
    inputs, weights, delta = _normal(*leading, 6), _normal(6, 5), _normal(*leading, 5, seed=1)
    value, (wanted_inputs, wanted_weights) = _vjp(jnp.matmul, delta, inputs, weights)
    got_inputs, got_weights = backward(delta, inputs, weights)
    n_rows = int(np.prod(leading))
    _agree(gates.multiply(inputs, weights), value, 2 * _gamma(6) * (abs(inputs) @ abs(weights)))
    _agree(got_inputs, wanted_inputs, 2 * _gamma(5) * (abs(delta) @ abs(weights).T))
    magnitudes = abs(inputs).reshape(n_rows, 6).T @ abs(delta).reshape(n_rows, 5)
    _agree(got_weights, wanted_weights, 2 * _gamma(n_rows) * magnitudes)


@ROWS
def test_multiply_is_the_vjp_of_jax(leading: tuple[int, ...]) -> None:
    _check_multiply(gates.multiply_backward, leading)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda d, x, W: (gates.multiply(d, W.T), -gates.multiply_backward(d, x, W)[1]),
        lambda d, x, W: (gates.multiply(d, W.T) * (1 + 1e-13), gates.multiply_backward(d, x, W)[1]),
        lambda d, x, W: (gates.multiply(d, W.T), gates.multiply_backward(d, x, W)[1].T),
        lambda d, x, W: (gates.multiply(d, W.T), gates.multiply_backward(d[:1], x[:1], W)[1]),
    ],
    ids=["sign", "a relative 1e-13", "transposed", "one row only"],
)
def test_a_wrong_multiply_backward_is_caught(wrong: Any) -> None:
    with pytest.raises(AssertionError):
        _check_multiply(wrong, (5,))


@ROWS
def test_add_is_the_vjp_of_jax(leading: tuple[int, ...]) -> None:
    left, right, delta = _normal(*leading, 4), _normal(*leading, 4, seed=1), _normal(*leading, 4, seed=2)
    value, wanted = _vjp(jnp.add, delta, left, right)
    assert np.array_equal(gates.add(left, right), value)
    assert all(np.array_equal(g, w) for g, w in zip(gates.add_backward(delta), wanted, strict=True))


def _jax_sigmoid(z: Any) -> Any:
    return 1 / (1 + jnp.exp(-z))


def _check_sigmoid(backward: Any) -> None:
    """|z| ≤ 5.

    Forward: an exp off by 4 ulp (8 u), an addition and a division: a relative 10 u each side, 20 u between them.
    Backward: that error of a moves a by 10 u a and 1 - a by 10 u a, so a (1 - a) by a relative 10 u / (1 - a);
    subtraction and two products add 3 u. jax differentiates the quotient: exp and at most 8 more roundings, 26 u.
    """
    z, delta = np.linspace(-5, 5, 101), _normal(101, seed=1)
    value, (wanted,) = _vjp(_jax_sigmoid, delta, z)
    a = gates.sigmoid(z)
    _agree(a, value, 20 * U * value)
    _agree(backward(delta, a), wanted, abs(wanted) * U * (10 / (1 - a) + 3 + 26))


def test_sigmoid_is_the_vjp_of_jax() -> None:
    _check_sigmoid(gates.sigmoid_backward)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda d, a: d * gates.sigmoid(a) * (1 - gates.sigmoid(a)),
        lambda d, a: d * a,
        lambda d, a: -d * a * (1 - a),
        lambda d, a: d * a * (1 - a) * (1 + 1e-12),
    ],
    ids=["twice", "half of the product", "sign", "a relative 1e-12"],
)
def test_a_wrong_sigmoid_backward_is_caught(wrong: Any) -> None:
    with pytest.raises(AssertionError):
        _check_sigmoid(wrong)


def _exact_sigmoid(z: float) -> Decimal:
    return 1 / (1 + Decimal(-z).exp())


def _check_tails(sigmoid: Any) -> None:
    """Relative: 8 u from exp (4 ulp) and one u each from addition and division; 1 - σ(z) is held through σ(-z)."""
    z = np.concatenate([np.linspace(-708, 708, 1417), _normal(100)])
    got = sigmoid(z)
    with decimal.localcontext(prec=50):
        for value, at in zip(got, z, strict=True):
            exact = _exact_sigmoid(float(at))
            assert abs(Decimal(float(value)) - exact) <= Decimal(10 * U) * exact, at


def test_sigmoid_has_full_relative_accuracy_in_both_tails() -> None:
    _check_tails(gates.sigmoid)


def test_a_sigmoid_by_tanh_is_caught() -> None:
    """½ + ½ tanh(z/2) is as accurate absolutely, and has no correct digit at z = -40."""
    with pytest.raises(AssertionError):
        _check_tails(lambda z: 0.5 + 0.5 * np.tanh(z / 2))


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=lambda d: d.__name__)
def test_sigmoid_of_huge_values_is_silent(dtype: Any) -> None:
    z = np.array([-1000, 1000, -1e30, 1e30], dtype)
    with np.errstate(over="warn", invalid="warn", divide="warn"):
        a = gates.sigmoid(z)
        slope = gates.sigmoid_backward(np.ones_like(a), a)
    assert a.dtype == slope.dtype == dtype
    assert a.tolist() == [0, 1, 0, 1] and slope.tolist() == [0, 0, 0, 0]


def test_sigmoid_of_a_complex_step_is_silent_and_accurate_up_to_600() -> None:
    z = np.array([-600.0, -20.0, 0.0, 20.0, 600.0])
    step = 1e-30  # times the slope, 1e-261 at ±600, this must not underflow
    a = gates.sigmoid(z + 1j * step)
    # the exp, the sum, Smith's quotient of two complex numbers: at most 40 u of each part
    assert (abs(a.real - gates.sigmoid(z)) <= 40 * U * a.real).all()
    slope = gates.sigmoid(z) * gates.sigmoid(-z)
    assert (abs(a.imag / step - slope) <= 40 * U * slope).all()


def test_sigmoid_of_huge_complex_values_is_silent_and_not_a_number_where_it_overflows() -> None:
    low, high = gates.sigmoid(np.array([-1000 + 1e-30j, 1000 + 1e-30j]))
    assert np.isnan(low)
    assert high == 1


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)
def test_every_gate_keeps_the_dtype(dtype: Any) -> None:
    inputs, weights, delta = (a.astype(dtype) for a in (_normal(4, 3, 6), _normal(6, 5), _normal(4, 3, 5)))
    results = [
        gates.multiply(inputs, weights),
        *gates.multiply_backward(delta, inputs, weights),
        gates.add(delta, delta),
        *gates.add_backward(delta),
        gates.sigmoid(delta),
        gates.sigmoid_backward(delta, delta),
        gates.rows(delta),
    ]
    assert {array.dtype for array in results} == {np.dtype(dtype)}


def _fractions(array: Array) -> Array:
    return np.vectorize(Fraction, otypes=[object])(array)


def test_fractions_run_unchanged_and_exactly() -> None:
    inputs, weights, delta = _normal(4, 3, 6), _normal(6, 5), _normal(4, 3, 5)
    exact = [_fractions(a) for a in (inputs, weights, delta)]
    product = gates.multiply(exact[0], exact[1])
    assert product.shape == (4, 3, 5) and isinstance(product[0, 0, 0], Fraction)
    assert product[1, 2, 3] == sum(exact[0][1, 2, i] * exact[1][i, 3] for i in range(6))
    off = abs(gates.multiply(inputs, weights) - product.astype(float))
    assert (off <= (_gamma(6) + U) * (abs(inputs) @ abs(weights))).all()
    delta_inputs, delta_weights = gates.multiply_backward(exact[2], exact[0], exact[1])
    assert delta_inputs[3, 0, 1] == sum(exact[2][3, 0, h] * exact[1][1, h] for h in range(5))
    rows = [(t, b) for t in range(4) for b in range(3)]
    assert delta_weights[2, 4] == sum(exact[0][(*row, 2)] * exact[2][(*row, 4)] for row in rows)
    a = _fractions(np.array([0.25, 0.5]))
    assert gates.sigmoid_backward(np.array([Fraction(3), Fraction(1)]), a).tolist() == [Fraction(9, 16), Fraction(1, 4)]


@pytest.mark.parametrize("leading", [(), (7,)], ids=["rows alone", "over time"])
def test_stacked_weights_agree_with_one_by_one(leading: tuple[int, ...]) -> None:
    inputs, weights = _normal(*leading, 4, 3, 6), _normal(4, 6, 5)
    stacked = gates.multiply(inputs, weights)
    assert stacked.shape == (*leading, 4, 3, 5)
    for k in range(4):
        bound = 2 * _gamma(6) * (abs(inputs[..., k, :, :]) @ abs(weights[k]))
        _agree(stacked[..., k, :, :], gates.multiply(inputs[..., k, :, :], weights[k]), bound)


def test_gates_leave_their_inputs_alone() -> None:
    given = [_normal(4, 3, 6), _normal(6, 5), _normal(4, 3, 5)]
    before = [array.copy() for array in given]
    inputs, weights, delta = given
    gates.multiply(inputs, weights)
    gates.multiply_backward(delta, inputs, weights)
    gates.add(delta, delta)
    gates.sigmoid_backward(delta, gates.sigmoid(delta))
    assert all(np.array_equal(a, b) for a, b in zip(given, before, strict=True))
