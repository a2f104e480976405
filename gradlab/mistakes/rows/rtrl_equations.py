"""The equations of real-time recurrent learning as they stand in its derivation."""

from gradlab.mistakes.rows.classes import Writer

WEIGHTS = {"W_input": "W_{input}", "W_hidden": "W_{hidden}"}


def by(what: str, weight: str, partial: str = r"\partial") -> str:
    """The derivative of something by a weight, in LaTeX."""
    return rf"\frac{{{partial} {what}}}{{\partial {weight}}}"


def _sensitivities(name: str, weight: str) -> dict[str, tuple[str, str]]:
    now, immediate = by("net_{hidden}(t)", weight), by("net_{hidden}(t)", weight, r"\partial^+")
    slope = r"\operatorname{diag}(a_{hidden}(t) \odot (1 - a_{hidden}(t)))"
    return {
        f"immediate_{name}": (immediate, by("net_{hidden}(t)", f"{weight}(t)")),
        f"net_by_{name}": (now, rf"{immediate} + {by('a_{hidden}(t-1)', weight)} \times W_{{hidden}}"),
        f"a_by_{name}": (by("a_{hidden}(t)", weight), rf"{slope} \times {now}"),
        f"step_grad_{name}": (by("l(t)", weight), rf"\delta_{{explicit}}(t) \times {now}"),
        f"grad_{name}": (by("L", weight), rf"\sum_t {by('l(t)', weight)}"),
    }


_BY = {name: _sensitivities(name, weight) for name, weight in WEIGHTS.items()}
_OUTPUT = by("l(t)", "W_{output}")


def _both(kind: str) -> dict[str, tuple[str, str]]:
    return {f"{kind}_{name}": _BY[name][f"{kind}_{name}"] for name in WEIGHTS}


# Left-hand side and right-hand side.
EQUATIONS = {
    "net_hidden": (r"net_{hidden}(t)", r"x(t) W_{input} + a_{hidden}(t-1) W_{hidden}"),
    "a_hidden": (r"a_{hidden}(t)", r"\sigma(net_{hidden}(t))"),
    "net_output": (r"net_{output}(t)", r"a_{hidden}(t) W_{output}"),
    "y_hat": (r"\hat{y}(t)", r"\sigma(net_{output}(t))"),
    "loss": (r"l(t)", r"\frac{1}{2} (\hat{y}(t) - y(t)) (\hat{y}(t) - y(t))^T"),
    "delta_output": (r"\delta_{output}(t)", r"(\hat{y}(t) - y(t)) \odot \hat{y}(t) \odot (1 - \hat{y}(t))"),
    "delta_explicit": (
        r"\delta_{explicit}(t)",
        r"(\delta_{output}(t) W_{output}^T) \odot a_{hidden}(t) \odot (1 - a_{hidden}(t))",
    ),
    **_both("immediate"),
    **_both("net_by"),
    **_both("a_by"),
    **_both("step_grad"),
    "step_grad_W_output": (_OUTPUT, r"a_{hidden}(t)^T \delta_{output}(t)"),
    **_both("grad"),
    "grad_W_output": (by("L", "W_{output}"), rf"\sum_t {_OUTPUT}"),
}

WRITER = Writer("rtrl", EQUATIONS)
