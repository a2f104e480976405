"""Proofs, by rule, that two terms mean the same: for the edits of a claim that only write it in another way.

same algebra           the two are one formula, whatever their symbols stand for (see field.py)
no earlier path        ∂⁺ is ∂ where nothing that is differentiated by reaches a state of an earlier step
own loss only          ∂L/∂n(s) is ∂l(s)/∂n(s) where nothing that n(s) reaches is read at another step
no node there          a derivative by what comes later than what is differentiated, or at T or later, is 0
no dependence          what does not depend on the symbol below ∂ may be dropped from a sum above it
by definition          a symbol above ∂ that is computed from given ones, or above ∂⁺, stands for its definition
a second name          where p(t) := a(t-1), p(t) is a(t-1), above ∂ too; and ∂a/∂a is the unit matrix
slope of a function    where a(t) := σ(n(t)), the Jacobian ∂a(t)/∂n(t) is diag(σ'(n(t)))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from gradlab.verifier.field import same_formula
from gradlab.verifier.scope import Scope
from gradlab.verifier.terms import (
    Add,
    Apply,
    Derivative,
    Diagonal,
    Elementwise,
    Name,
    Negative,
    Number,
    Ones,
    Product,
    Subtract,
    Sum,
    Term,
    Time,
    Transpose,
    parts,
    rebuilt,
    walk,
)

ZERO = Number(Fraction(0))
STEPS = Time.of("T")


def why_equal(one: Term, other: Term, scope: Scope) -> str:
    """The names of the rules by which two terms are the same, or "" if no proof is found."""
    normal = Normal(scope)
    left, right = normal(one), normal(other)
    if left != right:
        if ZERO in (left, right) or not same_formula(left, right, scope):
            return ""
        normal.rules.add("same algebra")
    return ", ".join(sorted(normal.rules)) or "the same formula"


class Normal:
    """Rewrites terms to a normal form; `rules` collects the names of the rules that were used."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.rules: set[str] = set()

    def __call__(self, term: Term) -> Term:
        if isinstance(term, Derivative):
            return self._derivative(term)
        if isinstance(term, Name):
            return self._name(term)
        if isinstance(term, Sum):
            return self._sum(term)
        term = rebuilt(term, self)
        match term:
            case Negative(inner) | Transpose(inner):
                return ZERO if inner == ZERO else term
            case Product(left, right) | Elementwise(left, right):
                return ZERO if ZERO in (left, right) else term
            case Add(left, right) if ZERO in (left, right):
                return right if left == ZERO else left
            case _:
                return term

    def _name(self, term: Name) -> Term:
        term = self._renamed(term)
        symbol = self.scope.symbols[term.name]
        time = term.time
        if symbol.kind != "derivative" or symbol.body is None or time is None or not _at_least(time, STEPS):
            return term
        return ZERO if self(at_time(symbol.body, "t", time)) == ZERO else term

    def _renamed(self, name: Name, stop: Name | None = None) -> Name:
        """The symbol that a symbol is only another name for; not beyond `stop`."""
        body = self.scope.symbols[name.name].body
        if name == stop or not isinstance(body, Name) or name.time is None:
            return name
        self.rules.add("a second name")
        found = at_time(body, "t", name.time)
        assert isinstance(found, Name)
        return self._renamed(found, stop)

    def _sum(self, term: Sum) -> Term:
        body = self(term.term)
        if body == ZERO:
            return ZERO
        low, high = term.low, term.high
        for _ in range(3):  # edits move a limit by one step; a few more do no harm
            if self(at_time(term.term, term.letter, low)) == ZERO:
                low = low.plus(Time(1))
            if self(at_time(term.term, term.letter, high)) == ZERO:
                high = high.plus(Time(-1))
        return replace(term, low=low, high=high, term=body)

    # Derivatives.

    def _derivative(self, term: Derivative) -> Term:
        times = [part.time for part in walk(term.of) if isinstance(part, Name) and part.time is not None]
        by = term.by.time
        if by is not None and (_at_least(by, STEPS) or (times and all(_at_least(by, t.plus(Time(1))) for t in times))):
            self.rules.add("no node there")
            return ZERO
        if isinstance(term.of, Name) and term.of.name != term.by.name:
            renamed = self._renamed(term.of, term.by)
            term = replace(term, of=renamed) if renamed == term.by or not term.immediate else term
        if term.of == term.by and (size := self._size(term.by)):
            return Diagonal(Ones(size))
        if self._is_slope(term.of, term.by):
            self.rules.add("slope of a function")
            return Diagonal(Apply(self._function(term.of), term.by, primed=True))
        if term.immediate and self._no_earlier_path(term, times):
            self.rules.add("no earlier path")
            term = replace(term, immediate=False)
        term = replace(term, of=self._unfolded(term, term.of))
        term = replace(term, of=self._dependent(term, term.of))
        times = [part.time for part in walk(term.of) if isinstance(part, Name) and part.time is not None]
        if term.immediate and self._no_earlier_path(term, times):
            self.rules.add("no earlier path")
            term = replace(term, immediate=False)
        loss = self._step_loss(term.of)
        if loss is not None and by is not None and not term.immediate and not self._read_at_other_steps(term.by.name):
            self.rules.add("own loss only")
            term = replace(term, of=Name(loss, by))
        return term

    def _size(self, name: Name) -> str:
        """The name of a row's length, or "" if it is no row of a named length."""
        dims = self.scope.symbols[name.name].shape.dims
        return next((size for size, length in self.scope.sizes.items() if dims == (1, length) != (1, 1)), "")

    def _function(self, of: Term) -> str:
        """The name of σ, if a term is the name of a(t) := σ(…); else ""."""
        body = self.scope.symbols[of.name].body if isinstance(of, Name) else None
        return body.function if isinstance(body, Apply) and not body.primed else ""

    def _is_slope(self, of: Term, by: Name) -> bool:
        """Whether of is a(s) and by is n(s), where a(t) := σ(n(t)) and n is a row or a column."""
        if not isinstance(of, Name) or not self._function(of) or of.time != by.time:
            return False
        symbol = self.scope.symbols[of.name]
        inner = next((part for _, part in parts(symbol.body)), None) if symbol.body is not None else None
        reads_it = isinstance(inner, Name) and inner.name == by.name and inner.time == Time.of("t")
        return reads_it and 1 in symbol.shape.dims and symbol.shape.dims != (1, 1)

    def _unfolded(self, term: Derivative, of: Term) -> Term:
        """What is differentiated, with definitions in the place of symbols where that leaves no recursion open."""
        if isinstance(of, Name):
            symbol = self.scope.symbols[of.name]
            if symbol.body is None or symbol.kind != "forward" or of.time is None or of.name == term.by.name:
                return of
            inner = [part for part in walk(symbol.body) if isinstance(part, Name)]
            closed = all(self.scope.symbols[part.name].kind == "given" for part in inner)
            latest = max((_constant(part.time) for part in walk(term.of) if isinstance(part, Name)), default=0)
            if not closed and not (term.immediate and term.by.time is None and _constant(of.time) == latest):
                return of
            self.rules.add("by definition")
            return self._unfolded(term, at_time(symbol.body, "t", of.time))
        return of if isinstance(of, (Sum, Derivative)) else rebuilt(of, lambda part: self._unfolded(term, part))

    def _dependent(self, term: Derivative, of: Term) -> Term:
        """What is differentiated, without the parts of its sum that do not depend on what is below ∂."""
        if not isinstance(of, (Add, Subtract)):
            return of
        left, right = self._dependent(term, of.left), self._dependent(term, of.right)
        latest = max((_constant(part.time) for part in walk(term.of) if isinstance(part, Name)), default=0)
        reached = self._reached(term.by.name, lambda offset: True)

        def depends(part: Term) -> bool:
            names = [name for name in walk(part) if isinstance(name, Name) and name.name in reached]
            if term.immediate:
                names = [name for name in names if name.time is None or _constant(name.time) == latest]
            return bool(names)

        if depends(left) and not depends(right):
            self.rules.add("no dependence")
            return left
        if depends(right) and not depends(left):
            self.rules.add("no dependence")
            return right if isinstance(of, Add) else Negative(right)
        return replace(of, left=left, right=right)

    def _step_loss(self, of: Term) -> str | None:
        """l, if a term is the name of Σ_t l(t)."""
        body = self.scope.symbols[of.name].body if isinstance(of, Name) else None
        if not isinstance(body, Sum) or body.low != Time() or body.high != Time.of("T", -1):
            return None
        inner = body.term
        return inner.name if isinstance(inner, Name) and inner.time == Time.of(body.letter) else None

    def _no_earlier_path(self, term: Derivative, times: list[Time]) -> bool:
        by = term.by.time
        if by is not None and all(_at_least(by, time) for time in times):
            return True
        names = {part.name for part in walk(term.of) if isinstance(part, Name)}
        if all(self.scope.symbols[name].kind == "given" for name in names):
            return True
        if by is not None and all(_at_least(by.plus(Time(1)), time) for time in times):
            # One step later: only what the node reaches within its own step could carry it on.
            reached = self._reached(term.by.name, lambda offset: offset == 0) - {term.by.name}
            return not any(self._reads(reader, name, _past) for name in reached for reader in self.scope.symbols)
        same = len(set(times)) == 1
        return same and bool(names) and not self._read_at_other_steps(term.by.name)

    def _read_at_other_steps(self, name: str) -> bool:
        """Whether something that a symbol reaches is read at another step than its own."""
        reached = self._reached(name, lambda offset: True)
        symbols = self.scope.symbols
        if any(self._reads(reader, each, _other) for each in reached for reader in symbols):
            return True
        untimed = [each for each in reached - {name} if not symbols[each].timed]
        return any(symbols[r].timed and self._reads(r, each, lambda _: True) for each in untimed for r in symbols)

    def _reached(self, name: str, admit: Callable[[int], bool]) -> set[str]:
        """The forward symbols that depend on a symbol through reads at admitted offsets, and itself."""
        reached = {name}
        while True:
            more = {
                r for r in self.scope.symbols for each in reached if r not in reached and self._reads(r, each, admit)
            }
            if not more:
                return reached
            reached |= more

    def _reads(self, reader: str, name: str, admit: Callable[[int], bool]) -> bool:
        symbol = self.scope.symbols[reader]
        if symbol.kind != "forward" or symbol.body is None:
            return False
        reads = [part for part in walk(symbol.body) if isinstance(part, Name) and part.name == name]
        return any(admit(_offset(part, symbol.timed)) for part in reads)


def at_time(term: Term, letter: str, time: Time) -> Term:
    """A term with an index letter replaced by a time; sums that bind the same letter are left alone."""

    def moved(one: Time) -> Time:
        count = dict(one.letters).get(letter, 0)
        kept = Time(one.constant, tuple(pair for pair in one.letters if pair[0] != letter))
        return kept.plus(time, count) if count else one

    if isinstance(term, Sum):
        if term.letter == letter:
            return term
        term = replace(term, low=moved(term.low), high=moved(term.high))
    if isinstance(term, Name):
        return term if term.time is None else replace(term, time=moved(term.time))
    return rebuilt(term, lambda part: at_time(part, letter, time))


def _constant(time: Time | None) -> int:
    return -(10**6) if time is None else time.constant


def _at_least(one: Time, other: Time) -> bool:
    difference = one.plus(other, -1)
    return not difference.letters and difference.constant >= 0


def _offset(part: Name, timed: bool) -> int:
    """How many steps from its own a definition reads a symbol; 0 for what has no time or is summed over."""
    if part.time is None or not timed:
        return 0
    return part.time.constant if part.time.letters == (("t", 1),) else -1


def _past(offset: int) -> bool:
    return offset < 0


def _other(offset: int) -> bool:
    return offset != 0
