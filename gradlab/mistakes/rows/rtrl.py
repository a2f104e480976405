r"""Mistakes in real-time recurrent learning, equation by equation.

A right-hand side is written in the names of `gradlab.manual.rtrl`; its LaTeX in the language of derivations. A row
differentiated by a matrix has three indices: where its derivation cannot say what a mistake does to them, the LaTeX
here names them, [i, j, k] for the derivative of unit k by W[i, j].
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
from gradlab.mistakes.rows.gated import factors
from gradlab.mistakes.rows.rtrl_equations import WEIGHTS, WRITER, by

_row, _rows = WRITER.row, WRITER.rows
Changes = dict[str, tuple[str, str]]

_KRONECKER = "survey: sign; RTRL's Kronecker delta missing (1; 1)"
_SEND, _SENT = "multiply(delta_output, W_output.T)", r"(\delta_{output}(t) W_{output}^T)"
_PREVIOUS = {"W_input": "x", "W_hidden": "a_previous"}
_LATEX = {"W_input": "x_i(t)", "W_hidden": "a_{hidden,i}(t-1)"}


def _each_and_both(name: str, wrong: dict[str, Changes], does: str, hides: str, seen: str) -> tuple[Mistake, ...]:
    """The mistake in what concerns each weight, and in what concerns both."""
    both: Changes = {label: sides for one in wrong.values() for label, sides in one.items()}
    return (
        *(
            _rows(f"{name}-{weight.partition('_')[2]}", one, does, hides, seen)
            for weight, one in wrong.items()
        ),
        _rows(f"{name}-everywhere", both, f"{does}, for both weights", hides, seen),
    )  # fmt: skip


# Slopes that are wrong: name; for all steps at once; in LaTeX; what that is; what hides it; where seen.
_SLOPES = (
    ("slope-dropped", "{0}", "", "leaves σ′ out", NOTHING, SLOPE),
    ("slope-twice", "{0} * slope{1} ** 2", r"(a_{hidden}(t) \odot (1 - a_{hidden}(t)))^{\odot 2}", "applies σ′ twice",
     NOTHING, SLOPE),
    ("slope-at-net", "{0} * trace.net_hidden{1} * (1 - trace.net_hidden{1})",
     r"net_{hidden}(t) \odot (1 - net_{hidden}(t))",
     "applies z (1 - z), right for an activation, to the pre-activation", NOTHING, "002 lines 50 and 164; " + SLOPE),
    ("tanh-slope", "{0} * (1 - a_hidden{1} ** 2)", r"(1 - a_{hidden}(t)^{\odot 2})",
     "takes tanh's derivative for the sigmoid's", NOTHING, SLOPE),
    ("slope-lacks-a-factor", "{0} * (1 - a_hidden{1})", r"(1 - a_{hidden}(t))", "takes 1 - a for a (1 - a)", NOTHING,
     SLOPE),
    ("slope-halved", "{0} * slope{1} / 2", r"\frac{1}{2} a_{hidden}(t) \odot (1 - a_{hidden}(t))",
     "has a factor ½ too many in σ′", COSINE, HALVED),
    ("slope-doubled", "{0} * slope{1} * 2", r"2 a_{hidden}(t) \odot (1 - a_{hidden}(t))",
     "has a factor 2 too many in σ′", COSINE, HALVED),
    ("slope-of-previous-state", "{0} * a_previous{1} * (1 - a_previous{1})",
     r"a_{hidden}(t-1) \odot (1 - a_{hidden}(t-1))", "takes σ′ at the previous state", SMALL, INDEX + "; " + SLOPE),
    ("slope-of-last-step", "{0} * slope{2}", r"a_{hidden}(T-1) \odot (1 - a_{hidden}(T-1))",
     "takes every step's σ′ at the last step's activation", SHORT + ", " + SMALL, STALE),
)  # fmt: skip


def _slopes() -> tuple[Mistake, ...]:
    found: list[Mistake] = []
    for name, template, latex, does, hides, seen in _SLOPES:
        sent = rf"{_SENT} \odot {latex}" if latex else _SENT
        explicit = {"delta_explicit": (template.format(_SEND, "", "[-1]"), sent)}
        where = f"{does} where the loss of a step comes in"
        found.append(_rows(f"explicit-{name}", explicit, where, hides, seen))
        wrong = {}
        for weight, written in WEIGHTS.items():
            text = template.format(f"net_by_{weight}[t]", "[t, :, None, None]", "[-1, :, None, None]")
            now = by("net_{hidden}(t)", written)
            sloped = rf"\operatorname{{diag}}({latex}) \times {now}" if latex else now
            wrong[weight] = {f"a_by_{weight}": (text, sloped)}
        where = f"{does} where a sensitivity of the state is carried on"
        found += _each_and_both(f"carried-{name}", wrong, where, f"{hides}, {SHORT}", seen)
    return tuple(found)


EXPLICIT = (
    _row("output-weights-not-transposed", "delta_explicit", "multiply(delta_output, W_output) * slope",
         r"(\delta_{output}(t) W_{output}) \odot a_{hidden}(t) \odot (1 - a_{hidden}(t))",
         "sends the delta back through W_output, not its transpose", EQUAL_SIZES,
         "000 lines 709 and 729; " + TRANSPOSE, True),
    _row("error-for-output-delta", "delta_explicit", "multiply(y_hat - y, W_output.T) * slope",
         r"((\hat{y}(t) - y(t)) W_{output}^T) \odot a_{hidden}(t) \odot (1 - a_{hidden}(t))",
         "sends back the error in place of delta_output", NOTHING, OPERAND + "; " + JACOBIAN),
    _row("sign-of-the-explicit-delta", "delta_explicit", f"-{_SEND} * slope",
         rf"-{_SENT} \odot a_{{hidden}}(t) \odot (1 - a_{{hidden}}(t))",
         "sends back the negative of the step's own delta", NOTHING, SIGN),
)  # fmt: skip


def _immediate() -> tuple[Mistake, ...]:
    """What goes wrong in a weight's use at one step."""
    table = (
        ("kronecker-delta-missing", 'np.einsum("tbi,jk->tbijk", {0}, np.ones_like(unit))', "{1}",
         "leaves the Kronecker delta out: the weight from i to j seems to feed every unit", "H = 1", _KRONECKER),
        ("immediate-term-missing", "np.zeros_like(np.einsum('tbi,jk->tbijk', {0}, unit))", "0",
         "leaves out what the weight does at the step itself", NOTHING, CARRY),
        ("immediate-term-with-slope", 'np.einsum("tbi,jk->tbijk", {0}, unit) * slope[..., None, None, :]',
         r"{1}\, \delta_{{jk}}\, a_{{hidden,k}}(t) (1 - a_{{hidden,k}}(t))",
         "applies σ′ to the immediate term, which is of the pre-activation", NOTHING, SLOPE),
        ("immediate-term-doubled", 'np.einsum("tbi,jk->tbijk", {0}, unit) * 2', r"2\, {1}\, \delta_{{jk}}",
         "counts the weight's use at the step twice", COSINE, TWICE),
        ("immediate-term-negated", '-np.einsum("tbi,jk->tbijk", {0}, unit)', r"-{1}\, \delta_{{jk}}",
         "has the opposite sign in the immediate term", NOTHING, SIGN),
    )  # fmt: skip
    found: list[Mistake] = []
    for name, text, latex, does, hides, seen in table:
        wrong = {
            weight: {f"immediate_{weight}": (text.format(_PREVIOUS[weight]), latex.format("", _LATEX[weight]))}
            for weight in WEIGHTS
        }
        found += _each_and_both(name, wrong, does, hides, seen)
    return tuple(found)


def _use(name: str, weight: str, operand: str, latex: str, does: str, hides: str, seen: str) -> Mistake:
    text = f'np.einsum("tbi,jk->tbijk", {operand}, unit)'
    return _row(name, f"immediate_{weight}", text, rf"{latex}\, \delta_{{jk}}", does, hides, seen)


IMMEDIATE = (
    *_immediate(),
    _row("immediate-indices-exchanged-input", "immediate_W_input", 'np.einsum("tbj,ik->tbijk", x, unit)',
         r"x_j(t)\, \delta_{ik}", "exchanges the two indices of the weight", EQUAL_SIZES, TRANSPOSE, True),
    _row("immediate-indices-exchanged-hidden", "immediate_W_hidden", 'np.einsum("tbj,ik->tbijk", a_previous, unit)',
         r"a_{hidden,j}(t-1)\, \delta_{ik}", "exchanges the two indices of the weight",
         "W_hidden is square, so it always conforms", TRANSPOSE),
    _use("present-state-in-the-immediate-term", "W_hidden", "a_hidden", "a_{hidden,i}(t)", "takes a(t) for a(t-1)",
         SMALL, INDEX),
    _use("wrapped-state-in-the-immediate-term", "W_hidden", "np.roll(a_hidden, 1, axis=0)",
         r"a_{hidden,i}((t-1) \bmod T)", "wraps round at step 0: a[-1] is the last state, not the initial one", SMALL,
         "002 line 307; " + INDEX),
    _use("zero-initial-state-in-the-immediate-term", "W_hidden", "a_previous * (np.arange(T) > 0)[:, None, None]",
         r"[t > 0]\, a_{hidden,i}(t-1)", "takes the state before step 0 for zero", ZERO_STATE, INDEX),
    _use("net-in-the-immediate-term", "W_hidden", "np.concatenate([state.a_initial[None], trace.net_hidden[:-1]])",
         "net_{hidden,i}(t-1)", "takes the pre-activation for the activation", SHORT, OPERAND),
    _use("previous-input-in-the-immediate-term", "W_input", "np.roll(x, 1, axis=0)", r"x_i((t-1) \bmod T)",
         "takes x(t-1) for x(t), wrapping round at step 0", SHORT + ", constant inputs", INDEX),
)  # fmt: skip


def _recursion() -> tuple[Mistake, ...]:
    """What goes wrong where a sensitivity is carried from step to step."""
    own, carry = "immediate_{0}[t]", "multiply(a_by_{0}[t - 1], W_hidden)"
    left = r"\frac{{\partial^+ net_{{hidden}}(t)}}{{\partial {1}}}"
    right = r"\frac{{\partial a_{{hidden}}(t-1)}}{{\partial {1}}}"
    table = (
        ("recursion-dropped", own, left, "leaves out what earlier uses of the weight did", SHORT,
         "000 lines 713 and 721; " + CARRY),
        ("recursion-elementwise", own + " + a_by_{0}[t - 1] * W_hidden", left + r" + " + right + r" \odot W_{{hidden}}",
         "multiplies elementwise where a matrix product belongs: what each unit does to itself alone is carried",
         "H = 1, a diagonal W_hidden", "000 (the second network) line 605; " + CARRY),
        ("recursion-transposed", own + " + multiply(a_by_{0}[t - 1], W_hidden.T)",
         left + r" + " + right + r" \times W_{{hidden}}^T", "goes forward through the transpose of W_hidden",
         "W_hidden is square, so it always conforms; symmetric weights, " + SMALL, TRANSPOSE),
        ("recursion-over-the-wrong-axis", own + ' + np.einsum("bijk,jl->bilk", a_by_{0}[t - 1], W_hidden)',
         left + r" + (" + right + r")_{{[i, j, k]}} W_{{hidden[j, l]}}",
         "multiplies over the index of the weight, not over that of the unit: a transposition is missing", "H = 1",
         "000 line 713; " + TRANSPOSE),
        ("recursion-stops-one-step-early", own + " + " + carry + " * (t + 1 < T)",
         left + r" + [t < T-1]\, " + right + r" \times W_{{hidden}}", "ends the recursion before the last step",
         SHORT, "000 (the second network) line 605; " + INDEX),
        ("recursion-starts-one-step-late", own + " + " + carry + " * (t > 1)",
         left + r" + [t > 1]\, " + right + r" \times W_{{hidden}}", "begins the recursion at step 2", SHORT, INDEX),
        ("recursion-from-two-steps-back", own + " + multiply(a_by_{0}[t - 2], W_hidden) * (t > 1)",
         left + r" + " + right.replace("t-1", "t-2") + r" \times W_{{hidden}}",
         "carries the sensitivity of t-2 for that of t-1", SHORT, INDEX),
        ("recursion-of-the-pre-activation", own + " + multiply(net_by_{0}[t - 1], W_hidden) * (t > 0)",
         left + r" + \frac{{\partial net_{{hidden}}(t-1)}}{{\partial {1}}} \times W_{{hidden}}",
         "carries the sensitivity of the pre-activation for that of the state: σ′ is left out", SHORT, SLOPE),
        ("recursion-of-the-immediate-term",
         own + " + multiply(immediate_{0}[t - 1] * slope[t - 1, :, None, None], W_hidden) * (t > 0)",
         left + r" + \operatorname{{diag}}(a_{{hidden}}(t-1) \odot (1 - a_{{hidden}}(t-1))) \times "
         + left.replace("(t)", "(t-1)") + r" \times W_{{hidden}}",
         "carries what the step before did alone: earlier uses never arrive", "T ≤ 2",
         "survey: explicit delta in the recursion; 000 line 721"),
        ("immediate-term-overwritten", carry + " if t else immediate_{0}[t]", right + r" \times W_{{hidden}}",
         "assigns the carried term where it should be added", SHORT, OVERWRITTEN),
        ("recursion-subtracted", own + " - " + carry, left + r" - " + right + r" \times W_{{hidden}}",
         "subtracts the carried term", f"{SHORT}, {SMALL}", SIGN),
        ("recursion-counted-twice", own + " + 2 * " + carry, left + r" + 2 " + right + r" \times W_{{hidden}}",
         "counts the way through time twice", f"{SHORT}, {SMALL}", TWICE),
        ("recursion-without-weights", own + " + a_by_{0}[t - 1]", left + r" + " + right, "forgets W_hidden on the way",
         SHORT, OPERAND),
    )  # fmt: skip
    found: list[Mistake] = []
    for name, text, latex, does, hides, seen in table:
        wrong = {
            weight: {f"net_by_{weight}": (text.format(weight), latex.format(weight, written))}
            for weight, written in WEIGHTS.items()
        }
        found += _each_and_both(name, wrong, does, hides, seen)
    return tuple(found)


def _contraction() -> tuple[Mistake, ...]:
    """What goes wrong where a step's delta meets the sensitivities; slopes over the wrong axis."""
    now = r"\frac{{\partial net_{{hidden}}(t)}}{{\partial {1}}}"
    meet = 'np.einsum("tbijk,tbk->tij", net_by_{0}, delta_explicit)'
    table = (
        ("slope-over-the-wrong-axis", "a_by", "net_by_{0}[t] * slope[t, :, None, :, None]",
         rf"({now})_{{{{[i, j, k]}}}} a_{{{{hidden,j}}}}(t) (1 - a_{{{{hidden,j}}}}(t))",
         "multiplies σ′ along the index of the weight, not along that of the unit", "H = 1, " + SHORT,
         "survey: activation derivative over the wrong axis (14)"),
        ("sensitivity-of-the-state", "step_grad", 'np.einsum("tbijk,tbk->tij", a_by_{0}[:T], delta_explicit)',
         r"\delta_{{explicit}}(t) \times \frac{{\partial a_{{hidden}}(t)}}{{\partial {1}}}",
         "meets the sensitivity of the state with the delta of the pre-activation: σ′ is in both", NOTHING, SLOPE),
        ("delta-without-slope", "step_grad", f'np.einsum("tbijk,tbk->tij", net_by_{{0}}, {_SEND})',
         rf"(\delta_{{{{output}}}}(t) W_{{{{output}}}}^T) \times {now}",
         "meets the sensitivity with the delta of the state", NOTHING, SLOPE),
        ("contraction-over-the-wrong-axis", "step_grad", 'np.einsum("tbijk,tbj->tik", net_by_{0}, delta_explicit)',
         rf"\sum_j \delta_{{{{explicit,j}}}}(t) ({now})_{{{{[i, j, k]}}}}",
         "sums over the index of the weight, not over that of the unit", "H = 1", TRANSPOSE),
        ("immediate-term-alone", "step_grad", 'np.einsum("tbijk,tbk->tij", immediate_{0}, delta_explicit)',
         r"\delta_{{explicit}}(t) \times \frac{{\partial^+ net_{{hidden}}(t)}}{{\partial {1}}}",
         "takes the immediate term for the sensitivity, which is computed and never used", SHORT, CARRY),
        ("sensitivity-late-by-one", "step_grad",
         'np.einsum("tbijk,tbk->tij", np.roll(net_by_{0}, 1, axis=0), delta_explicit)',
         rf"\delta_{{{{explicit}}}}(t) \times {now}".replace("(t)}", r"((t-1) \bmod T)}"),
         "meets the delta with the sensitivity of the step before, wrapping round at 0", SHORT, INDEX),
        ("last-delta-at-every-step", "step_grad",
         meet.replace("delta_explicit", "np.repeat(delta_explicit[-1:], T, axis=0)"),
         rf"\delta_{{{{explicit}}}}(T-1) \times {now}", "meets every sensitivity with the last step's delta", SHORT,
         "survey: last step's loss injected at every step (3)"),
        ("step-gradient-negated", "step_grad", f"-{meet}", rf"-\delta_{{{{explicit}}}}(t) \times {now}",
         "has the opposite sign", "an update that adds the gradient", SIGN),
        ("step-gradient-mean-over-batch", "step_grad", f"{meet} / x.shape[1]",
         rf"\frac{{{{1}}}}{{{{B}}}} \delta_{{{{explicit}}}}(t) \times {now}",
         "divides by the batch: a mean where the loss is a sum", "B = 1", MEAN),
        ("step-gradient-accumulated", "step_grad", f"np.cumsum({meet}, axis=0)",
         rf"\sum_{{{{k \le t}}}} \delta_{{{{explicit}}}}(k) \times {now}".replace("(t)}", "(k)}"),
         "gives the gradient of all losses so far for that of the step's own", SHORT, INDEX + "; " + TWICE),
    )  # fmt: skip
    found: list[Mistake] = []
    for name, kind, text, latex, does, hides, seen in table:
        wrong = {
            weight: {f"{kind}_{weight}": (text.format(weight), latex.format(weight, written))}
            for weight, written in WEIGHTS.items()
        }
        found += _each_and_both(name, wrong, does, hides, seen)
    return tuple(found)


def _step_output(name: str, left: str, right: str, latex: str, does: str, hides: str, seen: str,
                 square: bool = False) -> Mistake:  # fmt: skip
    text = f'np.einsum("tbh,tbo->tho", {left}, {right})'
    return _row(name, "step_grad_W_output", text, latex, does, hides, seen, square)


OUTPUT = (
    _step_output("previous-state-in-output-gradient", "a_previous", "delta_output",
                 r"a_{hidden}(t-1)^T \delta_{output}(t)",
                 "takes a(t-1) for a(t)", SMALL, INDEX),
    _step_output("net-in-output-gradient", "trace.net_hidden", "delta_output", r"net_{hidden}(t)^T \delta_{output}(t)",
                 "takes the pre-activation for the activation", NOTHING, OPERAND),
    _step_output("error-in-output-gradient", "a_hidden", "y_hat - y", r"a_{hidden}(t)^T (\hat{y}(t) - y(t))",
                 "takes the error for delta_output", NOTHING, JACOBIAN),
    _step_output("output-gradient-transposed", "delta_output", "a_hidden", r"\delta_{output}(t)^T a_{hidden}(t)",
                 "has its factors the wrong way round", EQUAL_SIZES, "000 line 330; " + TRANSPOSE, True),
    _step_output("output-gradient-negated", "-a_hidden", "delta_output", r"-a_{hidden}(t)^T \delta_{output}(t)",
                 "has the opposite sign", "an update that adds the gradient", SIGN),
)  # fmt: skip


def _totals() -> tuple[Mistake, ...]:
    """What goes wrong where the steps are added up, for each weight and for all."""
    table = (
        ("first-step-missing", "np.sum(step_grad_{0}[1:], axis=0)", r"\sum_{{t=1}}^{{T-1}} {1}",
         "leaves the term of step 0 out", NOTHING, INDEX),
        ("last-step-missing", "np.sum(step_grad_{0}[:-1], axis=0)", r"\sum_{{t=0}}^{{T-2}} {1}",
         "stops one step early: the last term is left out", NOTHING, "000 (the second network) line 605; " + INDEX),
        ("only-first-step", "step_grad_{0}[0]", r"{2}", "keeps the term of step 0 alone", SHORT, OVERWRITTEN),
        ("only-last-step", "step_grad_{0}[-1]", r"{3}",
         "assigns with = where += belongs: only the last step is left", SHORT, OVERWRITTEN),
        ("running-total", "np.sum(np.cumsum(step_grad_{0}, axis=0), axis=0)", r"\sum_t \sum_{{k \le t}} {4}",
         "adds up running totals: early steps count many times", SHORT, TWICE),
    )  # fmt: skip
    weights = {**WEIGHTS, "W_output": "W_{output}"}
    found: list[Mistake] = []
    for name, text, latex, does, hides, seen in table:
        wrong = {
            w: {f"grad_{w}": (text.format(w), latex.format("", *(by(f"l({t})", v) for t in ("t", "0", "T-1", "k"))))}
            for w, v in weights.items()
        }
        found += _each_and_both(name, wrong, does, hides, seen)
    for weight in weights:
        what = f"{weight.partition('_')[2]}-gradient"
        right = {f"grad_{weight}": f"np.sum(step_grad_{weight}, axis=0)"}
        found += [row for row in factors(WRITER, what, right) if row.name != "output-gradient-negated"]
    every = {f"grad_{weight}": f"np.sum(step_grad_{weight}, axis=0)" for weight in weights}
    return (*found, *factors(WRITER, "gradients", every))


ROWS = (
    *elman.forward(WRITER),
    *output_layer.forward(WRITER),
    *output_layer.backward(WRITER),
    *factors(WRITER, "output-delta", {"delta_output": "(y_hat - y) * y_hat * (1 - y_hat)"})[:-1],
    *EXPLICIT,
    *_slopes(),
    *IMMEDIATE,
    *_recursion(),
    *_contraction(),
    *OUTPUT,
    *_totals(),
)
