r"""Mistakes in the Elman network's gradients, and pure factors.

A right-hand side is written in the names of `gradlab.manual.rnn`; its LaTeX in the language of derivations, in which
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
)
from gradlab.mistakes.rows.rnn_equations import EQUATIONS, WRITER

_row = WRITER.row

_ERROR, _OUT = r"(\hat{y}(t) - y(t))", r"\hat{y}(t) \odot (1 - \hat{y}(t))"


def _product(name: str, label: str, left: str, right: str, latex: str, does: str, hides: str, seen: str,
             square: bool = False) -> Mistake:  # fmt: skip
    return _row(name, label, f"rows({left}).T @ rows({right})", latex, does, hides, seen, square)


# A gradient that sums over time: its weight, and the two factors of its terms, in NumPy and in LaTeX.
_SUMS = (
    ("output", "a_hidden", "delta_output", r"a_{hidden}", r"\delta_{output}", 0),
    ("hidden", "a_previous", "delta_hidden", r"a_{hidden}", r"\delta_{hidden}", -1),
    ("input", "x", "delta_hidden", r"x", r"\delta_{hidden}", 0),
)


def _sums() -> tuple[Mistake, ...]:
    """What goes wrong in every sum over time: terms left out, one term kept, the order reversed, one factor stale."""
    rows = []
    for weight, left, right, a, delta, shift in _SUMS:
        label, back = f"grad_W_{weight}", "-1" if shift else ""

        def term(t: str, u: str | None = None, a: str = a, delta: str = delta, back: str = back) -> str:
            return rf"{a}({u or t}{back})^T {delta}({t})".replace("(0-1)", "(-1)").replace("T-1-1", "T-2")

        parts = (
            ("first-step-missing", f"{left}[1:]", f"{right}[1:]", r"\sum_{t=1}^{T-1} " + term("t"),
             "leaves the term of step 0 out", ZERO_STATE if shift else NOTHING, INDEX),
            ("last-step-missing", f"{left}[:-1]", f"{right}[:-1]", r"\sum_{t=0}^{T-2} " + term("t"),
             "leaves the term of the last step out", NOTHING, INDEX),
            ("only-first-step", f"{left}[:1]", f"{right}[:1]", term("0"),
             "assigns with = where += belongs, going backward: only step 0 is left", SHORT, OVERWRITTEN),
            ("only-last-step", f"{left}[-1:]", f"{right}[-1:]", term("T-1"),
             "assigns with = where += belongs, going forward: only the last step is left", SHORT, OVERWRITTEN),
            ("in-reversed-order", f"{left}[::-1]", right, r"\sum_t " + term("t", "T-1-t"),
             "pairs one factor with the other in reversed order", SHORT + ", palindromes", INDEX),
            ("last-factor-at-every-step", f"np.repeat({left}[-1:], T, axis=0)", right, r"\sum_t " + term("t", "T-1"),
             "uses the last step's value at every step", SHORT, STALE),
        )  # fmt: skip
        rows += [_product(f"{weight}-gradient-{part[0]}", label, *part[1:]) for part in parts]
    return tuple(rows)


def _others(weight: str, left: str, a: str, back: str) -> tuple[Mistake, ...]:
    """One part of delta_hidden where the whole belongs."""
    return tuple(
        _product(f"{part}-delta-in-{weight}-gradient", f"grad_W_{weight}", left, f"delta_{part}",
                 rf"\sum_t {a}(t{back})^T \delta_{{{part}}}(t)", f"takes the {part} delta where the total belongs",
                 SHORT if part == "explicit" else NOTHING, OPERAND)
        for part in ("explicit", "implicit")
    )  # fmt: skip


_WEIGHTED = r"\sum_t {}^T \delta_{{{}}}(t)"

GRADIENTS = (
    *_sums(),
    _product("previous-state-in-output-gradient", "grad_W_output", "a_previous", "delta_output",
             _WEIGHTED.format("a_{hidden}(t-1)", "output"), "takes a(t-1) for a(t)", SMALL,
             "002 line 303; " + INDEX),
    _product("net-in-output-gradient", "grad_W_output", "trace.net_hidden", "delta_output",
             _WEIGHTED.format("net_{hidden}(t)", "output"), "takes the pre-activation for the activation", NOTHING,
             OPERAND),
    _product("error-in-output-gradient", "grad_W_output", "a_hidden", "y_hat - y",
             r"\sum_t a_{hidden}(t)^T (\hat{y}(t) - y(t))", "takes the error for delta_output", NOTHING, JACOBIAN),
    _product("output-gradient-transposed", "grad_W_output", "delta_output", "a_hidden",
             r"\sum_t \delta_{output}(t)^T a_{hidden}(t)", "has its factors the wrong way round", EQUAL_SIZES,
             "000 line 330; " + TRANSPOSE, True),
    _product("present-state-in-hidden-gradient", "grad_W_hidden", "a_hidden", "delta_hidden",
             _WEIGHTED.format("a_{hidden}(t)", "hidden"), "takes a(t) for a(t-1)", SMALL, INDEX),
    _product("next-state-in-hidden-gradient", "grad_W_hidden", "a_hidden[1:]", "delta_hidden[:-1]",
             _WEIGHTED.format("a_{hidden}(t+1)", "hidden"), "takes a(t+1) for a(t-1)", SMALL, INDEX),
    _product("wrapped-state-in-hidden-gradient", "grad_W_hidden", "np.roll(a_hidden, 1, axis=0)", "delta_hidden",
             r"\sum_t a_{hidden}((t-1) \bmod T)^T \delta_{hidden}(t)",
             "wraps round at step 0: a[-1] is the last state, not the initial one", SMALL, "002 line 307; " + INDEX),
    _product("net-in-hidden-gradient", "grad_W_hidden",
             "np.concatenate([state.a_initial[None], trace.net_hidden[:-1]])", "delta_hidden",
             _WEIGHTED.format("net_{hidden}(t-1)", "hidden"), "takes the pre-activation for the activation", SHORT,
             OPERAND),
    *_others("hidden", "a_previous", "a_{hidden}", "-1"),
    _product("hidden-gradient-transposed", "grad_W_hidden", "delta_hidden", "a_previous",
             r"\sum_t \delta_{hidden}(t)^T a_{hidden}(t-1)", "has its factors the wrong way round",
             "W_hidden is square, so it always conforms", "000 line 458; " + TRANSPOSE),
    _product("input-in-hidden-gradient", "grad_W_hidden", "x", "delta_hidden", _WEIGHTED.format("x(t)", "hidden"),
             "takes the layer's input for the previous state", EQUAL_SIZES, "002 line 368; " + OPERAND, True),
    _product("previous-input-in-input-gradient", "grad_W_input", "np.roll(x, 1, axis=0)", "delta_hidden",
             r"\sum_t x((t-1) \bmod T)^T \delta_{hidden}(t)", "takes x(t-1) for x(t), wrapping round at step 0",
             SHORT + ", constant inputs", INDEX),
    _product("next-input-in-input-gradient", "grad_W_input", "x[1:]", "delta_hidden[:-1]",
             _WEIGHTED.format("x(t+1)", "hidden"), "takes x(t+1) for x(t)", "constant inputs", INDEX),
    *_others("input", "x", "x", ""),
    _product("input-gradient-transposed", "grad_W_input", "delta_hidden", "x", r"\sum_t \delta_{hidden}(t)^T x(t)",
             "has its factors the wrong way round", EQUAL_SIZES, "000 line 494; " + TRANSPOSE, True),
    _row("input-weights-not-transposed", "grad_x", "multiply(delta_hidden, W_input)", r"\delta_{hidden}(t) W_{input}",
         "sends the delta back through W_input, not its transpose", EQUAL_SIZES, TRANSPOSE, True),
    _row("x-gradient-explicit-only", "grad_x", "multiply(delta_explicit, W_input.T)",
         r"\delta_{explicit}(t) W_{input}^T",
         "takes the explicit delta where the total belongs", SHORT, OPERAND),
    _row("x-gradient-reversed", "grad_x", "multiply(delta_hidden, W_input.T)[::-1]",
         r"\delta_{hidden}(T-1-t) W_{input}^T",
         "is returned in the order in which it was computed", SHORT + "; no weight's gradient shows it", INDEX),
    _row("x-gradient-zero", "grad_x", "np.zeros_like(x)", r"0", "never fills the gradient of the inputs",
         "no weight's gradient shows it", OVERWRITTEN),
    _row("initial-gradient-zero", "grad_a_initial", "np.zeros_like(state.a_initial)", r"0",
         "never fills the gradient of the initial state", "no weight's gradient shows it", CARRY),
    _row("initial-gradient-not-transposed", "grad_a_initial", "multiply(delta_hidden[0], W_hidden)",
         r"\delta_{hidden}(0) W_{hidden}", "sends the delta back through W_hidden, not its transpose",
         "no weight's gradient shows it", TRANSPOSE),
    _row("initial-gradient-explicit-only", "grad_a_initial", "multiply(delta_explicit[0], W_hidden.T)",
         r"\delta_{explicit}(0) W_{hidden}^T", "takes the explicit delta where the total belongs", SHORT, OPERAND),
    _row("initial-gradient-of-the-last-step", "grad_a_initial", "multiply(delta_hidden[-1], W_hidden.T)",
         r"\delta_{hidden}(T-1) W_{hidden}^T", "takes the last step's delta for the first's", SHORT, INDEX),
    _row("initial-gradient-lacks-the-weights", "grad_a_initial", "delta_hidden[0]", r"\delta_{hidden}(0)",
         "gives the delta of step 0, and not what it sends back", "no weight's gradient shows it", OPERAND),
    _row("initial-gradient-with-slope", "grad_a_initial",
         "multiply(delta_hidden[0], W_hidden.T) * state.a_initial * (1 - state.a_initial)",
         r"(\delta_{hidden}(0) W_{hidden}^T) \odot a_{hidden}(-1) \odot (1 - a_{hidden}(-1))",
         "applies σ′ on a linear path", "no weight's gradient shows it", SLOPE),
)  # fmt: skip

# Pure factors: in the name, in NumPy, in LaTeX, what that is, what hides it.
_FACTORS = (
    ("mean-over-steps", " / T", r"\frac{1}{T} ", "divides by the number of steps: a mean where the loss is a sum",
     SHORT, MEAN),
    ("mean-over-batch", " / x.shape[1]", r"\frac{1}{B} ", "divides by the batch: a mean where the loss is a sum",
     "B = 1", MEAN),
    ("mean-over-steps-and-batch", " / (T * x.shape[1])", r"\frac{1}{T B} ", "divides by steps and batch", "T = B = 1",
     MEAN),
    ("halved", " / 2", r"\frac{1}{2} ", "has a factor ½ too many", COSINE, HALVED),
    ("doubled", " * 2", r"2 ", "has a factor 2 too many: ½ forgotten in the loss, or one path counted twice", COSINE,
     TWICE),
    ("negated", " * -1", r"-", "has the opposite sign", "an update that adds the gradient", SIGN),
)  # fmt: skip

_FACTORED = {
    "delta_output": ("output-delta", "(y_hat - y) * y_hat * (1 - y_hat)"),
    "grad_W_output": ("output-gradient", "rows(a_hidden).T @ rows(delta_output)"),
    "grad_W_hidden": ("hidden-gradient", "rows(a_previous).T @ rows(delta_hidden)"),
    "grad_W_input": ("input-gradient", "rows(x).T @ rows(delta_hidden)"),
    "grad_x": ("x-gradient", "multiply(delta_hidden, W_input.T)"),
    "grad_a_initial": ("initial-gradient", "multiply(delta_hidden[0], W_hidden.T)"),
}

FACTORS = (
  *(
    _row(f"{what}-{name}", label, f"({right}){factor}", latex + rf"\left( {EQUATIONS[label][1]} \right)", does,
         hides, seen)
    for label, (what, right) in _FACTORED.items()
    for name, factor, latex, does, hides, seen in _FACTORS
    if (what, name) != ("output-delta", "negated")  # that is sign-of-the-error
),
    _row("output-delta-mean-over-outputs", "delta_output", "((y_hat - y) * y_hat * (1 - y_hat)) / y.shape[-1]",
         r"\frac{1}{O} " + _ERROR + r" \odot " + _OUT, "divides by the number of outputs", "O = 1", MEAN),
    _row("output-delta-mean-over-everything", "delta_output", "((y_hat - y) * y_hat * (1 - y_hat)) / y.size",
         r"\frac{1}{T B O} " + _ERROR + r" \odot " + _OUT, "divides by every entry: np.mean where the loss is a sum",
         "T = B = O = 1", MEAN),
)  # fmt: skip
