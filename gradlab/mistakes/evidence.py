"""What is known of code whose mistake has no name: measured, and worded as evidence, never as certainty.

Every statement holds for the probes that it was measured on; "points to" names the class that such behaviour is typical
of, after the counts and the regimes of the survey (`rows.classes`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradlab.arithmetic.balls import midpoints, precision
from gradlab.cells import Cell, Code
from gradlab.mistakes.probes import probe, probes, short
from gradlab.mistakes.runs import Outcome, disjoint, recorded_code, same, variants
from gradlab.problem import Problem

Array = np.ndarray[Any, Any]

LONGEST = 9
BITS = 128

# What a pure factor may be, by the sizes of the problem.
FACTORS = ("-1", "2", "-2", "1/2", "-1/2", "4", "1/4", "T", "B", "O", "I", "H", "T B", "T B O", "1/T", "1/B", "1/O",
           "1/I", "1/H", "1/(T B)", "1/(B O)", "1/(T B O)", "2/T", "2/B", "2/O", "2/(T B O)")  # fmt: skip


@dataclass(frozen=True)
class Compared:
    """One problem: what the code gave, what is right, and the quantities proven to differ."""

    problem: Problem
    code: Outcome
    right: Outcome

    @property
    def wrong(self) -> list[str]:
        return [name for name, value in self.code.found.items() if disjoint(value, self.right.found[name])]

    def residual(self, name: str) -> float:
        """|code - right| / |right|, both as vectors; infinite where right is zero."""
        code, right = midpoints(self.code.found[name]), midpoints(self.right.found[name])
        norm = float(np.linalg.norm(right))
        return float(np.linalg.norm(code - right)) / norm if norm else np.inf

    def cosine(self, name: str) -> float:
        code, right = midpoints(self.code.found[name]).ravel(), midpoints(self.right.found[name]).ravel()
        norms = float(np.linalg.norm(code) * np.linalg.norm(right))
        return float(code @ right) / norms if norms else 0.0


class Witness:
    """Code under test on any problem, beside the cell's own."""

    def __init__(self, cell: Cell, code: Code, *, deltas: bool) -> None:
        self.cell = cell
        self.tested = code
        self.deltas = deltas

    def compare(self, problem: Problem) -> Compared:
        with precision(BITS):
            code, right = (
                recorded_code(self.cell, one).outcome(problem, deltas=self.deltas)
                for one in (self.tested, self.cell.code)
            )
        return Compared(problem, code, right)


def evidence(cell: Cell, code: Code, wrong: Sequence[str], *, deltas: bool = True) -> tuple[str, ...]:
    """What distinguishes code under test from the cell's own, a sentence each.

    Args:
        wrong: the names of the equations that it does not satisfy, where that is known.
    """
    witness = Witness(cell, code, deltas=deltas)
    with precision(BITS):
        return tuple(_sentences(witness, wrong))


def _sentences(witness: Witness, wrong: Sequence[str]) -> Iterator[str]:
    generic = [witness.compare(problem) for problem in probes(witness.cell)]
    runs = [one for one in generic if not one.code.refused]
    if wrong:
        labels = ", ".join(f"{witness.cell.name}.{name}" for name in wrong)
        yield f"not satisfied, with everything upstream as the code has it: {labels}"
    yield from _refusals(generic)
    if any(one.code.misreported for one in runs):
        yield "the total is not the sum of the steps' losses: the loss reported is not the one differentiated"
    if not runs:
        return
    if all(name in one.code.found for name in wrong for one in runs):
        yield from _own_factors(witness.cell, runs, wrong)
    factors = list(_factors(runs))
    yield from factors
    if factors and all(_factor(runs, name) for name in runs[0].wrong):
        return  # a factor in the sizes explains how the error moves with them
    yield from _directions(runs[0])
    yield from _which(witness.cell, runs)
    yield from _lengths(witness)
    yield from _steps(runs[0])
    yield from _state(witness)
    yield from _scales(witness)


def _refusals(compared: Sequence[Compared]) -> Iterator[str]:
    for one in compared:
        if one.code.refused:
            yield f"does not run on {_sizes(one.problem)}: {one.code.refused}"
    refused = [bool(one.code.refused) for one in compared]
    if refused[-1] is False and any(refused):
        yield "runs where inputs, hidden units and outputs are equally many: points to a missing or misplaced transpose"


def _own_factors(cell: Cell, runs: Sequence[Compared], wrong: Sequence[str]) -> Iterator[str]:
    """Wrong equations whose value is their right-hand side but for one factor, all upstream as the code has it."""
    known = variants(cell)
    for name in wrong:
        local = []
        for one in runs:
            value = known.local(one.code, {name: (0,)})[name, 0]
            local.append(replace(one, right=one.right._replace(found={name: value})))
        text = _factor(local, name)
        if text:
            yield f"{cell.name}.{name} is {text} times its right-hand side: points to {_cause(text)}"


def _factors(runs: Sequence[Compared]) -> Iterator[str]:
    """Quantities that are right but for one factor, the same expression in the sizes on every probe."""
    by_factor: dict[str, list[str]] = {}
    for name in runs[0].code.found:
        if any(name in one.wrong for one in runs):
            by_factor.setdefault(_factor(runs, name), []).append(name)
    for text, names in by_factor.items():
        if text:
            yield f"pure factor {text}: {', '.join(names)}; points to {_cause(text)}"


def _factor(runs: Sequence[Compared], name: str) -> str:
    """What one quantity is off by, as an expression in the sizes, or as a number; "" where that is no one factor."""
    fits = (text for text in FACTORS if all(_is_factor(one, name, text) for one in runs))
    return next(fits, "") or _constant(runs, name)


def _cause(text: str) -> str:
    if text == "-1":
        return "the sign"
    if any(letter in text for letter in "TBOIH"):
        return "a mean taken for a sum, or a sum for a mean"
    return "a factor forgotten, or one path counted twice"


def _is_factor(one: Compared, name: str, text: str) -> bool:
    above, _, below = text.partition("/")
    numerator, denominator = (_product(part, one.problem.sizes) for part in (above, below or "1"))
    return same(one.code.found[name] * denominator, one.right.found[name] * numerator)


def _constant(runs: Sequence[Compared], name: str) -> str:
    """The number that every entry is off by as a factor, on every probe; "" where there is none."""
    ratios = []
    for one in runs:
        code, right = midpoints(one.code.found[name]).ravel(), midpoints(one.right.found[name]).ravel()
        if np.any(code[right == 0]):
            return ""
        ratios.append(code[right != 0] / right[right != 0])
    every = np.concatenate(ratios)
    factor = float(np.median(every)) if every.size else 0.0
    return f"{factor:.10g}" if np.allclose(every, factor, rtol=1e-12, atol=0) and factor not in (0, 1) else ""


def _product(text: str, sizes: Mapping[str, int]) -> int:
    product = 1
    for word in text.strip("()").split():
        product *= sizes[word] if word in sizes else int(word)
    return product


def _directions(one: Compared) -> Iterator[str]:
    for name in one.wrong:
        yield f"{name}: cosine {one.cosine(name):.6f}, residual {one.residual(name):.1e} of what is right"


def _which(cell: Cell, runs: Sequence[Compared]) -> Iterator[str]:
    """Which gradients are wrong says how far up the mistake is."""
    grads = [quantity.name for quantity in cell.of_kind("grad")]
    wrong = {name for one in runs for name in one.wrong}
    bad = [name for name in grads if name in wrong]
    if any(cell.quantities[name].kind == "trace" for name in wrong):
        yield "the forward pass is wrong already: its first wrong intermediate comes before any gradient"
    elif len(bad) == 1:
        yield f"only {bad[0]} is wrong: points to its own equation: a factor of its terms, or their time index"
    elif bad and len(bad) < len(grads):
        right = ", ".join(name for name in grads if name not in bad)
        yield f"right: {right}; wrong: {', '.join(bad)}: points to what lies between: the carry, a slope or a transpose"


def _lengths(witness: Witness) -> Iterator[str]:
    """Up to which length of the sequence everything is right."""
    good = []
    for steps in range(1, LONGEST + 1):
        one = witness.compare(short(witness.cell, steps))
        if one.code.refused or one.wrong:
            break
        good.append(steps)
    else:
        yield f"right for T = 1 … {LONGEST}, as far as was looked"
        return
    if good:
        cause = {1: "the carry or the time index", 2: "the recursion: what is carried is not the total delta"}
        points = cause.get(good[-1], f"a truncation after {good[-1]} steps")
        yield f"right at T = {good[-1]} and wrong at T = {good[-1] + 1}: points to {points}"
    else:
        yield "wrong at T = 1 already: the carry alone does not explain it"


def _steps(one: Compared) -> Iterator[str]:
    """Quantities with a time axis that are wrong at one end only."""
    steps = one.problem.sizes["T"]
    for name in one.wrong:
        if one.right.found[name].shape[0] != steps or steps < 3:
            continue
        code, right = one.code.found[name], one.right.found[name]
        at = [t for t in range(steps) if disjoint(code[t], right[t])]
        if at in ([0], [steps - 1]):
            yield f"{name}: wrong at the {'first' if at == [0] else 'last'} step only: points to the ends of the loop"


def _state(witness: Witness) -> Iterator[str]:
    """Whether all is right from a state of zeros."""
    problem = probe(witness.cell)
    zeros = type(problem.state)(*(np.zeros_like(array) for array in problem.state))
    one = witness.compare(replace(problem, state=zeros))
    if not one.code.refused and not one.wrong:
        yield "right where the initial state is zero: points to the initial state, or a wrap to step -1"


def _scales(witness: Witness) -> Iterator[str]:
    """How the error of the gradients moves with the weights."""
    large, small = (witness.compare(probe(witness.cell, scale=scale)) for scale in (1.0, 0.01))
    if large.code.refused or small.code.refused:
        return
    grads = [quantity.name for quantity in witness.cell.of_kind("grad") if quantity.name in large.wrong]
    pairs = [(large.residual(name), small.residual(name)) for name in grads]
    pairs = [(a, b) for a, b in pairs if np.isfinite(a) and np.isfinite(b)]
    if not pairs:
        return
    at_one, at_small = max(a for a, _ in pairs), max(b for _, b in pairs)
    moved = f"the worst residual is {at_one:.1e} at weights of 1 and {at_small:.1e} at weights of 0.01"
    if at_small < at_one / 10:
        yield f"{moved}: it falls with the weights, which points to the carry, a derivative or a transpose"
    else:
        yield f"{moved}: it stays, which points to a missing path, a wrong operand or a factor"


def _sizes(problem: Problem) -> str:
    return ", ".join(f"{letter}={size}" for letter, size in problem.sizes.items())
