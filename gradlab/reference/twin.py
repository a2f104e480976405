"""The twin's loss and all its derivatives, float64, for any cell in `gradlab.reference.cells`.

Compiling costs some hundred milliseconds for each shape, so every problem is padded to a bucket of sizes: zero
weights for the padded units, zero inputs, and a mask that takes padded steps, batch entries and outputs out of the
loss. The derivatives at the real coordinates are those of the unpadded problem.

The explicit and implicit deltas come from the Jacobian of the *per-step* losses with respect to the nudges (own loss:
its diagonal; later losses: what lies above), without the recursion that they are to check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gradlab.reference import cells

Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Array]
Axes = Mapping[str, tuple[str, ...]]

SMALLEST_BUCKET = {"T": 8, "B": 4, "I": 4, "H": 4, "O": 4}


class Twin(NamedTuple):
    """What the twin computes, NumPy float64, unpadded.

    trace: every intermediate, (T, B, …). loss: per step, (T,). grads: by params, x and states.
    deltas: for each nudged intermediate the derivatives "all", "own" and "later", each (T, B, …).
    """

    trace: dict[str, Array]
    loss: Array
    grads: dict[str, Array]
    deltas: dict[str, dict[str, Array]]


def differentiate(
    cell: str, params: Arrays, state: Arrays, x: Array, y: Array, axes: Axes, nudges: Sequence[str], pad: bool = True
) -> Twin:
    """Run the twin of `cell` and differentiate its loss.

    Args:
        cell: the name of a function in `gradlab.reference.cells`.
        params, state: arrays by name.
        x: (T, B, I). y: (T, B, O).
        axes: the axis letters of every array in params and state and of every intermediate, by name.
        nudges: the intermediates to differentiate by.
        pad: whether to pad to a bucket (the default) or to compile for these very sizes.
    """
    axes = dict(axes) | {"x": ("T", "B", "I"), "y": ("T", "B", "O")}
    arrays = dict(params) | dict(state) | {"x": x, "y": y}
    sizes = {letter: n for name, a in arrays.items() for letter, n in zip(axes[name], a.shape, strict=True)}
    padded = {letter: _bucket(letter, n) if pad else n for letter, n in sizes.items()}

    def fit(array: Array, letters: tuple[str, ...]) -> Array:
        room = [(0, padded[letter] - n) for letter, n in zip(letters, array.shape, strict=True)]
        return np.pad(np.asarray(array, np.float64), room)

    def cut(array: Any, letters: tuple[str, ...]) -> Array:
        return np.asarray(array)[tuple(slice(sizes[letter]) for letter in letters)]

    mask = fit(np.ones(y.shape), axes["y"])
    zeros = {name: np.zeros([padded[letter] for letter in axes[name]]) for name in nudges}
    fitted = {name: fit(array, axes[name]) for name, array in arrays.items()}
    given = [{name: fitted[name] for name in group} for group in (params, state)]
    with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
        results = _derivatives(cell, *given, fitted["x"], zeros, fitted["y"], mask)
        trace, loss, grads, deltas = jax.device_get(results)
    return Twin(
        {name: cut(array, axes[name]) for name, array in trace.items()},
        cut(loss, ("T",)),
        {name: cut(array, axes[name]) for name, array in grads.items()},
        {name: {part: cut(a, axes[name]) for part, a in parts.items()} for name, parts in deltas.items()},
    )


def _bucket(letter: str, n: int) -> int:
    """The next power of two, so that a run over many shapes compiles a handful of times; other axes stay."""
    smallest = SMALLEST_BUCKET.get(letter)
    return n if smallest is None else max(smallest, 1 << (n - 1).bit_length())


@partial(jax.jit, static_argnums=0)
def _derivatives(cell: str, params: Any, state: Any, x: Any, nudges: Any, y: Any, mask: Any) -> Any:
    step = getattr(cells, cell)

    def losses(inputs: Any, nudges: Any) -> tuple[jax.Array, Any]:
        params, state, x = inputs

        def scanned(carry: Any, at_t: Any) -> tuple[Any, Any]:
            return step(params, carry, *at_t)

        _, trace = jax.lax.scan(scanned, state, (x, nudges))
        return 0.5 * jnp.sum(mask * (trace["y_hat"] - y) ** 2, axis=(1, 2)), trace

    per_step, pull, trace = jax.vjp(losses, (params, state, x), nudges, has_aux=True)
    (grad_params, grad_state, grad_x), total = pull(jnp.ones_like(per_step))

    def accumulate(later: Any, k: jax.Array) -> tuple[Any, Any]:
        """One row of the Jacobian: l(k) by the nudges of every step; those of steps before k count as later."""
        row = pull(jnp.zeros_like(per_step).at[k].set(1.0))[1]
        before = jnp.arange(len(per_step)) < k

        def masked(z: jax.Array) -> jax.Array:
            return jnp.where(before.reshape(-1, *[1] * (z.ndim - 1)), z, 0.0)

        return jax.tree.map(lambda sofar, z: sofar + masked(z), later, row), jax.tree.map(lambda z: z[k], row)

    later, own = jax.lax.scan(accumulate, jax.tree.map(jnp.zeros_like, nudges), jnp.arange(len(per_step)))
    deltas = {name: {"all": total[name], "own": own[name], "later": later[name]} for name in nudges}
    return trace, per_step, grad_params | grad_state | {"x": grad_x}, deltas
