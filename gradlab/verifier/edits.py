"""The single edits of a claim: the mistakes people make, each a small change of one term.

They serve twice: to search for what would repair a false claim, and to measure whether every wrong variant of a true
one is caught.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from gradlab.verifier.normal import at_time
from gradlab.verifier.scope import Scope, Symbol
from gradlab.verifier.shapes import Shape, Trouble, shape_of
from gradlab.verifier.terms import (
    Add,
    Apply,
    Blocks,
    Derivative,
    Diagonal,
    Elementwise,
    ElementwisePower,
    Entry,
    Function,
    IndexSum,
    Name,
    Negative,
    Number,
    Outer,
    Power,
    Product,
    ProductOver,
    Quotient,
    SquaredNorm,
    Subtract,
    Sum,
    Term,
    Time,
    Transpose,
    letters,
    parts,
    rebuilt,
    walk,
    with_part,
)

KINDS = (
    "⊙ or ×",
    "order of factors",
    "transpose",
    "time",
    "sign",
    "explicit or total",
    "another weight",
    "another operand",
    "a term dropped",
    "a factor dropped",
    "a number dropped",
    "a sum dropped",
    "an index",
    "a function or a power",
)
"""What the edits of `edits` are called, in the order in which a repair is preferred."""


@dataclass(frozen=True)
class Edit:
    """One change: `before` became `after`, and the whole side is now `result`. kind: one of `KINDS`.

    mistake: what was wrong if this edit repairs it.
    """

    kind: str
    mistake: str
    before: Term
    after: Term
    result: Term


def edits(term: Term, scope: Scope) -> Iterator[Edit]:
    """Every single edit of one side of a claim, those without a shape or a meaning among them."""
    yield from _everywhere(term, scope, "")
    if not isinstance(term, (Number, Negative)):
        yield _edit("sign", "a sign is wrong", term, Negative(term, at=term.at))


def mending(term: Term, scope: Scope, other: Term) -> Iterator[Edit]:
    """The edits that only a repair makes, since they undo one that lost something: a sum over time, a factor 2 or ½."""
    if "t" in letters(term) and "t" not in letters(other):
        yield _edit(
            "a sum dropped", "the sum over time is missing", term, Sum("t", Time(scope.first), scope.last, term, "t")
        )
    for factor in (Fraction(1, 2), Fraction(2)):
        yield _edit("a number dropped", "a factor is wrong", term, Product(Number(factor), term))
    yield from _later_losses(term, scope)


def _later_losses(term: Term, scope: Scope) -> Iterator[Edit]:
    """∂l(t+1)/∂n(t) as the sum over every later loss: the recursion that one step's loss leaves out."""
    if isinstance(term, Derivative) and isinstance(term.of, Name) and term.of.time == Time.of("t", 1):
        later = replace(term, of=replace(term.of, time=Time.of("k")))
        whole = Sum("k", Time.of("t", 1), scope.last, later, "k > t", at=term.at)
        yield _edit("explicit or total", "a recursion is missing", term, whole)
    for name, part in parts(term):
        if name != "by":
            for edit in _later_losses(part, scope):
                yield replace(edit, result=with_part(term, name, edit.result))


def _edit(kind: str, mistake: str, before: Term, after: Term) -> Edit:
    return Edit(kind, mistake, before, after, after)


def _everywhere(term: Term, scope: Scope, where: str) -> Iterator[Edit]:
    """The edits of a term and of all inside it. where: "" or the field of the term around it ("of" and "by" matter)."""
    yield from _here(term, scope, where)
    for name, part in parts(term):
        inside = name if isinstance(term, Derivative) else "of" if where == "of" else type(term).__name__
        for edit in _everywhere(part, scope, inside):
            if not (name == "by" and not isinstance(edit.after, Name)):
                yield replace(edit, result=with_part(term, name, edit.result))


def _here(term: Term, scope: Scope, where: str) -> Iterator[Edit]:
    match term:
        case Product(left, right):
            yield from _of_product(term, left, right)
        case Elementwise(left, right):
            yield _edit("⊙ or ×", "⊙ should be ×", term, Product(left, right, r"\times", at=term.at))
            for side in (left, right):
                yield _edit("a factor dropped", "a factor is too much", term, side)
        case Add(left, right) | Subtract(left, right):
            yield from _of_sum(term, left, right)
        case Negative(inner):
            yield _edit("sign", "a sign is wrong", term, inner)
        case Transpose(inner):
            yield _edit("transpose", "a transpose is too much", term, inner)
        case Sum():
            yield from _of_range(term)
        case Derivative():
            yield from _of_derivative(term, scope)
        case Name():
            yield from _of_name(term, scope, where)
        case _:
            yield from _of_the_rare(term)


def _of_the_rare(term: Term) -> Iterator[Edit]:
    """The edits of indices, functions, powers, products over time and blocks."""
    kind, mistake = "a function or a power", "a function or a power is wrong"
    match term:
        case Entry(_, indices) if len(indices) == 2 and indices[0] != indices[1]:
            yield _edit("an index", "two indices are exchanged", term, replace(term, indices=indices[::-1]))
        case IndexSum(letter, inner, without):
            if without is not None:
                yield _edit("an index", "a sum leaves an index out", term, replace(term, without=None))
            moved = at_index(inner, letter)
            if moved is not None:
                yield _edit("a sum dropped", "a sum is too much", term, moved)
        case ProductOver(low=low, high=high):
            for step in (1, -1):
                yield _edit("time", "a time is wrong", term, replace(term, low=low.plus(Time(step))))
                yield _edit("time", "a time is wrong", term, replace(term, high=high.plus(Time(step))))
            yield _edit(
                "order of factors", "the product runs the other way", term, replace(term, downward=not term.downward)
            )
        case Quotient(left, right):
            yield _edit("a factor dropped", "a factor is too much", term, left)
            yield _edit("order of factors", "a quotient is upside down", term, replace(term, left=right, right=left))
        case Apply(_, inner, primed):
            yield _edit(kind, mistake, term, replace(term, primed=not primed))
            yield _edit(kind, mistake, term, inner)
        case Power(inner, exponent) | ElementwisePower(inner, exponent):
            yield _edit(kind, mistake, term, replace(term, exponent=exponent + 1))
            yield _edit(kind, mistake, term, inner)
        case Function(_, inner) | SquaredNorm(inner) | Diagonal(inner):
            yield _edit(kind, mistake, term, inner)
        case Outer(left, right):
            yield _edit(
                "order of factors", "the factors are in the wrong order", term, replace(term, left=right, right=left)
            )
        case Blocks(((first, second, *rest), *below)):
            rows = ((second, first, *rest), *below)
            yield _edit("order of factors", "two blocks are exchanged", term, replace(term, rows=rows))
        case _:
            pass


def at_index(term: Term, letter: str) -> Term | None:
    """What an index sum adds up, with another letter of it in the place of its own; None if it has no other."""
    others = sorted(letters(term) - {letter, "t", "T"})
    return at_time_and_index(term, letter, Time.of(others[0])) if others else None


def at_time_and_index(term: Term, letter: str, to: Time) -> Term:
    """A term with a letter replaced by a time or an index, in its indices too."""
    if isinstance(term, Entry):
        indices = tuple(to if index == Time.of(letter) else index for index in term.indices)
        term = replace(term, indices=indices)
    return rebuilt(term, lambda part: at_time_and_index(part, letter, to))


def _of_product(term: Product, left: Term, right: Term) -> Iterator[Edit]:
    yield _edit("⊙ or ×", "× should be ⊙", term, Elementwise(left, right, at=term.at))
    yield _edit("order of factors", "the factors are in the wrong order", term, replace(term, left=right, right=left))
    if isinstance(left, Product):
        swapped = replace(term, left=replace(left, right=right), right=left.right)
        yield _edit("order of factors", "the factors are in the wrong order", term, swapped)
    for side, other in ((left, right), (right, left)):
        kind, mistake = ("a factor dropped", "a factor is too much")
        if isinstance(other, Number):
            kind, mistake = ("a number dropped", "a factor is wrong")
        yield _edit(kind, mistake, term, side)


def _of_sum(term: Add | Subtract, left: Term, right: Term) -> Iterator[Edit]:
    other = Subtract if isinstance(term, Add) else Add
    yield _edit("sign", "a sign is wrong", term, other(left, right, at=term.at))
    if isinstance(term, Subtract):
        yield _edit("sign", "a sign is wrong", term, Subtract(right, left, at=term.at))
    for side in (left, right):
        yield _edit("a term dropped", "a term is too much", term, side)


def _of_range(term: Sum) -> Iterator[Edit]:
    for step in (1, -1):
        for name in ("low", "high"):
            limit = getattr(term, name).plus(Time(step))
            moved = replace(term, low=limit) if name == "low" else replace(term, high=limit)
            text = f"{moved.letter}={moved.low}}}^{{{moved.high}"
            yield _edit("time", "a time is wrong", term, replace(moved, text=text))
    yield _edit("a sum dropped", "a sum is too much", term, at_time(term.term, term.letter, Time.of("t")))


def _of_derivative(term: Derivative, scope: Scope) -> Iterator[Edit]:
    mistake = "the total derivative belongs here" if term.immediate else "the immediate derivative belongs here"
    if any(isinstance(part, Name) and part.time is not None for part in walk(term.of)):
        yield _edit("explicit or total", mistake, term, replace(term, immediate=not term.immediate))
    if not isinstance(term.of, Name) or scope.symbols[term.of.name].shape.dims not in ((), (1, 1)):
        return
    for symbol in scope.symbols.values():
        if symbol.kind == "forward" and symbol.shape.dims == (1, 1) and symbol.name != term.of.name:
            time = Time.of("t") if symbol.timed else None
            other = Name(symbol.name, time, symbol.text, at=term.of.at)
            mistake = "a step's loss and the total are confused"
            yield _edit("explicit or total", mistake, term, replace(term, of=other, immediate=False))


def _of_name(term: Name, scope: Scope, where: str) -> Iterator[Edit]:
    symbol = scope.symbols[term.name]
    if symbol.values in ("identity", "ones"):
        return  # each stands for itself alone, and what else has its shape is no mistake that people make
    if term.time is not None:
        for step in (1, -1):
            yield _edit("time", "a time is wrong", term, replace(term, time=term.time.plus(Time(step))))
    for other in scope.symbols.values():
        kind = _confused(symbol, other, where)
        if kind:
            mistake = _mistake(kind, term)
            yield _edit(kind, mistake, term, replace(term, name=other.name, text=other.text))
    if where not in ("by", "Transpose") and len(symbol.shape.dims) == 2 and symbol.shape.dims != (1, 1):
        yield _edit("transpose", "a transpose is missing", term, Transpose(term, at=term.at))


def _mistake(kind: str, term: Name) -> str:
    if kind == "explicit or total":
        later = term.time is not None and term.time.constant > 0
        return "a recursion is missing" if later else "an explicit and a total delta are confused"
    return "another weight belongs here" if kind == "another weight" else "another operand belongs here"


def _confused(one: Symbol, other: Symbol, where: str) -> str:
    """What it would be called to write one symbol for another, or "" if nobody would."""
    if (
        other.values in ("identity", "ones", "arbitrary")
        or one.name == other.name
        or one.timed != other.timed
        or "function" in (one.kind, other.kind)
    ):
        return ""
    if one.kind == other.kind == "given" and not one.timed:
        return "another weight"
    if where in ("of", "by") and "derivative" in (one.kind, other.kind):
        return ""
    if one.shape.dims != other.shape.dims or one.shape.is_scalar:
        return ""
    if one.kind == other.kind == "derivative":
        return "explicit or total"
    return "another operand" if where != "by" and "derivative" not in (one.kind, other.kind) else ""


def shape_or_none(term: Term, scope: Scope) -> Shape | None:
    """The shape of an edited term, or None if it has none."""
    try:
        return shape_of(term, scope)
    except Trouble:
        return None
