"""What the gradients of programs are held against: derivatives of their twins in jax.numpy, in float64.

    python -m programs.truth FIRST LAST

prints, of the programs of these seeds, how far the hand-written gradients are from them.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from programs import Program, program


def true_gradient(given: Program) -> tuple[float, Any]:
    """The loss of the twin at the program's point, and the gradient as a tree of arrays."""
    import jax

    module: dict[str, Any] = {}
    with jax.enable_x64(True):
        exec(compile(given.twin, f"twin of {given.name}", "exec"), module)
        point = jax.tree.map(lambda leaf: jax.numpy.asarray(leaf, float), given.params)
        value, gradient = jax.value_and_grad(module["loss"])(point)
        return float(value), jax.tree.map(np.asarray, gradient)


def shapes(tree: Any) -> Any:
    """The same tree of shapes."""
    if isinstance(tree, dict):
        return {key: shapes(value) for key, value in tree.items()}
    return [shapes(value) for value in tree] if isinstance(tree, list) else np.shape(tree)


def in_order(tree: Any, like: Any) -> np.ndarray:
    """All entries of a tree, in the order of another of the same keys."""
    if isinstance(like, dict):
        return np.concatenate([in_order(tree[key], like[key]) for key in like])
    if isinstance(like, list):
        return np.concatenate([in_order(one, other) for one, other in zip(tree, like, strict=True)])
    return np.ravel(tree)


def main(first: int, last: int) -> int:
    """Print the largest distances; returns 1 if one is beyond what float64 may do."""
    from jax import clear_caches

    rows = []
    for seed in range(first, last):
        given = program(seed)
        value, gradient = true_gradient(given)
        same = np.isclose(given.loss(given.params), value, rtol=1e-12, atol=1e-12)
        found = given.grad(given.params)
        assert same and shapes(found) == shapes(gradient) == shapes(given.params), f"seed {seed}"
        right = in_order(gradient, given.params)  # JAX sorts the keys of dicts
        distance = np.abs(in_order(found, given.params) - right)
        with np.errstate(divide="ignore", invalid="ignore"):
            each = np.where(distance == 0, 0.0, distance / np.abs(right))
        rows.append((distance.max() / np.abs(right).max(), each.max(), seed))
        given.forget()
        if seed % 25 == 0:
            clear_caches()  # each program has operations of shapes of its own, and JAX keeps them all
    of_largest, of_itself = np.array(rows)[:, 0], np.array(rows)[:, 1]
    print(f"{len(rows)} programs; distance from jax.grad of the twin, the worst entry of each:")
    print(f"  relative to the largest entry: at most {of_largest.max():.1e} (seed {max(rows)[2]})")
    quantiles = ", ".join(f"{np.quantile(of_itself, q):.1e} ({q:.0%})" for q in (0.5, 0.9, 0.99, 1))
    print(f"  relative to itself: {quantiles}; beyond 1e-11: {int((of_itself > 1e-11).sum())}")
    return int(of_largest.max() > 1e-12)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
