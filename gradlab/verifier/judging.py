"""From a claim to its verdict under every reading that the document leaves open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from gradlab.verifier.evaluate import NoSuchStep
from gradlab.verifier.judge import DIGITS, Judgement
from gradlab.verifier.readings import Reading, immediate
from gradlab.verifier.report import Finding, condition
from gradlab.verifier.scope import Scope
from gradlab.verifier.shapes import Trouble, same, shape_of
from gradlab.verifier.terms import Apply, Arbitrary, Derivative, Name, Term, walk

if TYPE_CHECKING:
    from gradlab.verifier.inference import Book, Chapter
    from gradlab.verifier.reading import Derivation, Link

TIGHT = "as it is set, the product without a sign is taken before ⊙"
LOOSE = "if the ⊙ is taken before the product without a sign: put parentheses"


def claimed(finding: Finding, found: Judgement, scope: Scope, what: str = "") -> Finding:
    """A finding with what a judge said. what: what a definition was held against."""
    message = found.note
    if found.word == "false":
        last = scope.range().stop - 1
        where = f" for {condition(found.false_steps, last, scope.first)}" if found.false_steps else ""
        if found.elsewhere:
            where = f" where {found.elsewhere}"
        message = f"proven false{where}" if not what else f"not {what}{where}"
    elif found.word == "true" and not message:
        message = f"true to {DIGITS} digits" if not what else f"defined; it is {what}"
    return replace(
        finding,
        verdict=found.word,
        message=message,
        steps=found.steps,
        false_steps=found.false_steps,
        skipped=found.skipped,
        left=found.left,
        right=found.right,
    )


def mixed_products(finding: Finding, link: Link, derivation: Derivation) -> Finding:
    """What the other reading of mixed products says, where there is one: it decides nothing, and is said."""
    if link.other is None or finding.verdict not in ("true", "false", "shape"):
        return finding
    judge = derivation.judges[link.scope]
    try:
        shapes = [shape_of(side, judge.scope) for side in link.other]
        word = judge.claim(*link.other, link.conditions).word if same(*shapes) else "shape"
    except (Trouble, NoSuchStep):
        word = "shape"
    if finding.verdict == "true":
        return finding if word == "true" else replace(finding, message=f"{finding.message}; {TIGHT}")
    if word != "true":
        return finding
    if finding.verdict == "shape":
        return replace(finding, verdict="true if", message=f"true {LOOSE}; {TIGHT}, and that has no shape")
    return replace(finding, message=f"{finding.message}: {TIGHT}; it is true {LOOSE}")


# Documents that leave things open.


def judged_openly(link: Link, book: Book) -> Finding:
    """The finding of a claim under every reading of its scope.

    True under the first reading is true; true under another only is "true if"; false where something arbitrary or
    undefined stands in it is "open".
    """
    assert link.left is not None
    assert link.right is not None
    chapter = book.chapters[link.scope]
    finding = chapter.found(link, "")
    if finding.verdict in ("true", "structural zero", "tried nowhere"):
        return _with_notes(finding, chapter, link)
    for words in _others(chapter, link.left, link.right):
        other = chapter.found(link, words)
        if other.verdict == "true" and not other.message.startswith("0 = 0") and not _contradicted(chapter, words):
            return _true_if(finding, other, words)
    if link.restates:
        return replace(
            finding, kind="definition", verdict="true", message="defined anew: from here on it has this meaning"
        )
    if None in link.conditions and finding.verdict == "false":
        return replace(finding, verdict="cannot tell", message="a condition on it is not understood")
    return _open(finding, chapter, link)


def _contradicted(chapter: Chapter, words: str) -> bool:
    """Whether a claim of the scope that is true otherwise is not under a reading: then it is not the author's."""
    if words.startswith("∂"):
        return False  # many mean both, here the one and there the other
    return any(
        chapter.found(link, words).verdict != "true"
        for link in chapter.links
        if link.left is not None and link.left != link.right and chapter.found(link, "").verdict == "true"
    )


def under(link: Link, reading: Reading, left: Term, right: Term) -> Finding:
    """The finding of a claim under one reading."""
    finding, scope, judge = link.finding, reading.scope, reading.judge
    try:
        shapes = [shape_of(side, scope) for side in (left, right)]
        finding = replace(finding, shapes=(str(shapes[0]), str(shapes[1])))
        if not same(*shapes) and not (shapes[0].is_scalar and shapes[1].is_scalar):
            message = f"the left side is {shapes[0]}, the right side {shapes[1]}"
            return replace(finding, verdict="shape", message=message)
        return claimed(finding, judge.claim(left, right, link.conditions), scope)
    except Trouble as trouble:
        place = link.span.place_of(trouble.at or link.at) if link.span else finding.place
        return replace(finding, place=place, verdict=trouble.kind, message=trouble.message)
    except (ArithmeticError, ValueError, IndexError, TypeError, AttributeError) as error:
        # What was inferred does not fit together in a way that no shape told: never a pass.
        return replace(finding, verdict="cannot tell", message=f"cannot be evaluated as it is read: {error}")


def _others(chapter: Chapter, left: Term, right: Term) -> Iterator[str]:
    """The other readings of a claim, in words: ∂ as the immediate derivative, other shapes, another layout."""
    scope = chapter.scope
    has_derivative = any(isinstance(part, Derivative) for side in (left, right) for part in walk(side))
    if has_derivative and "partial" not in scope.conventions:
        for words, change in IMMEDIATE.items():
            if (change(left), change(right)) != (left, right):
                yield words
    yield from (words for words in chapter.other_readings() if has_derivative or "layout" not in words)


IMMEDIATE: dict[str, Callable[[Term], Term]] = {
    "∂ of a state by a weight is the immediate derivative": lambda term: immediate(term, states=True),
    "∂ is the immediate derivative": immediate,
}


def _true_if(finding: Finding, other: Finding, words: str) -> Finding:
    message = f"true if {words}"
    if words.startswith("∂") and finding.verdict == "false":
        message = "false for the total derivative, true for the immediate one: which do you mean? write ∂^+ for that"
    elif finding.verdict == "shape":
        message += f"; otherwise {finding.message}"
    return replace(other, verdict="true if", message=message)


def _with_notes(finding: Finding, chapter: Chapter, link: Link) -> Finding:
    if finding.verdict != "true":
        return finding
    names = sorted(_arbitrary(chapter, link))
    return replace(finding, message=f"{finding.message}, for every smooth {', '.join(names)}") if names else finding


def _arbitrary(chapter: Chapter, link: Link) -> set[str]:
    """The functions and losses in a claim, or in what its symbols stand for, of which nothing is known."""
    found: set[str] = set()
    done: set[str] = set()
    todo = [side for side in (link.left, link.right) if side is not None]
    symbols = chapter.scope.symbols
    while todo:
        for part in walk(todo.pop()):
            if isinstance(part, Apply) and part.function.startswith("?"):
                found.add(part.function[1:])
            elif isinstance(part, Arbitrary):
                found.add(symbols[part.name].text)
            elif isinstance(part, Name) and part.name not in done:
                done.add(part.name)
                symbol = symbols.get(part.name)
                todo += [symbol.body] if symbol is not None and symbol.body is not None else []
    return found


def _open(finding: Finding, chapter: Chapter, link: Link) -> Finding:
    """A claim that is false only because something in it is not defined is open, not false."""
    if finding.verdict not in ("false", "shape"):
        return finding
    arbitrary = sorted(_arbitrary(chapter, link))
    unknown = sorted(_unconnected(chapter, link))
    if arbitrary and finding.verdict == "false":
        words = f"false for an arbitrary {', '.join(arbitrary)}: define {arbitrary[0]}"
        return replace(finding, verdict="open", message=words, left=None, right=None)
    if unknown:
        words = f"{', '.join(unknown)} is defined nowhere: define {unknown[0]}, or say what it is"
        return replace(finding, verdict="open", message=words, left=None, right=None)
    orientation = chapter.readings[0].orientation
    return replace(
        finding, message=f"{finding.message} (read with {orientation}, ∂ the {chapter.scope.partial} derivative)"
    )


def _unconnected(chapter: Chapter, link: Link) -> set[str]:
    """Names in a claim that nothing defines and no definition uses: they can be anything."""
    symbols = chapter.scope.symbols
    used = {
        part.name for symbol in symbols.values() if symbol.body is not None
        for part in walk(symbol.body) if isinstance(part, Name)
    }  # fmt: skip
    by = {
        part.by.name for side in (link.left, link.right) if side is not None
        for part in walk(side) if isinstance(part, Derivative)
    }  # fmt: skip
    names = {
        part.name
        for side in (link.left, link.right)
        if side is not None
        for part in walk(side)
        if isinstance(part, Name)
    }
    return {
        symbols[name].text for name in names - used - by
        if symbols[name].body is None and not symbols[name].values and not symbols[name].declared
    }  # fmt: skip
