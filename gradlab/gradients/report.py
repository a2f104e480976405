"""A gradient's report: what was found, what the mistake is, as an object, as text, for notebooks, as JSON."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from gradlab.checker.verdict import Verdict
from gradlab.faults import Fault, shielded
from gradlab.gradients import diagnosis, render
from gradlab.gradients.diagnosis import Diagnosis, Mistake
from gradlab.gradients.findings import Findings, digits_of, finite
from gradlab.gradients.hints import hints
from gradlab.gradients.places import Place


@dataclass(eq=False, frozen=True, repr=False)
class GradientReport(Findings):
    """The verdict on a gradient, and what is wrong with it.

    also: evidence of what the mistake is that the check itself came upon. patience: the seconds that a diagnosis may
    take. hint: the repair is not shown.
    """

    also: tuple[str, ...] = ()
    patience: float = 0.0
    hint: bool = False

    @classmethod
    def of(
        cls, findings: Findings, *, also: tuple[str, ...] = (), patience: float = 0.0, hint: bool = False
    ) -> GradientReport:
        """The report on what was found."""
        known = {field.name: getattr(findings, field.name) for field in fields(Findings)}
        return cls(**known, also=also, patience=patience, hint=hint)

    @cached_property
    def diagnosis(self) -> Diagnosis | Fault | None:
        """What the mistake is, of a gradient that disagrees; searched for when it is first asked.

        Where the search itself fails, the line that says so: the verdict stands without it.
        """
        if self.verdict is not Verdict.DISAGREE or not self.patience:
            return None
        return shielded("diagnosis", lambda: diagnosis.diagnosed(self, self.patience), "lines", "to_json")

    @property
    def place(self) -> Place | None:
        """Where the mistake is: file, line, steps; the first of several. None where no place is shown."""
        found = self.mistake
        return None if found is None else found.place

    @property
    def mistake(self) -> Mistake | None:
        """The first mistake: its class in `kind`, None where none is shown; as text, one sentence."""
        return self.diagnosis.first if isinstance(self.diagnosis, Diagnosis) else None

    @cached_property
    def hints(self) -> tuple[str, ...]:
        if self.verdict is not Verdict.DISAGREE:
            return self.also
        wrong = [path for path, leaf in self.leaves.items() if leaf.verdict is Verdict.DISAGREE]
        args = self.found, self.evidence.truth, wrong, self.subject.params.leaves
        read = shielded("hints", lambda: tuple(hints(*args)))
        return (*(read.lines() if isinstance(read, Fault) else read), *self.also)

    def __rich__(self) -> Any:
        return render.shown(self, self._hinted, self._said)

    def __str__(self) -> str:
        return render.text(self, self._hinted, self._said)

    __repr__ = __str__  # this is what a shell shows of a result that is not assigned

    def _repr_html_(self) -> str:
        return render.html(self, self._hinted, self._said)

    def to_json(self) -> dict[str, Any]:
        return {
            "verdict": str(self.verdict),
            "proven": self.proven,
            "digits": finite(self.digits),
            "cannot_tell": self.untold,
            "entries": self.size,
            "conventions": self.conventions.described(),
            "oracles": list(self.oracles),
            "refused": dict(self.refused),
            "estimated": dict(self.evidence.estimated),
            "witnesses": {
                name: {
                    "directions": len(one.agree),
                    "agree": int(one.agree.all(axis=1).sum()),
                    "digits": finite(digits_of(one)),
                }
                for name, one in self.evidence.witnesses.items()
            },
            "leaves": {path: leaf.to_json() for path, leaf in self.leaves.items()},
            "notes": list(self.notes),
            "hints": list(self.hints),
            "place": self.place and self.place.to_json(),
            "mistake": self.mistake and str(self.mistake),
            "diagnosis": self.diagnosis and self.diagnosis.to_json(),
            "kinks": {path: [list(map(int, at)) for at in np.argwhere(where)] for path, where in self.kinks.items()},
            "points": [point.to_json() for point in self.points],
            "seconds": round(self.seconds, 4),
            "seed": self.seed,
        }

    @property
    def _hinted(self) -> tuple[str, ...]:
        """The hints that are shown: where a line is found, what it says is more than any of them."""
        found = self.mistake
        if found is None or found.kind is None:
            return self.hints
        return tuple(one for one in self.hints if one.startswith("agrees if") or one in self.also)

    @property
    def _said(self) -> list[str]:
        if isinstance(self.diagnosis, Diagnosis):
            return self.diagnosis.lines(hint=self.hint)
        return [] if self.diagnosis is None else self.diagnosis.lines()
