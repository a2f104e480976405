"""Conventions that a gradient may follow by intent, declared by the caller, never guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from gradlab.arithmetic.scalar import Scalar
from gradlab.gradients.called import GradientCheckError

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Conventions:
    """The gradient under test is clip(sign · scale · ∂loss/∂params).

    sign: 1 or -1. scale: any number but 0. clip: c for each entry into [-c, c]; ("norm", c) for all leaves together
    to a Euclidean length of at most c; None for neither.
    """

    sign: int = 1
    scale: float = 1
    clip: Any = None

    def __post_init__(self) -> None:
        if self.sign not in (1, -1):
            raise GradientCheckError(f"sign={self.sign!r}, wanted 1 or -1")
        if not _number(self.scale) or self.scale == 0:
            raise GradientCheckError(f"scale={self.scale!r}, wanted a number that is not 0")
        if self.clip is not None and self.limit <= 0:
            raise GradientCheckError(f"clip={self.clip!r}: the limit must be above 0")

    @property
    def by_norm(self) -> bool:
        return isinstance(self.clip, tuple) and self.clip[:1] == ("norm",)

    @property
    def limit(self) -> float:
        """The number in clip."""
        found = self.clip
        if isinstance(found, tuple) and len(found) == 2 and found[0] in ("norm", "value"):
            found = found[1]
        if not _number(found):
            raise GradientCheckError(f"clip={self.clip!r}, wanted a number, ('value', c) or ('norm', c)")
        return float(found)

    @property
    def factor(self) -> float:
        return self.sign * self.scale

    def applied(self, gradients: Mapping[str, Array], factor: Any = None) -> dict[str, Array]:
        """What should be returned for these true gradients, (K, …) each, floats or balls.

        Args:
            factor: sign · scale as a scalar of another arithmetic.

        Raises:
            Undecidable: on balls, a clip whose limit is met exactly.
        """
        factor = self.factor if factor is None else factor
        found = {path: leaf * factor if self.factor != 1 else leaf for path, leaf in gradients.items()}
        if self.clip is None:
            return found
        if not self.by_norm:
            return {path: np.frompyfunc(self._clipped, 1, 1)(leaf).astype(leaf.dtype) for path, leaf in found.items()}
        count = len(next(iter(found.values())))
        for k in range(count):
            squares: Any = sum(np.sum(leaf[k] * leaf[k]) for leaf in found.values())
            length = np.sqrt(squares)
            if length > self.limit:
                for path in found:
                    found[path] = found[path].copy()
                    found[path][k] = found[path][k] * (self.limit / length)
        return found

    def widened(self, bounds: Mapping[str, Array]) -> dict[str, Array]:
        """What error bounds become: clipping moves no two gradients apart; by norm, all entries share their errors."""
        found = {path: np.abs(self.factor) * leaf for path, leaf in bounds.items()}
        if not self.by_norm:
            return found
        whole = np.sqrt(sum(np.sum(leaf**2, axis=tuple(range(1, leaf.ndim))) for leaf in found.values()))
        return {path: np.zeros_like(leaf) + whole.reshape(-1, *[1] * (leaf.ndim - 1)) for path, leaf in found.items()}

    def described(self) -> str:
        """What was declared, or ""."""
        said = [f"sign={self.sign}"] if self.sign != 1 else []
        said += [f"scale={self.scale:g}"] if self.scale != 1 else []
        said += [f"clip={self.clip!r}"] if self.clip is not None else []
        return ", ".join(said)

    def _clipped(self, x: Any) -> Any:
        if isinstance(x, Scalar):
            kind: Any = type(x)
            return kind(self.limit) if x > self.limit else kind(-self.limit) if x < -self.limit else x
        return min(max(x, -self.limit), self.limit)


def _number(value: Any) -> bool:
    real = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    return real and isfinite(value)
