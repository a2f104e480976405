"""The equations of the gated recurrent unit as they stand in its derivation."""

from gradlab.mistakes.rows.classes import Writer

GATES = {"r": "reset-gate", "z": "update-gate", "n": "candidate"}
# The delta of the product with the hidden weights, for each gate.
PRODUCTS = {"r": "net_r", "z": "net_z", "n": "recurrent_n"}
CARRIED = r"\delta_h(t+1) \odot z(t+1) + " + " + ".join(
    rf"\delta_{{{product}}}(t+1) W_{{hidden_{k}}}^T" for k, product in PRODUCTS.items()
)


def _by(what: str) -> str:
    return rf"\frac{{\partial L}}{{\partial {what}}}"


# Left-hand side and right-hand side.
EQUATIONS = {
    "net_r": (r"net_r(t)", r"x(t) W_{input_r} + bias_{r} + h(t-1) W_{hidden_r}"),
    "net_z": (r"net_z(t)", r"x(t) W_{input_z} + bias_{z} + h(t-1) W_{hidden_z}"),
    "recurrent_n": (r"recurrent_n(t)", r"h(t-1) W_{hidden_n} + bias_{hidden_n}"),
    "r": (r"r(t)", r"\sigma(net_r(t))"),
    "z": (r"z(t)", r"\sigma(net_z(t))"),
    "net_n": (r"net_n(t)", r"x(t) W_{input_n} + bias_{n} + r(t) \odot recurrent_n(t)"),
    "n": (r"n(t)", r"\tanh(net_n(t))"),
    "h": (r"h(t)", r"(1 - z(t)) \odot n(t) + z(t) \odot h(t-1)"),
    "net_output": (r"net_{output}(t)", r"h(t) W_{output}"),
    "y_hat": (r"\hat{y}(t)", r"\sigma(net_{output}(t))"),
    "loss": (r"l(t)", r"\frac{1}{2} (\hat{y}(t) - y(t)) (\hat{y}(t) - y(t))^T"),
    "delta_output": (r"\delta_{output}(t)", r"(\hat{y}(t) - y(t)) \odot \hat{y}(t) \odot (1 - \hat{y}(t))"),
    "delta_h_explicit": (r"\delta_{h_{explicit}}(t)", r"\delta_{output}(t) W_{output}^T"),
    "delta_h_implicit": (r"\delta_{h_{implicit}}(t)", CARRIED),
    "delta_h": (r"\delta_h(t)", r"\delta_{h_{explicit}}(t) + \delta_{h_{implicit}}(t)"),
    "delta_z": (r"\delta_z(t)", r"\delta_h(t) \odot (h(t-1) - n(t))"),
    "delta_n": (r"\delta_n(t)", r"\delta_h(t) \odot (1 - z(t))"),
    "delta_net_n": (r"\delta_{net_n}(t)", r"\delta_n(t) \odot (1 - n(t)^{\odot 2})"),
    "delta_recurrent_n": (r"\delta_{recurrent_n}(t)", r"\delta_{net_n}(t) \odot r(t)"),
    "delta_r": (r"\delta_r(t)", r"\delta_{net_n}(t) \odot recurrent_n(t)"),
    "delta_net_r": (r"\delta_{net_r}(t)", r"\delta_r(t) \odot r(t) \odot (1 - r(t))"),
    "delta_net_z": (r"\delta_{net_z}(t)", r"\delta_z(t) \odot z(t) \odot (1 - z(t))"),
    "grad_W_output": (_by("W_{output}"), r"\sum_t h(t)^T \delta_{output}(t)"),
    **{
        f"grad_W_hidden_{k}": (_by(f"W_{{hidden_{k}}}"), rf"\sum_t h(t-1)^T \delta_{{{product}}}(t)")
        for k, product in PRODUCTS.items()
    },
    **{f"grad_W_input_{k}": (_by(f"W_{{input_{k}}}"), rf"\sum_t x(t)^T \delta_{{net_{k}}}(t)") for k in GATES},
    **{f"grad_bias_{k}": (_by(f"bias_{{{k}}}"), rf"\sum_t \delta_{{net_{k}}}(t)") for k in GATES},
    "grad_bias_hidden_n": (_by("bias_{hidden_n}"), r"\sum_t \delta_{recurrent_n}(t)"),
    "grad_x": (_by("x(t)"), " + ".join(rf"\delta_{{net_{k}}}(t) W_{{input_{k}}}^T" for k in GATES)),
    "grad_h_initial": (_by("h(-1)"), CARRIED.replace("t+1", "0")),
}

WRITER = Writer("gru", EQUATIONS)
