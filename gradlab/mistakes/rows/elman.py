"""Mistakes in the Elman network's forward pass, whichever way its gradient is computed."""

from __future__ import annotations

from gradlab.mistakes.rows import Mistake
from gradlab.mistakes.rows.classes import (
    CARRY,
    EQUAL_SIZES,
    INDEX,
    NOTHING,
    OPERAND,
    SHORT,
    STALE,
    TRANSPOSE,
    ZERO_STATE,
    Writer,
)


def forward(writer: Writer) -> tuple[Mistake, ...]:
    """The hidden layer run wrongly, and what it hands to the output layer."""
    row = writer.row
    return (
        row("hidden-weights-transposed-forward", "net_hidden", "net_input[t] + multiply(a_hidden[t - 1], W_hidden.T)",
            r"x(t) W_{input} + a_{hidden}(t-1) W_{hidden}^T",
            "runs the network with W_hidden transposed", EQUAL_SIZES, TRANSPOSE),
        row("initial-state-ignored", "net_hidden", "net_input[t] + multiply(a_hidden[t - 1], W_hidden) * (t > 0)",
            r"x(t) W_{input} + [t > 0]\, a_{hidden}(t-1) W_{hidden}",
            "starts from zeros whatever state is given", ZERO_STATE, INDEX),
        row("state-never-updated", "net_hidden", "net_input[t] + multiply(a_hidden[-1], W_hidden)",
            r"x(t) W_{input} + a_{hidden}(-1) W_{hidden}",
            "feeds the initial state to every step: there is no memory", SHORT, STALE),
        row("forward-without-recurrence", "net_hidden", "net_input[t]", r"x(t) W_{input}",
            "leaves the previous state out: there is no memory", ZERO_STATE + " at " + SHORT, CARRY),
        row("inputs-reversed-forward", "net_hidden", "net_input[T - 1 - t] + multiply(a_hidden[t - 1], W_hidden)",
            r"x(T-1-t) W_{input} + a_{hidden}(t-1) W_{hidden}",
            "reads the sequence from its end", SHORT + ", palindromes", "002 lines 283 and 297; " + INDEX),
        row("tanh-for-sigmoid-hidden", "a_hidden", "np.tanh(net_hidden[t])", r"\tanh(net_{hidden}(t))",
            "squashes by tanh what the backward differentiates as a sigmoid", NOTHING, STALE),
        row("hidden-activation-dropped", "a_hidden", "net_hidden[t]", r"net_{hidden}(t)",
            "leaves the hidden activation out", NOTHING, STALE),
        row("hidden-squashed-twice", "a_hidden", "sigmoid(sigmoid(net_hidden[t]))", r"\sigma(\sigma(net_{hidden}(t)))",
            "squashes what is squashed already", NOTHING, "002 lines 318 and 325, where it prints; " + STALE),
        row("output-of-pre-activation", "net_output", "multiply(net_hidden, W_output)", r"net_{hidden}(t) W_{output}",
            "feeds the pre-activation to the output layer", NOTHING, OPERAND),
    )  # fmt: skip
