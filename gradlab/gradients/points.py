"""What is found of a subject at the point given, and at others beside it: one point proves nothing about another."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from gradlab.checker.verdict import Verdict
from gradlab.gradients.called import GradientCheckError
from gradlab.gradients.conventions import Conventions
from gradlab.gradients.engine import ask_all
from gradlab.gradients.evidence import Evidence
from gradlab.gradients.findings import Findings, Point
from gradlab.gradients.guards import Observed, blind
from gradlab.gradients.probe import Probe, Request
from gradlab.gradients.subject import Subject
from gradlab.gradients.witnesses import ask_witnesses

Array = np.ndarray[Any, Any]

GIVEN, SEVERAL = "given", "several"

JITTERED = 2  # points with every entry moved, relative to the size of its leaf
SMALLER = 2.0**-7  # the scale of one more


def inspect(
    subject: Subject, conventions: Conventions, *, examples: int, seed: int, seconds: float, points: str = SEVERAL
) -> Findings:
    """What is found of one subject.

    Args:
        examples: how many coordinates are probed, at most, where each costs calls of the loss.
        seconds: the limit of time for all of it. points: "given", or "several".

    Raises:
        GradientCheckError: it cannot be checked; the message says in a line why.
    """
    start = time.perf_counter()
    request = Request(conventions, examples, seed, start + seconds)
    with np.errstate(all="ignore"):
        report = inspect_at(subject, request)
        first = time.perf_counter() - start
        tried = [_point("the one given", report)]
        if points == SEVERAL and subject.movable and report.verdict is not Verdict.DISAGREE:
            for name, other in beside(subject, seed):
                if request.deadline - time.perf_counter() < 1.5 * first:
                    tried.append(Point(name, None, why="there was no time for it (seconds=…)"))
                    continue
                other = replace(other, seconds=min(other.seconds, request.left))  # a loss need not end there
                seen, found = _beside(name, other, request, report.evidence.bits or 0)
                tried.append(seen)
                if found is not None and found.verdict is Verdict.DISAGREE:
                    note = f"not wrong at the point given, but wrong {name}"
                    report = replace(found, notes=(note, *found.notes))
                    break
            if len(tried) > 1:
                settle(subject)
    return replace(report, points=tuple(tried), seconds=time.perf_counter() - start)


def inspect_at(subject: Subject, request: Request) -> Findings:
    """What is found of one subject at its point alone.

    Raises:
        GradientCheckError: it cannot be checked; the message says in a line why.
    """
    start = time.perf_counter()
    observed = Observed(subject)
    observed.settle()
    probe = Probe(subject, observed, request)
    evidence = Evidence()
    if observed.steady:
        evidence = ask_all(probe)
        observed.needs_loss()
        observed.settle()
    if not observed.steady:
        evidence = Evidence()
    notes = [*observed.notes, *evidence.notes, *blind(subject, evidence.truth, evidence.zero)]
    return Findings(
        subject=subject,
        conventions=request.conventions,
        found=probe.found,
        evidence=evidence,
        notes=tuple(dict.fromkeys(notes)) if observed.steady else tuple(observed.notes),
        seconds=time.perf_counter() - start,
        seed=request.seed,
    )


def beside(subject: Subject, seed: int) -> Iterator[tuple[str, Subject]]:
    """(name, subject) at points beside a subject's: generic in every entry, and one of smaller parameters."""
    rng = np.random.default_rng(seed + 1)
    for number in range(JITTERED):
        moved = {path: _moved(leaf, rng) for path, leaf in subject.params.leaves.items()}
        yield f"beside it ({number + 1})", subject.at(moved)
    small = {path: _moved(leaf, rng) for path, leaf in subject.params.leaves.items()}
    small = {path: (leaf * SMALLER).astype(leaf.dtype) for path, leaf in small.items()}
    yield "at 1/128 the size", subject.at(small)


def settle(subject: Subject) -> None:
    """Leave what the functions store as their run at the subject's own point leaves it."""
    subject.run(subject.params.rebuilt())


def _beside(name: str, subject: Subject, request: Request, bits: int) -> tuple[Point, Findings | None]:
    """What the proof says at another point; nothing, where there is none."""
    try:
        observed = Observed(subject)
    except GradientCheckError as error:
        return Point(name, None, why=str(error)), None
    probe = Probe(subject, observed, request)
    probe.certify(bits, bounded=False)
    evidence = probe.evidence
    if not evidence.is_certified:
        return Point(name, None, why=evidence.refused["certified"]), None
    report = Findings(
        subject=subject,
        conventions=request.conventions,
        found=probe.found,
        evidence=evidence,
        notes=tuple(dict.fromkeys([*observed.notes, *evidence.notes])),
        seed=request.seed,
    )
    if report.verdict is Verdict.DISAGREE:
        ask_witnesses(probe)
        observed.settle()
        if not evidence.is_certified or not observed.steady:
            return Point(name, None, why=evidence.refused.get("certified", "it is not deterministic")), None
    return _point(name, report), report


def _point(name: str, report: Findings) -> Point:
    judged = [by_oracle["certified"] for by_oracle in report.evidence.judged.values() if "certified" in by_oracle]
    decided = sum(int((one.agree | one.disagree).sum()) for one in judged)
    return Point(name, report.verdict, decided, report.evidence.refused.get("certified", ""))


def _moved(leaf: Array, rng: np.random.Generator) -> Array:
    """Every entry moved relative to the size of the leaf, zeros off zero, and rounded to 20 bits of it."""
    scale = float(np.abs(leaf).max(initial=0.0)) or 0.125
    new = leaf * rng.uniform(0.75, 1.25, leaf.shape) + scale * rng.uniform(-0.125, 0.125, leaf.shape)
    moved = np.asarray(np.round(new * 2.0**20 / scale) * (scale * 2.0**-20)).astype(leaf.dtype)
    moved.setflags(write=False)
    return moved
