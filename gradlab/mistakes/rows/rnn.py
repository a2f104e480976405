r"""Mistakes in the Elman network, equation by equation: the forward pass and the deltas; then `rnn_gradients`.

A right-hand side is written in the names of `gradlab.manual.rnn`; its LaTeX in the language of derivations, in which
juxtaposition is the matrix product, a bare name is that of step t, and [t > 0] is 1 where it holds and 0 elsewhere.
"""

from __future__ import annotations

from gradlab.mistakes.rows import Mistake, elman, output_layer
from gradlab.mistakes.rows.classes import (
    CARRY,
    COSINE,
    EQUAL_SIZES,
    HALVED,
    INDEX,
    JACOBIAN,
    LAST_LOSS,
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
)
from gradlab.mistakes.rows.rnn_equations import WRITER
from gradlab.mistakes.rows.rnn_gradients import FACTORS, GRADIENTS

_row, _rows = WRITER.row, WRITER.rows

FORWARD = elman.forward(WRITER) + output_layer.forward(WRITER)

OUTPUT = output_layer.backward(WRITER)

_SLOPE = r"a_{hidden}(t) \odot (1 - a_{hidden}(t))"
_SENT, _CARRIED = r"(\delta_{output}(t) W_{output}^T)", r"(\delta_{hidden}(t+1) W_{hidden}^T)"
_SEND, _CARRY = "multiply(delta_output, W_output.T)", "multiply(delta_hidden[t + 1], W_hidden.T)"

# Slopes that are wrong: name; for all steps at once; for step t; in LaTeX; what that is; what hides it; where seen.
_SLOPES = (
    ("slope-dropped", "", "", "", "leaves σ′ out", NOTHING, OUTSIDE + "; " + SLOPE),
    ("slope-twice", " * slope ** 2", " * slope[t] ** 2", rf" \odot ({_SLOPE})^{{\odot 2}}", "applies σ′ twice",
     NOTHING, SLOPE),
    ("slope-at-net", " * trace.net_hidden * (1 - trace.net_hidden)",
     " * trace.net_hidden[t] * (1 - trace.net_hidden[t])", r" \odot net_{hidden}(t) \odot (1 - net_{hidden}(t))",
     "applies z (1 - z), right for an activation, to the pre-activation", NOTHING, "002 lines 50 and 164; " + SLOPE),
    ("tanh-slope", " * (1 - a_hidden ** 2)", " * (1 - a_hidden[t] ** 2)", r" \odot (1 - a_{hidden}(t)^{\odot 2})",
     "takes tanh's derivative for the sigmoid's", NOTHING, SLOPE),
    ("slope-lacks-a-factor", " * (1 - a_hidden)", " * (1 - a_hidden[t])", r" \odot (1 - a_{hidden}(t))",
     "takes 1 - a for a (1 - a)", NOTHING, SLOPE),
    ("slope-halved", " * slope / 2", " * slope[t] / 2", rf" \odot \frac{{1}}{{2}} {_SLOPE}",
     "has a factor ½ too many in σ′", COSINE, HALVED),
    ("slope-doubled", " * slope * 2", " * slope[t] * 2", rf" \odot 2 {_SLOPE}",
     "has a factor 2 too many in σ′", COSINE, HALVED),
    ("slope-of-last-step", " * slope[-1]", " * slope[T - 1]", r" \odot a_{hidden}(T-1) \odot (1 - a_{hidden}(T-1))",
     "takes every step's σ′ at the last step's activation", SHORT + ", " + SMALL, STALE),
    ("slope-of-previous-state", " * a_previous * (1 - a_previous)", " * a_previous[t] * (1 - a_previous[t])",
     r" \odot a_{hidden}(t-1) \odot (1 - a_{hidden}(t-1))",
     "takes σ′ at the previous state", SMALL, INDEX + "; " + SLOPE),
)  # fmt: skip


def _slopes() -> tuple[Mistake, ...]:
    """Each wrong slope where the step's own loss comes in, where the carry does, and in both places."""
    rows = []
    for name, every, one, latex, does, hides, seen in _SLOPES:
        explicit = {"delta_explicit": (_SEND + every, _SENT + latex)}
        carry = {"delta_implicit": (_CARRY + one, _CARRIED + latex)}
        rows.append(_rows(f"explicit-{name}", explicit, f"{does} where the step's own loss comes in", hides, seen))
        # Without its slope the carry is what is added outside the derivative: δ = e ⊙ slope + carry.
        carried = "carry-outside-the-derivative" if name == "slope-dropped" else f"carry-{name}"
        rows.append(_rows(carried, carry, f"{does} on the way back through time", f"{hides}, {SHORT}", seen))
        rows.append(_rows(f"{name}-everywhere", explicit | carry, f"{does}, at every step", hides, seen))
    return tuple(rows)


HIDDEN = (
    *_slopes(),
    _row("output-weights-not-transposed", "delta_explicit", "multiply(delta_output, W_output) * slope",
         r"(\delta_{output}(t) W_{output}) \odot " + _SLOPE, "sends the delta back through W_output, not its transpose",
         EQUAL_SIZES, "002 line 162, 000 line 709; " + TRANSPOSE, True),
    _row("error-for-output-delta", "delta_explicit", "multiply(y_hat - y, W_output.T) * slope",
         r"((\hat{y}(t) - y(t)) W_{output}^T) \odot " + _SLOPE, "sends back the error in place of delta_output",
         NOTHING, OPERAND + "; " + JACOBIAN),
    _row("sign-of-the-explicit-delta", "delta_explicit", "-multiply(delta_output, W_output.T) * slope",
         r"-(\delta_{output}(t) W_{output}^T) \odot " + _SLOPE, "sends back the negative of the step's own delta",
         NOTHING, SIGN),
    _row("explicit-delta-in-the-recursion", "delta_implicit",
         "multiply(np.concatenate([delta_explicit, delta_hidden[T:]])[t + 1], W_hidden.T) * slope[t]",
         r"(\delta_{explicit}(t+1) W_{hidden}^T) \odot " + _SLOPE,
         "carries the explicit delta of t+1 where the total delta belongs: losses after t+1 never arrive",
         "T ≤ 2, " + SMALL,
         "000 (the first seed) lines 347, 399, 406, 413, 426; survey: explicit delta in the recursion"),
    _row("recurrence-dropped", "delta_implicit", "np.zeros_like(slope[t])", r"0",
         "sends nothing back through time", SHORT + ", a loss at the last step counted alone, " + SMALL,
         CARRY + "; 000 line 721"),
    _row("hidden-weights-not-transposed", "delta_implicit", "multiply(delta_hidden[t + 1], W_hidden) * slope[t]",
         r"(\delta_{hidden}(t+1) W_{hidden}) \odot " + _SLOPE,
         "sends the delta back through W_hidden, not its transpose",
         "W_hidden is square, so it always conforms; symmetric weights, " + SMALL,
         "002 lines 162 and 365; " + TRANSPOSE),
    _row("recurrence-elementwise", "delta_implicit", "delta_hidden[t + 1] * W_hidden.diagonal() * slope[t]",
         r"\delta_{hidden}(t+1) \odot \operatorname{diag}(W_{hidden}) \odot " + _SLOPE,
         "multiplies elementwise where a matrix product belongs", "H = 1, a diagonal W_hidden",
         "000 line 605; " + CARRY),
    _row("carry-slope-of-next-state", "delta_implicit", _CARRY + " * slope[min(t + 1, T - 1)]",
         _CARRIED + r" \odot a_{hidden}(t+1) \odot (1 - a_{hidden}(t+1))", "takes σ′ at the state of t+1",
         f"{SHORT}, {SMALL}", "000 line 534; " + INDEX),
    _row("carry-slope-of-both-states", "delta_implicit", _CARRY + " * slope[min(t + 1, T - 1)] * slope[t]",
         _CARRIED + r" \odot a_{hidden}(t+1) \odot (1 - a_{hidden}(t+1)) \odot " + _SLOPE,
         "multiplies the future delta by σ′ of the future state and again by σ′ of the present one", SHORT,
         "000 line 550; " + SLOPE),
    _row("sign-of-the-carry", "delta_implicit", "-" + _CARRY + " * slope[t]", r"-" + _CARRIED + r" \odot " + _SLOPE,
         "carries the negative of the later losses", f"{SHORT}, {SMALL}", SIGN),
    _row("carry-misses-step-0", "delta_implicit", _CARRY + " * slope[t] * (t > 0)",
         r"[t > 0]\, " + _CARRIED + r" \odot " + _SLOPE, "ends the loop over time before step 0", SHORT, INDEX),
    _row("carry-misses-the-last-step", "delta_implicit", _CARRY + " * slope[t] * (t + 2 < T)",
         r"[t < T-2]\, " + _CARRIED + r" \odot " + _SLOPE,
         "starts the loop one step early: the last loss never arrives",
         SHORT, INDEX),
    _row("carry-from-two-steps-on", "delta_implicit", "multiply(delta_hidden[min(t + 2, T)], W_hidden.T) * slope[t]",
         r"(\delta_{hidden}(t+2) W_{hidden}^T) \odot " + _SLOPE, "carries the delta of t+2 for that of t+1", SHORT,
         INDEX),
    _row("carry-of-the-last-step-only", "delta_implicit",
         "multiply(delta_explicit[-1], W_hidden.T) * slope[t] * (t + 1 < T)",
         r"(\delta_{explicit}(T-1) W_{hidden}^T) \odot " + _SLOPE, "never updates what it carries", "T ≤ 2",
         CARRY + "; " + STALE),
    _row("carry-never-added", "delta_hidden", "delta_explicit[t]", r"\delta_{explicit}(t)",
         "computes what later losses send back and never adds it", f"{SHORT}, {SMALL}", CARRY),
    _row("carry-overwrites", "delta_hidden", "delta_implicit[t] if t + 1 < T else delta_explicit[t]",
         r"\delta_{implicit}(t)", "assigns the carry where it should be added: the step's own loss is lost",
         "a loss at the last step only", OVERWRITTEN),
    _row("carry-subtracted", "delta_hidden", "delta_explicit[t] - delta_implicit[t]",
         r"\delta_{explicit}(t) - \delta_{implicit}(t)", "subtracts the carry", f"{SHORT}, {SMALL}", SIGN),
    _row("carry-counted-twice", "delta_hidden", "delta_explicit[t] + 2 * delta_implicit[t]",
         r"\delta_{explicit}(t) + 2 \delta_{implicit}(t)", "counts the way through time twice", f"{SHORT}, {SMALL}",
         TWICE),
    _row("explicit-counted-twice", "delta_hidden", "2 * delta_explicit[t] + delta_implicit[t]",
         r"2 \delta_{explicit}(t) + \delta_{implicit}(t)", "counts the step's own loss twice",
         "a loss at the last step only, but for a factor", TWICE),
    _row("last-explicit-delta-at-every-step", "delta_hidden", "delta_explicit[-1] + delta_implicit[t]",
         r"\delta_{explicit}(T-1) + \delta_{implicit}(t)", "injects the last step's explicit delta at every step",
         SHORT, LAST_LOSS),
    _row("slope-after-the-sum", "delta_hidden", "(delta_explicit[t] + delta_implicit[t]) * slope[t]",
         r"(\delta_{explicit}(t) + \delta_{implicit}(t)) \odot " + _SLOPE,
         "multiplies the sum by σ′, which is in both its terms already", NOTHING, SLOPE),
    _row("explicit-delta-late-by-one", "delta_hidden", "delta_explicit[t - 1] + delta_implicit[t]",
         r"\delta_{explicit}(t-1) + \delta_{implicit}(t)",
         "adds the previous step's explicit delta, wrapping round at 0",
         SHORT, INDEX),
    _row("explicit-deltas-reversed", "delta_hidden", "delta_explicit[T - 1 - t] + delta_implicit[t]",
         r"\delta_{explicit}(T-1-t) + \delta_{implicit}(t)", "adds the explicit deltas in reversed order", SHORT,
         INDEX),
    _row("delta-of-step-0-missing", "delta_hidden", "(delta_explicit[t] + delta_implicit[t]) * (t > 0)",
         r"[t > 0]\, (\delta_{explicit}(t) + \delta_{implicit}(t))", "ends the loop before step 0", NOTHING, INDEX),
    _row("delta-of-the-last-step-missing", "delta_hidden", "(delta_explicit[t] + delta_implicit[t]) * (t + 1 < T)",
         r"[t < T-1]\, (\delta_{explicit}(t) + \delta_{implicit}(t))", "starts the loop one step early", NOTHING,
         INDEX),
    _row("delta-averaged-with-carry", "delta_hidden", "(delta_explicit[t] + delta_implicit[t]) / 2",
         r"\frac{1}{2} (\delta_{explicit}(t) + \delta_{implicit}(t))", "averages the two parts where they add up",
         COSINE, MEAN),
)  # fmt: skip

ROWS = FORWARD + OUTPUT + HIDDEN + GRADIENTS + FACTORS
