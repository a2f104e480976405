"""What would make a check worthless, each said in one line: mutated inputs, chance, values that are not finite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradlab.gradients.called import GradientCheckError
from gradlab.gradients.state import changes, kept, readers
from gradlab.gradients.subject import Subject
from gradlab.gradients.tree import indexed, walked

Array = np.ndarray[Any, Any]


class Observed:
    """The float runs of the functions under test: outputs (K,), gradients by path (K, …), and what was seen on the way.

    steady: whether a second call gave the same. notes: a line for each thing to know.

    Raises:
        GradientCheckError: a loss that is no finite number, a gradient of another shape, an exception.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.notes: list[str] = []
        self.steady = True
        self.outputs = self._outputs(subject.params.rebuilt())
        bad = np.flatnonzero(~np.isfinite(self.outputs))
        if bad.size:
            value, which = self.outputs[bad[0]], subject.names[bad[0]]
            raise GradientCheckError(
                f"{subject.loss_name} is {value} at this point{which and f' ({which})'}: nothing to differentiate"
            )
        raw = self._unmutated(self._raw, subject.gradient_name)
        self.gradients = subject.matched(raw)
        self._types()
        for path, leaf in self.gradients.items():
            if not np.isfinite(leaf).all():
                at = tuple(int(i) for i in np.argwhere(~np.isfinite(leaf))[0])
                count = int((~np.isfinite(leaf)).sum())
                self.notes.append(
                    f"{subject.gradient_name}: {indexed(path, at[1:])} is {leaf[at]} ({count} not finite)"
                )

    def settle(self) -> None:
        """Call everything once more: to see whether it changed, and to leave the user's objects as they were."""
        before = kept(self.subject.functions)
        again = self._unmutated(self._outputs, self.subject.loss_name)
        between = kept(self.subject.functions)
        if not np.array_equal(again, self.outputs):
            at = int(np.flatnonzero(again != self.outputs)[0])
            self._unsteady(self.subject.loss_name, self.outputs[at], again[at])
        repeated = self.subject.matched(self._raw(self.subject.params.rebuilt()))
        if not self.steady:
            self._written(before, between, kept(self.subject.functions))
            return
        for path, leaf in repeated.items():
            if not np.array_equal(leaf, self.gradients[path], equal_nan=True):
                at_ = tuple(int(i) for i in np.argwhere(leaf != self.gradients[path])[0])
                name = f"{self.subject.gradient_name}, {indexed(path, at_[1:])},"
                self._unsteady(name, self.gradients[path][at_], leaf[at_])
                self._written(before, between, kept(self.subject.functions))
                return

    def _written(self, before: Any, between: Any, after: Any) -> None:
        """Say which function writes to what the other reads."""
        loss, gradient = self.subject.loss_name, self.subject.gradient_name
        for writer, changed in ((loss, changes(before, between)), (gradient, changes(between, after))):
            for path in changed[:2]:
                others = [name for name in readers(after, path) if name != writer] or [writer]
                self.notes.append(f"{writer} writes into {path}, which {' and '.join(others)} reads")

    def needs_loss(self) -> None:
        """Say where the gradient reads what the loss leaves: called after a loss elsewhere, it is another."""
        subject = self.subject
        elsewhere = {path: leaf * 1.0009765625 for path, leaf in subject.params.leaves.items()}
        try:
            self._outputs(
                subject.params.rebuilt(
                    {p: leaf.astype(subject.params.leaves[p].dtype) for p, leaf in elsewhere.items()}
                )
            )
            alone = subject.matched(self._raw(subject.params.rebuilt()))
        except GradientCheckError:
            return
        if any(not np.array_equal(leaf, self.gradients[p], equal_nan=True) for p, leaf in alone.items()):
            self.notes.append(
                f"{subject.gradient_name} reads what {subject.loss_name} leaves: it was called after "
                f"{subject.loss_name} at the same point each time"
            )

    def _unsteady(self, name: str, first: Any, second: Any) -> None:
        self.steady = False
        self.notes.append(f"{name} is not deterministic: two calls at one point gave {first!s} and {second!s}")

    def _outputs(self, tree: Any) -> Array:
        return np.asarray(self.subject.call(self.subject.floats, tree))

    def _raw(self, tree: Any) -> Any:
        name = self.subject.gradient_name
        return self.subject.call(
            lambda given: self.subject.gradients(self.subject.functions, given, self.subject.given()), tree, name=name
        )

    def _unmutated(self, run: Callable[[Any], Any], name: str) -> Any:
        """run(params), with a note where it changed them."""
        given = self.subject.params.rebuilt()
        found = run(given)
        for path, leaf in walked(given, self.subject.params.name):
            kept = self.subject.params.leaves.get(path)
            if kept is not None and not np.array_equal(leaf, kept):
                self.notes.append(f"{name} changes {path} in place; it was given a copy each time")
                break
        return found

    def _types(self) -> None:
        for path, leaf in self.gradients.items():
            wanted = self.subject.params.leaves[path].dtype
            if leaf.dtype.kind == "f" and leaf.dtype.itemsize < wanted.itemsize:
                self.notes.append(
                    f"{self.subject.gradient_name} returned {leaf.dtype} for {path}, which is {wanted}: "
                    f"it is judged to the precision of {leaf.dtype}"
                )
                return
        for path, leaf in self.gradients.items():
            if leaf.dtype == object:
                try:
                    self.gradients[path] = leaf.astype(float)
                except (TypeError, ValueError):
                    raise GradientCheckError(
                        f"{self.subject.gradient_name} returned objects for {path}, wanted an array of floats"
                    ) from None


def blind(subject: Subject, truth: dict[str, Array], zero: dict[str, Array]) -> list[str]:
    """Why the point shows less than another would."""
    notes = []
    empty = [path for path, leaf in truth.items() if not leaf.any() or bool(zero.get(path, np.False_).all())]
    if truth and len(empty) == len(truth):
        notes.append("blind probe: the whole gradient is zero at this point; nothing was checked; choose another point")
    elif empty:
        notes.append(f"blind for {', '.join(empty)}: its gradient is zero at this point")
    square = [p for p, leaf in subject.params.leaves.items() if leaf.ndim == 2 and leaf.shape[0] == leaf.shape[1] > 1]
    symmetric = [p for p in square if np.array_equal(subject.params.leaves[p], subject.params.leaves[p].T)]
    if symmetric:
        notes.append(f"blind to a missing transpose: {', '.join(symmetric)} is symmetric; draw it at random")
    shapes = {n for leaf in subject.params.leaves.values() if leaf.ndim > 1 for n in leaf.shape}
    if len([leaf for leaf in subject.params.leaves.values() if leaf.ndim > 1]) > 1 and len(shapes) == 1:
        notes.append(f"equal sizes: every axis of every matrix is {shapes.pop()}, so a wrong shape cannot show")
    return notes
