"""Mistakes in the output layer and the loss, which all cells have alike."""

from __future__ import annotations

from gradlab.mistakes.rows import Mistake
from gradlab.mistakes.rows.classes import (
    COSINE,
    INDEX,
    JACOBIAN,
    LAST_LOSS,
    NOTHING,
    REPORTED,
    SHORT,
    SIGN,
    SLOPE,
    SMALL,
    STALE,
    Writer,
)

_ERROR, _OUT = r"(\hat{y}(t) - y(t))", r"\hat{y}(t) \odot (1 - \hat{y}(t))"


def forward(writer: Writer) -> tuple[Mistake, ...]:
    """The output and the loss computed otherwise than the backward pass differentiates them."""
    row = writer.row
    return (
        row("output-activation-dropped", "y_hat", "net_output", r"net_{output}(t)",
            "leaves the output activation out", NOTHING, "002 line 143; " + STALE),
        row("output-squashed-twice", "y_hat", "sigmoid(sigmoid(net_output))", r"\sigma(\sigma(net_{output}(t)))",
            "squashes what is squashed already", NOTHING, "002 lines 318 and 325, where it prints"),
        row("tanh-for-sigmoid-output", "y_hat", "np.tanh(net_output)", r"\tanh(net_{output}(t))",
            "squashes by tanh what the backward differentiates as a sigmoid", NOTHING, STALE),
        row("loss-without-half", "loss", "np.sum((y_hat - y) ** 2, axis=(-2, -1))",
            r"\lVert \hat{y}(t) - y(t) \rVert^2",
            "reports twice the loss that is differentiated", COSINE, REPORTED),
        row("loss-is-a-mean", "loss", "np.mean((y_hat - y) ** 2, axis=(-2, -1))",
            r"\operatorname{mean} (\hat{y}(t) - y(t))^{\odot 2}",
            "reports a mean of squares and differentiates half their sum", COSINE, "000 line 227; " + REPORTED),
        row("loss-mean-over-batch", "loss", "0.5 * np.sum((y_hat - y) ** 2, axis=(-2, -1)) / y.shape[-2]",
            r"\frac{1}{2B} \lVert \hat{y}(t) - y(t) \rVert^2",
            "reports a mean over the batch and differentiates the sum", "B = 1", REPORTED),
        row("loss-is-cross-entropy", "loss", "-np.sum(y * np.log(y_hat) + (1 - y) * np.log(1 - y_hat), axis=(-2, -1))",
            r"-\sum (y(t) \odot \log \hat{y}(t) + (1 - y(t)) \odot \log(1 - \hat{y}(t)))",
            "reports a cross-entropy and differentiates the squared error", NOTHING, REPORTED),
    )  # fmt: skip


def backward(writer: Writer) -> tuple[Mistake, ...]:
    """The delta of the output, but for pure factors."""
    row = writer.row
    return (
        row("output-slope-dropped", "delta_output", "y_hat - y", r"\hat{y}(t) - y(t)",
            "takes the derivative by y_hat for that by net_output", "a cross-entropy loss, for which it is right",
            "002 line 143; " + JACOBIAN),
        row("sign-of-the-error", "delta_output", "(y - y_hat) * y_hat * (1 - y_hat)",
            r"(y(t) - \hat{y}(t)) \odot " + _OUT,
            "climbs where it should descend, unless the update adds", "an update that adds the gradient",
            "002 line 300; " + SIGN),
        row("negative-error-without-slope", "delta_output", "y - y_hat", r"y(t) - \hat{y}(t)",
            "has the sign of the error turned round and the output slope dropped", "an update that adds the gradient",
            "002 lines 143 and 300; " + JACOBIAN),
        row("output-slope-twice", "delta_output", "(y_hat - y) * (y_hat * (1 - y_hat)) ** 2",
            _ERROR + r" \odot (\hat{y}(t) \odot (1 - \hat{y}(t)))^{\odot 2}",
            "applies the output slope twice", NOTHING, SLOPE),
        row("output-slope-at-net", "delta_output", "(y_hat - y) * trace.net_output * (1 - trace.net_output)",
            _ERROR + r" \odot net_{output}(t) \odot (1 - net_{output}(t))",
            "applies z (1 - z), right for an activation, to the pre-activation", NOTHING, SLOPE),
        row("tanh-slope-on-output", "delta_output", "(y_hat - y) * (1 - y_hat ** 2)",
            _ERROR + r" \odot (1 - \hat{y}(t)^{\odot 2})",
            "takes tanh's derivative for the sigmoid's", NOTHING, SLOPE),
        row("output-slope-lacks-a-factor", "delta_output", "(y_hat - y) * (1 - y_hat)",
            _ERROR + r" \odot (1 - \hat{y}(t))",
            "takes 1 - y_hat for y_hat (1 - y_hat)", NOTHING, SLOPE),
        row("last-loss-only", "delta_output",
            "np.concatenate([np.zeros_like(y[:-1]), ((y_hat - y) * y_hat * (1 - y_hat))[-1:]])",
            r"[t = T-1]\, " + _ERROR + r" \odot " + _OUT,
            "sends back the last step's loss alone", "a loss at the last step only, or " + SHORT, LAST_LOSS),
        row("last-loss-at-every-step", "delta_output", "np.repeat(((y_hat - y) * y_hat * (1 - y_hat))[-1:], T, axis=0)",
            r"(\hat{y}(T-1) - y(T-1)) \odot \hat{y}(T-1) \odot (1 - \hat{y}(T-1))",
            "injects the last step's loss at every step", SHORT, LAST_LOSS),
        row("last-output-slope-at-every-step", "delta_output", "(y_hat - y) * y_hat[-1] * (1 - y_hat[-1])",
            _ERROR + r" \odot \hat{y}(T-1) \odot (1 - \hat{y}(T-1))",
            "takes every step's slope at the last step's output", SHORT + ", " + SMALL, STALE),
        row("targets-late-by-one", "delta_output", "(y_hat - np.roll(y, 1, axis=0)) * y_hat * (1 - y_hat)",
            r"(\hat{y}(t) - y(t-1)) \odot " + _OUT, "compares with the previous step's target, wrapping round at 0",
            SHORT + ", constant targets", INDEX),
        row("targets-early-by-one", "delta_output", "(y_hat - np.roll(y, -1, axis=0)) * y_hat * (1 - y_hat)",
            r"(\hat{y}(t) - y(t+1)) \odot " + _OUT, "compares with the next step's target, wrapping round at the end",
            SHORT + ", constant targets", INDEX),
        row("targets-reversed", "delta_output", "(y_hat - y[::-1]) * y_hat * (1 - y_hat)",
            r"(\hat{y}(t) - y(T-1-t)) \odot " + _OUT, "compares with the targets in reversed order",
            SHORT + ", palindromes", "002 line 297; " + INDEX),
    )  # fmt: skip
