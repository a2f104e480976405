"""Variants run together give what each gives alone, and those that cannot be run together are found out."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from gradlab.cells import cell
from gradlab.mistakes.catalogue import mistake
from gradlab.mistakes.outcomes import Outcome, far, outcome
from gradlab.mistakes.probes import probe
from gradlab.mistakes.runs import Variants, variants
from gradlab.mistakes.search import _or_nothing, _split, _stacked
from gradlab.mistakes.stack import CHUNK, Stack


def seen(name: str) -> Outcome:
    problem = probe(cell(name))
    return outcome(cell(name), cell(name).code, problem.inputs(), problem.sizes)


def option(known: Variants, name: str) -> tuple[str, int]:
    (item,) = known.choice([mistake(known.cell.name, name)]).items()
    return item


@pytest.mark.parametrize(("name", "every"), [("rnn", 9), ("gru", 61), ("lstm", 151)])
def test_two_mistakes_give_in_a_stack_what_they_give_alone(name: str, every: int) -> None:
    known, one = variants(cell(name)), seen(name)
    pairs = [two for two in combinations(_split(known)[0], 2) if not two[0].changes.keys() & two[1].changes.keys()]
    pairs = pairs[::every]
    stack = Stack(known, one)
    table = stack.run([known.choice(pair) for pair in pairs])
    stacked = 0
    for pair, row in zip(pairs, table, strict=True):
        alone = _or_nothing(known.run, one, pair)
        if not np.isnan(row).any():
            stacked += 1
            assert not far(np.concatenate([alone[name].ravel() for name in stack.names]), row), pair
    assert stacked > 0.8 * len(pairs)


def test_more_variants_than_go_into_one_run_come_out_in_order() -> None:
    known, one = variants(cell("rnn")), seen("rnn")
    wrong = known.choice([mistake("rnn", "recurrence-dropped")])
    table = Stack(known, one).run([wrong, *([{}] * CHUNK), wrong])
    assert np.array_equal(table[0], table[-1]) and not np.array_equal(table[0], table[1])
    assert np.array_equal(table[1], table[CHUNK])


def test_what_mixes_samples_or_does_not_run_is_not_run_together() -> None:
    known, one = variants(cell("rnn")), seen("rnn")
    stack = Stack(known, one)
    mixing = {name for name, texts in known.options.items() for text in texts if "x.shape[1]" in text}
    assert "rnn.delta_output" in mixing
    for label in mixing:
        name = label.partition(".")[2]
        for text in known.options[label]:
            if "x.shape[1]" in text and "B" in known.cell.quantities[name].axes:
                assert (name, known.option(label, text)) not in stack.apart
    transposed = option(known, "output-weights-not-transposed")
    assert transposed not in stack.apart
    assert option(known, "recurrence-dropped") in stack.apart
    table = stack.run([dict([transposed]), {}])
    assert np.isnan(table[0]).all() and np.isfinite(table[1]).all()


def test_a_sample_that_is_always_the_first_is_found_out() -> None:
    """The first half of a mixed batch alone would not show it."""
    from gradlab.mistakes.rows import Mistake

    text = "(delta_explicit[t] + delta_implicit[t])[:1] + 0 * delta_explicit[t]"
    row = Mistake("first-sample", "rnn", {"rnn.delta_hidden": text}, {}, {}, "", "", "")
    known = Variants(cell("rnn"), [row])
    assert ("delta_hidden", 1) not in Stack(known, seen("rnn")).apart
    assert ("delta_hidden", 0) in Stack(known, seen("rnn")).apart


def test_without_gradients_that_have_a_batch_axis_nothing_is_said() -> None:
    stack = Stack(variants(cell("rtrl")), seen("rtrl"))
    assert stack.names == [] and stack.run([{}, {}]).shape == (2, 0)


def test_values_that_are_missing_are_not_taken_for_zeros() -> None:
    key = ("grad_x", 0)
    there, table = _stacked([{}, {key: np.zeros((2, 2))}])[key]
    assert there.tolist() == [False, True] and table.shape == (2, 4)
