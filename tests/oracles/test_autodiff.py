"""The JAX twin as an oracle: its bound holds, is tight, and catches what is off by a part in 1e9."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradlab.oracles import autodiff
from gradlab.reference import twin


def test_the_bound_holds_on_a_hundred_problems(lab: Any) -> None:
    for i, one in enumerate(lab.known):
        assert lab.missed(autodiff.evidence(lab.rnn, one.problem), one.exact) == [], (i, one.scale, one.kind)


def test_a_part_in_1e9_is_outside_the_bound(lab: Any) -> None:
    for one in [one for one in lab.known if one.kind == "plain"]:
        said = autodiff.evidence(lab.rnn, one.problem)
        wrong = said._replace(values={name: value * (1 + 1e-9) for name, value in said.values.items()})
        assert set(lab.missed(wrong, one.exact)) == {name for name, v in said.values.items() if v.any()}


def test_a_twin_that_counts_a_loss_twice_is_outside_the_bound(lab: Any, monkeypatch: Any) -> None:
    real = twin.differentiate

    def sabotaged(cell: str, params: Any, state: Any, x: Any, y: Any, *rest: Any) -> Any:
        right = real(cell, params, state, x, y, *rest)
        right.deltas["net_hidden"]["later"] = right.deltas["net_hidden"]["later"] + right.deltas["net_hidden"]["own"]
        return right

    monkeypatch.setattr(twin, "differentiate", sabotaged)
    given = lab.problem(scale=1e-6)
    assert lab.missed(autodiff.evidence(lab.rnn, given), lab.exact(given)) == ["delta_implicit"]


def test_the_bound_is_relative_at_every_scale(lab: Any) -> None:
    """At any magnitude twelve digits are vouched for: the median bound of each quantity against its largest entry."""
    for one in [one for one in lab.known if one.kind == "plain"]:
        said = autodiff.evidence(lab.rnn, one.problem)
        for name, value in said.values.items():
            if value.any():
                assert np.median(said.bounds[name]) <= 1e-11 * np.abs(value).max(), (one.scale, name)
