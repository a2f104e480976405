"""The terms that equations are made of, once every name in them is resolved, and how they are written in LaTeX.

A term is immutable and compares by its structure alone, so two sides that are the same formula are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from typing import Any


@dataclass(frozen=True)
class Time:
    """A time that is linear in index letters, such as t + 1 or T - 2: `letters` maps each to its whole factor."""

    constant: int = 0
    letters: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, letter: str, constant: int = 0) -> Time:
        return cls(constant, ((letter, 1),))

    def plus(self, other: Time, factor: int = 1) -> Time:
        total = dict(self.letters)
        for letter, count in other.letters:
            total[letter] = total.get(letter, 0) + factor * count
        kept = tuple(sorted((letter, count) for letter, count in total.items() if count))
        return Time(self.constant + factor * other.constant, kept)

    def at(self, clock: Mapping[str, int]) -> int:
        """The step this is, where the clock says what each letter stands for."""
        return self.constant + sum(count * clock[letter] for letter, count in self.letters)

    def __str__(self) -> str:
        parts = [f"{'+' if n > 0 else '-'}{'' if abs(n) == 1 else abs(n)}{letter}" for letter, n in self.letters]
        if self.constant or not parts:
            parts.append(f"{self.constant:+d}" if parts else str(self.constant))
        return "".join(parts).removeprefix("+")


@dataclass(frozen=True)
class Term:
    """Any term; `at` is the offset in its source at which it begins."""

    at: int = field(default=0, compare=False, kw_only=True)


@dataclass(frozen=True)
class Number(Term):
    """A literal number, exact."""

    value: Fraction


@dataclass(frozen=True)
class Ones(Term):
    """A row of ones as long as the named size; without a size, ones of whatever shape the other side has."""

    size: str = ""


@dataclass(frozen=True)
class Name(Term):
    """A symbol, at a time if it has one. `text` is how the document spells it."""

    name: str
    time: Time | None = None
    text: str = field(default="", compare=False)


@dataclass(frozen=True)
class Negative(Term):
    """-term."""

    term: Term


@dataclass(frozen=True)
class Add(Term):
    """left + right."""

    left: Term
    right: Term


@dataclass(frozen=True)
class Subtract(Term):
    """left - right."""

    left: Term
    right: Term


@dataclass(frozen=True)
class Product(Term):
    """The matrix product, the product by a scalar, or the contraction of two derivatives; `sign` is as written."""

    left: Term
    right: Term
    sign: str = field(default="", compare=False)


@dataclass(frozen=True)
class Elementwise(Term):
    """The product entry by entry."""

    left: Term
    right: Term


@dataclass(frozen=True)
class Transpose(Term):
    """The transpose."""

    term: Term


@dataclass(frozen=True)
class Power(Term):
    """A power of a scalar."""

    term: Term
    exponent: int


@dataclass(frozen=True)
class ElementwisePower(Term):
    """The power of each entry."""

    term: Term
    exponent: int


@dataclass(frozen=True)
class Quotient(Term):
    """left over right, a scalar."""

    left: Term
    right: Term


@dataclass(frozen=True)
class Apply(Term):
    r"""An elementwise function (sigma, tanh, exp, log) or, with primed, its derivative."""

    function: str
    term: Term
    primed: bool = False


@dataclass(frozen=True)
class Diagonal(Term):
    """The diagonal matrix of a row or a column."""

    term: Term


@dataclass(frozen=True)
class SquaredNorm(Term):
    """The sum of the squares of all entries."""

    term: Term


@dataclass(frozen=True)
class Sum(Term):
    """The sum of a term over letter = low, …, high; empty where high < low."""

    letter: str
    low: Time
    high: Time
    term: Term
    text: str = field(default="", compare=False)


@dataclass(frozen=True)
class Derivative(Term):
    """∂of/∂by: total, or, with immediate, the states of earlier steps held constant. said: it is written as total."""

    of: Term
    by: Name
    immediate: bool = False
    said: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class PowerBy(Term):
    """A scalar to the power of another, or each entry to it."""

    term: Term
    exponent: Term


@dataclass(frozen=True)
class Entry(Term):
    """One entry of a matrix, or of a row or a column; each index is linear in letters, and counts from `base`."""

    term: Term
    indices: tuple[Time, ...]


@dataclass(frozen=True)
class IndexSum(Term):
    """The sum of a term over every value of an index letter, but for those that equal `without`."""

    letter: str
    term: Term
    without: Time | None = None
    upper: str = ""


@dataclass(frozen=True)
class ProductOver(Term):
    """The matrix product of a term over letter = low, …, high, from the left; downward: from high to low."""

    letter: str
    low: Time
    high: Time
    term: Term
    downward: bool = False


@dataclass(frozen=True)
class Indicator(Term):
    """1 where two times or indices are as the sign says, else 0: Kronecker's delta and indicators."""

    left: Time
    sign: str
    right: Time


@dataclass(frozen=True)
class Count(Term):
    """A size, or a time or an index, as a number."""

    size: str = ""
    time: Time | None = None


@dataclass(frozen=True)
class Function(Term):
    """A function of a whole matrix. name: one of softmax, logsumexp, sum, mean, trace, det, inverse, max, vec."""

    name: str
    term: Term


@dataclass(frozen=True)
class Outer(Term):
    """The outer product of two vectors."""

    left: Term
    right: Term


@dataclass(frozen=True)
class Blocks(Term):
    """A matrix of blocks, row by row; a concatenation is one row of blocks or one column of them."""

    rows: tuple[tuple[Term, ...], ...]
    concatenates: bool = False


@dataclass(frozen=True)
class Arbitrary(Term):
    """An arbitrary smooth function of other terms, with values of the shape of the symbol `name`."""

    name: str
    arguments: tuple[Term, ...]
    everywhere: bool = False


def parts(term: Term) -> Iterator[tuple[str, Term]]:
    """The terms that a term is made of, each with its field's name; one in a tuple has the name "field.index"."""
    for entry in fields(term):
        value = getattr(term, entry.name)
        if isinstance(value, Term):
            yield entry.name, value
        elif isinstance(value, tuple):
            for index, part in enumerate(value):
                if isinstance(part, Term):
                    yield f"{entry.name}.{index}", part
                elif isinstance(part, tuple):
                    for column, each in enumerate(part):
                        if isinstance(each, Term):
                            yield f"{entry.name}.{index}.{column}", each


def walk(term: Term) -> Iterator[Term]:
    """The term and every term inside it."""
    yield term
    for _, part in parts(term):
        yield from walk(part)


def letters(term: Term) -> set[str]:
    """The index letters that a term's value depends on: those of its times, less those that it sums over."""
    found = {letter for _, part in parts(term) for letter in letters(part)}
    if isinstance(term, (Sum, IndexSum, ProductOver)):
        found.discard(term.letter)
    times: list[Time | None] = []
    match term:
        case Sum(low=low, high=high) | ProductOver(low=low, high=high):
            times = [low, high]
        case Name(time=time) | Count(time=time) | IndexSum(without=time):
            times = [time]
        case Entry(indices=indices):
            times = list(indices)
        case Indicator(left, _, right):
            times = [left, right]
        case _:
            pass
    return found | {letter for time in times if time is not None for letter, _ in time.letters}


def rebuilt(term: Term, change: Callable[[Term], Term]) -> Term:
    """The term with each of its parts changed."""
    found = {name: change(part) for name, part in parts(term)}
    return _with_parts(term, found) if found else term


def _with_parts(term: Term, found: Mapping[str, Term]) -> Term:
    changed: dict[str, Any] = {}
    for name, part in found.items():
        field_name, *places = name.split(".")
        if not places:
            changed[field_name] = part
            continue
        value = list(changed.get(field_name, getattr(term, field_name)))
        if len(places) == 1:
            value[int(places[0])] = part
        else:
            row = list(value[int(places[0])])
            row[int(places[1])] = part
            value[int(places[0])] = tuple(row)
        changed[field_name] = tuple(value)
    return replace(term, **changed)


def replaced(term: Term, old: Term, new: Term) -> Term:
    """The term with every `old` in it replaced by `new`."""
    return new if term == old else rebuilt(term, lambda part: replaced(part, old, new))


def with_part(term: Term, name: str, part: Term) -> Term:
    """The term with one of its parts replaced."""
    return _with_parts(term, {name: part})


def latex(term: Term, level: int = 0) -> str:
    """The term in the language of derivations. level: 0 where a sum may stand, 1 a product, 2 a factor only."""
    match term:
        case Add(left, right) | Subtract(left, right):
            sign = "+" if isinstance(term, Add) else "-"
            return _wrapped(f"{latex(left)} {sign} {latex(right, 1)}", level > 0)
        case Negative(inner):
            return _wrapped(f"-{latex(inner, 1)}", level > 0)
        case Product(left, right, sign):
            loose = isinstance(left, Elementwise) or (isinstance(left, Product) and left.sign not in ("", sign))
            first = latex(left, 2 if loose and not sign else 1)
            return _wrapped(f"{first} {sign} {latex(right, 2)}".replace("  ", " "), level > 1)
        case Elementwise(left, right):
            return _wrapped(rf"{latex(left, 1)} \odot {latex(right, 2)}", level > 1)
        case Sum():
            return _wrapped(rf"\sum_{{{term.text}}} {latex(term.term, 1)}", level > 0)
        case IndexSum(letter, inner, without):
            below = letter if without is None else rf"{letter} \neq {without}"
            return _wrapped(rf"\sum_{{{below}}} {latex(inner, 1)}", level > 0)
        case ProductOver(letter, low, high, inner):
            return _wrapped(rf"\prod_{{{letter}={low}}}^{{{high}}} {latex(inner, 1)}", level > 0)
        case Outer(left, right):
            return _wrapped(rf"{latex(left, 1)} \otimes {latex(right, 2)}", level > 1)
        case _:
            return _factor(term)


def _factor(term: Term) -> str:
    match term:
        case Number(value):
            return str(value) if value.denominator == 1 else rf"\frac{{{value.numerator}}}{{{value.denominator}}}"
        case Ones(size):
            return rf"\mathbf{{1}}_{{{size}}}" if size else r"\mathbf{1}"
        case Name(name, time, text):
            return (text or name) + ("" if time is None else f"({time})")
        case Transpose(inner):
            return latex(inner, 2) + "^T"
        case Power(inner, exponent):
            return f"{latex(inner, 2)}^{{{exponent}}}"
        case ElementwisePower(inner, exponent):
            return rf"{latex(inner, 2)}^{{\odot {exponent}}}"
        case Quotient(left, right):
            return rf"\frac{{{latex(left)}}}{{{latex(right)}}}"
        case Apply(function, inner, primed):
            if function.startswith("?"):
                return f"{function[1:]}{chr(39) * primed}({latex(inner)})"
            return rf"\{function}{chr(39) * primed}({latex(inner)})"
        case Diagonal(inner):
            return rf"\operatorname{{diag}}({latex(inner)})"
        case SquaredNorm(inner):
            return rf"\lVert {latex(inner)} \rVert^2"
        case Derivative(of, by, immediate):
            plus = "^+" if immediate else ""
            return rf"\frac{{\partial{plus} {latex(of, 2)}}}{{\partial {latex(by)}}}"
        case _:
            return _rare(term)


def _rare(term: Term) -> str:
    match term:
        case PowerBy(inner, exponent):
            if isinstance(exponent, Number) and exponent.value == Fraction(1, 2):
                return rf"\sqrt{{{latex(inner)}}}"
            return f"{latex(inner, 2)}^{{{latex(exponent)}}}"
        case Entry(inner, indices):
            text = ",".join(map(str, indices)) if any(len(str(i)) > 1 for i in indices) else "".join(map(str, indices))
            return f"{latex(inner, 2)}_{{{text}}}"
        case Indicator(left, sign, right):
            return rf"\mathbb{{1}}[{left} {sign} {right}]"
        case Count(size, time):
            return size or str(time)
        case Function(name, inner):
            return latex(inner, 2) + "^{-1}" if name == "inverse" else rf"\operatorname{{{name}}}({latex(inner)})"
        case Blocks(rows, concatenates):
            if concatenates:
                return "[" + ", ".join(latex(cell) for row in rows for cell in row) + "]"
            lines = r" \\ ".join(" & ".join(latex(cell) for cell in row) for row in rows)
            return rf"\begin{{pmatrix}} {lines} \end{{pmatrix}}"
        case Arbitrary(name, arguments):
            return f"{name}({', '.join(latex(each) for each in arguments)})"
        case _:
            raise TypeError(f"no way to write a {type(term).__name__}")


def _wrapped(text: str, needed: bool) -> str:
    return f"({text})" if needed else text
