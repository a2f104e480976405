"""The first wrong equation, the steps at which it is wrong, and nobody else's fault."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradlab.arithmetic.balls import precision
from gradlab.cells import cell
from gradlab.checker.locate import FirstWrong, first_wrong
from gradlab.checker.submission import Submission

RNN = cell("rnn")
T = 4

RECURSION = "multiply(delta_hidden[t + 1], W_hidden.T) * slope[t]"
OUTPUT = "(y_hat - y) * y_hat * (1 - y_hat)"
GRAD_W_INPUT, GRAD_W_HIDDEN = "rows(x).T @ rows(delta_hidden)", "rows(a_previous).T @ rows(delta_hidden)"
GRAD_W_OUTPUT = "rows(a_hidden).T @ rows(delta_output)"


def located(code: Any, given: Any) -> FirstWrong | None:
    with precision(256):
        returned = Submission(RNN, code).balls(given)
        return first_wrong(RNN, returned.inputs, returned.trace, returned.loss.total, returned.quantities)


def test_of_what_is_right_nothing_is_first_wrong(problem: Any) -> None:
    assert located(None, problem(T, 2, 2, 3, 2)) is None


# At step t only: the right-hand side times 1, or 2 where t is s.
@pytest.mark.parametrize("s", range(T - 1))
def test_the_exact_step_of_a_recursion(s: int, edited: Callable[..., Path], problem: Any) -> None:
    found = located(edited((RECURSION, f"{RECURSION} * (2 if t == {s} else 1)")), problem(T))
    assert found is not None
    assert (found.label, found.steps, found.of, found.note) == ("rnn.delta_implicit", (s,), T, "")
    assert found.index == (s, 0, 0)
    assert str(found) == f"rnn.delta_implicit is first wrong at t = {s} of 0..{T - 1}"


def test_the_exact_steps_of_several(edited: Callable[..., Path], problem: Any) -> None:
    found = located(edited((OUTPUT, f"{OUTPUT} * (1.0 + np.arange(len(x)) % 2)[:, None, None]")), problem(T))
    assert found is not None
    assert (found.label, found.steps) == ("rnn.delta_output", (1, 3))
    assert str(found) == "rnn.delta_output is first wrong at t = 1, 3 of 0..3"


def test_a_mistake_in_one_sample_of_a_batch_is_located_there(edited: Callable[..., Path], problem: Any) -> None:
    change = (OUTPUT, f"{OUTPUT} * np.array([1.0, 1.0, 2.0])[:, None]")
    found = located(edited(change), problem(T, 3))
    assert found is not None
    assert (found.label, found.steps, found.index) == ("rnn.delta_output", tuple(range(T)), (0, 2, 0))


def test_the_value_and_what_it_should_be(edited: Callable[..., Path], problem: Any) -> None:
    found = located(edited((OUTPUT, f"2 * {OUTPUT}")), problem(T))
    assert found is not None
    with precision(256):
        assert abs(found.value / found.wanted - 2) < 1e-60


SUMS = {
    "W_input": (GRAD_W_INPUT, "rows(x{}).T @ rows(delta_hidden{})"),
    "W_hidden": (GRAD_W_HIDDEN, "rows(a_previous{}).T @ rows(delta_hidden{})"),
    "W_output": (GRAD_W_OUTPUT, "rows(a_hidden{}).T @ rows(delta_output{})"),
}


@pytest.mark.parametrize("s", range(T))
@pytest.mark.parametrize("name", SUMS)
@pytest.mark.parametrize("how", ["missing", "counted twice", "only"])
def test_the_term_of_one_step_of_a_sum(name: str, s: int, how: str, edited: Callable[..., Path], problem: Any) -> None:
    right, pattern = SUMS[name]
    term = pattern.format(f"[{s} : {s + 1}]", f"[{s} : {s + 1}]")
    wrong = {"missing": f"{right} - {term}", "counted twice": f"{right} + {term}", "only": term}[how]
    found = located(edited((right, wrong)), problem(T))
    assert found is not None
    assert found.label == f"rnn.grad_{name}"
    if how == "only":
        assert found.steps == tuple(t for t in range(T) if t != s)
        assert found.note == f"only the term of step {s} is there"
    else:
        assert found.steps == (s,)
        assert found.note == f"the term of step {s} is {how}"


def test_a_sum_that_is_wrong_otherwise_is_wrong_at_every_step(edited: Callable[..., Path], problem: Any) -> None:
    found = located(edited((GRAD_W_INPUT, f"3 * {GRAD_W_INPUT}")), problem(T))
    assert found is not None
    assert (found.label, found.steps, found.note) == ("rnn.grad_W_input", tuple(range(T)), "")


def test_one_step_alone_is_missing_and_not_the_only_one_there(edited: Callable[..., Path], problem: Any) -> None:
    found = located(edited((GRAD_W_INPUT, f"0 * ({GRAD_W_INPUT})")), problem(1))
    assert found is not None and found.note == "the term of step 0 is missing"


def test_a_gradient_that_is_not_a_number_misses_no_term(edited: Callable[..., Path], problem: Any) -> None:
    found = located(edited((GRAD_W_INPUT, f"np.nan * ({GRAD_W_INPUT})")), problem(T))
    assert found is not None
    assert (found.label, found.steps, found.note) == ("rnn.grad_W_input", tuple(range(T)), "")


PLACES = {
    "net_hidden": ("net_input[t] + multiply(a_hidden[t - 1], W_hidden)", "{} * 2"),
    "a_hidden": ("a_hidden[t] = sigmoid(net_hidden[t])", "{} * 2"),
    "net_output": ("net_output = multiply(a_hidden, W_output)", "{} * 2"),
    "y_hat": ("y_hat = sigmoid(net_output)", "{} * 2"),
    "loss": ("0.5 * np.sum((y_hat - y) ** 2, axis=(-2, -1))", "{} * 2"),
    "delta_output": (OUTPUT, "{} * 2"),
    "delta_explicit": ("multiply(delta_output, W_output.T) * slope ", "{} * 2"),
    "delta_implicit": (RECURSION, "{} * 2"),
    "delta_hidden": ("delta_explicit[t] + delta_implicit[t]", "2 * ({})"),
    "grad_W_output": (GRAD_W_OUTPUT, "{} * 2"),
    "grad_W_hidden": (GRAD_W_HIDDEN, "{} * 2"),
    "grad_W_input": (GRAD_W_INPUT, "{} * 2"),
    "grad_x": ("multiply(delta_hidden, W_input.T)", "{} * 2"),
    "grad_a_initial": ("multiply(delta_hidden[0], W_hidden.T)", "{} * 2"),
}


def change(name: str) -> tuple[str, str]:
    right, wrong = PLACES[name]
    return right, wrong.format(right)


def test_the_table_names_every_equation() -> None:
    assert list(PLACES) == list(RNN.quantities)


@pytest.mark.parametrize("name", PLACES)
def test_each_equation_alone_is_blamed_and_none_that_is_fed_by_it(
    name: str, edited: Callable[..., Path], problem: Any
) -> None:
    found = located(edited(change(name)), problem(T))
    assert found is not None and found.label == f"rnn.{name}"


@pytest.mark.parametrize(("first", "second"), list(itertools.pairwise(PLACES)))
def test_of_two_wrong_equations_the_first_in_the_derivation(
    first: str, second: str, edited: Callable[..., Path], problem: Any
) -> None:
    found = located(edited(change(second), change(first)), problem(T))
    assert found is not None and found.label == f"rnn.{first}"


def test_the_delta_before_a_wrong_one_is_not_the_culprit(edited: Callable[..., Path], problem: Any) -> None:
    """delta_implicit is wrong at step 2 only, and so are the deltas of steps 1 and 0 in value, not as equations."""
    path = edited((RECURSION, f"{RECURSION} * (2 if t == 2 else 1)"))
    given = problem(T)
    with precision(256):
        wrong, right = (Submission(RNN, code).balls(given).quantities["delta_implicit"] for code in (path, None))
        moved = [t for t in range(T) if any(a != b for a, b in zip(wrong[t].flat, right[t].flat, strict=True))]
    assert moved == [0, 1, 2]
    found = located(path, given)
    assert found is not None and found.steps == (2,)


def test_a_wrong_equation_that_this_problem_hides_is_not_found(edited: Callable[..., Path], problem: Any) -> None:
    path = edited(("[t + 1], W_hidden.T)", "[t + 1], W_hidden)"))
    assert located(path, problem(T, W_hidden=np.diag([0.5, -0.25]))) is None
    found = located(path, problem(T))
    assert found is not None and found.label == "rnn.delta_implicit"
