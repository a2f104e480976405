"""A gated recurrent unit (Cho et al., 2014), its loss, and its gradient by backpropagation through time.

Each line that ends in a label is one equation of the derivation, in the derivation's own names.
The same source runs in float32, float64 and complex128, and recorded as a program in every other arithmetic.

    T steps   B batch   I inputs   H hidden units   O outputs        row vectors, time-major

    r reset gate   z update gate   n candidate   h hidden state      gates in (0, 1), the candidate in (-1, 1)
    recurrent_n    what the past offers to the candidate, before the reset gate

    l(t) = ½ Σ (y_hat(t) - y(t))²     the loss of step t, summed over batch and outputs
    L    = Σ_t l(t)                   the loss

A delta is the derivative of the loss with respect to what its name says. That of the hidden state has two parts: what
step t's own loss sends back, and what all later losses send back through step t + 1: through its update gate's sum and
through its three products with h(t).

Conventions, none of them a mistake:
The reset gate is applied *after* the recurrent product, r ⊙ (h W_hidden_n + bias_hidden_n), as in PyTorch, cuDNN and
Keras (reset_after=True), so the candidate has a second bias inside the gate. Cho et al. apply it before the product,
(r ⊙ h) W_hidden_n: another network, whose gradient differs.
z keeps the old state, h(t) = (1 - z) ⊙ n + z ⊙ h(t-1), as in Cho et al. and the frameworks; Chung et al. (2014) write
z for what is here 1 - z. The gates r and z have one bias each, which is the sum of the two that PyTorch keeps.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np

from gradlab.manual.gates import add_bias, multiply, rows, saturating, tanh
from gradlab.manual.gates import sigmoid_within as sigmoid

Array = np.ndarray[Any, Any]


class Params(NamedTuple):
    """The weights and biases; also their gradients."""

    W_input_r:     Annotated[Array, "I H"]
    W_input_z:     Annotated[Array, "I H"]
    W_input_n:     Annotated[Array, "I H"]
    W_hidden_r:    Annotated[Array, "H H"]
    W_hidden_z:    Annotated[Array, "H H"]
    W_hidden_n:    Annotated[Array, "H H"]
    bias_r:        Annotated[Array, "H"]
    bias_z:        Annotated[Array, "H"]
    bias_n:        Annotated[Array, "H"]
    bias_hidden_n: Annotated[Array, "H"]
    W_output:      Annotated[Array, "H O"]


class State(NamedTuple):
    """The state before step 0; also its gradient."""

    h_initial: Annotated[Array, "B H"]


class Trace(NamedTuple):
    """Every intermediate of a forward pass, at every step."""

    net_r:       Annotated[Array, "T B H"]
    net_z:       Annotated[Array, "T B H"]
    recurrent_n: Annotated[Array, "T B H"]
    r:           Annotated[Array, "T B H"]
    z:           Annotated[Array, "T B H"]
    net_n:       Annotated[Array, "T B H"]
    n:           Annotated[Array, "T B H"]
    h:           Annotated[Array, "T B H"]
    net_output:  Annotated[Array, "T B O"]
    y_hat:       Annotated[Array, "T B O"]


class Loss(NamedTuple):
    """l(t) of every step, and their sum L."""

    per_step: Annotated[Array, "T"]
    total:    Any


class Deltas(NamedTuple):
    """Derivatives with respect to the intermediates: of which losses, and by which intermediate."""

    output:      Annotated[Array, "T B O", "∂L / ∂net_output(t)"]
    h_explicit:  Annotated[Array, "T B H", "∂l(t) / ∂h(t)"]
    h_implicit:  Annotated[Array, "T B H", "∂l(k>t) / ∂h(t)"]
    h:           Annotated[Array, "T B H", "∂L / ∂h(t)"]
    z:           Annotated[Array, "T B H", "∂L / ∂z(t)"]
    n:           Annotated[Array, "T B H", "∂L / ∂n(t)"]
    net_n:       Annotated[Array, "T B H", "∂L / ∂net_n(t)"]
    recurrent_n: Annotated[Array, "T B H", "∂L / ∂recurrent_n(t)"]
    r:           Annotated[Array, "T B H", "∂L / ∂r(t)"]
    net_r:       Annotated[Array, "T B H", "∂L / ∂net_r(t)"]
    net_z:       Annotated[Array, "T B H", "∂L / ∂net_z(t)"]


class Grads(NamedTuple):
    """The gradient of the total loss; each part has the type of what it differentiates by."""

    params: Params
    x:      Annotated[Array, "T B I"]
    state:  State
    deltas: Deltas


@saturating
def forward(params: Params, x: Array, state: State) -> Trace:
    """Run the network over a sequence x (T, B, I) from the state before step 0.

    For K networks at once, x is (T, K, B, I), and each weight, bias and state has a leading axis K or none.
    """
    (W_input_r,  W_input_z,  W_input_n,
     W_hidden_r, W_hidden_z, W_hidden_n,
     bias_r,     bias_z,     bias_n,     bias_hidden_n, W_output) = params
    T, dtype = len(x), np.result_type(x, *params, *state)

    input_r = add_bias(multiply(x, W_input_r), bias_r)
    input_z = add_bias(multiply(x, W_input_z), bias_z)
    input_n = add_bias(multiply(x, W_input_n), bias_n)
    trace = np.empty_like(input_n, dtype, shape=(8, T + 1, *input_n.shape[1:]))
    net_r, net_z, recurrent_n, r, z, net_n, n, h = trace
    h[-1] = state.h_initial                                                    # h(-1): one row more than steps
    for t in range(T):
        net_r[t] = input_r[t] + multiply(h[t - 1], W_hidden_r)                 # gru.net_r
        net_z[t] = input_z[t] + multiply(h[t - 1], W_hidden_z)                 # gru.net_z
        recurrent_n[t] = add_bias(multiply(h[t - 1], W_hidden_n), bias_hidden_n)  # gru.recurrent_n
        r[t] = sigmoid(net_r[t])                                               # gru.r
        z[t] = sigmoid(net_z[t])                                               # gru.z
        net_n[t] = input_n[t] + r[t] * recurrent_n[t]                          # gru.net_n
        n[t] = tanh(net_n[t])                                                  # gru.n
        h[t] = (1 - z[t]) * n[t] + z[t] * h[t - 1]                             # gru.h

    net_output = multiply(h[:T], W_output)                                     # gru.net_output
    y_hat = sigmoid(net_output)                                                # gru.y_hat
    return Trace._make([*trace[:, :T], net_output, y_hat])


def loss(y_hat: Array, y: Array) -> Loss:
    """Half the squared error of y_hat against y, both (T, B, O) or both (T, K, B, O): of each step, and their sum."""
    per_step = 0.5 * np.sum((y_hat - y) ** 2, axis=(-2, -1))                   # gru.loss
    return Loss(per_step, np.sum(per_step, axis=0))


def bptt(params: Params, x: Array, y: Array, state: State, trace: Trace, after: Any = 0) -> Grads:
    """The gradient of the total loss, by hand; `trace` is what `forward` gave for the same params, x and state.

    Where the sequence goes on beyond x, `after` is what the steps after hand back (`handed_back`).
    """
    (W_input_r,  W_input_z,  W_input_n,
     W_hidden_r, W_hidden_z, W_hidden_n, *_, W_output) = params
    recurrent_n, r, z, n, h, y_hat = trace.recurrent_n, trace.r, trace.z, trace.n, trace.h, trace.y_hat
    h_previous = np.concatenate([state.h_initial[None], h[:-1]])
    z_next = np.concatenate([z[1:], np.ones_like(z[:1])])                      # of step T: in what is handed back
    slope_r, slope_z, slope_n = r * (1 - r), z * (1 - z), 1 - n * n
    ones = np.ones_like(rows(x)[:, 0])                                         # a bias is the weight of an input of 1
    T = len(x)

    delta_output = (y_hat - y) * y_hat * (1 - y_hat)                           # gru.delta_output
    delta_h_explicit = multiply(delta_output, W_output.T)                      # gru.delta_h_explicit
    deltas = np.empty_like(h, shape=(9, T + 1, *h.shape[1:]))
    (delta_h_implicit, delta_h, delta_z, delta_n, delta_net_n, delta_recurrent_n,
     delta_r, delta_net_r, delta_net_z) = deltas
    deltas[:, T] = after                                                       # delta(T) = 0: no loss comes after
    for t in reversed(range(T)):
        delta_h_implicit[t] = (
            delta_h[t + 1] * z_next[t] + multiply(delta_net_r[t + 1], W_hidden_r.T) +
            multiply(delta_net_z[t + 1], W_hidden_z.T) + multiply(delta_recurrent_n[t + 1], W_hidden_n.T)
        )                                                                      # gru.delta_h_implicit
        delta_h[t] = delta_h_explicit[t] + delta_h_implicit[t]                 # gru.delta_h
        delta_z[t] = delta_h[t] * (h_previous[t] - n[t])                       # gru.delta_z
        delta_n[t] = delta_h[t] * (1 - z[t])                                   # gru.delta_n
        delta_net_n[t] = delta_n[t] * slope_n[t]                               # gru.delta_net_n
        delta_recurrent_n[t] = delta_net_n[t] * r[t]                           # gru.delta_recurrent_n
        delta_r[t] = delta_net_n[t] * recurrent_n[t]                           # gru.delta_r
        delta_net_r[t] = delta_r[t] * slope_r[t]                               # gru.delta_net_r
        delta_net_z[t] = delta_z[t] * slope_z[t]                               # gru.delta_net_z
    deltas = deltas[:, :T]
    *_, delta_net_n, delta_recurrent_n, _, delta_net_r, delta_net_z = deltas

    grad_W_output      = rows(h).T @ rows(delta_output)                        # gru.grad_W_output
    grad_W_hidden_r    = rows(h_previous).T @ rows(delta_net_r)                # gru.grad_W_hidden_r
    grad_W_hidden_z    = rows(h_previous).T @ rows(delta_net_z)                # gru.grad_W_hidden_z
    grad_W_hidden_n    = rows(h_previous).T @ rows(delta_recurrent_n)          # gru.grad_W_hidden_n
    grad_W_input_r     = rows(x).T @ rows(delta_net_r)                         # gru.grad_W_input_r
    grad_W_input_z     = rows(x).T @ rows(delta_net_z)                         # gru.grad_W_input_z
    grad_W_input_n     = rows(x).T @ rows(delta_net_n)                         # gru.grad_W_input_n
    grad_bias_r        = ones @ rows(delta_net_r)                              # gru.grad_bias_r
    grad_bias_z        = ones @ rows(delta_net_z)                              # gru.grad_bias_z
    grad_bias_n        = ones @ rows(delta_net_n)                              # gru.grad_bias_n
    grad_bias_hidden_n = ones @ rows(delta_recurrent_n)                        # gru.grad_bias_hidden_n
    grad_x = (
        multiply(delta_net_r, W_input_r.T) + multiply(delta_net_z, W_input_z.T) + multiply(delta_net_n, W_input_n.T)
    )                                                                          # gru.grad_x
    grad_h_initial = (
        delta_h[0] * z[0] + multiply(delta_net_r[0], W_hidden_r.T) +
        multiply(delta_net_z[0], W_hidden_z.T) + multiply(delta_recurrent_n[0], W_hidden_n.T)
    )                                                                          # gru.grad_h_initial
    return Grads(
        Params(grad_W_input_r,  grad_W_input_z,  grad_W_input_n,
               grad_W_hidden_r, grad_W_hidden_z, grad_W_hidden_n,
               grad_bias_r,     grad_bias_z,     grad_bias_n,     grad_bias_hidden_n, grad_W_output),
        grad_x,
        State(grad_h_initial),
        Deltas(delta_output, delta_h_explicit, *deltas),
    )


def last(trace: Trace) -> State:
    """The state after the last step, which is that before the step that follows."""
    return State(trace.h[-1])


def handed_back(trace: Trace, grads: Grads) -> Array:
    """What a stretch of steps hands back to the step before its first: all that the loop carries, of its step 0.

    Of delta_h(0) the share that z(0) let through to the old state.
    """
    _, _, *carried = grads.deltas._replace(h=grads.deltas.h * trace.z)
    return np.stack([delta[0] for delta in carried])
