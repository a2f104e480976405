"""Which mistake is it: the one, or those together, that reproduce what code gave, exactly; or what is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gradlab.arithmetic.balls import precision
from gradlab.cells import Cell, Code
from gradlab.cells import cell as registered
from gradlab.mistakes.catalogue import mistake
from gradlab.mistakes.evidence import evidence
from gradlab.mistakes.probes import probes, spare
from gradlab.mistakes.rows import Mistake
from gradlab.mistakes.runs import Outcome, outcome, recorded_code, variants
from gradlab.mistakes.search import Rows, from_deltas, from_gradients, is_forward
from gradlab.problem import Problem

# Where a candidate's balls are too wide to say that it reproduces the code, more bits decide.
PRECISIONS = (128, 512)

SHOWN = 6  # alternatives that are written out


@dataclass(frozen=True)
class Diagnosis:
    """What is the matter with code that disagrees.

    cell: the registered cell. label: the first wrong equation, None where gradients alone leave it open.
    mistakes: the fewest that, together, reproduce it exactly on every probe; () where the catalogue has none.
    alternatives: the other sets of mistakes that reproduce it as exactly; no probe tells them apart.
    evidence: what was measured, a sentence each. hint: str() keeps the correct form back.
    """

    cell: str
    label: str | None
    mistakes: tuple[str, ...]
    alternatives: tuple[tuple[str, ...], ...]
    evidence: tuple[str, ...]
    hint: bool = False

    @property
    def named(self) -> bool:
        """Whether anything in the catalogue reproduces it."""
        return bool(self.mistakes)

    @property
    def decided(self) -> bool:
        """Whether just one explanation of so few mistakes reproduces it."""
        return self.named and all(len(other) > len(self.mistakes) for other in self.alternatives)

    @property
    def candidates(self) -> tuple[tuple[str, ...], ...]:
        """Every explanation of the fewest mistakes."""
        return tuple(one for one in (self.mistakes, *self.alternatives) if one and len(one) == len(self.mistakes))

    def to_json(self) -> dict[str, list[str]]:
        """The names and the evidence; where several explanations are left, the names of all, and evidence says so."""
        names = dict.fromkeys(name for one in self.candidates for name in one)
        return {"mistakes": list(names), "evidence": list(self.evidence)}

    def __str__(self) -> str:
        lines = [self._headline()]
        for i, names in enumerate(self.candidates):
            if i:
                lines.append("or, and no probe tells them apart:")
            for name in names:
                lines += _told(mistake(self.cell, name), self.hint)
        lines += [f"  {sentence}" for sentence in self.evidence]
        return "\n".join(lines)

    def _headline(self) -> str:
        if not self.named:
            where = f" at {self.label}" if self.label else ""
            return f"The mistake{where} is not in the catalogue. What is known of it:"
        if not self.decided:
            return "The mistake is one of these; no probe tells them apart:"
        what = "This mistake reproduces" if len(self.mistakes) == 1 else "These mistakes, together, reproduce"
        return f"{what} what the code gives, exactly:"


def _told(row: Mistake, hint: bool) -> list[str]:
    lines = [f"{row.name}   {row.does}", f"  seen      {row.seen}"]
    for label in row.labels:
        lines += [f"  {label}", f"  mistaken  {row.latex[label]}"]
        lines += [] if hint else [f"  correct   {row.correct[label]}"]
    return lines


def diagnose(
    cell: Cell | str,
    code: Code,
    *,
    problems: Sequence[Problem] = (),
    also: Problem | None = None,
    deltas: bool = True,
    hint: bool = False,
) -> Diagnosis | None:
    """Name the mistake in code that disagrees.

    Args:
        cell: what the code claims to be.
        code: the functions under test.
        problems: what to run it on; by default generic problems in regimes that tell mistakes apart.
        also: one problem more: that on which it was found to disagree.
        deltas: look at the deltas that it returns; without, or where it returns none, gradients alone decide.
        hint: keep the correct form back.

    Returns:
        None where it is proven wrong on none of the problems.
    """
    tested = registered(cell) if isinstance(cell, str) else cell
    tried = [*(problems or probes(tested)), *([also] if also is not None else [])]
    found = None
    for bits in PRECISIONS:
        with precision(bits):
            case = _Case(tested, code, deltas, hint, last=bits == PRECISIONS[-1])
            for problem in tried:
                case.run(problem)
            if case.refused and not problems:
                for problem in spare(tested):
                    case.run(problem)
            found = case.diagnosis()
        if found is None or found.named:
            break
    return found


class _Case:
    """One piece of code on its probes."""

    def __init__(self, cell: Cell, code: Code, deltas: bool, hint: bool, last: bool) -> None:
        self.cell, self.code, self.deltas, self.hint, self.last = cell, code, deltas, hint, last
        self.known = variants(cell)
        self.refused: list[Problem] = []
        self.problems: list[Problem] = []
        self.seen: list[Outcome] = []

    def run(self, problem: Problem) -> None:
        one = recorded_code(self.cell, self.code).outcome(problem, deltas=self.deltas)
        if one.refused:
            self.refused.append(problem)
        else:
            self.problems.append(problem)
            self.seen.append(one)

    def diagnosis(self) -> Diagnosis | None:
        if not self.seen:
            return self._unknown(None, ())
        wrong = self._wrong()
        whole = all(self.cell.quantities.keys() <= one.found.keys() for one in self.seen)
        if not wrong:
            return self._unknown(None, ()) if self.refused else None
        screened = not self.last
        found = from_deltas(self.known, self.seen, wrong, screened=screened) if whole else self._from_gradients(wrong)
        found = [rows for rows in found if rows and self._refuses_alike(rows)]
        if any(one.misreported for one in self.seen):
            found = []  # no mistake of the catalogue reports another total than the sum
        label = f"{self.cell.name}.{wrong[0]}" if whole or is_forward(self.cell, wrong[0]) else None
        return self._known(label, found) if found else self._unknown(label, wrong if whole else ())

    def _wrong(self) -> list[str]:
        found = {name for one in self.seen for name in self.known.wrong(one)}
        return [name for name in self.cell.quantities if name in found]

    def _from_gradients(self, wrong: Sequence[str]) -> list[Rows]:
        """The forward pass equation by equation, as its trace is there; the backward pass as a whole."""
        forward = [name for name in wrong if is_forward(self.cell, name)]
        among = [name for name in self.cell.quantities if is_forward(self.cell, name)]
        before: list[Rows] = from_deltas(self.known, self.seen, forward, among) if forward else [()]
        if len(forward) == len(wrong):
            return before
        after = from_gradients(self.known, self.seen)
        one_row = {row.key: (row,) for row in self.known.rows}  # both halves of a convention are that convention
        both = [(*one, *other) for other in after for one in before]
        return [one_row.get(frozenset().union(*(row.key for row in rows)), rows) for rows in both]

    def _refuses_alike(self, rows: Rows) -> bool:
        """Where the code does not run, the mistakes must not either."""
        if not self.refused:
            return True
        from gradlab.mistakes.patch import with_mistakes

        twin = with_mistakes(self.cell, *rows)
        return all(outcome(self.cell, twin, problem.inputs(), problem.sizes).refused for problem in self.refused)

    def _known(self, label: str | None, found: Sequence[Rows]) -> Diagnosis:
        names = [tuple(row.name for row in rows) for rows in found]
        first, *others = names
        fewest = [one for one in others if len(one) == len(first)]
        if label is None:
            firsts = {self._first(rows) for rows in found if len(rows) == len(found[0])}
            label = firsts.pop() if len(firsts) == 1 else None
        probed = ", ".join(f"T={p.sizes['T']} with weights of {_scale(p):.1g}" for p in self.problems)
        sentences = [f"every quantity overlaps with its ball on {len(self.problems)} problems ({probed})"]
        if fewest:
            either = "; or ".join(" and ".join(one) for one in (first, *fewest[:SHOWN]))
            sentences.append(f"either {either}: no probe tells them apart")
        more = [one for one in others if len(one) > len(first)]
        masked = [one for one in more if any(set(few) < set(one) for few in (first, *fewest))]
        if masked:
            hidden = dict.fromkeys(
                name for one in masked for name in one if all(name not in few for few in (first, *fewest))
            )
            some = ", ".join([*hidden][:SHOWN]) + (", …" if len(hidden) > SHOWN else "")
            sentences.append(f"beside it these would change nothing, and so cannot be excluded: {some}")
        apart = [one for one in more if one not in masked][:SHOWN]
        sentences += [f"{' and '.join(one)}, together, would give the same" for one in apart]
        return Diagnosis(self.cell.name, label, first, tuple(others), tuple(sentences), self.hint)

    def _first(self, rows: Rows) -> str:
        """The first equation that these mistakes change."""
        return next(label for label in self.cell.equations if any(label in row.changes for row in rows))

    def _unknown(self, label: str | None, wrong: Sequence[str]) -> Diagnosis:
        sentences = evidence(self.cell, self.code, wrong, deltas=self.deltas) if self.last else ()
        return Diagnosis(self.cell.name, label, (), (), sentences, self.hint)


def _scale(problem: Problem) -> float:
    """The typical weight."""
    return float(np.median(np.concatenate([np.abs(weight).ravel() for weight in problem.params])))
