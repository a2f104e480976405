r"""Mistakes in the gradients that gated cells share: one weight, one delta, one bias for each gate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from gradlab.mistakes.rows import Mistake
from gradlab.mistakes.rows.classes import (
    EQUAL_SIZES,
    INDEX,
    JACOBIAN,
    NOTHING,
    OPERAND,
    SHORT,
    SLOPE,
    SMALL,
    TRANSPOSE,
    Writer,
)
from gradlab.mistakes.rows.gated import Sum, factors, sums


class Gate(NamedTuple):
    """A gate's name, and the deltas of its products with the hidden state and with the input, in NumPy and in LaTeX."""

    name: str
    hidden: str
    input: str
    hidden_latex: str
    input_latex: str

    @classmethod
    def of(cls, letter: str, name: str) -> Gate:
        """A gate whose two products are added up."""
        delta, latex = f"delta_net_{letter}", rf"\delta_{{net_{letter}}}"
        return cls(name, delta, delta, latex, latex)


def gradients(writer: Writer, gates: Mapping[str, Gate]) -> tuple[Mistake, ...]:
    """Everything that goes wrong in the gradients by the weights, the biases and the input, gate by gate or in all."""
    hidden = {k: Sum(f"grad_W_hidden_{k}", "h_previous", g.hidden, "h", g.hidden_latex, "-1") for k, g in gates.items()}
    inputs = {k: Sum(f"grad_W_input_{k}", "x", g.input, "x", g.input_latex) for k, g in gates.items()}
    biases = {k: Sum(f"grad_bias_{k}", "ones", g.input, "", g.input_latex) for k, g in gates.items()}
    output = Sum("grad_W_output", "h", "delta_output", "h", r"\delta_{output}")
    groups = {
        "output-gradient": [output],
        "hidden-gradients": [*hidden.values()],
        "input-gradients": [*inputs.values()],
        "bias-gradients": [*biases.values()],
    }
    found = [row for what, group in groups.items() for row in sums(writer, what, group)]
    for what, group in groups.items():
        found += factors(writer, what, {one.label: _right(one) for one in group})
    found += factors(writer, "output-delta", {"delta_output": "(y_hat - y) * y_hat * (1 - y_hat)"})[:-1]
    found += _all(writer, hidden)
    for k, gate in gates.items():
        found += _of_gate(writer, gate, hidden[k], inputs[k])
        found += _of_others(writer, gates, k, (hidden[k], inputs[k], biases[k]))
    return (*found, *_output(writer))


def _right(one: Sum) -> str:
    return f"ones @ rows({one.right})" if not one.a else f"rows({one.left}).T @ rows({one.right})"


def _output(writer: Writer) -> tuple[Mistake, ...]:
    row = writer.row
    return (
        row("previous-state-in-output-gradient", "grad_W_output", "rows(h_previous).T @ rows(delta_output)",
            r"\sum_t h(t-1)^T \delta_{output}(t)", "takes h(t-1) for h(t)", SMALL, INDEX),
        row("error-in-output-gradient", "grad_W_output", "rows(h).T @ rows(y_hat - y)",
            r"\sum_t h(t)^T (\hat{y}(t) - y(t))", "takes the error for delta_output", NOTHING, JACOBIAN),
        row("output-gradient-transposed", "grad_W_output", "rows(delta_output).T @ rows(h)",
            r"\sum_t \delta_{output}(t)^T h(t)", "has its factors the wrong way round", EQUAL_SIZES,
            "000 line 330; " + TRANSPOSE, True),
    )  # fmt: skip


# Wrong first factors of the gradients by the hidden weights: name, in NumPy, in LaTeX, what that is, hides, seen.
_STATES = (
    ("present-state", "rows(h).T @ rows(DELTA)", r"\sum_t h(t)^T DELTA(t)", "takes h(t) for h(t-1)", SMALL, INDEX),
    ("next-state", "rows(h[1:]).T @ rows(DELTA[:-1])", r"\sum_t h(t+1)^T DELTA(t)", "takes h(t+1) for h(t-1)", SMALL,
     INDEX),
    ("wrapped-state", "rows(np.roll(h, 1, axis=0)).T @ rows(DELTA)", r"\sum_t h((t-1) \bmod T)^T DELTA(t)",
     "wraps round at step 0: h[-1] is the last state, not the initial one", SMALL, "002 line 307; " + INDEX),
)  # fmt: skip


def _filled(one: Sum, text: str, latex: str) -> tuple[str, str]:
    return text.replace("DELTA", one.right), latex.replace("DELTA", one.delta)


def _all(writer: Writer, hidden: Mapping[str, Sum]) -> tuple[Mistake, ...]:
    """The wrong state in the gradients by all hidden weights; all of them transposed."""
    turned = {one.label: _turned(one, "h_previous") for one in hidden.values()}
    return (
        *(
            writer.rows(f"{name}-in-hidden-gradients",
                        {one.label: _filled(one, text, latex) for one in hidden.values()}, does, hides, seen)
            for name, text, latex, does, hides, seen in _STATES
        ),
        writer.rows("hidden-gradients-transposed", turned, "has its factors the wrong way round, for every gate",
                    "hidden weights are square, so they always conform", "000 line 458; " + TRANSPOSE),
    )  # fmt: skip


def _turned(one: Sum, left: str) -> tuple[str, str]:
    return f"rows({one.right}).T @ rows({left})", rf"\sum_t {one.delta}(t)^T {one.a}(t{one.back})"


def _of_gate(writer: Writer, gate: Gate, hidden: Sum, inputs: Sum) -> tuple[Mistake, ...]:
    """What goes wrong in one gate's gradients."""
    row, name = writer.row, gate.name
    k = hidden.label.rpartition("_")[2]
    bare_latex = rf"\delta_{{{k}}}"
    return (
        *(
            row(f"{state}-in-{name}-gradient", hidden.label, *_filled(hidden, text, latex), does, hides, seen)
            for state, text, latex, does, hides, seen in _STATES
        ),
        row(f"{name}-hidden-gradient-transposed", hidden.label, *_turned(hidden, "h_previous"),
            "has its factors the wrong way round", "hidden weights are square, so they always conform",
            "000 line 458; " + TRANSPOSE),
        row(f"{name}-input-gradient-transposed", inputs.label, *_turned(inputs, "x"),
            "has its factors the wrong way round", EQUAL_SIZES, "000 line 494; " + TRANSPOSE, True),
        row(f"input-in-{name}-hidden-gradient", hidden.label, f"rows(x).T @ rows({gate.hidden})",
            rf"\sum_t x(t)^T {gate.hidden_latex}(t)", "takes the layer's input for the previous state", EQUAL_SIZES,
            "002 line 368; " + OPERAND, True),
        row(f"previous-input-in-{name}-gradient", inputs.label, f"rows(np.roll(x, 1, axis=0)).T @ rows({gate.input})",
            rf"\sum_t x((t-1) \bmod T)^T {gate.input_latex}(t)", "takes x(t-1) for x(t), wrapping round at step 0",
            SHORT + ", constant inputs", INDEX),
        row(f"slope-missing-in-{name}-gradient", hidden.label, f"rows(h_previous).T @ rows(delta_{k}[:T])",
            rf"\sum_t h(t-1)^T {bare_latex}(t)", "takes the delta of the gate for that of its net input", NOTHING,
            SLOPE),
        row(f"slope-missing-in-{name}-input-gradient", inputs.label, f"rows(x).T @ rows(delta_{k}[:T])",
            rf"\sum_t x(t)^T {bare_latex}(t)", "takes the delta of the gate for that of its net input", NOTHING, SLOPE),
        row(f"slope-missing-in-{name}-bias", f"grad_bias_{k}", f"ones @ rows(delta_{k}[:T])",
            rf"\sum_t {bare_latex}(t)", "takes the delta of the gate for that of its net input", NOTHING, SLOPE),
    )  # fmt: skip


def _of_others(writer: Writer, gates: Mapping[str, Gate], k: str, own: tuple[Sum, ...]) -> tuple[Mistake, ...]:
    """The delta of each other gate in one gate's gradients: lines that were copied."""
    found = []
    for other in (gate for key, gate in gates.items() if key != k):
        for one, what in zip(own, ("weights", "input-weights", "bias"), strict=True):
            delta, latex = (other.hidden, other.hidden_latex) if one.back else (other.input, other.input_latex)
            text = _right(one._replace(right=delta))
            term = one._replace(delta=latex).term("t")
            found.append(
                writer.row(f"{other.name}-delta-in-{gates[k].name}-{what}", one.label, text, rf"\sum_t {term}",
                           "takes the delta of another gate", NOTHING, OPERAND)
            )  # fmt: skip
    return tuple(found)
