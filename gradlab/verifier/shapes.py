"""The shape of every term, told before anything is computed, with no broadcasting.

    ()             a number: a literal or a declared scalar; the only thing that combines with every shape
    (r, c)         a matrix; a row is (1, c), and a 1 x 1 matrix multiplies like a scalar
    (r, c, R, C)   the derivative of an r x c by an R x C matrix that is no Jacobian: a tensor, which only contracts

A derivative remembers both spaces, so that a product of derivatives contracts over the one they share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

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
    Transpose,
)

Space = tuple[int, int]


class Trouble(Exception):
    """A term without a meaning: `kind` as in `Problem`, `at` the offset of the culprit. Caught within this package."""

    def __init__(self, kind: str, message: str, at: int = 0) -> None:
        super().__init__(message)
        self.kind, self.message, self.at = kind, message, at


class Shape(NamedTuple):
    """What a term's value looks like; `over` and `under` are the two spaces of a derivative."""

    dims: tuple[int, ...]
    over: Space | None = None
    under: Space | None = None

    @property
    def is_number(self) -> bool:
        return self.dims == ()

    @property
    def is_scalar(self) -> bool:
        """Whether it multiplies like a scalar: a number or a 1 x 1 matrix."""
        return self.dims in ((), (1, 1))

    @property
    def is_tensor(self) -> bool:
        return len(self.dims) == 4

    @property
    def plain(self) -> Shape:
        return Shape(self.dims)

    def __str__(self) -> str:
        if self.is_tensor:
            return f"a tensor ({_by(self.dims[:2])} by {_by(self.dims[2:])})"
        return _by(self.dims) if self.dims else "a number"


def of_derivative(over: Shape, under: Shape) -> Shape:
    """The shape of ∂over/∂under: that of `under` for a scalar, the Jacobian for two vectors, else a tensor."""
    m, n = _space(over), _space(under)
    if m == (1, 1):
        return Shape(n, m, n)
    if n == (1, 1):
        return Shape(m, m, n)
    if (m[0] == 1 and n[0] == 1) or (m[1] == 1 and n[1] == 1):
        return Shape((m[0] * m[1], n[0] * n[1]), m, n)
    if 1 in m and 1 in n:
        raise Trouble("shape", f"the derivative of {over} by {under}: wanted a row by a row, or a column by a column")
    return Shape((*m, *n), m, n)


def shape_of(term: Term, names: Callable[[Name], Shape], sizes: Mapping[str, int]) -> Shape:
    """The shape of a term. `names` gives that of a symbol, `sizes` the declared sizes.

    Raises:
        Trouble: kind "shape": the message tells both shapes.
    """

    def shape(part: Term) -> Shape:
        return shape_of(part, names, sizes)

    match term:
        case Number():
            return Shape(())
        case Ones(size):
            return Shape((1, sizes[size])) if size else Shape(())
        case Name():
            return names(term)
        case Negative(inner) | Sum(term=inner):
            return shape(inner)
        case Apply(term=inner) | ElementwisePower(inner):
            return _matrix(shape(inner), "an elementwise function", term).plain
        case Add(left, right) | Subtract(left, right):
            return _sum(shape(left), shape(right), "sum" if isinstance(term, Add) else "difference", term)
        case Elementwise(left, right):
            return _elementwise(shape(left), shape(right), term)
        case Product(left, right):
            for side in (left, right):
                if isinstance(side, Ones) and not side.size:
                    raise Trouble(
                        "shape", r"the size of \mathbf{1} in a product is open: write \mathbf{1}_{H}", side.at
                    )
            return product(shape(left), shape(right), term.at)
        case Derivative(of, by):
            return of_derivative(shape(of), shape(by))
        case _:
            return _of_matrix(term, shape)


def _of_matrix(term: Term, shape: Callable[[Term], Shape]) -> Shape:
    match term:
        case Transpose(inner):
            found = _matrix(shape(inner), "a transpose", term)
            return Shape(found.dims[::-1])
        case Power(inner, exponent):
            found = shape(inner)
            if not found.is_scalar:
                raise Trouble(
                    "shape", rf"the power {exponent} of {found}: ^{{\odot {exponent}}} is elementwise", term.at
                )
            return found.plain
        case Quotient(left, right):
            over, under = shape(left), shape(right)
            if not under.is_scalar:
                raise Trouble("shape", f"a quotient of {over} by {under}: wanted a scalar below the line", term.at)
            return Shape((1, 1)) if over.is_number and not under.is_number else over
        case Diagonal(inner):
            found = shape(inner)
            if found.is_tensor or 1 not in found.dims:
                raise Trouble("shape", f"diag of {found}: wanted a row or a column", term.at)
            size = max(found.dims)
            return Shape((size, size))
        case SquaredNorm(inner):
            found = _matrix(shape(inner), "a norm", term)
            return Shape((1, 1)) if found.dims else found
    raise TypeError(f"no shape for a {type(term).__name__}")


def product(left: Shape, right: Shape, at: int = 0) -> Shape:
    """The shape of a product: by a scalar, a contraction over a shared space, or of two matrices that conform."""
    kind = how_to_multiply(left, right)
    if kind == "scalar":
        if left.is_scalar and right.is_scalar:
            return Shape((1, 1) if (1, 1) in (left.dims, right.dims) else ())
        return right if left.is_scalar else left
    if kind == "chain":
        return of_derivative(Shape(left.over or (1, 1)), Shape(right.under or (1, 1)))
    if kind == "from the left":
        over = (1, 1) if left.dims == right.over else (1, left.dims[0])
        return of_derivative(Shape(over), Shape(right.under or (1, 1)))
    if kind == "inside":
        return of_derivative(Shape((left.dims[0], right.dims[1])), Shape(left.under or (1, 1)))
    if kind == "matrix":
        return Shape((left.dims[0], right.dims[1]))
    hint = r"; \odot would" if left.dims == right.dims and not left.is_tensor else ""
    raise Trouble("shape", f"matrix product of {left} and {right} does not conform{hint}", at)


def how_to_multiply(left: Shape, right: Shape) -> str:
    """Which product two shapes have: "scalar", "chain", "from the left", "inside", "matrix", or "" for none.

    chain: two derivatives, over the space below the left and above the right. from the left: a delta or a Jacobian
    times a tensor, over the tensor's upper space. inside: a tensor times a matrix, which acts on what was
    differentiated.
    """
    if left.is_scalar or right.is_scalar:
        return "scalar"
    if left.under is not None and right.over is not None and left.under == right.over:
        return "chain"
    if right.is_tensor:
        upper = right.over or (0, 0)
        onto_row = len(left.dims) == 2 and upper == (1, left.dims[1])
        return "from the left" if left.dims == upper or onto_row else ""
    if left.is_tensor:
        return "inside" if left.dims[1] == right.dims[0] else ""
    return "matrix" if left.dims[1] == right.dims[0] else ""


def same(left: Shape, right: Shape) -> bool:
    """Whether two sides can be equal: one shape, or a number on one side that stands for every entry."""
    if left.is_tensor or right.is_tensor:
        return (left.dims, left.over, left.under) == (right.dims, right.over, right.under)
    return left.dims == right.dims or left.is_number or right.is_number


def _sum(left: Shape, right: Shape, what: str, term: Term) -> Shape:
    if not same(left, right):
        raise Trouble("shape", f"{what} of {left} and {right}: wanted one shape", term.at)
    if left.is_number or right.is_number:
        return (right if left.is_number else left).plain
    return left if left == right else left.plain


def _elementwise(left: Shape, right: Shape, term: Term) -> Shape:
    if left.is_tensor or right.is_tensor or not same(left, right):
        conforms = bool(how_to_multiply(left, right))
        hint = "; the matrix product would" if conforms else ""
        raise Trouble("shape", f"elementwise product of {left} and {right} does not conform{hint}", term.at)
    return (right if left.is_number else left).plain


def _matrix(shape: Shape, what: str, term: Term) -> Shape:
    if shape.is_tensor:
        raise Trouble("shape", f"{what} of {shape}: a derivative by a matrix only contracts", term.at)
    return shape


def _space(shape: Shape) -> Space:
    if shape.is_tensor:
        raise Trouble("shape", f"a derivative of {shape}: wanted a scalar, a row or a matrix")
    return (shape.dims[0], shape.dims[1]) if shape.dims else (1, 1)


def _by(dims: tuple[int, ...]) -> str:
    return "×".join(map(str, dims))
