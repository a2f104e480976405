"""What is checked: outputs of the parameters, and what is claimed to be their gradients.

K outputs (1 for a loss, the number of cotangents for a layer)   N coordinates of the parameters
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from gradlab.gradients.called import GradientCheckError, call
from gradlab.gradients.tree import Tree, mapped, matched, selected

Array = np.ndarray[Any, Any]
Functions = Mapping[str, Callable[..., Any]]


@dataclass(frozen=True)
class Subject:
    """Functions under test, and how to get outputs and gradients from them in any arithmetic.

    Args:
        params: the parameters, in their own dtype.
        functions: the user's, by the name people know them by; the first gives the outputs, the last the gradients.
        outputs: (functions, tree, upstream) -> K scalars. gradients: (functions, tree, upstream) -> K trees.
        upstream: a tree of the weights that the outputs are made with, and that gradients are given; exact.
        subset: which leaves are checked, None for all that the gradient has.
        twin: the outputs in jax.numpy, or None. movable: the functions mean the same at another point.
    """

    params: Tree
    functions: Functions
    outputs: Callable[[Functions, Any, Any], Sequence[Any]]
    gradients: Callable[[Functions, Any, Any], Sequence[Any]]
    subset: tuple[str, ...] | None
    seconds: float
    count: int = 1
    names: tuple[str, ...] = ("",)
    upstream: Any = ()
    twin: Callable[[Any], Any] | None = None
    movable: bool = True

    @cached_property
    def wide(self) -> Tree:
        """The parameters in float64, which holds them exactly."""
        return self.params.astype(np.float64)

    @property
    def loss_name(self) -> str:
        return next(iter(self.functions))

    @property
    def gradient_name(self) -> str:
        return list(self.functions)[-1]

    def floats(self, tree: Any) -> Array:
        """The outputs (K,) as float64."""
        outputs = self.outputs(self.functions, tree, self.given())
        return np.array([scalar(value, self.loss_name) for value in outputs], np.float64)

    def run(self, tree: Any) -> tuple[Array, dict[str, Array]]:
        """The user's own run: outputs (K,), then gradients by path (K, …), which may read what the first left."""
        outputs = self.call(self.floats, tree)

        def gradients(given: Any) -> Any:
            return self.gradients(self.functions, given, self.given())

        return outputs, self.matched(self.call(gradients, tree, name=self.gradient_name))

    def given(self) -> Any:
        """The upstream weights, in arrays of their own: what one call does to them must not reach the next."""
        return mapped(lambda _, leaf: leaf.copy() if isinstance(leaf, np.ndarray) else leaf, self.upstream, "")

    def matched(self, trees: Sequence[Any]) -> dict[str, Array]:
        """Gradients by path, each stacked to (K, …)."""
        return {path: np.stack(each) for path, each in self.matched_leaves(trees).items()}

    def matched_leaves(self, trees: Sequence[Any]) -> dict[str, list[Any]]:
        """Gradients by path, K arrays each."""
        each = [matched(self.params, one, self.subset, self.gradient_name) for one in trees]
        return {path: [one[path] for one in each] for path in each[0]}

    def at(self, leaves: dict[str, Array]) -> Subject:
        """The same functions at another point."""
        return replace(self, params=replace(self.params, leaves=leaves))

    def along(self) -> Callable[[Array], Array]:
        """Outputs (K,) as a function of the parameters laid end to end, (N,); nan where the function raises."""
        wide = self.wide
        shapes = {path: leaf.shape for path, leaf in wide.leaves.items()}
        ends = np.cumsum([leaf.size for leaf in wide.leaves.values()])

        def at(vector: Array) -> Array:
            parts = np.split(vector.copy(), ends[:-1])
            leaves = {p: part.reshape(shape) for (p, shape), part in zip(shapes.items(), parts, strict=True)}
            try:
                return self.floats(wide.rebuilt(leaves))
            except Exception:  # noqa: BLE001  (at the point itself the function ran; beside it, it need not)
                return np.full(self.count, np.nan)

        return at

    @cached_property
    def point(self) -> Array:
        """The parameters laid end to end, (N,)."""
        return np.concatenate([leaf.ravel() for leaf in self.wide.leaves.values()])

    def places(self) -> dict[str, slice]:
        """Where each leaf stands in `point`."""
        ends = np.cumsum([0, *(leaf.size for leaf in self.wide.leaves.values())])
        return {path: slice(int(a), int(b)) for path, a, b in zip(self.wide.leaves, ends[:-1], ends[1:], strict=True)}

    def wanted(self) -> list[str]:
        return selected(self.params, self.subset)

    def call(self, work: Callable[..., Any], *args: Any, name: str | None = None, seconds: float | None = None) -> Any:
        """work(*args) under the watch of the function of that name."""
        name = name or self.loss_name
        return call(self.functions[name], seconds or self.seconds, work, *args, name=name)


def scalar(value: Any, name: str) -> Any:
    """The one number that a loss returned.

    Raises:
        GradientCheckError: it returned something else.
    """
    if isinstance(value, (tuple, list, dict)) or value is None:
        raise GradientCheckError(f"{name} returned a {type(value).__name__}, wanted one number")
    array = np.asarray(value)
    if array.size != 1:
        raise GradientCheckError(f"{name} returned an array of shape {array.shape}, wanted one number")
    if array.dtype.kind not in "fiubcO":
        raise GradientCheckError(f"{name} returned {value!r}, wanted one number")
    return array.item()
