"""What a document leaves unsaid: which equations define, where a name changes its meaning, and every shape.

`=` defines where its left side is a bare symbol at first sight; from then on it claims. A second, different right side
opens a scope, in which the name has its new meaning. What is nowhere defined is given; a loss or an activation that is
nowhere defined is an arbitrary smooth one. Shapes follow by unification.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gradlab.verifier.judge import Judge
from gradlab.verifier.judging import IMMEDIATE, under
from gradlab.verifier.limits import Limits
from gradlab.verifier.meaning import Named, Resolver
from gradlab.verifier.normal import at_time
from gradlab.verifier.parser import Node, parse
from gradlab.verifier.parser import walk as walk_tree
from gradlab.verifier.readings import LAYOUTS, Reading, instance
from gradlab.verifier.report import Finding
from gradlab.verifier.scope import Scope, Symbol
from gradlab.verifier.shapes import Shape, Trouble
from gradlab.verifier.survey import LOSSES, Survey, base_of, flattened, is_update, tokens_of
from gradlab.verifier.terms import (
    Arbitrary,
    Derivative,
    Entry,
    IndexSum,
    Name,
    Negative,
    Number,
    Product,
    Sum,
    Term,
    Time,
    Transpose,
    letters,
    walk,
)
from gradlab.verifier.tokens import Token, read
from gradlab.verifier.unification import Attempt, Equation, infer
from gradlab.verifier.world import Programs

if TYPE_CHECKING:
    from gradlab.verifier.reading import Line, Link

MOST_SCOPES = 12
_ONE_HOT = re.compile(
    r"\$(?P<before>[^$\n=]{1,30})\$[^$.\n]{0,30}\bone[- ]hot\b"
    r"|\bone[- ]hot\b(?:[ -](?:vectors?|targets?|labels?|encoded|encoding|of|the|is|are|given|by)\b)*"
    r" ?\$(?P<behind>[^$\n=]{1,30})\$"
)
READINGS = 2


@dataclass
class Chapter:
    """One scope: its symbols, its claims (the links themselves), the declared sizes of its symbols."""

    scope: Scope
    links: list[Link] = field(default_factory=list)
    declared: dict[str, tuple[str, ...]] = field(default_factory=dict)
    readings: list[Reading] = field(default_factory=list)
    kept: dict[str, Reading] = field(default_factory=dict)
    findings: dict[tuple[int, str], Finding] = field(default_factory=dict)

    def other_readings(self) -> Iterator[str]:
        """The readings of the whole scope beside the first, in words."""
        layouts = [] if "layout" in self.scope.conventions else LAYOUTS[1:]
        yield from (f"derivatives are in {layout} layout" for layout in layouts)
        for reading in self.readings[1:]:
            yield f"vectors are {reading.orientation}"
            yield from (
                f"vectors are {reading.orientation} and derivatives are in {layout} layout" for layout in layouts
            )

    def reading(self, words: str) -> Reading:
        """The reading that words name; always the same one, so that nothing is computed twice."""
        found = self.kept.get(words)
        if found is None:
            found = next((r for r in self.readings[1:] if f"vectors are {r.orientation}" in words), self.readings[0])
            layout = next((layout for layout in LAYOUTS if f"{layout} layout" in words), found.layout)
            found = self.kept[words] = found if layout == found.layout else found.in_layout(layout)
        return found

    def found(self, link: Link, words: str) -> Finding:
        """The finding of a claim under a reading; "" is the first."""
        key = id(link), words
        if key not in self.findings:
            assert link.left is not None
            assert link.right is not None
            change, sides = IMMEDIATE.get(words), (link.left, link.right)
            if change is None:
                self.findings[key] = under(link, self.reading(words), *sides)
            else:
                self.findings[key] = under(link, self.readings[0], change(sides[0]), change(sides[1]))
        return self.findings[key]


class Book:
    """The scopes of a document that is no strict one, filled statement by statement."""

    def __init__(self, scope: Scope, survey: Survey) -> None:
        self.survey = survey
        self.chapters = [Chapter(scope)]
        for name, symbol in scope.symbols.items():
            if symbol.declared:
                self.chapters[0].declared[name] = symbol.space
        self.words: frozenset[str] = frozenset()

    @property
    def chapter(self) -> Chapter:
        return self.chapters[-1]

    def prepare(self, words: frozenset[str], lines: list[Line]) -> None:
        """Take note of the letters that name sizes, before the first statement is resolved."""
        self.words = words
        self.chapter.scope.labels_of_sizes |= self.survey.uppers - self.survey.ends
        for line in lines:
            for sign, side in zip(line.statement.signs, line.statement.sides[1:], strict=True):
                if sign == "in":
                    self.chapter.scope.labels_of_sizes |= set(_dimensions(side) or ())
            if any(node.kind == "derivative" and node.value is True for side in line.sides for node in walk_tree(side)):
                self.chapter.scope.conventions.add("partial")  # where ∂^+ is written, ∂ is total
        self._assume()
        self._believe(lines)

    def _believe(self, lines: list[Line]) -> None:
        """What the prose says right beside a symbol: that it is one-hot."""
        scope = self.chapter.scope
        for span in {id(line.span): line.span for line in lines}.values():
            for match in _ONE_HOT.finditer(span.source.text):
                text = match["before"] or match["behind"]
                try:
                    named = Resolver(scope, self.survey, self.words, text).named(
                        parse(list(read(text, {}).tokens), self.words)
                    )
                except Trouble:
                    continue
                name = named.name
                timed = named.time is not None or (name in self.survey.sequences and name not in self.survey.bare)
                symbol = scope.symbols.setdefault(name, Symbol(name, text, Shape(()), timed=timed))
                symbol.values = symbol.values or "one-hot"
            break

    def _assume(self) -> None:
        """What the front matter says of symbols."""
        scope = self.chapter.scope
        for text, sizes, values in scope.assumed:
            name, timed = text, False
            try:
                node = parse(list(read(text, {}).tokens), self.words)
                head = node.children[0] if node.kind == "call" else node
                named = Resolver(scope, self.survey, self.words, text).named(head)
                name, timed = named.name, named.time is not None or node.kind == "call"
                if timed:
                    name = self.survey.step_name(name)
            except Trouble:
                pass  # it is spelled in no way that the document could use, and so is nothing there
            timed = timed or (name in self.survey.sequences and name not in self.survey.bare)
            symbol = scope.symbols.setdefault(name, Symbol(name, text, Shape(()), timed=timed))
            symbol.values = values or symbol.values
            if sizes is not None:
                symbol.declared = True
                symbol.is_scalar = not sizes
                self.chapter.declared[name] = sizes

    # One relation.

    def link(self, link: Link, line: Line, index: int, sign: str) -> None:
        """Resolve one relation of a statement: a declaration, a definition or a claim.

        Raises:
            Trouble: it has no meaning; kind "aside": it is not about derivatives.
        """
        assert link.span is not None
        link.scope = len(self.chapters) - 1
        resolver = Resolver(self.chapter.scope, self.survey, self.words, link.span.text)
        left, right = line.sides[index], line.sides[index + 1]
        if sign == "in":
            self._declare(link, resolver, left, line.statement.sides[index + 1])
            return
        if sign not in ("=", ":=", *LOOSELY):
            raise Trouble("aside", f"no equation: {said(sign)}")
        if sign == "=" and self._is_distribution(link, resolver, left, right):
            return
        if index == 0 and is_update(line.sides):
            raise Trouble("update", "an update of a weight, and no equation")
        link.loosely = sign if sign in LOOSELY else ""
        link.conditions = tuple(self._condition(tokens, resolver) for tokens in line.statement.conditions)
        if index == 0 and not link.loosely and self._defined(link, resolver, left, right, sign, len(line.sides)):
            return
        self._claim(link, resolver, left, right, line.flat[index : index + 2])

    def _is_distribution(self, link: Link, resolver: Resolver, left: Node, right: Node) -> bool:
        r"""\sum_k y_k = 1, or \mathbf{1}^T y = 1, of a given y: it says what y is."""
        if right.kind != "number" or right.value != 1:
            return False
        term = resolver.term(left)
        inner: Term | None = None
        if isinstance(term, IndexSum) and isinstance(term.term, Entry) and term.term.indices == (Time.of(term.letter),):
            inner = term.term.term
        elif isinstance(term, Product) and isinstance(term.left, Transpose) and self._is_ones(resolver, term.left.term):
            inner = term.right
        elif isinstance(term, Product) and self._is_ones(resolver, term.right):
            inner = term.left.term if isinstance(term.left, Transpose) else term.left
        if not isinstance(inner, Name) or resolver.scope.symbols[inner.name].body is not None:
            return False
        resolver.scope.symbols[inner.name].values = resolver.scope.symbols[inner.name].values or "probabilities"
        link.finding = replace(link.finding, kind="declaration", message="its entries add up to 1")
        return True

    def _is_ones(self, resolver: Resolver, term: Term) -> bool:
        return isinstance(term, Name) and resolver.scope.symbols[term.name].values == "ones"

    def _declare(self, link: Link, resolver: Resolver, left: Node, tokens: tuple[Token, ...]) -> None:
        sizes = _dimensions(tokens)
        if sizes is None:
            raise Trouble("aside", "no equation: ∈ says where something is from")
        link.finding = replace(link.finding, kind="declaration", message=" x ".join(sizes) or "a number")
        if base_of(left) == "" or left.kind == "call":
            return
        named = resolver.named(left)
        if named.after or named.indices:
            return
        name = resolver.scope.aliases.get(named.name, named.name)
        term = resolver._named(named)
        if not isinstance(term, Name):
            return
        name = term.name
        before = self.chapter.declared.get(name)
        if before is not None and before != sizes and len(self.chapters) < MOST_SCOPES:
            self._open_scope(name)
        self.chapter.declared.setdefault(name, sizes)
        link.scope = len(self.chapters) - 1

    def _condition(self, tokens: tuple[Token, ...], resolver: Resolver) -> tuple[Time, str, Time] | None:
        """A condition on letters, as two times and a sign; None if it is none that is understood."""
        place = next((index for index, token in enumerate(tokens) if token.kind == "rel"), None)
        if place is None:
            return None
        letters = self.survey.times | self.survey.indices
        left, right = (self.survey.linear(side, letters) for side in (tokens[:place], tokens[place + 1 :]))
        if left is None or right is None or tokens[place].text not in ("=", "!=", "<", ">", "<=", ">="):
            return None
        return left, tokens[place].text, right

    def _claim(self, link: Link, resolver: Resolver, left: Node, right: Node, flat: list[Node]) -> None:
        link.left, link.right = resolver.term(left), resolver.term(right)
        scope = resolver.scope
        if isinstance(link.left, Derivative) and isinstance(link.right, Name):
            symbol = scope.symbols[link.right.name]
            fresh = symbol.body is None and not self._is_used(link.right.name)
            if fresh and link.right.time in (None, Time.of("t")) and symbol.values == "" and not symbol.declared:
                self._set(symbol, link.left, link.right.time)  # ∂L/∂z = δ defines δ
                link.finding = replace(link.finding, kind="definition")
                link.defines, link.left, link.right = symbol.name, None, None
                return
        if tuple(flat) != (left, right):
            other = resolver.term(flat[0]), resolver.term(flat[1])
            link.other = other if other != (link.left, link.right) else None
        self.chapter.links.append(link)

    def _is_used(self, name: str) -> bool:
        """Whether a name stands in a definition or a claim of the scope so far."""
        chapter = self.chapter
        bodies = [s.body for s in chapter.scope.symbols.values() if s.body is not None]
        sides = [side for link in chapter.links for side in (link.left, link.right) if side is not None]
        return any(isinstance(part, Name) and part.name == name for term in (*bodies, *sides) for part in walk(term))

    # Definitions.

    def _defined(self, link: Link, resolver: Resolver, left: Node, right: Node, sign: str, sides: int) -> bool:
        """Whether the statement defines its left side; then it is done."""
        head = left.children[0] if left.kind == "call" else left
        if not base_of(left) or head.kind not in ("name", "scripts"):
            return False
        named = resolver.named(head)
        if named.after or named.primes:
            return False
        if left.kind == "call":
            time = self.survey.linear(tokens_of(left.children[1])) if len(left.children) == 2 else None
            if time is None or named.name not in self.survey.sequences or named.time is not None:
                return self._defined_function(link, resolver, named, left, right, sign)
            named.time = time
            named.name = self.survey.step_name(named.name)
        return self._defined_symbol(link, resolver, named, right, sign)

    def _defined_symbol(self, link: Link, resolver: Resolver, named: Named, right: Node, sign: str) -> bool:
        scope = resolver.scope
        name = scope.aliases.get(named.name, named.name)
        if named.indices and any(len(i.letters) != 1 or i != Time.of(i.letters[0][0]) for i in named.indices):
            return False
        if named.time == Time.of("T") and name not in scope.symbols and "l" in self.survey.times:
            return self._defined_at_last(link, resolver, named, right)
        if named.time is not None and not named.time.letters and not named.indices:
            return self._starts(link, resolver, named, right)
        if named.time is not None and (len(named.time.letters) != 1 or named.time.letters[0][1] != 1):
            return False
        is_letter = name in self.survey.times | self.survey.indices
        if is_letter and not named.indices and named.time is None:
            raise Trouble("aside", "a letter is given a value")
        known = scope.symbols.get(name)
        if known is not None and known.kind == "function":
            if named.time is None:
                return False
            name = named.name = f"{name}(t)"  # g_t beside a function g(w)
            known = scope.symbols.get(name)
        was_known = name in scope.symbols
        body = resolver.term(right)
        if isinstance(body, (Number, Negative)) and not any(isinstance(p, (Name, Derivative)) for p in walk(body)):
            if named.time is None and not named.indices and (known is None or known.body is None):
                if not was_known:
                    scope.symbols.pop(name, None)
                raise Trouble("aside", "an example in numbers")
            return False
        own = Name(name, named.time)
        if self._reads_itself(scope, own, body):
            return False
        free = letters(body) - {"T"} - {letter for letter, _ in (named.time.letters if named.time else ())}
        free -= {letter for index in named.indices for letter, _ in index.letters}
        if free:
            # The loss of one sample, written without its letter, has the letter all the same.
            if len(free) > 1 or not free <= self.survey.times or named.time is not None or named.indices:
                return False
            named.time = Time.of(free.pop())
        body = self._at_t(body, named.time)
        term = resolver._named(named)
        if not isinstance(term, Name):
            return False
        name = term.name
        symbol = scope.symbols[name]
        if symbol.body is None:
            self._set(symbol, body, named.time, named.indices)
        elif symbol.body == body:
            link.left, link.right = body, body
            self.chapter.links.append(link)
            return True
        elif any(isinstance(part, Arbitrary) for part in walk(symbol.body)) and not named.indices:
            self._set(symbol, body, named.time)  # L = f(h, y), and later what f is
        elif self._redefines(scope, symbol, body, named, sign) and len(self.chapters) < MOST_SCOPES:
            link.left, link.right = Name(name, Time.of("t") if named.time else None, symbol.text), body
            link.restates = True
            self.chapter.links.append(link)
            self._open_scope(name)
            self._set(self.chapter.scope.symbols[name], body, named.time, named.indices)
            return True
        else:
            return False
        link.finding = replace(link.finding, kind="definition")
        link.defines = name
        return True

    def _starts(self, link: Link, resolver: Resolver, named: Named, right: Node) -> bool:
        """h_0 = c: the value before the first step, where nothing else has given it."""
        assert named.time is not None
        step = named.time.constant
        body = resolver.term(right)
        term = resolver._named(named)
        if (
            not isinstance(term, Name)
            or step >= resolver.scope.first
            or step in resolver.scope.symbols[term.name].starts
        ):
            return False
        if any(isinstance(part, Derivative) for part in walk(body)) or letters(body) - {"T"}:
            return False
        symbol = resolver.scope.symbols[term.name]
        symbol.starts = {**symbol.starts, step: body}
        link.finding = replace(link.finding, kind="definition")
        link.defines = term.name
        return True

    def _defined_at_last(self, link: Link, resolver: Resolver, named: Named, right: Node) -> bool:
        """z^L = W^L a^{L-1} + b^L, where no other layer is defined: it says how each layer is computed."""
        body = at_time(resolver.term(right), "T", Time.of("t"))
        term = resolver._named(replace(named, time=Time.of("t")))
        if not isinstance(term, Name) or self._reads_itself(resolver.scope, term, body):
            return False
        self._set(resolver.scope.symbols[term.name], body, Time.of("t"))
        link.finding = replace(link.finding, kind="definition")
        link.defines = term.name
        return True

    def _redefines(self, scope: Scope, symbol: Symbol, body: Term, named: Named, sign: str) -> bool:
        derived = any(self._is_derived(scope, term) for term in (body, symbol.body) if term is not None)
        return (sign == ":=" or not derived) and not named.indices and not symbol.indices

    def _is_derived(self, scope: Scope, term: Term) -> bool:
        for part in walk(term):
            if isinstance(part, Derivative):
                return True
            if isinstance(part, Name) and scope.symbols[part.name].body is not None:
                inner = scope.symbols[part.name].body
                if any(isinstance(each, Derivative) for each in walk(inner) if inner is not None):  # type: ignore[arg-type]
                    return True
        return False

    def _at_t(self, body: Term, time: Time | None) -> Term:
        """A body written for the step k + 1, say, as one for the step t."""
        if time is None or time == Time.of("t"):
            return body
        letter = time.letters[0][0]
        return at_time(body, letter, Time.of("t", -time.constant))

    def _set(self, symbol: Symbol, body: Term, time: Time | None, indices: tuple[Time, ...] = ()) -> None:
        symbol.body, symbol.kind = body, "forward"
        symbol.timed = time is not None
        symbol.shift = time.constant if time is not None else 0
        symbol.indices = tuple(index.letters[0][0] for index in indices)

    def _reads_itself(self, scope: Scope, own: Name, body: Term) -> bool:
        """Whether a body needs the symbol that it defines at the very step, by itself or through other definitions."""
        letter = own.time.letters[0][0] if own.time is not None else ""
        offset = own.time.constant if own.time is not None else 0
        todo = [(part, offset, letter) for part in walk(body) if isinstance(part, Name)]
        done: set[str] = set()
        while todo:
            part, shift, name_of_letter = todo.pop()
            if part.time is not None and part.time != Time.of(name_of_letter, shift):
                continue
            if part.name == own.name:
                return True
            symbol = scope.symbols[part.name]
            if part.name in done or symbol.body is None or symbol.kind == "function":
                continue
            done.add(part.name)
            todo += [(each, 0, "t") for each in walk(symbol.body) if isinstance(each, Name)]
        return False

    def _defined_function(
        self, link: Link, resolver: Resolver, named: Named, left: Node, right: Node, sign: str
    ) -> bool:
        arguments = left.children[1:]
        scope = resolver.scope
        plain = all(base_of(each) and each.kind in ("name", "scripts") for each in arguments)
        if not plain or (named.name == "sigma" and sign != ":=" and "sigma" not in scope.symbols):
            return False
        if named.name in scope.symbols and scope.symbols[named.name].body is not None:
            return False
        is_loss = base_of(left).split("_")[0] in LOSSES
        is_symbol = named.name in self.survey.bare or is_loss or len(arguments) > 1
        if not is_symbol and len(arguments) == 1:
            inner = resolver.named(arguments[0])
            parameter = f"({inner.name})"
            resolver.bound[inner.name] = Name(parameter)
            body = resolver.term(right)
            resolver.bound.pop(inner.name)
            if any(part == Name(named.name) for part in walk(body)):
                return False
            scope.symbols[named.name] = Symbol(
                named.name, named.text, Shape(()), "function", body=body, parameter=parameter
            )
        else:
            parameters = [resolver.term(each) for each in arguments]
            body = resolver.term(right)
            if isinstance(body, Number) or not all(isinstance(each, Name) for each in parameters):
                return False
            term = resolver._named(named)
            if not isinstance(term, Name) or self._reads_itself(scope, term, body):
                return False
            symbol = scope.symbols[named.name]
            self._set(symbol, self._at_t(body, term.time), term.time)
            symbol.parameters = tuple(each for each in parameters if isinstance(each, Name))
        link.finding = replace(link.finding, kind="definition")
        link.defines = named.name
        return True

    def _open_scope(self, name: str) -> None:
        """A new scope, in which a name has no meaning yet; all others keep theirs."""
        old = self.chapter
        scope = replace(old.scope, symbols={each: replace(known) for each, known in old.scope.symbols.items()})
        symbol = old.scope.symbols[name]
        scope.symbols[name] = Symbol(name, symbol.text, Shape(()), timed=symbol.timed)
        declared = {other: sizes for other, sizes in old.declared.items() if other != name}
        self.chapters.append(Chapter(scope, [], declared))

    # The end.

    def settled(self, limits: Limits) -> tuple[list[Scope], list[Judge]]:
        """The scopes with every shape, and a judge of each; the `readings` of each are in the order of preference."""
        for chapter in self.chapters:
            _complete(chapter, self.survey)
            chapter.readings = _readings(chapter, limits)
        first = [chapter.readings[0] for chapter in self.chapters]
        return [reading.scope for reading in first], [reading.judge for reading in first]


LOOSELY = ("~", "cong", "iff")
"""Signs that say less than =: what they relate is compared all the same, but is not false where it differs."""


def said(sign: str) -> str:
    """What a relation that is no equation says."""
    return _SAID.get(sign, f"{sign} compares")


_SAID = {
    "~": "≈ says that two things are nearly equal", "cong": "≅ says that two things are alike", "iff": "⇔ joins claims",
    "implies": "⇒ joins claims", "to": "→ says where something tends", "prop": "∝ leaves a factor open",
    "in": "∈ says where something is from", "sim": "~ says how something is distributed",
}  # fmt: skip


def _dimensions(tokens: tuple[Token, ...]) -> tuple[str, ...] | None:
    r"""The sizes in \mathbb{R}^{h \times d}; None if tokens write no such set."""
    kept = [token for token in tokens if token.kind not in ("{", "}", "quad")]
    if not kept or kept[0].text not in ("R",) or kept[0].kind not in ("set", "name"):
        return None
    if len(kept) == 1:
        return ()
    if kept[1].kind != "^":
        return None
    found: list[list[Token]] = [[]]
    for token in kept[2:]:
        if (token.kind == "op" and token.text == "x") or token.kind == ",":
            found.append([])
        elif token.kind not in ("(", ")"):
            found[-1].append(token)
    labels = tuple(flattened(part) + "".join(t.text for t in part if t.kind == "op") for part in found if part)
    return labels if len(labels) <= 2 else None


def _complete(chapter: Chapter, survey: Survey) -> None:
    """Say of each symbol what it is: derived, arbitrary, the total of its steps; and where its past is given."""
    scope = chapter.scope
    sides = [side for link in chapter.links for side in (link.left, link.right) if side is not None]
    bodies = [s.body for s in scope.symbols.values() if s.body is not None]
    terms = [*sides, *bodies]
    differentiated = {
        of.name for term in terms for d in walk(term) if isinstance(d, Derivative)
        if isinstance(of := d.of.term if isinstance(d.of, Entry) else d.of, Name)
    }  # fmt: skip
    by = {d.by.name for term in terms for d in walk(term) if isinstance(d, Derivative)}
    _mark_derived(scope)
    for name, symbol in list(scope.symbols.items()):
        if symbol.body is not None or symbol.kind != "given" or symbol.values:
            continue
        if f"{name}(t)" in scope.symbols and name.split("_")[0] in LOSSES and not symbol.timed:
            step = Name(f"{name}(t)", Time.of("t"), scope.symbols[f"{name}(t)"].text)
            symbol.body, symbol.kind = Sum("t", Time(scope.first), scope.last, step, "t"), "forward"
    for name, symbol in list(scope.symbols.items()):
        is_loss = name.split("_")[0].split("(")[0] in LOSSES
        unknown = symbol.body is None and symbol.kind == "given" and not symbol.values and not symbol.declared
        if unknown and name in differentiated and (is_loss or name not in by):
            arguments = _sinks(scope, name, by)
            if arguments:
                everywhere = not symbol.timed and any(argument.time is not None for argument in arguments)
                symbol.body, symbol.kind = Arbitrary(name, arguments, everywhere), "forward"
                symbol.is_scalar = True
                scope.arbitrary.add(symbol.text)
    _mark_derived(scope)
    for symbol in scope.symbols.values():
        for part in walk(symbol.body) if symbol.body is not None and symbol.kind == "forward" else ():
            if isinstance(part, Name) and part.time is not None and _looks_ahead(part.time) and symbol.shift <= 0:
                scope.symbols[part.name].ahead = scope.symbols[part.name].kind in ("forward", "given")
    for term in (*sides, *(s.body for s in scope.symbols.values() if s.body is not None)):
        for part in walk(term):
            if isinstance(part, Name) and part.time is not None:
                early = not part.time.letters and part.time.constant < scope.first
                if part.time.constant < 0 or early:
                    scope.symbols[part.name].before = set(range(scope.first - 4, scope.first))


def _mark_derived(scope: Scope) -> None:
    """The kind of each defined symbol: derived if a derivative stands in its definition, or in one that it uses."""
    changed = True
    while changed:
        changed = False
        for symbol in scope.symbols.values():
            if symbol.kind != "forward" or symbol.body is None:
                continue
            for part in walk(symbol.body):
                inner = scope.symbols.get(part.name) if isinstance(part, Name) else None
                if isinstance(part, Derivative) or (inner is not None and inner.kind == "derivative"):
                    symbol.kind, changed = "derivative", True
                    break


def _sinks(scope: Scope, loss: str, by: set[str]) -> tuple[Name, ...]:
    """What an undefined loss depends on: the outputs, that is, what is computed and read by nothing else."""
    forward = {n: s for n, s in scope.symbols.items() if s.kind == "forward" and s.body is not None}
    dependent = _dependents(forward, loss)
    read = {
        part.name for name, symbol in forward.items() if name not in dependent and symbol.body is not None
        for part in walk(symbol.body) if isinstance(part, Name) and part.name != name and not _looks_back(part)
    }  # fmt: skip
    sinks = [n for n, s in forward.items() if n not in read and n not in dependent and not s.values and _computes(s)]
    if not sinks:
        sinks = [name for name in by if name in scope.symbols and name not in dependent and name != loss]
    timed = scope.symbols[loss].timed
    found = []
    for name in sinks:
        symbol = scope.symbols[name]
        if symbol.timed or not timed:
            found.append(Name(name, Time.of("t") if symbol.timed else None, symbol.text))
    return tuple(found)


def _computes(symbol: Symbol) -> bool:
    assert symbol.body is not None
    return any(isinstance(part, Name) for part in walk(symbol.body))


def _looks_ahead(time: Time) -> bool:
    return time.constant > 0 and time.letters == (("t", 1),)


def _looks_back(part: Name) -> bool:
    return part.time is not None and part.time.constant < 0


def _dependents(forward: dict[str, Symbol], loss: str) -> set[str]:
    found = {loss}
    changed = True
    while changed:
        changed = False
        for name, symbol in forward.items():
            if name not in found and symbol.body is not None:
                inner = {part.name for part in walk(symbol.body) if isinstance(part, Name)}
                if inner & found:
                    found.add(name)
                    changed = True
    return found


def _equations(chapter: Chapter) -> Iterator[Equation]:
    scope = chapter.scope
    for name, sizes in chapter.declared.items():
        yield Equation(None, None, 5.0, name=name, sizes=sizes)
    for name, symbol in scope.symbols.items():
        if symbol.body is None or symbol.kind == "function":
            continue
        left: Term = Name(name, Time.of("t") if symbol.timed else None)
        if symbol.indices:
            left = Entry(left, tuple(Time.of(letter) for letter in symbol.indices))
        yield Equation(left, symbol.body, 3.0, symbol.indices)
        for step, start in symbol.starts.items():
            if not isinstance(start, Number):
                yield Equation(Name(name, Time(step)), start, 3.0)
    for link in chapter.links:
        if link.left is not None and link.right is not None:
            yield Equation(link.left, link.right, 1.0)


def _readings(chapter: Chapter, limits: Limits) -> list[Reading]:
    """The scope under each hypothesis on shapes that fits (nearly) as well as the best."""
    scope = chapter.scope
    declared = {name: "S" for name, symbol in scope.symbols.items() if symbol.is_scalar or symbol.kind == "function"}
    for name, sizes in chapter.declared.items():
        if not sizes or sizes == ("1",):
            declared[name] = "S"
        elif len(sizes) == 2 and "1" not in sizes:
            declared[name] = "M"
        elif len(sizes) == 2:
            declared[name] = "R" if sizes[0] == "1" else "C"
    equations = list(_equations(chapter))
    attempts = infer(scope, equations, declared, limits)
    best = attempts[0]
    kept: list[Attempt] = []
    for attempt in attempts:
        fits = attempt.rank >= best.rank - 0.5 and attempt.founded == best.founded
        if fits and all(attempt.kinds != other.kinds for other in kept):
            kept.append(attempt)
    sides = [side for link in chapter.links for side in (link.left, link.right) if side is not None]
    return [
        Reading(orientation, *_instances(instance(scope, attempt), sides, limits))
        for orientation, attempt in zip(_words(kept), kept[:READINGS], strict=False)
    ]


def _words(attempts: list[Attempt]) -> list[str]:
    counts = [[list(attempt.kinds.values()).count(kind) for kind in "CRS"] for attempt in attempts]
    return [("columns", "rows", "scalars")[count.index(max(count))] for count in counts]


def _instances(scope: Scope, sides: list[Term], limits: Limits) -> tuple[Scope, Judge]:
    worlds = (scope, scope.elsewhere())
    return scope, Judge(*(Programs(each, sides, limits) for each in worlds))
