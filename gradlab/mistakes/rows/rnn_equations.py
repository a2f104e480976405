"""The equations of the Elman network as they stand in its derivation, in the language of derivations."""

from gradlab.mistakes.rows.classes import Writer

# Left-hand side and right-hand side.
EQUATIONS = {
    "net_hidden": (r"net_{hidden}(t)", r"x(t) W_{input} + a_{hidden}(t-1) W_{hidden}"),
    "a_hidden": (r"a_{hidden}(t)", r"\sigma(net_{hidden}(t))"),
    "net_output": (r"net_{output}(t)", r"a_{hidden}(t) W_{output}"),
    "y_hat": (r"\hat{y}(t)", r"\sigma(net_{output}(t))"),
    "loss": (r"l(t)", r"\frac{1}{2} \lVert \hat{y}(t) - y(t) \rVert^2"),
    "delta_output": (r"\delta_{output}(t)", r"(\hat{y}(t) - y(t)) \odot \hat{y}(t) \odot (1 - \hat{y}(t))"),
    "delta_explicit": (
        r"\delta_{explicit}(t)",
        r"(\delta_{output}(t) W_{output}^T) \odot a_{hidden}(t) \odot (1 - a_{hidden}(t))",
    ),
    "delta_implicit": (
        r"\delta_{implicit}(t)",
        r"(\delta_{hidden}(t+1) W_{hidden}^T) \odot a_{hidden}(t) \odot (1 - a_{hidden}(t))",
    ),
    "delta_hidden": (r"\delta_{hidden}(t)", r"\delta_{explicit}(t) + \delta_{implicit}(t)"),
    "grad_W_output": (r"\frac{\partial L}{\partial W_{output}}", r"\sum_t a_{hidden}(t)^T \delta_{output}(t)"),
    "grad_W_hidden": (r"\frac{\partial L}{\partial W_{hidden}}", r"\sum_t a_{hidden}(t-1)^T \delta_{hidden}(t)"),
    "grad_W_input": (r"\frac{\partial L}{\partial W_{input}}", r"\sum_t x(t)^T \delta_{hidden}(t)"),
    "grad_x": (r"\frac{\partial L}{\partial x(t)}", r"\delta_{hidden}(t) W_{input}^T"),
    "grad_a_initial": (r"\frac{\partial L}{\partial a_{hidden}(-1)}", r"\delta_{hidden}(0) W_{hidden}^T"),
}

WRITER = Writer("rnn", EQUATIONS)
