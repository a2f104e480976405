"""Backpropagation through time in the memory of a few stretches of the sequence (Chen et al., Training deep nets with
sublinear memory cost, 2016): the forward pass keeps the states between stretches and forgets everything else; the
backward pass runs each stretch forward once more, the last stretch first.

    T steps, in stretches of n: T/n states and the intermediates of one stretch are held, least for n ~ √T.
    Time: one forward more.

It is the cell's own `forward`, `loss` and `bptt` that run; nothing is derived anew. A stretch takes from the one after
it what that one `handed_back`.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isqrt
from types import ModuleType
from typing import Annotated, Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]


class Stretch(NamedTuple):
    """Steps `steps` of a sequence, and what `loss` and `bptt` give there. Its params are its own share of the sum."""

    steps: slice
    trace: Any
    loss:  Any
    grads: Any


class Gradient(NamedTuple):
    """The loss and its gradient over the whole sequence; of the type of the cell's own, but with no deltas."""

    per_step: Annotated[Array, "T"]
    total:    Any
    params:   Any
    x:        Annotated[Array, "T B I"]
    state:    Any


def stretches(
    cell: ModuleType, params: Any, x: Array, y: Array, state: Any, length: int | None = None
) -> Iterator[Stretch]:
    """Every stretch of a sequence, the last one first; `grads.state` of the one at step 0 is that of the sequence.

    Args:
        cell: a module of this package with `bptt`: rnn, lstm or gru.
        params, x, y, state: as its `forward` and `loss` take them.
        length: steps in a stretch, at least 1; by default √T, rounded up.

    Raises:
        ValueError: length is less than 1.
    """
    T = len(x)
    length = isqrt(max(T - 1, 0)) + 1 if length is None else length
    if length < 1:
        raise ValueError(f"length = {length}: a stretch has at least 1 step")
    parts = [slice(start, min(start + length, T)) for start in range(0, T, length)]
    states = [state]
    for steps in parts[:-1]:
        ended = cell.last(cell.forward(params, x[steps], states[-1]))
        states.append(type(ended)(*(z.copy() for z in ended)))  # a view would keep all of the trace
    after: Any = 0
    while parts:
        steps, before = parts.pop(), states.pop()
        trace = cell.forward(params, x[steps], before)
        grads = cell.bptt(params, x[steps], y[steps], before, trace, after)
        after = cell.handed_back(trace, grads).copy()
        yield Stretch(steps, trace, cell.loss(trace.y_hat, y[steps]), grads)
        del trace, grads                                                       # before the next are made


def gradient(cell: ModuleType, params: Any, x: Array, y: Array, state: Any, length: int | None = None) -> Gradient:
    """The loss of a sequence and its gradient by params, x and state; arguments and errors as for `stretches`."""
    per_step: list[Array] = []
    grad_x: list[Array] = []
    grad_params, grad_state = [0] * len(params), state
    for _, _, loss, grads in stretches(cell, params, x, y, state, length):
        per_step.insert(0, loss.per_step)
        grad_x.insert(0, grads.x)
        grad_params = [sofar + share for sofar, share in zip(grad_params, grads.params, strict=True)]
        grad_state = type(state)(*(grad.copy() for grad in grads.state))
    losses = np.concatenate(per_step)
    return Gradient(losses, np.sum(losses, axis=0), type(params)(*grad_params), np.concatenate(grad_x), grad_state)
