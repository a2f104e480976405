"""Differences, and where it applies the complex step, by every coordinate: for gradients of which there is no proof."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradlab.checker.verdict import Judged, judge
from gradlab.gradients.differences import CLOSER, Coordinates, Slopes
from gradlab.gradients.evidence import against
from gradlab.gradients.imaginary import slopes as complex_slopes
from gradlab.gradients.probe import Probe
from gradlab.gradients.recording import Refused

Array = np.ndarray[Any, Any]


def every_coordinate(probe: Probe) -> None:
    """Differences, and where it applies the complex step, by every coordinate or as many as there is time for."""
    evidence, K = probe.evidence, probe.subject.count
    size = probe.subject.point.size
    values = {path: np.zeros((K, probe.subject.wide.leaves[path].size)) for path in probe.found}
    errors = {path: np.full(leaf.shape, np.inf) for path, leaf in values.items()}
    imaginary = {path: np.full(leaf.shape, np.nan) for path, leaf in values.items()}
    chosen, probed = _chosen(probe, size), 0
    for path, place in probe.places.items():
        mine = [at for at in chosen if place.start <= at < place.stop]
        kinks = np.zeros(probe.subject.wide.leaves[path].size, bool)
        seen = probe.differences(Coordinates(size, mine))
        mine = mine[: len(seen.values)]
        probed += len(mine)
        for row, at in enumerate(mine):
            at -= place.start
            values[path][:, at], errors[path][:, at] = seen.values[row], seen.bounds[row]
            kinks[at] = seen.kinks[row].any()
        if kinks.any():
            evidence.kinks[path] = kinks.reshape(probe.subject.wide.leaves[path].shape)
        if "complex_step" not in evidence.refused and mine:
            _complex_leaf(probe, path, imaginary, mine, seen)
    if probed < sum(leaf.size for leaf in values.values()):
        why = "drawn at random (examples=…)" if probed == len(chosen) else "all that there was time for (seconds=…)"
        evidence.notes.append(f"{probed} of {size} coordinates were probed, {why}{_hidden(probe)}")
    _judge_floats(probe, values, errors, imaginary)


def _hidden(probe: Probe) -> str:
    """How large an error in a single other entry may be that no direction has shown."""
    rows, seen = probe.along
    if probe.conventions.clip is not None or not len(rows):
        return ""
    factor = probe.conventions.factor
    rounding = probe.projected({p: probe.grain * np.abs(g) for p, g in probe.found.items()}, np.abs(rows))
    off = np.abs(probe.projected(probe.found, rows) - factor * seen.values) + abs(factor) * seen.bounds + rounding
    least = np.min(np.abs(rows), axis=1, where=rows != 0, initial=np.inf)
    most = float(np.min(off.max(axis=1) / least))
    return (
        f"; along {len(rows)} directions, an error in one of the others could hide up to {most:.1g}"
        if np.isfinite(most)
        else ""
    )


def _judge_floats(probe: Probe, values: Any, errors: Any, imaginary: Any) -> None:
    evidence = probe.evidence
    shapes = {path: probe.found[path].shape for path in values}
    slope = {p: leaf.reshape(shapes[p]) for p, leaf in values.items()}
    error = {p: leaf.reshape(shapes[p]) for p, leaf in errors.items()}
    if probe.conventions.by_norm and not all(np.isfinite(leaf).all() for leaf in error.values()):
        evidence.notes.append("clipping by norm needs every coordinate, and some could not be told")
    rounding, why = probe.rounding()
    wanted, wider = probe.conventions.applied(slope), probe.conventions.widened(error)
    judged = against(probe.found, rounding, wanted, wider)
    _confirm(probe, judged, rounding)
    evidence.add("finite_difference", judged)
    evidence.truth = {p: np.where(np.isfinite(wider[p]), leaf, np.nan) for p, leaf in wanted.items()}
    if probe.unproven:
        evidence.estimated["finite_difference"] = probe.unproven
    if why:
        evidence.estimated.setdefault("finite_difference", why)
    if "complex_step" in evidence.refused or not imaginary:
        return
    known = {p: leaf.reshape(shapes[p]) for p, leaf in imaginary.items()}
    exact = probe.conventions.applied({p: np.nan_to_num(leaf) for p, leaf in known.items()})
    chain, unknown = probe.chain({p: np.nan_to_num(leaf) for p, leaf in known.items()})
    if unknown or why:
        evidence.estimated["complex_step"] = unknown or why or ""
    loss = {p: np.where(np.isnan(known[p]), np.inf, chain[p]) for p in known}
    evidence.add("complex_step", against(probe.found, rounding, exact, probe.conventions.widened(loss)))
    evidence.truth = {p: np.where(np.isnan(known[p]), evidence.truth[p], exact[p]) for p in known}


def _confirm(probe: Probe, judged: dict[str, Judged], rounding: dict[str, Array]) -> None:
    """Ask again, at far smaller steps, of entries that differences call wrong: a kink may lie within the step.

    Only what every step calls wrong is wrong; the error of differences is an estimate.
    """
    if probe.conventions.clip is not None:
        return
    size, K = probe.subject.point.size, probe.subject.count
    for path, one in judged.items():
        shape = one.disagree.shape
        where = np.flatnonzero(
            one.disagree.reshape(K, -1).any(axis=0) & np.isfinite(probe.found[path]).reshape(K, -1).all(axis=0)
        )
        rows = Coordinates(size, [probe.places[path].start + int(at) for at in where])
        for closer in CLOSER[1:]:
            seen = probe.differences(rows, closer)
            wrong = np.ones((K, int(np.prod(shape[1:], dtype=int))), bool)
            for row, at in enumerate(where):
                known = row < len(seen.values)
                factor = probe.conventions.factor
                slope = factor * seen.values[row] if known else np.zeros(K)
                bound = abs(factor) * seen.bounds[row] if known else np.full(K, np.inf)
                again = judge(
                    probe.found[path].reshape(K, -1)[:, at], rounding[path].reshape(K, -1)[:, at], slope, bound
                )
                wrong[:, at] = again.disagree | (again.undecided & ~seen.kinks[row] if known else True)
            one.disagree &= wrong.reshape(shape)


def _chosen(probe: Probe, size: int) -> list[int]:
    every = [at for place in probe.places.values() for at in range(place.start, place.stop)]
    if len(every) <= probe.request.examples:
        return every
    share = max(1, probe.request.examples // len(probe.places))
    drawn = [probe.rng.permutation(place.stop - place.start)[:share] + place.start for place in probe.places.values()]
    return sorted(int(at) for part in drawn for at in part)


def _complex_leaf(probe: Probe, path: str, imaginary: Any, mine: list[int], seen: Slopes) -> None:
    refused, size = probe.evidence.refused, probe.subject.point.size
    try:
        slope = complex_slopes(probe.subject, Coordinates(size, mine), probe.outputs, probe.noise)
    except Refused as why:
        if np.abs(seen.values).max(initial=0.0) > seen.bounds.max(initial=0.0):
            refused["complex_step"] = str(why)
        return
    if (np.abs(slope - seen.values) > seen.bounds + 1e-9 * np.abs(slope)).any():
        refused["complex_step"] = "finite differences contradict it: abs, max, conj or a cast breaks it"
        return
    slope = np.where(seen.kinks, np.nan, slope)
    imaginary[path][:, [at - probe.places[path].start for at in mine]] = slope.T
