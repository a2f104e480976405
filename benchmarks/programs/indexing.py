"""Forms that read at an index, and forms that write in place: each of these on an array of its own."""

from __future__ import annotations

import numpy as np

from programs.draft import Draft, Step, summed
from programs.registry import form


@form("index of one entry")
def _index_entry(s: Draft) -> Step:
    a, y = s.variable(ndim=(1, 2, 3)), s.new()
    at = [s.integer(-1, size - 1) for size in s.shape(a)]
    index = f"[{', '.join(map(str, at))}]"
    return Step((y,), [f"{y} = {a}{index}"], [(a, s.d + y, index)])


@form("basic index")
def _index_basic(s: Draft) -> Step:
    a, y = s.variable(ndim=(1, 2, 3), where=lambda shape: shape[0] > 1), s.new()
    index = s.choice("[0]", "[-1]", "[1:]", "[:-1]", "[::2]", "[::-1]", "[..., 0]", "[..., ::2]", "[1]")
    return Step((y,), [f"{y} = {a}{index}"], [(a, s.d + y, index)])


@form("fancy index")
def _index_fancy(s: Draft) -> Step:
    a, y, t = s.variable(ndim=(1, 2, 3)), s.new(), s.temporary()
    index = s.data(s.rng.integers(0, s.shape(a)[0], s.choice(3, (2, 2))))
    before = [f"{t} = np.zeros({s.shape(a)})", f"np.add.at({t}, {index}, {s.d}{y})"]
    return Step((y,), [f"{y} = {a}[{index}]"], [(a, t)], before)


@form("fancy index without repeats")
def _index_distinct(s: Draft) -> Step:
    a, y = s.variable(ndim=(1, 2)), s.new()
    order = [int(i) for i in s.rng.permutation(s.shape(a)[-1])[:3]]
    index = f"[..., {order}]" if s.chance(0.5) else f"[..., {s.data(np.array(order))}]"
    twin = [f"{y} = {a}[..., np.array({order})]"]
    return Step((y,), [f"{y} = {a}{index}"], [(a, s.d + y, index)], twin=twin)


@form("pairs of indices")
def _index_pairs(s: Draft) -> Step:
    a, y, t = s.variable(ndim=2), s.new(), s.temporary()
    rows, columns = (s.data(s.rng.integers(0, size, 3)) for size in s.shape(a))
    before = [f"{t} = np.zeros_like({a})", f"np.add.at({t}, ({rows}, {columns}), {s.d}{y})"]
    return Step((y,), [f"{y} = {a}[{rows}, {columns}]"], [(a, t)], before)


@form("boolean index of data")
def _index_mask(s: Draft) -> Step:
    a, y = s.variable(ndim=(1, 2)), s.new()
    mask = s.rng.random(s.shape(a)) < 0.6
    mask.flat[0] = True
    index = f"[{s.data(mask)}]"
    return Step((y,), [f"{y} = {a}{index}"], [(a, s.d + y, index)])


@form("mean over a boolean index of values")
def _mean_of_chosen(s: Draft) -> Step:
    a, y, above = s.variable(ndim=(1, 2)), s.new(), s.number(0.1, 0.5)
    mask, d, t = f"k{y}", s.d + y, s.temporary()
    forward = [f"{mask} = {a} > -{above}", f"{y} = np.sum({a}[{mask}] ** 2) / (1 + {mask}.sum())"]
    twin = [f"{mask} = numpy.asarray(lax.stop_gradient({a}) > -{above})", forward[1]]
    before = [f"{t} = np.zeros_like({a})", f"{t}[{mask}] = 2 * {a}[{mask}] * {d} / (1 + np.count_nonzero({mask}))"]
    return Step((y,), forward, [(a, t)], before, twin, apart=[f"{a} + {above}"])


@form("take")
def _take(s: Draft) -> Step:
    a, y, t = s.variable(ndim=(1, 2, 3)), s.new(), s.temporary()
    axis = s.integer(0, len(s.shape(a)) - 1)
    index = s.data(s.rng.integers(0, s.shape(a)[axis], 3))
    place = ":, " * axis + index
    before = [f"{t} = np.zeros({s.shape(a)})", f"np.add.at({t}, ({place}), {s.d}{y})" if axis == 0 else ""]
    if axis:
        skipped = ", ".join(["slice(None)"] * axis + [index])
        before[1] = f"np.add.at({t}, ({skipped}), {s.d}{y})"
    return Step((y,), [f"{y} = np.take({a}, {index}, axis={axis})"], [(a, t)], before)


@form("writes into zeros")
def _writes_into_zeros(s: Draft) -> Step:
    a, y = s.variable(ndim=(1, 2)), s.new()
    n, *rest = s.shape(a)
    b, d = s.variable(shape=tuple(rest)), s.d + y
    made = s.choice(f"np.zeros({(n + 1, *rest)})", f"np.empty({(n + 1, *rest)})", f"np.full({(n + 1, *rest)}, 0.25)")
    twin = [f"{y} = np.zeros({(n + 1, *rest)}).at[1:].set({a}).at[0].set({b})"]
    return Step(
        (y,), [f"{y} = {made}", f"{y}[1:] = {a}", f"{y}[0] = {b}"], [(a, f"{d}[1:]"), (b, f"{d}[0]")], twin=twin
    )


@form("overwritten part of a copy")
def _overwritten(s: Draft) -> Step:
    a, y, t = s.variable(ndim=(1, 2, 3)), s.new(), s.temporary()
    n, *rest = s.shape(a)
    b, at = s.variable(shape=_later(s, tuple(rest))), s.integer(0, n - 1)
    d = s.d + y
    before = [f"{t} = {d}.copy()", f"{t}[{at}] = 0"]
    forward = [f"{y} = {s.choice(f'{a}.copy()', f'np.array({a})', f'np.copy({a})')}", f"{y}[{at}] = {b}"]
    pulls = [(a, t), (b, summed(f"{d}[{at}]", tuple(rest), s.shape(b)))]
    return Step((y,), forward, pulls, before, [f"{y} = {a}.at[{at}].set({b})"])


def _later(s: Draft, shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape if s.chance(0.7) else ()


@form("through a view")
def _through_view(s: Draft) -> Step:
    a, y = s.variable(ndim=(1, 2), where=lambda shape: shape[0] > 1), s.new()
    n, *rest = s.shape(a)
    b, c = s.variable(shape=(n - 1, *rest)), s.number(0.4, 1.6)
    v, t, d = f"v{y}", s.temporary(), s.d + y
    forward = [f"{y} = {a} * 1.0", f"{v} = {y}[1:]", f"{v} += {b}", f"{v} *= {c}"]
    twin = [f"{y} = {a}.at[1:].add({b}).at[1:].multiply({c})"]
    before = [f"{t} = {d}.copy()", f"{t}[1:] *= {c}"]
    return Step((y,), forward, [(a, t), (b, f"{t}[1:]")], before, twin)


@form("augmented assignment")
def _augmented(s: Draft) -> Step:
    a, y = s.variable(ndim=(1, 2, 3)), s.new()
    b, c, e, d = s.alike(a), s.number(0.4, 1.6), s.constants((), single=False), s.d + y
    forward = [f"{y} = {a} * {c}", f"{y} += {b}", f"{y} -= {e}", f"{y} *= {b}"]
    return Step((y,), forward, [(a, f"{c} * {d} * {b}"), (b, f"{d} * ({c} * {a} + 2 * {b} - {e})")])


@form("out=")
def _out(s: Draft) -> Step:
    a, y = s.variable(ndim=(1, 2, 3)), s.new()
    b, d = s.alike(a), s.d + y
    forward = [f"{y} = np.empty({s.shape(a)})", f"np.multiply({a}, {b}, out={y})", f"np.tanh({y}, out={y})"]
    slope = f"{d} * (1 - {y} ** 2)"
    return Step((y,), forward, [(a, f"{slope} * {b}"), (b, f"{slope} * {a}")], twin=[f"{y} = np.tanh({a} * {b})"])


@form("add.at")
def _add_at(s: Draft) -> Step:
    a, y = s.variable(ndim=(1, 2)), s.new()
    n, *rest = s.shape(a)
    rows = s.integer(2, 3)
    index = s.data(s.rng.integers(0, rows, n))
    forward = [f"{y} = np.zeros({(rows, *rest)})", f"np.add.at({y}, {index}, {a})"]
    return Step(
        (y,), forward, [(a, f"{s.d}{y}[{index}]")], twin=[f"{y} = np.zeros({(rows, *rest)}).at[{index}].add({a})"]
    )


@form("buffer filled in a loop")
def _filled(s: Draft) -> Step:
    a, y = s.variable(ndim=2), s.new()
    (n, m), c, d, t = s.shape(a), s.number(0.4, 1.4), s.d + y, s.temporary()
    forward = [
        f"{y} = np.zeros({(n, m)})",
        f"for i in range({n}):",
        f"    for j in range({m}):",
        f"        {y}[i, j] = {c} * {a}[i, j] ** 2 + {a}[i, 0]",
    ]
    before = [
        f"{t} = np.zeros({(n, m)})",
        f"for i in range({n}):",
        f"    for j in range({m}):",
        f"        {t}[i, j] += 2 * {c} * {a}[i, j] * {d}[i, j]",
        f"        {t}[i, 0] += {d}[i, j]",
    ]
    return Step((y,), forward, [(a, t)], before, [f"{y} = {c} * {a} ** 2 + {a}[:, :1]"])


@form("convolution in windows")
def _convolution(s: Draft) -> Step:
    a, k, y = s.variable(ndim=1, where=lambda shape: shape[0] > 2), s.variable(shape=(2,)), s.new()
    n, d, t, u = s.shape(a)[0], s.d + y, s.temporary(), s.temporary()
    forward = [f"{y} = np.array([np.sum({a}[i : i + 2] * {k}) for i in range({n - 1})])"]
    before = [
        f"{t}, {u} = np.zeros({n}), np.zeros(2)",
        f"for i in range({n - 1}):",
        f"    {t}[i : i + 2] += {d}[i] * {k}",
        f"    {u} += {d}[i] * {a}[i : i + 2]",
    ]
    return Step((y,), forward, [(a, t), (k, u)], before)
