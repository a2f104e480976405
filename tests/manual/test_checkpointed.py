"""Checkpointed backpropagation through time: the same gradient as in one piece, from less memory."""

from __future__ import annotations

import functools
import importlib
import tracemalloc
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import gradlab
from gradlab import Verdict
from gradlab.arithmetic.balls import BallArithmetic, overlaps, precision, within
from gradlab.cells import CELLS, Code, cell, grad_record
from gradlab.frontends.replayable import Replayable
from gradlab.manual import checkpointed
from gradlab.mistakes.probes import drawn

MODULES = {name: module for name, path in CELLS.items() if hasattr(module := importlib.import_module(path), "bptt")}
SIZES = {"T": 7, "B": 2, "I": 3, "H": 4, "O": 2}
DTYPES = (np.float32, np.float64, np.complex128)


def code(module: Any, length: int | None) -> Code:
    """The cell's forward and loss, and its gradient put together from stretches, deltas and all."""

    def bptt(params: Any, x: Any, y: Any, state: Any, trace: Any) -> Any:
        parts = [part.grads for part in checkpointed.stretches(module, params, x, y, state, length)][::-1]
        return module.Grads(
            type(params)(*(sum(shares) for shares in zip(*(part.params for part in parts), strict=True))),
            np.concatenate([part.x for part in parts]),
            parts[0].state,
            module.Deltas(*(np.concatenate(each) for each in zip(*(part.deltas for part in parts), strict=True))),
        )

    return Code(module.forward, module.loss, bptt, f"{module.__name__} in stretches")


def forgetful(module: Any) -> Any:
    """The cell, but no stretch hands anything back."""
    none = SimpleNamespace(**vars(module))
    none.handed_back = lambda trace, grads: 0 * module.handed_back(trace, grads)
    return none


@pytest.mark.parametrize("length", [1, 3])
@pytest.mark.parametrize("name", MODULES)
def test_every_delta_and_gradient_holds_against_every_oracle(name: str, length: int) -> None:
    report = gradlab.check(name, code=code(MODULES[name], length), examples=3, seed=length)
    assert report.verdict is Verdict.AGREE


@pytest.mark.parametrize("name", MODULES)
def test_a_stretch_that_hands_nothing_back_is_caught(name: str) -> None:
    comparison = gradlab.compare(name, drawn(cell(name), SIZES, 0.5, 0), code=code(forgetful(MODULES[name]), 2))
    assert comparison.verdict is Verdict.DISAGREE and comparison.first_wrong is not None
    assert comparison.first_wrong.steps == (1, 3, 5)


@pytest.mark.parametrize("length", [1, 3, 7, 50, None])
@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
def test_it_is_the_gradient_in_one_piece(name: str, length: int | None, dtype: Any) -> None:
    tested = cell(name)
    params, x, y, state = drawn(tested, SIZES, 0.5, 0).inputs(lambda array: array.astype(dtype))
    trace = tested.code.forward(params, x, state)
    whole, loss = tested.code.gradient(params, x, y, state, trace), tested.code.loss(trace.y_hat, y)
    found = checkpointed.gradient(tested.module, params, x, y, state, length)
    np.testing.assert_array_equal(found.per_step, loss.per_step)
    assert found.total == loss.total
    for quantity in tested.of_kind("grad"):
        wanted = getattr(grad_record(tested, whole, quantity.by), quantity.by)
        got = getattr(grad_record(tested, found, quantity.by), quantity.by)
        assert got.dtype == dtype and got.shape == wanted.shape
        np.testing.assert_allclose(got, wanted, rtol=0, atol=40 * np.finfo(dtype).eps * np.abs(wanted).max())


def test_balls() -> None:
    tested = cell("lstm")
    functions = {
        "forward": tested.code.forward,
        "gradient": tested.code.gradient,
        "in_parts": functools.partial(checkpointed.gradient, tested.module),
    }

    def both(code: Any, params: Any, x: Any, y: Any, state: Any) -> Any:
        whole = code.gradient(params, x, y, state, code.forward(params, x, state))
        return whole.params, code.in_parts(params, x, y, state, 2).params

    inputs = drawn(tested, SIZES, 0.5, 0).inputs()
    with precision(128):
        whole, parts = Replayable(functions, both, *inputs).replayed(BallArithmetic(), *inputs)
        for got, wanted in zip(parts, whole, strict=True):
            assert overlaps(got, wanted).all() and within(got, 2.0**-90).all() and within(wanted, 2.0**-90).all()


@pytest.mark.parametrize("name", MODULES)
def test_it_runs_forward_at_most_twice(name: str) -> None:
    module, steps = MODULES[name], []
    counted = SimpleNamespace(**vars(module))
    counted.forward = lambda params, x, state: (steps.append(len(x)), module.forward(params, x, state))[1]
    params, x, y, state = drawn(cell(name), {**SIZES, "T": 50}, 0.5, 0).inputs(np.array)
    checkpointed.gradient(counted, params, x, y, state)
    assert 50 < sum(steps) <= 100


def test_memory_grows_as_the_root_of_the_steps() -> None:
    module, held = MODULES["lstm"], []
    for T in (100, 1600):
        params, x, y, state = drawn(cell("lstm"), {"T": T, "B": 4, "I": 1, "H": 16, "O": 1}, 0.5, 0).inputs(np.array)
        tracemalloc.start()
        try:
            checkpointed.gradient(module, params, x, y, state)
            held.append(tracemalloc.get_traced_memory()[1] - 2 * x.nbytes)  # the gradient by x, once in parts
        finally:
            tracemalloc.stop()
    assert held[1] < 1.25 * 4 * held[0]  # 16 times the steps


def test_a_stretch_without_a_step_is_refused() -> None:
    params, x, y, state = drawn(cell("rnn"), SIZES, 0.5, 0).inputs(np.array)
    with pytest.raises(ValueError, match="length = 0: a stretch has at least 1 step"):
        checkpointed.gradient(MODULES["rnn"], params, x, y, state, 0)
