r"""Other gated recurrent units than this one: conventions, not bugs; and one convention forward with another backward.

Cho et al. (2014) reset the state before the recurrent product, (r ⊙ h) W; the cell here after it, as PyTorch, cuDNN and
Keras do. Chung et al. (2014) write z for what is 1 - z here. Code that keeps to either one throughout is right, and is
another network; what is wrong is one half of it with another half of the other.
"""

from __future__ import annotations

from gradlab.mistakes.rows.classes import NOTHING, STALE
from gradlab.mistakes.rows.gru_equations import WRITER

_rows = WRITER.rows
_RESET = r"(r(t) \odot h(t-1)) W_{hidden_n} + bias_{hidden_n}"

_BEFORE_FORWARD = {
    "recurrent_n": (
        "add_bias(multiply(sigmoid(net_r[t]) * h[t - 1], W_hidden_n), bias_hidden_n)",
        _RESET,
    ),
    "net_n": ("input_n[t] + recurrent_n[t]", r"x(t) W_{input_n} + bias_{n} + recurrent_n(t)"),
}
_CARRIED = (
    "delta_h[t + 1] * z_next[t] + multiply(delta_net_r[t + 1], W_hidden_r.T) "
    "+ multiply(delta_net_z[t + 1], W_hidden_z.T) + multiply(delta_recurrent_n[t + 1], W_hidden_n.T) "
    "* r[min(t + 1, T - 1)]"
)
_CARRIED_LATEX = (
    r"\delta_h(t+1) \odot z(t+1) + \delta_{net_r}(t+1) W_{hidden_r}^T + \delta_{net_z}(t+1) W_{hidden_z}^T "
    r"+ (\delta_{recurrent_n}(t+1) W_{hidden_n}^T) \odot r(t+1)"
)
_BEFORE_BACKWARD = {
    "delta_h_implicit": (_CARRIED, _CARRIED_LATEX),
    "delta_recurrent_n": ("delta_net_n[t]", r"\delta_{net_n}(t)"),
    "delta_r": (
        "multiply(delta_recurrent_n[t], W_hidden_n.T) * h_previous[t]",
        r"(\delta_{recurrent_n}(t) W_{hidden_n}^T) \odot h(t-1)",
    ),
    "grad_W_hidden_n": (
        "rows(r * h_previous).T @ rows(delta_recurrent_n)",
        r"\sum_t (r(t) \odot h(t-1))^T \delta_{recurrent_n}(t)",
    ),
    "grad_h_initial": (
        (
            "delta_h[0] * z[0] + multiply(delta_net_r[0], W_hidden_r.T) + multiply(delta_net_z[0], W_hidden_z.T) "
            "+ multiply(delta_recurrent_n[0], W_hidden_n.T) * r[0]"
        ),
        _CARRIED_LATEX.replace("t+1", "0"),
    ),
}

_OTHER_FORWARD = {"h": ("z[t] * n[t] + (1 - z[t]) * h[t - 1]", r"z(t) \odot n(t) + (1 - z(t)) \odot h(t-1)")}
_GATED = (
    "multiply(delta_net_r[t + 1], W_hidden_r.T) + multiply(delta_net_z[t + 1], W_hidden_z.T) "
    "+ multiply(delta_recurrent_n[t + 1], W_hidden_n.T)"
)
_GATED_LATEX = (
    r"\delta_{net_r}(t+1) W_{hidden_r}^T + \delta_{net_z}(t+1) W_{hidden_z}^T "
    r"+ \delta_{recurrent_n}(t+1) W_{hidden_n}^T"
)
_OTHER_BACKWARD = {
    "delta_h_implicit": (
        f"delta_h[t + 1] * (1 - z_next[t]) + {_GATED}",
        rf"\delta_h(t+1) \odot (1 - z(t+1)) + {_GATED_LATEX}",
    ),
    "delta_z": ("delta_h[t] * (n[t] - h_previous[t])", r"\delta_h(t) \odot (n(t) - h(t-1))"),
    "delta_n": ("delta_h[t] * z[t]", r"\delta_h(t) \odot z(t)"),
    "grad_h_initial": (
        f"delta_h[0] * (1 - z[0]) + {_GATED.replace('t + 1', '0')}",
        rf"\delta_h(0) \odot (1 - z(0)) + {_GATED_LATEX.replace('t+1', '0')}",
    ),
}

CONVENTIONS = (
    _rows("reset-before-the-product", _BEFORE_FORWARD | _BEFORE_BACKWARD,
          "a convention, not a bug: the state is reset before the recurrent product, forward and backward alike, which "
          "is another network than this one", NOTHING, "Cho et al. (2014)"),
    _rows("reset-before-the-product-forward-only", _BEFORE_FORWARD,
          "resets the state before the recurrent product (Cho et al., 2014: a convention), which the backward pass "
          "does not know", "T = 1 from a state of zeros", "Cho et al. (2014); " + STALE),
    _rows("reset-before-the-product-backward-only", _BEFORE_BACKWARD,
          "differentiates a reset before the recurrent product (Cho et al., 2014: a convention), where the forward "
          "pass resets after it", "T = 1 from a state of zeros", "Cho et al. (2014); " + STALE),
    _rows("update-gate-the-other-way", _OTHER_FORWARD | _OTHER_BACKWARD,
          "a convention, not a bug: z weighs the candidate and 1 - z the old state, forward and backward alike, which "
          "is this network with z and 1 - z exchanged", NOTHING, "Chung et al. (2014)"),
    _rows("update-gate-the-other-way-forward-only", _OTHER_FORWARD,
          "lets z weigh the candidate (Chung et al., 2014: a convention), which the backward pass does not know",
          "gates of ½", "Chung et al. (2014); " + STALE),
    _rows("update-gate-the-other-way-backward-only", _OTHER_BACKWARD,
          "differentiates an update gate that weighs the candidate (Chung et al., 2014: a convention), where forward "
          "it weighs the old state", "gates of ½", "Chung et al. (2014); " + STALE),
)  # fmt: skip
