"""Forms with products of matrices, vectors and batches."""

from __future__ import annotations

from programs.draft import Draft, Step
from programs.registry import form


def _product(s: Draft, left: tuple[int, ...], right: tuple[int, ...]) -> tuple[str, str]:
    """Two operands of these shapes, of which one is captured data at times."""
    if s.chance(0.3):
        return s.constants(left), s.variable(shape=right)
    a = s.variable(shape=left)
    return a, s.variable(shape=right) if s.chance(0.8) else s.constants(right)


@form("matmul")
def _matmul(s: Draft) -> Step:
    (n, k), (m,), d = s.shape_like(2), s.sizes(1), s.d
    a, b = _product(s, (n, k), (k, m))
    y = s.new()
    return Step((y,), [f"{y} = {a} @ {b}"], [(a, f"{d}{y} @ {b}.T"), (b, f"{a}.T @ {d}{y}")])


@form("np.matmul of a batch")
def _matmul_batch(s: Draft) -> Step:
    (batch, n, k), (m,) = s.shape_like(3), s.sizes(1)
    a, b = _product(s, (batch, n, k), (k, m))
    y = s.new()
    d = s.d + y
    to_b = s.choice(
        f"np.einsum('bnk,bnm->km', {a}, {d})",
        f"np.tensordot({a}, {d}, axes=([0, 1], [0, 1]))",
        f"({a}.transpose(0, 2, 1) @ {d}).sum(axis=0)",
    )
    return Step((y,), [f"{y} = np.matmul({a}, {b})"], [(a, f"{d} @ {b}.T"), (b, to_b)])


@form("vector @ matrix")
def _vector_matrix(s: Draft) -> Step:
    (k,), (m,) = s.shape_like(1), s.sizes(1)
    a, b = _product(s, (k,), (k, m))
    y = s.new()
    d = s.d + y
    return Step((y,), [f"{y} = {a} @ {b}"], [(a, s.choice(f"{d} @ {b}.T", f"{b} @ {d}")), (b, f"np.outer({a}, {d})")])


@form("dot")
def _dot(s: Draft) -> Step:
    (n, k), y = s.shape_like(2), s.new()
    a, b = _product(s, (n, k), (k,))
    d = s.d + y
    return Step(
        (y,),
        [f"{y} = {s.choice(f'np.dot({a}, {b})', f'{a}.dot({b})')}"],
        [(a, f"np.outer({d}, {b})"), (b, f"np.dot({a}.T, {d})")],
    )


@form("dot of vectors")
def _dot_of_vectors(s: Draft) -> Step:
    (n,), y = s.shape_like(1), s.new()
    a, b = _product(s, (n,), (n,))
    d = s.d + y
    return Step(
        (y,),
        [f"{y} = {s.choice(f'np.dot({a}, {b})', f'{a} @ {b}', f'np.inner({a}, {b})', f'np.vdot({a}, {b})')}"],
        [(a, f"{d} * {b}"), (b, f"{d} * {a}")],
    )


@form("outer")
def _outer(s: Draft) -> Step:
    (n,), (m,), y = s.shape_like(1), s.shape_like(1), s.new()
    a, b = _product(s, (n,), (m,))
    d = s.d + y
    return Step((y,), [f"{y} = np.outer({a}, {b})"], [(a, f"{d} @ {b}"), (b, s.choice(f"{a} @ {d}", f"{d}.T @ {a}"))])


@form("inner")
def _inner(s: Draft) -> Step:
    (n, k), (m,), y = s.shape_like(2), s.sizes(1), s.new()
    a, b = _product(s, (n, k), (m, k))
    d = s.d + y
    return Step((y,), [f"{y} = np.inner({a}, {b})"], [(a, f"{d} @ {b}"), (b, f"{d}.T @ {a}")])


@form("tensordot")
def _tensordot(s: Draft) -> Step:
    n, k, m = s.shape_like(3)
    a, b = _product(s, (n, k, m), (k, m))
    y = s.new()
    d = s.d + y
    axes = s.choice("2", "([1, 2], [0, 1])")
    return Step(
        (y,),
        [f"{y} = np.tensordot({a}, {b}, axes={axes})"],
        [(a, f"{d}[:, None, None] * {b}"), (b, f"np.tensordot({d}, {a}, axes=1)")],
    )


@form("einsum")
def _einsum(s: Draft) -> Step:
    left, right, result = s.choice(
        "ij,jk,ik", "ij,j,i", "ij,ij,i", "bij,jk,bik", "bij,bjk,bik", "bi,bj,bij", "ij,kj,ik", "bij,bi,bj"
    ).split(",")
    sizes = dict(zip("bijk", s.sizes(4), strict=True))
    a, b = _product(s, tuple(sizes[i] for i in left), tuple(sizes[i] for i in right))
    y = s.new()
    d = s.d + y
    pulls = [
        (a, f"np.einsum('{result},{right}->{left}', {d}, {b})"),
        (b, f"np.einsum('{result},{left}->{right}', {d}, {a})"),
    ]
    return Step((y,), [f"{y} = np.einsum('{left},{right}->{result}', {a}, {b})"], pulls)


@form("trace of a product")
def _trace(s: Draft) -> Step:
    (n, m), y = s.shape_like(2), s.new()
    a, b = _product(s, (n, m), (m, n))
    return Step((y,), [f"{y} = np.trace({a} @ {b})"], [(a, f"{s.d}{y} * {b}.T"), (b, f"{s.d}{y} * {a}.T")])


@form("dense layer on data")
def _dense(s: Draft) -> Step:
    (n, k, m), y = s.sizes(3), s.new()
    x, weights, bias = s.constants((n, k)), s.variable(shape=(k, m)), s.variable(shape=(m,))
    d = s.d + y
    return Step((y,), [f"{y} = {x} @ {weights} + {bias}"], [(weights, f"{x}.T @ {d}"), (bias, f"{d}.sum(axis=0)")])
