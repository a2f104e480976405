"""From a document to its links: one for each relation of each statement, its two sides resolved.

A strict document (its front matter declares `sizes:`) is resolved in reading order, each claim with the symbols known
where it stands. Of any other what is not declared is inferred, in `inference.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from gradlab.verifier.definitions import define
from gradlab.verifier.document import Document, Place, Problem, Span
from gradlab.verifier.expect import announcement
from gradlab.verifier.front import declared
from gradlab.verifier.inference import LOOSELY, Book, said
from gradlab.verifier.judge import Judge
from gradlab.verifier.limits import Limits, OutOfTime
from gradlab.verifier.meaning import Resolver
from gradlab.verifier.parser import Node, parse
from gradlab.verifier.report import ASIDE, Finding
from gradlab.verifier.scope import Scope
from gradlab.verifier.shapes import Shape, Trouble, same
from gradlab.verifier.statements import LONGEST, Statement, statements
from gradlab.verifier.survey import Survey, survey, words_of
from gradlab.verifier.terms import Name, Term, Time
from gradlab.verifier.tokens import Token
from gradlab.verifier.world import Programs

GOAL = Node("goal", 0, 0)
_BEFORE_ZERO = re.compile(r"[A-Za-z}]\s*(?:\(\s*-\s*1\s*\)|_\s*\{\s*-\s*1\s*\})")


@dataclass(eq=False)
class Link:
    """One relation between two sides of a statement, on its way to a finding.

    other: the sides where all products bind equally, if that is another reading. scope: the number of its scope.
    conditions: those on the letters of the claim. restates: whether it defines a symbol that has a definition; loosely:
    the sign, where it says less than that the sides are equal.
    """

    finding: Finding
    span: Span | None = None
    left: Term | None = None
    right: Term | None = None
    defines: str = ""
    at: int = 0
    other: tuple[Term, Term] | None = None
    scope: int = 0
    conditions: tuple[tuple[Time, str, Time] | None, ...] = ()
    restates: bool = False
    loosely: str = ""


@dataclass(eq=False)
class Derivation:
    """A document whose equations are resolved: its symbols, its links in reading order, and the judges of its claims.

    scopes, judges: more than one where a name is given another meaning on the way.
    """

    document: Document
    scopes: list[Scope]
    links: list[Link]
    mentions: int
    judges: list[Judge]
    limits: Limits
    book: Book | None = None

    @property
    def scope(self) -> Scope:
        return self.scopes[0]

    @property
    def judge(self) -> Judge:
        return self.judges[0]

    def all_judges(self) -> list[Judge]:
        """The judges of every reading of every scope."""
        chapters = self.book.chapters if self.book is not None else []
        return [*self.judges, *(reading.judge for chapter in chapters for reading in chapter.readings)]


@dataclass(eq=False)
class Line:
    """One statement with its span, and its sides as trees (read in both ways where products are mixed)."""

    span: Span
    statement: Statement
    sides: list[Node] = field(default_factory=list)
    flat: list[Node] = field(default_factory=list)
    trouble: Trouble | None = None


def resolve(document: Document, limits: Limits | None = None) -> Derivation:
    """The symbols and links of a document, read but not judged."""
    limits = limits or Limits()
    scope, problems = declared(document)
    links = [problem_link(problem) for problem in (*document.problems, *problems)]
    reader = _Reader(document, scope, limits)
    try:
        reader.read()
    except OutOfTime as error:
        document.stopped = document.stopped or str(error)
    links += reader.links
    if document.stopped:
        place = reader.reached or Place(document.name, 1, 1)
        message = f"not read from here on: {document.stopped}"
        links.append(Link(Finding(place, "claim", "", "", "cannot tell", message)))
    if scope.strict:
        sides = [side for link in links for side in (link.left, link.right) if side is not None]
        worlds = (scope, scope.elsewhere())
        judges = [Judge(*(Programs(each, sides, limits) for each in worlds))]
        return Derivation(document, [scope], links, reader.mentions, judges, limits)
    assert reader.book is not None
    try:
        scopes, judges = reader.book.settled(limits)
    except OutOfTime as error:
        message = f"not judged: {error}"
        for link in links:
            if not link.finding.verdict:
                link.finding = replace(link.finding, verdict="cannot tell", message=message)
        scope = replace(scope, strict=True)
        return Derivation(document, [scope], links, reader.mentions, [Judge(Programs(scope, (), limits))], limits)
    return Derivation(document, scopes, links, reader.mentions, judges, limits, reader.book)


class _Reader:
    """Reads the spans of a document into links, each span's together, with what its directives announce."""

    def __init__(self, document: Document, scope: Scope, limits: Limits) -> None:
        self.document, self.scope, self.limits = document, scope, limits
        self.links: list[Link] = []
        self.mentions = 0
        self.words: frozenset[str] = frozenset()
        self.survey = Survey(first=0)
        self.book: Book | None = None
        self.reached: Place | None = None
        self.declares_past = False

    def read(self) -> None:
        spans = [(span, *self._statements(span)) for span in (*self._assumptions(), *self.document.spans)]
        lines = [line for _, found, _ in spans for line in found]
        if self.scope.strict and self._leaves_open(lines):
            self.declares_past = any(symbol.before for symbol in self.scope.symbols.values())
            self.scope.strict, self.scope.symbols = False, {}
        if not self.scope.strict:
            self.book = Book(self.scope, self.survey)
        known = frozenset(name for name in (*self.scope.symbols, *self.scope.aliases) if "_" not in name)
        self.words = words_of((line.statement for line in lines), known, self.scope.strict)
        for line in lines:
            self.limits.tick()
            self._parse(line)
        self.survey = survey([[*line.sides] for line in lines], self.scope.strict)
        if not self.scope.strict and any(_BEFORE_ZERO.search(span.text) for span in self.document.spans):
            self.survey.first = 0
        if self.declares_past:
            self.survey.first = 0
        if not self.scope.strict:
            self.scope.first, self.scope.base = self.survey.first, self.survey.base
            self.scope.indices = self.survey.indices
            self.book = Book(self.scope, self.survey)
            self.book.prepare(self.words, lines)
        for span, found, trouble in spans:
            self.limits.tick()
            self.reached = span.place
            self._span(span, found, trouble)

    def _assumptions(self) -> list[Span]:
        """The mathematics in the front matter, which is read before the document."""
        source, offset = self.document.front_source, self.document.front_offset
        if source is None:
            return []
        return [Span(source, text, [(0, offset + at)], offset + at) for text, at in self.scope.assumptions]

    def _leaves_open(self, lines: list[Line]) -> bool:
        """Whether a document that declares sizes leaves something else to be inferred: it writes times as scripts, or
        defines by = what it has not declared."""
        defined = set(self.scope.symbols) | set(self.scope.aliases)
        for line in lines:
            sides = line.statement.sides
            for side in sides:
                if any(_is_time_script(side, at) for at in range(len(side))):
                    return True
            first = sides[0]
            is_bare = len(first) == 1 and first[0].kind in ("name", "word")
            if first and line.statement.signs[:1] == (":=",):
                defined.add(first[0].text)
            elif is_bare and line.statement.signs[:1] == ("=",) and first[0].text not in defined:
                return not line.span.directives
        return False

    def _statements(self, span: Span) -> tuple[list[Line], Trouble | None]:
        self.limits.tick()
        self.reached = span.place
        if any(directive.word == "unchecked" for directive in span.directives):
            return [], None
        try:
            found = statements(span.text, self.document.macros)
        except Trouble as trouble:
            return [], trouble
        except RecursionError:
            return [], too_deep()
        wanted = [each for each in found if each.signs]
        if not wanted and span.directives:
            wanted = found
        return [Line(span, each) for each in wanted], None

    def _parse(self, line: Line) -> None:
        statement = line.statement
        if statement.end - statement.begin > LONGEST:
            size = statement.end - statement.begin
            message = f"the equation is {size:,} characters long; at most {LONGEST:,} are read"
            line.trouble = Trouble("syntax", message, statement.begin)
            return
        try:
            for index, side in enumerate(statement.sides):
                if index and statement.signs[index - 1] in ("in", "sim", "subset"):
                    line.sides.append(Node("set", statement.begin, statement.end, (), side))
                    line.flat.append(line.sides[-1])
                    continue
                if [token.kind for token in side] == ["?"]:
                    line.sides.append(GOAL)
                    line.flat.append(GOAL)
                    continue
                if not side:
                    raise Trouble("syntax", "nothing stands on one side: wanted a term", statement.end)
                line.sides.append(parse(list(side), self.words))
                line.flat.append(parse(list(side), self.words, flat=True))
        except Trouble as trouble:
            line.trouble = trouble
        except RecursionError:
            line.trouble = too_deep()
        if line.trouble is not None:
            line.sides, line.flat = [], []

    # Spans.

    def _span(self, span: Span, lines: list[Line], trouble: Trouble | None) -> None:
        unchecked = next((directive for directive in span.directives if directive.word == "unchecked"), None)
        if unchecked is not None:
            finding = Finding(span.place, "unchecked", span.text.strip(), "", "", unchecked.text)
            if not unchecked.text:
                finding = replace(finding, kind="problem", verdict="syntax", message="`unchecked:` gives no reason")
            self.links.append(Link(finding, span))
            return
        links: list[Link] = []
        if trouble is not None:
            if not _may_relate(span.text) and not span.directives:
                self.mentions += 1
                return
            links.append(_trouble(trouble, span, 0, span.text.strip()))
        for line in lines:
            links += self._line(line)
        self.mentions += not links
        self.links += self._expected(span, links)

    def _line(self, line: Line) -> Iterator[Link]:
        statement, span = line.statement, line.span
        text = " ".join(span.text[statement.begin : statement.end].split())
        if line.trouble is not None:
            if line.trouble.kind == "aside":
                yield _aside(line.trouble, line, text)
            else:
                yield _trouble(line.trouble, span, statement.begin, text, statement.label)
            return
        yield from self._label(line)
        if self.book is not None:
            yield from self._open(line)
        else:
            yield from self._strict(line)

    def _label(self, line: Line) -> Iterator[Link]:
        statement, place = line.statement, str(line.span.place_of(line.statement.begin))
        first = self.scope.labels.setdefault(statement.label, place) if statement.label else ""
        if first and first != place and self.scope.strict:
            message = f"the label {statement.label} stands twice: first at {first}"
            yield _trouble(Trouble("syntax", message, statement.begin), line.span, statement.begin, statement.label)

    def _strict(self, line: Line) -> Iterator[Link]:
        statement, span = line.statement, line.span
        for index, sign in enumerate(statement.signs):
            pair = line.sides[index], line.sides[index + 1]
            begin, text = _extent(span, pair, statement)
            kind = "definition" if sign == ":=" else "claim"
            finding = Finding(span.place_of(begin), kind, text, statement.label)
            link = Link(finding, span, at=begin)
            try:
                if sign not in ("=", ":=", *LOOSELY):
                    yield _aside(Trouble("aside", f"no equation: {said(sign)}"), line, text)
                    continue
                link.loosely = sign if sign in LOOSELY else ""
                if sign == ":=" and index:
                    raise Trouble("syntax", ":= stands only after the first side of an equation", begin)
                if pair[1] is GOAL and index + 1 < len(statement.signs):
                    raise Trouble("syntax", "a goal ends its equation: nothing stands behind `= ?`", begin)
                resolver = Resolver(self.scope, self.survey, self.words, span.text)
                yield self._strict_link(link, pair, resolver, (line.flat[index], line.flat[index + 1]), sign == ":=")
            except Trouble as trouble:
                yield _trouble(trouble, span, begin, text, statement.label, kind)
            except RecursionError:
                yield _trouble(too_deep(), span, begin, text, statement.label, kind)

    def _strict_link(
        self, link: Link, pair: tuple[Node, Node], resolver: Resolver, flat: tuple[Node, Node], defines: bool
    ) -> Link:
        if defines:
            if pair[1] is GOAL:
                raise Trouble("syntax", "a definition of `?`: a goal is written with =", link.at)
            if not self._is_defined_already(resolver, pair[0]):
                link.defines = define(resolver, *pair).name
                return link
            link.restates = True
            link.finding = replace(link.finding, kind="claim")
        link.left, link.right = (None if side is GOAL else resolver.term(side) for side in pair)
        if flat != pair and GOAL not in pair:
            link.other = resolver.term(flat[0]), resolver.term(flat[1])
            if link.other == (link.left, link.right):
                link.other = None
        conform(link, self.scope)
        if GOAL in pair:
            link.finding = replace(link.finding, kind="goal")
        return link

    def _is_defined_already(self, resolver: Resolver, left: Node) -> bool:
        """Whether a left side is a symbol with a definition: to define it again is then to claim that it is this."""
        try:
            term = resolver.term(left)
        except Trouble:
            return False
        return isinstance(term, Name) and self.scope.symbols[term.name].body is not None

    def _open(self, line: Line) -> Iterator[Link]:
        assert self.book is not None
        span, statement = line.span, line.statement
        if GOAL in line.sides[:-1]:
            message = "a goal ends its equation: nothing stands behind `= ?`"
            yield _trouble(Trouble("syntax", message, statement.begin), span, statement.begin, "", statement.label)
            return
        for index, sign in enumerate(statement.signs):
            pair = line.sides[index], line.sides[index + 1]
            begin, text = _extent(span, pair, statement)
            finding = Finding(span.place_of(begin), "claim", text, statement.label)
            link = Link(finding, span, at=begin)
            try:
                if pair[1] is GOAL:
                    link.finding = replace(finding, kind="goal")
                    yield link
                    continue
                self.book.link(link, line, index, sign)
                yield link
            except Trouble as trouble:
                if trouble.kind == "update":
                    yield replace(
                        _aside(trouble, line, text), finding=replace(finding, verdict=ASIDE, message=trouble.message)
                    )
                elif trouble.kind == "aside":
                    yield _aside(trouble, line, text)
                else:
                    yield _trouble(trouble, span, begin, text, statement.label)
            except RecursionError:
                yield _trouble(too_deep(), span, begin, text, statement.label)

    def _expected(self, span: Span, links: list[Link]) -> list[Link]:
        """The links with what `expect` announces: one word for all that are wrong, or a word for each link."""
        for directive in span.directives:
            words, steps, wrong = announcement(directive, self.scope.steps)
            if wrong is None and len(words) not in (1, len(links)):
                wrong = f"`expect` announces {len(words)} verdicts for {len(links)} links"
            if wrong is not None:
                return [*links, problem_link(Problem(directive.place, "syntax", wrong))]
            for link, word in zip(links, words * (len(links) if len(words) == 1 else 1), strict=True):
                link.finding = replace(link.finding, expected=word, steps_wanted=steps)
            if not links:
                links = [problem_link(Problem(directive.place, "syntax", "`expect` follows no equation"))]
        return links


def _is_time_script(tokens: tuple[Token, ...], at: int) -> bool:
    r"""Whether h_t, h_{t-1} or h^{(t)} stands there."""
    if at == 0 or tokens[at - 1].kind == "big" or at + 1 >= len(tokens):
        return False
    opening = {"_": ("{",), "^": ("{", "(", "<(")}.get(tokens[at].kind)
    if opening is None or (tokens[at].kind == "^" and tokens[at + 1].kind != "{"):
        return False
    rest = [token.text for token in tokens[at + 1 : at + 6] if token.kind not in opening]
    return rest[:1] == ["t"]


def _may_relate(text: str) -> bool:
    return any(sign in text for sign in "=<>≈≠≤≥≡→∈≔＝") or any(
        command in text for command in (r"\approx", r"\equiv", r"\in", r"\le", r"\ge", r"\ne", r"\to", r"\doteq")
    )


def conform(link: Link, scope: Scope) -> None:
    """Tell the shapes of both sides; the finding is "shape" if one has none or they differ."""
    assert link.span is not None
    resolver = Resolver(scope, Survey())
    try:
        shapes = [resolver.shape(side) if side else Shape(()) for side in (link.left, link.right)]
        link.finding = replace(link.finding, shapes=(str(shapes[0]), str(shapes[1])))
        if link.left and link.right and not same(*shapes):
            raise Trouble("shape", f"the left side is {shapes[0]}, the right side {shapes[1]}", link.at)
    except Trouble as trouble:
        place = link.span.place_of(trouble.at or link.at)
        link.finding = replace(link.finding, place=place, verdict=trouble.kind, message=trouble.message)


def problem_link(problem: Problem) -> Link:
    """A link that only says what is wrong."""
    return Link(Finding(problem.place, "problem", "", "", problem.kind, problem.message))


def _aside(trouble: Trouble, line: Line, text: str) -> Link:
    """What is read and not judged: it is not about derivatives, unless one stands in it."""
    place = line.span.place_of(line.statement.begin)
    about = any(token.kind in ("partial", "nabla", "d") for side in line.statement.sides for token in side)
    message = f"not judged: {trouble.message}" if about else trouble.message
    finding = Finding(place, "claim", text, line.statement.label, "cannot tell" if about else ASIDE, message)
    return Link(finding, line.span)


def _trouble(trouble: Trouble, span: Span, begin: int, text: str, label: str = "", kind: str = "claim") -> Link:
    place = span.place_of(trouble.at) if trouble.at else span.place_of(begin) if begin else span.place
    return Link(Finding(place, kind, text, label, trouble.kind, trouble.message), span)


def too_deep() -> Trouble:
    """What is said of an equation that the stack does not hold."""
    return Trouble("syntax", "the equation is nested too deeply to be read")


def _extent(span: Span, pair: tuple[Node, Node], statement: Statement) -> tuple[int, str]:
    begin = pair[0].at if pair[0].end else statement.begin
    end = pair[1].end if pair[1].end else statement.end
    return begin, " ".join(span.text[begin:end].split())
