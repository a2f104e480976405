"""The derived bounds: they hold for the hand-written code's own float64, and they are no larger than they need be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gradlab import cells
from gradlab.arithmetic import balls, midpoints, precision, radii
from gradlab.oracles._rounding import UNIT, PathSum, rounding


def beyond(values: dict[str, Any], exact: dict[str, Any], bounds: dict[str, Any], bits: int) -> list[str]:
    """The quantities with an entry that is further from exact than its bound."""
    with precision(bits):
        found = []
        for name, bound in bounds.items():
            error = abs(balls(values[name]) - exact[name])
            found += [name] * bool(((midpoints(error) + radii(error)) * (1 - 2.0**-48) > bound).any())
        return found


def derived(lab: Any, given: Any) -> dict[str, Any]:
    bounds = rounding(lab.rnn, given)
    return bounds.values | bounds.derivatives


def test_the_bounds_hold_for_the_hand_written_code(lab: Any) -> None:
    """The forward always; the backward where a(1 - a), which the chain rule does not have, does not cancel."""
    for one in lab.known:
        given = one.problem.astype(np.float64)
        values, bounds = cells.run(lab.rnn, given.inputs()), rounding(lab.rnn, given)
        held = bounds.values if one.kind == "saturated" else bounds.values | bounds.derivatives
        assert beyond(values, one.exact, held, lab.bits) == [], (one.scale, one.kind)


def test_where_float64_overflows_the_bound_is_infinite_or_zero(lab: Any) -> None:
    """At net_hidden = -800 the partial of the exponential is infinite, and that of another step's loss is still 0."""
    given = lab.problem(2, 1, 1, 1, 1)
    params = given.params._replace(W_input=np.full((1, 1), -800.0))
    deep = type(given)(params, np.ones_like(given.x), given.y, given.state)
    assert not any(np.isnan(bound).any() for bound in derived(lab, deep).values())


@pytest.mark.parametrize("factor", [1 + 1e-9, 1 - 1e-11])
def test_an_error_beyond_them_is_seen(factor: float, lab: Any) -> None:
    for one in [one for one in lab.known if one.kind == "plain"]:
        values = {k: v * factor for k, v in cells.run(lab.rnn, one.problem.inputs()).items()}
        probed = {name for name, value in values.items() if value.any()}
        assert set(beyond(values, one.exact, derived(lab, one.problem), lab.bits)) == probed, one.scale


def test_float32_in_float64_is_seen(lab: Any) -> None:
    for one in [one for one in lab.known if one.kind == "plain" and one.scale == 1.0]:
        values = cells.run(lab.rnn, one.problem.astype(np.float32).inputs())
        assert "delta_output" in beyond(values, one.exact, derived(lab, one.problem), lab.bits)


def test_the_bound_on_each_sample_s_loss(lab: Any) -> None:
    for one in lab.known[:30]:
        given = one.problem.astype(np.float64)
        inputs = given.inputs()
        trace = lab.rnn.code.forward(inputs.params, inputs.x, inputs.state)
        per_sample = 0.5 * ((trace.y_hat - inputs.y) ** 2).sum(axis=-1)
        with precision(lab.bits):
            exact = 0.5 * ((one.exact["y_hat"] - balls(given.y)) ** 2).sum(axis=-1)
        losses = rounding(lab.rnn, given).losses
        assert losses.shape == per_sample.shape
        assert beyond({"loss": per_sample}, {"loss": exact}, {"loss": losses}, lab.bits) == []


def test_three_oracles_ask_for_the_same_and_it_is_made_once(lab: Any) -> None:
    given = lab.problem()
    assert rounding(lab.rnn, given) is rounding(lab.rnn, given)
    assert rounding(lab.rnn, replace(given)) is not rounding(lab.rnn, given)


def test_one_unit_one_step_by_hand(lab: Any) -> None:
    """With every size 1 and T = 1 there is one path: the bound is its product, a few dozen roundings of it."""
    given = lab.problem(1, 1, 1, 1, 1)
    values, bounds = cells.run(lab.rnn, given.inputs()), rounding(lab.rnn, given).derivatives
    for name in ("delta_output", "delta_explicit", "grad_W_output", "grad_W_hidden", "grad_W_input", "grad_x"):
        ratio = bounds[name] / np.abs(values[name]) / UNIT
        assert (ratio >= 8).all() and (ratio <= 2000).all(), (name, ratio)


def test_path_sums_add_and_multiply_as_the_formula_says() -> None:
    kept, PathSum.roundings = PathSum.roundings, 4 * UNIT
    try:
        one = PathSum(np.array([1.0, 0.0]), np.array([0.0, 0.0]))
        through = one * -3.0 + one * 0.5
        assert through.magnitude.tolist() == [3.5, 0.0]
        assert through.error == pytest.approx([3.5 * 4 * UNIT, 0.0], rel=1e-12)
        assert (one * 0).magnitude.tolist() == [0.0, 0.0] and (one * 0).error.tolist() == [0.0, 0.0]
    finally:
        PathSum.roundings = kept


def test_the_bounds_scale_with_the_gradients(lab: Any) -> None:
    """Relative: at weights of 1e-6 the implicit delta is 1e-13 of what it is at 1, and so is its bound."""
    ratios = []
    for scale in (1.0, 1e-6):
        given = lab.problem(scale=scale)
        implicit = cells.run(lab.rnn, given.inputs())["delta_implicit"][:-1]
        ratios.append(np.median(rounding(lab.rnn, given).derivatives["delta_implicit"][:-1] / np.abs(implicit)))
    assert max(ratios) < 1e-11 and max(ratios) / min(ratios) < 30
