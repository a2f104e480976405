"""Reads a derivation and judges every equation in it.

Definitions first, in reading order, each claim resolved with the symbols known where it stands; then every claim is
judged in one world, so that one wrong line cannot poison a later one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from time import monotonic
from typing import Any

from gradlab.faults import Fault, shielded
from gradlab.interrupts import checkpoint, held
from gradlab.verifier.bound import Bound, bound_to
from gradlab.verifier.definitions import define
from gradlab.verifier.document import Document, Problem, Source, Span, read, read_text
from gradlab.verifier.expect import announcement
from gradlab.verifier.front import declared
from gradlab.verifier.judge import DIGITS, Judge, Judgement
from gradlab.verifier.meaning import Resolver
from gradlab.verifier.parser import Equation, equations, has_relation, parse
from gradlab.verifier.repair import find_repair
from gradlab.verifier.report import DocumentReport, Finding, Repair, Verification, condition
from gradlab.verifier.scope import Scope, Symbol
from gradlab.verifier.shapes import Shape, Trouble, same
from gradlab.verifier.terms import Term
from gradlab.verifier.world import OutOfTime, Programs

SECONDS = 60.0


@dataclass(eq=False)
class Link:
    """One relation between two sides of an equation, on its way to a finding."""

    finding: Finding
    source: Source
    left: Term | None = None
    right: Term | None = None
    symbol: Symbol | None = None
    at: int = 0


@dataclass(eq=False)
class Derivation:
    """A document whose equations are resolved: its symbols, its links in reading order, and the judge of its claims."""

    document: Document
    scope: Scope
    links: list[Link]
    mentions: int
    judge: Judge


def verify(
    path: str | Path | None = None,
    *,
    text: str | None = None,
    repairs: bool | None = None,
    seconds: float = SECONDS,
) -> DocumentReport:
    """The report on one Markdown file or notebook, or on a text. Whatever it holds, this raises nothing.

    Args:
        path: the file. text: Markdown, in place of a file.
        repairs: search a repair for every wrong claim (True), for none (False), or for those not announced (None).
        seconds: what is not judged by then is "cannot tell".
    """
    if (path is None) == (text is None):
        raise TypeError("verify takes a path or a text, one of the two")
    document = read_text(text or "", "<text>") if path is None else read(path)
    return _report(document, repairs, seconds)


def verify_text(
    text: str, name: str = "<text>", repairs: bool | None = None, seconds: float = SECONDS
) -> DocumentReport:
    """The report on a derivation in a string of Markdown; as `verify`."""
    return _report(read_text(text, name), repairs, seconds)


def verify_paths(paths: Iterable[str | Path], repairs: bool | None = None, seconds: float = SECONDS) -> Verification:
    """The reports on files, and on every .md and .ipynb file in folders, in the order of their names.

    Interrupted (Ctrl-C), it returns the reports on those that were read to their end.
    """
    found = Verification([])
    try:
        with held():
            for file in [file for path in paths for file in files(path)]:
                found.reports.append(verify(file, repairs=repairs, seconds=seconds))
    except KeyboardInterrupt:
        found.interrupted = True
    return found


def files(path: str | Path) -> list[Path]:
    """The documents that a path stands for; a path that is no folder stands for itself."""
    path = Path(path)
    if not path.is_dir():
        return [path]
    found = [file for file in path.rglob("*") if file.suffix in (".md", ".ipynb") and file.is_file()]
    return sorted(file for file in found if not any(part.startswith(".") for part in file.relative_to(path).parts))


def resolve(document: Document, seconds: float = inf) -> Derivation:
    """The symbols and links of a document, read but not judged."""
    deadline = monotonic() + seconds
    scope, problems = declared(document)
    links = [_problem(problem) for problem in (*document.problems, *problems)]
    mentions = 0
    for number, span in enumerate(document.spans):
        checkpoint()
        if monotonic() > deadline:
            message = (
                f"not read: the time was used up, {len(document.spans) - number} spans of mathematics before the end"
            )
            links.append(Link(Finding(span.place, "claim", "", "", "cannot tell", message), span.source))
            break
        found = _span(span, scope)
        mentions += not found
        links += found
    sides = [side for link in links for side in (link.left, link.right) if side is not None]
    return Derivation(document, scope, links, mentions, Judge(Programs(scope, sides, deadline)))


def _report(document: Document, repairs: bool | None, seconds: float) -> DocumentReport:
    derivation = resolve(document, seconds)
    bound = bound_to(derivation.scope, derivation.judge)
    findings = [_judged(link, derivation, bound, repairs) for link in derivation.links]
    if derivation.scope.cell and bound.problem:
        place = document.front_source.place(document.front_offset) if document.front_source else None
        assert place is not None
        findings.insert(0, Finding(place, "problem", f"cell: {derivation.scope.cell}", "", "undefined", bound.problem))
    findings.sort(
        key=lambda finding: finding.place[1:] if not finding.place.cell else finding.place[3:] + finding.place[1:3]
    )
    return DocumentReport(document.name, findings, derivation.mentions)


def _problem(problem: Problem) -> Link:
    return Link(Finding(problem.place, "problem", "", "", problem.kind, problem.message), Source("", ""))


# From a span to its links.


def _span(span: Span, scope: Scope) -> list[Link]:
    """The links of one span, with what its directives announce; none if it relates nothing."""
    unchecked = next((directive for directive in span.directives if directive.word == "unchecked"), None)
    if unchecked is not None:
        finding = Finding(span.place, "unchecked", span.text.strip(), "", "", unchecked.text)
        if not unchecked.text:
            finding = replace(finding, kind="problem", verdict="syntax", message="`unchecked:` gives no reason")
        return [Link(finding, span.source)]
    if not has_relation(span.text) and not span.directives:
        return []
    links: list[Link] = []
    try:
        for equation in equations(span.text, span.start):
            links += _equation(equation, span.source, scope)
    except Trouble as trouble:
        links.append(_trouble(trouble, span.source, span.start, span.text.strip()))
    return _expected(span, links, scope)


def _equation(equation: Equation, source: Source, scope: Scope) -> Iterator[Link]:
    try:
        children = parse(equation).children
    except Trouble as trouble:
        yield _trouble(trouble, source, equation.start, equation.text, equation.label)
        return
    except RecursionError:
        yield _trouble(_too_deep(), source, equation.start, equation.text, equation.label)
        return
    sides, relations = children[::2], children[1::2]
    first = scope.labels.setdefault(equation.label, str(source.place(equation.start))) if equation.label else ""
    if first and first != str(source.place(equation.start)):
        twice = Trouble("syntax", f"the label {equation.label} stands twice: first at {first}", equation.start)
        yield _trouble(twice, source, equation.start, equation.text)
    for index, relation in enumerate(relations):
        is_definition = relation.children[0] != "="
        pair = sides[index], sides[index + 1]
        text = _text(equation, *pair)
        begin = equation.start + _begin(pair[0])
        finding = Finding(source.place(begin), "definition" if is_definition else "claim", text, equation.label)
        try:
            if is_definition and index:
                raise Trouble("syntax", ":= stands only after the first side of an equation", begin)
            yield _link(Link(finding, source, at=begin), pair, Resolver(scope, equation.start), is_definition)
        except Trouble as trouble:
            yield _trouble(trouble, source, begin, text, equation.label, finding.kind)
        except RecursionError:
            yield _trouble(_too_deep(), source, begin, text, equation.label, finding.kind)


def _link(link: Link, pair: tuple[Any, Any], resolver: Resolver, is_definition: bool) -> Link:
    if is_definition:
        if pair[1].data == "goal":
            raise Trouble("syntax", "a definition of `?`: a goal is written with =", link.at)
        link.symbol = define(resolver, *pair)
        return link
    goals = [side.data == "goal" for side in pair]
    link.left, link.right = (None if goal else resolver.term(side) for goal, side in zip(goals, pair, strict=True))
    _conform(link, resolver)
    if any(goals):
        link.finding = replace(link.finding, kind="goal")
    return link


def _conform(link: Link, resolver: Resolver) -> None:
    """Tell the shapes of both sides; the finding is "shape" if one has none or they differ."""
    try:
        shapes = [resolver.shape(side) if side else Shape(()) for side in (link.left, link.right)]
        link.finding = replace(link.finding, shapes=(str(shapes[0]), str(shapes[1])))
        if link.left and link.right and not same(*shapes):
            raise Trouble("shape", f"the left side is {shapes[0]}, the right side {shapes[1]}", link.at)
    except Trouble as trouble:
        place = link.source.place(trouble.at or link.at)
        link.finding = replace(link.finding, place=place, verdict=trouble.kind, message=trouble.message)


def _trouble(trouble: Trouble, source: Source, begin: int, text: str, label: str = "", kind: str = "claim") -> Link:
    place = source.place(trouble.at if trouble.at else begin)
    return Link(Finding(place, kind, text, label, trouble.kind, trouble.message), source)


def _too_deep() -> Trouble:
    return Trouble("syntax", "the equation is nested too deeply to be read")


def _begin(tree: Any) -> int:
    return getattr(tree.meta, "start_pos", 0)


def _text(equation: Equation, left: Any, right: Any) -> str:
    end = getattr(right.meta, "end_pos", len(equation.text))
    return " ".join(equation.text[_begin(left) : end].split())


def _expected(span: Span, links: list[Link], scope: Scope) -> list[Link]:
    """The links with what `expect` announces of them: one word for all that are wrong, or a word for each link."""
    for directive in span.directives:
        words, steps, wrong = announcement(directive, scope.steps)
        if wrong is None and len(words) not in (1, len(links)):
            wrong = f"`expect` announces {len(words)} verdicts for {len(links)} links"
        if wrong is not None:
            problem = Problem(span.source.place(directive.offset), "syntax", wrong)
            return [*links, _problem(problem)]
        for link, word in zip(links, words * (len(links) if len(words) == 1 else 1), strict=True):
            link.finding = replace(link.finding, expected=word, steps_wanted=steps)
        if not links:
            problem = Problem(span.source.place(directive.offset), "syntax", "`expect` follows no equation")
            links = [_problem(problem)]
    return links


# From a link to its finding.


def _judged(link: Link, derivation: Derivation, bound: Bound, repairs: bool | None) -> Finding:
    checkpoint()
    finding = link.finding
    if (finding.verdict and finding.verdict != "shape") or finding.kind in ("goal", "unchecked"):
        return finding
    try:
        if finding.verdict == "shape":
            return _repaired(finding, link, derivation, repairs)
        if link.symbol is not None:
            return _definition(finding, link.symbol, bound)
        assert link.left is not None
        assert link.right is not None
        found = derivation.judge.claim(link.left, link.right)
        finding = _claim(finding, found, derivation.scope.steps)
        if finding.verdict == "false":
            finding = _repaired(finding, link, derivation, repairs)
    except Trouble as trouble:
        place = link.source.place(trouble.at or link.at)
        return replace(finding, place=place, verdict=trouble.kind, message=trouble.message)
    except OutOfTime:
        return replace(finding, verdict=finding.verdict or "cannot tell", message="not judged: the time was used up")
    except RecursionError:
        return replace(finding, verdict="cannot tell", message="not judged: the definitions are nested too deeply")
    return finding


def _repaired(finding: Finding, link: Link, derivation: Derivation, repairs: bool | None) -> Finding:
    """The finding with a repair, if one is wanted and found."""
    wanted = not finding.expected if repairs is None else repairs
    left, right = link.left, link.right
    if not wanted or left is None or right is None:
        return finding

    def searched() -> Repair | None:
        try:
            return find_repair(derivation.judge, left, right)
        except OutOfTime:
            return None

    repair = shielded("repair", searched)
    if isinstance(repair, Fault):
        return replace(finding, message="; ".join(filter(None, (finding.message, repair.said))))
    return replace(finding, repair=repair)


def _definition(finding: Finding, symbol: Symbol, bound: Bound) -> Finding:
    found = bound.judgements.get(symbol.name)
    if found is None:
        return replace(finding, verdict="true", message="defined")
    return _claim(finding, found, bound.steps, f"what the code's forward gives for {symbol.name}")


def _claim(finding: Finding, found: Judgement, steps: int, what: str = "") -> Finding:
    message = found.note
    if found.word == "false":
        where = f" for {condition(found.false_steps, steps - 1)}" if found.false_steps else ""
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
