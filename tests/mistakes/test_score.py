"""The score: what it counts, and that it would show a checker that misses something."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from gradlab.arithmetic.balls import precision
from gradlab.cells import cell
from gradlab.mistakes.catalogue import mistakes
from gradlab.mistakes.ground import Ground
from gradlab.mistakes.mutants import Mutant, mutants
from gradlab.mistakes.naming import Naming, plant, sampled
from gradlab.mistakes.peers import NAMES
from gradlab.mistakes.probes import DISTINCT, drawn, probes
from gradlab.mistakes.score import Row, Score, _count, score
from gradlab.mistakes.trial import Place, alarms, judged

RNN = cell("rnn")
BPTT = RNN.code.gradient
MUTANTS = mutants(RNN)


@pytest.fixture(scope="module")
def place() -> Place:
    return Place(RNN, [Ground(RNN, drawn(RNN, DISTINCT, 1.0, 0))])


def counted(mutant: Mutant, place: Place) -> tuple[Score, Row]:
    found = Score("rnn", 1, rows=[Row(1.0)])
    _count(found, mutant, judged(mutant, [place]))
    return found, found.rows[0]


@pytest.fixture(scope="module")
def small() -> Score:
    return score("rnn", scales=(0.01,), pairs=10, unchanged=5)


def test_every_mutant_is_refused_equivalent_caught_or_escaped(small: Score) -> None:
    row = small.rows[0]
    assert small.generated == len(small.refused) + len(small.equivalent) + row.mutants == len(mutants(RNN))
    assert row.mutants == row.caught + len(row.escaped)


def test_nothing_escapes(small: Score) -> None:
    assert small.ok, str(small)
    assert small.rows[0].escaped == []


def test_what_is_caught_is_located_and_what_is_planted_is_named(small: Score) -> None:
    row = small.rows[0]
    assert not row.mislocated
    assert row.singles.total == len(mistakes("rnn")) == row.singles.right
    assert row.pairs.total == 10 and not row.pairs.wrong and not row.pairs.unnamed


def test_unchanged_code_raises_no_alarm(small: Score) -> None:
    assert (small.rows[0].unchanged, small.rows[0].alarms) == (5, 0)


def test_peers_let_wrong_gradients_pass_at_small_weights(small: Score) -> None:
    row = small.rows[0]
    assert row.accepted.keys() == set(NAMES)
    assert 0 < row.accepted["torch"] < row.gradients


def test_every_equivalent_mutant_has_a_reason(small: Score) -> None:
    assert small.equivalent
    assert all("agrees at 256 bits" in why for why in small.equivalent.values())


def test_text_and_json_say_it_all(small: Score) -> None:
    text, said = str(small), json.loads(json.dumps(small.to_json()))
    assert "equivalent" in text and "false alarms" in text and "torch accepts" in text
    assert said["rows"][0]["caught"] == small.rows[0].caught
    assert all(mutant.split(" ")[0] in text for mutant in small.equivalent)


def test_a_row_with_anything_wrong_is_not_ok() -> None:
    fine = Score("rnn", 1, rows=[Row(1.0, mutants=1, caught=1, located=1)])
    assert fine.ok
    for flaw in (
        {"escaped": ["x"]},
        {"mislocated": ["x"]},
        {"alarms": 1},
        {"singles": Naming(wrong=["x"])},
        {"pairs": Naming(wrong=["x"])},
    ):
        assert not replace(fine, rows=[replace(fine.rows[0], **flaw)]).ok  # type: ignore[arg-type]
    assert not replace(fine, interrupted=True).ok


def test_a_mutant_that_changes_nothing_is_equivalent(place: Place) -> None:
    idle = next(mutant for mutant in MUTANTS if "commute" in mutant.why)
    found, row = counted(idle, place)
    assert found.equivalent.keys() == {str(idle)} and row.mutants == 0


def test_a_mutant_that_nothing_proves_wrong_would_count_as_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ground that never sees a difference and never agrees: a checker that cannot tell."""
    blind = Ground(RNN, drawn(RNN, DISTINCT, 1.0, 0))
    monkeypatch.setattr(blind, "wrong", lambda seen, bits: [])
    monkeypatch.setattr(blind, "agrees", lambda seen, bits: False)
    wrong = next(mutant for mutant in MUTANTS if mutant.before == "W_hidden.T" and mutant.after == "W_hidden")
    found, row = counted(wrong, Place(RNN, [blind]))
    assert row.escaped == [str(wrong)] and (row.mutants, row.caught, row.located) == (1, 0, 0)
    assert not found.ok and f"at 1: {wrong}" in str(found)


def test_a_gradient_proven_wrong_at_one_scale_counts_as_passed_where_it_escapes(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    blind = Ground(RNN, drawn(RNN, DISTINCT, 0.1, 0))
    monkeypatch.setattr(blind, "wrong", lambda seen, bits: [])
    wrong = next(mutant for mutant in MUTANTS if mutant.before == "W_hidden.T" and mutant.after == "W_hidden")
    found = Score("rnn", 1, rows=[Row(1.0), Row(0.1)])
    _count(found, wrong, judged(wrong, [place, Place(RNN, [blind])]))
    assert [(row.gradients, row.passed, row.caught) for row in found.rows] == [(1, 0, 1), (1, 1, 0)]


def test_a_mutant_that_shows_elsewhere_would_count_as_mislocated(place: Place) -> None:
    wrong = next(mutant for mutant in MUTANTS if mutant.before == "W_hidden.T" and mutant.after == "W_hidden")
    _, row = counted(replace(wrong, labels=("rnn.loss",)), place)
    assert row.caught == 1 and row.located == 0 and "at rnn.delta_implicit, wanted rnn.loss" in row.mislocated[0]


def test_a_mutant_that_only_another_problem_refuses_is_caught_and_not_located(place: Place) -> None:
    """It runs where it is first tried, and not where it is tried next."""
    fussy = next(mutant for mutant in MUTANTS if mutant.function == "gradient")

    def gradient(params: Any, x: Any, *rest: Any) -> Any:
        if len(x) != DISTINCT["T"]:
            raise ValueError("no")
        return BPTT(params, x, *rest)

    fussy = replace(fussy)
    vars(fussy)["code"] = RNN.code._replace(gradient=gradient)
    longer = Place(RNN, [Ground(RNN, drawn(RNN, {**DISTINCT, "T": 7}, 1.0, 0))])
    found = Score("rnn", 1, rows=[Row(1.0), Row(1.0)])
    _count(found, fussy, judged(fussy, [place, longer]))
    assert [row.caught for row in found.rows] == [0, 1]
    assert found.rows[1].located == 0 and "at nowhere, for a problem refuses it" in found.rows[1].mislocated[0]


def test_what_reads_entries_in_which_nothing_was_stored_is_said_to(place: Place) -> None:
    """On floats it would run, on whatever the memory held before."""
    backwards = next(m for m in MUTANTS if m.kind == "reverse the loop" and m.function == "forward")
    shapeless = next(m for m in MUTANTS if m.before == "W_input" and m.after == "W_input.T")
    found, _ = counted(backwards, place)
    assert found.unwritten == found.refused == [str(backwards)] and "1 of them because" in str(found)
    assert judged(backwards, [place]).refused == "it reads entries in which nothing was stored"
    found, _ = counted(shapeless, place)
    assert (found.unwritten, found.refused) == ([], [str(shapeless)])


def test_code_that_leaves_a_quantity_out_is_refused(place: Place) -> None:
    def gradient(*args: Any) -> Any:
        return BPTT(*args)._replace(deltas=None)

    with precision(128):
        seen = place.grounds[0].outcome(RNN.code._replace(gradient=gradient))
    assert seen.refused == "delta_output is not returned"


def test_code_that_is_wrong_raises_an_alarm(monkeypatch: pytest.MonkeyPatch, place: Place) -> None:
    problems = [place.grounds[0].problem]
    assert alarms(RNN, problems) == [False]
    wrong = next(mutant for mutant in MUTANTS if mutant.before == "W_hidden.T" and mutant.after == "W_hidden")
    own = Ground.outcome
    monkeypatch.setattr(Ground, "outcome", lambda ground, code: own(ground, wrong.code))
    assert alarms(RNN, problems) == [True]


def test_interrupted_it_returns_what_is_known() -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        if done >= 20:
            raise KeyboardInterrupt

    found = score("rnn", scales=(1.0,), progress=interrupt)
    assert found.interrupted and not found.ok
    assert len(found.refused) + len(found.equivalent) + found.rows[0].mutants == 20
    assert f"interrupted, 20 of {len(MUTANTS)} mutants" in str(found)
    assert found.to_json()["interrupted"] is True


def test_a_wrong_name_would_count() -> None:
    """The catalogue's row under the changes of another: what is planted is not what is named."""
    rows = mistakes("rnn")
    impostor = replace(rows[20], changes=rows[21].changes, square=rows[21].square)
    tally = Naming()
    plant(RNN, (impostor,), probes(RNN), tally)
    assert tally.right == 1  # the changes are what counts
    assert Naming(wrong=["x"]).total == 1


def test_pairs_are_spread_over_all() -> None:
    rows = mistakes("rnn")
    every = list(sampled(rows, None))
    some = list(sampled(rows, 50))
    assert len(some) == len({frozenset(row.name for row in pair) for pair in some}) == 50 < len(every)
    assert all(not a.changes.keys() & b.changes.keys() for a, b in every)
    assert len({pair[0].name for pair in some}) > 20
