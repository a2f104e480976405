import sys

import numpy as np
import pytest

from gradlab.arithmetic import Ball, Undecidable, contains, digits, overlaps, precision
from gradlab.arithmetic.ball import balls
from gradlab.arithmetic.tape import Variable, gradient, variables

X = np.array([0.5, 1.25, 2.0])
Y = np.array([1.5, 0.25, 3.0])

# name: (f(x, y), df/dx, df/dy), on arrays
DERIVATIVES = {
    "add": (lambda x, y: x + y, lambda x, y: x**0, lambda x, y: y**0),
    "sub": (lambda x, y: x - y, lambda x, y: x**0, lambda x, y: -(y**0)),
    "mul": (lambda x, y: x * y, lambda x, y: y, lambda x, y: x),
    "div": (lambda x, y: x / y, lambda x, y: 1 / y, lambda x, y: -x / y**2),
    "pow": (lambda x, y: x**y, lambda x, y: y * x ** (y - 1), lambda x, y: x**y * np.log(x)),
    "neg-abs": (lambda x, y: -abs(x - 3 * y), lambda x, y: -np.sign(x - 3 * y), lambda x, y: 3 * np.sign(x - 3 * y)),
    "constants": (lambda x, y: 2 * x - y * 3 + 1, lambda x, y: 2 * x**0, lambda x, y: -3 * y**0),
    "constants-right": (lambda x, y: 1 - x + y / 4, lambda x, y: -(x**0), lambda x, y: y**0 / 4),
    "of-a-number": (lambda x, y: 3 / x + 2.5**y, lambda x, y: -3 / x**2, lambda x, y: 2.5**y * np.log(2.5 * y**0)),
    "int-powers": (lambda x, y: x**3 + y**-2, lambda x, y: 3 * x**2, lambda x, y: -2 * y**-3),
    "real-powers": (lambda x, y: x**0.5 + y**0.1, lambda x, y: 0.5 / x**0.5, lambda x, y: 0.1 * y**0.1 / y),
    "exp": (lambda x, y: np.exp(x * y), lambda x, y: y * np.exp(x * y), lambda x, y: x * np.exp(x * y)),
    "expm1": (lambda x, y: np.expm1(x) * y, lambda x, y: np.exp(x) * y, lambda x, y: np.expm1(x)),
    "log": (lambda x, y: np.log(x) * y, lambda x, y: y / x, lambda x, y: np.log(x)),
    "log1p": (lambda x, y: np.log1p(x) * y, lambda x, y: y / (1 + x), lambda x, y: np.log1p(x)),
    "sqrt": (lambda x, y: np.sqrt(x * y), lambda x, y: np.sqrt(y / x) / 2, lambda x, y: np.sqrt(x / y) / 2),
    "sin": (lambda x, y: np.sin(x) * y, lambda x, y: np.cos(x) * y, lambda x, y: np.sin(x)),
    "cos": (lambda x, y: np.cos(x) * y, lambda x, y: -np.sin(x) * y, lambda x, y: np.cos(x)),
    "sinh": (lambda x, y: np.sinh(x) * y, lambda x, y: np.cosh(x) * y, lambda x, y: np.sinh(x)),
    "cosh": (lambda x, y: np.cosh(x) * y, lambda x, y: np.sinh(x) * y, lambda x, y: np.cosh(x)),
    "tanh": (lambda x, y: np.tanh(x) * y, lambda x, y: y / np.cosh(x) ** 2, lambda x, y: np.tanh(x)),
    "arctan": (lambda x, y: np.arctan(x) * y, lambda x, y: y / (1 + x**2), lambda x, y: np.arctan(x)),
    "maximum": (lambda x, y: np.maximum(x, y), lambda x, y: (x > y) * x**0, lambda x, y: (y > x) * y**0),
    "relu": (lambda x, y: np.where(x > y, x * y, 0), lambda x, y: (x > y) * y, lambda x, y: (x > y) * x),
    "reused": (lambda x, y: (x * y) * (x * y) + x, lambda x, y: 2 * x * y * y + 1, lambda x, y: 2 * x * x * y),
}


@pytest.mark.parametrize("row", DERIVATIVES.values(), ids=DERIVATIVES)
def test_gradients_equal_their_closed_forms(row):
    function, *derivatives = row
    with precision(128):
        x, y = balls(X), balls(Y)
        inputs = [variables(x), variables(y)]
        for got, derivative in zip(gradient(function(*inputs).sum(), inputs), derivatives, strict=True):
            wanted = derivative(x, y)
            assert overlaps(got, wanted).all()
            assert not overlaps(got, 1e-30 * x + wanted).any()
            assert digits(got).min() > 30


def test_the_tape_agrees_with_a_backward_pass_by_hand(rnn):
    with precision(128):
        x, y, *weights = map(balls, rnn.problem())
        taped = list(map(variables, weights))
        loss, _, _ = rnn.forward(x, y, *taped)
        for by_tape, by_hand in zip(gradient(loss, taped), rnn.backward(x, y, *weights), strict=True):
            assert by_tape.shape == by_hand.shape
            assert overlaps(by_tape, by_hand).all()
            assert not overlaps(by_tape, 1.0000001 * by_hand).any()
            assert digits(by_tape).min() > 25


def test_differentiates_with_respect_to_intermediates(rnn):
    with precision(128):
        x, y, *weights = map(balls, rnn.problem())
        loss, hidden, outputs = rnn.forward(x, y, *map(variables, weights))
        last = gradient(loss, outputs[-1])
        assert overlaps(last, midpoints_as_balls(outputs[-1]) - y[-1]).all()
        assert gradient(loss, hidden[1]).shape == hidden[1].shape


def midpoints_as_balls(array):
    return np.frompyfunc(lambda x: x.value, 1, 1)(array)


def test_what_the_output_does_not_depend_on_has_gradient_exactly_zero():
    x, y = variables(balls(X)), variables(balls(Y))
    for output in (x.sum(), Ball(3)):
        zeros = gradient(output, y)
        assert all(type(zero) is Ball for zero in zeros)
        assert all(zero == 0 for zero in zeros)


@pytest.mark.parametrize("zero", [0, 0.0, np.float32(0), False], ids=repr)
def test_a_product_with_an_exact_zero_is_a_constant(zero):
    x = variables(balls(X))[0]
    for product in (x * zero, zero * x):
        assert type(product) is Ball
        assert product == 0


def test_scalars_are_constants_on_both_sides():
    x, c = variables(balls(X))[0], Ball(3)
    for result, partial in ((c * x, 3), (x * c, 3), (c - x, -1), (x - c, 1), (c / (2 * x), -3), (x**c, 0.75)):
        assert type(result) is Variable
        (derivative,) = gradient(result, np.array([x])) * 2 * (X[0] if partial == -3 else 0.5)
        assert contains(derivative, partial * 2 if partial == -3 else partial)


def test_a_power_of_zero_exponent_has_a_derivative_at_zero():
    x = variables(balls([0.0]))
    assert type((x**0)[0]) is Ball
    assert contains(gradient((x**1 + x**2).sum(), x), 1).all()


def test_abs_has_no_derivative_at_zero():
    with pytest.raises(Undecidable, match=r"abs\(Variable\(Ball\(0\)\)\) has no derivative at 0"):
        abs(variables(balls([0.0])))


WRONG = {
    "floats": (lambda: variables(X), r"a Variable holds a Ball, got float; see balls\(\)"),
    "variables": (lambda: variables(variables(balls(X))), "a Variable holds a Ball, got Variable"),
    "wrt-balls": (lambda: gradient(variables(balls(X)).sum(), balls(X)), "differentiate with respect to a Ball"),
}


@pytest.mark.parametrize(("call", "message"), WRONG.values(), ids=WRONG)
def test_refusals(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_a_chain_of_100_000_nodes():
    x = variables(balls([1.0]))
    power = x[0]
    for _ in range(100_000):
        power = power * x[0]
    assert contains(gradient(power, x), 100_001).all()
    del power  # and is released without running out of stack


def test_a_reverse_pass_visits_only_what_the_output_depends_on(monkeypatch):
    x = variables(balls(np.ones(1000)))
    squares = x * x
    multiplied = []
    multiply = Ball.__mul__
    monkeypatch.setattr(Ball, "__mul__", lambda a, b: multiplied.append(b) or multiply(a, b))
    gradient(squares[7], x)
    assert len(multiplied) == 2
    gradient(squares.sum(), x)
    assert len(multiplied) == 2 + 2000


def test_the_tape_is_released_with_its_last_reference():
    x, constant = variables(balls(X)), Ball(2)
    before = sys.getrefcount(constant)
    output = (x * constant).sum()
    assert sys.getrefcount(constant) > before
    del output
    assert sys.getrefcount(constant) == before
