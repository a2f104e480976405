"""Finite differences: their bound holds whatever the step, says so where they resolve nothing, and catches a lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradlab.oracles import finite_difference
from gradlab.oracles.finite_difference import extrapolated


def test_the_bound_holds_on_a_hundred_problems(lab: Any) -> None:
    for i, one in enumerate(lab.known):
        assert lab.missed(finite_difference.evidence(lab.rnn, one.problem), one.exact) == [], (i, one.scale, one.kind)


def test_a_part_in_1e9_is_outside_the_bound(lab: Any) -> None:
    for one in [one for one in lab.known if one.kind == "plain" and one.scale == 1.0]:
        said = finite_difference.evidence(lab.rnn, one.problem)
        wrong = said._replace(values={name: value * (1 + 1e-9) for name, value in said.values.items()})
        assert set(lab.missed(wrong, one.exact)) == {name for name, v in said.values.items() if v.any()}


@pytest.mark.parametrize("exponent", [-2, -4, -9, -14, -20, -30])
def test_the_bound_follows_the_step(exponent: int, lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step too large truncates, one too small drowns in rounding: the bound grows with both, and still holds."""
    usual = finite_difference.evidence(lab.rnn, given := lab.problem())
    monkeypatch.setattr(finite_difference, "STEP", 2.0**exponent)
    said = finite_difference.evidence(lab.rnn, given)
    assert lab.missed(said, lab.exact(given)) == []
    if abs(exponent + 6) > 3:
        assert np.median(said.bounds["grad_W_input"]) > 2 * np.median(usual.bounds["grad_W_input"])


def test_without_the_rounding_of_the_loss_the_bound_does_not_hold(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        finite_difference, "extrapolated", lambda losses, step, noise: extrapolated(losses, step, 0 * noise)
    )
    monkeypatch.setattr(finite_difference, "STEP", 2.0**-20)
    hits = [lab.missed(finite_difference.evidence(lab.rnn, one.problem), one.exact) for one in lab.known[:10]]
    assert sum(map(bool, hits)) >= 8


def test_without_truncation_the_bound_does_not_hold(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def rounding_only(losses: Any, step: float, noise: Any) -> Any:
        return extrapolated(losses, step, noise)[0], 14 * noise / step

    monkeypatch.setattr(finite_difference, "extrapolated", rounding_only)
    monkeypatch.setattr(finite_difference, "STEP", 0.25)
    given = lab.problem()
    assert "grad_W_output" in lab.missed(finite_difference.evidence(lab.rnn, given), lab.exact(given))


@pytest.mark.parametrize("degree", range(7))
def test_a_polynomial_up_to_degree_six_is_differentiated_to_rounding(degree: int) -> None:
    """Central differences have only even orders of error, and two extrapolations cancel h² and h⁴."""
    step, at = 2.0**-3, 0.75
    points = [at + sign * step / part for part in (1, 2, 4) for sign in (1, -1)]
    losses = np.array([[point**degree] for point in points])
    noise = np.full(1, 2.0**-53)
    limit, bound = extrapolated(losses, step, noise)
    slope = degree * at ** (degree - 1) if degree else 0.0
    assert np.abs(limit - slope) <= bound
    assert np.abs(limit - slope) <= 14 * noise / step + 2.0**-52


def test_the_truncation_of_what_is_no_polynomial_is_within_the_bound() -> None:
    for step in 2.0 ** -np.arange(1, 12):
        points = np.array([[0.3 + sign * step / part] for part in (1, 2, 4) for sign in (1, -1)])
        limit, bound = extrapolated(np.sin(points), float(step), np.full(1, 2.0**-53))
        assert np.abs(limit - np.cos(0.3)) <= bound, step


def test_a_slope_that_vanishes_by_accident_still_has_a_bound() -> None:
    """Two extrapolations that coincide say nothing about truncation: h⁴ of the quotients' difference is kept."""
    losses = np.array([1.0, 0.0, 0.5, 0.0, 0.25, 0.0])[:, None] + 0.0
    losses[2] = 1.0 * 0.5 + 0.01
    _, bound = extrapolated(losses, 1.0, np.zeros(1))
    assert (bound > 0).all()


@pytest.mark.parametrize("stretch", [2.0**4, 2.0**20])
def test_what_magnifies_a_nudge_magnifies_the_bound(stretch: float) -> None:
    """The losses of g(s w) nudged by h/s are those of g nudged by h: all that is said of the slope is s times as much.

    Also where two extrapolations coincide, and the last resort is all that is left of the truncation.
    """
    losses = np.array([[1.0, 0.9], [0.0, 0.1], [0.51, 0.6], [0.0, 0.2], [0.2575, 0.5], [0.0, 0.3]])
    noise, step = np.full(2, 2.0**-53), finite_difference.STEP
    limit, bound = extrapolated(losses, step, noise)
    stretched, wider = extrapolated(losses, step / stretch, noise)
    assert (stretched == stretch * limit).all() and (wider == stretch * bound).all()


def test_how_much_it_resolves_at_each_scale(lab: Any) -> None:
    """Its noise is absolute: about 1e-13 of the loss over the step, so each scale of weights costs some digits."""
    limits = {1.0: 1e-8, 0.1: 1e-5, 0.01: 1e-4}
    for one in [one for one in lab.known if one.kind == "plain"]:
        said = finite_difference.evidence(lab.rnn, one.problem)
        for name in ("delta_output", "delta_hidden", "grad_W_output"):
            value, bound = np.abs(said.values[name]).max(), np.median(said.bounds[name])
            assert bound <= 1e-11, (one.scale, name)
            assert one.scale not in limits or bound <= limits[one.scale] * value, (one.scale, name)


def test_inputs_that_magnify_a_nudge_are_nudged_less(lab: Any) -> None:
    """With x a hundred times as large, a nudge of W_input of the usual step would saturate what it moves."""
    given = lab.problem()
    wide = type(given)(given.params, 100 * given.x, given.y, given.state)
    said, exact = finite_difference.evidence(lab.rnn, wide), lab.exact(wide)
    assert lab.missed(said, exact) == []
    assert np.median(said.bounds["grad_W_input"]) <= 1e-6 * np.abs(said.values["grad_W_input"]).max()
