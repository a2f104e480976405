"""Is this backward pass of a layer right? For layers that take an upstream gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from gradlab.gradients.called import call, in_one_line, needs_callable, takes
from gradlab.gradients.check import chosen, limits, patience
from gradlab.gradients.conventions import Conventions
from gradlab.gradients.cotangents import cotangents as worth_asking
from gradlab.gradients.cotangents import paired
from gradlab.gradients.points import SEVERAL, inspect
from gradlab.gradients.report import GradientReport
from gradlab.gradients.subject import Functions, Subject
from gradlab.gradients.tree import mapped, selected, tree


@in_one_line
def check_vjp(
    f: Callable[[Any], Any],
    vjp: Callable[[Any, Any], Any],
    x: Any,
    *,
    subset: str | int | Iterable[Any] | None = None,
    sign: int = 1,
    scale: float = 1,
    cotangents: int = 3,
    seconds: float = 60,
    examples: int = 2000,
    seed: int = 0,
    points: str = SEVERAL,
    diagnosis: float = 10,
    hint: bool = False,
) -> GradientReport:
    """Hold vjp(x, upstream) against the derivative of Σ upstream · f(x).

    The upstream gradients are random; where f has at most 16 outputs, every unit vector besides, so every entry of the
    Jacobian.

    Args:
        f: f(x) -> an array, or a tree of arrays. vjp: vjp(x, upstream) -> a tree like x, or some of its leaves;
            upstream is a tree like f(x).
        x: inputs and weights: a tree of arrays, as the params of `check_gradient`.
        cotangents: how many random upstream gradients.
        subset, sign, scale, seconds, examples, seed, points, diagnosis, hint: as in `check_gradient`.

    Raises:
        GradientCheckError: what is wrong with the arguments or the functions, in one line.
    """
    needs_callable(f=f, vjp=vjp)
    takes("f", f, "x")
    takes("vjp", vjp, "x", "upstream")
    limits(seconds, examples, seed, points)
    limits(seconds, cotangents, seed)
    taken = tree(x, "x")
    output = call(f, seconds, f, taken.rebuilt(), name="f")
    upstream = list(worth_asking(output, cotangents, np.random.default_rng(seed)))

    def outputs(functions: Functions, given: Any, weights: Any) -> list[Any]:
        found = functions["f"](given)
        return [paired(u, found) for u in weights]

    def gradients(functions: Functions, given: Any, weights: Any) -> list[Any]:
        # Copies: what one call does to its arguments must not reach the next.
        return [functions["vjp"](_copied(given), u) for u in weights]

    subject = Subject(
        params=taken,
        functions={"f": f, "vjp": vjp},
        outputs=outputs,
        gradients=gradients,
        subset=chosen(subset),
        seconds=seconds,
        count=len(upstream),
        names=tuple(name for name, _ in upstream),
        upstream=[u for _, u in upstream],
    )
    selected(taken, subject.subset)
    found = inspect(subject, Conventions(sign, scale), examples=examples, seed=seed, seconds=seconds, points=points)
    return GradientReport.of(found, patience=patience(diagnosis), hint=hint)


def _copied(given: Any) -> Any:
    return mapped(lambda _, leaf: leaf.copy() if isinstance(leaf, np.ndarray) else leaf, given, "")
