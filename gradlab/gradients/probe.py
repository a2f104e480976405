"""One subject at one point: its float run, its program, the proof, and what the oracles are asked with."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradlab.checker.verdict import Judged, judge
from gradlab.gradients.certificate import Certificate, Prover, TooLarge
from gradlab.gradients.conventions import Conventions
from gradlab.gradients.differences import Differences, Slopes
from gradlab.gradients.evidence import Evidence, refuse_infinite
from gradlab.gradients.guards import Observed
from gradlab.gradients.noise import estimated
from gradlab.gradients.recording import Recorded, Refused, record
from gradlab.gradients.rounding import RoundingBounds, narrowest, spread
from gradlab.gradients.subject import Subject

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Request:
    """What a check is asked for.

    examples: how many coordinates are probed, at most, where each costs calls of the loss. deadline: of
    time.perf_counter(), for all of it.
    """

    conventions: Conventions
    examples: int
    seed: int
    deadline: float

    @property
    def left(self) -> float:
        """The seconds that are left; a moment, where none is."""
        return max(0.05, self.deadline - time.perf_counter())


class Probe:
    """A subject at its point, while it is checked.

    evidence: what the oracles that were asked say. recorded, bounds, certificate: None where they cannot be had.
    noise: what rounding may do to the outputs; unproven: why it is an estimate.
    """

    def __init__(self, subject: Subject, observed: Observed, request: Request) -> None:
        self.subject, self.observed, self.request = subject, observed, request
        self.conventions = request.conventions
        self.found, self.outputs = observed.gradients, observed.outputs
        self.rng = np.random.default_rng(request.seed)
        self.dtype = narrowest(subject, self.found)
        # What rounding may do to a slope of the gradient, of its magnitude: for the witnesses only.
        self.grain = 2.0**-40 if self.dtype == np.float64 else 2.0**-14 if self.dtype == np.float32 else 2.0**-6
        self.evidence = Evidence()
        self.recorded: Recorded | None = None
        self.bounds: RoundingBounds | None = None
        self.certificate: Certificate | None = None
        self.unproven: str | None = None
        self.along: tuple[Array, Slopes]
        self.forward = subject.along()
        self.places = {path: place for path, place in subject.places().items() if path in self.found}

    def certify(self, least: int = 0, *, bounded: bool = True) -> None:
        """What the balls say; nothing, with the reason, where the code cannot be recorded or something is a tie.

        Args:
            least: the bits to begin with. bounded: the float run is held against derived bounds on its rounding, too.
        """
        try:
            self.recorded = record(self.subject, self.outputs, self.found)
            self.bounds = RoundingBounds(self.recorded, self.dtype)
            prover = Prover(self.recorded, self.conventions, self.dtype, self.request.deadline)
            self.certificate = prover.prove(least)
        except Refused as refused:
            self.evidence.refused["certified"] = str(refused)
            if isinstance(refused, TooLarge):  # and for bounds on its rounding
                self.recorded = self.bounds = None
            return
        evidence, certificate = self.evidence, self.certificate
        evidence.bits = certificate.enclosures.bits
        evidence.zero, evidence.kinks = certificate.zero, certificate.kinks
        evidence.truth = {path: pair.other for path, pair in certificate.seen.items()}
        for path, where in certificate.kinks.items():  # any slope will do there
            evidence.truth[path] = np.where(where, self.found[path], evidence.truth[path])
        evidence.add("certified", certificate.judged)
        evidence.add("float_run", self._float_run(certificate) if bounded else self._no_numbers(certificate))
        if certificate.gap:
            evidence.notes.append(
                f"enclosures lie up to {certificate.gap:.1g} of an entry apart, which is below what floats resolve"
            )
        if certificate.undecided:
            evidence.notes.append(f"certified: {certificate.undecided}")

    def _float_run(self, certificate: Certificate) -> dict[str, Judged]:
        """The floats against the enclosures: within the derived bound they confirm, and what is no number is wrong."""
        rounding, why = self.rounding()
        if why:
            self.evidence.estimated["float_run"] = why
        judged = {}
        for path, pair in certificate.seen.items():
            middle = pair.other
            one = judge(self.found[path], rounding[path], middle, pair.other_radius + np.spacing(np.abs(middle)))
            one.disagree &= certificate.judged[path].disagree
            one.agree &= ~certificate.judged[path].disagree
            refuse_infinite(self.found[path], one)
            judged[path] = one
        return judged

    def _no_numbers(self, certificate: Certificate) -> dict[str, Judged]:
        """Of the float run only what is no number: nothing is said of the rest."""
        judged = {}
        for path, pair in certificate.seen.items():
            none, size = np.zeros(pair.other.shape, bool), np.abs(pair.other)
            judged[path] = Judged(none.copy(), none.copy(), np.abs(self.found[path] - pair.other), size * np.inf, size)
            refuse_infinite(self.found[path], judged[path])
        return judged

    def rounding(self) -> tuple[dict[str, Array], str | None]:
        """Bounds on what rounding may have done to the float gradient; and, where they are an estimate, why."""
        if self.bounds is not None:
            try:
                return self.bounds.gradients, None
            except Refused as refused:
                why = str(refused)
        else:
            why = self.evidence.refused["certified"]
        estimate = spread(self.subject, self.found)
        if self.bounds is None:
            return estimate, why
        try:
            return {path: np.maximum(bound, self.bounds.chain[path]) for path, bound in estimate.items()}, why
        except Refused:
            return estimate, why

    def chain(self, values: dict[str, Array]) -> tuple[dict[str, Array], str | None]:
        """Bounds on what the chain rule's rounding may do to derivatives; where they are an estimate, why."""
        why = self.evidence.refused.get("certified", "")
        if self.bounds is not None:
            try:
                return self.bounds.chain, None
            except Refused as refused:
                why = str(refused)
        return {p: 2.0**-40 * np.abs(v) + 2.0**-46 * np.max(np.abs(v), initial=0.0) for p, v in values.items()}, why

    def differences(self, rows: Sequence[Array], closer: float = 1.0) -> Slopes:
        """Slopes along the rows, as many as there is time for; the step is found on the one in the middle.

        Args:
            closer: the part of that step which is taken.
        """
        if not len(rows) or time.perf_counter() > self.request.deadline:
            return Slopes(*(np.zeros((0, self.subject.count)) for _ in range(3)))

        def work() -> Slopes:
            ways = Differences(self.forward, self.subject.point, self.noise)
            step = ways.step(rows[len(rows) // 2])
            each: list[Slopes] = []
            for row in rows:
                if each and time.perf_counter() > self.request.deadline:
                    break
                each.append(ways.along(row, step * closer))
            return Slopes(
                *(np.concatenate([getattr(one, name) for one in each]) for name in ("values", "bounds", "kinks"))
            )

        found: Slopes = self.subject.call(work, seconds=self.request.left + self.subject.seconds)
        return found

    def measure_noise(self) -> None:
        """Find what rounding may do to the outputs: a derived bound, or an estimate."""
        self.noise, self.unproven = self._noise()

    def _noise(self) -> tuple[Array, str | None]:
        why = self.evidence.refused.get("certified", "")
        if self.bounds is not None:
            try:
                if np.isfinite(self.bounds.outputs).all():
                    return 2 * self.bounds.outputs + np.spacing(np.abs(self.outputs)), None
                why = "the rounding bound of the loss is infinite"
            except Refused as refused:
                why = str(refused)
        return self.subject.call(lambda: estimated(self.forward, self.subject.point, self.rng)), why

    def projected(self, leaves: dict[str, Array], rows: Array) -> Array:
        """Slopes (D, K) along the rows, from gradients (K, …)."""
        K = self.subject.count
        return sum(
            (rows[:, self.places[path]] @ leaf.reshape(K, -1).astype(float).T for path, leaf in leaves.items()),
            np.zeros((len(rows), K)),
        )

    def withdraw(self, why: str) -> None:
        """Take the proof back."""
        self.evidence.drop("certified", "float_run")
        self.evidence.refused["certified"] = why
        self.evidence.zero, self.evidence.truth, self.evidence.bits, self.evidence.kinks = {}, {}, None, {}
        self.certificate = self.recorded = self.bounds = None
