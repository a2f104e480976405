"""A long short-term memory with peepholes, and its gradient by hand: a cell of one's own, `--cell peephole.py`.

Gers and Schmidhuber, Recurrent nets that time and count (2000): the gates also see the cell state, the input and the
forget gate the one before this step, the output gate that of this step.

    T steps   B batch   I inputs   H hidden units   O outputs        row vectors, time-major

    i input gate   f forget gate   g candidate   o output gate   c cell state   h hidden state
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np

from gradlab.manual.gates import add_bias, multiply, rows, saturating, tanh
from gradlab.manual.gates import sigmoid_within as sigmoid

Array = np.ndarray[Any, Any]


class Params(NamedTuple):
    """The weights and biases; also their gradients."""

    W_input_i: Annotated[Array, "I H"]
    W_input_f: Annotated[Array, "I H"]
    W_input_g: Annotated[Array, "I H"]
    W_input_o: Annotated[Array, "I H"]
    W_hidden_i: Annotated[Array, "H H"]
    W_hidden_f: Annotated[Array, "H H"]
    W_hidden_g: Annotated[Array, "H H"]
    W_hidden_o: Annotated[Array, "H H"]
    peep_i: Annotated[Array, "H"]
    peep_f: Annotated[Array, "H"]
    peep_o: Annotated[Array, "H"]
    bias_i: Annotated[Array, "H"]
    bias_f: Annotated[Array, "H"]
    bias_g: Annotated[Array, "H"]
    bias_o: Annotated[Array, "H"]
    W_output: Annotated[Array, "H O"]


class State(NamedTuple):
    """The states before step 0; also their gradients."""

    h_initial: Annotated[Array, "B H"]
    c_initial: Annotated[Array, "B H"]


class Trace(NamedTuple):
    """Every intermediate of a forward pass, at every step."""

    net_i: Annotated[Array, "T B H"]
    net_f: Annotated[Array, "T B H"]
    net_g: Annotated[Array, "T B H"]
    net_o: Annotated[Array, "T B H"]
    i: Annotated[Array, "T B H"]
    f: Annotated[Array, "T B H"]
    g: Annotated[Array, "T B H"]
    o: Annotated[Array, "T B H"]
    c_previous: Annotated[Array, "T B H"]
    c: Annotated[Array, "T B H"]
    c_shown: Annotated[Array, "T B H"]
    h: Annotated[Array, "T B H"]
    net_output: Annotated[Array, "T B O"]
    y_hat: Annotated[Array, "T B O"]


class Loss(NamedTuple):
    """l(t) of every step, and their sum L."""

    per_step: Annotated[Array, "T"]
    total: Any


class Deltas(NamedTuple):
    """Derivatives with respect to the intermediates: of which losses, and by which intermediate."""

    output: Annotated[Array, "T B O", "∂L / ∂net_output(t)"]
    h_explicit: Annotated[Array, "T B H", "∂l(t) / ∂h(t)"]
    h_implicit: Annotated[Array, "T B H", "∂l(k>t) / ∂h(t)"]
    h: Annotated[Array, "T B H", "∂L / ∂h(t)"]
    c_shown: Annotated[Array, "T B H", "∂L / ∂c_shown(t)"]
    c: Annotated[Array, "T B H", "∂L / ∂c(t)"]
    c_previous: Annotated[Array, "T B H", "∂L / ∂c_previous(t)"]
    i: Annotated[Array, "T B H", "∂L / ∂i(t)"]
    f: Annotated[Array, "T B H", "∂L / ∂f(t)"]
    g: Annotated[Array, "T B H", "∂L / ∂g(t)"]
    o: Annotated[Array, "T B H", "∂L / ∂o(t)"]
    net_i: Annotated[Array, "T B H", "∂L / ∂net_i(t)"]
    net_f: Annotated[Array, "T B H", "∂L / ∂net_f(t)"]
    net_g: Annotated[Array, "T B H", "∂L / ∂net_g(t)"]
    net_o: Annotated[Array, "T B H", "∂L / ∂net_o(t)"]


class Grads(NamedTuple):
    """The gradient of the total loss; each part has the type of what it differentiates by."""

    params: Params
    x: Annotated[Array, "T B I"]
    state: State
    deltas: Deltas


@saturating
def forward(params: Params, x: Array, state: State) -> Trace:
    """Run the network over a sequence x (T, B, I) from the states before step 0.

    For K networks at once, x is (T, K, B, I), and each weight, bias and state has a leading axis K or none.
    """
    (
        W_input_i,
        W_input_f,
        W_input_g,
        W_input_o,
        W_hidden_i,
        W_hidden_f,
        W_hidden_g,
        W_hidden_o,
        peep_i,
        peep_f,
        peep_o,
        bias_i,
        bias_f,
        bias_g,
        bias_o,
        W_output,
    ) = params
    T, dtype = len(x), np.result_type(x, *params, *state)

    input_i = add_bias(multiply(x, W_input_i), bias_i)
    input_f = add_bias(multiply(x, W_input_f), bias_f)
    input_g = add_bias(multiply(x, W_input_g), bias_g)
    input_o = add_bias(multiply(x, W_input_o), bias_o)
    trace = np.empty_like(input_i, dtype, shape=(12, T + 1, *input_i.shape[1:]))
    net_i, net_f, net_g, net_o, i, f, g, o, c_previous, c, c_shown, h = trace
    h[-1], c[-1] = state.h_initial, state.c_initial  # h(-1), c(-1): one row more than steps
    for t in range(T):
        c_previous[t] = c[t - 1]  # peephole.c_previous
        net_i[t] = input_i[t] + multiply(h[t - 1], W_hidden_i) + c_previous[t] * peep_i[..., None, :]  # peephole.net_i
        net_f[t] = input_f[t] + multiply(h[t - 1], W_hidden_f) + c_previous[t] * peep_f[..., None, :]  # peephole.net_f
        net_g[t] = input_g[t] + multiply(h[t - 1], W_hidden_g)  # peephole.net_g
        i[t] = sigmoid(net_i[t])  # peephole.i
        f[t] = sigmoid(net_f[t])  # peephole.f
        g[t] = tanh(net_g[t])  # peephole.g
        c[t] = f[t] * c_previous[t] + i[t] * g[t]  # peephole.c
        c_shown[t] = c[t]  # peephole.c_shown
        net_o[t] = input_o[t] + multiply(h[t - 1], W_hidden_o) + c_shown[t] * peep_o[..., None, :]  # peephole.net_o
        o[t] = sigmoid(net_o[t])  # peephole.o
        h[t] = o[t] * tanh(c_shown[t])  # peephole.h

    net_output = multiply(h[:T], W_output)  # peephole.net_output
    y_hat = sigmoid(net_output)  # peephole.y_hat
    return Trace._make([*trace[:, :T], net_output, y_hat])


def loss(y_hat: Array, y: Array) -> Loss:
    """Half the squared error of y_hat against y, both (T, B, O) or both (T, K, B, O): of each step, and their sum."""
    per_step = 0.5 * np.sum((y_hat - y) ** 2, axis=(-2, -1))  # peephole.loss
    return Loss(per_step, np.sum(per_step, axis=0))


def bptt(params: Params, x: Array, y: Array, state: State, trace: Trace) -> Grads:
    """The gradient of the total loss, by hand; `trace` is what `forward` gave for the same params, x and state."""
    (
        W_input_i,
        W_input_f,
        W_input_g,
        W_input_o,
        W_hidden_i,
        W_hidden_f,
        W_hidden_g,
        W_hidden_o,
        peep_i,
        peep_f,
        peep_o,
        *_,
        W_output,
    ) = params
    i, f, g, o, h = trace.i, trace.f, trace.g, trace.o, trace.h
    c_previous, c_shown, y_hat = trace.c_previous, trace.c_shown, trace.y_hat
    h_previous = np.concatenate([state.h_initial[None], h[:-1]])
    tanh_c = tanh(c_shown)
    slope_i, slope_f, slope_o = i * (1 - i), f * (1 - f), o * (1 - o)
    slope_g, slope_c = 1 - g * g, 1 - tanh_c * tanh_c
    ones = np.ones_like(rows(x)[:, 0])  # a bias is the weight of an input of 1
    T = len(x)

    delta_output = (y_hat - y) * y_hat * (1 - y_hat)  # peephole.delta_output
    delta_h_explicit = multiply(delta_output, W_output.T)  # peephole.delta_h_explicit
    deltas = np.empty_like(h, shape=(13, T + 1, *h.shape[1:]))
    (
        delta_h_implicit,
        delta_h,
        delta_c_shown,
        delta_c,
        delta_c_previous,
        delta_i,
        delta_f,
        delta_g,
        delta_o,
        delta_net_i,
        delta_net_f,
        delta_net_g,
        delta_net_o,
    ) = deltas
    deltas[:, T] = 0  # no loss comes after
    for t in reversed(range(T)):
        delta_h_implicit[t] = (
            multiply(delta_net_i[t + 1], W_hidden_i.T)
            + multiply(delta_net_f[t + 1], W_hidden_f.T)
            + multiply(delta_net_g[t + 1], W_hidden_g.T)
            + multiply(delta_net_o[t + 1], W_hidden_o.T)
        )  # peephole.delta_h_implicit
        delta_h[t] = delta_h_explicit[t] + delta_h_implicit[t]  # peephole.delta_h
        delta_o[t] = delta_h[t] * tanh_c[t]  # peephole.delta_o
        delta_net_o[t] = delta_o[t] * slope_o[t]  # peephole.delta_net_o
        delta_c_shown[t] = delta_h[t] * o[t] * slope_c[t] + delta_net_o[t] * peep_o  # peephole.delta_c_shown
        delta_c[t] = delta_c_shown[t] + delta_c_previous[t + 1]  # peephole.delta_c
        delta_i[t] = delta_c[t] * g[t]  # peephole.delta_i
        delta_f[t] = delta_c[t] * c_previous[t]  # peephole.delta_f
        delta_g[t] = delta_c[t] * i[t]  # peephole.delta_g
        delta_net_i[t] = delta_i[t] * slope_i[t]  # peephole.delta_net_i
        delta_net_f[t] = delta_f[t] * slope_f[t]  # peephole.delta_net_f
        delta_net_g[t] = delta_g[t] * slope_g[t]  # peephole.delta_net_g
        delta_c_previous[t] = (
            delta_c[t] * f[t] + delta_net_i[t] * peep_i + delta_net_f[t] * peep_f
        )  # peephole.delta_c_previous
    deltas = deltas[:, :T]
    *_, delta_net_i, delta_net_f, delta_net_g, delta_net_o = deltas

    grad_W_output = rows(h).T @ rows(delta_output)  # peephole.grad_W_output
    grad_W_hidden_i = rows(h_previous).T @ rows(delta_net_i)  # peephole.grad_W_hidden_i
    grad_W_hidden_f = rows(h_previous).T @ rows(delta_net_f)  # peephole.grad_W_hidden_f
    grad_W_hidden_g = rows(h_previous).T @ rows(delta_net_g)  # peephole.grad_W_hidden_g
    grad_W_hidden_o = rows(h_previous).T @ rows(delta_net_o)  # peephole.grad_W_hidden_o
    grad_W_input_i = rows(x).T @ rows(delta_net_i)  # peephole.grad_W_input_i
    grad_W_input_f = rows(x).T @ rows(delta_net_f)  # peephole.grad_W_input_f
    grad_W_input_g = rows(x).T @ rows(delta_net_g)  # peephole.grad_W_input_g
    grad_W_input_o = rows(x).T @ rows(delta_net_o)  # peephole.grad_W_input_o
    grad_peep_i = ones @ rows(c_previous * delta_net_i)  # peephole.grad_peep_i
    grad_peep_f = ones @ rows(c_previous * delta_net_f)  # peephole.grad_peep_f
    grad_peep_o = ones @ rows(c_shown * delta_net_o)  # peephole.grad_peep_o
    grad_bias_i = ones @ rows(delta_net_i)  # peephole.grad_bias_i
    grad_bias_f = ones @ rows(delta_net_f)  # peephole.grad_bias_f
    grad_bias_g = ones @ rows(delta_net_g)  # peephole.grad_bias_g
    grad_bias_o = ones @ rows(delta_net_o)  # peephole.grad_bias_o
    grad_x = (
        multiply(delta_net_i, W_input_i.T)
        + multiply(delta_net_f, W_input_f.T)
        + multiply(delta_net_g, W_input_g.T)
        + multiply(delta_net_o, W_input_o.T)
    )  # peephole.grad_x
    grad_h_initial = (
        multiply(delta_net_i[0], W_hidden_i.T)
        + multiply(delta_net_f[0], W_hidden_f.T)
        + multiply(delta_net_g[0], W_hidden_g.T)
        + multiply(delta_net_o[0], W_hidden_o.T)
    )  # peephole.grad_h_initial
    grad_c_initial = delta_c_previous[0]  # peephole.grad_c_initial
    return Grads(
        Params(
            grad_W_input_i,
            grad_W_input_f,
            grad_W_input_g,
            grad_W_input_o,
            grad_W_hidden_i,
            grad_W_hidden_f,
            grad_W_hidden_g,
            grad_W_hidden_o,
            grad_peep_i,
            grad_peep_f,
            grad_peep_o,
            grad_bias_i,
            grad_bias_f,
            grad_bias_g,
            grad_bias_o,
            grad_W_output,
        ),
        grad_x,
        State(grad_h_initial, grad_c_initial),
        Deltas(delta_output, delta_h_explicit, *deltas),
    )
