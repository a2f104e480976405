"""Upstream gradients to check a layer with: every unit vector where there are few outputs, and random ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gradlab.gradients.called import GradientCheckError
from gradlab.gradients.tree import mapped, walked

Array = np.ndarray[Any, Any]

UNITS = 16  # outputs of which each is asked for on its own


def drawn(like: Any, rng: np.random.Generator) -> Any:
    """A random tree of the shapes of another: multiples of 1/64, so that no arithmetic rounds them."""
    return mapped(
        lambda _, leaf: _shaped(rng.choice([-1, 1], np.shape(leaf)) * rng.integers(16, 65, np.shape(leaf)) / 64),
        like,
        "",
    )


def cotangents(output: Any, count: int, rng: np.random.Generator) -> Iterator[tuple[str, Any]]:
    """(name, upstream gradient) of each that is worth asking for."""
    sizes = [np.size(leaf) for _, leaf in walked(output, "output")]
    if not sum(sizes):
        raise GradientCheckError("f returned nothing: there is nothing to differentiate")
    for i in range(count):
        yield f"random cotangent {i}", drawn(output, rng)
    if sum(sizes) <= UNITS:
        for path, leaf in walked(output, "output"):
            for at in np.ndindex(np.shape(leaf)):
                yield f"of {path}{list(at) if at else ''}", _unit(output, path, at)


def paired(cotangent: Any, output: Any) -> Any:
    """Σ cotangent · output, over all leaves."""
    given = dict(walked(output, ""))
    return sum(np.sum(np.multiply(u, given[path])) for path, u in walked(cotangent, ""))


def zeros(like: Any) -> Any:
    """A tree of zeros of the same shapes."""
    return mapped(lambda _, leaf: _shaped(np.zeros(np.shape(leaf))), like, "")


def _unit(like: Any, where: str, at: tuple[int, ...]) -> Any:
    """A tree of zeros with a single 1."""

    def leaf(path: str, given: Any) -> Any:
        unit = np.zeros(np.shape(given))
        if path == where:
            unit[at] = 1.0
        return _shaped(unit)

    return mapped(leaf, like, "output")


def _shaped(array: Any) -> Any:
    return np.asarray(array, float)[()] if np.ndim(array) == 0 else np.asarray(array, float)
