"""Batched losses at nudged points, against one nudge at a time, and the Jacobian's reduction to quantities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradlab.cells import cell
from gradlab.equations import nudged
from gradlab.mistakes.probes import drawn
from gradlab.oracles import _nudging
from gradlab.oracles._nudging import differentiable, nudged_losses
from gradlab.oracles._reduction import reduced
from gradlab.oracles._rounding import rounding

ARRAYS = ("W_input", "W_hidden", "W_output", "x", "a_initial", "net_hidden", "net_output")
STEPS = (0.25, -0.125)


def alone(lab: Any, inputs: Any, name: str, at: tuple[int, ...], step: Any) -> Any:
    """The per-step losses, per sample (T, B), of one nudge in one forward."""
    if name in lab.rnn.nudges:
        nudge = np.zeros_like(getattr(lab.rnn.code.forward(inputs.params, inputs.x, inputs.state), name), type(step))
        nudge[at] += step
        trace = nudged(lab.rnn.code.forward, (name,))(inputs.params, inputs.x, inputs.state, nudges={name: nudge})
    else:
        array = dict(inputs.named())[name].astype(type(step))
        array[at] += step
        moved = inputs.with_array(name, array)
        trace = lab.rnn.code.forward(moved.params, moved.x, moved.state)
    return 0.5 * ((trace.y_hat - inputs.y) ** 2).sum(axis=-1)


def off(lab: Any, given: Any, name: str, losses: Any) -> float:
    """The worst distance from one nudge at a time, in units of the rounding of a loss."""
    inputs, noise = given.inputs(), rounding(lab.rnn, given).losses
    weight, worst = name in given.params._fields, 0.0
    for s, step in enumerate(STEPS):
        for at in np.ndindex(*losses.shape[2:]):
            single = alone(lab, inputs, name, at, step)
            b = slice(None) if weight else at[-2]
            wanted, allowed = (z.sum(axis=1) if weight else z[:, b] for z in (single, noise))
            worst = max(worst, float((np.abs(losses[(s, slice(None), *at)] - wanted) / allowed).max()))
    return worst


@pytest.mark.parametrize("chunk", [1, 100, 1 << 15])
@pytest.mark.parametrize("name", ARRAYS)
def test_all_at_once_is_one_at_a_time(name: str, chunk: int, lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both round; the nudge is not small, so the bound at the nudged point may be a few times the one at rest."""
    monkeypatch.setattr(_nudging, "CHUNK", chunk)
    given = lab.problem(3, 2, 2, 3, 2)
    inputs = given.inputs()
    shape = differentiable(lab.rnn, inputs)[name]
    losses = nudged_losses(lab.rnn, inputs, {name: shape}, {name: STEPS})[name]
    assert losses.shape == (len(STEPS), 3, *shape)
    assert off(lab, given, name, losses) <= 4


@pytest.mark.parametrize("name", ["W_hidden", "net_hidden"])
def test_coordinates_that_change_places_are_seen(name: str, lab: Any) -> None:
    given = lab.problem(3, 2, 2, 3, 2)
    inputs = given.inputs()
    losses = nudged_losses(lab.rnn, inputs, {name: differentiable(lab.rnn, inputs)[name]}, {name: STEPS})[name]
    assert off(lab, given, name, losses[..., ::-1]) > 1e6


def test_what_can_be_nudged(lab: Any) -> None:
    shapes = differentiable(lab.rnn, lab.problem(3, 2, 4, 5, 1).inputs())
    assert shapes == {
        "x": (3, 2, 4),
        "W_input": (4, 5),
        "W_hidden": (5, 5),
        "W_output": (5, 1),
        "a_initial": (2, 5),
        "net_output": (3, 2, 1),
        "net_hidden": (3, 2, 5),
    }


def test_a_complex_nudge_stays_in_the_imaginary_part(lab: Any) -> None:
    inputs = lab.problem().inputs()
    shape = differentiable(lab.rnn, inputs)["W_output"]
    losses = nudged_losses(lab.rnn, inputs, {"W_output": shape}, {"W_output": [1j * 2.0**-60]})["W_output"]
    assert losses.dtype == np.complex128 and losses.imag.any() and (np.abs(losses.imag) < 1e-15).all()


def test_losses_before_a_nudge_do_not_change(lab: Any) -> None:
    inputs = lab.problem().inputs()
    shape = differentiable(lab.rnn, inputs)["net_hidden"]
    losses = nudged_losses(lab.rnn, inputs, {"net_hidden": shape}, {"net_hidden": [0.0, 0.5]})["net_hidden"]
    for k, t in np.ndindex(4, 4):
        changed = losses[1, k, t] != losses[0, k, t]
        assert changed.all() if k >= t else not changed.any(), (k, t)


def test_own_later_and_all_of_a_jacobian(lab: Any) -> None:
    """Entry [k, t] is 10ᵏ: what is summed can be read off the digits."""
    T = 4
    jacobian = np.broadcast_to(10.0 ** np.arange(T)[:, None, None, None], (T, T, 2, 3)).copy()
    jacobian[np.triu_indices(T, 1)[0], np.triu_indices(T, 1)[1]] = 0  # a loss does not depend on what comes later
    found = reduced(lab.rnn, "net_hidden", jacobian)
    assert found["delta_explicit"][:, 0, 0].tolist() == [1, 10, 100, 1000]
    assert found["delta_implicit"][:, 0, 0].tolist() == [1110, 1100, 1000, 0]
    assert found["delta_hidden"][:, 0, 0].tolist() == [1111, 1110, 1100, 1000]
    assert list(reduced(lab.rnn, "W_hidden", np.ones((T, 2, 2)))) == ["grad_W_hidden"]


@pytest.mark.parametrize("step", [2.0**-6, 1j * 2.0**-60])
@pytest.mark.parametrize("name", ["rnn", "gru"])
def test_a_nudge_apart_is_a_nudge_of_a_copy(name: str, step: complex, monkeypatch: pytest.MonkeyPatch) -> None:
    tested = cell(name)
    inputs = drawn(tested, {"T": 3, "B": 2, "I": 2, "H": 5, "O": 1}, 1.0, 0).inputs(np.array)
    shapes = {weight: array.shape for weight, array in inputs.params._asdict().items()}
    found = []
    for rows in (1, 100):
        monkeypatch.setattr(_nudging, "MANY_ROWS", rows)
        found.append(_nudging.nudged_losses(tested, inputs, shapes, {weight: [step, -step] for weight in shapes}))
    for weight, losses in found[0].items():
        assert losses.shape == (2, 3, *shapes[weight])
        other = found[1][weight]
        np.testing.assert_allclose(losses.real, other.real, rtol=1e-14)
        np.testing.assert_allclose(losses.imag, other.imag, rtol=1e-12, atol=1e-16 * abs(step))
        assert len(np.unique(losses[0, -1])) == losses[0, -1].size  # each coordinate moves the loss in its own way
