"""One layer with a bias and a bent line, and an output: the gates that a recurrent net is built of, without the loop.

The first lesson (`gradlab exercise layer`): every derivative of it comes back through one gate.
Each line that ends in a label is one equation. The same source runs in every float format and on balls.

    T steps   B batch   I inputs   H hidden units   O outputs        row vectors; no step knows of another

    l(t) = ½ Σ (y_hat(t) - y(t))²     the loss of step t, summed over batch and outputs
    L    = Σ_t l(t)                   the loss
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np

from gradlab.manual.gates import add_bias, multiply, rows, saturating, tanh
from gradlab.manual.gates import sigmoid_within as sigmoid

Array = np.ndarray[Any, Any]


class Params(NamedTuple):
    """The weights and the bias; also their gradients."""

    W:        Annotated[Array, "I H"]
    bias:     Annotated[Array, "H"]
    W_output: Annotated[Array, "H O"]


class State(NamedTuple):
    """Nothing goes on from step to step."""


class Trace(NamedTuple):
    """Every intermediate of a forward pass, at every step."""

    product:    Annotated[Array, "T B H"]
    net:        Annotated[Array, "T B H"]
    a:          Annotated[Array, "T B H"]
    net_output: Annotated[Array, "T B O"]
    y_hat:      Annotated[Array, "T B O"]


class Loss(NamedTuple):
    """l(t) of every step, and their sum L."""

    per_step: Annotated[Array, "T"]
    total:    Any


class Deltas(NamedTuple):
    """Derivatives with respect to the intermediates."""

    y_hat:  Annotated[Array, "T B O", "∂L / ∂y_hat(t)"]
    output: Annotated[Array, "T B O", "∂L / ∂net_output(t)"]
    a:      Annotated[Array, "T B H", "∂L / ∂a(t)"]
    net:    Annotated[Array, "T B H", "∂L / ∂net(t)"]


class Grads(NamedTuple):
    """The gradient of the total loss; each part has the type of what it differentiates by."""

    params: Params
    x:      Annotated[Array, "T B I"]
    deltas: Deltas


@saturating
def forward(params: Params, x: Array, state: State) -> Trace:
    """Run the layer over x (T, B, I); each step by itself."""
    W, bias, W_output = params

    product = multiply(x, W)                                                   # layer.product
    net = add_bias(product, bias)                                              # layer.net
    a = tanh(net)                                                              # layer.a
    net_output = multiply(a, W_output)                                         # layer.net_output
    y_hat = sigmoid(net_output)                                                # layer.y_hat
    return Trace(product, net, a, net_output, y_hat)


def loss(y_hat: Array, y: Array) -> Loss:
    """Half the squared error of y_hat against y: of each step, and their sum."""
    per_step = 0.5 * np.sum((y_hat - y) ** 2, axis=(-2, -1))                   # layer.loss
    return Loss(per_step, np.sum(per_step, axis=0))


def bptt(params: Params, x: Array, y: Array, state: State, trace: Trace) -> Grads:
    """The gradient of the total loss, by hand; `trace` is what `forward` gave for the same params, x and state."""
    W, _, W_output = params
    a, y_hat = trace.a, trace.y_hat
    ones = np.ones_like(rows(x)[:, 0])                                         # a bias is the weight of an input of 1

    delta_y_hat = y_hat - y                                                    # layer.delta_y_hat
    delta_output = delta_y_hat * y_hat * (1 - y_hat)                           # layer.delta_output
    delta_a = multiply(delta_output, W_output.T)                               # layer.delta_a
    delta_net = delta_a * (1 - a * a)                                          # layer.delta_net

    grad_W_output = rows(a).T @ rows(delta_output)                             # layer.grad_W_output
    grad_bias     = ones @ rows(delta_net)                                     # layer.grad_bias
    grad_W        = rows(x).T @ rows(delta_net)                                # layer.grad_W
    grad_x        = multiply(delta_net, W.T)                                   # layer.grad_x
    return Grads(
        Params(grad_W, grad_bias, grad_W_output), grad_x, Deltas(delta_y_hat, delta_output, delta_a, delta_net)
    )
