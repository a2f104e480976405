"""The equations of the long short-term memory as they stand in its derivation."""

from gradlab.mistakes.rows.classes import Writer

GATES = {"i": "input-gate", "f": "forget-gate", "g": "candidate", "o": "output-gate"}
CARRIED = " + ".join(rf"\delta_{{net_{k}}}(t+1) W_{{hidden_{k}}}^T" for k in GATES)


def _by(what: str) -> str:
    return rf"\frac{{\partial L}}{{\partial {what}}}"


# Left-hand side and right-hand side.
EQUATIONS = {
    **{f"net_{k}": (rf"net_{k}(t)", rf"x(t) W_{{input_{k}}} + bias_{{{k}}} + h(t-1) W_{{hidden_{k}}}") for k in GATES},
    "i": (r"i(t)", r"\sigma(net_i(t))"),
    "f": (r"f(t)", r"\sigma(net_f(t))"),
    "g": (r"g(t)", r"\tanh(net_g(t))"),
    "o": (r"o(t)", r"\sigma(net_o(t))"),
    "c_previous": (r"c_{previous}(t)", r"c(t-1)"),
    "c": (r"c(t)", r"f(t) \odot c_{previous}(t) + i(t) \odot g(t)"),
    "c_shown": (r"c_{shown}(t)", r"c(t)"),
    "h": (r"h(t)", r"o(t) \odot \tanh(c_{shown}(t))"),
    "net_output": (r"net_{output}(t)", r"h(t) W_{output}"),
    "y_hat": (r"\hat{y}(t)", r"\sigma(net_{output}(t))"),
    "loss": (r"l(t)", r"\frac{1}{2} (\hat{y}(t) - y(t)) (\hat{y}(t) - y(t))^T"),
    "delta_output": (r"\delta_{output}(t)", r"(\hat{y}(t) - y(t)) \odot \hat{y}(t) \odot (1 - \hat{y}(t))"),
    "delta_h_explicit": (r"\delta_{h_{explicit}}(t)", r"\delta_{output}(t) W_{output}^T"),
    "delta_h_implicit": (r"\delta_{h_{implicit}}(t)", CARRIED),
    "delta_h": (r"\delta_h(t)", r"\delta_{h_{explicit}}(t) + \delta_{h_{implicit}}(t)"),
    "delta_c_shown": (
        r"\delta_{c_{shown}}(t)",
        r"\delta_h(t) \odot o(t) \odot (1 - \tanh(c_{shown}(t))^{\odot 2})",
    ),
    "delta_c": (r"\delta_c(t)", r"\delta_{c_{shown}}(t) + \delta_{c_{previous}}(t+1)"),
    "delta_c_previous": (r"\delta_{c_{previous}}(t)", r"\delta_c(t) \odot f(t)"),
    "delta_i": (r"\delta_{i}(t)", r"\delta_c(t) \odot g(t)"),
    "delta_f": (r"\delta_{f}(t)", r"\delta_c(t) \odot c_{previous}(t)"),
    "delta_g": (r"\delta_{g}(t)", r"\delta_c(t) \odot i(t)"),
    "delta_o": (r"\delta_{o}(t)", r"\delta_h(t) \odot \tanh(c_{shown}(t))"),
    "delta_net_i": (r"\delta_{net_i}(t)", r"\delta_i(t) \odot i(t) \odot (1 - i(t))"),
    "delta_net_f": (r"\delta_{net_f}(t)", r"\delta_f(t) \odot f(t) \odot (1 - f(t))"),
    "delta_net_g": (r"\delta_{net_g}(t)", r"\delta_g(t) \odot (1 - g(t)^{\odot 2})"),
    "delta_net_o": (r"\delta_{net_o}(t)", r"\delta_o(t) \odot o(t) \odot (1 - o(t))"),
    "grad_W_output": (_by("W_{output}"), r"\sum_t h(t)^T \delta_{output}(t)"),
    **{f"grad_W_hidden_{k}": (_by(f"W_{{hidden_{k}}}"), rf"\sum_t h(t-1)^T \delta_{{net_{k}}}(t)") for k in GATES},
    **{f"grad_W_input_{k}": (_by(f"W_{{input_{k}}}"), rf"\sum_t x(t)^T \delta_{{net_{k}}}(t)") for k in GATES},
    **{f"grad_bias_{k}": (_by(f"bias_{{{k}}}"), rf"\sum_t \delta_{{net_{k}}}(t)") for k in GATES},
    "grad_x": (_by("x(t)"), " + ".join(rf"\delta_{{net_{k}}}(t) W_{{input_{k}}}^T" for k in GATES)),
    "grad_h_initial": (_by("h(-1)"), " + ".join(rf"\delta_{{net_{k}}}(0) W_{{hidden_{k}}}^T" for k in GATES)),
    "grad_c_initial": (_by("c(-1)"), r"\delta_c(0) \odot f(0)"),
}

WRITER = Writer("lstm", EQUATIONS)
