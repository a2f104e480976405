"""The hand-written forward-mode gradient: against BPTT, against `jax.jacfwd`, index by index, and online."""

from __future__ import annotations

import ast
import inspect
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradlab import cells
from gradlab.addition.train import Run, Settings, train
from gradlab.checker.submission import Submission
from gradlab.manual import rnn, rtrl
from gradlab.problem import Array, Problem
from gradlab.strategies import problems

T, B, I, H, O = 5, 2, 3, 4, 6


def given(dtype: Any = np.float64, steps: int = T, scale: float = 1.0) -> Problem:
    draw = np.random.default_rng(0)
    params = rtrl.Params(*(scale * draw.normal(size=shape) for shape in ((I, H), (H, H), (H, O))))
    x, y, a = draw.normal(size=(steps, B, I)), draw.random((steps, B, O)), draw.random((B, H))
    return Problem(params, x, y, rtrl.State(a)).astype(dtype)


def backward(problem: Problem) -> tuple[rtrl.Trace, rtrl.Grads]:
    params, x, y, state = problem.inputs()
    trace = rtrl.forward(params, x, state)
    return trace, rtrl.rtrl(params, x, y, state, trace)


def leaves(value: Any) -> list[Any]:
    return [leaf for part in value for leaf in leaves(part)] if isinstance(value, tuple) else [value]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_value_keeps_the_dtype(dtype: Any) -> None:
    assert {leaf.dtype for leaf in leaves(backward(given(dtype)))} == {np.dtype(dtype)}


def test_nothing_given_is_modified_or_need_be_writable() -> None:
    problem = given()
    trace = rtrl.forward(problem.params, problem.x, problem.state)
    before = [leaf.copy() for leaf in leaves(trace)]
    for leaf in leaves(trace):
        leaf.setflags(write=False)
    rtrl.rtrl(problem.params, problem.x, problem.y, problem.state, trace)
    assert all(map(np.array_equal, leaves(trace), before))


def test_the_network_is_the_rnn() -> None:
    problem = given()
    same = rnn.forward(rnn.Params(*problem.params), problem.x, rnn.State(*problem.state))
    assert all(map(np.array_equal, leaves(backward(problem)[0]), leaves(same)))


def as_rnn(problem: Problem) -> Problem:
    return Problem(rnn.Params(*problem.params), problem.x, problem.y, rnn.State(*problem.state))


WEIGHTS = ("W_input", "W_hidden", "W_output")


def apart(problem: Problem, code: cells.Code | None = None) -> float:
    """How far RTRL and BPTT are apart, in units of what rounding may do to both."""
    forward, back = Submission(cells.cell("rtrl"), code), Submission(cells.cell("rnn"))
    found, wanted = forward.floats(problem), back.floats(as_rnn(problem))
    bounds = forward.rounding(problem), back.rounding(as_rnn(problem))
    worst = 0.0
    for name in (f"grad_{weight}" for weight in WEIGHTS):
        distance = np.abs(found[name].astype(float) - wanted[name])
        allowed = bounds[0][name] + bounds[1][name]
        assert np.isfinite(allowed).all()
        worst = max(worst, float(np.divide(distance, allowed, where=distance > 0, out=np.zeros_like(allowed)).max()))
    return worst


@hypothesis.settings(max_examples=100, deadline=None, database=None, derandomize=True)
@hypothesis.given(problems("rtrl", dtypes=("float64", "float32")))
def test_rtrl_and_bptt_agree_to_the_derived_bound(problem: Problem) -> None:
    assert apart(problem) <= 1


def test_a_gradient_off_by_a_part_in_a_trillion_is_apart() -> None:
    def off(*args: Any) -> rtrl.Grads:
        grads = rtrl.rtrl(*args)
        return grads._replace(params=grads.params._replace(W_hidden=grads.params.W_hidden * (1 + 1e-12)))

    right = cells.cell("rtrl").code
    assert apart(given()) <= 1 < apart(given(), right._replace(gradient=off))


def bounded(problem: Problem) -> dict[str, tuple[Array, Array]]:
    """Every quantity and the derived bound on it."""
    submission = Submission(cells.cell("rtrl"))
    bounds = submission.rounding(problem)
    return {name: (value, bounds[name]) for name, value in submission.floats(problem).items()}


def by_jax(problem: Problem) -> dict[str, Any]:
    """The sensitivities by `jax.jacfwd`, of a loop written for this test alone; (T, B, H, I, H) -> (T, B, I, H, H)."""
    _, x, y, state = problem.inputs()

    def run(W_input: Any, W_hidden: Any, W_output: Any) -> Any:
        a, nets, activations, losses = jnp.asarray(state.a_initial), [], [], []
        for t in range(len(x)):
            nets.append(x[t] @ W_input + a @ W_hidden)
            a = 1 / (1 + jnp.exp(-nets[-1]))
            activations.append(a)
            losses.append(((1 / (1 + jnp.exp(-a @ W_output)) - y[t]) ** 2).sum() / 2)
        return {"net_by": jnp.stack(nets), "a_by": jnp.stack(activations), "step_grad": jnp.stack(losses)}

    with jax.enable_x64(True):
        found = jax.device_get(jax.jit(jax.jacfwd(run, argnums=(0, 1, 2)))(*problem.params))
    named = {}
    for kind, parts in found.items():
        for weight, jacobian in zip(WEIGHTS, parts, strict=True):
            named[f"{kind}_{weight}"] = jacobian if kind == "step_grad" else np.moveaxis(jacobian, 2, -1)
    return named


def by_index(problem: Problem) -> dict[str, Array]:
    """Williams and Zipser's recursion, index by index: p_k(t) = f'(s_k) (Σ_m W_mk p_m(t-1) + δ_jk z_i)."""
    trace, (W_input, W_hidden, _) = backward(problem)[0], problem.params
    previous = np.concatenate([problem.state.a_initial[None], trace.a_hidden[:-1]])
    found = {}
    for weight, z, W in (("W_input", problem.x, W_input), ("W_hidden", previous, W_hidden)):
        p = np.zeros((T + 1, B, *W.shape, H))
        for t, b, i, j, k in np.ndindex(T, B, *W.shape, H):
            carried = sum(W_hidden[m, k] * p[t - 1, b, i, j, m] for m in range(H))
            a = trace.a_hidden[t, b, k]
            p[t, b, i, j, k] = a * (1 - a) * (carried + (j == k) * z[t, b, i])
        found[f"a_by_{weight}"] = p[:T]
    return found


@pytest.mark.parametrize("truth", [by_jax, by_index])
@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_the_sensitivities_to_the_derived_bound(truth: Callable[[Problem], dict[str, Array]], scale: float) -> None:
    problem = given(scale=scale)
    found = bounded(problem)
    for name, wanted in truth(problem).items():
        if name not in found:
            continue  # ∂net_hidden/∂W_output is 0 and nothing declares it
        value, bound = found[name]
        assert (abs(value - wanted) <= 2 * bound).all(), name
        assert abs(value).max() > 0 and (bound <= 1e-12 * abs(value).max()).all(), name


def test_the_parts_of_a_gradient_add_up_to_it() -> None:
    _, grads = backward(given())
    assert all(map(np.array_equal, grads.params, (step.sum(axis=0) for step in grads.step_grads)))


def test_a_sequence_in_two_parts_is_the_sequence() -> None:
    params, x, y, state = given().inputs()
    trace, whole = backward(given())
    first = rtrl.rtrl(params, x[:3], y[:3], state, rtrl.forward(params, x[:3], state))
    middle, before = rtrl.State(trace.a_hidden[2]), rtrl.ActivationBy(*(carried[-1] for carried in first.a_by))
    second = rtrl.rtrl(params, x[3:], y[3:], middle, rtrl.forward(params, x[3:], middle), before)
    for all_steps, later in zip(whole.step_grads, second.step_grads, strict=True):
        assert np.array_equal(all_steps[3:], later)


def test_online_gives_each_step_s_gradient_before_it_sees_the_next() -> None:
    problem = given()
    _, grads = backward(problem)
    seen = []

    def steps() -> Iterator[tuple[Array, Array]]:
        for t in range(T):
            seen.append(t)
            yield problem.x[t], problem.y[t]

    for t, step in enumerate(rtrl.online(problem.params, steps(), problem.state)):
        assert seen == list(range(t + 1))
        assert all(np.array_equal(part, of_all[t]) for part, of_all in zip(step, grads.step_grads, strict=True))
    assert len(seen) == T


def peak(function: Callable[[], Any]) -> int:
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def stream(steps: int) -> Iterator[tuple[Array, Array]]:
    for t in range(steps):
        yield np.full((1, 1), t % 2.0), np.full((1, 1), t % 3 / 2)


SMALL = rtrl.Params(*(np.random.default_rng(1).normal(size=shape) for shape in ((1, 3), (3, 3), (3, 1))))
START = np.zeros((1, 3))


def online_peak(steps: int) -> int:
    def learn() -> None:
        for _ in rtrl.online(SMALL, stream(steps), rtrl.State(START)):
            pass

    return peak(learn)


def bptt_peak(steps: int) -> int:
    def learn() -> None:
        x, y = (np.array(column) for column in zip(*stream(steps), strict=True))
        params, state = rnn.Params(*SMALL), rnn.State(START)
        rnn.bptt(params, x, y, state, rnn.forward(params, x, state))

    return peak(learn)


COLLECTED_LATE = 2**17  # what the garbage collector may leave lying, whatever the number of steps


def test_the_memory_of_online_does_not_grow_with_time_and_that_of_bptt_does() -> None:
    online_peak(10)  # what is cached once
    assert online_peak(10_000) <= online_peak(10) + COLLECTED_LATE
    assert bptt_peak(10_000) > 8 * bptt_peak(1000) > 8 * COLLECTED_LATE


def test_training_by_rtrl_is_training_by_bptt() -> None:
    runs = [Run.start(Settings(bits=4, hidden=5, epochs=100, seed=7, cell=cell)) for cell in ("rtrl", "rnn")]
    for run in runs:
        assert [progress.step for progress in train(run)][-1] == 100
    for by_rtrl, by_bptt in zip(*(run.params for run in runs), strict=True):
        np.testing.assert_allclose(by_rtrl, by_bptt, rtol=1e-9, atol=0)
    assert type(runs[0].params) is rtrl.Params and runs[0].curve[-1].loss != runs[0].curve[0].loss


def test_the_file_uses_no_bptt_code() -> None:
    tree = ast.parse(inspect.getsource(rtrl))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    taken = [a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module for a in n.names]
    assert imported == {"__future__", "collections.abc", "typing", "gradlab.manual.gates"}
    assert {"multiply", "sigmoid"} == {name for name in taken if name.islower() and name != "annotations"}
    assert not any(isinstance(node, ast.Name) and node.id == "reversed" for node in ast.walk(tree))


@pytest.mark.parametrize("function", [rtrl.forward, rtrl.loss, rtrl.rtrl], ids=lambda f: f.__name__)
def test_the_mathematics_is_straight_lines(function: Any) -> None:
    tree = ast.parse(inspect.getsource(function)).body[0]
    branches = (ast.If, ast.IfExp, ast.While, ast.Try, ast.With, ast.Match, ast.Lambda, ast.BoolOp, ast.Assert)
    assert not [node for node in ast.walk(tree) if isinstance(node, branches)]
    assert sum(isinstance(node, ast.For) for node in ast.walk(tree)) <= 1
    assert len(inspect.getsourcelines(function)[0]) <= 40
