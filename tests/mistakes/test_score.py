"""The score: what it counts, and that it would show a checker that misses something."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gradlab.cells import cell
from gradlab.mistakes.catalogue import mistakes
from gradlab.mistakes.mutants import mutants
from gradlab.mistakes.naming import Naming, plant, sampled
from gradlab.mistakes.peers import NAMES
from gradlab.mistakes.probes import DISTINCT, drawn, probes
from gradlab.mistakes.score import Ground, Row, Score, _Scoring, score

RNN = cell("rnn")


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
    fine = Score("rnn", 1, [], {}, [Row(1.0, mutants=1, caught=1, located=1)])
    assert fine.ok
    for flaw in (
        {"escaped": ["x"]},
        {"mislocated": ["x"]},
        {"alarms": 1},
        {"singles": Naming(wrong=["x"])},
        {"pairs": Naming(wrong=["x"])},
    ):
        assert not replace(fine, rows=[replace(fine.rows[0], **flaw)]).ok  # type: ignore[arg-type]


def test_a_mutant_that_changes_nothing_would_count_as_escaped() -> None:
    """The same code under another name, put among those that have to be caught."""
    scoring = _Scoring(RNN, 0, lambda what, done, total: None)
    ground = Ground(RNN, drawn(RNN, DISTINCT, 1.0, 0))
    idle = next(mutant for mutant in mutants(RNN) if mutant.commutes)
    row = Row(1.0)
    scoring._mutants(row, [idle], [ground])
    assert row.escaped == [str(idle)] and row.caught == 0
    assert scoring._equivalent([idle], [ground]) == {idle: scoring._equivalent([idle], [ground])[idle]}


def test_a_mutant_that_shows_elsewhere_would_count_as_mislocated() -> None:
    scoring = _Scoring(RNN, 0, lambda what, done, total: None)
    wrong = next(mutant for mutant in mutants(RNN) if mutant.before == "W_hidden.T" and mutant.after == "W_hidden")
    row = Row(1.0)
    scoring._mutants(row, [replace(wrong, labels=("rnn.loss",))], [Ground(RNN, drawn(RNN, DISTINCT, 1.0, 0))])
    assert row.caught == 1 and row.located == 0 and "at rnn.delta_implicit, wanted rnn.loss" in row.mislocated[0]


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
