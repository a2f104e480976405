r"""Mistakes that gated cells share: slopes of gates, the two parts of the state's delta, sums over time, pure factors.

A gate is told by the letter of its activation; its pre-activation is `net_` and that letter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gradlab.mistakes.rows import Mistake
from gradlab.mistakes.rows.classes import (
    CARRY,
    COSINE,
    HALVED,
    INDEX,
    LAST_LOSS,
    MEAN,
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
    Writer,
)

# Slopes of σ that are wrong: name; in NumPy; in LaTeX; what that is; what hides it; where seen. K is the gate's letter.
SIGMOID = (
    ("slope-dropped", "", "", "leaves σ′ out", NOTHING, SLOPE),
    ("slope-twice", " * slope_K[t] ** 2", r" \odot (K(t) \odot (1 - K(t)))^{\odot 2}", "applies σ′ twice", NOTHING,
     SLOPE),
    ("slope-at-net", " * trace.net_K[t] * (1 - trace.net_K[t])", r" \odot net_K(t) \odot (1 - net_K(t))",
     "applies z (1 - z), right for an activation, to the pre-activation", NOTHING, SLOPE),
    ("slope-of-sigmoid", " * sigmoid(K[t]) * (1 - sigmoid(K[t]))",
     r" \odot \sigma(K(t)) \odot (1 - \sigma(K(t)))", "takes σ′ of what σ has given already: σ is applied again",
     NOTHING, SLOPE),
    ("slope-of-slope", " * slope_K[t] * (1 - slope_K[t])",
     r" \odot K(t) \odot (1 - K(t)) \odot (1 - K(t) \odot (1 - K(t)))", "applies z (1 - z) to the slope again", NOTHING,
     SLOPE),
    ("tanh-slope", " * (1 - K[t] ** 2)", r" \odot (1 - K(t)^{\odot 2})", "takes tanh's derivative for the sigmoid's",
     NOTHING, SLOPE),
    ("slope-lacks-a-factor", " * (1 - K[t])", r" \odot (1 - K(t))", "takes 1 - a for a (1 - a)", NOTHING, SLOPE),
    ("gate-for-its-slope", " * K[t]", r" \odot K(t)", "takes a for a (1 - a)", NOTHING, SLOPE),
    ("slope-halved", " * slope_K[t] / 2", r" \odot \frac{1}{2} K(t) \odot (1 - K(t))", "has a factor ½ too many in σ′",
     COSINE, HALVED),
    ("slope-doubled", " * slope_K[t] * 2", r" \odot 2 K(t) \odot (1 - K(t))", "has a factor 2 too many in σ′", COSINE,
     HALVED),
    ("slope-of-last-step", " * slope_K[T - 1]", r" \odot K(T-1) \odot (1 - K(T-1))",
     "takes every step's σ′ at the last step's gate", f"{SHORT}, {SMALL}", STALE),
    ("slope-late-by-one", " * slope_K[t - 1]", r" \odot K((t-1) \bmod T) \odot (1 - K((t-1) \bmod T))",
     "takes σ′ at the gate of the step before, wrapping round at 0", f"{SHORT}, {SMALL}", INDEX),
)  # fmt: skip

# The same for tanh.
TANH = (
    ("slope-dropped", "", "", "leaves tanh′ out", SMALL, SLOPE),
    ("slope-twice", " * slope_K[t] ** 2", r" \odot (1 - K(t)^{\odot 2})^{\odot 2}", "applies tanh′ twice", SMALL,
     SLOPE),
    ("slope-at-net", " * (1 - trace.net_K[t] ** 2)", r" \odot (1 - net_K(t)^{\odot 2})",
     "applies 1 - z², right for an activation, to the pre-activation", SMALL, SLOPE),
    ("slope-of-tanh", " * (1 - np.tanh(K[t]) ** 2)", r" \odot (1 - \tanh(K(t))^{\odot 2})",
     "takes tanh′ of what tanh has given already: tanh is applied again", SMALL, SLOPE),
    ("slope-of-slope", " * (1 - slope_K[t] ** 2)", r" \odot (1 - (1 - K(t)^{\odot 2})^{\odot 2})",
     "applies 1 - z² to the slope again", NOTHING, SLOPE),
    ("sigmoid-slope", " * K[t] * (1 - K[t])", r" \odot K(t) \odot (1 - K(t))",
     "takes the sigmoid's derivative for tanh's", NOTHING, SLOPE),
    ("slope-lacks-the-square", " * (1 - K[t])", r" \odot (1 - K(t))", "takes 1 - a for 1 - a²", SMALL, SLOPE),
    ("slope-halved", " * slope_K[t] / 2", r" \odot \frac{1}{2} (1 - K(t)^{\odot 2})",
     "has a factor ½ too many in tanh′", COSINE, HALVED),
    ("slope-doubled", " * slope_K[t] * 2", r" \odot 2 (1 - K(t)^{\odot 2})", "has a factor 2 too many in tanh′", COSINE,
     HALVED),
    ("slope-of-last-step", " * slope_K[T - 1]", r" \odot (1 - K(T-1)^{\odot 2})",
     "takes every step's tanh′ at the last step's candidate", f"{SHORT}, {SMALL}", STALE),
    ("slope-late-by-one", " * slope_K[t - 1]", r" \odot (1 - K((t-1) \bmod T)^{\odot 2})",
     "takes tanh′ at the candidate of the step before, wrapping round at 0", f"{SHORT}, {SMALL}", INDEX),
)  # fmt: skip

# Those that are made in all gates alike, since all gates call one function.
ALIKE = ("slope-dropped", "slope-twice", "slope-at-net", "slope-of-sigmoid", "tanh-slope", "slope-lacks-a-factor")


def slopes(writer: Writer, sigmoids: Mapping[str, str], tanhs: Mapping[str, str]) -> tuple[Mistake, ...]:
    """Every wrong slope in every gate, and those that are made in all gates of σ alike.

    Args:
        sigmoids, tanhs: the names of the gates by their letters.
    """
    found = []
    for gates, table in ((sigmoids, SIGMOID), (tanhs, TANH)):
        for name, text, latex, does, hides, seen in table:
            wrong = {k: {f"delta_net_{k}": _sloped(k, text, latex)} for k in gates}
            found += [writer.rows(f"{gates[k]}-{name}", wrong[k], does, hides, seen) for k in gates]
            if gates is sigmoids and name in ALIKE:
                every = {label: sides for one in wrong.values() for label, sides in one.items()}
                found.append(writer.rows(f"gates-{name}", every, f"{does}, in every gate", hides, seen))
    return tuple(found)


def _sloped(k: str, text: str, latex: str) -> tuple[str, str]:
    return f"delta_{k}[t]" + text.replace("K", k), rf"\delta_{{{k}}}(t)" + latex.replace("K", k)


def forwards(writer: Writer, sigmoids: Mapping[str, str], tanhs: Mapping[str, str]) -> tuple[Mistake, ...]:
    """Each gate squashed by another function, not at all, or twice, which its backward does not know."""
    found = []
    for gates, squash, other in ((sigmoids, "sigmoid", "tanh"), (tanhs, "tanh", "sigmoid")):
        own, wrong = (r"\sigma" if name == "sigmoid" else r"\tanh" for name in (squash, other))
        for k, gate in gates.items():
            net = rf"net_{k}(t)"
            found += [
                writer.row(f"{gate}-{other}-for-{squash}", k, f"{other}(net_{k}[t])", rf"{wrong}({net})",
                           f"squashes by {other} what the backward differentiates as {squash}", NOTHING, STALE),
                writer.row(f"{gate}-not-squashed", k, f"net_{k}[t]", net, "leaves the gate's activation out", NOTHING,
                           STALE),
                writer.row(f"{gate}-squashed-twice", k, f"{squash}({squash}(net_{k}[t]))", rf"{own}({own}({net}))",
                           "squashes what is squashed already", NOTHING,
                           "002 lines 318 and 325, where it prints; " + STALE),
            ]  # fmt: skip
    return tuple(found)


_E, _I = r"\delta_{h_{explicit}}", r"\delta_{h_{implicit}}"


def state(writer: Writer) -> tuple[Mistake, ...]:
    """The two parts of the hidden state's delta, put together wrongly; and the explicit part itself."""
    row = writer.row
    sent = "multiply(delta_output, W_output.T)"
    sent_latex = r"\delta_{output}(t) W_{output}^T"
    both, both_latex = "delta_h_explicit[t] + delta_h_implicit[t]", rf"{_E}(t) + {_I}(t)"
    return (
        row("output-weights-not-transposed", "delta_h_explicit", "multiply(delta_output, W_output)",
            r"\delta_{output}(t) W_{output}", "sends the delta back through W_output, not its transpose",
            "equal sizes, and symmetric weights", "002 line 162, 000 line 709; " + TRANSPOSE, True),
        row("error-for-output-delta", "delta_h_explicit", "multiply(y_hat - y, W_output.T)",
            r"(\hat{y}(t) - y(t)) W_{output}^T", "sends back the error in place of delta_output", NOTHING, OPERAND),
        row("sign-of-the-explicit-delta", "delta_h_explicit", f"-{sent}", f"-{sent_latex}",
            "sends back the negative of the step's own delta", NOTHING, SIGN),
        row("explicit-tanh-slope", "delta_h_explicit", f"{sent} * (1 - h ** 2)",
            rf"({sent_latex}) \odot (1 - h(t)^{{\odot 2}})", "applies tanh′ to the hidden state, a path without it",
            SMALL, SLOPE),
        row("explicit-sigmoid-slope", "delta_h_explicit", f"{sent} * h * (1 - h)",
            rf"({sent_latex}) \odot h(t) \odot (1 - h(t))", "applies σ′ to the hidden state, a path without it",
            NOTHING, SLOPE),
        row("explicit-deltas-of-the-last-step", "delta_h_explicit",
            f"np.concatenate([np.zeros_like(h[:-1]), {sent}[-1:]])", rf"[t = T-1]\, {sent_latex}",
            "sends the last step's loss alone to the state, and every step's to the output weights",
            "a loss at the last step only", LAST_LOSS),
        row("carry-never-added", "delta_h", "delta_h_explicit[t]", rf"{_E}(t)",
            "computes what later losses send back to h and never adds it", f"{SHORT}, {SMALL}", CARRY),
        row("carry-overwrites", "delta_h", "delta_h_implicit[t] if t + 1 < T else delta_h_explicit[t]", rf"{_I}(t)",
            "assigns the carry where it should be added: the step's own loss is lost", "a loss at the last step only",
            OVERWRITTEN),
        row("carry-subtracted", "delta_h", "delta_h_explicit[t] - delta_h_implicit[t]", rf"{_E}(t) - {_I}(t)",
            "subtracts the carry", f"{SHORT}, {SMALL}", SIGN),
        row("carry-counted-twice", "delta_h", "delta_h_explicit[t] + 2 * delta_h_implicit[t]", rf"{_E}(t) + 2 {_I}(t)",
            "counts the way through time twice", f"{SHORT}, {SMALL}", TWICE),
        row("explicit-counted-twice", "delta_h", "2 * delta_h_explicit[t] + delta_h_implicit[t]",
            rf"2 {_E}(t) + {_I}(t)", "counts the step's own loss twice", COSINE, TWICE),
        row("last-explicit-delta-at-every-step", "delta_h", "delta_h_explicit[-1] + delta_h_implicit[t]",
            rf"{_E}(T-1) + {_I}(t)", "injects the last step's explicit delta at every step", SHORT, LAST_LOSS),
        row("explicit-delta-late-by-one", "delta_h", "delta_h_explicit[t - 1] + delta_h_implicit[t]",
            rf"{_E}((t-1) \bmod T) + {_I}(t)", "adds the previous step's explicit delta, wrapping round at 0", SHORT,
            INDEX),
        row("explicit-deltas-reversed", "delta_h", "delta_h_explicit[T - 1 - t] + delta_h_implicit[t]",
            rf"{_E}(T-1-t) + {_I}(t)", "adds the explicit deltas in reversed order", SHORT, INDEX),
        row("delta-of-step-0-missing", "delta_h", f"({both}) * (t > 0)", rf"[t > 0]\, ({both_latex})",
            "ends the loop before step 0", NOTHING, INDEX),
        row("delta-of-the-last-step-missing", "delta_h", f"({both}) * (t + 1 < T)", rf"[t < T-1]\, ({both_latex})",
            "starts the loop one step early", NOTHING, INDEX),
        row("delta-averaged-with-carry", "delta_h", f"({both}) / 2", rf"\frac{{1}}{{2}} ({both_latex})",
            "averages the two parts where they add up", COSINE, MEAN),
    )  # fmt: skip


class Sum(NamedTuple):
    """A gradient that sums over time: its label, and the two factors of its terms, in NumPy and in LaTeX.

    back: "-1" where the first factor is that of the step before.
    """

    label: str
    left: str
    right: str
    a: str
    delta: str
    back: str = ""

    def wrong(self, left: str, right: str, latex: str) -> dict[str, tuple[str, str]]:
        return {self.label: (_product(left, right), latex)}

    def cut(self, part: str) -> str:
        """Some steps of the first factor; that of a bias, ones, has no time of its own."""
        return f"{self.left}{part}" if self.a else f"ones[:rows({self.right}{part}).shape[0]]"

    def term(self, t: str, u: str = "") -> str:
        """The term of step t, its first factor of step u."""
        at = f"{u or t}{self.back}".replace("0-1", "-1").replace("T-1-1", "T-2")
        delta = rf"{self.delta}({t})"
        return rf"{self.a}({at})^T {delta}" if self.a else delta


def _product(left: str, right: str) -> str:
    return f"{left} @ rows({right})" if left.startswith("ones") else f"rows({left}).T @ rows({right})"


# What goes wrong in every sum over time: name, its first and its second factor, LaTeX's sum and term, and the rest.
def _flaws(one: Sum) -> tuple[tuple[str, str, str, str, str, str, str], ...]:
    left, right = one.left, one.right
    first = ZERO_STATE if one.back else NOTHING
    flaws = [
        ("first-step-missing", one.cut("[1:]"), f"{right}[1:]", r"\sum_{t=1}^{T-1} " + one.term("t"),
         "leaves the term of step 0 out", first, INDEX),
        ("last-step-missing", one.cut("[:-1]"), f"{right}[:-1]", r"\sum_{t=0}^{T-2} " + one.term("t"),
         "leaves the term of the last step out", NOTHING, INDEX),
        ("only-first-step", one.cut("[:1]"), f"{right}[:1]", one.term("0"),
         "assigns with = where += belongs, going backward: only step 0 is left", SHORT, OVERWRITTEN),
        ("only-last-step", one.cut("[-1:]"), f"{right}[-1:]", one.term("T-1"),
         "assigns with = where += belongs, going forward: only the last step is left", SHORT, OVERWRITTEN),
    ]  # fmt: skip
    if one.a:
        flaws += [
            ("in-reversed-order", f"{left}[::-1]", right, r"\sum_t " + one.term("t", "T-1-t"),
             "pairs one factor with the other in reversed order", SHORT + ", palindromes", INDEX),
            ("last-factor-at-every-step", f"np.repeat({left}[-1:], T, axis=0)", right,
             r"\sum_t " + one.term("t", "T-1"), "uses the last step's value at every step", SHORT, STALE),
        ]  # fmt: skip
    return tuple(flaws)


def sums(writer: Writer, what: str, group: Sequence[Sum]) -> tuple[Mistake, ...]:
    """What goes wrong in sums over time, in all of a group alike."""
    found = []
    for flaws in zip(*(_flaws(one) for one in group), strict=True):
        wrong: dict[str, tuple[str, str]] = {}
        for one, flaw in zip(group, flaws, strict=True):
            wrong |= one.wrong(*flaw[1:4])
        found.append(writer.rows(f"{what}-{flaws[0][0]}", wrong, *flaws[0][4:]))
    return tuple(found)


# Pure factors: in the name, in NumPy, in LaTeX, what that is, what hides it, where seen.
FACTORS = (
    ("mean-over-steps", " / len(x)", r"\frac{1}{T} ", "divides by the number of steps: a mean where the loss is a sum",
     SHORT, MEAN),
    ("mean-over-batch", " / x.shape[1]", r"\frac{1}{B} ", "divides by the batch: a mean where the loss is a sum",
     "B = 1", MEAN),
    ("mean-over-steps-and-batch", " / (len(x) * x.shape[1])", r"\frac{1}{T B} ", "divides by steps and batch",
     "T = B = 1", MEAN),
    ("halved", " / 2", r"\frac{1}{2} ", "has a factor ½ too many", COSINE, HALVED),
    ("doubled", " * 2", r"2 ", "has a factor 2 too many: ½ forgotten in the loss, or one path counted twice", COSINE,
     TWICE),
    ("negated", " * -1", r"-", "has the opposite sign", "an update that adds the gradient", SIGN),
)  # fmt: skip


def factors(writer: Writer, what: str, right: Mapping[str, str]) -> tuple[Mistake, ...]:
    """A pure factor in all of a group alike.

    Args:
        right: the right-hand sides as they should be, in NumPy, by label.
    """
    return tuple(
        writer.rows(
            f"{what}-{name}",
            {label: (f"({text}){times}", rf"{latex}\left( {writer.equations[label][1]} \right)")
             for label, text in right.items()},
            does, hides, seen,
        )
        for name, times, latex, does, hides, seen in FACTORS
    )  # fmt: skip
