"""Points at which a repaired gradient has to agree with the oracle: that which was asked for, and others beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import CodeType
from typing import Any

import numpy as np

from gradlab.checker.verdict import Verdict
from gradlab.gradients.called import GradientCheckError
from gradlab.gradients.conventions import Conventions
from gradlab.gradients.findings import Findings
from gradlab.gradients.points import inspect_at
from gradlab.gradients.probe import Request
from gradlab.gradients.repair.copies import Copied
from gradlab.gradients.subject import Subject
from gradlab.gradients.tree import mapped, tree, walked

Array = np.ndarray[Any, Any]

BESIDE = 2  # points beside the one that was asked for
EXAMPLES = 400
LONGEST = 30.0  # seconds at one point

Change = Callable[[dict[str, Array], Mapping[str, Any]], dict[str, Array]]


class Probes:
    """The points, the one that was asked for first.

    Args:
        report: of the wrong gradient, there.
    """

    def __init__(self, report: Findings) -> None:
        self.conventions, self.seed = report.conventions, report.seed
        self.subjects = [report.subject]
        self.report = report
        rng = np.random.default_rng(report.seed + 1)
        for _ in range(BESIDE if report.subject.movable else 0):
            subject = _beside(report.subject, rng)
            try:
                outputs = subject.call(subject.floats, subject.params.rebuilt())
            except GradientCheckError:
                continue
            if np.isfinite(outputs).all():
                self.subjects.append(subject)

    def right_with(self, codes: Mapping[CodeType, CodeType]) -> Findings | None:
        """The least sharp of the reports on a gradient with other code in it, if it agrees at every point."""
        name = self.subjects[0].gradient_name

        def mended(subject: Subject) -> Subject:
            # The loss that the gradient is held against is the user's own.
            gradient = Copied(subject.functions, codes).functions[name]
            return replace(subject, functions={**_but_last(subject), name: gradient})

        return self._all_agree([mended(subject) for subject in self.subjects])

    def right_after(self, change: Change) -> Findings | None:
        """The same for a gradient with its leaves changed after it has been computed."""

        def mended(subject: Subject) -> Subject:
            return replace(
                subject,
                gradients=lambda functions, given, upstream: _changed(subject, functions, given, upstream, change),
            )

        return self._all_agree([mended(subject) for subject in self.subjects])

    def right_as(self, conventions: Conventions) -> Findings | None:
        """The same for the gradient as it is, with a convention declared."""
        return self._all_agree(self.subjects, conventions)

    def _all_agree(self, subjects: list[Subject], conventions: Conventions | None = None) -> Findings | None:
        reports = []
        for subject in subjects:
            try:
                report = self._inspected(subject, conventions or self.conventions)
            except GradientCheckError:
                return None
            if report.verdict is not Verdict.AGREE:
                return None
            reports.append(report)
        return min(reports, key=lambda report: (bool(report.evidence.bits), report.digits))

    def _inspected(self, subject: Subject, conventions: Conventions) -> Findings:
        return inspect_at(subject, Request(conventions, EXAMPLES, self.seed, time.perf_counter() + LONGEST))


def _but_last(subject: Subject) -> dict[str, Callable[..., Any]]:
    return {name: function for name, function in subject.functions.items() if name != subject.gradient_name}


def _changed(subject: Subject, functions: Any, given: Any, upstream: Any, change: Change) -> list[Any]:
    """The gradients as dicts that `matched` reads as the tree that they were."""
    params = dict(walked(given, subject.params.name))
    found = subject.matched(list(subject.gradients(functions, given, upstream)))
    leaves = change(found, params)
    taken = subject.params

    def one(k: int) -> Any:
        return mapped(lambda path, leaf: leaves[path][k] if path in leaves else None, taken.tree, taken.name)

    return [one(k) for k in range(subject.count)]


def _beside(subject: Subject, rng: np.random.Generator) -> Subject:
    """The same subject at a point near by, generic in every entry."""

    def moved(leaf: Array) -> Array:
        scale = float(np.abs(leaf).max(initial=0.0)) or 0.125
        new = leaf * rng.uniform(0.75, 1.25, leaf.shape) + scale * rng.uniform(-0.125, 0.125, leaf.shape)
        return np.asarray(np.round(new * 2.0**20 / scale) * (scale * 2.0**-20)).astype(leaf.dtype)

    leaves = {path: moved(leaf) for path, leaf in subject.params.leaves.items()}
    taken = tree(subject.params.rebuilt(leaves), subject.params.name)
    return replace(subject, params=replace(taken, numbers=subject.params.numbers))
