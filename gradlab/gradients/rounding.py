"""What rounding may do to a recorded loss and gradient, and to a derivative of the loss multiplied out in any order.

A derivative is a sum over all paths from the output to the parameter of the products of the partials along each;
whatever the order in which an implementation multiplies them out, it is off by at most what `gradlab.tape.paths` sums.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np

from gradlab.arithmetic.rounded import RoundedArithmetic
from gradlab.gradients.recording import Recorded, Refused
from gradlab.gradients.subject import Subject
from gradlab.tape import Block
from gradlab.tape.paths import Paths
from gradlab.tape.replay import Run, Unsupported

Array = np.ndarray[Any, Any]


class RoundingBounds:
    """Derived bounds of one recording.

    Every property raises Refused where some function has no bounds.

    Args:
        dtype: the least precise format among parameters and gradients.
    """

    def __init__(self, recorded: Recorded, dtype: Any) -> None:
        self.recorded = recorded
        self.dtype = _narrower(np.dtype(dtype), recorded.program.blocks)
        # The outputs are asked of float64 parameters: only what casts them rounds more.
        nodes = recorded.loss[0]
        self.outputs_dtype = _narrower(np.dtype(np.float64), [b for b in recorded.program.blocks if b.stop <= nodes])

    def _run(self, dtype: Any, length: int | None = None) -> Run:
        try:
            with np.errstate(all="ignore"):
                return self.recorded.replayed(RoundedArithmetic(dtype), length=length)
        except Unsupported as error:
            raise Refused(str(error)) from None

    @cached_property
    def _whole(self) -> Run:
        return self._run(self.dtype)

    @cached_property
    def gradients(self) -> dict[str, Array]:
        """By path, (K, …): on what rounding may have done to the gradient, in the code's format."""
        with np.errstate(all="ignore"):
            return {p: self._whole.numbers(index).bounds() for p, index in self.recorded.gradients.items()}

    @cached_property
    def outputs(self) -> Array:
        """(K,): on what rounding may have done to the outputs, for parameters in float64."""
        same = self.dtype == self.outputs_dtype
        run = self._whole if same else self._run(self.outputs_dtype, self.recorded.loss[0])
        with np.errstate(all="ignore"):
            return np.asarray(run.numbers(self.recorded.outputs).bounds())

    @cached_property
    def chain(self) -> dict[str, Array]:
        """By path, (K, …): on what any order of the chain rule's products may be off by in float64."""
        run = self._run(np.float64, self.recorded.loss[0])
        with np.errstate(all="ignore"):
            paths = Paths(run, self.recorded.outputs[:, None])
            return {path: paths.bounds(self.recorded.leaves[path]) for path in self.recorded.gradients}


def _narrower(dtype: np.dtype[Any], blocks: Iterable[Block]) -> np.dtype[Any]:
    """The least precise of a format and those that numbers are cast to."""
    casts = [np.dtype(block.parameter) for block in blocks if block.operation == "cast"]
    return min([dtype, *casts], key=lambda one: one.itemsize)


def narrowest(subject: Subject, found: dict[str, Array]) -> Any:
    """The least precise format among the parameters and the gradients."""
    dtypes = [leaf.dtype for leaf in (*subject.params.leaves.values(), *found.values()) if leaf.dtype.kind == "f"]
    return min(dtypes, key=lambda dtype: dtype.itemsize, default=np.dtype(np.float64))


def spread(subject: Subject, found: dict[str, Array]) -> dict[str, Array]:
    """An estimate of the rounding of a gradient: from how far it moves when every parameter moves by an ulp."""
    unit = float(np.finfo(narrowest(subject, found)).eps)
    rng = np.random.default_rng(0)
    moved: dict[str, Array] = {path: np.zeros(leaf.shape) for path, leaf in found.items()}
    for _ in range(4):
        leaves = {
            path: leaf * (1 + unit * rng.choice([-1, 1], leaf.shape)).astype(leaf.dtype)
            for path, leaf in subject.params.leaves.items()
        }
        for path, leaf in subject.run(subject.params.rebuilt(leaves))[1].items():
            with np.errstate(all="ignore"):
                distance = np.nan_to_num(np.abs(leaf.astype(float) - found[path]), nan=np.inf)
            moved[path] = np.maximum(moved[path], distance)
    return {
        path: 8 * spread + 64 * unit * np.abs(found[path].astype(float)) + np.finfo(float).tiny
        for path, spread in moved.items()
    }
