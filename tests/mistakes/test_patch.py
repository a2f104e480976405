"""Right-hand sides swapped: what comes out, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from gradlab.cells import cell
from gradlab.equations import EquationError, choosing, replaced
from gradlab.manual import rnn
from gradlab.mistakes.catalogue import mistake
from gradlab.mistakes.patch import PatchError, patch, with_mistakes
from gradlab.mistakes.probes import probe

RNN = cell("rnn")
EXPLICIT = "multiply(delta_output, W_output.T) * slope"

REFUSED = {
    "no such label": ("rnn.delta_hiden", "delta_explicit[t]", "rnn has no equation rnn.delta_hiden; it has rnn.net"),
    "another cell's label": ("lstm.delta_hidden", "delta_explicit[t]", "rnn has no equation lstm.delta_hidden"),
    "no expression": ("rnn.delta_hidden", "delta_explicit[t", "rnn.delta_hidden: .* is no expression"),
    "a statement": ("rnn.delta_hidden", "a = 1", "is no expression"),
    "nothing": ("rnn.delta_hidden", "", "is no expression"),
    "an unknown name": ("rnn.delta_hidden", "delta_explicit[t] + carry", "uses carry, which bptt does not know"),
    "a name of another function": ("rnn.net_hidden", "delta_hidden[t]", "delta_hidden, which forward does not know"),
    "a name not yet assigned": ("rnn.delta_output", "delta_hidden", "does not fit a problem .*UnboundLocalError"),
    "a step that is not there": ("rnn.delta_implicit", "delta_explicit[t + 1] * slope[t]", "IndexError"),
    "sizes that do not conform": ("rnn.delta_explicit", "multiply(delta_output, W_output) * slope", "ValueError"),
    "another shape": ("rnn.grad_W_hidden", "rows(x).T @ rows(delta_hidden)", r"grad_W_hidden has shape \(5, 4\)"),
    "no shape": ("rnn.grad_x", "0.0", r"grad_x has shape \(\), wanted"),
    "no number": ("rnn.grad_x", "x / 0", "no numbers"),
    "an unknown field": ("rnn.grad_x", "trace.net_input", "AttributeError"),
}  # fmt: skip


@pytest.mark.parametrize(("label", "text", "message"), REFUSED.values(), ids=REFUSED)
def test_a_change_that_does_not_fit_is_refused(label: str, text: str, message: str) -> None:
    with pytest.raises(PatchError, match=message):
        patch(RNN, {label: text})


def test_only_the_named_equation_changes() -> None:
    params, x, y, state = probe(RNN).inputs()
    trace = rnn.forward(params, x, state)
    right = rnn.bptt(params, x, y, state, trace)
    wrong = patch(RNN, {"rnn.grad_x": "2 * multiply(delta_hidden, W_input.T)"}).gradient(params, x, y, state, trace)
    assert np.array_equal(wrong.x, 2 * right.x)
    assert all(np.array_equal(a, b) for a, b in zip(wrong.params, right.params, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(wrong.deltas, right.deltas, strict=True))


def test_the_own_right_hand_side_changes_nothing() -> None:
    params, x, y, state = probe(RNN).inputs()
    trace = rnn.forward(params, x, state)
    same = patch(RNN, {"rnn.delta_explicit": EXPLICIT}).gradient(params, x, y, state, trace)
    right = rnn.bptt(params, x, y, state, trace)
    assert all(np.array_equal(a, b) for a, b in zip(same.params, right.params, strict=True))


def test_what_conforms_only_in_square_has_to_be_declared() -> None:
    row = mistake("rnn", "output-weights-not-transposed")
    assert row.square
    patch(RNN, row.changes, square=True)
    with pytest.raises(PatchError, match="does not fit"):
        patch(RNN, row.changes)


def test_two_mistakes_in_one_equation_are_refused() -> None:
    two = [mistake("rnn", name) for name in ("recurrence-dropped", "sign-of-the-carry")]
    with pytest.raises(PatchError, match=r"sign-of-the-carry: another of the mistakes changes rnn\.delta_implicit too"):
        with_mistakes(RNN, *two)


def test_the_functions_of_the_module_stay_as_they_are() -> None:
    before = rnn.bptt.__code__
    patch(RNN, {"rnn.delta_hidden": "delta_explicit[t]"})
    assert rnn.bptt.__code__ is before


def test_replaced_refuses_a_label_of_another_function() -> None:
    with pytest.raises(EquationError, match=r"bptt has no equation rnn\.net_hidden"):
        replaced(rnn.bptt, {"rnn.net_hidden": "x"})


def test_a_comprehension_may_bind_its_own_names() -> None:
    text = "np.stack([k * delta_hidden[0] for k in range(len(x))]) @ W_input.T"
    assert patch(RNN, {"rnn.grad_x": text}).origin.endswith("rnn.grad_x")


def test_choosing_offers_the_equation_and_its_alternatives_in_order() -> None:
    params, x, y, state = probe(RNN).inputs()
    trace = rnn.forward(params, x, state)
    asked: list[tuple[str, int, object]] = []

    def choose(name: str, options: tuple[object, ...], index: object) -> object:
        asked.append((name, len(options), index))
        return options[-1]()  # type: ignore[operator]

    bptt = choosing(rnn.bptt, {"rnn.delta_hidden": ("delta_explicit[t]", "delta_implicit[t]")})
    grads = bptt(params, x, y, state, trace, choose=choose)
    assert np.array_equal(grads.deltas.hidden, grads.deltas.implicit)
    assert asked[0] == ("delta_output", 1, ...)
    assert ("delta_hidden", 3, len(x) - 1) in asked
