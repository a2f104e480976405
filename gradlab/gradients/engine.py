"""What every oracle that applies says of a subject at one point.

Subject, program, replays, verdict: the loss and the gradient are recorded (`recording`), the program is replayed on
balls (`certificate`) and on error bounds (`rounding`), and the user's own functions bear witness (differences and the
complex step along a few directions) that the program is what they compute. Where there is no proof, differences and the
complex step are taken by every coordinate.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradlab.arithmetic.balls import midpoints, precision
from gradlab.arithmetic.floats import FloatArithmetic
from gradlab.checker.verdict import Judged, judge
from gradlab.gradients.certificate import Certificate, Prover, TooLarge
from gradlab.gradients.conventions import Conventions
from gradlab.gradients.differences import CLOSER, Coordinates, Differences, Slopes, directions
from gradlab.gradients.evidence import Evidence, against, refuse_infinite
from gradlab.gradients.guards import Observed
from gradlab.gradients.imaginary import slopes as complex_slopes
from gradlab.gradients.noise import estimated
from gradlab.gradients.recording import Recorded, Refused, record
from gradlab.gradients.rounding import RoundingBounds, narrowest, spread
from gradlab.gradients.subject import Subject
from gradlab.gradients.twin import derivatives as twin_derivatives
from gradlab.tape.program import Block
from gradlab.tape.replay import ties

Array = np.ndarray[Any, Any]

# Directions along which differences bear witness that the program computes what the user's functions do.
WITNESSES = 4
# Distances from the point at which they are asked whether they are one function, if the slopes do not tell.
NEARBY = (1.0, 2.0**-3, 2.0**-6, 2.0**-9, 2.0**-12, 2.0**-16, 2.0**-20)


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


class PointCheck:
    """One subject at one point.

    evidence: what the oracles say, once `run` is over.
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

    def run(self) -> Evidence:
        """Ask every oracle that applies."""
        self.certify()
        self.witness()
        if not self.evidence.is_certified:
            self.every_coordinate()
        if self.subject.twin is not None:
            self.by_twin()
        return self.evidence

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
        rounding, why = self._rounding()
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

    def witness(self) -> None:
        """Hold the enclosures against differences in a few directions; withdraw them where they do not fit."""
        evidence = self.evidence
        self.noise, self.unproven = self._noise()
        drawn = directions(self.subject.point, list(self.places.values()), self.rng, WITNESSES)
        seen = self._differences(list(drawn))
        drawn = drawn[: len(seen.values)]
        self.along = (drawn, seen)
        if self.certificate is None:
            self._complex(drawn, seen)
            return
        true = self._unclipped()
        wanted = self._projected(true, drawn)
        slack = 2.0**-45 * self._projected({p: np.abs(leaf) for p, leaf in true.items()}, np.abs(drawn))
        fits = not seen.kinks.any() and not (np.abs(seen.values - wanted) > seen.bounds + slack).any()
        if not fits and not self._same_function(drawn):
            self._withdraw("the recorded program does not compute what the functions do")
        elif not fits:
            evidence.refused["finite_difference"] = "the loss has kinks so near that differences are misled"
        elif self.conventions.clip is None:
            factor = self.conventions.factor
            evidence.witnesses["finite_difference"] = self._witnessed(drawn, factor * seen.values, factor * seen.bounds)
            self._complex(drawn, seen)

    def _same_function(self, drawn: Array) -> bool:
        """Whether the program gives what the function gives at points nearby, and far enough for it to show.

        Only points to which the program's comparisons still apply can tell.
        """
        assert self.recorded is not None
        shown = False
        for row in drawn:
            for near in NEARBY:
                point = self.subject.point + near * row
                value = self.subject.call(lambda point=point: self.forward(point))
                replayed = self._replayed(point)
                if replayed is None or not np.isfinite(value).all():
                    continue
                allowed = 8 * self.noise + 2.0**-40 * np.abs(value)
                if (np.abs(replayed - value) > allowed).any():
                    return False
                shown |= bool((np.abs(value - self.outputs) > 16 * allowed).any())
        return shown

    def _replayed(self, point: Array) -> Array | None:
        """The program's outputs at another point, as floats; None where it would have gone another way."""
        assert self.recorded is not None
        places, program = self.subject.places(), self.recorded.program
        leaves = {
            int(index.min()): point[places[path]].reshape(index.shape) for path, index in self.recorded.leaves.items()
        }

        def moved(block: Block, values: Array) -> Array | None:
            return leaves[block.start][None] if block.start in leaves else None

        nodes, guards = self.recorded.loss
        with np.errstate(all="ignore"):
            run = self.recorded.replayed(FloatArithmetic(), leaves=moved, length=nodes)
            if ties(run, program.guards[:guards]):
                return None
            return np.asarray(run.numbers(self.recorded.outputs))

    def _witnessed(self, rows: Array, slopes: Array, errors: Array) -> Judged:
        """The gradient's slopes along the rows, against an oracle's."""
        rounding = self._projected({p: self.grain * np.abs(g) for p, g in self.found.items()}, np.abs(rows))
        return judge(self._projected(self.found, rows), rounding, slopes, np.abs(errors))

    def every_coordinate(self) -> None:
        """Differences, and where it applies the complex step, by every coordinate or as many as there is time for."""
        evidence, K = self.evidence, self.subject.count
        size = self.subject.point.size
        values = {path: np.zeros((K, self.subject.wide.leaves[path].size)) for path in self.found}
        errors = {path: np.full(leaf.shape, np.inf) for path, leaf in values.items()}
        imaginary = {path: np.full(leaf.shape, np.nan) for path, leaf in values.items()}
        chosen, probed = self._chosen(size), 0
        for path, place in self.places.items():
            mine = [at for at in chosen if place.start <= at < place.stop]
            kinks = np.zeros(self.subject.wide.leaves[path].size, bool)
            seen = self._differences(Coordinates(size, mine))
            mine = mine[: len(seen.values)]
            probed += len(mine)
            for row, at in enumerate(mine):
                at -= place.start
                values[path][:, at], errors[path][:, at] = seen.values[row], seen.bounds[row]
                kinks[at] = seen.kinks[row].any()
            if kinks.any():
                evidence.kinks[path] = kinks.reshape(self.subject.wide.leaves[path].shape)
            if "complex_step" not in evidence.refused and mine:
                self._complex_leaf(path, imaginary, mine, seen)
        if probed < sum(leaf.size for leaf in values.values()):
            why = "drawn at random (examples=…)" if probed == len(chosen) else "all that there was time for (seconds=…)"
            evidence.notes.append(f"{probed} of {size} coordinates were probed, {why}{self._hidden()}")
        self._judge_floats(values, errors, imaginary)

    def _hidden(self) -> str:
        """How large an error in a single other entry may be that no direction has shown."""
        rows, seen = self.along
        if self.conventions.clip is not None or not len(rows):
            return ""
        factor = self.conventions.factor
        rounding = self._projected({p: self.grain * np.abs(g) for p, g in self.found.items()}, np.abs(rows))
        off = np.abs(self._projected(self.found, rows) - factor * seen.values) + abs(factor) * seen.bounds + rounding
        least = np.min(np.abs(rows), axis=1, where=rows != 0, initial=np.inf)
        most = float(np.min(off.max(axis=1) / least))
        return (
            f"; along {len(rows)} directions, an error in one of the others could hide up to {most:.1g}"
            if np.isfinite(most)
            else ""
        )

    def _judge_floats(self, values: Any, errors: Any, imaginary: Any) -> None:
        evidence = self.evidence
        shapes = {path: self.found[path].shape for path in values}
        slope = {p: leaf.reshape(shapes[p]) for p, leaf in values.items()}
        error = {p: leaf.reshape(shapes[p]) for p, leaf in errors.items()}
        if self.conventions.by_norm and not all(np.isfinite(leaf).all() for leaf in error.values()):
            evidence.notes.append("clipping by norm needs every coordinate, and some could not be told")
        rounding, why = self._rounding()
        wanted, wider = self.conventions.applied(slope), self.conventions.widened(error)
        judged = against(self.found, rounding, wanted, wider)
        self._confirm(judged, rounding)
        evidence.add("finite_difference", judged)
        evidence.truth = {p: np.where(np.isfinite(wider[p]), leaf, np.nan) for p, leaf in wanted.items()}
        if self.unproven:
            evidence.estimated["finite_difference"] = self.unproven
        if why:
            evidence.estimated.setdefault("finite_difference", why)
        if "complex_step" in evidence.refused or not imaginary:
            return
        known = {p: leaf.reshape(shapes[p]) for p, leaf in imaginary.items()}
        exact = self.conventions.applied({p: np.nan_to_num(leaf) for p, leaf in known.items()})
        chain, unknown = self._chain({p: np.nan_to_num(leaf) for p, leaf in known.items()})
        if unknown or why:
            evidence.estimated["complex_step"] = unknown or why or ""
        loss = {p: np.where(np.isnan(known[p]), np.inf, chain[p]) for p in known}
        evidence.add("complex_step", against(self.found, rounding, exact, self.conventions.widened(loss)))
        evidence.truth = {p: np.where(np.isnan(known[p]), evidence.truth[p], exact[p]) for p in known}

    def _confirm(self, judged: dict[str, Judged], rounding: dict[str, Array]) -> None:
        """Ask again, at far smaller steps, of entries that differences call wrong: a kink may lie within the step.

        Only what every step calls wrong is wrong; the error of differences is an estimate.
        """
        if self.conventions.clip is not None:
            return
        size, K = self.subject.point.size, self.subject.count
        for path, one in judged.items():
            shape = one.disagree.shape
            where = np.flatnonzero(
                one.disagree.reshape(K, -1).any(axis=0) & np.isfinite(self.found[path]).reshape(K, -1).all(axis=0)
            )
            rows = Coordinates(size, [self.places[path].start + int(at) for at in where])
            for closer in CLOSER[1:]:
                seen = self._differences(rows, closer)
                wrong = np.ones((K, int(np.prod(shape[1:], dtype=int))), bool)
                for row, at in enumerate(where):
                    known = row < len(seen.values)
                    factor = self.conventions.factor
                    slope = factor * seen.values[row] if known else np.zeros(K)
                    bound = abs(factor) * seen.bounds[row] if known else np.full(K, np.inf)
                    again = judge(
                        self.found[path].reshape(K, -1)[:, at], rounding[path].reshape(K, -1)[:, at], slope, bound
                    )
                    wrong[:, at] = again.disagree | (again.undecided & ~seen.kinks[row] if known else True)
                one.disagree &= wrong.reshape(shape)

    def by_twin(self) -> None:
        """What the same loss in jax.numpy says.

        Raises:
            GradientCheckError: the twin raises, or is not the loss at this point.
        """
        values = twin_derivatives(self.subject, self.outputs)
        wanted = self.conventions.applied({path: values[path] for path in self.found})
        rounding, why = self._rounding()
        errors, unknown = self._chain(wanted)
        if why or unknown:
            self.evidence.estimated["twin"] = why or unknown or ""
        self.evidence.add("twin", against(self.found, rounding, wanted, self.conventions.widened(errors)))
        self.evidence.truth = self.evidence.truth or wanted

    def _rounding(self) -> tuple[dict[str, Array], str | None]:
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

    def _chain(self, values: dict[str, Array]) -> tuple[dict[str, Array], str | None]:
        """Bounds on what the chain rule's rounding may do to derivatives; where they are an estimate, why."""
        why = self.evidence.refused.get("certified", "")
        if self.bounds is not None:
            try:
                return self.bounds.chain, None
            except Refused as refused:
                why = str(refused)
        return {p: 2.0**-40 * np.abs(v) + 2.0**-46 * np.max(np.abs(v), initial=0.0) for p, v in values.items()}, why

    def _chosen(self, size: int) -> list[int]:
        every = [at for place in self.places.values() for at in range(place.start, place.stop)]
        if len(every) <= self.request.examples:
            return every
        share = max(1, self.request.examples // len(self.places))
        drawn = [self.rng.permutation(place.stop - place.start)[:share] + place.start for place in self.places.values()]
        return sorted(int(at) for part in drawn for at in part)

    def _differences(self, rows: Sequence[Array], closer: float = 1.0) -> Slopes:
        """Slopes along the rows, as many as there is time for; the step is found on the one in the middle.

        Args:
            closer: the part of that step which is taken.
        """
        if not len(rows) or time.perf_counter() > self.request.deadline:
            return Slopes(*(np.zeros((0, self.subject.count)) for _ in range(3)))

        def work() -> Slopes:
            differences = Differences(self.forward, self.subject.point, self.noise)
            step = differences.step(rows[len(rows) // 2])
            each: list[Slopes] = []
            for row in rows:
                if each and time.perf_counter() > self.request.deadline:
                    break
                each.append(differences.along(row, step * closer))
            return Slopes(
                *(np.concatenate([getattr(one, name) for one in each]) for name in ("values", "bounds", "kinks"))
            )

        found: Slopes = self.subject.call(work, seconds=self.request.left + self.subject.seconds)
        return found

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

    def _complex(self, rows: Array, seen: Slopes) -> None:
        """Whether the complex step applies; its slopes as one more witness where balls have said everything."""
        refused = self.evidence.refused
        if not len(rows):
            refused["complex_step"] = "there was no time for it (seconds=…)"
            return
        try:
            slope = complex_slopes(self.subject, list(rows), self.outputs, self.noise)
        except Refused as why:
            refused["complex_step"] = str(why)
            return
        if (np.abs(slope - seen.values) > seen.bounds + 1e-9 * np.abs(slope)).any():
            refused["complex_step"] = "finite differences contradict it: abs, max, conj or a cast breaks it"
        elif self.certificate is not None:
            true = self.conventions.factor * slope
            self.evidence.witnesses["complex_step"] = self._witnessed(rows, true, self.grain * np.abs(true))

    def _complex_leaf(self, path: str, imaginary: Any, mine: list[int], seen: Slopes) -> None:
        refused, size = self.evidence.refused, self.subject.point.size
        try:
            slope = complex_slopes(self.subject, Coordinates(size, mine), self.outputs, self.noise)
        except Refused as why:
            if np.abs(seen.values).max(initial=0.0) > seen.bounds.max(initial=0.0):
                refused["complex_step"] = str(why)
            return
        if (np.abs(slope - seen.values) > seen.bounds + 1e-9 * np.abs(slope)).any():
            refused["complex_step"] = "finite differences contradict it: abs, max, conj or a cast breaks it"
            return
        slope = np.where(seen.kinks, np.nan, slope)
        imaginary[path][:, [at - self.places[path].start for at in mine]] = slope.T

    def _unclipped(self) -> dict[str, Array]:
        """The certified derivatives without conventions, which differences know nothing of."""
        assert self.certificate is not None
        with precision(self.certificate.enclosures.bits):
            return {path: midpoints(leaf) for path, leaf in self.certificate.enclosures.unclipped.items()}

    def _projected(self, leaves: dict[str, Array], rows: Array) -> Array:
        """Slopes (D, K) along the rows, from gradients (K, …)."""
        K = self.subject.count
        return sum(
            (rows[:, self.places[path]] @ leaf.reshape(K, -1).astype(float).T for path, leaf in leaves.items()),
            np.zeros((len(rows), K)),
        )

    def _withdraw(self, why: str) -> None:
        self.evidence.drop("certified", "float_run")
        self.evidence.refused["certified"] = why
        self.evidence.zero, self.evidence.truth, self.evidence.bits, self.evidence.kinks = {}, {}, None, {}
        self.certificate = self.recorded = self.bounds = None
