"""Wrong gradients that are right at the very point given: none is called right, for other points tell."""

from __future__ import annotations

import inspect
import sys

import numpy as np
import pytest

import gradlab
from gradlab.checker.verdict import Verdict

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(6, 4)), rng.normal(size=(6, 3))


def at_zero_bias():
    def loss(p):
        return 0.5 * np.sum((np.tanh(X @ p["W"] + p["b"]) - Y) ** 2)

    def grad(p):
        h = np.tanh(X @ p["W"] + p["b"])
        d = (h - Y) * (1 - h**2)
        return {"W": X.T @ d, "b": d.sum(0) + 0.1 * p["b"]}

    return gradlab.check_gradient(loss, grad, {"W": rng.normal(size=(4, 3)), "b": np.zeros(3)})


def slope_at_zero_weights():
    return gradlab.check_gradient(
        lambda W: np.sum(np.tanh(X @ W)), lambda W: X.T @ (1 - np.tanh(X @ W)), np.zeros((4, 3))
    )


def cube_at_one():
    return gradlab.check_gradient(lambda w: np.sum(w**2), lambda w: 2 * w**3, np.ones(3))


def step_with_zero_bias():
    def step(p, x, h):
        return np.tanh(p["W"] @ h + p["U"] @ x + p["b"])

    def vjp(p, x, h, u):
        d = u * (1 - step(p, x, h) ** 2)
        return {"W": np.outer(d, h), "U": np.outer(d, x), "b": d + 0.1 * p["b"]}

    p = {"W": rng.normal(size=(3, 3)), "U": rng.normal(size=(3, 2)), "b": np.zeros(3)}
    x, h = rng.normal(size=2), rng.normal(size=3)
    return gradlab.check_vjp(lambda p: step(p, x, h), lambda p, u: vjp(p, x, h, u), p)


def underflow():
    return gradlab.check_gradient(lambda p: np.sum(p**3), lambda p: 3 * p**2 * np.array([7.0, 1.0]), np.full(2, 1e-170))


CASES = [name for name, value in list(globals().items()) if inspect.isfunction(value) and not name.startswith("_")]


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_gradient_that_is_right_at_one_point_does_not_pass(name: str) -> None:
    report = getattr(sys.modules[__name__], name)()
    if name == "underflow":
        assert report.verdict is Verdict.CANNOT_TELL, str(report)
    else:
        assert report.verdict is Verdict.DISAGREE and report.proven, str(report)
        assert report.notes[0].startswith("not wrong at the point given, but wrong ")
        assert report.points[0].verdict is not Verdict.DISAGREE


def test_the_point_given_alone_is_blind_to_it() -> None:
    report = gradlab.check_gradient(lambda w: np.sum(w**2), lambda w: 2 * w**3, np.ones(3), points="given")
    assert report.ok and len(report.points) == 1
