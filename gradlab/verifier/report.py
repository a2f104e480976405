"""What the verifier found, as data: one finding for each link of each equation, and the report on a document."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradlab.verifier.document import Place
from gradlab.verifier.judge import DIGITS
from gradlab.verifier.markdown import code, escaped, math, table

WRONG = ("false", "shape")
UNREADABLE = ("syntax", "undefined")
EXIT_STATUS = {"agree": 0, "disagree": 1, "unreadable": 2, "cannot tell": 3}


@dataclass(frozen=True)
class Repair:
    """A change that makes a claim true; it was verified as any claim is. `kind` says what sort of mistake it undoes."""

    kind: str
    changes: tuple[tuple[str, str], ...]
    result: str

    def __str__(self) -> str:
        changes = " and ".join(f"{before} becomes {after}" for before, after in self.changes)
        return f"true if {changes}"


@dataclass(frozen=True)
class Finding:
    """What became of one definition, one link of a chain, one goal or one thing that could not be read.

    kind: "definition", "claim", "goal", "unchecked" or "problem".
    verdict: "true", "false", "cannot tell", "shape", "undefined" or "syntax"; "" for a goal and what is unchecked.
    expected: the verdict that the document itself announces, or "" where it announces none; `steps_wanted`: the steps
    at which it says that the claim is false, or None. steps, false_steps, skipped: as in `Judgement`.
    """

    place: Place
    kind: str
    text: str
    label: str = ""
    verdict: str = ""
    message: str = ""
    expected: str = ""
    steps_wanted: tuple[int, ...] | None = None
    steps: tuple[int, ...] = ()
    false_steps: tuple[int, ...] = ()
    skipped: tuple[int, ...] = ()
    shapes: tuple[str, str] = ("", "")
    left: Any = None
    right: Any = None
    repair: Repair | None = None

    @property
    def met(self) -> bool:
        """Whether it is wrong in the very way that the document announces."""
        steps_met = self.steps_wanted is None or self.steps_wanted == self.false_steps
        return bool(self.expected) and self.expected == self.verdict and steps_met

    @property
    def wrong(self) -> bool:
        """Whether it is an equation that does not hold."""
        return self.verdict in WRONG

    @property
    def ok(self) -> bool:
        """Whether nothing is to be said against it: true, or wrong exactly as announced."""
        return self.met if self.expected else self.verdict in ("true", "")

    def lines(self, reveal: bool = False, hint: bool = False) -> list[str]:
        """For people: place, verdict, label and what was found, then both sides and the repair if they may be seen."""
        verdict = self.verdict.upper() if self.verdict else self.kind.upper()
        first = f"{self.place}: {verdict}  {self.label + '   ' if self.label else ''}{self.message}".rstrip()
        if self.expected and not self.met:
            first += f"; the document announces {_announced(self.expected, self.steps_wanted)}"
        if self.repair is not None and (hint or reveal) and self.wrong:
            first += f": {self.repair.kind}"
        found = [first]
        if self.left is not None:
            at = f"  at t={self.false_steps[0]}" if self.false_steps else ""
            found += [f"    left   = {_sample(self.left)}{at}", f"    right  = {_sample(self.right)}"]
        if self.repair is not None and reveal:
            found.append(f"    {self.repair}")
        return found

    def row(self, reveal: bool = False, hint: bool = False) -> tuple[str, str, str]:
        """For notebooks, in Markdown: the mark, the equation, and what was found."""
        said, repair = escaped(self.message), self.repair
        if repair is not None and (hint or reveal) and self.wrong:
            said += f": {escaped(repair.kind)}"
        if repair is not None and reveal and self.wrong:
            said += "; true if " + " and ".join(f"{math(old)} becomes {math(new)}" for old, new in repair.changes)
        return _mark(self), (code if self.verdict == "syntax" else math)(self.text), said

    def to_json(self) -> dict[str, Any]:
        """The finding as plain data, every field by its name."""
        place = {"file": self.place.file, "line": self.place.line, "column": self.place.column, "cell": self.place.cell}
        repair = self.repair and {
            "kind": self.repair.kind,
            "changes": [list(change) for change in self.repair.changes],
            "result": self.repair.result,
        }
        names = ("kind", "text", "label", "verdict", "message", "expected", "met", "ok")
        lists = ("steps", "false_steps", "skipped", "shapes")
        return (
            place
            | {name: getattr(self, name) for name in names}
            | {name: list(getattr(self, name)) for name in lists}
            | {"repair": repair}
        )


@dataclass(repr=False)
class DocumentReport:
    """What was found in one document: str() for people, `to_json` for programs, a table of marks in a notebook.

    hint, reveal: whether str() and the table say of what is wrong what kind of mistake it is, and the repair too.
    """

    name: str
    findings: list[Finding] = field(default_factory=list)
    mentions: int = 0
    hint: bool = True
    reveal: bool = True

    @property
    def counts(self) -> dict[str, int]:
        """How many there are of each sort; `mentions` are spans without a relation, which say nothing to be judged."""
        verdicts = Counter(f.verdict for f in self.findings if f.kind == "claim" and f.verdict not in UNREADABLE)
        kinds = Counter(finding.kind for finding in self.findings if finding.verdict not in UNREADABLE)
        return {
            "definitions": kinds["definition"],
            "true": verdicts["true"],
            "false": verdicts["false"],
            "shape": verdicts["shape"],
            "cannot tell": verdicts["cannot tell"],
            "unreadable": sum(finding.verdict in UNREADABLE for finding in self.findings),
            "goals": kinds["goal"],
            "unchecked": kinds["unchecked"],
            "expectations met": sum(finding.met for finding in self.findings),
            "skipped steps": sum(len(finding.skipped) for finding in self.findings),
            "mentions": self.mentions,
        }

    @property
    def verdict(self) -> str:
        """ "agree", "disagree", "unreadable" or "cannot tell": the worst of its findings that are not as announced."""
        bad = {finding.verdict for finding in self.findings if not finding.ok}
        unmet = any(finding.expected and not finding.met for finding in self.findings)
        if unmet or bad.intersection(WRONG):
            return "disagree"
        if bad.intersection(UNREADABLE):
            return "unreadable"
        judged = any(finding.kind in ("claim", "definition") for finding in self.findings)
        return "cannot tell" if bad or not (judged or self._has_nothing_to_judge) else "agree"

    @property
    def _has_nothing_to_judge(self) -> bool:
        return all(finding.kind in ("goal", "unchecked") for finding in self.findings)

    @property
    def ok(self) -> bool:
        return self.verdict == "agree"

    @property
    def exit_status(self) -> int:
        """0 all agree, 1 something disagrees, 2 something cannot be read, 3 something cannot be told."""
        return EXIT_STATUS[self.verdict]

    def summary(self) -> str:
        """One line: the document and its counts; of the rarer ones, those that are not 0."""
        counts = self.counts
        claims = sum(counts[word] for word in ("true", "false", "shape", "cannot tell"))
        parts = [f"{counts['definitions']} definitions", f"{claims} claims: {counts['true']} true"]
        parts += [
            f"{counts['false']} false",
            f"{counts['shape']} of the wrong shape",
            f"{counts['cannot tell']} cannot tell",
        ]
        rarer = ("unreadable", "goals", "unchecked", "skipped steps", "mentions")
        parts += [f"{counts[word]} {word}" for word in rarer if counts[word]]
        announced = sum(bool(finding.expected) for finding in self.findings)
        parts += [f"{counts['expectations met']} of {announced} expectations met"] if announced else []
        return f"{self.name}: {', '.join(parts)}"

    def text(self, hint: bool = False, reveal: bool = False, every: bool = False) -> str:
        """The findings that are not as they should be (or every one), one line each or more, then the summary."""
        shown = [finding for finding in self.findings if every or not finding.ok]
        lines = [line for finding in shown for line in finding.lines(reveal, hint)]
        return "\n".join([*lines, self.summary()])

    def __str__(self) -> str:
        return self.text(self.hint, self.reveal)

    __repr__ = __str__  # this is what a shell shows of a result that is not assigned

    def to_json(self) -> dict[str, Any]:
        """The report as plain data, ready for json.dumps."""
        findings = [finding.to_json() for finding in self.findings]
        return {"name": self.name, "verdict": self.verdict, "ok": self.ok, "counts": self.counts, "findings": findings}

    def _repr_markdown_(self) -> str:
        """A table of the equations, rendered, each with its mark: what a notebook shows."""
        rows = [one.row(self.reveal, self.hint) for one in self.findings]
        return f"{table(('', 'equation', ''), rows)}\n\n{escaped(self.summary())}"


@dataclass(repr=False)
class Verification:
    """The reports on several documents; `interrupted`: there are others, which were not read to their end."""

    reports: list[DocumentReport]
    interrupted: bool = False

    @property
    def verdict(self) -> str:
        """The worst of the documents' verdicts; what was not read, or holds no equation, is not known to agree."""
        order = ("disagree", "unreadable", "cannot tell", "agree")
        unknown = self.interrupted or not self._equations
        found = {report.verdict for report in self.reports} | ({"cannot tell"} if unknown else set())
        return next((word for word in order if word in found), "cannot tell")

    @property
    def ok(self) -> bool:
        return self.verdict == "agree"

    @property
    def exit_status(self) -> int:
        return EXIT_STATUS[self.verdict]

    def text(self, hint: bool = False, reveal: bool = False, every: bool = False) -> str:
        """The text of each report, and the verdict on all."""
        parts = [report.text(hint, reveal, every) for report in self.reports]
        count = f"{len(self.reports)} document{'s' * (len(self.reports) != 1)}"
        said = [count + ": " + self.verdict] + ["no equation was found"] * (not self._equations)
        return "\n".join([*parts, ", ".join([*said, *["interrupted"] * self.interrupted])])

    @property
    def _equations(self) -> bool:
        return any(report.findings for report in self.reports)

    def __str__(self) -> str:
        return self.text(reveal=True)

    __repr__ = __str__  # this is what a shell shows of a result that is not assigned

    def to_json(self) -> dict[str, Any]:
        """All reports as plain data."""
        documents = [report.to_json() for report in self.reports]
        return {"verdict": self.verdict, "ok": self.ok, "interrupted": self.interrupted, "documents": documents}

    def dumps(self) -> str:
        """The JSON text of `to_json`."""
        return json.dumps(self.to_json(), indent=1)


def condition(steps: Iterable[int], last: int) -> str:
    """The steps in words: "t = 0, 1, 2 of 0..4 (t <= T-3)", where `last` is T-1."""
    found = list(steps)
    if not found:
        return "every step"
    if found == list(range(last + 1)):
        return f"every t of 0..{last}"
    text = f"t = {', '.join(map(str, found))} of 0..{last}"
    if found[0] == 0 and found == list(range(found[-1] + 1)) and found[-1]:
        text += f" (t <= T-{last + 1 - found[-1]})"
    elif found == list(range(found[0], last + 1)) and len(found) > 1:
        text += f" (t >= {found[0]})"
    return text


def _announced(expected: str, steps: tuple[int, ...] | None) -> str:
    return f"{expected} at t = {', '.join(map(str, steps))}" if steps is not None else expected


def _mark(finding: Finding) -> str:
    if finding.kind in ("goal", "unchecked"):
        return "·"
    return ("✓" if not finding.expected else "✓ wrong, as announced") if finding.ok else "✗"


def _sample(values: Any) -> str:
    """The first few entries, as the report prints them."""
    flat = np.ravel(values)
    shown = "  ".join(f"{value: .6g}" for value in flat[:4])
    return f"[{shown}{'  …' if len(flat) > 4 else ''} ]"


__all__ = ["DIGITS", "DocumentReport", "Finding", "Repair", "Verification", "condition"]
