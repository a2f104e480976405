"""The cell's own NumPy forward at nudged points: every coordinate of every array, as many as fit in one batched run.

    T steps   B batch   C coordinates   S sizes of nudge   N networks at once, one for each coordinate and size

A weight of many rows is not copied N times: of x @ (W + h e_i e_jᵀ) the first term is one product for all networks, and
the second adds h x_i in column j. Others are nudged in a stack of copies, (N, …). What belongs to one sample (an input,
an initial state, a pre-activation) is nudged in all samples at once, because no sample sees another and each has its
own losses.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradlab.cells import Cell
from gradlab.equations import nudged
from gradlab.problem import Inputs

Array = np.ndarray[Any, Any]

# Numbers in one chunk's products and losses: 128 KiB of floats. Larger arrays fall out of the second-level cache
# between one step and the next, and are handed back to the system and faulted in again at each.
CHUNK = 1 << 14

# Of fewer rows a stack of copies costs little, and the term more that a nudge adds would weigh among the others.
MANY_ROWS = 16


class _Nudged:
    """A weight (I, H) of N networks, with one entry nudged in some of them; it stands on the right of a product.

    rows: which networks, (n,). at: the entry nudged in each. step: by how much.
    """

    __array_ufunc__ = None  # NumPy's product leaves it to __rmatmul__
    ndim = 3

    def __init__(self, weight: Array, rows: Array, at: tuple[Array, ...], step: Array) -> None:
        self.weight, self.rows, self.at, self.step = weight.astype(step.dtype), rows, at, step
        self.dtype = step.dtype

    def __rmatmul__(self, inputs: Array) -> Array:
        """inputs (…, N, B, I) -> (…, N, B, H)."""
        i, j = self.at
        found = inputs.reshape(-1, inputs.shape[-1]).dot(self.weight).reshape(*inputs.shape[:-1], self.weight.shape[1])
        moved = inputs[..., self.rows, :, i]  # (n, …, B): NumPy puts what two separate arrays choose in front
        found[..., self.rows, :, j] += self.step.reshape(-1, *[1] * (moved.ndim - 1)) * moved
        return found

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """np.result_type, and nothing else, takes it for an array."""
        if function is not np.result_type:
            return NotImplemented
        return np.result_type(*(arg.dtype if isinstance(arg, _Nudged) else arg for arg in args))


def _apart(shape: tuple[int, ...]) -> bool:
    """Whether the nudges of a weight are a term apart."""
    return len(shape) == 2 and shape[0] >= MANY_ROWS


def rounds_more(shape: tuple[int, ...]) -> float:
    """How many times the derived bound a product with a nudged weight may round.

    The bound counts m products and m - 1 sums of m terms; a nudge apart is one product and one sum more.
    """
    return 1 + 2 / shape[0] if _apart(shape) else 1.0


class _Rows(NamedTuple):
    """Nudges of one array: the sizes of them, and where each is. The rows of the run are start, start + 1, …"""

    name: str
    start: int
    step: Array
    at: tuple[Array, ...]

    @property
    def rows(self) -> Array:
        return np.arange(self.start, self.start + len(self.step))


def differentiable(cell: Cell, inputs: Inputs) -> dict[str, tuple[int, ...]]:
    """The shape of everything that the loss can be differentiated by: weights, x, states, nudged intermediates."""
    sizes = dict(zip("TBI", inputs.x.shape, strict=True))
    shapes = {name: array.shape for name, array in inputs.named()}
    trace = cell.code.forward(inputs.params, inputs.x, inputs.state)
    return shapes | {name: (sizes["T"], *getattr(trace, name).shape[1:]) for name in cell.nudges}


def nudged_losses(
    cell: Cell, inputs: Inputs, shapes: Mapping[str, tuple[int, ...]], nudges: Mapping[str, Sequence[Any]]
) -> dict[str, Array]:
    """The loss of every step when one coordinate of one of the named arrays is nudged.

    Args:
        shapes: the arrays' shapes, as `differentiable` gives them.
        nudges: for each the sizes of its nudge, real or complex: as many for one as for another.

    Returns:
        (S, T, *shape) for each: entry [s, k, i…] is l(k), of the sample it belongs to or summed over all samples for a
        weight, when coordinate i… is nudged by nudges[s].
    """
    T, B, _ = inputs.x.shape
    weights = set(inputs.params._fields)
    found: dict[str, list[Array]] = {name: [] for name in shapes}
    for chunk in _chunks(shapes, nudges, weights, T, B):
        losses = _losses(cell, inputs, shapes, chunk)
        for part in chunk:
            of = losses[:, part.rows]
            found[part.name].append(of.sum(axis=-1) if part.name in weights else of)
    return {
        name: _in_shape(np.concatenate(parts, axis=1), shapes[name], name in weights) for name, parts in found.items()
    }


def _in_shape(losses: Array, shape: tuple[int, ...], weight: bool) -> Array:
    """(T, S·C) or (T, S·C, B) -> (S, T, *shape)."""
    if weight:
        return losses.reshape(len(losses), -1, *shape).swapaxes(0, 1)
    losses = losses.reshape(len(losses), -1, *_one_sample(shape), shape[-2])
    return np.moveaxis(losses, -1, -2).swapaxes(0, 1)


def _one_sample(shape: tuple[int, ...]) -> tuple[int, ...]:
    """(…, B, n) -> (…, n)."""
    return (*shape[:-2], shape[-1])


def _chunks(
    shapes: Mapping[str, tuple[int, ...]], nudges: Mapping[str, Sequence[Any]], weights: set[str], T: int, B: int
) -> Iterator[list[_Rows]]:
    """All nudges of all arrays, cut where a run would grow too large."""
    chunk: list[_Rows] = []
    used, stacked = 0, T * B
    for name, shape in shapes.items():
        coordinates = shape if name in weights else _one_sample(shape)
        C = math.prod(coordinates)
        own = (B * max(shape) if _apart(shape) else C) if name in weights else 0  # of a product, or of the stack
        size, coordinate = np.divmod(np.arange(C * len(nudges[name])), C)
        step, at = np.asarray(nudges[name])[size], np.unravel_index(coordinate, coordinates)
        start = 0
        while start < len(step):
            room = CHUNK // (stacked + own) - used
            if chunk and room < min(len(step) - start, CHUNK // (T * B + own)):
                yield chunk
                chunk, used, stacked = [], 0, T * B
                continue
            part = slice(start, start + max(1, room))
            chunk.append(_Rows(name, used, step[part], tuple(axis[part] for axis in at)))
            used, stacked, start = used + len(chunk[-1].step), stacked + own, start + len(chunk[-1].step)
    yield chunk


def _losses(cell: Cell, inputs: Inputs, shapes: Mapping[str, tuple[int, ...]], chunk: list[_Rows]) -> Array:
    """(T, N, B): the losses of every network's samples."""
    T, B, _ = inputs.x.shape
    N, dtype = sum(len(part.step) for part in chunk), chunk[0].step.dtype
    # Copies only of what is nudged; inputs in the nudges' arithmetic, so that all that comes of them is.
    x = inputs.x.astype(dtype)[:, None]
    state = {name: z.astype(dtype)[None] for name, z in inputs.state._asdict().items()}
    copied: dict[str, Any] = {
        name: np.broadcast_to(z, (*z.shape[:-3], N, *z.shape[-2:])) for name, z in (state | {"x": x}).items()
    }
    nudges: dict[str, Array] = {}
    if any(part.name in cell.nudges for part in chunk):
        zero = np.zeros((), dtype)
        nudges = {name: np.broadcast_to(zero, (T, N, B, shapes[name][-1])) for name in cell.nudges if name in shapes}
    for part in chunk:
        if part.name in inputs.params._fields:
            weight = getattr(inputs.params, part.name)
            if _apart(weight.shape):
                copied[part.name] = _Nudged(weight, part.rows, part.at, part.step)
                continue
            copied[part.name] = np.repeat(weight[None].astype(dtype), N, axis=0)
            copied[part.name][(part.rows, *part.at)] += part.step
            continue
        of = nudges if part.name in nudges else copied
        of[part.name] = of[part.name].copy()
        # (t, row) or (row,) of each copy, and its unit; the slice in between nudges all samples.
        place: tuple[Any, ...] = (*part.at[:-1], part.rows, slice(None), part.at[-1])
        of[part.name][place] += part.step[:, None]
    for name in copied:
        inputs = inputs.with_array(name, copied[name])
    forward = nudged(cell.code.forward, tuple(nudges))
    y_hat = forward(inputs.params, inputs.x, inputs.state, nudges=nudges).y_hat
    y = np.broadcast_to(inputs.y[:, None], y_hat.shape)
    apart = (T, N * B, 1, y_hat.shape[-1])
    return cell.code.loss(y_hat.reshape(apart), y.reshape(apart)).per_step.reshape(T, N, B)


def nudged_intermediate(cell: Cell, inputs: Inputs, of: str, weight: str, nudges: Sequence[Any]) -> Array:
    """One intermediate of every step when one coordinate of a weight is nudged.

    Returns:
        (S, T, B, n, *shape of the weight), where the intermediate is (T, B, n).
    """
    T, B, _ = inputs.x.shape
    shape = getattr(inputs.params, weight).shape
    coordinates = int(np.prod(shape))
    parts = []
    own = max(shape) if _apart(shape) else coordinates
    rows, most = coordinates * len(nudges), max(1, CHUNK // (max(own, T) * B))
    for start in range(0, rows, most):
        size, coordinate = np.divmod(np.arange(start, min(rows, start + most)), coordinates)
        given = _nudged_weight(inputs, weight, np.unravel_index(coordinate, shape), np.asarray(nudges)[size])
        parts.append(getattr(cell.code.forward(given.params, given.x, given.state), of))
    found = np.concatenate(parts, axis=1)
    found = found.reshape(T, len(nudges), coordinates, B, -1)
    return found.transpose(1, 0, 3, 4, 2).reshape(len(nudges), T, B, -1, *shape)


def _nudged_weight(inputs: Inputs, name: str, at: tuple[Array, ...], step: Array) -> Inputs:
    """One nudge of a weight (I, H) in each of N networks."""
    N = len(step)
    weight: Any = getattr(inputs.params, name)
    if _apart(weight.shape):
        weight = _Nudged(weight, np.arange(N), at, step)
    else:
        weight = np.repeat(weight[None].astype(step.dtype), N, axis=0)
        weight[(np.arange(N), *at)] += step
    x = np.broadcast_to(inputs.x.astype(step.dtype)[:, None], (len(inputs.x), N, *inputs.x.shape[1:]))
    return inputs._replace(x=x, y=inputs.y[:, None]).with_array(name, weight)
