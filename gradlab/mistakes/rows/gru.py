r"""Mistakes in the gated recurrent unit, equation by equation; its gradients are in `gru_gradients`.

A right-hand side is written in the names of `gradlab.manual.gru`; its LaTeX in the language of derivations, in which
juxtaposition is the matrix product, a bare name is that of step t, and [t > 0] is 1 where it holds and 0 elsewhere.
"""

from __future__ import annotations

from gradlab.mistakes.rows import Mistake, gated, output_layer
from gradlab.mistakes.rows.classes import (
    CARRY,
    EQUAL_SIZES,
    INDEX,
    NOTHING,
    OPERAND,
    OVERWRITTEN,
    SHORT,
    SIGN,
    SLOPE,
    SMALL,
    STALE,
    TRANSPOSE,
    TWICE,
    ZERO_STATE,
)
from gradlab.mistakes.rows.gru_conventions import CONVENTIONS
from gradlab.mistakes.rows.gru_equations import CARRIED, GATES, PRODUCTS, WRITER
from gradlab.mistakes.rows.gru_gradients import GRADIENTS

_row, _rows = WRITER.row, WRITER.rows
_SIGMOIDS, _TANHS = {"r": "reset-gate", "z": "update-gate"}, {"n": "candidate"}

_NETS = {
    "net_r": ("input_r[t] + {}", "x(t) W_{input_r} + bias_{r} + {}", "multiply({}, W_hidden_r)", "{} W_{hidden_r}"),
    "net_z": ("input_z[t] + {}", "x(t) W_{input_z} + bias_{z} + {}", "multiply({}, W_hidden_z)", "{} W_{hidden_z}"),
    "recurrent_n": ("add_bias({}, bias_hidden_n)", "{} + bias_{hidden_n}", "multiply({}, W_hidden_n)",
                    "{} W_{hidden_n}"),
}  # fmt: skip


def _put(template: str, part: str) -> str:
    return template.replace("{}", part)


def _nets(name: str, previous: str, latex: str, does: str, hides: str, seen: str) -> Mistake:
    """Another previous state in all three products."""
    wrong = {
        label: (_put(text, _put(product, previous)), _put(whole, _put(one, latex)))
        for label, (text, whole, product, one) in _NETS.items()
    }
    return _rows(name, wrong, does, hides, seen)


def _net_of_each() -> tuple[Mistake, ...]:
    found = []
    for gate, (label, (text, whole, product, one)) in zip(GATES.values(), _NETS.items(), strict=True):
        turned = _put(product, "h[t - 1]").removesuffix(")") + ".T)", _put(one, "h(t-1)") + "^T"
        found += [
            _row(f"{gate}-weights-transposed-forward", label, _put(text, turned[0]), _put(whole, turned[1]),
                 "runs the gate with its hidden weights transposed", EQUAL_SIZES, TRANSPOSE),
            _row(f"{gate}-without-recurrence", label, _put(text, "0 * " + _put(product, "h[t - 1]")), _put(whole, "0"),
                 "leaves the previous state out of the gate", ZERO_STATE + " at " + SHORT, CARRY),
        ]  # fmt: skip
    return tuple(found)


FORWARD = (
    *_net_of_each(),
    _nets("initial-state-ignored", "h[t - 1] * (t > 0)", r"([t > 0]\, h(t-1))",
          "takes the initial state for zeros in every product", ZERO_STATE, INDEX),
    _nets("state-never-updated", "h[-1]", "h(-1)", "feeds the initial state to every gate", SHORT, STALE),
    _row("hidden-bias-left-out", "recurrent_n", "multiply(h[t - 1], W_hidden_n)", r"h(t-1) W_{hidden_n}",
         "leaves out the bias inside the reset gate", "biases of zero", STALE),
    *gated.forwards(WRITER, _SIGMOIDS, _TANHS),
    _row("reset-gate-left-out", "net_n", "input_n[t] + recurrent_n[t]", r"x(t) W_{input_n} + bias_{n} + recurrent_n(t)",
         "offers the candidate the whole past", NOTHING, STALE),
    _row("reset-gate-the-other-way", "net_n", "input_n[t] + (1 - r[t]) * recurrent_n[t]",
         r"x(t) W_{input_n} + bias_{n} + (1 - r(t)) \odot recurrent_n(t)", "resets where it should let through",
         "gates of ½", STALE),
    _row("update-gate-for-the-reset-gate", "net_n", "input_n[t] + z[t] * recurrent_n[t]",
         r"x(t) W_{input_n} + bias_{n} + z(t) \odot recurrent_n(t)", "takes the update gate for the reset gate",
         "gates that are equal", OPERAND),
    _row("reset-gate-on-the-input", "net_n", "r[t] * (input_n[t] + recurrent_n[t])",
         r"r(t) \odot (x(t) W_{input_n} + bias_{n} + recurrent_n(t))", "resets the input as well", NOTHING, OPERAND),
    _row("inputs-of-the-candidate-reversed", "net_n", "input_n[T - 1 - t] + r[t] * recurrent_n[t]",
         r"x(T-1-t) W_{input_n} + bias_{n} + r(t) \odot recurrent_n(t)", "reads the candidate's inputs from their end",
         SHORT + ", palindromes", "002 lines 283 and 297; " + INDEX),
    _row("state-of-the-candidate-alone", "h", "(1 - z[t]) * n[t]", r"(1 - z(t)) \odot n(t)",
         "keeps nothing of the old state", ZERO_STATE + " at " + SHORT, OVERWRITTEN),
    _row("candidate-ungated", "h", "n[t] + z[t] * h[t - 1]", r"n(t) + z(t) \odot h(t-1)",
         "takes the whole candidate: the gate is not coupled", NOTHING,
         "survey: a gate's path missing (2): coupled gates"),
    _row("old-state-ungated", "h", "(1 - z[t]) * n[t] + h[t - 1]", r"(1 - z(t)) \odot n(t) + h(t-1)",
         "keeps the whole old state: the gate is not coupled", NOTHING,
         "survey: a gate's path missing (2): coupled gates"),
    _row("old-state-never-updated", "h", "(1 - z[t]) * n[t] + z[t] * h[-1]",
         r"(1 - z(t)) \odot n(t) + z(t) \odot h(-1)",
         "keeps some of the initial state at every step", SHORT, STALE),
    _row("output-of-the-candidate", "net_output", "multiply(n[:T], W_output)", r"n(t) W_{output}",
         "feeds the candidate to the output layer", NOTHING, OPERAND),
    *output_layer.forward(WRITER),
)  # fmt: skip

DIRECT, DIRECT_LATEX = "delta_h[t + 1] * z_next[t]", r"\delta_h(t+1) \odot z(t+1)"
_TERMS = {k: f"multiply(delta_{product}[t + 1], W_hidden_{k}.T)" for k, product in PRODUCTS.items()}
_LATEX = {k: rf"\delta_{{{product}}}(t+1) W_{{hidden_{k}}}^T" for k, product in PRODUCTS.items()}
_GATED, _GATED_LATEX = " + ".join(_TERMS.values()), " + ".join(_LATEX.values())
_CARRY = f"{DIRECT} + {_GATED}"

# What the explicit delta of t + 1 alone would give for the delta of each product.
_NEXT = "[min(t + 1, T - 1)]"
_SENT = f"(delta_h_explicit{_NEXT} * (t + 1 < T))"
_OFFERED = f"{_SENT} * (1 - z{_NEXT}) * slope_n{_NEXT}"
_ALONE = {
    "r": f"{_OFFERED} * recurrent_n{_NEXT} * slope_r{_NEXT}",
    "z": f"{_SENT} * (h_previous{_NEXT} - n{_NEXT}) * slope_z{_NEXT}",
    "n": f"{_OFFERED} * r{_NEXT}",
}


def _with(terms: dict[str, str], direct: str) -> str:
    return " + ".join([direct, *terms.values()])


def _paths() -> tuple[Mistake, ...]:
    """The paths of h through the gates: one left out, one through a weight that is not transposed or past a slope."""
    found = []
    for k, gate in GATES.items():
        others = {key: term for key, term in _TERMS.items() if key != k}
        latex = {key: term for key, term in _LATEX.items() if key != k}
        through = {**_TERMS, k: _TERMS[k].removesuffix(".T)") + ")"}
        through_latex = {**_LATEX, k: _LATEX[k].removesuffix("^T")}
        past, past_latex = (
            {**terms, k: terms[k].replace(PRODUCTS[k], "net_n" if k == "n" else k)} for terms in (_TERMS, _LATEX)
        )
        found += [
            _row(f"carry-misses-the-{gate}", "delta_h_implicit", _with(others, DIRECT), _with(latex, DIRECT_LATEX),
                 "leaves out what comes back through this gate", f"{SHORT}, {SMALL}", CARRY + "; " + TWICE),
            _row(f"{gate}-weights-not-transposed", "delta_h_implicit", _with(through, DIRECT),
                 _with(through_latex, DIRECT_LATEX),
                 "sends the delta back through the gate's weights, not their transpose",
                 "hidden weights are square, so they always conform; symmetric weights, " + SMALL, TRANSPOSE),
            _row(f"carry-of-the-{gate}-past-its-{'reset' if k == 'n' else 'slope'}", "delta_h_implicit",
                 _with(past, DIRECT), _with(past_latex, DIRECT_LATEX),
                 "forgets the reset gate on the way back" if k == "n" else
                 "sends back the delta of the gate in place of that of its net input", f"{SHORT}, {SMALL}", SLOPE),
        ]  # fmt: skip
    return tuple(found)


_ONLY_GATES = "carries only the paths through the gates: what the update gate keeps of the old state sends nothing back"

HIDDEN = (
    *gated.state(WRITER),
    *_paths(),
    _row("direct-carry-forgotten", "delta_h_implicit", _GATED, _GATED_LATEX, _ONLY_GATES, SHORT,
         "survey: temporal carry incomplete (17): only the gate path of a GRU is carried"),
    _row("only-the-direct-carry", "delta_h_implicit", DIRECT, DIRECT_LATEX,
         "carries only what the update gate keeps of the old state", f"{SHORT}, {SMALL}", CARRY),
    _row("direct-carry-the-other-way", "delta_h_implicit", f"delta_h[t + 1] * (1 - z_next[t]) + {_GATED}",
         rf"\delta_h(t+1) \odot (1 - z(t+1)) + {_GATED_LATEX}", "takes 1 - z for z on the direct path",
         f"{SHORT}, gates of ½", OPERAND),
    _row("direct-carry-ungated", "delta_h_implicit", f"delta_h[t + 1] + {_GATED}",
         rf"\delta_h(t+1) + {_GATED_LATEX}", "forgets the update gate on the direct path", SHORT, OPERAND),
    _row("direct-carry-through-the-present-gate", "delta_h_implicit", f"delta_h[t + 1] * z[t] + {_GATED}",
         rf"\delta_h(t+1) \odot z(t) + {_GATED_LATEX}", "takes the update gate of t for that of t+1",
         f"{SHORT}, gates that are equal", INDEX),
    _row("direct-carry-of-the-explicit-delta", "delta_h_implicit",
         f"{_SENT} * z_next[t] + {_GATED}", rf"\delta_{{h_{{explicit}}}}(t+1) \odot z(t+1) + {_GATED_LATEX}",
         "keeps the explicit delta of t+1 on the direct path where the total belongs", "T ≤ 2", CARRY),
    _row("direct-carry-counted-twice", "delta_h_implicit", f"2 * {_CARRY}",
         rf"2 \delta_h(t+1) \odot z(t+1) + {_GATED_LATEX}", "counts the direct path twice", SHORT, TWICE),
    _row("explicit-delta-in-the-recursion", "delta_h_implicit",
         " + ".join([f"{_SENT} * z_next[t]", *(f"multiply({d}, W_hidden_{k}.T)" for k, d in _ALONE.items())]),
         r"\delta_{h_{explicit}}(t+1) \times \frac{\partial h(t+1)}{\partial h(t)}",
         "carries the explicit delta of t+1 where the total delta belongs: losses after t+1 never arrive",
         "T ≤ 2, " + SMALL, "000 (the first seed) lines 347, 399, 413, 426; survey: explicit delta in the recursion"),
    _row("recurrence-dropped", "delta_h_implicit", "np.zeros_like(h[t])", r"0", "sends nothing back through time",
         SHORT, CARRY + "; 000 line 721"),
    _row("hidden-weights-not-transposed", "delta_h_implicit", _CARRY.replace(".T", ""), CARRIED.replace("^T", ""),
         "sends the deltas back through the hidden weights, not their transposes",
         "hidden weights are square, so they always conform; symmetric weights, " + SMALL,
         "002 lines 162 and 365; " + TRANSPOSE),
    _row("carry-with-tanh-slope", "delta_h_implicit", f"({_CARRY}) * (1 - h[t] ** 2)",
         rf"({CARRIED}) \odot (1 - h(t)^{{\odot 2}})", "applies tanh′ to the hidden state, a path without it",
         f"{SHORT}, {SMALL}", SLOPE),
    _row("sign-of-the-carry", "delta_h_implicit", f"-({_CARRY})", rf"-({CARRIED})",
         "carries the negative of the later losses", SHORT, SIGN),
    _row("carry-misses-step-0", "delta_h_implicit", f"({_CARRY}) * (t > 0)", rf"[t > 0]\, ({CARRIED})",
         "ends the loop over time before step 0", SHORT, INDEX),
    _row("carry-misses-the-last-step", "delta_h_implicit", f"({_CARRY}) * (t + 2 < T)", rf"[t < T-2]\, ({CARRIED})",
         "starts the loop one step early: the last loss never arrives", SHORT, INDEX),
    _row("carry-from-two-steps-on", "delta_h_implicit", _CARRY.replace("t + 1", "min(t + 2, T)"),
         CARRIED.replace("t+1", "t+2"), "carries the deltas of t+2 for those of t+1", SHORT, INDEX),
)  # fmt: skip


def _gate(name: str, label: str, text: str, latex: str, does: str, hides: str, seen: str) -> Mistake:
    return _row(name, label, text, latex, does, hides, seen)


_COUPLED = "survey: a gate's path missing (2): coupled gates"
_EXPLICIT = r"\delta_{h_{explicit}}(t)"

GATE = (
    _gate("coupled-path-of-the-candidate-missing", "delta_z", "delta_h[t] * h_previous[t]", r"\delta_h(t) \odot h(t-1)",
          "forgets that 1 - z, too, depends on z: the candidate's path is missing", NOTHING, _COUPLED),
    _gate("coupled-path-of-the-old-state-missing", "delta_z", "-delta_h[t] * n[t]", r"-\delta_h(t) \odot n(t)",
          "forgets that the old state is gated by z as well", ZERO_STATE + " at " + SHORT, _COUPLED),
    _gate("sign-of-the-coupled-path", "delta_z", "delta_h[t] * (h_previous[t] + n[t])",
          r"\delta_h(t) \odot (h(t-1) + n(t))", "adds the path of 1 - z with the wrong sign", NOTHING, SIGN),
    _gate("update-gate-delta-negated", "delta_z", "delta_h[t] * (n[t] - h_previous[t])",
          r"\delta_h(t) \odot (n(t) - h(t-1))",
          "has 1 - z and z exchanged: right where z weighs the candidate", NOTHING, SIGN),
    _gate("update-gate-delta-of-the-previous-candidate", "delta_z", "delta_h[t] * (n[t - 1] - n[t])",
          r"\delta_h(t) \odot (n((t-1) \bmod T) - n(t))", "takes the previous candidate for the previous state",
          NOTHING, OPERAND),
    _gate("update-gate-delta-of-the-present-state", "delta_z", "delta_h[t] * (h[t] - n[t])",
          r"\delta_h(t) \odot (h(t) - n(t))", "takes h(t) for h(t-1): the list of states is off by one", NOTHING,
          INDEX),
    _gate("update-gate-delta-of-a-wrapped-state", "delta_z", "delta_h[t] * (h[t - 1] - n[t])",
          r"\delta_h(t) \odot (h((t-1) \bmod T) - n(t))",
          "wraps round at step 0: h[-1] is the last state, not the initial one", SMALL, "002 line 307; " + INDEX),
    _gate("update-gate-delta-of-a-zero-state", "delta_z", "delta_h[t] * (h_previous[t] * (t > 0) - n[t])",
          r"\delta_h(t) \odot ([t > 0]\, h(t-1) - n(t))", "takes the first state for zero", ZERO_STATE, INDEX),
    _gate("update-gate-delta-of-the-explicit", "delta_z", "delta_h_explicit[t] * (h_previous[t] - n[t])",
          rf"{_EXPLICIT} \odot (h(t-1) - n(t))", "takes the explicit delta of h where the total belongs", SHORT,
          OPERAND),
    _gate("update-gate-delta-of-the-candidates-net", "delta_z", "delta_h[t] * (h_previous[t] - trace.net_n[t])",
          r"\delta_h(t) \odot (h(t-1) - net_n(t))", "takes the candidate's net input for the candidate", SMALL,
          OPERAND),
    _gate("candidate-delta-the-other-way", "delta_n", "delta_h[t] * z[t]", r"\delta_h(t) \odot z(t)",
          "takes z for 1 - z: right where z weighs the candidate", "gates of ½", OPERAND),
    _gate("candidate-delta-ungated", "delta_n", "delta_h[t]", r"\delta_h(t)", "forgets the update gate", NOTHING,
          TWICE),
    _gate("candidate-delta-of-the-explicit", "delta_n", "delta_h_explicit[t] * (1 - z[t])",
          rf"{_EXPLICIT} \odot (1 - z(t))", "takes the explicit delta of h where the total belongs", SHORT, OPERAND),
    _gate("candidate-delta-with-the-gates-slope", "delta_n", "delta_h[t] * slope_z[t]",
          r"\delta_h(t) \odot z(t) \odot (1 - z(t))", "takes the update gate's slope for the gate", NOTHING, SLOPE),
    _gate("candidate-delta-through-the-reset-gate", "delta_n", "delta_h[t] * (1 - r[t])",
          r"\delta_h(t) \odot (1 - r(t))", "takes the reset gate for the update gate", "gates that are equal",
          OPERAND),
    _gate("reset-gate-forgotten", "delta_recurrent_n", "delta_net_n[t]", r"\delta_{net_n}(t)",
          "forgets the reset gate on the way to what the past offers", SHORT, OPERAND),
    _gate("reset-gate-backward-the-other-way", "delta_recurrent_n", "delta_net_n[t] * (1 - r[t])",
          r"\delta_{net_n}(t) \odot (1 - r(t))", "takes 1 - r for r", "gates of ½", OPERAND),
    _gate("reset-past-the-slope", "delta_recurrent_n", "delta_n[t] * r[t]", r"\delta_n(t) \odot r(t)",
          "leaves tanh′ out", SMALL, SLOPE),
    _gate("reset-by-the-update-gate", "delta_recurrent_n", "delta_net_n[t] * z[t]", r"\delta_{net_n}(t) \odot z(t)",
          "takes the update gate for the reset gate", "gates that are equal", OPERAND),
    _gate("reset-gate-late-by-one", "delta_recurrent_n", "delta_net_n[t] * r[t - 1]",
          r"\delta_{net_n}(t) \odot r((t-1) \bmod T)", "reads the list of reset gates off by one",
          f"{SHORT}, gates that are equal", INDEX),
    _gate("reset-gate-delta-of-the-state", "delta_r", "delta_net_n[t] * h_previous[t]",
          r"\delta_{net_n}(t) \odot h(t-1)", "forgets the weights between the state and what it offers", NOTHING,
          OPERAND),
    _gate("reset-gate-delta-without-the-hidden-bias", "delta_r", "delta_net_n[t] * multiply(h_previous[t], W_hidden_n)",
          r"\delta_{net_n}(t) \odot (h(t-1) W_{hidden_n})", "forgets the bias inside the reset gate", "biases of zero",
          OPERAND),
    _gate("reset-gate-delta-of-the-candidate", "delta_r", "delta_net_n[t] * n[t]", r"\delta_{net_n}(t) \odot n(t)",
          "takes the candidate for what the past offers to it", NOTHING, OPERAND),
    _gate("reset-gate-delta-of-the-recurrent", "delta_r", "delta_recurrent_n[t] * recurrent_n[t]",
          r"\delta_{recurrent_n}(t) \odot recurrent_n(t)", "has the reset gate in it, which is the factor itself",
          NOTHING, TWICE),
    _gate("reset-gate-delta-past-the-slope", "delta_r", "delta_n[t] * recurrent_n[t]",
          r"\delta_n(t) \odot recurrent_n(t)", "leaves tanh′ out", SMALL, SLOPE),
)  # fmt: skip

ROWS = (
    CONVENTIONS + FORWARD + output_layer.backward(WRITER) + HIDDEN + GATE
    + gated.slopes(WRITER, _SIGMOIDS, _TANHS) + GRADIENTS
)  # fmt: skip
