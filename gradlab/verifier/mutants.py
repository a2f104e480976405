"""How much would be noticed: every single edit of every true claim of a document, judged as the claim itself is.

A mutant is caught if its document would no longer pass: it has no shape, no meaning, is proven false, or cannot be
told.
One that is true as well must be *proven* to say the same as the claim, by a rule named in `why_equal`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gradlab.verifier.document import Place
from gradlab.verifier.edits import KINDS, Edit, edits, shape_or_none
from gradlab.verifier.judge import Conditions, Judge
from gradlab.verifier.normal import why_equal
from gradlab.verifier.reading import Derivation, Link
from gradlab.verifier.shapes import Trouble, same
from gradlab.verifier.terms import Term, latex


@dataclass(frozen=True)
class Mutant:
    """One wrong variant of a claim. outcome: "shape", "undefined", "false", "cannot tell", "equivalent" or "missed"."""

    place: Place
    label: str
    kind: str
    text: str
    outcome: str
    why: str = ""


def mutants(derivation: Derivation, every: int = 1) -> Iterator[Mutant]:
    """Each single edit of each claim that is true, or every so many of them, and what becomes of it."""
    count = 0
    for link in derivation.links:
        left, right, judge = link.left, link.right, derivation.judges[link.scope]
        if left is None or right is None or link.finding.verdict or not _is_true(judge, link):
            continue
        of_left = [(edit, (edit.result, right), left) for edit in edits(left, judge.scope)]
        of_right = [(edit, (left, edit.result), right) for edit in edits(right, judge.scope)]
        for edit, sides, original in of_left + of_right:
            count += 1
            if count % every == 0:
                yield _mutant(judge, link, edit, sides, original)


def _is_true(judge: Judge, link: Link) -> bool:
    assert link.left is not None
    assert link.right is not None
    try:
        shapes = [shape_or_none(side, judge.scope) for side in (link.left, link.right)]
        conform = shapes[0] is not None and shapes[1] is not None and same(shapes[0], shapes[1])
        return conform and judge.claim(link.left, link.right, link.conditions).word == "true"
    except (Trouble, ValueError, TypeError):
        return False


def _mutant(judge: Judge, link: Link, edit: Edit, sides: tuple[Term, Term], original: Term) -> Mutant:
    place, label = link.finding.place, link.finding.label
    outcome, why = _outcome(judge, sides, link.conditions), ""
    if outcome == "true":
        why = why_equal(original, edit.result, judge.scope)
        outcome = "equivalent" if why else "missed"
    return Mutant(place, label, edit.kind, f"{latex(sides[0])} = {latex(sides[1])}", outcome, why)


def _outcome(judge: Judge, sides: tuple[Term, Term], conditions: Conditions) -> str:
    shapes = [shape_or_none(side, judge.scope) for side in sides]
    if shapes[0] is None or shapes[1] is None or not same(shapes[0], shapes[1]):
        return "shape"
    try:
        return judge.claim(*sides, conditions).word
    except Trouble as trouble:
        return trouble.kind
    except (ArithmeticError, ValueError, IndexError, TypeError, AttributeError):
        return "cannot tell"


def table(found: Iterable[Mutant]) -> str:
    """The counts in Markdown: a row for each kind of edit, a column for each outcome."""
    counts = Counter((mutant.kind, mutant.outcome) for mutant in found)
    columns = ("shape", "undefined", "false", "cannot tell", "equivalent", "missed")
    rows = ["| edit | mutants | " + " | ".join(columns) + " |", "|---" * (len(columns) + 2) + "|"]
    for kind in (*KINDS, "all"):
        cells = [sum(n for (k, o), n in counts.items() if o == outcome and kind in (k, "all")) for outcome in columns]
        rows.append(f"| {kind} | {sum(cells)} | " + " | ".join(map(str, cells)) + " |")
    return "\n".join(rows)
