r"""Mistakes in the long short-term memory, equation by equation; its gradients are in `lstm_gradients`.

A right-hand side is written in the names of `gradlab.manual.lstm`; its LaTeX in the language of derivations, in
which juxtaposition is the matrix product, and [t > 0] is 1 where it holds and 0 elsewhere.
"""

from __future__ import annotations

from gradlab.mistakes.rows import Mistake, gated, output_layer
from gradlab.mistakes.rows.classes import (
    CARRY,
    COSINE,
    EQUAL_SIZES,
    HALVED,
    INDEX,
    MEAN,
    NOTHING,
    OPERAND,
    OUTSIDE,
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
from gradlab.mistakes.rows.lstm_equations import CARRIED, GATES, WRITER
from gradlab.mistakes.rows.lstm_gradients import GRADIENTS

_row, _rows = WRITER.row, WRITER.rows
_SIGMOIDS, _TANHS = {k: GATES[k] for k in "ifo"}, {"g": GATES["g"]}
_CONVENTION = "a convention, not a bug: "


def _nets(name: str, text: str, latex: str, does: str, hides: str, seen: str) -> Mistake:
    """One mistake in all four net inputs; K is the gate's letter."""
    wrong = {f"net_{k}": (text.replace("K", k), latex.replace("K", k)) for k in GATES}
    return _rows(name, wrong, does, hides, seen)


def _net_of_each() -> tuple[Mistake, ...]:
    found = []
    for k, gate in GATES.items():
        own, bias = rf"x(t) W_{{input_{k}}}", rf"bias_{{{k}}}"
        found += [
            _row(f"{gate}-weights-transposed-forward", f"net_{k}",
                 f"input_{k}[t] + multiply(h[t - 1], W_hidden_{k}.T)",
                 rf"{own} + {bias} + h(t-1) W_{{hidden_{k}}}^T", "runs the gate with its hidden weights transposed",
                 EQUAL_SIZES, TRANSPOSE),
            _row(f"{gate}-without-recurrence", f"net_{k}", f"input_{k}[t]", rf"{own} + {bias}",
                 "leaves the previous state out of the gate", ZERO_STATE + " at " + SHORT, CARRY),
            _row(f"{gate}-without-bias", f"net_{k}", f"input_{k}[t] - bias_{k} + multiply(h[t - 1], W_hidden_{k})",
                 rf"{own} + h(t-1) W_{{hidden_{k}}}", "leaves the bias out of the gate", "biases of zero", STALE),
        ]  # fmt: skip
    return tuple(found)


FORWARD = (
    *_net_of_each(),
    _nets("initial-state-ignored", "input_K[t] + multiply(h[t - 1], W_hidden_K) * (t > 0)",
          r"x(t) W_{input_K} + bias_{K} + [t > 0]\, h(t-1) W_{hidden_K}",
          "starts from a hidden state of zeros whatever is given", ZERO_STATE, INDEX),
    _nets("state-never-updated", "input_K[t] + multiply(h[-1], W_hidden_K)",
          r"x(t) W_{input_K} + bias_{K} + h(-1) W_{hidden_K}", "feeds the initial hidden state to every step", SHORT,
          STALE),
    _nets("inputs-reversed-forward", "input_K[T - 1 - t] + multiply(h[t - 1], W_hidden_K)",
          r"x(T-1-t) W_{input_K} + bias_{K} + h(t-1) W_{hidden_K}", "reads the sequence from its end",
          SHORT + ", palindromes", "002 lines 283 and 297; " + INDEX),
    *gated.forwards(WRITER, _SIGMOIDS, _TANHS),
    _row("initial-cell-state-ignored", "c_previous", "c[t - 1] * (t > 0)", r"[t > 0]\, c(t-1)",
         "starts from a cell state of zeros whatever is given", ZERO_STATE, INDEX),
    _row("cell-state-never-updated", "c_previous", "c[-1]", r"c(-1)", "feeds the initial cell state to every step",
         SHORT, STALE),
    _row("hidden-state-for-cell-state", "c_previous", "h[t - 1]", r"h(t-1)",
         "takes the last hidden state for the last cell state", ZERO_STATE + " at " + SHORT, OPERAND),
    _row("gates-of-the-cell-exchanged", "c", "i[t] * c_previous[t] + f[t] * g[t]",
         r"i(t) \odot c_{previous}(t) + f(t) \odot g(t)", "keeps by the input gate and takes in by the forget gate",
         "gates that are equal", OPERAND),
    _row("memory-without-forget-gate", "c", "c_previous[t] + i[t] * g[t]", r"c_{previous}(t) + i(t) \odot g(t)",
         _CONVENTION + "the memory of 1997, which forgets nothing, run where the backward pass has a forget gate",
         NOTHING, "Hochreiter and Schmidhuber (1997); " + STALE),
    _row("coupled-input-and-forget-gate", "c", "(1 - i[t]) * c_previous[t] + i[t] * g[t]",
         r"(1 - i(t)) \odot c_{previous}(t) + i(t) \odot g(t)",
         _CONVENTION + "f = 1 - i, run where the backward pass has a forget gate of its own", NOTHING,
         "Greff et al. (2017); survey: a gate's path missing (2): coupled gates"),
    _row("memory-overwritten", "c", "i[t] * g[t]", r"i(t) \odot g(t)", "keeps nothing of the old cell state",
         ZERO_STATE + " at " + SHORT, OVERWRITTEN),
    _row("tanh-within-the-memory", "c", "tanh(f[t] * c_previous[t] + i[t] * g[t])",
         r"\tanh(f(t) \odot c_{previous}(t) + i(t) \odot g(t))", "squashes the cell state that it keeps", NOTHING,
         STALE),
    _row("previous-cell-state-shown", "c_shown", "c_previous[t]", r"c_{previous}(t)",
         "shows the cell state of the step before", NOTHING, INDEX),
    _row("candidate-shown", "c_shown", "g[t]", r"g(t)", "shows the candidate in place of the cell state", NOTHING,
         OPERAND),
    _row("cell-state-not-squashed", "h", "o[t] * c_shown[t]", r"o(t) \odot c_{shown}(t)",
         "leaves tanh out where the cell state is shown", SMALL, STALE),
    _row("cell-state-squashed-by-sigmoid", "h", "o[t] * sigmoid(c_shown[t])", r"o(t) \odot \sigma(c_{shown}(t))",
         "squashes by sigmoid what the backward differentiates as tanh", NOTHING, STALE),
    _row("output-gate-left-out", "h", "tanh(c_shown[t])", r"\tanh(c_{shown}(t))", "shows the whole cell state", NOTHING,
         STALE),
    _row("output-of-the-cell-state", "net_output", "multiply(c[:T], W_output)", r"c(t) W_{output}",
         "feeds the cell state to the output layer", NOTHING, OPERAND),
    *output_layer.forward(WRITER),
)  # fmt: skip

_TERMS = {k: f"multiply(delta_net_{k}[t + 1], W_hidden_{k}.T)" for k in GATES}
_LATEX = {k: rf"\delta_{{net_{k}}}(t+1) W_{{hidden_{k}}}^T" for k in GATES}
_CARRY = " + ".join(_TERMS.values())

# What the explicit delta of t + 1 alone would give for the delta of each net input.
_NEXT = "[min(t + 1, T - 1)]"
_SENT = f"(delta_h_explicit{_NEXT} * (t + 1 < T))"
_SHOWN = f"{_SENT} * o{_NEXT} * slope_c{_NEXT}"
_ALONE = {
    "i": f"{_SHOWN} * g{_NEXT} * slope_i{_NEXT}",
    "f": f"{_SHOWN} * c_previous{_NEXT} * slope_f{_NEXT}",
    "g": f"{_SHOWN} * i{_NEXT} * slope_g{_NEXT}",
    "o": f"{_SENT} * tanh_c{_NEXT} * slope_o{_NEXT}",
}


def _carry_of(terms: dict[str, str]) -> str:
    return " + ".join(terms.values())


def _each(template: str) -> str:
    """A sum over the gates; K is the gate's letter."""
    return " + ".join(template.replace("K", k) for k in GATES)


def _paths() -> tuple[Mistake, ...]:
    """The four paths of h through time: one left out, one alone, one through a weight that is not transposed."""
    found = []
    for k, gate in GATES.items():
        others = {key: term for key, term in _TERMS.items() if key != k}
        latex = {key: term for key, term in _LATEX.items() if key != k}
        through = {**_TERMS, k: _TERMS[k].removesuffix(".T)") + ")"}
        through_latex = {**_LATEX, k: _LATEX[k].removesuffix("^T")}
        found += [
            _row(f"carry-misses-the-{gate}", "delta_h_implicit", _carry_of(others), _carry_of(latex),
                 "leaves out what comes back through this gate", f"{SHORT}, {SMALL}", CARRY + "; " + TWICE),
            _row(f"only-the-{gate}-carried", "delta_h_implicit", _TERMS[k], _LATEX[k],
                 "carries what comes back through this gate alone", f"{SHORT}, {SMALL}", CARRY),
            _row(f"{gate}-weights-not-transposed", "delta_h_implicit", _carry_of(through), _carry_of(through_latex),
                 "sends the delta back through the gate's weights, not their transpose",
                 "hidden weights are square, so they always conform; symmetric weights, " + SMALL, TRANSPOSE),
            _row(f"carry-of-the-{gate}-without-slope", "delta_h_implicit",
                 _carry_of({**_TERMS, k: _TERMS[k].replace("delta_net_", "delta_")}),
                 _carry_of({**_LATEX, k: _LATEX[k].replace(f"net_{k}", k)}),
                 "sends back the delta of the gate in place of that of its net input", f"{SHORT}, {SMALL}", SLOPE),
        ]  # fmt: skip
    return tuple(found)


HIDDEN = (
    *gated.state(WRITER),
    *_paths(),
    _row("explicit-delta-in-the-recursion", "delta_h_implicit",
         " + ".join(f"multiply({delta}, W_hidden_{k}.T)" for k, delta in _ALONE.items()),
         r"\delta_{h_{explicit}}(t+1) \times \frac{\partial h(t+1)}{\partial h(t)}",
         "carries the explicit delta of t+1 where the total delta belongs: losses after t+1 never arrive",
         "T ≤ 2, " + SMALL, "000 (the first seed) lines 347, 399, 413, 426; survey: explicit delta in the recursion"),
    _row("recurrence-dropped", "delta_h_implicit", "np.zeros_like(h[t])", r"0", "sends nothing back to h through time",
         f"{SHORT}, {SMALL}", CARRY + "; 000 line 721"),
    _row("hidden-weights-not-transposed", "delta_h_implicit", _CARRY.replace(".T", ""), CARRIED.replace("^T", ""),
         "sends the deltas back through the hidden weights, not their transposes",
         "hidden weights are square, so they always conform; symmetric weights, " + SMALL,
         "002 lines 162 and 365; " + TRANSPOSE),
    _row("recurrence-elementwise", "delta_h_implicit", _each("delta_net_K[t + 1] * W_hidden_K.diagonal()"),
         _each(r"\delta_{net_K}(t+1) \odot \operatorname{diag}(W_{hidden_K})"),
         "multiplies elementwise where matrix products belong", "H = 1, diagonal weights", "000 line 605; " + CARRY),
    _row("carry-without-slopes", "delta_h_implicit", _each("multiply(delta_K[t + 1], W_hidden_K.T)"),
         _each(r"\delta_{K}(t+1) W_{hidden_K}^T"), "sends back the deltas of the gates, not of their net inputs",
         f"{SHORT}, {SMALL}", SLOPE),
    _row("carry-with-tanh-slope", "delta_h_implicit", f"({_CARRY}) * (1 - h[t] ** 2)",
         rf"({CARRIED}) \odot (1 - h(t)^{{\odot 2}})", "applies tanh′ to the hidden state, a path without it",
         f"{SHORT}, {SMALL}", SLOPE),
    _row("sign-of-the-carry", "delta_h_implicit", f"-({_CARRY})", rf"-({CARRIED})",
         "carries the negative of the later losses", f"{SHORT}, {SMALL}", SIGN),
    _row("carry-misses-step-0", "delta_h_implicit", f"({_CARRY}) * (t > 0)", rf"[t > 0]\, ({CARRIED})",
         "ends the loop over time before step 0", SHORT, INDEX),
    _row("carry-misses-the-last-step", "delta_h_implicit", f"({_CARRY}) * (t + 2 < T)", rf"[t < T-2]\, ({CARRIED})",
         "starts the loop one step early: the last loss never arrives", SHORT, INDEX),
    _row("carry-from-two-steps-on", "delta_h_implicit", _CARRY.replace("t + 1", "min(t + 2, T)"),
         CARRIED.replace("t+1", "t+2"), "carries the deltas of t+2 for those of t+1", SHORT, INDEX),
)  # fmt: skip

_TANH_C, _SLOPE_C = r"\tanh(c_{shown}(t))", r"(1 - \tanh(c_{shown}(t))^{\odot 2})"
_BACK, _BACK_LATEX = "delta_h[t] * o[t]", r"\delta_h(t) \odot o(t)"
_TOTAL = "delta_c_shown[t] + delta_c_previous[t + 1]"
_TOTAL_LATEX = r"\delta_{c_{shown}}(t) + \delta_{c_{previous}}(t+1)"


def _shown(name: str, slope: str, latex: str, does: str, hides: str, seen: str) -> Mistake:
    """Another slope where the cell state is shown."""
    return _row(f"shown-{name}", "delta_c_shown", _BACK + slope, _BACK_LATEX + latex, does, hides, seen)


SHOWN = (
    _shown("slope-dropped", "", "", "leaves tanh′ out", SMALL, SLOPE),
    _shown("slope-twice", " * slope_c[t] ** 2", rf" \odot {_SLOPE_C}^{{\odot 2}}", "applies tanh′ twice", SMALL, SLOPE),
    _shown("slope-at-the-cell-state", " * (1 - c_shown[t] ** 2)", r" \odot (1 - c_{shown}(t)^{\odot 2})",
           "applies 1 - z², right for an activation, to the cell state", SMALL, SLOPE),
    _shown("slope-of-tanh", " * (1 - tanh(tanh_c[t]) ** 2)", rf" \odot (1 - \tanh({_TANH_C})^{{\odot 2}})",
           "takes tanh′ of what tanh has given already: tanh is applied again", SMALL, SLOPE),
    _shown("slope-of-slope", " * (1 - slope_c[t] ** 2)", rf" \odot (1 - {_SLOPE_C}^{{\odot 2}})",
           "applies 1 - z² to the slope again", NOTHING, SLOPE),
    _shown("slope-at-the-hidden-state", " * (1 - h[t] ** 2)", r" \odot (1 - h(t)^{\odot 2})",
           "applies 1 - z² to the hidden state, in which the output gate is already", SMALL, SLOPE),
    _shown("sigmoid-slope", " * tanh_c[t] * (1 - tanh_c[t])", rf" \odot {_TANH_C} \odot (1 - {_TANH_C})",
           "takes the sigmoid's derivative for tanh's", NOTHING, SLOPE),
    _shown("slope-of-previous-cell-state", " * (1 - tanh(c_previous[t]) ** 2)",
           r" \odot (1 - \tanh(c_{previous}(t))^{\odot 2})", "takes tanh′ at the previous cell state", SMALL,
           INDEX + "; " + SLOPE),
    _shown("slope-of-last-step", " * slope_c[T - 1]", r" \odot (1 - \tanh(c_{shown}(T-1))^{\odot 2})",
           "takes every step's tanh′ at the last cell state", f"{SHORT}, {SMALL}", STALE),
    _shown("slope-halved", " * slope_c[t] / 2", rf" \odot \frac{{1}}{{2}} {_SLOPE_C}",
           "has a factor ½ too many in tanh′", COSINE, HALVED),
    _shown("slope-doubled", " * slope_c[t] * 2", rf" \odot 2 {_SLOPE_C}", "has a factor 2 too many in tanh′", COSINE,
           HALVED),
    _row("output-gate-forgotten", "delta_c_shown", "delta_h[t] * slope_c[t]", rf"\delta_h(t) \odot {_SLOPE_C}",
         "forgets the output gate on the way to the cell state", NOTHING, CARRY + "; " + TWICE),
    _row("slope-of-the-output-gate", "delta_c_shown", "delta_h[t] * slope_o[t] * slope_c[t]",
         rf"\delta_h(t) \odot o(t) \odot (1 - o(t)) \odot {_SLOPE_C}", "takes the output gate's slope for the gate",
         NOTHING, SLOPE + "; " + OPERAND),
    _row("shown-through-the-input-gate", "delta_c_shown", "delta_h[t] * i[t] * slope_c[t]",
         rf"\delta_h(t) \odot i(t) \odot {_SLOPE_C}", "takes the input gate for the output gate",
         "gates that are equal", OPERAND),
    _row("shown-from-the-explicit-delta", "delta_c_shown", "delta_h_explicit[t] * o[t] * slope_c[t]",
         rf"\delta_{{h_{{explicit}}}}(t) \odot o(t) \odot {_SLOPE_C}",
         "takes the explicit delta of h where the total belongs", f"{SHORT}, {SMALL}", OPERAND),
    _row("carry-outside-the-derivative", "delta_c_shown",
         "(delta_h_explicit[t] * slope_c[t] + delta_h_implicit[t]) * o[t]",
         rf"(\delta_{{h_{{explicit}}}}(t) \odot {_SLOPE_C} + \delta_{{h_{{implicit}}}}(t)) \odot o(t)",
         "adds the carry of h outside the derivative", f"{SHORT}, {SMALL}", OUTSIDE),
    _row("explicit-delta-in-the-gates", "delta_c_shown", "delta_h_explicit[t] * o[t]",
         r"\delta_{h_{explicit}}(t) \odot o(t)",
         "takes the explicit delta of h where the total belongs, and leaves tanh′ out", SMALL, OPERAND),
)  # fmt: skip

MEMORY = (
    _row("cell-carry-forgotten", "delta_c", "delta_c_shown[t]", r"\delta_{c_{shown}}(t)",
         "forgets what the next step sends back to the cell state: the memory carries no gradient", SHORT, CARRY),
    _rows("carries-computed-and-never-passed-on",
          {"delta_h": ("delta_h_explicit[t]", r"\delta_{h_{explicit}}(t)"),
           "delta_c": ("delta_c_shown[t]", r"\delta_{c_{shown}}(t)")},
          "computes what each step sends back to h and to c (da_prev, dc_prev), and never hands it to the step before",
          SHORT,
          "a widely copied course notebook, whose printed expected output only this wrong gradient gives; " + CARRY),
    _row("cell-carry-overwrites", "delta_c", "delta_c_previous[t + 1] if t + 1 < T else delta_c_shown[t]",
         r"\delta_{c_{previous}}(t+1)", "assigns the carry where it should be added: what is shown is lost", SHORT,
         OVERWRITTEN),
    _row("cell-carry-subtracted", "delta_c", "delta_c_shown[t] - delta_c_previous[t + 1]",
         r"\delta_{c_{shown}}(t) - \delta_{c_{previous}}(t+1)", "subtracts the carry", SHORT, SIGN),
    _row("cell-carry-counted-twice", "delta_c", "delta_c_shown[t] + 2 * delta_c_previous[t + 1]",
         r"\delta_{c_{shown}}(t) + 2 \delta_{c_{previous}}(t+1)", "counts the way through time twice", SHORT, TWICE),
    _row("shown-counted-twice", "delta_c", "2 * delta_c_shown[t] + delta_c_previous[t + 1]",
         r"2 \delta_{c_{shown}}(t) + \delta_{c_{previous}}(t+1)",
         "counts the way from h to c twice: once in the carry, once in the gates", COSINE, TWICE),
    _row("cell-carry-without-forget-gate", "delta_c", "delta_c_shown[t] + delta_c[t + 1]",
         r"\delta_{c_{shown}}(t) + \delta_c(t+1)", "carries the delta of c past the forget gate", SHORT,
         CARRY + "; " + OPERAND),
    _row("cell-carry-through-the-present-forget-gate", "delta_c", "delta_c_shown[t] + delta_c[t + 1] * f[t]",
         r"\delta_{c_{shown}}(t) + \delta_c(t+1) \odot f(t)", "takes the forget gate of t for that of t+1",
         f"{SHORT}, gates that are equal", INDEX),
    _row("slope-after-the-cell-sum", "delta_c", "delta_c_shown[t] + delta_c_previous[t + 1] * slope_c[t]",
         rf"\delta_{{c_{{shown}}}}(t) + \delta_{{c_{{previous}}}}(t+1) \odot {_SLOPE_C}",
         "adds the carry on the wrong side of tanh′", f"{SHORT}, {SMALL}", OUTSIDE),
    _row("output-gate-on-the-cell-carry", "delta_c",
         "delta_c_shown[t] + delta_c_previous[t + 1] * o[t] * slope_c[t]",
         rf"\delta_{{c_{{shown}}}}(t) + \delta_{{c_{{previous}}}}(t+1) \odot o(t) \odot {_SLOPE_C}",
         "takes the carry of c through the output gate as well", SHORT, OUTSIDE),
    _row("cell-carry-misses-step-0", "delta_c", "delta_c_shown[t] + delta_c_previous[t + 1] * (t > 0)",
         r"\delta_{c_{shown}}(t) + [t > 0]\, \delta_{c_{previous}}(t+1)", "ends the loop over time before step 0",
         SHORT, INDEX),
    _row("cell-carry-from-two-steps-on", "delta_c", "delta_c_shown[t] + delta_c_previous[min(t + 2, T)]",
         r"\delta_{c_{shown}}(t) + \delta_{c_{previous}}(t+2)", "carries the delta of t+2 for that of t+1", SHORT,
         INDEX),
    _row("hidden-delta-added-to-the-cell", "delta_c", f"{_TOTAL} + delta_h[t]", rf"{_TOTAL_LATEX} + \delta_h(t)",
         "adds the delta of h, which is in that of what is shown already", NOTHING, TWICE),
    _row("cell-delta-of-step-0-missing", "delta_c", f"({_TOTAL}) * (t > 0)", rf"[t > 0]\, ({_TOTAL_LATEX})",
         "ends the loop before step 0", NOTHING, INDEX),
    _row("cell-delta-averaged-with-carry", "delta_c", f"({_TOTAL}) / 2", rf"\frac{{1}}{{2}} ({_TOTAL_LATEX})",
         "averages the two parts where they add up", COSINE, MEAN),
    _row("shown-delta-in-the-cell-recursion", "delta_c_previous", "delta_c_shown[t] * f[t]",
         r"\delta_{c_{shown}}(t) \odot f(t)",
         "carries what one step shows where the total belongs: losses after t+1 never arrive", "T ≤ 2",
         "survey: explicit delta in the recursion; " + CARRY),
    _row("cell-carry-of-nothing", "delta_c_previous", "np.zeros_like(h[t])", r"0",
         "sends nothing back to the cell state through time", SHORT, CARRY),
    _row("cell-carry-past-the-forget-gate", "delta_c_previous", "delta_c[t]", r"\delta_c(t)",
         "forgets the forget gate on the way back", SHORT, CARRY + "; " + OPERAND),
    _row("cell-carry-through-the-input-gate", "delta_c_previous", "delta_c[t] * i[t]", r"\delta_c(t) \odot i(t)",
         "takes the input gate for the forget gate", "gates that are equal", OPERAND),
    _row("cell-carry-through-the-slope", "delta_c_previous", "delta_c[t] * slope_f[t]",
         r"\delta_c(t) \odot f(t) \odot (1 - f(t))", "applies σ′ on a path without it", SHORT, SLOPE),
    _row("cell-carry-through-the-net", "delta_c_previous", "delta_c[t] * trace.net_f[t]", r"\delta_c(t) \odot net_f(t)",
         "takes the forget gate's net input for the gate", SHORT, OPERAND),
    _row("forget-gate-late-by-one", "delta_c_previous", "delta_c[t] * f[t - 1]",
         r"\delta_c(t) \odot f((t-1) \bmod T)", "reads the list of forget gates off by one, wrapping round at 0",
         f"{SHORT}, gates that are equal", INDEX),
    _row("sign-of-the-cell-carry", "delta_c_previous", "-delta_c[t] * f[t]", r"-\delta_c(t) \odot f(t)",
         "carries the negative of the later losses", SHORT, SIGN),
)  # fmt: skip


_DELTAS = {
    "delta_c": r"\delta_c",
    "delta_h": r"\delta_h",
    "delta_c_shown": r"\delta_{c_{shown}}",
    "delta_h_explicit": r"\delta_{h_{explicit}}",
}


def _factor(gate: str, name: str, delta: str, other: str, latex: str, does: str, hides: str, seen: str) -> Mistake:
    k = next(key for key, value in GATES.items() if value == gate)
    factored = rf" \odot {latex}" if latex else ""
    latex = rf"{_DELTAS[delta]}(t){factored}"
    return _row(f"{gate}-delta-{name}", f"delta_{k}", f"{delta}[t]{other}", latex, does, hides, seen)


_SHOWN_ONLY = "takes the delta of what is shown where that of the cell state belongs: the carry of c is forgotten here"
_PRESENT = "takes the cell state of t for that of t-1: the list of states is off by one"

GATE = (
    _factor("input-gate", "of-the-shown", "delta_c_shown", " * g[t]", "g(t)", _SHOWN_ONLY, SHORT, CARRY),
    _factor("input-gate", "of-tanh-c", "delta_c", " * tanh_c[t]", _TANH_C, "takes tanh(c) for the candidate", NOTHING,
            OPERAND),
    _factor("input-gate", "of-the-cell-state", "delta_c", " * c_shown[t]", "c_{shown}(t)",
            "takes the cell state for the candidate", NOTHING, OPERAND),
    _factor("input-gate", "of-the-previous-cell-state", "delta_c", " * c_previous[t]", "c_{previous}(t)",
            "takes the previous cell state for the candidate", NOTHING, OPERAND),
    _factor("input-gate", "of-the-previous-candidate", "delta_c", " * g[t - 1]", r"g((t-1) \bmod T)",
            "takes the candidate of the step before, wrapping round at 0", SHORT, INDEX),
    _factor("input-gate", "of-the-candidates-net", "delta_c", " * trace.net_g[t]", "net_g(t)",
            "takes the candidate's net input for the candidate", SMALL, OPERAND),
    _factor("input-gate", "of-tanh-of-the-candidate", "delta_c", " * tanh(g[t])", r"\tanh(g(t))",
            "squashes the candidate again", SMALL, SLOPE),
    _factor("input-gate", "of-itself", "delta_c", " * i[t]", "i(t)", "takes the gate for the candidate", NOTHING,
            OPERAND),
    _factor("input-gate", "lacks-the-candidate", "delta_c", "", "", "forgets the other factor", NOTHING, TWICE),
    _factor("forget-gate", "of-the-shown", "delta_c_shown", " * c_previous[t]", "c_{previous}(t)", _SHOWN_ONLY, SHORT,
            CARRY),
    _factor("forget-gate", "of-the-present-cell-state", "delta_c", " * c_shown[t]", "c_{shown}(t)", _PRESENT, NOTHING,
            INDEX),
    _factor("forget-gate", "of-a-wrapped-cell-state", "delta_c", " * trace.c[t - 1]", r"c((t-1) \bmod T)",
            "wraps round at step 0: c[-1] is the last cell state, not the initial one", NOTHING,
            "002 line 307; " + INDEX),
    _factor("forget-gate", "of-a-zero-cell-state", "delta_c", " * c_previous[t] * (t > 0)",
            r"[t > 0]\, c_{previous}(t)", "takes the first cell state for zero", ZERO_STATE, INDEX),
    _factor("forget-gate", "of-the-previous-candidate", "delta_c", " * g[t - 1]", r"g((t-1) \bmod T)",
            "takes the candidate of the step before for the cell state", NOTHING, OPERAND),
    _factor("forget-gate", "of-tanh-c", "delta_c", " * tanh(c_previous[t])", r"\tanh(c_{previous}(t))",
            "takes what was shown of the previous cell state for that state", SMALL, OPERAND),
    _factor("forget-gate", "of-the-previous-hidden-state", "delta_c", " * h_previous[t]", "h(t-1)",
            "takes the previous hidden state for the previous cell state", NOTHING, OPERAND),
    _factor("forget-gate", "of-itself", "delta_c", " * f[t]", "f(t)", "takes the gate for the cell state", NOTHING,
            OPERAND),
    _factor("candidate", "of-the-shown", "delta_c_shown", " * i[t]", "i(t)", _SHOWN_ONLY, SHORT, CARRY),
    _factor("candidate", "of-the-forget-gate", "delta_c", " * f[t]", "f(t)", "takes the forget gate for the input gate",
            "gates that are equal", OPERAND),
    _factor("candidate", "of-the-output-gate", "delta_c", " * o[t]", "o(t)", "takes the output gate for the input gate",
            "gates that are equal", OPERAND),
    _factor("candidate", "of-itself", "delta_c", " * g[t]", "g(t)", "takes the candidate for its gate", NOTHING,
            OPERAND),
    _factor("candidate", "lacks-the-gate", "delta_c", "", "", "forgets the other factor", NOTHING, TWICE),
    _factor("output-gate", "of-the-explicit", "delta_h_explicit", " * tanh_c[t]", _TANH_C,
            "takes the explicit delta of h where the total belongs: the carry of h is forgotten here", SHORT, CARRY),
    _factor("output-gate", "of-the-cell-state", "delta_h", " * c_shown[t]", "c_{shown}(t)",
            "takes the cell state for its tanh", SMALL, SLOPE),
    _factor("output-gate", "of-tanh-of-tanh", "delta_h", " * tanh(tanh_c[t])", rf"\tanh({_TANH_C})",
            "squashes what is squashed already", SMALL, SLOPE),
    _factor("output-gate", "of-the-candidate", "delta_h", " * g[t]", "g(t)", "takes the candidate for tanh(c)", NOTHING,
            OPERAND),
    _factor("output-gate", "of-the-hidden-state", "delta_h", " * h[t]", "h(t)",
            "takes the hidden state, in which the gate is already, for tanh(c)", NOTHING, OPERAND),
    _factor("output-gate", "of-the-previous-cell-state", "delta_h", " * tanh(c_previous[t])",
            r"\tanh(c_{previous}(t))", "takes the cell state of t-1 for that of t: the list of states is off by one",
            NOTHING, INDEX),
    _factor("output-gate", "from-the-cell", "delta_c", " * tanh_c[t]", _TANH_C,
            "takes the delta of the cell state for that of the hidden state", NOTHING, OPERAND),
)  # fmt: skip

ROWS = (
    FORWARD + output_layer.backward(WRITER) + HIDDEN + SHOWN + MEMORY + GATE
    + gated.slopes(WRITER, _SIGMOIDS, _TANHS) + GRADIENTS
)  # fmt: skip
