"""The code under test against every oracle: on one problem (`compare`), and on many generated ones (`check`)."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
from hypothesis import HealthCheck, Phase

from gradlab import oracles as known
from gradlab.addition import data as addition
from gradlab.arithmetic.balls import finite, midpoints, overlaps, precision, radii
from gradlab.cells import CELLS, Cell, Code, cell
from gradlab.checker.allowance import allowance, judgeable
from gradlab.checker.large import large, smaller
from gradlab.checker.locate import FirstWrong, first_wrong, total_is_wrong
from gradlab.checker.report import CellReport, Comparison, Report
from gradlab.checker.submission import TOTAL, Submission
from gradlab.checker.verdict import Joined, Judged, Verdict, judge, judge_all, narrow, settled, split
from gradlab.checker.watch import NotCertified, SubmissionError
from gradlab.interrupts import checkpoint, held
from gradlab.problem import Problem
from gradlab.strategies import SCALES, problems

Array = np.ndarray[Any, Any]
Progress = Callable[[str, int, int], None]

SHRINKS = 200  # problems tried in search of a smaller one: a clock would report another on a slower machine
ADDITION_EVERY = 20
LARGEST_QUANTITY = 1 << 13


class Disagreement(Exception):
    """Raised inside the search so that Hypothesis shrinks the problem it was raised on."""


def compare(
    cell_name: str = "rnn",
    problem: Problem | None = None,
    *,
    code: Code | str | Path | None = None,
    oracles: Iterable[str] | None = None,
    seconds: float = 10.0,
) -> Comparison:
    """Hold every quantity of one problem against every oracle, entry by entry.

    Args:
        cell_name: a registered cell: "rnn".
        problem: what to run it on; by default an 8-bit binary addition.
        code: the code under test, or the file that defines it; by default the cell's own.
        oracles: names of the oracles to ask; by default all there are.
        seconds: the time limit of one call of the code under test.

    Raises:
        KeyError: no such cell or oracle.
        SubmissionError: the code under test cannot be judged.
    """
    tested = cell(cell_name)
    if problem is None:
        problem = _addition(tested, np.random.default_rng(0), (1.0,))
    with held():
        return _compare(Submission(tested, code, seconds), problem, oracles)


def _compare(submission: Submission, problem: Problem, oracles: Iterable[str] | None = None) -> Comparison:
    comparison = Comparison(submission.cell, problem, submission.floats(problem), {})
    try:
        comparison.rounding = submission.rounding(problem)
    except NotCertified as error:
        comparison.uncertified, comparison.rounding = str(error), allowance(submission.cell, problem).bounds
    if submission.code is not submission.cell.code:
        allowed = allowance(submission.cell, problem)
        comparison.rounding = allowed.capped(comparison.values, comparison.rounding)
    for name in known.names_for(submission.cell) if oracles is None else oracles:
        checkpoint()
        try:
            _ask(comparison, submission, known.oracle(name))
        except NotCertified as error:
            comparison.uncertified = str(error)
    _yield_to_proofs(comparison)
    _settle(comparison)
    return comparison


def _ask(comparison: Comparison, submission: Submission, oracle: Any) -> None:
    """Hold one problem against one oracle, at rising precision. Raises NotCertified as `Submission.balls`."""
    problem, floats, allowed = comparison.problem, comparison.values, comparison.rounding
    for bits in oracle.PRECISIONS:
        evidence = oracle.evidence(submission.cell, problem, bits)
        if evidence.bits is None:
            judged = judge_all(floats, allowed, evidence.values, evidence.bounds)
        else:
            last = bits == oracle.PRECISIONS[-1]
            judged, first = _on_balls(submission, problem, floats, allowed, evidence, last)
            comparison.first_wrong = first or comparison.first_wrong
        if not any(one.undecided.any() for one in judged.values()):
            break
    comparison.add(evidence, judged)


def _settle(comparison: Comparison) -> None:
    """Count the verdicts, oracle by oracle."""
    for oracle in comparison.evidence:
        judged = {name: by_oracle[oracle] for name, by_oracle in comparison.judged.items() if oracle in by_oracle}
        for name, one in settled(judged).items():
            comparison.judged[name][oracle] = one


def _yield_to_proofs(comparison: Comparison) -> None:
    """Where enclosures prove that an entry is right, evidence whose bounds are estimates cannot tell otherwise.

    Differences taken where a network magnifies a nudge a million times are far off, and may not show it.
    """
    proofs = [name for name, evidence in comparison.evidence.items() if evidence.bits is not None]
    estimates = [name for name, evidence in comparison.evidence.items() if not evidence.proven]
    for by_oracle in comparison.judged.values():
        for proof in by_oracle.keys() & set(proofs):
            for estimate in by_oracle.keys() & set(estimates):
                by_oracle[estimate].disagree &= ~by_oracle[proof].agree


def _on_balls(
    submission: Submission,
    problem: Problem,
    floats: dict[str, Array],
    allowed: dict[str, Array],
    evidence: Any,
    last: bool,
) -> tuple[dict[str, Judged], FirstWrong | None]:
    """The formula on balls against the enclosures, and its float run against them too, within its derived rounding.

    last: no precision is left to try; what is then still not a number is wrong.
    """
    with precision(evidence.bits):
        returned = submission.balls(problem)
        found, quantities = returned.quantities, submission.cell.quantities
        joined = Joined(evidence.values, list(evidence.values.values()))
        value, given = (joined.join([of[name] for name in evidence.values]) for of in (evidence.values, found))
        middle = midpoints(value)
        with np.errstate(invalid="ignore"):
            noise = radii(value) + np.spacing(np.abs(middle))
        floated, within = (joined.join([of[name] for name in evidence.values]) for of in (floats, allowed))
        run = judge(floated, within, middle, noise)
        met = overlaps(given, value)
        disagree = ~met | run.disagree
        if last:
            disagree |= ~finite(given) & finite(value)
        agree = met & ~disagree & narrow(given) & narrow(value)
        judged = split(joined, Judged(agree, disagree, run.distance, run.allowed, run.scale))
        for name, one in judged.items():
            if quantities[name].kind == "loss" and (
                total_is_wrong(returned.loss.total, found[name])
                or _float_total_is_wrong(floats, allowed, evidence.values[name])
            ):
                one.agree[...], one.disagree[...] = False, True
        if judged.keys() == quantities.keys() and all(one.agree.all() for one in judged.values()):
            # Each given enclosure meets a proven one that is as narrow, so no equation between them can be disproved
            # by more than these widths.
            return judged, None
        return judged, first_wrong(submission.cell, returned.inputs, returned.trace, returned.loss.total, found)


def _float_total_is_wrong(floats: dict[str, Array], allowed: dict[str, Array], per_step: Array) -> bool:
    """Whether the loss that the float run reports lies further from the sum of the steps' than rounding allows."""
    total = np.asarray(per_step.sum())
    middle = midpoints(total)
    with np.errstate(invalid="ignore"):
        noise = radii(total) + np.spacing(np.abs(middle))
    return bool(judge(floats[TOTAL], allowed[TOTAL], middle, noise).disagree)


def check(
    cell_name: str = "rnn",
    *,
    code: Code | str | Path | None = None,
    examples: int = 100,
    seed: int = 0,
    scales: Sequence[float] = SCALES,
    seconds: float = 10.0,
    progress: Progress | None = None,
) -> Report:
    """Hold a cell against every oracle on generated problems and binary additions, and against proofs on larger ones.

    The first disagreement ends the run of its cell; its problem is then shrunk to the smallest that still shows it.

    Args:
        cell_name: a registered cell, or "all".
        code: the code under test, or the file that defines it; by default the cell's own.
        examples: how many problems to generate, at least 1. One addition is checked beside every 20.
        seed: the same seed generates the same problems.
        scales: what random weights in [-1, 1] are multiplied by.
        seconds: the time limit of one call of the code under test.
        progress: called with (cell, problems done, problems in all) after each problem.

    Raises:
        KeyError: no such cell.
        ValueError: examples is less than 1.
        SubmissionError: the code under test cannot be judged, or is given for several cells.
    """
    if examples < 1:
        raise ValueError(f"examples = {examples}: at least 1 is needed")
    names = list(CELLS) if cell_name == "all" else [cell_name]
    if code is not None and len(names) > 1:
        raise SubmissionError("one file holds one cell: name it with --cell")
    start = time.perf_counter()
    report = Report(examples, seed)
    for submission in [Submission(cell(name), code, seconds) for name in names]:
        found = report.cells[submission.cell.name] = CellReport(submission.cell, submission.origin)
        try:
            with held():
                _check(submission, found, examples, seed, scales, progress)
                _check_large(submission, found, large(submission.cell, np.random.default_rng(seed)))
        except KeyboardInterrupt:
            report.interrupted = True
            break
        finally:
            report.seconds = time.perf_counter() - start
    return report


def _check(
    submission: Submission,
    report: CellReport,
    examples: int,
    seed: int,
    scales: Sequence[float],
    progress: Progress | None,
) -> None:
    additions = 1 + examples // ADDITION_EVERY
    total = examples + additions

    def judged(problem: Problem) -> Comparison:
        comparison = _compare(submission, problem)
        report.add(comparison)
        if progress is not None:
            progress(submission.cell.name, report.problems, total)
        return comparison

    rng = np.random.default_rng(seed)
    failed: Comparison | None = None
    for _ in range(additions):
        comparison = judged(_addition(submission.cell, rng, scales))
        if comparison.verdict is Verdict.DISAGREE:
            failed = comparison
            break
    generated = problems(submission.cell.name, scales=scales, dtypes=("float64", "float32"))
    smallest = _generated(submission, judged, generated, examples, seed)
    report.counterexample = failed if smallest is None else _compare(submission, smallest)


def _check_large(submission: Submission, report: CellReport, problems: Iterable[Problem]) -> None:
    """Judge a file that nothing disproves so far on larger problems, on balls; the first that does is made smaller."""
    if report.verdict is Verdict.DISAGREE:
        return
    proofs = [name for name in known.names() if name == "certified"]
    for problem in problems:
        if not judgeable(submission.cell, problem):
            continue
        comparison = _compare(submission, problem, proofs)
        report.add(comparison)
        if comparison.verdict is Verdict.DISAGREE:
            report.counterexample = _smallest(submission, comparison)
            return


def _smallest(submission: Submission, comparison: Comparison) -> Comparison:
    """The same equation wrong on a corner of the problem, as small as halving and shortening its axes make it."""
    least, tried, left = comparison, smaller(comparison.problem), SHRINKS
    while left and (problem := next(tried, None)) is not None:
        left -= 1
        try:
            found = _compare(submission, problem, ["certified"])
        except SubmissionError:
            continue
        if found.verdict is Verdict.DISAGREE and found.label == comparison.label:
            least, tried = found, smaller(problem)
    return least


def _generated(
    submission: Submission, judged: Callable[[Problem], Comparison], generated: Any, examples: int, seed: int
) -> Problem | None:
    """Run `judged` on generated problems; the smallest found on which the same equation disagrees, if any does."""
    failing: list[tuple[Problem, str | None]] = []
    refused: list[SubmissionError] = []
    witnesses: list[str] | None = None
    shrunk = 0

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        print_blob=False,
    )
    @hypothesis.given(generated)
    def search(problem: Problem) -> None:
        nonlocal witnesses, shrunk
        if failing and shrunk == SHRINKS:
            raise _Enough
        shrunk += bool(failing)
        if not judgeable(submission.cell, problem):
            return
        try:
            comparison = _compare(submission, problem, witnesses) if failing else judged(problem)
        except SubmissionError as error:
            refused.append(error)
            raise _Enough from None
        if comparison.verdict is not Verdict.DISAGREE or (failing and comparison.label != failing[0][1]):
            return
        if not failing:
            proven = any(one["certified"].disagree.any() for one in comparison.judged.values() if "certified" in one)
            witnesses = ["certified"] if proven else None
        failing.append((problem, comparison.label))
        raise Disagreement

    # What ends the search is what it has found: a refusal, a disagreement, or nothing.
    with contextlib.suppress(Disagreement, _Enough):
        search()
    if refused:
        raise refused[0]
    return min((problem for problem, _ in failing), key=_size, default=None)


class _Enough(BaseException):
    """Ends the search at once; not an Exception, so that Hypothesis does not take it for a finding and shrink it."""


def _size(problem: Problem) -> tuple[int, float]:
    """What makes one problem smaller than another: fewer numbers, then smaller ones."""
    arrays = list(problem.arrays().values())
    return sum(array.size for array in arrays), sum(float(np.abs(array).sum()) for array in arrays)


def _addition(cell: Cell, rng: np.random.Generator, scales: Sequence[float]) -> Problem:
    """One 8-bit addition, least significant bit first, with 16 hidden units and weights of one of the scales.

    Fewer units where a cell carries so much (H³ numbers a step in forward mode) that one problem would take seconds.
    """
    sizes = {"T": 8, "B": 1, "I": 2, "O": 1}

    def largest(hidden: int) -> int:
        return max(math.prod(sizes.get(letter, hidden) for letter in q.axes) for q in cell.quantities.values())

    hidden = next(h for h in range(16, 0, -1) if largest(h) <= LARGEST_QUANTITY or h == 1)
    drawn = addition.problem(rng, bits=8, hidden=hidden, cell=cell.name)
    scale = rng.choice(scales)
    return replace(drawn, params=type(drawn.params)(*(scale * weight for weight in drawn.params)))
