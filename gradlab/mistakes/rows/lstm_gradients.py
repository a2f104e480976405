r"""Mistakes in the gradients of the long short-term memory; pure factors."""

from __future__ import annotations

from gradlab.mistakes.rows import Mistake
from gradlab.mistakes.rows.classes import (
    CARRY,
    EQUAL_SIZES,
    INDEX,
    OPERAND,
    OVERWRITTEN,
    SHORT,
    SLOPE,
    TRANSPOSE,
    TWICE,
)
from gradlab.mistakes.rows.gated import factors
from gradlab.mistakes.rows.gated_gradients import Gate, gradients
from gradlab.mistakes.rows.lstm_equations import GATES, WRITER

_row = WRITER.row
_UNSEEN = "no weight's gradient shows it"

_X = {k: f"multiply(delta_net_{k}, W_input_{k}.T)" for k in GATES}
_X_LATEX = {k: rf"\delta_{{net_{k}}}(t) W_{{input_{k}}}^T" for k in GATES}
_H = {k: f"multiply(delta_net_{k}[0], W_hidden_{k}.T)" for k in GATES}
_H_LATEX = {k: rf"\delta_{{net_{k}}}(0) W_{{hidden_{k}}}^T" for k in GATES}


def _sum(terms: dict[str, str], without: str = "") -> str:
    return " + ".join(term for k, term in terms.items() if k != without)


def _missing() -> tuple[Mistake, ...]:
    """One gate's path left out of the gradient by the inputs, or by the initial hidden state."""
    found = []
    for k, gate in GATES.items():
        found += [
            _row(f"x-gradient-misses-the-{gate}", "grad_x", _sum(_X, k), _sum(_X_LATEX, k),
                 "leaves out what comes back through this gate", _UNSEEN, TWICE),
            _row(f"initial-gradient-misses-the-{gate}", "grad_h_initial", _sum(_H, k), _sum(_H_LATEX, k),
                 "leaves out what comes back through this gate", _UNSEEN, TWICE),
        ]  # fmt: skip
    return tuple(found)


_ENDS = (
    *_missing(),
    _row("input-weights-not-transposed", "grad_x", _sum(_X).replace(".T", ""), _sum(_X_LATEX).replace("^T", ""),
         "sends the deltas back through the input weights, not their transposes", EQUAL_SIZES, TRANSPOSE, True),
    _row("x-gradient-reversed", "grad_x", f"({_sum(_X)})[::-1]", _sum(_X_LATEX).replace("(t)", "(T-1-t)"),
         "is returned in the order in which it was computed", SHORT + "; " + _UNSEEN, INDEX),
    _row("x-gradient-zero", "grad_x", "np.zeros_like(x)", r"0", "never fills the gradient of the inputs", _UNSEEN,
         OVERWRITTEN),
    _row("initial-gradient-zero", "grad_h_initial", "np.zeros_like(state.h_initial)", r"0",
         "never fills the gradient of the initial hidden state", _UNSEEN, CARRY),
    _row("initial-gradient-not-transposed", "grad_h_initial", _sum(_H).replace(".T", ""),
         _sum(_H_LATEX).replace("^T", ""), "sends the deltas back through the hidden weights, not their transposes",
         _UNSEEN, TRANSPOSE),
    _row("initial-gradient-of-the-last-step", "grad_h_initial", _sum(_H).replace("[0]", "[-1]"),
         _sum(_H_LATEX).replace("(0)", "(T-1)"), "takes the last step's deltas for the first's", SHORT, INDEX),
    _row("initial-gradient-is-the-delta", "grad_h_initial", "delta_h[0]", r"\delta_h(0)",
         "gives the delta of step 0, and not what it sends back", _UNSEEN, INDEX),
    _row("initial-cell-gradient-zero", "grad_c_initial", "np.zeros_like(state.c_initial)", r"0",
         "never fills the gradient of the initial cell state", _UNSEEN, CARRY),
    _row("initial-cell-gradient-past-the-forget-gate", "grad_c_initial", "delta_c[0]", r"\delta_c(0)",
         "gives the delta of step 0, and not what it sends back", _UNSEEN, OPERAND),
    _row("initial-cell-gradient-of-the-shown", "grad_c_initial", "delta_c_shown[0] * f[0]",
         r"\delta_{c_{shown}}(0) \odot f(0)", "forgets the carry of c at the last step back", SHORT, CARRY),
    _row("initial-cell-gradient-of-the-last-step", "grad_c_initial", "delta_c[T - 1] * f[-1]",
         r"\delta_c(T-1) \odot f(T-1)", "takes the last step for the first", SHORT, INDEX),
    _row("initial-cell-gradient-through-the-input-gate", "grad_c_initial", "delta_c[0] * i[0]",
         r"\delta_c(0) \odot i(0)", "takes the input gate for the forget gate", "gates that are equal", OPERAND),
    _row("initial-cell-gradient-with-slope", "grad_c_initial", "delta_c[0] * slope_f[0]",
         r"\delta_c(0) \odot f(0) \odot (1 - f(0))", "applies σ′ on a path without it", _UNSEEN, SLOPE),
)  # fmt: skip

GRADIENTS = (
    *gradients(WRITER, {k: Gate.of(k, gate) for k, gate in GATES.items()}),
    *_ENDS,
    *factors(WRITER, "x-gradient", {"grad_x": _sum(_X)}),
    *factors(WRITER, "initial-gradient", {"grad_h_initial": _sum(_H)}),
    *factors(WRITER, "initial-cell-gradient", {"grad_c_initial": "delta_c[0] * f[0]"}),
)
