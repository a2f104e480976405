from __future__ import annotations

import numpy as np
import pytest

from gradlab.addition import carry, data
from gradlab.addition.carry import probe, probe_over_training
from gradlab.addition.data import AdditionError


def test_the_net_has_learnt_the_carry(trained):
    run, _ = trained
    found = probe(run.params)
    assert (found.accuracy, found.exact, found.judged) == (1, 1, 1000)
    assert found.by_column == (1,) * 8
    assert probe(run.params, bits=33).exact == 1
    assert found.baseline < 0.7 and found.inputs_only < 0.9


def test_the_probe_is_judged_on_pairs_it_was_not_fitted_on():
    for bits in (3, 5, 8, 62):
        fit, judge = carry._split(bits, seed=0)
        assert len(judge) and not set(map(tuple, fit.tolist())) & set(map(tuple, judge.tolist()))


def test_it_learns_the_carry_in_training(trained):
    run, snapshots = trained
    history = probe_over_training([snapshots[0], snapshots[4], snapshots[-1]])
    assert history.steps == (0, 1000, run.step)
    assert history.exact[0] < 0.9 and history.exact[1] < 0.9 and history.exact[-1] == history.accuracy[-1] == 1
    assert str(history).splitlines()[-1].split()[:3] == [str(run.step), "100.00%", "100.00%"]


def test_a_net_without_memory_is_seen_to_have_no_carry(trained):
    run, _ = trained
    forgetful = probe(run.params._replace(W_hidden=0 * run.params.W_hidden))
    assert forgetful.exact < 0.5 and forgetful.accuracy == pytest.approx(forgetful.inputs_only, abs=0.05)


def test_the_units_are_ranked_by_what_they_say_of_the_carry():
    carried = np.array([[0, 1, 1, 0, 1, 0, 0, 1]]).T
    noise = np.random.default_rng(0).standard_normal(8)
    states = np.stack([noise, np.ones(8), 3 - 2 * carried[:, 0]], axis=-1)[:, None]
    first, second, last = carry._units(states, carried, np.array([1.0, 5.0, -2.0]))
    assert (first.index, second.index, last.index) == (2, 0, 1)
    assert first.correlation == pytest.approx(-1) and first.weight == pytest.approx(-2)
    assert second.correlation == pytest.approx(np.corrcoef(noise, carried[:, 0])[0, 1])
    assert last.correlation == 0 == last.weight


def test_the_report_names_the_units_that_carry(trained):
    run, _ = trained
    found = probe(run.params, seed=4)
    text = str(found)
    assert "100.00% of the columns right, 100.00% of the pairs" in text and "1000 held-out pairs" in text
    assert f"unit {found.units[0].index:>3}" in text and "8 more" in text
    strengths = [abs(unit.correlation) for unit in found.units]
    assert strengths == sorted(strengths, reverse=True) and len(strengths) == 16


def test_any_state_of_the_net_can_be_read(trained):
    run, _ = trained
    assert carry.states("rnn") == ("net_hidden", "a_hidden")
    assert probe(run.params).state == "a_hidden"
    assert probe(run.params, state="net_hidden").accuracy > 0.9


def test_refusals():
    params = data.problem(np.random.default_rng(0)).params
    with pytest.raises(AdditionError, match=r"bits = 2: a probe wants at least 3"):
        probe(params, bits=2)
    with pytest.raises(AdditionError, match=r"state = 'y_hat': the rnn cell has net_hidden, a_hidden"):
        probe(params, state="y_hat")
