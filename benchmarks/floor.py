"""The floor under a gradient: what its own arithmetic would take at this machine's best, and nothing else.

    matrix products    at the rate of one large product
    exp, tanh          at NumPy's rate on an array that stays in the cache, the result written in place
    elementwise        every other operation on entries, at the rate of one multiplication there

What the formula asks for is counted by running it: an array that counts. Copies, allocations, reductions of a loss, and
the calls themselves are left out: they are not arithmetic that the formula asks for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from networks import Network

from gradlab import cells

Array = np.ndarray
TRANSCENDENTAL = {"exp", "tanh"}
CACHED = 1 << 13  # numbers; three such arrays fit the first cache but one or the second
PRODUCT = 1024


class Counted(np.ndarray):
    """An array that counts what is done with it: multiply-adds, and entries by the name of the operation."""

    counts: ClassVar[Counter[str]] = Counter()

    def dot(self, other: Any, out: Any = None) -> Any:
        return self @ other

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **given: Any) -> Any:
        plain = [z.view(np.ndarray) if isinstance(z, Counted) else z for z in inputs]
        if "out" in given:
            given["out"] = tuple(z.view(np.ndarray) for z in given["out"])
        found = getattr(ufunc, method)(*plain, **given)
        if ufunc is np.matmul:
            self.counts["product"] += found.size * plain[0].shape[-1]
        elif method == "__call__":
            self.counts[ufunc.__name__ if ufunc.__name__ in TRANSCENDENTAL else "elementwise"] += np.size(found)
        return found.view(Counted) if isinstance(found, np.ndarray) else found


def counted(net: Network) -> dict[str, int]:
    """How many multiply-adds and entries of each kind forward and backward of a network are."""
    Counted.counts = Counter()
    code, view = cells.cell(net.cell).code, lambda z: z.view(Counted)
    params, state = type(net.params)(*map(view, net.params)), type(net.state)(*map(view, net.state))
    x, y = view(net.x), view(net.y)
    code.gradient(params, x, y, state, code.forward(params, x, state))
    return dict(Counted.counts)


def parts(net: Network, quick: bool = False) -> tuple[dict[str, Callable[[], Any]], dict[str, float]]:
    """The candidates to measure alone, and how many of each the network's gradient is worth."""
    counts, dtype = counted(net), net.x.dtype
    n = 256 if quick else PRODUCT
    rng = np.random.default_rng(0)
    left, right = (rng.standard_normal((n, n)).astype(dtype) for _ in range(2))
    product = np.empty((n, n), dtype)
    z = rng.standard_normal(CACHED).astype(dtype)
    out = np.empty_like(z)
    candidates: dict[str, Callable[[], Any]] = {
        "product": lambda: np.matmul(left, right, out=product),
        "exp": lambda: np.exp(z, out=out),
        "tanh": lambda: np.tanh(z, out=out),
        "elementwise": lambda: np.multiply(z, z, out=out),
    }
    worth = {"product": float(n**3), "exp": float(CACHED), "tanh": float(CACHED), "elementwise": float(CACHED)}
    return candidates, {name: counts.get(name, 0) / worth[name] for name in candidates}
