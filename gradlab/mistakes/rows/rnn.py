r"""Mistakes in the Elman network, equation by equation: the forward pass and the deltas; then `rnn_gradients`.

A right-hand side is written in the names of `gradlab.manual.rnn`; its LaTeX in the language of DERIVATIONS.md, in which
juxtaposition is the matrix product, a bare name is that of step t, and [t > 0] is 1 where it holds and 0 elsewhere.
"""

from __future__ import annotations

from gradlab.mistakes.rows import Mistake
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
    REPORTED,
    SHORT,
    SIGN,
    SLOPE,
    SMALL,
    STALE,
    TRANSPOSE,
    TWICE,
    ZERO_STATE,
)
from gradlab.mistakes.rows.rnn_equations import WRITER
from gradlab.mistakes.rows.rnn_gradients import FACTORS, GRADIENTS

_row, _rows = WRITER.row, WRITER.rows

FORWARD = (
    _row("hidden-weights-transposed-forward", "net_hidden", "net_input[t] + multiply(a_hidden[t - 1], W_hidden.T)",
         r"x(t) W_{input} + a_{hidden}(t-1) W_{hidden}^T",
         "runs the network with W_hidden transposed", EQUAL_SIZES, TRANSPOSE),
    _row("initial-state-ignored", "net_hidden", "net_input[t] + multiply(a_hidden[t - 1], W_hidden) * (t > 0)",
         r"x(t) W_{input} + [t > 0]\, a_{hidden}(t-1) W_{hidden}",
         "starts from zeros whatever state is given", ZERO_STATE, INDEX),
    _row("state-never-updated", "net_hidden", "net_input[t] + multiply(a_hidden[-1], W_hidden)",
         r"x(t) W_{input} + a_{hidden}(-1) W_{hidden}",
         "feeds the initial state to every step: there is no memory", SHORT, STALE),
    _row("forward-without-recurrence", "net_hidden", "net_input[t]", r"x(t) W_{input}",
         "leaves the previous state out: there is no memory", ZERO_STATE + " at " + SHORT, CARRY),
    _row("inputs-reversed-forward", "net_hidden", "net_input[T - 1 - t] + multiply(a_hidden[t - 1], W_hidden)",
         r"x(T-1-t) W_{input} + a_{hidden}(t-1) W_{hidden}",
         "reads the sequence from its end", SHORT + ", palindromes", "002 lines 283 and 297; " + INDEX),
    _row("tanh-for-sigmoid-hidden", "a_hidden", "np.tanh(net_hidden[t])", r"\tanh(net_{hidden}(t))",
         "squashes by tanh what the backward differentiates as a sigmoid", NOTHING, STALE),
    _row("hidden-activation-dropped", "a_hidden", "net_hidden[t]", r"net_{hidden}(t)",
         "leaves the hidden activation out", NOTHING, STALE),
    _row("hidden-squashed-twice", "a_hidden", "sigmoid(sigmoid(net_hidden[t]))", r"\sigma(\sigma(net_{hidden}(t)))",
         "squashes what is squashed already", NOTHING, "002 lines 318 and 325; " + STALE),
    _row("output-of-pre-activation", "net_output", "multiply(net_hidden, W_output)", r"net_{hidden}(t) W_{output}",
         "feeds the pre-activation to the output layer", NOTHING, OPERAND),
    _row("output-activation-dropped", "y_hat", "net_output", r"net_{output}(t)",
         "leaves the output activation out", NOTHING, "002 line 143; " + STALE),
    _row("output-squashed-twice", "y_hat", "sigmoid(sigmoid(net_output))", r"\sigma(\sigma(net_{output}(t)))",
         "squashes what is squashed already", NOTHING, "002 lines 318 and 325"),
    _row("tanh-for-sigmoid-output", "y_hat", "np.tanh(net_output)", r"\tanh(net_{output}(t))",
         "squashes by tanh what the backward differentiates as a sigmoid", NOTHING, STALE),
    _row("loss-without-half", "loss", "np.sum((y_hat - y) ** 2, axis=(-2, -1))", r"\lVert \hat{y}(t) - y(t) \rVert^2",
         "reports twice the loss that is differentiated", COSINE, REPORTED),
    _row("loss-is-a-mean", "loss", "np.mean((y_hat - y) ** 2, axis=(-2, -1))",
         r"\operatorname{mean} (\hat{y}(t) - y(t))^{\odot 2}",
         "reports a mean of squares and differentiates half their sum", COSINE, "000 line 227; " + REPORTED),
    _row("loss-mean-over-batch", "loss", "0.5 * np.sum((y_hat - y) ** 2, axis=(-2, -1)) / y.shape[-2]",
         r"\frac{1}{2B} \lVert \hat{y}(t) - y(t) \rVert^2",
         "reports a mean over the batch and differentiates the sum", "B = 1", REPORTED),
    _row("loss-is-cross-entropy", "loss", "-np.sum(y * np.log(y_hat) + (1 - y) * np.log(1 - y_hat), axis=(-2, -1))",
         r"-\sum (y(t) \odot \log \hat{y}(t) + (1 - y(t)) \odot \log(1 - \hat{y}(t)))",
         "reports a cross-entropy and differentiates the squared error", NOTHING, REPORTED),
)  # fmt: skip

_ERROR, _OUT = r"(\hat{y}(t) - y(t))", r"\hat{y}(t) \odot (1 - \hat{y}(t))"

OUTPUT = (
    _row("output-slope-dropped", "delta_output", "y_hat - y", r"\hat{y}(t) - y(t)",
         "takes the derivative by y_hat for that by net_output", "a cross-entropy loss, for which it is right",
         "002 line 143; " + JACOBIAN),
    _row("sign-of-the-error", "delta_output", "(y - y_hat) * y_hat * (1 - y_hat)", r"(y(t) - \hat{y}(t)) \odot " + _OUT,
         "climbs where it should descend, unless the update adds", "an update that adds the gradient",
         "002 line 300; " + SIGN),
    _row("negative-error-without-slope", "delta_output", "y - y_hat", r"y(t) - \hat{y}(t)",
         "has the sign of the error turned round and the output slope dropped", "an update that adds the gradient",
         "002 lines 143 and 300; " + JACOBIAN),
    _row("output-slope-twice", "delta_output", "(y_hat - y) * (y_hat * (1 - y_hat)) ** 2",
         _ERROR + r" \odot (\hat{y}(t) \odot (1 - \hat{y}(t)))^{\odot 2}",
         "applies the output slope twice", NOTHING, SLOPE),
    _row("output-slope-at-net", "delta_output", "(y_hat - y) * trace.net_output * (1 - trace.net_output)",
         _ERROR + r" \odot net_{output}(t) \odot (1 - net_{output}(t))",
         "applies z (1 - z), right for an activation, to the pre-activation", NOTHING, "002 line 50; " + SLOPE),
    _row("tanh-slope-on-output", "delta_output", "(y_hat - y) * (1 - y_hat ** 2)",
         _ERROR + r" \odot (1 - \hat{y}(t)^{\odot 2})",
         "takes tanh's derivative for the sigmoid's", NOTHING, SLOPE),
    _row("output-slope-lacks-a-factor", "delta_output", "(y_hat - y) * (1 - y_hat)",
         _ERROR + r" \odot (1 - \hat{y}(t))",
         "takes 1 - y_hat for y_hat (1 - y_hat)", NOTHING, SLOPE),
    _row("last-loss-only", "delta_output",
         "np.concatenate([np.zeros_like(y[:-1]), ((y_hat - y) * y_hat * (1 - y_hat))[-1:]])",
         r"[t = T-1]\, " + _ERROR + r" \odot " + _OUT,
         "sends back the last step's loss alone", "a loss at the last step only, or " + SHORT, LAST_LOSS),
    _row("last-loss-at-every-step", "delta_output", "np.repeat(((y_hat - y) * y_hat * (1 - y_hat))[-1:], T, axis=0)",
         r"(\hat{y}(T-1) - y(T-1)) \odot \hat{y}(T-1) \odot (1 - \hat{y}(T-1))",
         "injects the last step's loss at every step", SHORT, LAST_LOSS),
    _row("last-output-slope-at-every-step", "delta_output", "(y_hat - y) * y_hat[-1] * (1 - y_hat[-1])",
         _ERROR + r" \odot \hat{y}(T-1) \odot (1 - \hat{y}(T-1))",
         "takes every step's slope at the last step's output", SHORT + ", " + SMALL, STALE),
    _row("targets-late-by-one", "delta_output", "(y_hat - np.roll(y, 1, axis=0)) * y_hat * (1 - y_hat)",
         r"(\hat{y}(t) - y(t-1)) \odot " + _OUT, "compares with the previous step's target, wrapping round at 0",
         SHORT + ", constant targets", INDEX),
    _row("targets-early-by-one", "delta_output", "(y_hat - np.roll(y, -1, axis=0)) * y_hat * (1 - y_hat)",
         r"(\hat{y}(t) - y(t+1)) \odot " + _OUT, "compares with the next step's target, wrapping round at the end",
         SHORT + ", constant targets", INDEX),
    _row("targets-reversed", "delta_output", "(y_hat - y[::-1]) * y_hat * (1 - y_hat)",
         r"(\hat{y}(t) - y(T-1-t)) \odot " + _OUT, "compares with the targets in reversed order",
         SHORT + ", palindromes", "000 line 513, 002 line 297; " + INDEX),
)  # fmt: skip

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
         f"{SHORT}, {SMALL}", "000 line 533; " + INDEX),
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
         "multiplies the sum by σ′, which is in both its terms already", NOTHING, "000 line 550; " + SLOPE),
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
