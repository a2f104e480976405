"""The shape of every term, told before anything is computed, with no broadcasting.

    ()             a number: a literal or a declared scalar; the only thing that combines with every shape
    (r, c)         a matrix; a row is (1, c), and a 1 x 1 matrix multiplies like a scalar
    (r, c, R, C)   the derivative of an r x c by an R x C matrix that is no Jacobian: a tensor, which only contracts

A derivative remembers both spaces, so that a product of derivatives contracts over the one they share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

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


class Context(Protocol):
    """What shapes depend on beside the term: the symbols, the sizes, and how the document is read.

    layout: "shape" (a gradient has the shape of what it is by, the numerator of a Jacobian runs along its rows),
    "numerator" (a gradient is transposed) or "denominator" (a Jacobian is, and chains run from right to left).
    strict: whether nothing is broadcast but numbers, and only scalars have powers.
    """

    layout: str
    strict: bool

    @property
    def sizes(self) -> Mapping[str, int]:
        """The sizes by their names."""

    def shape_of_name(self, name: Name) -> Shape:
        """The shape of a symbol."""

    def shape_of_symbol(self, name: str) -> Shape:
        """The shape of a symbol by its plain name."""


def of_derivative(over: Shape, under: Shape, layout: str = "shape") -> Shape:
    """The shape of ∂over/∂under: that of `under` for a scalar, the Jacobian for two vectors, else a tensor."""
    m, n = _space(over), _space(under)
    if m == (1, 1):
        return Shape(n[::-1] if layout == "numerator" else n, m, n)
    if n == (1, 1):
        return Shape(m[::-1] if layout == "denominator" else m, m, n)
    if (m[0] == 1 and n[0] == 1) or (m[1] == 1 and n[1] == 1):
        found = (m[0] * m[1], n[0] * n[1])
        return Shape(found[::-1] if layout == "denominator" else found, m, n)
    if 1 in m and 1 in n:
        raise Trouble("shape", f"the derivative of {over} by {under}: wanted a row by a row, or a column by a column")
    return Shape((*m, *n), m, n)


def shape_of(term: Term, context: Context) -> Shape:
    """The shape of a term.

    Raises:
        Trouble: kind "shape": the message tells both shapes.
    """

    def shape(part: Term) -> Shape:
        return shape_of(part, context)

    match term:
        case Number():
            return Shape(())
        case Ones(size):
            return Shape((1, context.sizes[size])) if size else Shape(())
        case Name():
            return context.shape_of_name(term)
        case Negative(inner) | Sum(term=inner) | IndexSum(term=inner):
            return shape(inner)
        case Apply(term=inner) | ElementwisePower(inner):
            return _matrix(shape(inner), "an elementwise function", term).plain
        case Add(left, right) | Subtract(left, right):
            return _sum(shape(left), shape(right), "sum" if isinstance(term, Add) else "difference", term, context)
        case Elementwise(left, right):
            return _elementwise(shape(left), shape(right), term, context)
        case Product(left, right):
            for side in (left, right):
                if isinstance(side, Ones) and not side.size:
                    raise Trouble(
                        "shape", r"the size of \mathbf{1} in a product is open: write \mathbf{1}_{H}", side.at
                    )
            return product(shape(left), shape(right), term.at, context)
        case Derivative(of, by):
            return of_derivative(shape(of), shape(by), context.layout)
        case _:
            return _of_matrix(term, shape, context)


def _of_matrix(term: Term, shape: Callable[[Term], Shape], context: Context) -> Shape:
    match term:
        case Transpose(inner):
            found = _matrix(shape(inner), "a transpose", term)
            return Shape(found.dims[::-1])
        case Power(inner, exponent):
            found = shape(inner)
            square = len(found.dims) == 2 and found.dims[0] == found.dims[1]
            if not found.is_scalar and (context.strict or (found.is_tensor or (1 not in found.dims and not square))):
                raise Trouble(
                    "shape", rf"the power {exponent} of {found}: ^{{\odot {exponent}}} is elementwise", term.at
                )
            return found.plain
        case Quotient(left, right):
            over, under = shape(left), shape(right)
            if under.is_scalar:
                return Shape((1, 1)) if over.is_number and not under.is_number else over
            if context.strict or not (over.is_number or over.dims == under.dims):
                raise Trouble("shape", f"a quotient of {over} by {under}: wanted a scalar below the line", term.at)
            return under.plain
        case Diagonal(inner):
            found = shape(inner)
            square = len(found.dims) == 2 and found.dims[0] == found.dims[1] != 1
            if not found.dims or found.is_tensor or (1 not in found.dims and (context.strict or not square)):
                raise Trouble("shape", f"diag of {found}: wanted a row or a column", term.at)
            size = max(found.dims)
            return Shape((size, size))
        case SquaredNorm(inner):
            found = _matrix(shape(inner), "a norm", term)
            return Shape((1, 1)) if found.dims else found
        case _:
            return _rare(term, shape, context)


def _rare(term: Term, shape: Callable[[Term], Shape], context: Context) -> Shape:
    match term:
        case PowerBy(inner, exponent):
            base, power = _matrix(shape(inner), "a power", term), shape(exponent)
            return (power if base.is_scalar and not power.is_scalar else base).plain
        case Entry(inner, indices):
            found = shape(inner)
            axes = [size for size in found.dims if size != 1] if len(indices) == 1 else list(found.dims)
            if len(axes) != len(indices):
                raise Trouble("shape", f"{len(indices)} indices of {found}", term.at)
            return Shape(())
        case Indicator() | Count():
            return Shape(())
        case ProductOver(term=inner):
            found = shape(inner)
            if found.is_tensor or (not found.is_scalar and found.dims[0] != found.dims[1]):
                raise Trouble("shape", f"a product over steps of {found}: wanted a square matrix", term.at)
            return found.plain
        case Function(name, inner):
            return _of_function(name, _matrix(shape(inner), name, term), term)
        case Outer(left, right):
            over, under = shape(left), shape(right)
            for each in (over, under):
                if each.is_tensor or 1 not in each.dims:
                    raise Trouble("shape", f"an outer product of {over} and {under}: wanted two vectors", term.at)
            return Shape((max(over.dims), max(under.dims)))
        case Blocks():
            return _of_blocks(term, shape)
        case Arbitrary(name):
            return context.shape_of_symbol(name)
    raise TypeError(f"no shape for a {type(term).__name__}")


def _of_function(name: str, inner: Shape, term: Term) -> Shape:
    if name == "softmax":
        return inner.plain
    if name == "inverse":
        if inner.is_scalar or inner.dims[0] == inner.dims[1]:
            return inner.plain
        raise Trouble("shape", f"the inverse of {inner}: wanted a square matrix", term.at)
    if name in ("trace", "det") and inner.dims and inner.dims[0] != inner.dims[1]:
        raise Trouble("shape", f"the {name} of {inner}: wanted a square matrix", term.at)
    if name == "vec" and inner.dims:
        return Shape((inner.dims[0] * inner.dims[1], 1))
    return Shape(())


def _of_blocks(term: Blocks, shape: Callable[[Term], Shape]) -> Shape:
    rows = [[_matrix(shape(cell), "a block", term) for cell in row] for row in term.rows]
    dims = [[cell.dims or (1, 1) for cell in row] for row in rows]
    if term.concatenates and all(cell[1] == 1 for cell in dims[0]) and not all(cell[0] == 1 for cell in dims[0]):
        return Shape((sum(cell[0] for cell in dims[0]), 1))
    heights = [{cell[0] for cell in row} for row in dims]
    widths = {sum(cell[1] for cell in row) for row in dims}
    if any(len(height) > 1 for height in heights) or len(widths) > 1:
        raise Trouble("shape", "the blocks of a matrix do not fit together", term.at)
    return Shape((sum(height.pop() for height in heights), widths.pop()))


def product(left: Shape, right: Shape, at: int = 0, context: Context | None = None) -> Shape:
    """The shape of a product: by a scalar, a contraction over a shared space, or of two matrices that conform."""
    layout = context.layout if context is not None else "shape"
    kind = how_to_multiply(left, right, layout)
    if kind == "scalar":
        if left.is_scalar and right.is_scalar:
            return Shape((1, 1) if (1, 1) in (left.dims, right.dims) else ())
        return right if left.is_scalar else left
    if kind == "chain":
        return of_derivative(Shape(left.over or (1, 1)), Shape(right.under or (1, 1)), layout)
    if kind == "reversed chain":
        return of_derivative(Shape(right.over or (1, 1)), Shape(left.under or (1, 1)), layout)
    if kind == "from the left":
        over = (1, 1) if left.dims == right.over else (1, left.dims[0])
        return of_derivative(Shape(over), Shape(right.under or (1, 1)), layout)
    if kind == "inside":
        return of_derivative(Shape((left.dims[0], right.dims[1])), Shape(left.under or (1, 1)), layout)
    if kind == "matrix":
        return Shape((left.dims[0], right.dims[1]))
    hint = r"; \odot would" if left.dims == right.dims and not left.is_tensor else ""
    raise Trouble("shape", f"matrix product of {left} and {right} does not conform{hint}", at)


def how_to_multiply(left: Shape, right: Shape, layout: str = "shape") -> str:
    """Which product two shapes have: "scalar", "chain", "from the left", "inside", "matrix", or "" for none.

    In the denominator layout a chain is a "reversed chain". chain: two derivatives, over the space below the left and
    above the right. from the left: a delta or a Jacobian times a tensor, over the tensor's upper space. inside: a
    tensor times a matrix, which acts on what was differentiated.
    """
    if left.is_scalar or right.is_scalar:
        return "scalar"
    if layout == "denominator" and None not in (left.over, right.under) and left.over == right.under:
        return "reversed chain"
    if layout != "denominator" and None not in (left.under, right.over) and left.under == right.over:
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


def _sum(left: Shape, right: Shape, what: str, term: Term, context: Context) -> Shape:
    if not context.strict:
        if {left.is_scalar, right.is_scalar} == {True}:
            return left.plain if left.dims else right.plain
        rows = [side for side in (left, right) if len(side.dims) == 2 and side.dims[0] == 1 != side.dims[1]]
        if len(rows) == 1 and len(left.dims) == len(right.dims) == 2 and left.dims[1] == right.dims[1]:
            return (right if rows[0] is left else left).plain  # a row added to each row of a batch
    if not same(left, right):
        raise Trouble("shape", f"{what} of {left} and {right}: wanted one shape", term.at)
    if left.is_number or right.is_number:
        return (right if left.is_number else left).plain
    return left if left == right else left.plain


def _elementwise(left: Shape, right: Shape, term: Term, context: Context) -> Shape:
    if not context.strict and (left.is_scalar or right.is_scalar):
        return (right if left.is_scalar else left).plain
    if left.is_tensor or right.is_tensor or not same(left, right):
        conforms = bool(how_to_multiply(left, right, context.layout))
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
