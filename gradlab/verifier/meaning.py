"""From syntax trees to terms: which symbol each name is, at which time, and what each product of parentheses means.

`name(t + 1)` is a time where the name is indexed in time, an application where it is a declared function, otherwise a
product. Products of every kind group from the left and bind equally.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from gradlab.verifier.scope import Scope, Symbol, canonical
from gradlab.verifier.shapes import Shape, Trouble, shape_of
from gradlab.verifier.terms import (
    Add,
    Apply,
    Derivative,
    Diagonal,
    Elementwise,
    ElementwisePower,
    Name,
    Negative,
    Number,
    Ones,
    Power,
    Product,
    Quotient,
    SquaredNorm,
    Subtract,
    Sum,
    Term,
    Time,
    Transpose,
    replaced,
    walk,
)

HIGHEST_POWER = 64
_BINARY: dict[str, Callable[..., Term]] = {"add": Add, "subtract": Subtract, "elementwise": Elementwise}
_BOUNDS = {">": "above", r"\gt": "above", "<": "below", r"\lt": "below"}


class Resolver:
    """Turns the syntax trees of one equation into terms. `start` is the offset that tree positions count from."""

    def __init__(self, scope: Scope, start: int = 0) -> None:
        self.scope = scope
        self.start = start
        self.letters = ["t", "T"]
        self.bound: dict[str, Term] = {}

    def term(self, tree: Any) -> Term:
        """The term that a syntax tree means.

        Raises:
            Trouble: an undefined symbol, a time where none can be or none where one must be, a range that is no range.
        """
        prefix, term = self._factor(tree)
        return term if prefix is None else Product(prefix, term, at=prefix.at)

    def shape(self, term: Term) -> Shape:
        return shape_of(term, self.scope.shape_of_name, self.scope.sizes)

    def _factor(self, tree: Any) -> tuple[Term | None, Term]:
        r"""A tree's term, split in two where an application turns out to be a product: `W(a + b)^T` is W (a + b)^T."""
        if tree.data == "call":
            return self._call(tree)
        if tree.data in ("transpose", "power", "negative_power", "elementwise_power"):
            prefix, inner = self._factor(tree.children[0])
            return prefix, self._raised(tree, inner)
        return None, getattr(self, f"_{tree.data}")(tree)

    def at(self, tree: Any) -> int:
        """The offset in the source at which a tree begins."""
        return self.start + int(getattr(tree.meta, "start_pos", 0))

    def _raised(self, tree: Any, inner: Term) -> Term:
        if tree.data == "transpose":
            return Transpose(inner, at=inner.at)
        token = tree.children[-1]
        if not token.isdigit() or len(token) > 2 or int(token) > HIGHEST_POWER:
            at = self.start + token.start_pos
            raise Trouble("syntax", f"the exponent {token!s:.20}: wanted a whole number up to {HIGHEST_POWER}", at)
        exponent = int(token)
        if tree.data == "elementwise_power":
            return ElementwisePower(inner, exponent, at=inner.at)
        return Power(inner, -exponent if tree.data == "negative_power" else exponent, at=inner.at)

    def _binary(self, tree: Any, make: Callable[..., Term]) -> Term:
        left = self.term(tree.children[0])
        prefix, right = self._factor(tree.children[-1])
        if prefix is not None and make not in (Add, Subtract):
            return Product(make(left, prefix, at=left.at), right, at=left.at)
        right = right if prefix is None else Product(prefix, right, at=prefix.at)
        return make(left, right, at=left.at)

    def _add(self, tree: Any) -> Term:
        return self._binary(tree, Add)

    def _subtract(self, tree: Any) -> Term:
        return self._binary(tree, Subtract)

    def _elementwise(self, tree: Any) -> Term:
        return self._binary(tree, Elementwise)

    def _times(self, tree: Any) -> Term:
        sign = str(tree.children[1])
        return self._binary(tree, lambda left, right, at: Product(left, right, sign, at=at))

    def _juxtapose(self, tree: Any) -> Term:
        when = self.time(tree.children[1]) if tree.children[1].data == "group" else None
        if when is not None and when.letters and when == self.scope.default_time:
            return self.term(tree.children[0])  # \sigma(net)(t) in an old notebook: what is inside is at t already
        return self._binary(tree, lambda left, right, at: Product(left, right, at=at))

    def _negative(self, tree: Any) -> Term:
        return Negative(self.term(tree.children[0]), at=self.at(tree))

    def _itself(self, tree: Any) -> Term:
        return self.term(tree.children[0])

    _group = _itself

    def _number(self, tree: Any) -> Term:
        token = tree.children[0]
        if len(token) > 40:
            raise Trouble("syntax", f"a number of {len(token)} digits: at most 40 are read", self.at(tree))
        return Number(Fraction(str(token)), at=self.at(tree))

    def _digits(self, tree: Any) -> Term:
        over, under = [digit for digit in str(tree.children[0]) if digit.isdigit()]
        if under == "0":
            raise Trouble("syntax", "a division by 0", self.at(tree))
        return Number(Fraction(int(over), int(under)), at=self.at(tree))

    def _ones(self, tree: Any) -> Term:
        size = str(tree.children[0]).partition("_")[2].strip("{} ")
        if size and size not in self.scope.sizes:
            declared = ", ".join(self.scope.sizes) or "none"
            raise Trouble("undefined", f"no size is called {size}; there are {declared}", self.at(tree))
        return Ones(size, at=self.at(tree))

    def _quotient(self, tree: Any) -> Term:
        over, under = self.term(tree.children[1]), self.term(tree.children[2])
        if isinstance(under, Number) and under.value == 0:
            raise Trouble("syntax", "a division by 0", under.at)
        if isinstance(over, Number) and isinstance(under, Number):
            return Number(over.value / under.value, at=self.at(tree))
        return Quotient(over, under, at=self.at(tree))

    def _function(self, tree: Any) -> Term:
        name = str(tree.children[0]).removeprefix("\\")
        inner = self.term(tree.children[-1])
        return Apply("log" if name == "ln" else name, inner, len(tree.children) == 3, at=self.at(tree))

    def _diagonal(self, tree: Any) -> Term:
        return Diagonal(self.term(tree.children[1]), at=self.at(tree))

    def _norm(self, tree: Any) -> Term:
        if tree.children[-1] != "2":
            raise Trouble("syntax", r"the norm is read only as its square: wanted \rVert^2", self.at(tree))
        return SquaredNorm(self.term(tree.children[1]), at=self.at(tree))

    # Names and times.

    def _symbol(self, tree: Any) -> Term:
        return self._named(tree.children[0], None)

    def _call(self, tree: Any) -> tuple[Term | None, Term]:
        token, inner = tree.children[0], tree.children[-1]
        at, primed = self.start + token.start_pos, len(tree.children) == 3
        _, time = canonical(token, at)
        if str(token) not in self.bound and time is None:
            symbol = self.scope.find(token, at)
            if symbol.kind == "function" and not primed:
                return None, self._applied(symbol, self.term(inner))
            time = self.time(inner) if symbol.timed and not primed else None
            if time is not None:
                return None, self._named(token, time)
        if primed:
            raise Trouble("undefined", rf"{token}' is the derivative of no known function: \sigma' is one", at)
        when = self.time(inner)
        if when is not None and when.letters:
            raise Trouble("undefined", f"{token} is not indexed in time: {token}({when}) has no meaning", at)
        return self._named(token, None), self.term(inner)

    def _applied(self, symbol: Symbol, argument: Term) -> Term:
        """A declared function's body with its parameter replaced."""
        assert symbol.body is not None
        return replaced(symbol.body, Name(symbol.parameter), argument)

    def _named(self, token: Any, time: Time | None) -> Term:
        """The symbol of a token at a time: the time given, or in its subscript, or the default one."""
        at = self.start + token.start_pos
        name, inside = canonical(token, at)
        if name in self.bound:
            return self.bound[name]
        symbol = self.scope.find(token, at)
        time = time if time is not None else inside
        if inside is not None:
            self._known_letters(inside, at)
        if time is None and symbol.timed:
            time = self.scope.default_time
            if time is None:
                raise Trouble("undefined", f"{token} is indexed in time: write {token}(t)", at)
        if time is not None and not symbol.timed:
            raise Trouble("undefined", f"{token} is not indexed in time", at)
        if symbol.kind == "function":
            raise Trouble("undefined", f"{token} is a function: write {token}(z)", at)
        if time is not None and not symbol.at_steps and symbol.body is None and not _is_past(time):
            # Not defined yet: only its earlier values can be meant, as in a recursion.
            raise Trouble("undefined", f"{token}({time}) is not defined yet; only its past may be used here", at)
        return Name(symbol.name, time, symbol.text, at=at)

    def time(self, tree: Any) -> Time | None:
        """The time that a tree writes, or None if it writes none."""
        match tree.data:
            case "group" | "itself":
                return self.time(tree.children[0])
            case "symbol":
                letter = str(tree.children[0])
                return Time.of(letter) if letter in self.letters else None
            case "number":
                token = str(tree.children[0])
                return Time(int(token)) if token.isdigit() and len(token) < 5 else None
            case "negative":
                inner = self.time(tree.children[0])
                return None if inner is None else Time().plus(inner, -1)
            case "add" | "subtract":
                left, right = self.time(tree.children[0]), self.time(tree.children[1])
                if left is None or right is None:
                    return None
                return left.plus(right, 1 if tree.data == "add" else -1)
            case _:
                return None

    def _known_letters(self, time: Time, at: int) -> None:
        for letter, _ in time.letters:
            if letter not in self.letters:
                raise Trouble("undefined", f"{letter} is no time here: there are {', '.join(self.letters)}", at)

    # Sums and derivatives.

    def _sum_all(self, tree: Any) -> Term:
        letter = str(tree.children[1])
        return self._sum(tree, letter, Time(), Time.of("T", -1), letter)

    def _sum_bound(self, tree: Any) -> Term:
        sign, limit = str(tree.children[2].children[0]), self._limit(tree.children[3])
        letter, last = str(tree.children[1]), Time.of("T", -1)
        strict = sign in _BOUNDS
        text = f"{letter} {sign} {limit}"
        if sign in (">", r"\gt", r"\ge", r"\geq"):
            return self._sum(tree, letter, limit.plus(Time(1 if strict else 0)), last, text)
        return self._sum(tree, letter, Time(), limit.plus(Time(-1 if strict else 0)), text)

    def _sum_range(self, tree: Any) -> Term:
        letter, low, high = str(tree.children[1]), self._limit(tree.children[3]), self._limit(tree.children[4])
        return self._sum(tree, letter, low, high, f"{letter}={low}}}^{{{high}")

    def _sum_to_steps(self, tree: Any) -> Term:
        raise Trouble("undefined", "steps run from 0 to T-1: write ^{T-1} above the sum", self.at(tree))

    def _limit(self, tree: Any) -> Time:
        limit = self.time(tree)
        if limit is None:
            raise Trouble("syntax", "this limit of a sum is no time: wanted one such as t+1 or T-1", self.at(tree))
        return limit

    def _sum(self, tree: Any, letter: str, low: Time, high: Time, text: str) -> Term:
        if len(letter) != 1 or letter == "T" or letter in self.scope.symbols:
            raise Trouble("syntax", f"{letter} cannot be summed over: wanted a free letter such as k", self.at(tree))
        self.letters.append(letter)
        try:
            return Sum(letter, low, high, self.term(tree.children[-1]), text, at=self.at(tree))
        finally:
            self.letters.pop()

    def _derivative(self, tree: Any) -> Term:
        children = [child for child in tree.children if not _is_token(child, "FRAC", "PARTIAL")]
        immediate = children[0].data == "immediate"
        over, under = children[1:] if immediate else children
        if self._is_operator(tree):
            over, under = under, over
        by = self._below(under)
        of = self.term(over)
        derived = next((part for part in walk(of) if self.is_derived(part)), None)
        if derived is not None:
            raise Trouble("undefined", "the derivative of a derivative has no meaning here", derived.at)
        if immediate and not any(isinstance(part, Name) and part.time is not None for part in walk(of)):
            raise Trouble("undefined", "an immediate derivative needs something at a time above ∂", of.at)
        return Derivative(of, by, immediate, at=self.at(tree))

    def _is_operator(self, tree: Any) -> bool:
        r"""Whether the tree is \frac{\partial}{\partial n} f, in which f comes last."""
        return _is_token(tree.children[-2], "PARTIAL") is False

    def _below(self, tree: Any) -> Name:
        """The symbol that is differentiated by; a weight may be at a time: the copy used at that step alone."""
        while tree.data == "group":
            tree = tree.children[0]
        at = self.at(tree)
        token = tree.children[0] if tree.data in ("symbol", "call") else None
        if token is None:
            raise Trouble("syntax", "below ∂ stands no symbol: wanted one such as net(t) or W", at)
        symbol = self.scope.find(token, at)
        time = self.time(tree.children[-1]) if tree.data == "call" else canonical(token, at)[1]
        if tree.data == "call" and time is None:
            raise Trouble("syntax", "below ∂ stands no symbol: wanted one such as net(t) or W", at)
        if symbol.kind not in ("given", "forward"):
            raise Trouble("undefined", f"no derivative by {token}: it is no part of the forward pass", at)
        if time is None or symbol.timed:
            found = self._named(token, time)
            assert isinstance(found, Name)
            return found
        if symbol.kind != "given":
            raise Trouble("undefined", f"{token} is not indexed in time", at)
        return Name(symbol.name, time, symbol.text, at=at)

    def is_derived(self, part: Term) -> bool:
        if isinstance(part, Name):
            return self.scope.symbols[part.name].kind == "derivative"
        return isinstance(part, Derivative)


def _is_token(child: Any, *types: str) -> bool:
    return getattr(child, "type", None) in types


def _is_past(time: Time) -> bool:
    """Whether a time is before 0, or before t."""
    return time.constant < 0 and all(letter == "t" for letter, _ in time.letters)
