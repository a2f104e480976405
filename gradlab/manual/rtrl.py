"""An Elman network (Elman, 1990), its loss, and its gradient by real-time recurrent learning (Williams and Zipser,
Neural Computation 1, 1989), which carries derivatives forward through time: nothing here waits for a later step.

Each line that ends in a label is one equation of the derivation, in the derivation's own names.
The same source runs in float32, float64 and complex128, and recorded as a program in every other arithmetic.

    T steps   B batch   I inputs   H hidden units   O outputs        row vectors, time-major

    l(t) = ½ Σ (y_hat(t) - y(t))²     the loss of step t, summed over batch and outputs
    L    = Σ_t l(t)                   the loss

    net_by_W = ∂net_hidden(t)/∂W      a_by_W = ∂a_hidden(t)/∂W       the sensitivities, for W = W_input, W_hidden

A sensitivity has the axes of the weight, and at each entry the row vector of the H derivatives by it: entry
[t, b, i, j, k] is the derivative of unit k by W[i, j]. So the recursion multiplies rows by W_hidden as forward does:

    ∂net_hidden(t)/∂W_hidden = a(t-1) ⊗ 1 + ∂a(t-1)/∂W_hidden · W_hidden

The first term is the immediate one, W_hidden's use at step t itself: W[i, j] feeds unit j alone, with a_i(t-1), so it
is an outer product with the unit matrix; a_hidden(t-1) alone, as in the seeds, does not even have the shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, NamedTuple

import numpy as np

from gradlab.manual.gates import multiply, sigmoid

Array = np.ndarray[Any, Any]


class Params(NamedTuple):
    """The weights; also their gradients."""

    W_input:  Annotated[Array, "I H"]
    W_hidden: Annotated[Array, "H H"]
    W_output: Annotated[Array, "H O"]


class State(NamedTuple):
    """The state before step 0."""

    a_initial: Annotated[Array, "B H", "a_hidden(-1)"]


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
    """Derivatives of each step's own loss with respect to the pre-activations."""

    output:   Annotated[Array, "T B O", "∂l(t) / ∂net_output(t)"]
    explicit: Annotated[Array, "T B H", "∂l(t) / ∂net_hidden(t)"]


class Immediate(NamedTuple):
    """What a weight's use at step t itself does to the pre-activation, the state before step t held."""

    W_input:  Annotated[Array, "T B I H H", "∂net_hidden(t) / ∂W_input(t)"]
    W_hidden: Annotated[Array, "T B H H H", "∂net_hidden(t) / ∂W_hidden(t)"]


class NetBy(NamedTuple):
    """The sensitivities of the pre-activation: to a weight, through its uses at this and all earlier steps."""

    W_input:  Annotated[Array, "T B I H H", "∂net_hidden(t) / ∂W_input"]
    W_hidden: Annotated[Array, "T B H H H", "∂net_hidden(t) / ∂W_hidden"]


class ActivationBy(NamedTuple):
    """The sensitivities of the state: all that is carried from one step to the next."""

    W_input:  Annotated[Array, "T B I H H", "∂a_hidden(t) / ∂W_input"]
    W_hidden: Annotated[Array, "T B H H H", "∂a_hidden(t) / ∂W_hidden"]


class StepGrads(NamedTuple):
    """The gradient of each step's own loss, known at that step."""

    W_input:  Annotated[Array, "T I H", "∂l(t) / ∂W_input"]
    W_hidden: Annotated[Array, "T H H", "∂l(t) / ∂W_hidden"]
    W_output: Annotated[Array, "T H O", "∂l(t) / ∂W_output"]


class Grads(NamedTuple):
    """The gradient of the total loss by the weights, and what it is made of. There is none by x or by the state."""

    params:     Params
    deltas:     Deltas
    immediate:  Immediate
    net_by:     NetBy
    a_by:       ActivationBy
    step_grads: StepGrads


# The sensitivities of the state before the first step: no weight has been used yet.
UNUSED = ActivationBy(np.zeros(()), np.zeros(()))


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
        net_hidden[t] = net_input[t] + multiply(a_hidden[t - 1], W_hidden)     # rtrl.net_hidden
        a_hidden[t] = sigmoid(net_hidden[t])                                   # rtrl.a_hidden
    a_hidden = a_hidden[:T]

    net_output = multiply(a_hidden, W_output)                                  # rtrl.net_output
    y_hat = sigmoid(net_output)                                                # rtrl.y_hat
    return Trace(net_hidden, a_hidden, net_output, y_hat)


def loss(y_hat: Array, y: Array) -> Loss:
    """Half the squared error of y_hat against y, both (T, B, O) or both (T, K, B, O): of each step, and their sum."""
    per_step = 0.5 * np.sum((y_hat - y) ** 2, axis=(-2, -1))                   # rtrl.loss
    return Loss(per_step, np.sum(per_step, axis=0))


def rtrl(params: Params, x: Array, y: Array, state: State, trace: Trace, before: ActivationBy = UNUSED) -> Grads:
    """The gradient of each step's loss and of their sum, by hand; `trace` is what `forward` gave for the same.

    `before` are the sensitivities of the state before step 0, (B, I, H, H) and (B, H, H, H).
    """
    W_input, W_hidden, W_output = params
    a_hidden, y_hat = trace.a_hidden, trace.y_hat
    a_previous = np.concatenate([state.a_initial[None], a_hidden[:-1]])
    slope = a_hidden * (1 - a_hidden)
    T, unit = len(x), np.eye(len(W_hidden), dtype=W_hidden.dtype)

    delta_output = (y_hat - y) * y_hat * (1 - y_hat)                           # rtrl.delta_output
    delta_explicit = multiply(delta_output, W_output.T) * slope                # rtrl.delta_explicit

    immediate_W_input  = np.einsum("tbi,jk->tbijk", x, unit)                   # rtrl.immediate_W_input
    immediate_W_hidden = np.einsum("tbi,jk->tbijk", a_previous, unit)          # rtrl.immediate_W_hidden
    net_by_W_input, net_by_W_hidden = np.zeros_like(immediate_W_input), np.zeros_like(immediate_W_hidden)
    a_by_W_input  = np.zeros_like(net_by_W_input, shape=(T + 1, *net_by_W_input.shape[1:]))
    a_by_W_hidden = np.zeros_like(net_by_W_hidden, shape=(T + 1, *net_by_W_hidden.shape[1:]))
    a_by_W_input[-1], a_by_W_hidden[-1] = before                               # of a(-1): one row more than steps
    for t in range(T):
        net_by_W_input[t]  = immediate_W_input[t]  + multiply(a_by_W_input[t - 1],  W_hidden)  # rtrl.net_by_W_input
        net_by_W_hidden[t] = immediate_W_hidden[t] + multiply(a_by_W_hidden[t - 1], W_hidden)  # rtrl.net_by_W_hidden
        a_by_W_input[t]  = net_by_W_input[t]  * slope[t, :, None, None]        # rtrl.a_by_W_input
        a_by_W_hidden[t] = net_by_W_hidden[t] * slope[t, :, None, None]        # rtrl.a_by_W_hidden

    step_grad_W_input  = np.einsum("tbijk,tbk->tij", net_by_W_input, delta_explicit)   # rtrl.step_grad_W_input
    step_grad_W_hidden = np.einsum("tbijk,tbk->tij", net_by_W_hidden, delta_explicit)  # rtrl.step_grad_W_hidden
    step_grad_W_output = np.einsum("tbh,tbo->tho", a_hidden, delta_output)     # rtrl.step_grad_W_output
    grad_W_input  = np.sum(step_grad_W_input, axis=0)                          # rtrl.grad_W_input
    grad_W_hidden = np.sum(step_grad_W_hidden, axis=0)                         # rtrl.grad_W_hidden
    grad_W_output = np.sum(step_grad_W_output, axis=0)                         # rtrl.grad_W_output
    return Grads(
        Params(grad_W_input, grad_W_hidden, grad_W_output), Deltas(delta_output, delta_explicit),
        Immediate(immediate_W_input, immediate_W_hidden), NetBy(net_by_W_input, net_by_W_hidden),
        ActivationBy(a_by_W_input[:T], a_by_W_hidden[:T]),
        StepGrads(step_grad_W_input, step_grad_W_hidden, step_grad_W_output),
    )


def online(params: Params, steps: Iterable[tuple[Array, Array]], state: State) -> Iterator[Params]:
    """The gradient of each l(t) as soon as x(t) (B, I) and y(t) (B, O) are there, for as long as they come.

    Between two steps it keeps the state and its sensitivities and nothing else: memory does not grow with time.
    """
    before = UNUSED
    for x, y in steps:
        trace = forward(params, x[None], state)
        grads = rtrl(params, x[None], y[None], state, trace, before)
        state, before = State(trace.a_hidden[0]), ActivationBy(*(carried[0] for carried in grads.a_by))
        yield grads.params
