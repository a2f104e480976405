"""Mutants: every rule does what it says, all of them are made, and each knows where it may show."""

from __future__ import annotations

import ast
from collections import Counter
from typing import Any

import numpy as np
import pytest

from gradlab.arithmetic.balls import precision
from gradlab.cells import cell
from gradlab.mistakes.equivalent import UNREAD, why
from gradlab.mistakes.mutants import _of, _tree, mutants
from gradlab.mistakes.probes import probe
from gradlab.mistakes.rules import RULES, Scope
from gradlab.mistakes.runs import recorded_code, variants

RNN = cell("rnn")
MUTANTS = mutants(RNN)
SCOPE = Scope({"W": (3, 4), "V": (3, 4), "u": (4,), "s.a": (3, 4)}, frozenset({"t", "T"}), 6)

# What each expression may become, by the rule.
CHANGES: dict[str, set[tuple[str, str]]] = {
    "W.T": {("drop a transpose", "W"), ("flip a sign", "-W.T")},
    "W": {("add a transpose", "W.T"), ("another array", "V"), ("another array", "s.a")},
    "s.a": {("add a transpose", "s.a.T"), ("flip a sign", "-s.a"), ("another array", "W"), ("another array", "V")},
    "u": set(),
    "-u": {("flip a sign", "u")},
    "p - q": {("flip a sign", "-(p - q)"), ("swap an operator", "p + q"), ("swap an operator", "p * q"),
              ("swap an operator", "p @ q"), ("drop a term", "p"), ("drop a term", "-q"), ("swap operands", "q - p")},
    "p @ q": {("flip a sign", "-(p @ q)"), ("swap an operator", "p + q"), ("swap an operator", "p - q"),
              ("swap an operator", "p * q"), ("drop a factor", "p"), ("drop a factor", "q"),
              ("swap operands", "q @ p")},
    "p ** q": {("flip a sign", "-p ** q"), ("swap an operator", "p * q"), ("drop a factor", "p"),
               ("drop a factor", "q"), ("swap operands", "q ** p")},
    "t": {("t ± 1", "t + 1"), ("t ± 1", "t - 1")},
    "2": {("flip a sign", "-2"), ("change a constant", "3"), ("change a constant", "1")},
    "0": {("flip a sign", "-0"), ("change a constant", "1")},
    "0.5": {("flip a sign", "-0.5"), ("change a constant", "1.0"), ("change a constant", "0.25")},
    "f(p)": {("flip a sign", "-f(p)"), ("drop a call", "p")},
    "f(p, q)": {("flip a sign", "-f(p, q)"), ("swap operands", "f(q, p)")},
    "range(T)": {("flip a sign", "-range(T)"), ("drop a call", "T"), ("skip first step", "range(1, T)")},
    "np.sum(p, axis=0)": {("flip a sign", "-np.sum(p, axis=0)"), ("drop a reduction", "p"),
                          ("a mean for a sum", "np.mean(p, axis=0)")},
}  # fmt: skip


@pytest.mark.parametrize("text", CHANGES)
def test_a_rule_makes_all_its_changes_and_no_other(text: str) -> None:
    node: Any = ast.parse(f"a = {text}").body[0]
    made = {(kind, ast.unparse(new)) for rule in RULES for kind, new in rule(node.value, node, SCOPE)}
    assert made == CHANGES[text]


def test_what_a_function_takes_has_its_sign_flipped_too() -> None:
    call: Any = ast.parse("f(W)", mode="eval").body
    assert "-W" in {ast.unparse(new) for rule in RULES for _, new in rule(call.args[0], call, SCOPE)}


def test_every_kind_of_change_is_made() -> None:
    kinds = Counter(mutant.kind for mutant in MUTANTS)
    assert kinds.keys() == {
        "drop a transpose", "add a transpose", "flip a sign", "swap an operator", "drop a factor", "drop a term",
        "t ± 1", "another array", "skip first step", "skip last step", "swap operands", "change a constant",
        "drop a reduction", "a mean for a sum", "drop a call", "reverse the loop",
    }  # fmt: skip
    assert len(MUTANTS) > 500


def test_every_mutant_is_one_change_and_no_two_are_alike() -> None:
    assert len({mutant.source for mutant in MUTANTS}) == len({str(mutant) for mutant in MUTANTS}) == len(MUTANTS)
    own = {function.__name__: ast.unparse(_tree(function)) for function in RNN.code[:3]}  # type: ignore[arg-type]
    for mutant in MUTANTS:
        before = own[getattr(RNN.code, mutant.function).__name__].splitlines()
        changed = [a for a, b in zip(before, mutant.source.splitlines(), strict=True) if a != b]
        assert len(changed) == 1, mutant


def test_making_them_leaves_the_cell_as_it_is() -> None:
    again = mutants(RNN)
    assert [mutant.source for mutant in again] == [mutant.source for mutant in MUTANTS]


def accumulated(x: Any) -> Any:
    total = np.zeros_like(x[0])
    T = len(x)
    for t in range(T):
        total += x[t]
    return total


def test_a_sum_over_time_may_be_overwritten() -> None:
    x = np.arange(6.0).reshape(3, 2)
    values = {"x": x, "total": accumulated(x), "T": 3, "t": 2}
    made = list(_of(RNN, "gradient", accumulated, values))  # type: ignore[arg-type]
    overwritten = [mutant for mutant in made if mutant.kind == "= for +="]
    assert [mutant.after for mutant in overwritten] == ["total = x[t]"]
    namespace: dict[str, Any] = {"np": np, "Any": Any}
    exec(overwritten[0].source, namespace)
    assert np.array_equal(namespace["accumulated"](x), x[-1])


def test_what_is_caught_is_wrong_first_where_the_mutant_says() -> None:
    problem = probe(RNN)
    with precision(128):
        for mutant in MUTANTS[::7]:
            seen = recorded_code(RNN, mutant.code).outcome(problem)
            wrong = [] if seen.refused else variants(RNN).wrong(seen)
            assert not wrong or f"rnn.{wrong[0]}" in mutant.labels, mutant


def test_a_line_without_a_label_shows_where_its_variable_is_read() -> None:
    slope = next(mutant for mutant in MUTANTS if mutant.before == "1 - a_hidden" and mutant.after == "1 + a_hidden")
    assert slope.labels == ("rnn.delta_explicit", "rnn.delta_implicit")
    previous = next(mutant for mutant in MUTANTS if mutant.before == "a_hidden[:-1]" or "concatenate" in mutant.after)
    assert "rnn.grad_W_hidden" in previous.labels


def test_a_labelled_line_shows_at_its_own_label() -> None:
    own = [mutant for mutant in MUTANTS if mutant.before == "W_hidden.T" and mutant.after == "W_hidden"]
    assert {mutant.labels for mutant in own} == {("rnn.delta_implicit",), ("rnn.grad_a_initial",)}


def test_where_a_variable_now_shares_memory_both_may_be_wrong() -> None:
    """What the loop stores into the one, the other holds too."""
    shared = [mutant for mutant in mutants(cell("rtrl")) if mutant.before.startswith("np.zeros_like(immediate_W")]
    aliases = [mutant for mutant in shared if mutant.kind == "drop a call"]
    assert len(aliases) == 2
    for mutant in aliases:
        assert mutant.labels[0] == f"rtrl.{mutant.after}" and "rtrl.net_by_W_input" in mutant.labels
    assert all("rtrl.immediate_W_hidden" not in mutant.labels for mutant in shared if mutant not in aliases)


def test_a_mutant_goes_to_another_process_without_its_code() -> None:
    assert MUTANTS[0].code
    assert "code" not in MUTANTS[0].__getstate__()


# What a change may be harmless for, by the words of the reason; with no reason under "".
ARRAYS = {"u": np.eye(2), "v": np.eye(2), "w": np.array([[1.0, 2], [3, 4]])}
STEPS = {"long": np.stack([*np.ones((6, 2, 2)), np.zeros((2, 2))]), "short": np.ones((6, 2, 2))}
HARMLESS = {
    "commute": [("p", "a + b", "b + a"), ("p", "a * b", "b * a")],
    "sign": [("p ** 2", "a - b", "b - a")],
    "same number": [("p", "0", "-0")],
    "same numbers": [("p", "u", "v"), ("p", "long", "short")],
    "symmetric": [("p", "u", "u.T")],
    "allocation": [("np.empty(p)", "a", "b"), ("len(p)", "a", "b")],
    "": [("p", "a - b", "b - a"), ("p ** 3", "a - b", "b - a"), ("2 ** p", "a - b", "b - a"), ("p", "u", "w"),
         ("p", "a @ b", "b @ a"), ("p", "w", "w.T"), ("p", "1", "-1"), ("p", "a + b", "b - a")],
}  # fmt: skip


@pytest.mark.parametrize(
    ("words", "around", "before", "after"),
    [(words, *one) for words, all_of_them in HARMLESS.items() for one in all_of_them],
)
def test_why_a_change_may_be_harmless(words: str, around: str, before: str, after: str) -> None:
    parent: Any = ast.parse(around, mode="eval").body
    node, new = (ast.parse(text, mode="eval").body for text in (before, after))
    if isinstance(node, ast.BinOp) and isinstance(new, ast.BinOp) and type(node.op) is type(new.op):
        new = ast.BinOp(node.right, node.op, node.left)  # as the rule swaps them
    changed = f"x = {around.replace('p', after, 1)}" if "(" not in around else f"x = {around}"
    said = why(("rnn", f"x = {around}"), changed, (parent, node, new), ARRAYS | STEPS, 6)
    assert words in said if words else not said


def test_every_line_that_is_partly_unread_is_there() -> None:
    for name, line in UNREAD:
        sources = {text.strip() for mutant in mutants(cell(name)) for text in mutant.source.splitlines()}
        assert line in sources
    said = {mutant.why for name in ("rnn", "gru", "rtrl") for mutant in mutants(cell(name))}
    assert said >= set(UNREAD.values())
