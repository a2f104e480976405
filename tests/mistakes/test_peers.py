"""The peers' acceptance rules: at their edges, on right and wrong gradients, and against the libraries themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradlab.cells import cell
from gradlab.mistakes.catalogue import mistake
from gradlab.mistakes.patch import with_mistakes
from gradlab.mistakes.peers import (
    NAMES,
    Peers,
    autograd_accepts,
    jax_accepts,
    scipy_accepts,
    torch_accepts,
)
from gradlab.mistakes.probes import probe

RNN = cell("rnn")
ONE = np.ones(1)

# A value that the rule just accepts, and one that it just refuses, where 1 (or 0) is right.
EDGES = {
    "torch, relative": (lambda v: torch_accepts(v * ONE, ONE), 1 + 1.009e-3, 1 + 1.011e-3),
    "torch, absolute": (lambda v: torch_accepts(v * ONE, 0 * ONE), 0.99e-5, 1.01e-5),
    "jax in float64": (lambda v: jax_accepts(v * ONE, ONE, np.float64(1), np.float64(1)), 1 + 1.99e-5, 1 + 2.01e-5),
    "jax in float32": (
        lambda v: jax_accepts(v * np.ones(1, np.float32), np.ones(1, np.float32), np.float32(1), np.float32(1)),
        1 + 3.9e-3,
        1 + 4.1e-3,
    ),
    "jax along its direction": (lambda v: jax_accepts(v * ONE, 1e-5 * ONE, 1.0, 1e-5), 1.9, 3.1),
    "scipy": (lambda v: scipy_accepts(v * ONE, ONE), 1 + 1.4e-7, 1 + 1.6e-7),
    "autograd, relative": (lambda v: autograd_accepts(v * 1e6 * ONE, ONE, 1.0, 1e6), 1 + 1.9e-6, 1 + 2.1e-6),
    "autograd, absolute": (lambda v: autograd_accepts(v * ONE, ONE, 1.0, 0.0), 0.99e-6, 1.01e-6),
}


@pytest.mark.parametrize(("rule", "inside", "outside"), EDGES.values(), ids=EDGES)
def test_a_rule_ends_where_its_documentation_says(rule: Any, inside: float, outside: float) -> None:
    assert rule(inside)
    assert not rule(outside)


def test_no_rule_accepts_what_is_no_number() -> None:
    nan = np.full(1, np.nan)
    assert not torch_accepts(nan, ONE) and not scipy_accepts(nan, ONE)
    assert not jax_accepts(nan, ONE, 1.0, 1.0) and not autograd_accepts(nan, ONE, 1.0, 1.0)


def test_the_right_gradient_passes_where_gradients_are_of_order_1() -> None:
    passed = Peers(RNN, probe(RNN)).accepts(RNN.code)
    assert passed.keys() == set(NAMES)
    assert all(passed[name] for name in ("torch", "jax32", "jax64", "autograd"))


def test_a_wrong_gradient_of_order_1_fails_everywhere() -> None:
    wrong = with_mistakes(RNN, mistake("rnn", "sign-of-the-error"))
    assert not any(Peers(RNN, probe(RNN)).accepts(wrong).values())


def test_small_weights_hide_a_missing_recurrence_from_most() -> None:
    wrong = with_mistakes(RNN, mistake("rnn", "recurrence-dropped"))
    passed = Peers(RNN, probe(RNN, scale=1e-3)).accepts(wrong)
    assert passed["torch"] and passed["jax32"] and passed["jax64"]


def test_code_that_raises_passes_nothing() -> None:
    def gradient(*args: Any) -> Any:
        raise RuntimeError

    assert not any(Peers(RNN, probe(RNN)).accepts(RNN.code._replace(gradient=gradient)).values())


@pytest.mark.parametrize("scale", [1.0, 1e-3])
@pytest.mark.parametrize("name", ["recurrence-dropped", "sign-of-the-error", "explicit-delta-in-the-recursion"])
def test_jax_itself_says_the_same_in_float32(name: str, scale: float) -> None:
    """The real jax.test_util.check_grads, its vjp answering with the gradient under test."""
    import jax
    from jax.test_util import check_grads

    code, problem = with_mistakes(RNN, mistake("rnn", name)), probe(RNN, scale=scale).astype(np.float32)
    peers = Peers(RNN, problem)
    inputs = problem.inputs()
    # float32 vectors, and NumPy's own loss behind jax's interface
    total = peers._loss(peers.narrow)

    @jax.custom_vjp
    def loss(vector: Any) -> Any:
        return jax.pure_callback(
            lambda v: np.float32(total(np.asarray(v))), jax.ShapeDtypeStruct((), np.float32), vector
        )

    gradient = peers._gradient(code, peers.narrow)
    loss.defvjp(lambda vector: (loss(vector), None), lambda _, cotangent: (cotangent * gradient,))
    try:
        check_grads(loss, (peers._flat(inputs),), order=1, modes=("rev",))
        passed = True
    except AssertionError:
        passed = False
    assert peers.accepts(code)["jax32"] is passed


def test_scipy_itself_measures_the_same() -> None:
    optimize = pytest.importorskip("scipy.optimize")
    peers = Peers(RNN, probe(RNN))
    gradient = peers._gradient(RNN.code, peers.wide)
    error = optimize.check_grad(peers._loss(peers.wide), lambda _: gradient, peers._flat(peers.wide.inputs()))
    assert np.linalg.norm(gradient - peers.forward) == pytest.approx(error, rel=1e-6)
