"""The cell's own NumPy forward at nudged points: every coordinate of one array in one batched run.

    T steps   B batch   C coordinates   S sizes of nudge   N rows = S·C or S·C·B

A weight is nudged in a stack of copies, (N, …). What belongs to one sample (an input, an initial state, a
pre-activation) is nudged in all samples at once, each as a batch of its own, because no sample sees another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gradlab.cells import Cell
from gradlab.equations import nudged
from gradlab.problem import Inputs

Array = np.ndarray[Any, Any]

# Numbers in one chunk's states or weights: 128 KiB of floats. Larger arrays fall out of the second-level cache between
# one step and the next, and are handed back to the system and faulted in again at each.
CHUNK = 1 << 14


def differentiable(cell: Cell, inputs: Inputs) -> dict[str, tuple[int, ...]]:
    """The shape of everything that the loss can be differentiated by: weights, x, states, nudged intermediates."""
    sizes = dict(zip("TBI", inputs.x.shape, strict=True))
    shapes = {name: array.shape for name, array in inputs.named()}
    trace = cell.code.forward(inputs.params, inputs.x, inputs.state)
    return shapes | {name: (sizes["T"], *getattr(trace, name).shape[1:]) for name in cell.nudges}


def nudged_losses(cell: Cell, inputs: Inputs, name: str, shape: tuple[int, ...], nudges: Sequence[Any]) -> Array:
    """The loss of every step when one coordinate of the named array is nudged.

    Args:
        shape: the array's shape, as `differentiable` gives it.
        nudges: the sizes of the nudge, real or complex.

    Returns:
        (S, T, *shape): entry [s, k, i…] is l(k), of the sample it belongs to or summed over all samples for a weight,
        when coordinate i… is nudged by nudges[s].
    """
    weight = name in inputs.params._fields
    per_sample = shape if weight else tuple(n for axis, n in enumerate(shape) if axis != len(shape) - 2)
    T, B, _ = inputs.x.shape
    coordinates = int(np.prod(per_sample))
    parts = []
    for chunk in _chunks(coordinates * len(nudges), T, 1 if not weight else coordinates, B):
        size, coordinate = np.divmod(chunk, coordinates)
        step = np.asarray(nudges)[size]
        run = _nudge_weight if weight else _nudge_samples
        parts.append(run(cell, inputs, name, np.unravel_index(coordinate, per_sample), step))
    losses = np.concatenate(parts, axis=1)
    if weight:
        return np.moveaxis(losses.reshape(T, len(nudges), *shape), 0, 1)
    losses = losses.reshape(T, len(nudges), *per_sample, B)
    return np.moveaxis(np.moveaxis(losses, -1, -2), 0, 1)


def nudged_intermediate(cell: Cell, inputs: Inputs, of: str, weight: str, nudges: Sequence[Any]) -> Array:
    """One intermediate of every step when one coordinate of a weight is nudged.

    Returns:
        (S, T, B, n, *shape of the weight), where the intermediate is (T, B, n).
    """
    T, B, _ = inputs.x.shape
    shape = getattr(inputs.params, weight).shape
    coordinates = int(np.prod(shape))
    parts = []
    for chunk in _chunks(coordinates * len(nudges), T, coordinates, B):
        size, coordinate = np.divmod(chunk, coordinates)
        given = _nudged_weight(inputs, weight, np.unravel_index(coordinate, shape), np.asarray(nudges)[size])
        parts.append(getattr(cell.code.forward(given.params, given.x, given.state), of))
    found = np.concatenate(parts, axis=1)
    found = found.reshape(T, len(nudges), coordinates, B, -1)
    return found.transpose(1, 0, 3, 4, 2).reshape(len(nudges), T, B, -1, *shape)


def _chunks(rows: int, steps: int, per_row: int, batch: int) -> Iterator[Array]:
    size = max(1, CHUNK // (max(per_row, steps) * batch))
    for start in range(0, rows, size):
        yield np.arange(start, min(rows, start + size))


def _nudge_weight(cell: Cell, inputs: Inputs, name: str, at: tuple[Array, ...], step: Array) -> Array:
    """A stack of copies of one weight, one nudge in each -> losses (T, N)."""
    return _losses(cell, _nudged_weight(inputs, name, at, step), {})


def _nudged_weight(inputs: Inputs, name: str, at: tuple[Array, ...], step: Array) -> Inputs:
    """A stack of copies of one weight, one nudge in each, for K = N networks at once."""
    N = len(step)
    weight = np.repeat(getattr(inputs.params, name)[None].astype(step.dtype), N, axis=0)
    weight[(np.arange(N), *at)] += step
    x = np.broadcast_to(inputs.x[:, None], (len(inputs.x), N, *inputs.x.shape[1:])).astype(step.dtype)
    return inputs._replace(x=x, y=inputs.y[:, None]).with_array(name, weight)


def _nudge_samples(cell: Cell, inputs: Inputs, name: str, at: tuple[Array, ...], step: Array) -> Array:
    """Every sample a batch of its own, repeated for every nudge -> losses (T, N·B)."""
    T, B, _ = inputs.x.shape
    N = len(step)

    def spread(z: Array) -> Array:
        """(…, B, n) -> (…, N, B, n), each copy its own."""
        return np.repeat(z[..., None, :, :], N, axis=-3).astype(step.dtype)

    def stacked(z: Array) -> Array:
        """(…, N, B, n) -> (…, N·B, 1, n)."""
        return z.reshape(*z.shape[:-3], N * B, 1, z.shape[-1])

    arrays = {"x": spread(inputs.x)} | {n: spread(z) for n, z in inputs.state._asdict().items()}
    if name not in arrays:
        trace = cell.code.forward(inputs.params, inputs.x, inputs.state)
        arrays[name] = spread(np.zeros_like(getattr(trace, name)))
    # (t, unit) or (unit,) of each copy; the slice in between nudges all samples.
    arrays[name][(*at[:-1], np.arange(N), slice(None), at[-1])] += step[:, None]
    arrays = {n: stacked(z) for n, z in arrays.items()}
    state = type(inputs.state)(**{n: arrays[n] for n in inputs.state._fields})
    y = stacked(spread(inputs.y).real if np.iscomplexobj(step) else spread(inputs.y))
    nudges = {name: arrays[name]} if name in cell.nudges else {}
    return _losses(cell, Inputs(inputs.params, arrays["x"], y, state), nudges)


def _losses(cell: Cell, inputs: Inputs, nudges: dict[str, Array]) -> Array:
    forward = nudged(cell.code.forward, tuple(nudges))
    trace = forward(inputs.params, inputs.x, inputs.state, nudges=nudges)
    return cell.code.loss(trace.y_hat, inputs.y).per_step
