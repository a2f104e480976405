"""An Elman network (Elman, 1990), its loss, and its gradient by backpropagation through time (Werbos, 1990).

Each line that ends in a label is one equation of the derivation, in the derivation's own names.
The same source runs in float32, float64 and complex128, and recorded as a program in every other arithmetic.

    T steps   B batch   I inputs   H hidden units   O outputs        row vectors, time-major

    l(t) = ½ Σ (y_hat(t) - y(t))²     the loss of step t, summed over batch and outputs
    L    = Σ_t l(t)                   the loss

A delta is the derivative of the loss with respect to a pre-activation (Rumelhart, Hinton and Williams, 1986).
That of the hidden layer has two parts: what step t's own loss sends back, and what all later losses send back
through W_hidden. The recursion carries their *sum*: explicit + implicit.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np

from gradlab.manual.gates import multiply, rows, saturating
from gradlab.manual.gates import sigmoid_within as sigmoid

Array = np.ndarray[Any, Any]


class Params(NamedTuple):
    """The weights; also their gradients."""

    W_input:  Annotated[Array, "I H"]
    W_hidden: Annotated[Array, "H H"]
    W_output: Annotated[Array, "H O"]


class State(NamedTuple):
    """The state before step 0; also its gradient."""

    a_initial: Annotated[Array, "B H"]


class Trace(NamedTuple):
    """Every intermediate of a forward pass, at every step."""

    net_hidden: Annotated[Array, "T B H"]
    a_hidden:   Annotated[Array, "T B H"]
    net_output: Annotated[Array, "T B O"]
    y_hat:      Annotated[Array, "T B O"]


class Loss(NamedTuple):
    """l(t) of every step, and their sum L."""

    per_step: Annotated[Array, "T"]
    total:    Any


class Deltas(NamedTuple):
    """Derivatives with respect to the pre-activations: of which losses, and by which intermediate."""

    output:   Annotated[Array, "T B O", "∂L / ∂net_output(t)"]
    explicit: Annotated[Array, "T B H", "∂l(t) / ∂net_hidden(t)"]
    implicit: Annotated[Array, "T B H", "∂l(k>t) / ∂net_hidden(t)"]
    hidden:   Annotated[Array, "T B H", "∂L / ∂net_hidden(t)"]


class Grads(NamedTuple):
    """The gradient of the total loss; each part has the type of what it differentiates by."""

    params: Params
    x:      Annotated[Array, "T B I"]
    state:  State
    deltas: Deltas


@saturating
def forward(params: Params, x: Array, state: State) -> Trace:
    """Run the network over a sequence x (T, B, I) from the state before step 0.

    For K networks at once, x is (T, K, B, I), and each weight and state has a leading axis K or none.
    """
    W_input, W_hidden, W_output = params
    T, dtype = len(x), np.result_type(x, *params, *state)

    net_input = multiply(x, W_input)
    net_hidden = np.empty_like(net_input, dtype)
    a_hidden = np.empty_like(net_input, dtype, shape=(T + 1, *net_input.shape[1:]))
    a_hidden[-1] = state.a_initial                                             # a(-1): one row more than steps
    for t in range(T):
        net_hidden[t] = net_input[t] + multiply(a_hidden[t - 1], W_hidden)     # rnn.net_hidden
        a_hidden[t] = sigmoid(net_hidden[t])                                   # rnn.a_hidden
    a_hidden = a_hidden[:T]

    net_output = multiply(a_hidden, W_output)                                  # rnn.net_output
    y_hat = sigmoid(net_output)                                                # rnn.y_hat
    return Trace(net_hidden, a_hidden, net_output, y_hat)


def loss(y_hat: Array, y: Array) -> Loss:
    """Half the squared error of y_hat against y, both (T, B, O) or both (T, K, B, O): of each step, and their sum."""
    per_step = 0.5 * np.sum((y_hat - y) ** 2, axis=(-2, -1))                   # rnn.loss
    return Loss(per_step, np.sum(per_step, axis=0))


def bptt(params: Params, x: Array, y: Array, state: State, trace: Trace, after: Any = 0) -> Grads:
    """The gradient of the total loss, by hand; `trace` is what `forward` gave for the same params, x and state.

    Where the sequence goes on beyond x, `after` is what the steps after hand back (`handed_back`).
    """
    W_input, W_hidden, W_output = params
    a_hidden, y_hat = trace.a_hidden, trace.y_hat
    a_previous = np.concatenate([state.a_initial[None], a_hidden[:-1]])
    slope = a_hidden * (1 - a_hidden)
    T = len(x)

    delta_output = (y_hat - y) * y_hat * (1 - y_hat)                           # rnn.delta_output
    delta_explicit = multiply(delta_output, W_output.T) * slope                # rnn.delta_explicit
    delta_implicit = np.zeros(slope.shape, slope.dtype)
    delta_hidden = np.zeros((T + 1, *slope.shape[1:]), slope.dtype)
    delta_hidden[T] = after                                                    # delta(T) = 0: no loss comes after
    for t in reversed(range(T)):
        delta_implicit[t] = multiply(delta_hidden[t + 1], W_hidden.T) * slope[t]  # rnn.delta_implicit
        delta_hidden[t] = delta_explicit[t] + delta_implicit[t]                # rnn.delta_hidden
    delta_hidden = delta_hidden[:T]

    grad_W_output  = rows(a_hidden).T @ rows(delta_output)                     # rnn.grad_W_output
    grad_W_hidden  = rows(a_previous).T @ rows(delta_hidden)                   # rnn.grad_W_hidden
    grad_W_input   = rows(x).T @ rows(delta_hidden)                            # rnn.grad_W_input
    grad_x         = multiply(delta_hidden, W_input.T)                         # rnn.grad_x
    grad_a_initial = multiply(delta_hidden[0], W_hidden.T)                     # rnn.grad_a_initial
    return Grads(
        Params(grad_W_input, grad_W_hidden, grad_W_output),
        grad_x,
        State(grad_a_initial),
        Deltas(delta_output, delta_explicit, delta_implicit, delta_hidden),
    )


def last(trace: Trace) -> State:
    """The state after the last step, which is that before the step that follows."""
    return State(trace.a_hidden[-1])


def handed_back(trace: Trace, grads: Grads) -> Array:
    """What a stretch of steps hands back to the step before its first: its delta_hidden(0)."""
    return grads.deltas.hidden[0]
