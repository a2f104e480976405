"""Edits of the gradient's own source, run one by one on floats: those that give what the oracle says are kept."""

from __future__ import annotations

import ast
import time
import tracemalloc
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

import numpy as np

from gradlab.gradients.called import GradientCheckError
from gradlab.gradients.repair.copies import Copied
from gradlab.gradients.repair.flow import rearranged
from gradlab.gradients.repair.rules import changes
from gradlab.gradients.repair.sites import Edit, Place, edit, places
from gradlab.gradients.repair.source import Source, sources
from gradlab.gradients.subject import Subject
from gradlab.memory import limited_memory

Array = np.ndarray[Any, Any]

# Further apart than this part of a leaf's largest entry, floats are not equal up to rounding: only what is nearer is
# worth running on balls, which decide.
FAR = 1e-9
LONGEST = 1.0  # seconds that one run of an edited gradient may take
# Bytes that it may take beyond the most that the unedited one held at once. Both limits can only withhold a name.
ROOM = 1 << 30


@dataclass
class Found:
    """Edits that give the right gradient at one point, on floats.

    tried: how many were run. complete: all that there are. refused: why none could be.
    """

    edits: list[Edit] = field(default_factory=list)
    tried: int = 0
    complete: bool = False
    refused: str = ""


class Search:
    """The edits of one wrong gradient.

    Args:
        found: what it gives, by path, (K, …) each. right: what it should give.
        lines: (file, line) of the statements that are edited, and the loops around them.
    """

    def __init__(
        self, subject: Subject, found: dict[str, Array], right: dict[str, Array], lines: Collection[tuple[str, int]]
    ) -> None:
        self.lines = set(lines)
        self.subject, self.found = subject, found
        self.right = {path: right[path] for path in found if path in right}
        self.copied = Copied(subject.functions)
        self.sources: list[Source] = []
        self.most = 0

    def run(self, deadline: float) -> Found:
        """Try every edit until the deadline (time.perf_counter)."""
        result = Found()
        try:
            self.sources = self._sources()
        except GradientCheckError as error:
            result.refused = str(error)
            return result
        if not self.sources:
            result.refused = "the gradient's source is not at hand"
            return result
        try:
            result.complete = self._try(result, deadline)
        except KeyboardInterrupt:
            result.refused = "stopped"
        return result

    def _try(self, result: Found, deadline: float) -> bool:
        for tier in self._tiers():
            for place in tier:
                for one in _edits(place):
                    if time.perf_counter() > deadline:
                        return False
                    result.tried += 1
                    if self._gives(one):
                        result.edits.append(one)
            if result.edits:
                return True
        return True

    def _sources(self) -> list[Source]:
        functions, given = self.copied.functions, self.subject.params.rebuilt
        with _peak() as peak:
            again = self._gradient(10 * LONGEST)  # being traced, it takes several times as long
        self.most = peak()
        if any(not np.array_equal(again[path], leaf, equal_nan=True) for path, leaf in self.found.items()):
            raise GradientCheckError("a copy of the gradient gives something else")
        found: list[Source] = self.subject.call(
            lambda: sources(
                lambda: self.subject.gradients(functions, given(), self.subject.given()),
                lambda: self.subject.outputs(functions, given(), self.subject.given()),
            )
        )
        return [source for source in found if self.copied.of(source.code)]

    def _tiers(self) -> Iterator[list[Place]]:
        """The statements of the lines, then the loops around them."""
        all_ = [place for source in self.sources for place in places(source)]
        simple = [place for place in all_ if not isinstance(place.statement, (ast.For, ast.While))]
        yield [place for place in simple if self._of(place)]
        yield [place for place in all_ if place not in simple and self._of(place)]

    def _of(self, place: Place) -> bool:
        file, statement = place.source.code.co_filename, place.statement
        return any(
            file == other and statement.lineno <= line <= (statement.end_lineno or statement.lineno)
            for other, line in self.lines
        )

    def _gives(self, one: Edit) -> bool:
        leaves = self._edited(one)
        if leaves is None or leaves.keys() != self.right.keys():
            return False
        return all(near(leaves[path], right) for path, right in self.right.items())

    def _edited(self, one: Edit) -> dict[str, Array] | None:
        """The gradients with an edit made; None where it does not run."""
        with one.made():
            try:
                code = one.source.compiled()
            except (SyntaxError, ValueError):
                return None
        functions = self.copied.of(one.source.code)
        try:
            for function in functions:
                function.__code__ = code
            with limited_memory(self.most + ROOM):
                return self._gradient()
        except GradientCheckError:
            return None
        finally:
            for function in functions:
                function.__code__ = one.source.code

    def _gradient(self, longest: float = LONGEST) -> dict[str, Array]:
        subject, functions = self.subject, self.copied.functions
        trees = subject.call(
            lambda given: subject.gradients(functions, given, subject.given()),
            subject.params.rebuilt(),
            name=subject.gradient_name,
            seconds=min(longest, subject.seconds),
        )
        return {path: np.asarray(leaf, float) for path, leaf in subject.matched(trees).items()}


def code_of(one: Edit) -> Mapping[CodeType, CodeType]:
    """What to run in the place of what, for an edit to be made."""
    with one.made():
        return {one.source.code: one.source.compiled()}


def near(value: Array, right: Array) -> bool:
    """Whether two leaves are equal, as far as floats can show."""
    scale = float(np.abs(right).max(initial=0.0))
    with np.errstate(all="ignore"):
        return bool((np.abs(value - right) <= FAR * scale).all())


@contextmanager
def _peak() -> Iterator[Callable[[], int]]:
    """Asked afterwards: the most bytes that were held at once within."""
    tracing = tracemalloc.is_tracing()
    if not tracing:
        tracemalloc.start()
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    most = 0
    try:
        yield lambda: most
    finally:
        most = tracemalloc.get_traced_memory()[1] - before
        if not tracing:
            tracemalloc.stop()


def _edits(place: Place) -> Iterator[Edit]:
    for site, kind, text in changes(place):
        yield edit(site, kind, text)
    yield from rearranged(place)
