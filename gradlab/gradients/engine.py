"""One subject, every oracle that applies, one report."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from gradlab.arithmetic import midpoints, radii
from gradlab.checker.verdict import Judged, judge
from gradlab.gradients.certificate import Certificate
from gradlab.gradients.conventions import Conventions
from gradlab.gradients.differences import Differences, Slopes, coordinate, directions
from gradlab.gradients.enclosures import chain_rounding, output_rounding
from gradlab.gradients.evidence import Evidence, against, gradient_rounding, narrowest
from gradlab.gradients.guards import Observed, blind
from gradlab.gradients.imaginary import slopes as complex_slopes
from gradlab.gradients.noise import estimated
from gradlab.gradients.report import GradientReport
from gradlab.gradients.runs import Refused
from gradlab.gradients.subject import Subject
from gradlab.gradients.twin import by_twin

Array = np.ndarray[Any, Any]

# Directions along which differences bear witness that the run on balls computes what the run on floats does.
WITNESSES = 4


def inspect(subject: Subject, conventions: Conventions, *, examples: int, seed: int) -> GradientReport:
    """The report on one subject.

    Raises:
        GradientCheckError: it cannot be checked; the message says in a line why.
    """
    with np.errstate(all="ignore"):
        return _inspect(subject, conventions, examples, seed)


def _inspect(subject: Subject, conventions: Conventions, examples: int, seed: int) -> GradientReport:
    start = time.perf_counter()
    observed = Observed(subject)
    found = observed.gradients
    evidence = Evidence()
    probe = _Probe(subject, observed, conventions, examples, seed)
    observed.settle()
    if observed.steady:
        evidence = probe.certified()
        probe.witness(evidence)
        if not any("certified" in by_oracle for by_oracle in evidence.judged.values()):
            probe.every_coordinate(evidence)
        if subject.twin is not None:
            by_twin(subject, found, conventions, probe.outputs, evidence)
        observed.settle()
    if not observed.steady:
        evidence = Evidence()
    notes = [*observed.notes, *evidence.notes, *blind(subject, evidence.truth, evidence.zero)]
    return GradientReport(
        subject=subject,
        conventions=conventions,
        found=found,
        evidence=evidence,
        notes=tuple(dict.fromkeys(notes)) if observed.steady else tuple(observed.notes),
        kinks=probe.kinks,
        seconds=time.perf_counter() - start,
        seed=seed,
    )


class _Probe:
    def __init__(
        self, subject: Subject, observed: Observed, conventions: Conventions, examples: int, seed: int
    ) -> None:
        self.subject, self.conventions, self.examples = subject, conventions, examples
        self.rng = np.random.default_rng(seed)
        self.found = observed.gradients
        # What rounding may do to a slope of the gradient, of its magnitude: for the witnesses only.
        self.grain = 2.0**-40 if narrowest(subject, self.found) == np.float64 else 2.0**-14
        self.kinks: dict[str, Array] = {}
        self.certificate: Certificate | None = None
        self.unproven: str | None = None
        self.forward = subject.along()
        self.outputs = np.asarray(subject.call(self.forward, subject.point))  # at the point in float64
        self.places = {path: place for path, place in subject.places().items() if path in self.found}

    def certified(self) -> Evidence:
        """What the balls say; nothing, with the reason, where the loss does not run on them."""
        self.certificate = Certificate(self.subject, self.conventions, self.found)
        try:
            return self.certificate.judge()
        except Refused as refused:
            evidence = Evidence(refused={"certified": str(refused)})
            self.certificate = None
            return evidence

    def witness(self, evidence: Evidence) -> None:
        """Hold the enclosures against differences in a few directions; withdraw them where they do not fit."""
        self.noise, self.unproven = self._noise()
        drawn = directions(self.subject.point, list(self.places.values()), self.rng, WITNESSES)
        seen = self._differences(drawn)
        self.differences = seen
        if self.certificate is None:
            self._complex(evidence, drawn, seen)
            return
        true = self._projected(self._true(), drawn)
        slack = 2.0**-45 * self._projected({p: np.abs(leaf) for p, leaf in self._true().items()}, np.abs(drawn))
        fits = not seen.kinks.any() and not (np.abs(seen.values - true) > seen.bounds + slack).any()
        if self._outputs_differ() or (not fits and not self._confirmed(evidence, drawn)):
            self._withdraw(evidence, "the run on balls does not compute what the run on floats does")
        elif fits and self.conventions.clip is None:
            factor = self.conventions.factor
            evidence.witnesses["finite_difference"] = self._witnessed(drawn, factor * seen.values, factor * seen.bounds)
            self._complex(evidence, drawn, seen)

    def _confirmed(self, evidence: Evidence, drawn: Array) -> bool:
        """Where differences do not fit the enclosures: whether a kink is why, at the point or close by.

        At the point, it takes the entries it touches out of the evidence. Close by, it takes only differences out.
        """
        assert self.certificate is not None
        points = self.subject.point + drawn * np.array([[1.0], [0.125], [2.0**-6], [2.0**-9]])
        values = self.subject.call(lambda: np.array([self.forward(point) for point in points]))
        try:
            if not self.certificate.same_function(points, values, self.noise):
                return False
            self.kinks = self.certificate.kinks(drawn[0])
        except Refused:
            return False
        for path, where in self.kinks.items():
            for judged in evidence.judged[path].values():
                judged.agree &= ~where
                judged.disagree &= ~where
        if not self.kinks:
            evidence.refused["finite_difference"] = "the loss has kinks so near that differences are misled"
        return True

    def _witnessed(self, rows: Array, slopes: Array, errors: Array) -> Judged:
        """The gradient's slopes along the rows, against an oracle's."""
        rounding = self._projected({p: self.grain * np.abs(g) for p, g in self.found.items()}, np.abs(rows))
        return judge(self._projected(self.found, rows), rounding, slopes, np.abs(errors))

    def every_coordinate(self, evidence: Evidence) -> None:
        """Differences, and where it applies the complex step, by every coordinate or as many as `examples` allows."""
        size, K = self.subject.point.size, self.subject.count
        values = {path: np.zeros((K, self.subject.wide.leaves[path].size)) for path in self.found}
        errors = {path: np.full(leaf.shape, np.inf) for path, leaf in values.items()}
        imaginary = {path: np.full(leaf.shape, np.nan) for path, leaf in values.items()}
        chosen = self._chosen(size)
        for path, place in self.places.items():
            mine = [at for at in chosen if place.start <= at < place.stop]
            kinks = np.zeros(self.subject.wide.leaves[path].size, bool)
            seen = self._differences(np.array([coordinate(size, at) for at in mine]))
            for row, at in enumerate(mine):
                at -= place.start
                values[path][:, at], errors[path][:, at] = seen.values[row], seen.bounds[row]
                kinks[at] = seen.kinks[row].any()
            if kinks.any():
                self.kinks[path] = kinks.reshape(self.subject.wide.leaves[path].shape)
            if "complex_step" not in evidence.refused and mine:
                self._complex_leaf(evidence, path, imaginary, mine, seen)
        if len(chosen) < sum(leaf.size for leaf in values.values()):
            evidence.notes.append(f"{len(chosen)} of {size} coordinates were probed, drawn at random (examples=…)")
        self._judge_floats(evidence, values, errors, imaginary)

    def _judge_floats(self, evidence: Evidence, values: Any, errors: Any, imaginary: Any) -> None:
        shapes = {path: self.found[path].shape for path in values}
        slope = {p: leaf.reshape(shapes[p]) for p, leaf in values.items()}
        error = {p: leaf.reshape(shapes[p]) for p, leaf in errors.items()}
        if self.conventions.by_norm and not all(np.isfinite(leaf).all() for leaf in error.values()):
            evidence.notes.append("clipping by norm needs every coordinate, and some could not be told")
        rounding, why = gradient_rounding(self.subject, self.found)
        wanted, wider = self.conventions.applied(slope), self.conventions.widened(error)
        evidence.add("finite_difference", against(self.found, rounding, wanted, wider))
        evidence.truth = wanted
        if self.unproven:
            evidence.estimated["finite_difference"] = self.unproven
        if why:
            evidence.estimated.setdefault("finite_difference", why)
        if "complex_step" in evidence.refused or not imaginary:
            return
        known = {p: leaf.reshape(shapes[p]) for p, leaf in imaginary.items()}
        exact = self.conventions.applied({p: np.nan_to_num(leaf) for p, leaf in known.items()})
        try:
            chain = chain_rounding(self.subject)
        except Refused as refused:
            evidence.estimated["complex_step"] = str(refused)
            chain = {p: 2.0**-40 * np.abs(leaf) + 2.0**-46 * np.nanmax(np.abs(leaf)) for p, leaf in known.items()}
        if why:
            evidence.estimated.setdefault("complex_step", why)
        loss = {p: np.where(np.isnan(known[p]), np.inf, chain[p]) for p in known}
        evidence.add("complex_step", against(self.found, rounding, exact, self.conventions.widened(loss)))
        evidence.truth = {p: np.where(np.isnan(known[p]), wanted[p], exact[p]) for p in known}

    def _chosen(self, size: int) -> list[int]:
        every = [at for place in self.places.values() for at in range(place.start, place.stop)]
        if len(every) <= self.examples:
            return every
        share = max(1, self.examples // len(self.places))
        drawn = [self.rng.permutation(place.stop - place.start)[:share] + place.start for place in self.places.values()]
        return sorted(int(at) for part in drawn for at in part)

    def _differences(self, rows: Array) -> Slopes:
        """Slopes along the rows; the step is found on the first of them."""
        if not len(rows):
            return Slopes(*(np.zeros((0, self.subject.count)) for _ in range(3)))

        def work() -> Slopes:
            differences = Differences(self.forward, self.subject.point, self.noise)
            step = differences.step(rows[len(rows) // 2])
            each = [differences.along(row, step) for row in rows]
            return Slopes(
                *(np.concatenate([getattr(one, name) for one in each]) for name in ("values", "bounds", "kinks"))
            )

        found: Slopes = self.subject.call(work, seconds=max(60.0, self.subject.seconds))
        return found

    def _noise(self) -> tuple[Array, str | None]:
        try:
            _, noise = output_rounding(self.subject)
            if np.isfinite(noise).all():
                return 2 * noise + np.spacing(np.abs(self.outputs)), None
            why = "the rounding bound of the loss is infinite"
        except Refused as refused:
            why = str(refused)
        return self.subject.call(lambda: estimated(self.forward, self.subject.point, self.rng)), why

    def _complex(self, evidence: Evidence, rows: Array, seen: Slopes) -> None:
        """Whether the complex step applies; its slopes as one more witness where balls have said everything."""
        try:
            slope = complex_slopes(self.subject, rows, self.outputs, self.noise)
        except Refused as refused:
            evidence.refused["complex_step"] = str(refused)
            return
        if (np.abs(slope - seen.values) > seen.bounds + 1e-9 * np.abs(slope)).any():
            evidence.refused["complex_step"] = "finite differences contradict it: abs, max, conj or a cast breaks it"
        elif self.certificate is not None:
            true = self.conventions.factor * slope
            evidence.witnesses["complex_step"] = self._witnessed(rows, true, self.grain * np.abs(true))

    def _complex_leaf(self, evidence: Evidence, path: str, imaginary: Any, mine: list[int], seen: Slopes) -> None:
        size = self.subject.point.size
        try:
            rows = np.array([coordinate(size, at) for at in mine])
            slope = complex_slopes(self.subject, rows, self.outputs, self.noise)
        except Refused as refused:
            if np.abs(seen.values).max(initial=0.0) > seen.bounds.max(initial=0.0):
                evidence.refused["complex_step"] = str(refused)
            return
        if (np.abs(slope - seen.values) > seen.bounds + 1e-9 * np.abs(slope)).any():
            evidence.refused["complex_step"] = "finite differences contradict it: abs, max, conj or a cast breaks it"
            return
        slope = np.where(seen.kinks, np.nan, slope)
        imaginary[path][:, [at - self.places[path].start for at in mine]] = slope.T

    def _true(self) -> dict[str, Array]:
        """The certified derivatives without conventions, which differences know nothing of."""
        assert self.certificate is not None
        if self.conventions.clip is not None:
            return {path: midpoints(leaf) for path, leaf in self.certificate.unclipped.items()}
        return {path: midpoints(leaf) / self.conventions.factor for path, leaf in self.certificate.enclosures.items()}

    def _projected(self, leaves: dict[str, Array], rows: Array) -> Array:
        """Slopes (D, K) along the rows, from gradients (K, …)."""
        K = self.subject.count
        return sum(
            (rows[:, self.places[path]] @ leaf.reshape(K, -1).astype(float).T for path, leaf in leaves.items()),
            np.zeros((len(rows), K)),
        )

    def _outputs_differ(self) -> bool:
        assert self.certificate is not None
        enclosed = self.certificate.outputs
        reach = radii(enclosed) + self.noise + 2.0**-40 * np.abs(self.outputs)
        return bool((np.abs(midpoints(enclosed) - self.outputs) > reach).any())

    def _withdraw(self, evidence: Evidence, why: str) -> None:
        evidence.drop("certified", "float_run")
        evidence.refused["certified"] = why
        evidence.zero, evidence.truth, evidence.bits = {}, {}, None
        self.certificate = None
