"""The shapes of symbols, found by unification over all equations of a scope.

Each symbol is a hypothesis: S a scalar, C a column, R a row, M a matrix, Q a square one. Sizes are unknowns that
equations make equal; 1 is a size of its own, which no other may meet. A search changes hypotheses, one symbol at a
time, until most equations conform.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gradlab.verifier.limits import Limits
from gradlab.verifier.scope import Scope
from gradlab.verifier.survey import LOSSES
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
    walk,
)

_SCALARS = frozenset("alpha beta lambda eta epsilon mu N n m T rho e pi gamma tau varepsilon".split())
_OF_VECTORS = (Transpose, Diagonal, SquaredNorm, Outer, Function, IndexSum, Entry, Blocks, Elementwise)
MOST_RUNS = 400
FEWER_RUNS = 12


class Clash(Exception):
    """Two sizes that cannot be one. Caught within this package."""


@dataclass(frozen=True)
class Shaped:
    """What a term looks like while sizes are unknown: rows and columns, or the two spaces of a derivative."""

    rows: int = 0
    columns: int = 0
    over: tuple[int, int] | None = None
    under: tuple[int, int] | None = None
    is_tensor: bool = False


SCALAR = Shaped()


@dataclass(frozen=True)
class Equation:
    """What is unified: a definition (weight 3), a claim (1) or a declared shape (5: `sizes` of the symbol `name`)."""

    left: Term | None
    right: Term | None
    weight: float
    indices: tuple[str, ...] = ()
    name: str = ""
    sizes: tuple[str, ...] = ()


class Sizes:
    """Unknown sizes and which of them are one; 0 is the size 1."""

    def __init__(self) -> None:
        self.parent = [0]
        self.label: dict[int, str] = {}

    def new(self) -> int:
        self.parent.append(len(self.parent))
        return len(self.parent) - 1

    def find(self, size: int) -> int:
        while self.parent[size] != size:
            self.parent[size] = self.parent[self.parent[size]]
            size = self.parent[size]
        return size

    def join(self, one: int, other: int) -> None:
        one, other = self.find(one), self.find(other)
        if one == other:
            return
        if 0 in (one, other):
            raise Clash("a size over 1 meets 1")
        if one in self.label and other in self.label and self.label[one] != self.label[other]:
            raise Clash(f"the sizes {self.label[one]} and {self.label[other]}")
        if other in self.label:
            one, other = other, one
        self.parent[other] = one

    def saved(self) -> tuple[list[int], dict[int, str]]:
        return list(self.parent), dict(self.label)

    def restore(self, saved: tuple[list[int], dict[int, str]]) -> None:
        count = len(saved[0])
        self.parent = list(saved[0]) + list(range(count, len(self.parent)))
        self.label = saved[1]


@dataclass
class Attempt:
    """One set of hypotheses, and how far the equations conform under it: `score` all, `founded` without the claims."""

    kinds: dict[str, str]
    layout: str = "shape"
    sizes: Sizes = field(default_factory=Sizes)
    shapes: dict[str, tuple[int, int]] = field(default_factory=dict)
    named: dict[object, int] = field(default_factory=dict)
    letters: dict[str, int] = field(default_factory=dict)
    spans: dict[int, tuple[tuple[int, ...], int]] = field(default_factory=dict)
    failed: list[Equation] = field(default_factory=list)
    score: float = 0.0
    founded: float = 0.0
    changes: int = 0
    cost: float = 0.0

    @property
    def rank(self) -> float:
        """How well the definitions conform, less what had to be changed for it."""
        return self.founded - 0.5 * self.changes

    def run(self, equations: Iterable[Equation]) -> Attempt:
        """Unify every equation that conforms, and note those that do not."""
        for equation in equations:
            saved = self.sizes.saved()
            self.letters = {}
            try:
                self._equation(equation)
                self.score += equation.weight
                self.founded += equation.weight if equation.weight > 1 else 0
            except Clash:
                self.sizes.restore(saved)
                self.failed.append(equation)
        self.score -= 0.2 * self.cost
        return self

    def size(self, label: str) -> int:
        if label == "1":
            return 0
        if label not in self.named:
            self.named[label] = self.sizes.new()
            self.sizes.label[self.named[label]] = label
        return self.named[label]

    def shape(self, name: str) -> tuple[int, int]:
        found = self.shapes.get(name)
        if found is None:
            kind = self.kinds.get(name, "S")
            new = self.sizes.new
            rows = new() if kind in "CMQ" else 0
            columns = rows if kind == "Q" else new() if kind in "RM" else 0
            found = rows, columns
            self.shapes[name] = found
        return found

    def _equation(self, equation: Equation) -> None:
        if equation.name:
            self._declared(equation)
            return
        assert equation.left is not None
        assert equation.right is not None
        left, right = self.of(equation.left), self.of(equation.right)
        if left is None or right is None or left.is_tensor or right.is_tensor:
            self.cost += 2
            return
        if isinstance(equation.right, Number) or isinstance(equation.left, Number):
            return
        self._same(left, right)

    def _declared(self, equation: Equation) -> None:
        rows, columns = self.shape(equation.name)
        wanted = [self.size(label) for label in equation.sizes]
        if len(wanted) == 1:
            wanted = [wanted[0], 0] if self.sizes.find(columns) == 0 else [0, wanted[0]]
        if not wanted:
            wanted = [0, 0]
        self.sizes.join(rows, wanted[0])
        self.sizes.join(columns, wanted[1])

    def _is_scalar(self, shaped: Shaped) -> bool:
        find = self.sizes.find
        return not shaped.is_tensor and find(shaped.rows) == 0 and find(shaped.columns) == 0

    def _same(self, left: Shaped, right: Shaped) -> None:
        self.sizes.join(left.rows, right.rows)
        self.sizes.join(left.columns, right.columns)

    def _tried(self, *pairs: tuple[int, int]) -> bool:
        saved = self.sizes.saved()
        try:
            for one, other in pairs:
                self.sizes.join(one, other)
        except Clash:
            self.sizes.restore(saved)
            return False
        return True

    def of(self, term: Term) -> Shaped | None:
        """The shape of a term, None if it is not known; unifies what the term demands."""
        match term:
            case Number() | Count() | Indicator():
                return SCALAR
            case Ones():
                return None
            case Name(name):
                return Shaped(*self.shape(name))
            case Negative(inner) | Apply(term=inner) | ElementwisePower(inner):
                found = self.of(inner)
                return None if found is None else Shaped(found.rows, found.columns, is_tensor=found.is_tensor)
            case Sum(term=inner) | ProductOver(term=inner):
                return self.of(inner)
            case IndexSum(letter, inner, _, upper):
                return self._index_sum(letter, inner, upper)
            case Add(left, right) | Subtract(left, right):
                return self._added(left, right)
            case Elementwise(left, right):
                return self._elementwise(self.of(left), self.of(right))
            case Product(left, right):
                return self._product(self.of(left), self.of(right))
            case Derivative(of, by):
                return self._derivative(self.of(of), self.of(by))
            case Transpose(inner):
                found = self.of(inner)
                return None if found is None or found.is_tensor else Shaped(found.columns, found.rows)
            case _:
                return self._rare(term)

    def _rare(self, term: Term) -> Shaped | None:
        match term:
            case Power(inner) | PowerBy(inner):
                return self.of(inner)
            case Quotient(left, right):
                over, under = self.of(left), self.of(right)
                if over is None or under is None or self._is_scalar(under):
                    return over
                if self._is_scalar(over):
                    return Shaped(under.rows, under.columns)
                return self._elementwise(over, under)
            case Diagonal(inner):
                found = self.of(inner)
                if found is None:
                    return None
                side = found.rows if self.sizes.find(found.rows) else found.columns
                if not self.sizes.find(side):
                    raise Clash("diag of a scalar")
                return Shaped(side, side)
            case SquaredNorm(inner):
                self.of(inner)
                return SCALAR
            case Entry(inner, indices):
                return self._entry(inner, indices)
            case Function(name, inner):
                return self._function(name, self.of(inner))
            case Outer(left, right):
                one, other = self.of(left), self.of(right)
                if one is None or other is None:
                    return None
                rows, columns = (s.rows if self.sizes.find(s.rows) else s.columns for s in (one, other))
                return Shaped(rows, columns)
            case Blocks():
                return self._blocks(term)
            case Arbitrary(name, arguments):
                for argument in arguments:
                    self.of(argument)
                return Shaped(*self.shape(name))
        return None

    def _index_sum(self, letter: str, inner: Term, upper: str) -> Shaped | None:
        kept = self.letters.pop(letter, None)
        if upper and len(upper) <= 2:
            self.letters[letter] = self.size(upper)
        found = self.of(inner)
        self.letters.pop(letter, None)
        if kept is not None:
            self.letters[letter] = kept
        return found

    def _entry(self, inner: Term, indices: tuple[Time, ...]) -> Shaped:
        found = self.of(inner)
        if found is None or found.is_tensor:
            return SCALAR
        axes = [size for size in (found.rows, found.columns) if self.sizes.find(size)]
        if len(axes) != len(indices):
            raise Clash(f"{len(indices)} indices of something with {len(axes)} axes")
        for index, size in zip(indices, axes, strict=True):
            if len(index.letters) == 1 and index == Time.of(index.letters[0][0]):
                letter = index.letters[0][0]
                if letter in self.letters:
                    self._join_axis(self.letters[letter], size)
                self.letters[letter] = size
            elif len(index.letters) > 1 and all(
                factor == 1 and letter in self.letters for letter, factor in index.letters
            ):
                members = tuple(self.letters[letter] for letter, _ in index.letters)
                self.spans.setdefault(self.sizes.find(size), (members, index.constant))
        return SCALAR

    def _join_axis(self, one: int, other: int) -> None:
        """Join two sizes, unless one is the span of the other and more: x is longer than y where y_i reads x_{i+k}."""
        find = self.sizes.find
        for root, (members, _) in self.spans.items():
            ends = {find(one), find(other)}
            if find(root) in ends and ends & {find(member) for member in members} - {find(root)}:
                raise Clash("an index runs beyond the end")
        self.sizes.join(one, other)

    def _function(self, name: str, inner: Shaped | None) -> Shaped | None:
        if name == "softmax":
            return inner
        if name in ("inverse", "trace", "det") and inner is not None:
            self.sizes.join(inner.rows, inner.columns)
            return inner if name == "inverse" else SCALAR
        return None if name == "vec" else SCALAR

    def _added(self, left: Term, right: Term) -> Shaped | None:
        one, other = self.of(left), self.of(right)
        if one is None or other is None:
            return one or other
        if one.is_tensor or other.is_tensor:
            return one
        if self._is_scalar(one) != self._is_scalar(other):
            literal = isinstance(left, Number) or isinstance(right, Number)
            self.cost += 0 if literal else 0.5
            return other if self._is_scalar(one) else one
        if self._tried((one.rows, other.rows), (one.columns, other.columns)):
            return one if one.over == other.over else Shaped(one.rows, one.columns)
        for row, batch in ((one, other), (other, one)):
            if self.sizes.find(row.rows) == 0 and self.sizes.find(batch.rows) and self.sizes.find(batch.columns):
                self.sizes.join(row.columns, batch.columns)
                self.cost += 0.5
                return Shaped(batch.rows, batch.columns)
        raise Clash("a sum of two shapes")

    def _elementwise(self, one: Shaped | None, other: Shaped | None) -> Shaped | None:
        if one is None or other is None:
            return one or other
        if one.is_tensor or other.is_tensor:
            raise Clash("an elementwise product of a tensor")
        if self._is_scalar(one) or self._is_scalar(other):
            self.cost += 0.2
            return other if self._is_scalar(one) else one
        self._same(one, other)
        return Shaped(one.rows, one.columns)

    def _product(self, one: Shaped | None, other: Shaped | None) -> Shaped | None:
        if one is None or other is None:
            return None
        if self._is_scalar(one) or self._is_scalar(other):
            return other if self._is_scalar(one) else one
        if None not in (one.over, other.over):
            for left, right in ((one, other), (other, one)):
                assert left.under is not None and right.over is not None
                if self._tried(*zip(left.under, right.over, strict=True)):
                    assert left.over is not None and right.under is not None
                    return self._spaces(left.over, right.under)
        if one.is_tensor or other.is_tensor:
            return None
        if self._tried((one.columns, other.rows)):
            return Shaped(one.rows, other.columns)
        raise Clash("a product that does not conform")

    def _derivative(self, of: Shaped | None, by: Shaped | None) -> Shaped | None:
        if of is None or by is None or of.is_tensor or by.is_tensor:
            return None
        return self._spaces((of.rows, of.columns), (by.rows, by.columns))

    def _spaces(self, over: tuple[int, int], under: tuple[int, int]) -> Shaped:
        find = self.sizes.find
        above = [size for size in over if find(size)]
        below = [size for size in under if find(size)]
        if not above:
            rows, columns = under[::-1] if self.layout == "numerator" else under
            return Shaped(rows, columns, over, under)
        if not below:
            rows, columns = over[::-1] if self.layout == "denominator" else over
            return Shaped(rows, columns, over, under)
        if len(above) == len(below) == 1:
            rows, columns = (below[0], above[0]) if self.layout == "denominator" else (above[0], below[0])
            return Shaped(rows, columns, over, under)
        return Shaped(0, 0, over, under, is_tensor=True)

    def _blocks(self, term: Blocks) -> Shaped | None:
        rows = [[self.of(cell) for cell in row] for row in term.rows]
        if any(cell is None for row in rows for cell in row):
            return None
        cells = [[cell for cell in row if cell is not None] for row in rows]
        flat = [cell for row in cells for cell in row]
        find = self.sizes.find
        if term.concatenates and len(cells) == 1:
            if all(find(cell.columns) == 0 for cell in flat) and not all(self._is_scalar(cell) for cell in flat):
                return Shaped(self._total([cell.rows for cell in flat]), 0)
            for cell in flat[1:]:
                self.sizes.join(flat[0].rows, cell.rows)
            return Shaped(flat[0].rows, self._total([cell.columns for cell in flat]))
        for row in cells:
            for cell in row[1:]:
                self.sizes.join(row[0].rows, cell.rows)
        for row in cells[1:]:
            for cell, above in zip(row, cells[0], strict=False):
                self.sizes.join(cell.columns, above.columns)
        return Shaped(self._total([row[0].rows for row in cells]), self._total([cell.columns for cell in cells[0]]))

    def _total(self, parts_of: list[int]) -> int:
        if len(parts_of) == 1:
            return parts_of[0]
        if all(self.sizes.find(part) == 0 for part in parts_of):
            return self.size(str(len(parts_of)))
        key = ("total", *(self.sizes.find(part) for part in parts_of))
        if key not in self.named:
            self.named[key] = self.sizes.new()
        return self.named[key]


def infer(scope: Scope, equations: list[Equation], declared: dict[str, str], limits: Limits) -> list[Attempt]:
    """The best hypotheses for columns, for rows and for scalars throughout, the best of all first.

    declared: the kinds that front matter or the document says.
    """
    names = list(dict.fromkeys(name for equation in equations for name in _names(equation)))
    starts = []
    terms = [side for equation in equations for side in (equation.left, equation.right) if side is not None]
    is_of_vectors = any(isinstance(part, _OF_VECTORS) for term in terms for part in walk(term))
    for orientation in "CR" if is_of_vectors else "CRS":
        priors = {name: declared.get(name) or _prior(scope, equations, name, orientation) for name in names}
        starts.append(Attempt(priors, scope.layout).run(equations))
    starts.sort(key=lambda attempt: -attempt.score)
    found = [
        _climb(equations, start, set(declared), limits, MOST_RUNS if start is starts[0] else FEWER_RUNS)
        for start in starts
    ]
    found.sort(key=lambda attempt: (-attempt.rank, -attempt.score))
    vectors = [attempt for attempt in found if set(attempt.kinds.values()) - {"S"}]
    if vectors and (len(vectors) == len(found) or found[0].founded < vectors[0].founded + 0.9):
        return vectors  # of numbers everything is true that is true of vectors, and more
    return found[:1]


def _climb(equations: list[Equation], best: Attempt, fixed: set[str], limits: Limits, most: int) -> Attempt:
    """Change one symbol after the other as long as more definitions conform.

    A claim may be wrong, and bends nothing: it only chooses among changes that fit the definitions equally well, and
    tells of symbols that stand in no definition.
    """
    total = sum(equation.weight for equation in equations)
    priors, runs = dict(best.kinds), 0
    founded = {name for equation in equations if equation.weight > 1 for name in _names(equation)}
    while best.failed and best.score < total and runs < most:
        if all(equation.weight <= 1 for equation in best.failed):
            most = min(most, runs + FEWER_RUNS)
        suspects = dict.fromkeys(name for equation in best.failed for name in _names(equation) if name not in fixed)
        better: tuple[float, Attempt] | None = None
        changes = [{name: kind} for name in suspects for kind in "SCRM" if kind != best.kinds.get(name)]
        for equation in best.failed[:6]:
            flexible = [n for n in _names(equation) if n not in fixed and best.kinds.get(n) != "M"]
            changes += [dict.fromkeys(flexible, kind) for kind in "SCR" if len(flexible) > 1]
        for change in changes:
            limits.tick()
            runs += 1
            if runs >= most:
                break
            tried = Attempt({**best.kinds, **change}, best.layout).run(equations)
            score = tried.score - 0.2 * sum(_distance(priors.get(name, kind), kind) for name, kind in change.items())
            if tried.founded <= best.founded and (tried.founded < best.founded or founded & set(change)):
                continue
            if score > best.score + 0.01 and (better is None or score > better[0]):
                better = score, tried
        if better is None:
            break
        best = better[1]
        best.changes = sum(_distance(priors.get(name, kind), kind) for name, kind in best.kinds.items())
    return best


def _distance(prior: str, kind: str) -> int:
    """How far a hypothesis is from how the symbol is written; that W is a number is the farthest."""
    return 0 if prior == kind else 3 if (prior, kind) == ("M", "S") else 1


def _names(equation: Equation) -> Iterator[str]:
    if equation.name:
        yield equation.name
    for side in (equation.left, equation.right):
        if side is not None:
            for part in walk(side):
                if isinstance(part, (Name, Arbitrary)):
                    yield part.name


def _prior(scope: Scope, equations: list[Equation], name: str, orientation: str) -> str:
    """What a symbol is before any equation speaks: by how many indices it has, and by how it is written."""
    symbol = scope.symbols.get(name)
    if symbol is not None and symbol.values == "identity":
        return "Q"
    if symbol is not None and symbol.values == "ones":
        return orientation if orientation != "S" else "C"
    indices = max((len(equation.indices) for equation in equations if _defines(equation, name)), default=0)
    is_differentiated = False
    for equation in equations:
        for side in (equation.left, equation.right):
            for part in walk(side) if side is not None else ():
                if isinstance(part, Entry) and isinstance(part.term, Name) and part.term.name == name:
                    indices = max(indices, len(part.indices))
                if isinstance(part, Entry) and isinstance(part.term, Derivative) and part.term.by.name == name:
                    indices = max(indices, len(part.indices))
                if isinstance(part, Derivative) and isinstance(part.of, Name) and part.of.name == name:
                    is_differentiated = True
    if indices:
        return "M" if indices > 1 else orientation if orientation != "S" else "C"
    base = name.split("_")[0].split("^")[0].split("(")[0]
    is_loss = base in LOSSES and (is_differentiated or base in ("L", "E", "J"))
    if base in _SCALARS or is_loss:
        return "S"
    if len(base) == 1 and base.isupper():
        return "M"
    if base in ("Theta", "Sigma", "Omega", "Lambda", "Phi", "Psi"):
        return "M"
    return orientation


def _defines(equation: Equation, name: str) -> bool:
    return isinstance(equation.left, Name) and equation.left.name == name
