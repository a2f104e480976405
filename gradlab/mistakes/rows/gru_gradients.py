r"""Mistakes in the gradients of the gated recurrent unit; pure factors."""

from __future__ import annotations

from gradlab.mistakes.rows import Mistake
from gradlab.mistakes.rows.classes import (
    CARRY,
    EQUAL_SIZES,
    INDEX,
    NOTHING,
    OPERAND,
    OVERWRITTEN,
    SHORT,
    SMALL,
    TRANSPOSE,
    TWICE,
)
from gradlab.mistakes.rows.gated import Sum, factors, sums
from gradlab.mistakes.rows.gated_gradients import Gate, gradients
from gradlab.mistakes.rows.gru_equations import GATES, PRODUCTS, WRITER

_row = WRITER.row
_UNSEEN = "no weight's gradient shows it"

_X = {k: f"multiply(delta_net_{k}, W_input_{k}.T)" for k in GATES}
_X_LATEX = {k: rf"\delta_{{net_{k}}}(t) W_{{input_{k}}}^T" for k in GATES}
_H = {"h": "delta_h[0] * z[0]"} | {
    k: f"multiply(delta_{product}[0], W_hidden_{k}.T)" for k, product in PRODUCTS.items()
}
_H_LATEX = {"h": r"\delta_h(0) \odot z(0)"} | {
    k: rf"\delta_{{{product}}}(0) W_{{hidden_{k}}}^T" for k, product in PRODUCTS.items()
}


def _sum(terms: dict[str, str], without: str = "") -> str:
    return " + ".join(term for k, term in terms.items() if k != without)


def _missing() -> tuple[Mistake, ...]:
    """One path left out of the gradient by the inputs, or by the initial state."""
    found = [
        _row("initial-gradient-misses-the-direct-path", "grad_h_initial", _sum(_H, "h"), _sum(_H_LATEX, "h"),
             "leaves out what the update gate keeps of the initial state", _UNSEEN, TWICE),
    ]  # fmt: skip
    for k, gate in GATES.items():
        found += [
            _row(f"x-gradient-misses-the-{gate}", "grad_x", _sum(_X, k), _sum(_X_LATEX, k),
                 "leaves out what comes back through this gate", _UNSEEN, TWICE),
            _row(f"initial-gradient-misses-the-{gate}", "grad_h_initial", _sum(_H, k), _sum(_H_LATEX, k),
                 "leaves out what comes back through this gate", _UNSEEN, TWICE),
        ]  # fmt: skip
    return tuple(found)


_HIDDEN_BIAS = Sum("grad_bias_hidden_n", "ones", "delta_recurrent_n", "", r"\delta_{recurrent_n}")

_ENDS = (
    *_missing(),
    _row("reset-state-in-candidate-gradient", "grad_W_hidden_n", "rows(r * h_previous).T @ rows(delta_recurrent_n)",
         r"\sum_t (r(t) \odot h(t-1))^T \delta_{recurrent_n}(t)", "counts the reset gate twice: in state and in delta",
         NOTHING, TWICE),
    _row("reset-state-and-net-delta-in-candidate-gradient", "grad_W_hidden_n",
         "rows(r * h_previous).T @ rows(delta_net_n)", r"\sum_t (r(t) \odot h(t-1))^T \delta_{net_n}(t)",
         "resets the state, as Cho et al. do, where the product is reset", NOTHING, OPERAND),
    _row("reset-forgotten-in-candidate-gradient", "grad_W_hidden_n", "rows(h_previous).T @ rows(delta_net_n)",
         r"\sum_t h(t-1)^T \delta_{net_n}(t)",
         "forgets the reset gate in the gradient by the candidate's hidden weights", NOTHING, OPERAND),
    _row("reset-forgotten-in-hidden-bias", "grad_bias_hidden_n", "ones @ rows(delta_net_n)",
         r"\sum_t \delta_{net_n}(t)", "forgets the reset gate in the gradient by the bias inside it", NOTHING, OPERAND),
    _row("reset-in-candidate-input-gradient", "grad_W_input_n", "rows(x).T @ rows(delta_recurrent_n)",
         r"\sum_t x(t)^T \delta_{recurrent_n}(t)",
         "applies the reset gate to the input, which it does not gate", NOTHING, OPERAND),
    _row("reset-in-candidate-bias", "grad_bias_n", "ones @ rows(delta_recurrent_n)",
         r"\sum_t \delta_{recurrent_n}(t)", "applies the reset gate to the bias, which it does not gate", NOTHING,
         OPERAND),
    *sums(WRITER, "hidden-bias-gradient", [_HIDDEN_BIAS]),
    *factors(WRITER, "hidden-bias-gradient", {"grad_bias_hidden_n": "ones @ rows(delta_recurrent_n)"}),
    _row("input-weights-not-transposed", "grad_x", _sum(_X).replace(".T", ""), _sum(_X_LATEX).replace("^T", ""),
         "sends the deltas back through the input weights, not their transposes", EQUAL_SIZES, TRANSPOSE, True),
    _row("x-gradient-reversed", "grad_x", f"({_sum(_X)})[::-1]", _sum(_X_LATEX).replace("(t)", "(T-1-t)"),
         "is returned in the order in which it was computed", SHORT + "; " + _UNSEEN, INDEX),
    _row("x-gradient-zero", "grad_x", "np.zeros_like(x)", r"0", "never fills the gradient of the inputs", _UNSEEN,
         OVERWRITTEN),
    _row("initial-gradient-zero", "grad_h_initial", "np.zeros_like(state.h_initial)", r"0",
         "never fills the gradient of the initial state", _UNSEEN, CARRY),
    _row("initial-gradient-not-transposed", "grad_h_initial", _sum(_H).replace(".T", ""),
         _sum(_H_LATEX).replace("^T", ""), "sends the deltas back through the hidden weights, not their transposes",
         _UNSEEN + ", " + SMALL, TRANSPOSE),
    _row("initial-gradient-of-the-last-step", "grad_h_initial",
         _sum(_H).replace("z[0]", "z[-1]").replace("[0]", "[T - 1]"),
         _sum(_H_LATEX).replace("(0)", "(T-1)"), "takes the last step's deltas for the first's", SHORT, INDEX),
    _row("initial-gradient-is-the-delta", "grad_h_initial", "delta_h[0]", r"\delta_h(0)",
         "gives the delta of step 0, and not what it sends back", _UNSEEN, INDEX),
    _row("initial-gradient-the-other-way", "grad_h_initial", _sum({**_H, "h": "delta_h[0] * (1 - z[0])"}),
         _sum({**_H_LATEX, "h": r"\delta_h(0) \odot (1 - z(0))"}), "takes 1 - z for z on the direct path", "gates of ½",
         OPERAND),
)  # fmt: skip

_PRODUCTS = {k: (f"delta_{p}", rf"\delta_{{{p}}}") for k, p in PRODUCTS.items()}

GRADIENTS = (
    *gradients(
        WRITER,
        {
            k: Gate(gate, _PRODUCTS[k][0], f"delta_net_{k}", _PRODUCTS[k][1], rf"\delta_{{net_{k}}}")
            for k, gate in GATES.items()
        },
    ),
    *_ENDS,
    *factors(WRITER, "x-gradient", {"grad_x": _sum(_X)}),
    *factors(WRITER, "initial-gradient", {"grad_h_initial": _sum(_H)}),
)
