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
    given = _Padded(params, state, x, y, axes, pad)
    zeros = {name: np.zeros([given.padded[letter] for letter in axes[name]]) for name in nudges}
    cut = given.cut
    with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
        results = _derivatives(cell, *given.network, zeros, *given.targets)
        trace, loss, grads, deltas = jax.device_get(results)
    return Twin(
        {name: cut(array, axes[name]) for name, array in trace.items()},
        cut(loss, ("T",)),
        {name: cut(array, axes[name]) for name, array in grads.items()},
        {name: {part: cut(a, axes[name]) for part, a in parts.items()} for name, parts in deltas.items()},
    )


def sensitivities(
    cell: str,
    params: Arrays,
    state: Arrays,
    x: Array,
    y: Array,
    axes: Axes,
    wanted: Mapping[str, tuple[str, str, str]],
    pad: bool = True,
) -> dict[str, Array]:
    """Differentiate forward (`jax.jacfwd`) by weights: each step's loss, and intermediates of every step and sample.

    Args:
        wanted: (of, by, uses) by name: an intermediate or "" for the losses, a weight, and "all" for its uses at all
            steps or "own" for the one at the intermediate's own step, the state before it held.

    Returns:
        (T, *by) for the losses, (T, B, *by, …) for an intermediate (T, B, …).
    """
    axes = dict(axes) | {"x": ("T", "B", "I"), "y": ("T", "B", "O")}
    given = _Padded(params, state, x, y, axes, pad)
    with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
        jacobians = jax.device_get(_jacobians(cell, frozenset(wanted.values()), *given.network, *given.targets))
    found = {}
    for name, (of, by, uses) in wanted.items():
        letters = axes[of] if of else ("T",)
        cut = given.cut(jacobians[uses][of][by], letters + axes[by])
        found[name] = np.moveaxis(cut, 2, -1) if of else cut
    return found


class _Padded:
    """A problem's arrays, padded to a bucket of sizes, and the way back.

    network: params, state and x. targets: y, and a mask that is 1 at its real entries.
    """

    def __init__(self, params: Arrays, state: Arrays, x: Array, y: Array, axes: Axes, pad: bool) -> None:
        arrays = dict(params) | dict(state) | {"x": x, "y": y}
        self.sizes = {letter: n for name, a in arrays.items() for letter, n in zip(axes[name], a.shape, strict=True)}
        self.padded = {letter: _bucket(letter, n) if pad else n for letter, n in self.sizes.items()}
        fitted = {name: self.fit(array, axes[name]) for name, array in arrays.items()}
        self.network = *({name: fitted[name] for name in group} for group in (params, state)), fitted["x"]
        self.targets = fitted["y"], self.fit(np.ones(y.shape), axes["y"])

    def fit(self, array: Array, letters: tuple[str, ...]) -> Array:
        room = [(0, self.padded[letter] - n) for letter, n in zip(letters, array.shape, strict=True)]
        return np.pad(np.asarray(array, np.float64), room)

    def cut(self, array: Any, letters: tuple[str, ...]) -> Array:
        return np.asarray(array)[tuple(slice(self.sizes[letter]) for letter in letters)]


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


@partial(jax.jit, static_argnums=(0, 1))
def _jacobians(
    cell: str, wanted: frozenset[tuple[str, str, str]], params: Any, state: Any, x: Any, y: Any, mask: Any
) -> Any:
    """{uses: {of: {by: Jacobian}}}; the losses are of ""."""
    step = getattr(cells, cell)

    def run(weights: Any) -> tuple[Any, Any]:
        """Every intermediate and loss by name, and the states before each step."""

        def scanned(carry: Any, at_t: jax.Array) -> tuple[Any, Any]:
            after, trace = step(params | weights, carry, at_t, {})
            return after, (trace, carry)

        _, (trace, before) = jax.lax.scan(scanned, state, x)
        return trace | {"": 0.5 * jnp.sum(mask * (trace["y_hat"] - y) ** 2, axis=(1, 2))}, before

    def picked(values: Any, uses: str) -> Any:
        return {of: values[of] for of, _, each in wanted if each == uses}

    weights = {by: params[by] for _, by, _ in wanted}
    _, before = run({})

    def alone(weights: Any) -> Any:
        return picked(jax.vmap(lambda state, x: step(params | weights, state, x, {})[1])(before, x), "own")

    def together(weights: Any) -> Any:
        return picked(run(weights)[0], "all")

    return {"all": jax.jacfwd(together)(weights), "own": jax.jacfwd(alone)(weights)}
