"""What a check found: as an object, as text, as a table for notebooks, as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradlab.cells import Cell
from gradlab.checker.locate import FirstWrong
from gradlab.checker.verdict import Judged, Tally, Verdict
from gradlab.oracles.evidence import Evidence
from gradlab.problem import Problem

Array = np.ndarray[Any, Any]


class Shown:
    """Text for people, and a page for notebooks, of what `render` makes of an object."""

    def __rich__(self) -> Any:
        from gradlab.checker import render

        return render.shown(self)

    def __str__(self) -> str:
        from gradlab.checker import render

        return render.text(self)

    def __repr__(self) -> str:
        """The text too: this is what a shell shows of a result that is not assigned."""
        return str(self)

    def _repr_html_(self) -> str:
        from gradlab.checker import render

        return render.html(self)


@dataclass(eq=False, repr=False)
class Comparison(Shown):
    """One problem: what the code under test gave, what each oracle gave, and the verdict on every entry.

    values: every quantity in float, by name. rounding: the derived bound on what rounding may have done to it.
    judged: by quantity and oracle. evidence: by oracle. first_wrong: the first equation proven wrong, or None.
    uncertified: why nothing can be certified of the code, or ""; then it does not agree.
    """

    cell: Cell
    problem: Problem
    values: dict[str, Array]
    rounding: dict[str, Array]
    judged: dict[str, dict[str, Judged]] = field(default_factory=dict)
    evidence: dict[str, Evidence] = field(default_factory=dict)
    first_wrong: FirstWrong | None = None
    uncertified: str = ""

    def add(self, evidence: Evidence, judged: dict[str, Judged]) -> None:
        self.evidence[evidence.oracle] = evidence
        for name in self.cell.quantities:
            if name in judged:
                self.judged.setdefault(name, {})[evidence.oracle] = judged[name]

    @property
    def verdict(self) -> Verdict:
        """The worst of all quantities; one that is proven to be zero everywhere has nothing to probe."""
        if self.first_wrong is not None:
            return Verdict.DISAGREE
        worst = Verdict.worst(self.verdict_of(name) for name in self.judged if not self._vacuous(name))
        return Verdict.CANNOT_TELL if self.uncertified and worst is Verdict.AGREE else worst

    @property
    def ok(self) -> bool:
        return self.verdict is Verdict.AGREE

    @property
    def label(self) -> str | None:
        """The equation that is wrong: the first proven so, or else the first whose value disagrees."""
        if self.first_wrong is not None:
            return self.first_wrong.label
        wrong = (name for name in self.judged if self.verdict_of(name) is Verdict.DISAGREE)
        return next((self.cell.quantities[name].label for name in wrong), None)

    def verdict_of(self, name: str) -> Verdict:
        return _combined(judged.tally() for judged in self.judged[name].values())

    def _vacuous(self, name: str) -> bool:
        if self.verdict_of(name) is not Verdict.CANNOT_TELL:
            return False
        return any(bool((one.agree & (one.scale == 0)).all()) for one in self.judged[name].values())

    def to_json(self) -> dict[str, Any]:
        quantities = {}
        for name, by_oracle in self.judged.items():
            entry: dict[str, Any] = {"verdict": str(self.verdict_of(name)), "value": _plain(self.values[name])}
            entry["oracles"] = {oracle: _tally_json(judged.tally()) for oracle, judged in by_oracle.items()}
            quantities[name] = entry
        return {
            "cell": self.cell.name,
            "verdict": str(self.verdict),
            "sizes": self.problem.sizes,
            "dtype": str(self.problem.dtype),
            "quantities": quantities,
            "first_wrong": _first_wrong_json(self.first_wrong, self.label),
        }


@dataclass
class Ranges:
    """What the problems of a check were like: sizes by axis letter, the largest weight, the largest gradient."""

    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    weight: float = 0.0
    gradient: float = 0.0

    def add(self, comparison: Comparison) -> None:
        for letter, size in comparison.problem.sizes.items():
            low, high = self.sizes.get(letter, (size, size))
            self.sizes[letter] = min(low, size), max(high, size)
        self.weight = max([self.weight, *(float(np.abs(weight).max()) for weight in comparison.problem.params)])
        grads = (comparison.values[quantity.name] for quantity in comparison.cell.of_kind("grad"))
        self.gradient = max([self.gradient, *(float(np.nan_to_num(np.abs(grad)).max()) for grad in grads)])

    def __str__(self) -> str:
        sizes = ", ".join(f"{letter} {low} to {high}" for letter, (low, high) in self.sizes.items())
        return f"{sizes}; weights to {self.weight:.2g}, gradients to {self.gradient:.2g}"

    def to_json(self) -> dict[str, Any]:
        sizes = {letter: list(size) for letter, size in self.sizes.items()}
        return {"sizes": sizes, "weight": self.weight, "gradient": self.gradient}


@dataclass(eq=False)
class CellReport:
    """All problems of one cell; tallies by quantity and oracle.

    diagnosis: which mistake it is (`gradlab.mistakes.Diagnosis`), where that was asked for and something disagrees.
    uncertified: why nothing can be certified of the code on some problem, or "".
    """

    cell: Cell
    origin: str
    quantities: dict[str, dict[str, Tally]] = field(default_factory=dict)
    problems: int = 0
    counterexample: Comparison | None = None
    diagnosis: Any = None
    ranges: Ranges = field(default_factory=Ranges)
    uncertified: str = ""

    def add(self, comparison: Comparison) -> None:
        self.problems += 1
        self.ranges.add(comparison)
        self.uncertified = self.uncertified or comparison.uncertified
        for name, by_oracle in comparison.judged.items():
            tallies = self.quantities.setdefault(name, {})
            for oracle, judged in by_oracle.items():
                tallies.setdefault(oracle, Tally()).add(judged.tally())

    @property
    def verdict(self) -> Verdict:
        worst = Verdict.worst(self.verdict_of(name) for name in self.quantities)
        return Verdict.CANNOT_TELL if self.uncertified and worst is Verdict.AGREE else worst

    def verdict_of(self, name: str) -> Verdict:
        return _combined(self.quantities[name].values())

    @property
    def oracles(self) -> list[str]:
        return sorted({oracle for tallies in self.quantities.values() for oracle in tallies})

    @property
    def first_wrong(self) -> FirstWrong | None:
        return self.counterexample.first_wrong if self.counterexample is not None else None

    def undecided(self, oracle: str) -> int:
        """How many entries that oracle could not decide."""
        return sum(tallies[oracle].cannot_tell for tallies in self.quantities.values() if oracle in tallies)

    @property
    def entries(self) -> int:
        """How many verdicts were passed: entries times oracles."""
        tallies = [tally for by_oracle in self.quantities.values() for tally in by_oracle.values()]
        return sum(tally.agree + tally.disagree + tally.cannot_tell for tally in tallies)

    def to_json(self) -> dict[str, Any]:
        label = self.counterexample.label if self.counterexample is not None else None
        return {
            "verdict": str(self.verdict),
            "origin": self.origin,
            "problems": self.problems,
            "ranges": self.ranges.to_json(),
            "quantities": {
                name: {
                    "verdict": str(self.verdict_of(name)),
                    "oracles": {oracle: _tally_json(tally) for oracle, tally in tallies.items()},
                }
                for name, tallies in self.quantities.items()
            },
            "first_wrong": _first_wrong_json(self.first_wrong, label),
            "counterexample": None if self.counterexample is None else _counterexample_json(self.counterexample),
            "diagnosis": None if self.diagnosis is None else self.diagnosis.to_json(),
        } | ({"uncertified": self.uncertified} if self.uncertified else {})


@dataclass(eq=False, repr=False)
class Report(Shown):
    """What `check` found, for each cell.

    own_seed: of the problems that a file could not foresee; None where there were none. confined: what kept the
    process that ran a file from doing harm; None where it ran in this one. notes: what is to be known beside it all.
    """

    examples: int
    seed: int
    seconds: float = 0.0
    cells: dict[str, CellReport] = field(default_factory=dict)
    interrupted: bool = False
    own_seed: int | None = None
    confined: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst of all cells; an interrupted run that found nothing wrong has not looked at everything."""
        worst = Verdict.worst(cell.verdict for cell in self.cells.values())
        return Verdict.CANNOT_TELL if self.interrupted and worst is Verdict.AGREE else worst

    @property
    def ok(self) -> bool:
        return self.verdict is Verdict.AGREE

    def to_json(self) -> dict[str, Any]:
        return {
            "verdict": str(self.verdict),
            "examples": self.examples,
            "seed": self.seed,
            "own_seed": self.own_seed,
            "confined": None if self.confined is None else list(self.confined),
            "notes": list(self.notes),
            "seconds": round(self.seconds, 3),
            "interrupted": self.interrupted,
            "cells": {name: cell.to_json() for name, cell in self.cells.items()},
        }


def _combined(tallies: Any) -> Verdict:
    """Over the oracles: one that disagrees decides; otherwise it takes one that agrees."""
    verdicts = {tally.verdict for tally in tallies}
    if Verdict.DISAGREE in verdicts:
        return Verdict.DISAGREE
    return Verdict.AGREE if Verdict.AGREE in verdicts else Verdict.CANNOT_TELL


def _plain(value: Any) -> Any:
    return np.asarray(value).tolist()


def _tally_json(tally: Tally) -> dict[str, Any]:
    return {
        "agree": tally.agree,
        "disagree": tally.disagree,
        "cannot_tell": tally.cannot_tell,
        "worst_in_bounds": tally.worst_in_bounds,
        "worst_ulps": tally.worst_ulps,
    }


def _first_wrong_json(first: FirstWrong | None, label: str | None) -> dict[str, Any] | None:
    if first is not None:
        return {"label": first.label, "steps": list(first.steps), "of": first.of, "note": first.note}
    return None if label is None else {"label": label, "steps": [], "of": 0, "note": ""}


def _counterexample_json(comparison: Comparison) -> dict[str, Any]:
    problem = comparison.problem
    first = comparison.first_wrong
    return {
        "sizes": problem.sizes,
        "dtype": str(problem.dtype),
        "arrays": {name: _plain(array) for name, array in problem.arrays().items()},
        "index": None if first is None else list(first.index),
        "value": None if first is None else str(first.value),
        "wanted": None if first is None else str(first.wanted),
    }
