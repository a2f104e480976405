"""Conventions that a gradient may follow by intent, declared by the caller, never guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from gradlab.arithmetic.balls import BallArithmetic
from gradlab.gradients.called import GradientCheckError

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Conventions:
    """The gradient under test is clip(sign · scale · ∂loss/∂params).

    sign: 1 or -1. scale: any number but 0. clip: c for each entry into [-c, c]; ("norm", c) for all leaves together
    to a Euclidean length of at most c, ("norm", c, eps) where eps is added to the length first; None for neither.
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
        if isinstance(found, tuple) and found and found[0] in ("norm", "value"):
            most = 3 if found[0] == "norm" else 2
            found = found[1] if 2 <= len(found) <= most and all(map(_number, found[1:])) else None
        if not _number(found):
            raise GradientCheckError(
                f"clip={self.clip!r}, wanted a number, ('value', c), ('norm', c) or ('norm', c, eps)"
            )
        return float(found)

    @property
    def limit_or_0(self) -> float:
        return 0.0 if self.clip is None else self.limit

    @property
    def epsilon(self) -> float:
        """What is added to the length before it is divided by."""
        return float(self.clip[2]) if self.by_norm and len(self.clip) == 3 else 0.0

    @property
    def factor(self) -> float:
        return self.sign * self.scale

    def applied(self, gradients: Mapping[str, Array]) -> dict[str, Array]:
        """What should be returned for these true gradients, (K, …) of floats each."""
        found = {path: leaf * self.factor if self.factor != 1 else leaf for path, leaf in gradients.items()}
        if self.clip is None:
            return found
        if not self.by_norm:
            return {path: np.clip(leaf, -self.limit, self.limit) for path, leaf in found.items()}
        squares = sum(np.sum(leaf**2, axis=tuple(range(1, leaf.ndim))) for leaf in found.values())
        with np.errstate(divide="ignore"):
            part = np.minimum(1.0, self.limit / (np.sqrt(squares) + self.epsilon))
        return {path: leaf * part.reshape(-1, *[1] * (leaf.ndim - 1)) for path, leaf in found.items()}

    def enclosed(self, gradients: Mapping[str, Array], inexact: float = 0.0) -> dict[str, Array]:
        """The same for enclosures, at the precision in force; where a limit is met, both sides of it.

        Args:
            inexact: the relative width to which scale, limit and epsilon are known.
        """
        arithmetic = BallArithmetic(inexact)
        factor, limit, epsilon = (
            arithmetic.rounded(np.asarray(number))[0] for number in (self.factor, self.limit_or_0, self.epsilon)
        )
        found = {path: leaf * factor if self.factor != 1 else leaf for path, leaf in gradients.items()}
        if self.clip is None:
            return found
        cap = arithmetic.function
        if not self.by_norm:
            return {path: cap("maximum", cap("minimum", leaf, limit), -limit) for path, leaf in found.items()}
        squares = [np.sum(leaf.reshape(len(leaf), -1) ** 2, axis=1) for leaf in found.values()]
        length = cap("sqrt", sum(squares[1:], squares[0]))
        part = cap("minimum", arithmetic.constant(1.0), limit / (length + epsilon))
        return {path: leaf * part.reshape(-1, *[1] * (leaf.ndim - 1)) for path, leaf in found.items()}

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


def _number(value: Any) -> bool:
    real = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    return real and isfinite(value)
