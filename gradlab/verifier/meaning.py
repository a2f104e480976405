"""From syntax trees to terms: which symbol each name is, at which time or index, and what each product means.

`name(t + 1)` is a time where the name is indexed in time, an application where it is a function, otherwise a product.
In a strict scope every symbol is declared or defined; elsewhere a name that is nowhere defined is given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from gradlab.verifier.parser import Node, parse, walk
from gradlab.verifier.scope import Scope, Symbol
from gradlab.verifier.shapes import Shape, Trouble, shape_of
from gradlab.verifier.survey import LISTED, Survey, base_of, flattened, is_index, items, tokens_of
from gradlab.verifier.terms import (
    Add,
    Apply,
    Arbitrary,
    Blocks,
    Count,
    Derivative,
    Diagonal,
    Elementwise,
    ElementwisePower,
    Entry,
    Function,
    IndexSum,
    Indicator,
    Name,
    Negative,
    Number,
    Ones,
    Outer,
    Power,
    PowerBy,
    Product,
    ProductOver,
    Quotient,
    SquaredNorm,
    Subtract,
    Sum,
    Term,
    Time,
    Transpose,
    replaced,
)
from gradlab.verifier.terms import walk as walk_term
from gradlab.verifier.tokens import Token

HIGHEST_POWER = 64
LARGEST_TERM = 20_000
ELEMENTWISE = frozenset("sigma sigmoid tanh exp log sin cos tan sinh cosh sqrt relu softplus arctan sech".split())
ASIDE = frozenset("argmax argmin lim Pr var cov KL sup inf arg rank erf onehot".split())
_SIGNS = {"x": r"\times", ".": r"\cdot", "*": "*", "": ""}
_ACTIVATIONS = frozenset("phi varphi f g psi varsigma rho s h a sigma theta F G Phi Psi act activation".split())


@dataclass
class Named:
    """What a name with its scripts says. after: what is done to it, such as ("transpose", …), in order."""

    name: str
    text: str
    at: int
    time: Time | None = None
    indices: tuple[Time, ...] = ()
    after: list[tuple[str, tuple[Token, ...]]] = field(default_factory=list)
    primes: int = 0
    base: str = ""
    stem: str = ""

    @property
    def plain(self) -> str:
        """How the name is spelled without its time, its indices and its powers."""
        label = self.name.removeprefix(self.stem) if self.stem and self.name.startswith(self.stem) else ""
        if not self.base or (self.time is None and not self.indices):
            return self.text
        label = label.removesuffix("(t)")
        mark, rest = label[:1], label[1:]
        return self.base + (f"{mark}{{{rest}}}" if rest else "")


class Resolver:
    """Turns the syntax trees of one statement into terms. text: that of the span, in which positions count."""

    def __init__(self, scope: Scope, survey: Survey, words: frozenset[str] = frozenset(), text: str = "") -> None:
        self.scope, self.survey, self.words, self.text = scope, survey, words, text
        self.strict = scope.strict
        self.letters = ["t", "T"]
        self.bound: dict[str, Term] = {}

    def term(self, node: Node) -> Term:
        """The term that a syntax tree means.

        Raises:
            Trouble: an undefined symbol, a time where none can be or none where one must be, a range that is no range;
                kind "aside": what is not about derivatives.
        """
        prefix, term = self._factor(node)
        return term if prefix is None else Product(prefix, term, at=prefix.at)

    def shape(self, term: Term) -> Shape:
        return shape_of(term, self.scope)

    def _factor(self, node: Node) -> tuple[Term | None, Term]:
        r"""A tree's term, split in two where an application turns out to be a product: `W(a + b)^T` is W (a + b)^T."""
        if node.kind == "call":
            return self._call(node)
        if node.kind == "scripts" and node.children[0].kind == "call":
            prefix, inner = self._factor(node.children[0])
            return prefix, self._with_scripts(node, inner)
        return None, getattr(self, f"_{node.kind}")(node)

    def spelled(self, node: Node) -> str:
        return " ".join(self.text[node.at : node.end].split()) or base_of(node)

    # Numbers, sums and products.

    def _number(self, node: Node) -> Term:
        return Number(node.value, at=node.at)

    def _group(self, node: Node) -> Term:
        return self.term(node.children[0])

    def _neg(self, node: Node) -> Term:
        return Negative(self.term(node.children[0]), at=node.at)

    def _add(self, node: Node) -> Term:
        return self._binary(node, Add)

    def _sub(self, node: Node) -> Term:
        return self._binary(node, Subtract)

    def _mul(self, node: Node) -> Term:
        sign = node.value
        one = node.children[0].kind == "ones" or (node.children[0].kind == "number" and node.children[0].value == 1)
        if sign == "" and one and node.children[1].kind == "indicator":
            return self._indicator(node.children[1])
        if sign == "o" or (sign == "*" and not self.strict and self.scope.product == "elementwise"):
            return self._binary(node, Elementwise)
        if sign == "kron":
            return self._binary(node, Outer)
        if sign == "" and self._is_default_time(node.children[1]):
            return self.term(node.children[0])  # \sigma(net)(t) in an old notebook: what is inside is at t already
        return self._binary(node, lambda left, right, at: Product(left, right, _SIGNS[sign], at=at))

    def _is_default_time(self, node: Node) -> bool:
        when = self.time(node) if node.kind == "group" and self.scope.default_time is not None else None
        return when is not None and bool(when.letters) and when == self.scope.default_time

    def _binary(self, node: Node, make: Callable[..., Term]) -> Term:
        left = self.term(node.children[0])
        prefix, right = self._factor(node.children[-1])
        if prefix is not None and make not in (Add, Subtract):
            return Product(make(left, prefix, at=left.at), right, at=left.at)
        right = right if prefix is None else Product(prefix, right, at=prefix.at)
        return make(left, right, at=left.at)

    def _div(self, node: Node) -> Term:
        over, under = self.term(node.children[0]), self.term(node.children[1])
        if isinstance(under, Number) and under.value == 0:
            raise Trouble("syntax", "a division by 0", under.at)
        if isinstance(over, Number) and isinstance(under, Number):
            return Number(over.value / under.value, at=node.at)
        return Quotient(over, under, at=node.at)

    def _sqrt(self, node: Node) -> Term:
        return Apply("sqrt", self.term(node.children[0]), at=node.at)

    def _norm(self, node: Node) -> Term:
        inner = self.term(node.children[0])
        if node.value == "|":
            return Apply("abs", inner, at=node.at)
        return Apply("sqrt", SquaredNorm(inner, at=node.at), at=node.at)

    def _ones(self, node: Node) -> Term:
        return Ones(at=node.at) if self.strict else self._pseudo("ones", node.at)

    def _pseudo(self, values: str, at: int) -> Term:
        """A symbol of its own for an identity matrix or a vector of ones, whose size the equation tells."""
        name = f"({values} {len(self.scope.symbols)})"
        text = "I" if values == "identity" else r"\mathbf{1}"
        self.scope.symbols[name] = Symbol(name, text, Shape(()), values=values)
        return Name(name, None, text, at=at)

    def _list(self, node: Node) -> Term:
        if node.value != "[":
            raise Trouble("aside", "a tuple", node.at)
        return Blocks((tuple(self.term(child) for child in node.children),), True, at=node.at)

    def _matrix(self, node: Node) -> Term:
        rows = [list(row.children) for row in node.children]
        if any(cell.kind == "dots" for row in rows for cell in row):
            return self._by_pattern(node, rows)
        terms = tuple(tuple(self.term(cell) for cell in row) for row in rows)
        return Blocks(terms, len(terms) > 1 and all(len(row) == 1 for row in terms), at=node.at)

    def _by_pattern(self, node: Node, rows: list[list[Node]]) -> Term:
        r"""A vector or a matrix with dots whose first and last entries say what it is: (x_1, …, x_n) is x."""
        corner = rows[0][0]
        base = base_of(corner)
        last = rows[-1][-1]
        if base and base_of(last) == base and all(c.kind in ("scripts", "dots") for row in rows for c in row):
            named = self.named(corner)
            found = self._named(Named(named.name.partition("_")[0], base, node.at))
            flat = len(rows) == 1
            return Transpose(found, at=node.at) if flat and len(rows[0]) > 1 else found
        raise Trouble("aside", "a matrix with dots", node.at)

    def _cases(self, node: Node) -> Term:
        """A value for each condition on indices or times, as a sum of indicators."""
        found: Term | None = None
        rest: Term = Number(Fraction(1), at=node.at)
        for row in node.children:
            value = self.term(row.children[0])
            if len(row.children) > 1:
                holds: Term = self._indicator(row.children[1])
                rest = Product(rest, Subtract(Number(Fraction(1)), holds), at=node.at)
            else:
                holds = rest
            part = Product(holds, value, at=node.at)
            found = part if found is None else Add(found, part, at=node.at)
        assert found is not None
        return found

    def _dots(self, node: Node) -> Term:
        raise Trouble("aside", "dots that leave something out", node.at)

    def _set(self, node: Node) -> Term:
        raise Trouble("aside", f"the set or the distribution {node.value}", node.at)

    def _text(self, node: Node) -> Term:
        raise Trouble("aside", "words", node.at)

    def _at(self, node: Node) -> Term:
        raise Trouble("aside", "a value at one point", node.at)

    def _relation(self, node: Node) -> Term:
        raise Trouble("aside", "a relation within a term", node.at)

    def _operator(self, node: Node) -> Term:
        raise Trouble("syntax", "∂/∂x without what is differentiated", node.at)

    def _indicator(self, node: Node) -> Term:
        left, right = (self._index(child) for child in node.children)
        if left is None or right is None or node.value not in ("=", "!=", "<", ">", "<=", ">="):
            raise Trouble("aside", "an indicator of what is no index", node.at)
        return Indicator(left, node.value, right, at=node.at)

    def _index(self, node: Node) -> Time | None:
        return self.survey.linear(tokens_of(node), self.survey.times | self.survey.indices)

    # Functions.

    def _fn(self, node: Node) -> Term:
        name, primes, power, below = node.value
        if name in ASIDE or (name in ("max", "min") and len(node.children) < 2):
            raise Trouble("aside", f"{name}", node.at)
        if not node.children:
            raise Trouble("undefined", f"{name} is a function: write {name}(z)", node.at)
        arguments = [self.term(child) for child in node.children]
        found = self._function(name, primes, arguments, node)
        for item in items(below):
            if is_index(item, self.survey.indices):
                found = Entry(found, tuple(self._indices(item)), at=node.at)
            elif name == "log" and item[0].kind == "number":
                raise Trouble("aside", "a logarithm to another base", node.at)
        return self._raised(found, power, node, elementwise=True) if power else found

    def _function(self, name: str, primes: int, arguments: list[Term], node: Node) -> Term:
        first = arguments[0]
        if name in ELEMENTWISE:
            if len(arguments) > 1 or primes > 1:
                raise Trouble("syntax", f"{name} of {len(arguments)} arguments, {primes} times primed", node.at)
            return Apply(name, first, primes == 1, at=node.at)
        if name in ("max", "min"):
            return self._extreme(name, arguments, node)
        if len(arguments) > 1 and name == "concat":
            return Blocks((tuple(arguments),), True, at=node.at)
        if len(arguments) > 1 and name == "softmax":
            raise Trouble("aside", "a softmax of several arguments", node.at)
        if name == "diag":
            return Diagonal(first, at=node.at)
        if primes:
            raise Trouble("undefined", f"{name}' is the derivative of no function of each entry", node.at)
        if name in ("sign", "abs"):
            return Apply(name, first, at=node.at)
        known = ("softmax", "logsumexp", "sum", "mean", "trace", "det", "vec")
        if name not in known:
            raise Trouble("aside", name, node.at)
        return Function(name, first, at=node.at)

    def _extreme(self, name: str, arguments: list[Term], node: Node) -> Term:
        if len(arguments) != 2:
            raise Trouble("aside", name, node.at)
        one, other = arguments
        if name == "max" and isinstance(one, Number) and one.value == 0:
            return Apply("relu", other, at=node.at)
        if name == "max" and isinstance(other, Number) and other.value == 0:
            return Apply("relu", one, at=node.at)
        difference = Subtract(one, other, at=node.at)
        if name == "max":
            return Add(other, Apply("relu", difference, at=node.at), at=node.at)
        return Subtract(one, Apply("relu", difference, at=node.at), at=node.at)

    # Names.

    def named(self, node: Node, called: bool = False) -> Named:
        """What a name says with its scripts, its call left out; called: whether arguments follow it."""
        base = node.children[0] if node.kind == "scripts" else node
        if base.kind != "name":
            raise Trouble("syntax", "what stands here is no name: wanted one such as W or h_t", node.at)
        text, style = base.value
        if style == "?":
            text = text.lstrip("\\")
        if style == "c" and text not in ("L", "l", "E", "J", "C"):
            text = f"{text}_cal" if text in self.survey.letters and not self.strict else text
        found = Named(text, self.spelled(node), node.at)
        found.base, found.stem = self.spelled(base), text
        marks, found.primes = node.value if node.kind == "scripts" else ((), 0)
        for mark, tokens in marks:
            if mark == "_":
                self._below_name(found, tokens)
            else:
                self._above_name(found, tokens, node)
        if not self.strict and found.time is not None:
            found.name = self.survey.step_name(found.name)
        if not self.strict and found.primes and not called:
            found.name += "'" * found.primes  # x' is another x
            found.primes = 0
        return found

    def _below_name(self, found: Named, tokens: tuple[Token, ...]) -> None:
        if self.strict:
            self._strict_subscript(found, tokens)
            return
        if any(token.kind == "rel" for token in tokens) and tokens[0].text != "<":
            raise Trouble("aside", "a relation in a subscript", tokens[0].at)
        opening = next((at for at, token in enumerate(tokens) if token.kind == "["), -1)
        if opening >= 0 and tokens[-1].kind == "]" and self._are_indices(tokens[opening + 1 : -1]):
            for item in items(tokens[opening + 1 : -1]):
                found.indices += tuple(self._indices(item))
            if tokens[:opening]:
                found.name += "_" + flattened(tokens[:opening])
            return
        for item in items(tokens):
            time = self.survey.linear(item)
            literal = time is not None and not time.letters
            if time is not None and found.time is None and (not literal or self._is_sequence(found.name)):
                found.time = time
            elif is_index(item, self.survey.indices) and self._takes_index(found.name, item):
                found.indices += tuple(self._indices(item))
            else:
                found.name += "_" + flattened(item)

    def _are_indices(self, tokens: tuple[Token, ...]) -> bool:
        return bool(tokens) and all(is_index(item, self.survey.indices) for item in items(tokens))

    def _strict_subscript(self, found: Named, tokens: tuple[Token, ...]) -> None:
        """A subscript is part of the name, but for a time in parentheses at its end: \\delta_{net(t)} is δ_net at t."""
        if tokens and tokens[-1].kind == ")":
            opening = max(index for index, token in enumerate(tokens) if token.kind == "(")
            inside = tokens[opening + 1 : -1]
            time = self.survey.linear(inside, set(self.letters) | set("abcdefghijklmnopqrsuvwxyz"))
            if time is not None and (time.letters or time.constant < 0):
                found.time, tokens = time, tokens[:opening]
        if tokens:
            found.name += "_" + flattened(tokens)

    def _is_sequence(self, name: str) -> bool:
        return name in self.survey.sequences

    def _takes_index(self, name: str, item: tuple[Token, ...]) -> bool:
        """Whether a subscript is an index of a name, and not the name of a gate: W_i beside a sequence i_t."""
        letters = {letter for token in item if token.kind in ("name", "word") for letter in token.text}
        gates = letters & (self.survey.sequences | (self.survey.bare - set("ijlmn")))
        return not gates or name in self.survey.bare | self.survey.sequences

    def _indices(self, item: tuple[Token, ...]) -> list[Time]:
        allowed = self.survey.indices | self.survey.times
        time = self.survey.linear(item, allowed)
        if time is not None and not any(token.kind == "word" for token in item):
            return [time]
        found: list[Time] = []
        for token in item:
            if token.kind in ("name", "word"):
                found += [Time.of(letter) for letter in (token.text if token.kind == "word" else [token.text])]
            elif token.kind == "number":
                found.append(Time(int(token.text)))
        return found

    def _above_name(self, found: Named, tokens: tuple[Token, ...], node: Node) -> None:
        texts = [token.text for token in tokens if token.kind not in ("{", "}")]
        kinds = [token.kind for token in tokens if token.kind not in ("{", "}")]
        bracketed = bool(kinds) and (kinds[0] in ("(", "[", "<(", r"\{") or texts[0] == "<")
        if bracketed and (kinds[-1] == "top" or texts[-1] == "T") and len(texts) > 3:
            kept = tuple(token for token in tokens if token.kind not in ("{", "}", "^"))
            self._above_name(found, kept[:-1], node)
            found.after.append(("transpose", ()))
            return
        if bracketed and not self.strict:
            time = self.survey.linear(tokens)
            if time is not None and found.time is None and (time.letters or self._is_sequence(found.name)):
                found.time = time
            elif is_index(tokens[1:-1], self.survey.indices) and len(texts) == 3:
                found.name += "^" + flattened(tokens)
            else:
                found.name += "^" + flattened(tokens)
            return
        if not self.strict and texts and self.survey.is_layer(texts[0]):
            time = self.survey.linear(tokens)
            if time is not None and found.time is None:
                found.time = time
                return
        if texts in (["*"], ["+"], ["-"], [r"\ast"], [r"\star"], [r"\dagger"]) and not self.strict:
            found.name += "^" + texts[0].lstrip("\\")
            return
        is_label = not self.strict and kinds in (["word"], ["name"]) and self._is_label(found.name, texts[0], tokens)
        if is_label:
            found.name += "^" + flattened(tokens)
            return
        found.after.append(("power", tokens))

    def _is_label(self, name: str, text: str, tokens: tuple[Token, ...]) -> bool:
        if name == "e" or text in ("T", "top"):
            return False
        return tokens[0].kind == "word" or tokens[0].style == "w" or text not in self.survey.bare

    def _name(self, node: Node) -> Term:
        return self._scripts(node)

    def _scripts(self, node: Node) -> Term:
        base = node.children[0] if node.kind == "scripts" else node
        if base.kind == "ones":
            return self._sized_ones(node)
        if base.kind != "name":
            return self._with_scripts(node, self.term(base))
        named = self.named(node)
        if named.name in self.bound and named.time is None:
            return self._finished(self.bound[named.name], named, node)
        if named.name == "e" and named.after and "e" not in self.scope.symbols and named.after[0][0] == "power":
            inner = Apply("exp", self.parsed(named.after[0][1], node), at=node.at)
            return self._finished(inner, Named("e", "e", node.at, after=named.after[1:]), node)
        if self._is_kronecker(named):
            return Indicator(named.indices[0], "=", named.indices[1], at=node.at)
        return self._finished(self._named(named), named, node)

    def _is_kronecker(self, named: Named) -> bool:
        return named.name == "delta" and len(named.indices) == 2 and named.time is None and not self.strict

    def _sized_ones(self, node: Node) -> Term:
        marks, _ = node.value
        size = next((flattened(tokens) for mark, tokens in marks if mark == "_"), "")
        relation = next(
            (tokens for mark, tokens in marks if mark == "_" and any(t.kind == "rel" for t in tokens)), None
        )
        if relation is not None:
            return self._indicator(self._relation_node(relation, node))
        if self.strict and size and size not in self.scope.sizes:
            declared = ", ".join(self.scope.sizes) or "none"
            raise Trouble("undefined", f"no size is called {size}; there are {declared}", node.at)
        found = Ones(size, at=node.at) if self.strict else self._pseudo("ones", node.at)
        for mark, tokens in marks:
            if mark == "^":
                found = self._raised(found, tokens, node)
        return found

    def _relation_node(self, tokens: tuple[Token, ...], node: Node) -> Node:
        at = next(index for index, token in enumerate(tokens) if token.kind == "rel")
        sides = tuple(parse(list(side), self.words) for side in (tokens[:at], tokens[at + 1 :]))
        return Node("indicator", node.at, node.end, sides, tokens[at].text)

    def parsed(self, tokens: tuple[Token, ...], node: Node) -> Term:
        """The term that the tokens of a script write."""
        if not tokens:
            raise Trouble("syntax", "an empty superscript", node.at)
        return self.term(parse(list(tokens), self.words))

    def _finished(self, term: Term, named: Named, node: Node) -> Term:
        """A name's term with its indices, primes and powers."""
        if named.primes and self.strict:
            raise Trouble(
                "undefined", f"{named.text} is the derivative of no known function: write \\sigma'(z)", node.at
            )
        if named.indices:
            term = Entry(term, named.indices, at=node.at)
        for kind, tokens in named.after:
            term = Transpose(term, at=term.at) if kind == "transpose" else self._raised(term, tokens, node)
        return term

    def _with_scripts(self, node: Node, term: Term) -> Term:
        """What scripts do to something that is no name: (W x)_i, (…)^T, ‖…‖_2^2."""
        marks, primes = node.value
        if primes:
            raise Trouble(
                "undefined", "a prime on an expression: write the function's name, as in \\sigma'(z)", node.at
            )
        for mark, tokens in marks:
            if mark == "_":
                if node.children[0].kind == "norm":
                    if flattened(tokens) not in ("2", "F"):
                        raise Trouble("aside", "a norm other than the Euclidean", node.at)
                elif not self.strict and all(is_index(item, self.survey.indices) for item in items(tokens)):
                    term = Entry(term, tuple(i for item in items(tokens) for i in self._indices(item)), at=term.at)
                elif self.survey.linear(tokens) is None:
                    raise Trouble("syntax" if self.strict else "aside", "a subscript on what is no name", node.at)
            elif node.children[0].kind == "norm" and [token.text for token in tokens] == ["2"]:
                inner = term.term.term if isinstance(term, Apply) and isinstance(term.term, SquaredNorm) else None
                term = SquaredNorm(inner if inner is not None else term.term, at=term.at)  # type: ignore[attr-defined]
            else:
                term = self._raised(term, tokens, node)
        return term

    def _raised(self, term: Term, tokens: tuple[Token, ...], node: Node, elementwise: bool = False) -> Term:
        """A term with a superscript: transposed, inverted, or to a power."""
        kept = [token for token in tokens if token.kind not in ("{", "}")]
        texts = [token.text for token in kept]
        if not kept:
            raise Trouble("syntax", "an empty superscript", node.at)
        if kept[-1].kind == "top" or (texts == ["T"]) or texts in (["'", "T"],):
            inverse = texts[:1] == ["-"]
            inner: Term = Power(term, -1, at=term.at) if inverse else term
            return Transpose(inner, at=term.at)
        if kept[0].kind == "op" and kept[0].text == "o":
            return ElementwisePower(term, self._exponent(kept[1:]), at=term.at)
        negative = kept[0].kind == "op" and kept[0].text == "-" and len(kept) == 2
        if kept[-1].kind == "number" and len(kept) == 1 + negative:
            if "." in kept[-1].text and not self.strict:
                value = Fraction(kept[-1].text) * (-1 if negative else 1)
                return PowerBy(term, Number(value), at=term.at)
            exponent = self._exponent(kept[negative:])
            if elementwise:
                return ElementwisePower(term, exponent, at=term.at)
            return Power(term, -exponent if negative else exponent, at=term.at)
        if self.strict:
            raise Trouble("syntax", f"the exponent {' '.join(texts):.20}: wanted a whole number", kept[0].at)
        exponent_term = self.parsed(tokens, node)
        if isinstance(exponent_term, Number) and exponent_term.value == Fraction(1, 2):
            return Apply("sqrt", term, at=term.at)
        if isinstance(exponent_term, Number) and exponent_term.value == Fraction(-1, 2):
            return Quotient(Number(Fraction(1)), Apply("sqrt", term, at=term.at), at=term.at)
        return PowerBy(term, exponent_term, at=term.at)

    def _exponent(self, tokens: list[Token]) -> int:
        text = tokens[0].text if len(tokens) == 1 else ""
        if not text.isdigit() or len(text) > 2 or int(text) > HIGHEST_POWER:
            at = tokens[0].at if tokens else 0
            raise Trouble("syntax", f"the exponent {text:.20}: wanted a whole number up to {HIGHEST_POWER}", at)
        return int(text)

    def _named(self, named: Named) -> Term:
        """The symbol of a name at its time: the time given, or the default one."""
        if not self.strict:
            return self._inferred(named)
        symbol = self.scope.find(named.name, named.text, named.at)
        time = named.time
        if time is not None:
            self._known_letters(time, named.at)
        if time is None and symbol.timed:
            time = self.scope.default_time
            if time is None:
                raise Trouble("undefined", f"{named.text} is indexed in time: write {named.text}(t)", named.at)
        if time is not None and not symbol.timed:
            raise Trouble("undefined", f"{named.text} is not indexed in time", named.at)
        if symbol.kind == "function":
            raise Trouble("undefined", f"{named.text} is a function: write {named.text}(z)", named.at)
        if time is not None and not symbol.at_steps and symbol.body is None and not _is_past(time):
            # Not defined yet: only its earlier values can be meant, as in a recursion.
            message = f"{named.text}({time}) is not defined yet; only its past may be used here"
            raise Trouble("undefined", message, named.at)
        return Name(symbol.name, time, symbol.text, at=named.at)

    def _inferred(self, named: Named) -> Term:
        name = self.scope.aliases.get(named.name, named.name)
        if name in self.survey.times | self.survey.ends and named.time is None and name not in self.scope.symbols:
            letter = "T" if name in self.survey.ends else name
            if name in self.survey.times or name == "T":
                return Count(time=Time.of(letter), at=named.at)
        if name in self.survey.indices and name not in self.scope.symbols and name not in self.survey.sequences:
            return Count(time=Time.of(name), at=named.at)
        if name in self.scope.labels_of_sizes | set(self.scope.sizes) and name not in self.scope.symbols:
            return Count(name, at=named.at)
        if name in ("I", "I_n", "I_d") and name not in self.scope.symbols and name not in self.survey.sequences:
            return self._pseudo("identity", named.at)
        if name == "pi" and name not in self.scope.symbols:
            return Product(Number(Fraction(4)), Apply("arctan", Number(Fraction(1))), at=named.at)
        sequence = name in self.survey.sequences and not (name in self.survey.bare and name in self.scope.symbols
                                                          and not self.scope.symbols[name].timed)  # fmt: skip
        time = named.time
        symbol = self.scope.symbols.get(name)
        if time is None and (symbol.timed if symbol is not None else sequence):
            time = self.scope.default_time or self.survey.default_time
        if symbol is not None and symbol.kind == "function" and named.time is not None:
            name, symbol = f"{name}(t)", self.scope.symbols.get(f"{name}(t)")
        if symbol is None:
            symbol = Symbol(name, named.plain, Shape(()), timed=time is not None)
            self.scope.symbols[name] = symbol
        if time is not None and not symbol.timed:
            if symbol.body is None:
                symbol.timed = True
            else:  # x is one thing and x_t another
                name = f"{name}(t)"
                symbol = self.scope.symbols.setdefault(name, Symbol(name, named.plain, Shape(()), timed=True))
        if time is None and symbol.timed:
            raise Trouble("undefined", f"{named.text} stands without its time", named.at)
        if symbol.kind == "function":
            raise Trouble("undefined", f"{named.text} is a function: write {named.text}(z)", named.at)
        return Name(name, time, symbol.text, at=named.at)

    # Calls.

    def _call(self, node: Node) -> tuple[Term | None, Term]:
        head, *arguments = node.children
        if head.kind == "set" or (
            base_of(head) in ("P", "p", "E", "Pr", "N", "Var", "Cov", "q") and self._is_chance(node)
        ):
            raise Trouble("aside", "a probability or an expectation", node.at)
        named = self.named(head, called=True)
        if named.name == "sigma" and "sigma" not in self.scope.symbols and len(arguments) == 1 and not named.after:
            return None, Apply("sigma", self.term(arguments[0]), named.primes == 1, at=node.at)
        if self.strict:
            return self._strict_call(node, named)
        return self._open_call(node, named, arguments)

    def _is_chance(self, node: Node) -> bool:
        return any(each.kind == "relation" for each in walk(node)) or "|" in self.text[node.at : node.end]

    def _strict_call(self, node: Node, named: Named) -> tuple[Term | None, Term]:
        if len(node.children) != 2:
            raise Trouble("syntax", f"{named.text} of several arguments is not declared", node.at)
        inner = node.children[1]
        if named.name not in self.bound and named.time is None:
            symbol = self.scope.find(named.name, named.text, node.at)
            if symbol.kind == "function" and not named.primes:
                return None, self._applied(symbol, self.term(inner))
            time = self.time(inner) if symbol.timed and not named.primes else None
            if time is not None:
                named.time = time
                return None, self._finished(self._named(named), named, node)
        if named.primes:
            message = rf"{named.text} is the derivative of no known function: \sigma' is one"
            raise Trouble("undefined", message, node.at)
        when = self.time(inner)
        if when is not None and when.letters:
            raise Trouble(
                "undefined", f"{named.text} is not indexed in time: {named.text}({when}) has no meaning", node.at
            )
        return self._scripts(node.children[0]), self.term(inner)

    def _open_call(self, node: Node, named: Named, arguments: list[Node]) -> tuple[Term | None, Term]:
        time = self.survey.linear(tokens_of(arguments[0])) if len(arguments) == 1 else None
        symbol = self.scope.symbols.get(named.name)
        if time is not None and named.time is None and not named.primes and named.name in self.survey.sequences:
            named.time = time
            named.name = self.survey.step_name(named.name)
            return None, self._finished(self._named(named), named, node)
        if symbol is not None and symbol.kind == "function" and not named.primes:
            terms = [self.term(argument) for argument in arguments]
            return None, self._after(self._applied(symbol, *terms), named, node)
        if named.primes or self._is_function(named, arguments):
            return None, self._after(self._generic(named, arguments, node), named, node)
        if base_of(node).split("_")[0] in LISTED or (symbol is not None and symbol.parameters) or len(arguments) > 1:
            return None, self._after(self._listed(named, arguments, node), named, node)
        return self._scripts(node.children[0]), self.term(arguments[0])

    def _after(self, term: Term, named: Named, node: Node) -> Term:
        named.primes = 0
        return self._finished(term, named, node)

    def _is_function(self, named: Named, arguments: list[Node]) -> bool:
        base = named.name.split("_")[0].split("^")[0]
        if len(arguments) != 1 or (named.time is not None and named.name in self.scope.symbols):
            return False
        known = named.name in self.survey.bare | self.survey.sequences
        return (base in _ACTIVATIONS or len(base) > 2) and not known

    def _generic(self, named: Named, arguments: list[Node], node: Node) -> Term:
        if len(arguments) != 1 or named.primes > 1:
            raise Trouble("aside", f"{named.text} of {len(arguments)} arguments", node.at)
        inner = self.term(arguments[0])
        symbol = self.scope.symbols.get(named.name)
        if symbol is not None and symbol.kind == "function" and named.primes:
            body = symbol.body
            if isinstance(body, Apply) and not body.primed and body.term == Name(symbol.parameter):
                return Apply(body.function, inner, True, at=node.at)
            return Apply(f"!{named.name}", inner, True, at=node.at)
        self.scope.arbitrary.add(named.name)
        return Apply(f"?{named.name}", inner, named.primes == 1, at=node.at)

    def _listed(self, named: Named, arguments: list[Node], node: Node) -> Term:
        """A name with its arguments listed, as in L(y, ŷ): the name itself, or an arbitrary function of them."""
        symbol = self.scope.symbols.get(named.name)
        if symbol is not None and (symbol.parameters or symbol.body is not None):
            terms = tuple(self.term(argument) for argument in arguments)
            if symbol.parameters and len(terms) == len(symbol.parameters) and terms != symbol.parameters:
                assert symbol.body is not None
                found = symbol.body
                for parameter, argument in zip(symbol.parameters, terms, strict=True):
                    found = replaced(found, parameter, argument)
                return found
            return self._named(named)
        terms = tuple(self.term(argument) for argument in arguments)
        if len(terms) == 1 and base_of(node).split("_")[0] in LISTED:
            return self._named(named)
        key = f"{named.name}(…)"
        self.scope.symbols.setdefault(key, Symbol(key, named.text, Shape(()), values="arbitrary"))
        self.scope.arbitrary.add(named.name)
        return Arbitrary(key, terms, at=node.at)

    def _applied(self, symbol: Symbol, *arguments: Term) -> Term:
        """A function's body with its parameters replaced."""
        assert symbol.body is not None
        found = symbol.body
        for parameter, argument in zip(symbol.parameters or (Name(symbol.parameter),), arguments, strict=False):
            inside = list(walk_term(found))
            size = len(inside) + inside.count(parameter) * sum(1 for _ in walk_term(argument))
            if size > LARGEST_TERM:
                message = f"{symbol.text} stands for more than {LARGEST_TERM:,} terms here: define what is inside first"
                raise Trouble("syntax", message, argument.at)
            found = replaced(found, parameter, argument)
        return found

    def time(self, node: Node) -> Time | None:
        """The time that a tree writes, or None if it writes none."""
        letters = set(self.letters) if self.strict else self.survey.times
        return self.survey.linear(tokens_of(node), letters)

    def _known_letters(self, time: Time, at: int) -> None:
        for letter, _ in time.letters:
            if letter not in self.letters:
                raise Trouble("undefined", f"{letter} is no time here: there are {', '.join(self.letters)}", at)

    # Sums and products over times and indices.

    def _big(self, node: Node) -> Term:
        name, below, above = node.value
        if not below:
            raise Trouble("aside", f"a {name} over what is not said", node.at)
        if below[0].kind == "number" and any(token.kind == "rel" for token in below):
            below, above = self._between(below)
        letter = below[0].text
        if below[0].kind not in ("name", "word") or (len(below) == 1 and below[0].kind == "word"):
            return self._double(node, below)
        names = [token.text for token in below if token.kind == "name"]
        if not any(token.kind == "rel" for token in below) and len(names) > 1:
            return self._double(node, below)
        if self.strict or letter in self.survey.times:
            return self._over_time(node, name, letter, below[1:], above)
        if name == "prod":
            raise Trouble("aside", "a product over an index", node.at)
        return self._over_index(node, letter, below[1:], above)

    def _between(self, below: tuple[Token, ...]) -> tuple[tuple[Token, ...], tuple[Token, ...]]:
        r"""1 \le k \le t, as k = 1 below and t above."""
        places = [index for index, token in enumerate(below) if token.kind == "rel"]
        if len(places) != 2 or any(below[place].text != "<=" for place in places):
            raise Trouble("syntax", "this range of a sum is not read: wanted k=1 below and t above", below[0].at)
        low, letter, high = below[: places[0]], below[places[0] + 1], below[places[1] + 1 :]
        return (letter, letter._replace(kind="rel", text="="), *low), high

    def _double(self, node: Node, below: tuple[Token, ...]) -> Term:
        name, _, above = node.value
        letters = [letter for token in below if token.kind in ("name", "word") for letter in token.text]
        if not letters or name != "sum":
            raise Trouble("syntax", "what is summed over is no letter: wanted a free letter such as k", node.at)
        inner = node
        for letter in reversed(letters):
            token = Token("name", letter, below[0].at, below[0].end)
            body = inner.children[0] if inner is node else inner
            inner = Node("big", node.at, node.end, (body,), (name, (token,), above))
        return self._big(inner)

    def _over_time(
        self, node: Node, name: str, letter: str, below: tuple[Token, ...], above: tuple[Token, ...]
    ) -> Term:
        last = self.scope.last
        low, high, text = Time(self.scope.first), last, letter
        if below and below[0].kind == "rel" and below[0].text == "=":
            low = self._limit(below[1:], node)
            if self.strict and (not above or [t.text for t in above] == ["T"]):
                raise Trouble("undefined", "steps run from 0 to T-1: write ^{T-1} above the sum", node.at)
            high = self._limit(above, node) if above else last
            text = f"{letter}={low}}}^{{{high}"
        elif below and below[0].kind == "rel":
            sign, limit = below[0].text, self._limit(below[1:], node)
            text = f"{letter} {sign} {limit}"
            if sign in (">", ">="):
                low = limit.plus(Time(int(sign == ">")))
            elif sign in ("<", "<="):
                high = limit.plus(Time(-int(sign == "<")))
            else:
                raise Trouble("aside", f"a sum over {text}", node.at)
            high = self._limit(above, node) if above else high
        elif below:
            raise Trouble("syntax", f"unexpected `{below[0].text}`: wanted a range", below[0].at)
        elif above:
            high = self._limit(above, node)
        if self.strict and (len(letter) != 1 or letter == "T" or letter in self.scope.symbols):
            raise Trouble("syntax", f"{letter} cannot be summed over: wanted a free letter such as k", node.at)
        self.letters.append(letter)
        try:
            body = self.term(node.children[0])
        finally:
            self.letters.pop()
        if name == "prod":
            downward = any(isinstance(part, Derivative) for part in walk_term(body))
            return ProductOver(letter, low, high, body, downward, at=node.at)
        return Sum(letter, low, high, body, text, at=node.at)

    def _limit(self, tokens: tuple[Token, ...], node: Node) -> Time:
        letters = set(self.letters) if self.strict else self.survey.times
        limit = self.survey.linear(tokens, letters)
        if limit is None:
            raise Trouble("syntax", "this limit of a sum is no time: wanted one such as t+1 or T-1", node.at)
        return limit

    def _over_index(self, node: Node, letter: str, below: tuple[Token, ...], above: tuple[Token, ...]) -> Term:
        allowed = self.survey.indices
        if letter not in allowed:
            allowed.add(letter)
        body = self.term(node.children[0])
        without, upper = None, ""
        condition: list[tuple[str, Time]] = []
        if below and below[0].kind == "rel":
            sign = below[0].text
            limit = self.survey.linear(below[1:], allowed)
            if sign == "in" or limit is None:
                raise Trouble("aside", f"a sum over a set that {letter} is in", node.at)
            if sign == "!=":
                without = limit
            elif sign in ("<", ">", "<=", ">="):
                condition.append((sign, limit))
            elif sign == "=" and (limit.letters or limit.constant != self.scope.base):
                condition.append((">=", limit))
        if above:
            limit = self.survey.linear(above, allowed)
            if limit is not None and limit.letters:
                condition.append(("<=", limit))
            else:
                upper = flattened(above)
                if len(upper) <= 2 and upper not in self.scope.symbols:
                    self.scope.labels_of_sizes.add(upper)
        for sign, limit in condition:
            body = Product(Indicator(Time.of(letter), sign, limit), body, at=body.at)
        return IndexSum(letter, body, without, upper, at=node.at)

    # Derivatives.

    def _derivative(self, node: Node) -> Term:
        above, below = node.children
        immediate, total = node.value is True, node.value == "total"
        by, indices = self._below(below)
        of = self.term(above)
        derived = next((part for part in walk_term(of) if self.is_derived(part)), None)
        if derived is not None:
            raise Trouble(self._beyond, "the derivative of a derivative has no meaning here", derived.at)
        timed = any(isinstance(part, Name) and part.time is not None for part in walk_term(of))
        if immediate and not timed:
            raise Trouble("undefined", "an immediate derivative needs something at a time above ∂", of.at)
        immediate = immediate or (self.scope.partial == "immediate" and timed and not total)
        found: Term = Derivative(of, by, immediate, total, at=node.at)
        return Entry(found, indices, at=node.at) if indices else found

    def _below(self, node: Node) -> tuple[Name, tuple[Time, ...]]:
        """The symbol that is differentiated by; a weight may be at a time: the copy used at that step alone."""
        while node.kind == "group":
            node = node.children[0]
        head = node.children[0] if node.kind == "call" else node
        base = head.children[0] if head.kind == "scripts" else head
        if base.kind != "name":
            raise Trouble("syntax", "below ∂ stands no symbol: wanted one such as net(t) or W", node.at)
        named = self.named(head)
        if named.after:
            raise Trouble("syntax", "below ∂ stands no symbol: wanted one such as net(t) or W", node.at)
        time = named.time
        if node.kind == "call":
            time = self.time(node.children[1]) if len(node.children) == 2 else None
            if time is None and self.strict:
                raise Trouble("syntax", "below ∂ stands no symbol: wanted one such as net(t) or W", node.at)
        if not self.strict:
            named.time = time
            if time is not None:
                named.name = self.survey.step_name(named.name)
            if time is not None and named.name not in self.survey.sequences and node.kind == "call":
                named.time = None
                copy = self._named(named)
                if isinstance(copy, Name) and copy.time is None:
                    return replace(copy, time=time), ()
            found = self._named(named)
            if not isinstance(found, Name):
                raise Trouble("syntax", "below ∂ stands no symbol: wanted one such as net(t) or W", node.at)
            return found, named.indices
        symbol = self.scope.find(named.name, named.text, node.at)
        if symbol.kind not in ("given", "forward"):
            raise Trouble("undefined", f"no derivative by {symbol.text}: it is no part of the forward pass", node.at)
        if time is None or symbol.timed:
            named.time = time
            found = self._named(named)
            assert isinstance(found, Name)
            return found, ()
        if symbol.kind != "given":
            raise Trouble("undefined", f"{symbol.text} is not indexed in time", node.at)
        return Name(symbol.name, time, symbol.text, at=node.at), ()

    @property
    def _beyond(self) -> str:
        """What is said of what is read and not judged."""
        return "undefined" if self.strict else "cannot tell"

    def is_derived(self, part: Term) -> bool:
        if isinstance(part, Name):
            symbol: Any = self.scope.symbols.get(part.name)
            return symbol is not None and symbol.kind == "derivative"
        return isinstance(part, Derivative)


def _is_past(time: Time) -> bool:
    """Whether a time is before 0, or before t."""
    return time.constant < 0 and all(letter == "t" for letter, _ in time.letters)
