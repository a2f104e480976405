"""The complex step: its bound holds, is tight, and a step so large that it truncates is caught."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradlab.oracles import complex_step


def test_the_bound_holds_on_a_hundred_problems(lab: Any) -> None:
    for i, one in enumerate(lab.known):
        assert lab.missed(complex_step.evidence(lab.rnn, one.problem), one.exact) == [], (i, one.scale, one.kind)


def test_a_part_in_1e9_is_outside_the_bound(lab: Any) -> None:
    for one in [one for one in lab.known if one.kind == "plain"]:
        said = complex_step.evidence(lab.rnn, one.problem)
        wrong = said._replace(values={name: value * (1 + 1e-9) for name, value in said.values.items()})
        assert set(lab.missed(wrong, one.exact)) == {name for name, v in said.values.items() if v.any()}


@pytest.mark.parametrize("step", [2.0**-4, 2.0**-12])
def test_a_step_that_truncates_is_outside_the_bound(step: float, lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(complex_step, "STEP", step)
    given = lab.problem()
    missed = lab.missed(complex_step.evidence(lab.rnn, given), lab.exact(given))
    assert {"delta_output", "grad_W_output", "grad_W_input"} <= set(missed)


@pytest.mark.parametrize("step", [2.0**-40, 2.0**-100])
def test_any_step_far_below_rounding_will_do(step: float, lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(complex_step, "STEP", step)
    given = lab.problem()
    assert lab.missed(complex_step.evidence(lab.rnn, given), lab.exact(given)) == []


def test_the_bound_is_relative_at_every_scale(lab: Any) -> None:
    for one in [one for one in lab.known if one.kind == "plain"]:
        said = complex_step.evidence(lab.rnn, one.problem)
        for name, value in said.values.items():
            if value.any():
                assert np.median(said.bounds[name]) <= 1e-11 * np.abs(value).max(), (one.scale, name)


def test_where_the_complex_sigmoid_is_not_a_number_nothing_is_claimed(lab: Any) -> None:
    """e⁻ᶻ overflows for z < -709, and the complex quotient is NaN there."""
    given = lab.problem(2, 1, 1, 1, 1)
    deep = type(given)(given.params._replace(W_output=np.full((1, 1), -3000.0)), given.x, given.y, given.state)
    assert (lab.rnn.code.forward(deep.params, deep.x, deep.state).net_output < -709).all()
    with np.errstate(invalid="ignore"):
        said = complex_step.evidence(lab.rnn, deep)
    assert np.isinf(said.bounds["delta_output"]).all() and not said.values["delta_output"].any()
    assert lab.missed(said, lab.exact(deep)) == []
