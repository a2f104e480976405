"""Layers with an upstream gradient, and single steps whose loop the lab owns."""

from __future__ import annotations

import numpy as np
import pytest

from gradlab.checker.verdict import Verdict
from gradlab.gradients import GradientCheckError, check_step, check_vjp

rng = np.random.default_rng(0)
X = (rng.normal(size=(5, 3)), rng.normal(size=(3, 4)))
P = {"W": rng.normal(size=(2, 3)), "U": rng.normal(size=(3, 3))}
S, A = rng.normal(size=(7, 2)), rng.normal(size=3)


def matmul(x):
    return x[0] @ x[1]


def matmul_vjp(x, u):
    return u @ x[1].T, x[0].T @ u


def forward(p, x, a):
    new = np.tanh(x @ p["W"] + a @ p["U"])
    return new, new, (x, a, new)


def backward(p, d_out, d_state, cache):
    x, a, new = cache
    delta = (d_out + d_state) * (1 - new**2)
    return {"W": np.outer(x, delta), "U": np.outer(a, delta)}, delta @ p["U"].T


def test_a_layer_with_many_outputs_is_asked_at_random() -> None:
    report = check_vjp(matmul, matmul_vjp, X)
    assert report.ok and report.subject.names == tuple(f"random cotangent {i}" for i in range(3))
    wrong = check_vjp(matmul, lambda x, u: (u @ x[1].T, x[0].T @ (u * (u > 0))), X)
    assert wrong.verdict is Verdict.DISAGREE and "(random cotangent" in str(wrong)


def test_a_layer_with_few_outputs_is_asked_for_every_entry_of_its_jacobian() -> None:
    report = check_vjp(lambda x: {"y": x**2}, lambda x, u: 2 * x * u["y"], np.array([1.0, 2.0]))
    assert report.ok and report.subject.names[-1] == "of output['y'][1]"


def test_a_vjp_that_is_not_linear_is_wrong() -> None:
    assert check_vjp(matmul, lambda x, u: (abs(u) @ x[1].T, x[0].T @ u), X).verdict is Verdict.DISAGREE


def test_a_layer_that_does_not_run_on_balls_is_told_by_differences() -> None:
    def f(x):
        return np.linalg.tensorinv(x, ind=1)  # which is not recorded

    report = check_vjp(f, lambda x, u: -np.linalg.inv(x).T @ u @ np.linalg.inv(x).T, P["U"])
    assert report.ok and report.oracles == ("finite_difference", "complex_step"), str(report)
    wrong = check_vjp(f, lambda x, u: -np.linalg.inv(x) @ u @ np.linalg.inv(x), P["U"])
    assert wrong.verdict is Verdict.DISAGREE


def test_a_step_is_run_summed_and_carried_by_the_lab() -> None:
    report = check_step(forward, backward, P, S, A)
    assert report.ok and list(report.leaves) == ["params['W']", "params['U']", "state"] and report.digits > 30


@pytest.mark.parametrize(
    ("step", "hint"),
    [
        (lambda p, d, s, c: (backward(p, d, s, c)[0], backward(p, d, s, c)[1] @ p["U"]), "points to the carry"),
        (lambda p, d, s, c: backward(p, d, 0 * s, c), "points to the carry, as it is taken in"),
        (lambda p, d, s, c: backward(p, d, s, (c[0], c[2], c[2])), "points to the step's own equations"),
    ],
    ids=["transpose", "ignored", "present-state"],
)
def test_a_wrong_step_is_told_from_a_wrong_carry(step, hint) -> None:
    report = check_step(forward, step, P, S, A)
    assert report.verdict is Verdict.DISAGREE and hint in report.hints[-1], report.hints


def truncated(k):
    """A backward step that cuts the carry itself, by counting its calls."""
    calls = [len(S)]

    def step(p, d_out, d_state, cache):
        d_params, carry = backward(p, d_out, d_state, cache)
        calls[0] -= 1
        at, calls[0] = calls[0], calls[0] or len(S)
        return d_params, carry * (at % k != 0 or at == 0)

    return step


def test_truncation_is_declared() -> None:
    assert check_step(forward, backward, P, S, A, truncation=3).ok
    assert check_step(forward, truncated(3), P, S, A, truncation=3).ok
    assert check_step(forward, truncated(3), P, S, A).verdict is Verdict.DISAGREE
    assert check_step(forward, truncated(2), P, S, A, truncation=3).verdict is Verdict.DISAGREE


def test_too_few_steps_are_said() -> None:
    assert any("T=2 is too short" in note for note in check_step(forward, backward, P, S[:2], A).notes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((lambda p, x, a: a, backward, P, S, A), r"forward_step must return \(output, next state, cache\)"),
        ((forward, lambda *_: 1.0, P, S, A), r"backward_step must return \(d_params, d_state\)"),
        ((forward, backward, P, S[:0], A), r"x has no steps"),
        (
            (forward, lambda *_: ({"W": A, "U": A}, A), P, S, A),
            r"backward_step returned shape \(3,\) for params\['W'\]",
        ),
    ],
)
def test_a_step_of_another_form_is_refused(arguments, message) -> None:
    with pytest.raises(GradientCheckError, match=message):
        check_step(*arguments)
