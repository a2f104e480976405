"""An RNN with rectified linear units, and its gradient by hand: a cell of one's own, `--cell relu_rnn.py`.

Le, Jaitly and Hinton, A simple way to initialize recurrent networks of rectified linear units (2015).

    T steps   B batch   I inputs   H hidden units   O outputs        row vectors, time-major
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np

from gradlab.manual.gates import add_bias, multiply, rows, saturating
from gradlab.manual.gates import sigmoid_within as sigmoid

Array = np.ndarray[Any, Any]


class Params(NamedTuple):
    """The weights and the bias; also their gradients."""

    W_input: Annotated[Array, "I H"]
    W_hidden: Annotated[Array, "H H"]
    bias: Annotated[Array, "H"]
    W_output: Annotated[Array, "H O"]


class State(NamedTuple):
    """The state before step 0; also its gradient."""

    h_initial: Annotated[Array, "B H"]


class Trace(NamedTuple):
    """Every intermediate of a forward pass, at every step."""

    net: Annotated[Array, "T B H"]
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
    h: Annotated[Array, "T B H", "∂L / ∂h(t)"]
    net: Annotated[Array, "T B H", "∂L / ∂net(t)"]


class Grads(NamedTuple):
    """The gradient of the total loss; each part has the type of what it differentiates by."""

    params: Params
    x: Annotated[Array, "T B I"]
    state: State
    deltas: Deltas


@saturating
def forward(params: Params, x: Array, state: State) -> Trace:
    """Run the network over a sequence x (T, B, I) from the state before step 0."""
    W_input, W_hidden, bias, W_output = params
    T, dtype = len(x), np.result_type(x, *params, *state)

    net_input = add_bias(multiply(x, W_input), bias)
    net = np.empty_like(net_input, dtype)
    h = np.empty_like(net_input, dtype, shape=(T + 1, *net_input.shape[1:]))
    h[-1] = state.h_initial
    for t in range(T):
        net[t] = net_input[t] + multiply(h[t - 1], W_hidden)  # relu_rnn.net
        h[t] = np.maximum(net[t], 0)  # relu_rnn.h
    h = h[:T]

    net_output = multiply(h, W_output)  # relu_rnn.net_output
    y_hat = sigmoid(net_output)  # relu_rnn.y_hat
    return Trace(net, h, net_output, y_hat)


def loss(y_hat: Array, y: Array) -> Loss:
    """Half the squared error of y_hat against y: of each step, and their sum."""
    per_step = 0.5 * np.sum((y_hat - y) ** 2, axis=(-2, -1))  # relu_rnn.loss
    return Loss(per_step, np.sum(per_step, axis=0))


def bptt(params: Params, x: Array, y: Array, state: State, trace: Trace) -> Grads:
    """The gradient of the total loss, by hand; `trace` is what `forward` gave for the same params, x and state."""
    W_input, W_hidden, _, W_output = params
    net, h, y_hat = trace.net, trace.h, trace.y_hat
    h_previous = np.concatenate([state.h_initial[None], h[:-1]])
    ones = np.ones_like(rows(x)[:, 0])  # a bias is the weight of an input of 1
    T = len(x)

    delta_output = (y_hat - y) * y_hat * (1 - y_hat)  # relu_rnn.delta_output
    from_output = multiply(delta_output, W_output.T)
    delta_h = np.zeros(h.shape, h.dtype)
    delta_net = np.zeros((T + 1, *h.shape[1:]), h.dtype)
    for t in reversed(range(T)):
        delta_h[t] = from_output[t] + multiply(delta_net[t + 1], W_hidden.T)  # relu_rnn.delta_h
        delta_net[t] = delta_h[t] * (net[t] > 0)  # relu_rnn.delta_net
    delta_net = delta_net[:T]

    grad_W_output = rows(h).T @ rows(delta_output)  # relu_rnn.grad_W_output
    grad_W_hidden = rows(h_previous).T @ rows(delta_net)  # relu_rnn.grad_W_hidden
    grad_W_input = rows(x).T @ rows(delta_net)  # relu_rnn.grad_W_input
    grad_bias = ones @ rows(delta_net)  # relu_rnn.grad_bias
    grad_x = multiply(delta_net, W_input.T)  # relu_rnn.grad_x
    grad_h_initial = multiply(delta_net[0], W_hidden.T)  # relu_rnn.grad_h_initial
    return Grads(
        Params(grad_W_input, grad_W_hidden, grad_bias, grad_W_output),
        grad_x,
        State(grad_h_initial),
        Deltas(delta_output, delta_h, delta_net),
    )
