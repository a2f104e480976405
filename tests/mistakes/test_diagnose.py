"""The diagnosis: every mistake of the catalogue by its name, no other by any name."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from gradlab.arithmetic.balls import balls, precision
from gradlab.cells import Code, cell
from gradlab.checker.locate import first_wrong
from gradlab.checker.submission import Submission
from gradlab.mistakes.catalogue import Mistake, mistake, mistakes
from gradlab.mistakes.diagnose import Diagnosis, diagnose
from gradlab.mistakes.naming import Naming, plant, sampled
from gradlab.mistakes.patch import patch, with_mistakes
from gradlab.mistakes.probes import DISTINCT, SQUARE, drawn, probe, probes
from gradlab.mistakes.runs import disjoint, recorded_code, variants
from gradlab.mistakes.score import SCALES, Ground

RNN = cell("rnn")
ROWS = mistakes("rnn")
SEED = "explicit-delta-in-the-recursion"

# What the gradients of some mistakes share, exactly; deltas tell them apart.
TWINS = [
    {"recurrence-dropped", "carry-never-added"},
    {"sign-of-the-carry", "carry-subtracted"},
    {"carry-slope-doubled", "carry-counted-twice"},
    {"explicit-slope-doubled", "explicit-counted-twice"},
    {"slope-twice-everywhere", "slope-after-the-sum"},
    {"slope-halved-everywhere", "delta-averaged-with-carry"},
]

# No row of the catalogue; the quantity that is wrong, and words of the evidence.
ODD = {
    "another factor": ("delta_implicit", "multiply(delta_hidden[t + 1], W_hidden.T) * slope[t] * 0.9", "is 0.9 times"),
    "a factor T": ("grad_W_hidden", "rows(a_previous).T @ rows(delta_hidden) * T", "pure factor T: grad_W_hidden"),
    "a factor -2": ("delta_output", "-2 * (y_hat - y) * y_hat * (1 - y_hat)", "pure factor -2"),
    "a truncation": ("delta_implicit", "multiply(delta_hidden[t + 1], W_hidden.T) * slope[t] * (t + 4 != T)",
                     "right at T = 3 and wrong at T = 4"),
    "squares": ("grad_W_hidden", "rows(a_previous ** 2).T @ rows(delta_hidden)", "only grad_W_hidden is wrong"),
    "the first step": ("grad_x", "multiply(delta_hidden, W_input.T) * (1 + x * (np.arange(T) == 0)[:, None, None])",
                       "grad_x: wrong at the first step only"),
    "the initial state": ("grad_W_hidden",
                          "rows(np.concatenate([2 * state.a_initial[None], a_previous[1:]])).T @ rows(delta_hidden)",
                          "right where the initial state is zero"),
    "a fourth power": ("delta_explicit", "multiply(delta_output, W_output.T) * slope ** 4", "wrong at T = 1 already"),
    "elsewhere": ("delta_implicit", "multiply(delta_hidden[t + 1], W_hidden.T) * slope[t] * slope[0]",
                  "it falls with the weights"),
    "an activation": ("a_hidden", "np.tanh(net_hidden[t]) / 2 + 0.25", "the forward pass is wrong already"),
}  # fmt: skip


# No size is 2, and none is another but in the square one: factors of ½ and of 1/B are not taken for each other.
SIZES = {"T": 6, "B": 3, "O": 7, "H": 4, "I": 5}, {**SQUARE, "B": 4}


def scaled(scale: float) -> list[Any]:
    return [drawn(RNN, sizes, scale, seed) for seed, sizes in enumerate(SIZES)]


@cache
def mistaken(row: str) -> Code:
    return with_mistakes(RNN, mistake("rnn", row))


# All at the largest and the smallest scale, and each at one of those between.
AT = {scale: ROWS[i::3] for i, scale in enumerate(SCALES[1:-1])} | {SCALES[0]: ROWS, SCALES[-1]: ROWS}


@pytest.mark.parametrize("scale", SCALES)
def test_every_mistake_is_caught_located_and_named_from_deltas(scale: float) -> None:
    problems = scaled(scale)
    grounds = [Ground(RNN, problem) for problem in problems]
    for row in AT[scale]:
        code = mistaken(row.name)
        ground = grounds[row.square]
        with precision(128):
            assert ground.wrong(ground.outcome(code)), row.name
        found = diagnose(RNN, code, problems=[ground.problem])
        assert found is not None and found.decided, row.name
        assert found.mistakes == (row.name,)
        assert found.label == row.labels[0]


def test_the_checker_locates_what_the_diagnosis_locates() -> None:
    with precision(128):
        for row in ROWS[::4]:
            code = with_mistakes(RNN, row)
            problem = probe(RNN, square=row.square)
            inputs, trace, loss, _, found = Submission(RNN, code).balls(problem)
            first = first_wrong(RNN, inputs, trace, loss.total, found)
            seen = recorded_code(RNN, code).outcome(problem)
            assert first is not None and first.label == f"rnn.{variants(RNN).wrong(seen)[0]}"


@pytest.mark.parametrize("row", ROWS[::3], ids=lambda row: row.name)
def test_a_mistake_is_named_from_gradients_wherever_they_can_tell(row: Mistake) -> None:
    found = diagnose(RNN, with_mistakes(RNN, row), deltas=False)
    assert found is not None
    twins = next((pair for pair in TWINS if row.name in pair), {row.name})
    assert {name for one in found.candidates for name in one} == twins
    assert found.decided == (len(twins) == 1)


@pytest.mark.parametrize("twins", TWINS, ids=lambda pair: min(pair))
def test_deltas_tell_the_twins_apart(twins: set[str]) -> None:
    for name in twins:
        found = diagnose(RNN, with_mistakes(RNN, mistake("rnn", name)))
        assert found is not None and found.decided and found.mistakes == (name,)


def test_gradients_that_are_given_without_deltas_are_enough() -> None:
    code = with_mistakes(RNN, mistake("rnn", SEED))

    def bare(*args: Any) -> Any:
        return code.gradient(*args)._replace(deltas=None)

    found = diagnose(RNN, code._replace(gradient=bare))
    assert found is not None and found.decided and found.mistakes == (SEED,)


@pytest.mark.parametrize(("deltas", "count"), [(True, 50), (False, 15)], ids=["deltas", "gradients"])
def test_pairs_are_named_or_honestly_undecided(deltas: bool, count: int) -> None:
    tally = Naming()
    for two in sampled(ROWS, count):
        plant(RNN, two, probes(RNN), tally, deltas=deltas)
    assert not tally.wrong
    assert not tally.unnamed
    assert tally.total + tally.refused + tally.cancelled == count
    assert tally.right > 0.6 * count


def test_a_tally_notices_what_is_not_named() -> None:
    """One step hides the carry: the planted mistake cannot be seen."""
    one_step = drawn(RNN, {**DISTINCT, "T": 1}, 1.0, 0)
    tally = Naming()
    plant(RNN, (mistake("rnn", "sign-of-the-carry"),), [one_step], tally)
    assert (tally.right, tally.unnamed) == (0, 1)


def test_two_mistakes_that_undo_each_other_show_in_the_deltas_alone() -> None:
    two = [mistake("rnn", name) for name in ("carry-slope-halved", "carry-counted-twice")]
    from_gradients, from_deltas = Naming(), Naming()
    plant(RNN, two, probes(RNN), from_gradients, deltas=False)
    plant(RNN, two, probes(RNN), from_deltas)
    assert from_gradients.cancelled == 1 == from_deltas.right


@pytest.mark.parametrize(("name", "wrong", "words"), ODD.values(), ids=ODD)
@pytest.mark.parametrize("deltas", [True, False], ids=["deltas", "gradients"])
def test_a_mistake_outside_the_catalogue_is_unknown(name: str, wrong: str, words: str, deltas: bool) -> None:
    found = diagnose(RNN, patch(RNN, {f"rnn.{name}": wrong}), deltas=deltas)
    assert found is not None and not found.named and not found.decided
    assert found.to_json()["mistakes"] == []
    if deltas:
        assert found.label == f"rnn.{name}"
    if deltas or "times" not in words:
        assert words in str(found), found
    assert "you" not in str(found)
    assert str(found).startswith(f"The mistake{f' at rnn.{name}' if deltas or name == 'a_hidden' else ''} is not in")


def test_half_a_pair_outside_the_catalogue_is_unknown() -> None:
    odd = {"rnn.grad_x": "multiply(delta_hidden, W_input.T) * 7"}
    found = diagnose(RNN, patch(RNN, mistake("rnn", SEED).changes | odd))
    assert found is not None and not found.named


def test_a_total_that_is_not_the_sum_is_no_mistake_of_the_catalogue() -> None:
    def loss(*args: Any) -> Any:
        right = RNN.code.loss(*args)
        return right._replace(total=right.total / 2)

    found = diagnose(RNN, RNN.code._replace(loss=loss))
    assert found is not None and not found.named and found.label == "rnn.loss"
    assert "the total is not the sum of the steps' losses" in str(found)


def test_more_bits_decide_where_balls_are_wide() -> None:
    """Without its activation the state explodes, and the logarithm of 1 - y_hat has no digits left at 128 bits."""
    names = ("hidden-activation-dropped", "loss-is-cross-entropy")
    found = diagnose(RNN, with_mistakes(RNN, *(mistake("rnn", name) for name in names)))
    assert found is not None and found.mistakes == names


def test_right_code_has_no_diagnosis() -> None:
    assert diagnose("rnn", RNN.code) is None
    assert diagnose("rnn", RNN.code, deltas=False) is None


def test_code_that_never_runs_is_refused_by_every_probe() -> None:
    def forward(*args: Any) -> Any:
        raise RuntimeError("no")

    found = diagnose(RNN, RNN.code._replace(forward=forward))
    assert found is not None and not found.named
    assert "RuntimeError: no" in str(found)


def test_code_that_runs_only_where_sizes_are_equal_points_to_a_transpose() -> None:
    odd = patch(RNN, {"rnn.delta_explicit": "multiply(delta_output, W_output) * slope ** 3"}, square=True)
    found = diagnose(RNN, odd)
    assert found is not None and not found.named
    assert "points to a missing or misplaced transpose" in str(found)


def test_the_first_seed_is_named_in_three_lines_and_cited() -> None:
    found = diagnose(RNN, with_mistakes(RNN, mistake("rnn", SEED)))
    first = str(found).splitlines()[:3]
    assert any(SEED in line for line in first)
    assert any("first seed" in line and "426" in line for line in first)
    assert r"(\delta_{explicit}(t+1) W_{hidden}^T)" in str(found)
    assert r"(\delta_{hidden}(t+1) W_{hidden}^T)" in str(found)


def test_a_hint_keeps_the_correct_form_back() -> None:
    found = diagnose(RNN, with_mistakes(RNN, mistake("rnn", SEED)), hint=True)
    assert SEED in str(found)
    assert r"(\delta_{explicit}(t+1) W_{hidden}^T)" in str(found)
    assert r"(\delta_{hidden}(t+1) W_{hidden}^T)" not in str(found)


def test_json_names_both_where_nothing_tells_them_apart() -> None:
    found = diagnose(RNN, with_mistakes(RNN, mistake("rnn", "carry-never-added")), deltas=False)
    assert found is not None
    said = found.to_json()
    assert said.keys() == {"mistakes", "evidence"}
    assert set(said["mistakes"]) == TWINS[0]
    assert any("no probe tells them apart" in sentence for sentence in said["evidence"])


def test_two_mistakes_together_are_both_named() -> None:
    names = {"output-slope-dropped", "present-state-in-hidden-gradient"}
    found = diagnose(RNN, with_mistakes(RNN, *(mistake("rnn", name) for name in names)))
    assert isinstance(found, Diagnosis) and found.decided
    assert set(found.mistakes) == names == set(found.to_json()["mistakes"])


def test_the_problem_on_which_it_disagreed_is_looked_at_too() -> None:
    """A mistake that shows on long sequences alone."""
    late = {"rnn.grad_x": "multiply(delta_hidden, W_input.T) * (1 + (T > 20))"}
    code = patch(RNN, late)
    assert diagnose(RNN, code) is None
    found = diagnose(RNN, code, also=drawn(RNN, {**DISTINCT, "T": 21}, 1.0, 0))
    assert found is not None and not found.named and found.label == "rnn.grad_x"


def test_balls_decide_where_floats_cannot() -> None:
    """A relative change of 1e-25 is below what float64 resolves, and no row of the catalogue makes it."""
    found = diagnose(RNN, patch(RNN, {"rnn.grad_x": "-multiply(delta_hidden, W_input.T) * (1 + x * 1e-25)"}))
    assert found is not None and not found.named


def test_disjoint_needs_a_point_that_is_proven() -> None:
    with precision(64):
        third = balls(np.ones(1)) / 3
    with precision(128):
        assert not disjoint(third, balls(np.ones(1)) / 3)
        assert disjoint(third, balls(np.ones(1)) / 3 + 1e-9)


def test_code_is_what_the_registry_holds() -> None:
    assert isinstance(with_mistakes(RNN, ROWS[0]), Code)
