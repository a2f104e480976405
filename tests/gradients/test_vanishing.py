"""A gradient that vanishes: what a fixed tolerance accepts, enclosures do not. And how long a full check takes."""

from __future__ import annotations

import numpy as np
import pytest

from gradlab.checker.verdict import Verdict
from gradlab.gradients import check_gradient


class Rnn:
    """A tanh RNN; its loss is at the last step, or at every one. `dropped`: the step whose link backward leaves out."""

    def __init__(self, T: int, I: int, H: int, *, every_step: bool, dropped: int | None = None) -> None:
        rng = np.random.default_rng(0)
        self.x, self.y = rng.uniform(-1, 1, (T, I)), rng.uniform(-1, 1, (T, 1))
        self.dropped, self.steps = dropped, range(T) if every_step else range(T - 1, T)
        self.T, self.H = T, H

    def forward(self, p):
        a = [p.get("a", np.full(self.H, 0.25))]
        for t in range(self.T):
            a.append(np.tanh(self.x[t] @ p["W_input"] + a[-1] @ p["W_hidden"]))
        return a

    def loss(self, p):
        a = self.forward(p)
        return 0.5 * sum(np.sum((a[t + 1] @ p["W_output"] - self.y[t]) ** 2) for t in self.steps)

    def grad(self, p):
        a = self.forward(p)
        g = {name: np.zeros_like(w) for name, w in p.items()}
        delta, carry = np.zeros((self.T, self.H)), np.zeros(self.H)
        for t in reversed(range(self.T)):
            upstream = carry
            if t in self.steps:
                error = a[t + 1] @ p["W_output"] - self.y[t]
                g["W_output"] += np.outer(a[t + 1], error)
                upstream = upstream + p["W_output"] @ error
            delta[t] = upstream * (1 - a[t + 1] ** 2)
            carry = delta[t] @ p["W_hidden"].T * (t != self.dropped)
        g["W_input"] += self.x.T @ delta
        g["W_hidden"] += np.array(a[:-1]).T @ delta
        if "a" in g:
            g["a"] = carry
        return g


def weights(scale: float, I: int, H: int, state: bool) -> dict:
    rng = np.random.default_rng(1)
    shapes = {"W_input": (I, H), "W_hidden": (H, H), "W_output": (H, 1)} | ({"a": (H,)} if state else {})
    return {name: scale * rng.uniform(-1, 1, shape) for name, shape in shapes.items()}


def gradcheck_accepts(loss, grad, params, h: float = 1e-6, rtol: float = 1e-3, atol: float = 1e-5) -> bool:
    """torch.autograd.gradcheck's rule with its defaults: |analytic − numeric| <= atol + rtol |numeric|, everywhere."""
    analytic = grad(params)
    for name, array in params.items():
        for at in np.ndindex(array.shape):
            sides = []
            for step in (h, -h):
                moved = {k: v.copy() for k, v in params.items()}
                moved[name][at] += step
                sides.append(loss(moved))
            numeric = (sides[0] - sides[1]) / (2 * h)
            if abs(analytic[name][at] - numeric) > atol + rtol * abs(numeric):
                return False
    return True


@pytest.mark.parametrize("state", [True, False], ids=["with-the-initial-state", "weights-only"])
def test_a_dropped_link_is_proven_wrong_where_gradcheck_accepts_it(state: bool) -> None:
    T, I, H = 60, 2, 4
    params = weights(0.05, I, H, state)
    dropped = 30 if state else 50  # of a weight's gradient the link at 30 is no more than 1e-30: below every float
    right, wrong = (Rnn(T, I, H, every_step=False, dropped=one) for one in (None, dropped))
    report = check_gradient(right.loss, right.grad, params)
    assert report.verdict is Verdict.AGREE and report.digits > 20, str(report)
    if state:
        assert 0 < np.abs(report.found["params['a']"]).max() < 1e-60
    assert gradcheck_accepts(right.loss, right.grad, params)

    report = check_gradient(wrong.loss, wrong.grad, params)
    assert report.verdict is Verdict.DISAGREE and report.proven, str(report)
    assert gradcheck_accepts(wrong.loss, wrong.grad, params)


def test_what_lies_below_every_float_agrees_and_is_said() -> None:
    rnn = Rnn(60, 2, 4, every_step=False, dropped=40)
    report = check_gradient(rnn.loss, rnn.grad, weights(0.05, 2, 4, False))
    assert report.ok and 16 < report.digits < 100
    assert any("apart, which is below what floats resolve" in note for note in report.notes), report.notes


def test_gradcheck_does_refuse_a_gradient_that_is_grossly_wrong() -> None:
    rnn = Rnn(4, 2, 4, every_step=True)
    params = weights(1.0, 2, 4, True)
    assert not gradcheck_accepts(rnn.loss, lambda p: {k: 2 * g for k, g in rnn.grad(p).items()}, params)


def test_every_one_of_304_parameters_is_decided() -> None:
    rnn, params = Rnn(8, 2, 16, every_step=True), weights(1.0, 2, 16, False)
    assert sum(w.size for w in params.values()) == 304
    report = check_gradient(rnn.loss, rnn.grad, params)
    assert report.ok and sum(leaf.tallies["certified"].agree for leaf in report.leaves.values()) == 304
