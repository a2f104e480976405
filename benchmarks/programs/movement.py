"""Forms that move whole arrays: shapes, joining and cutting, repeating."""

from __future__ import annotations

import numpy as np

from programs.draft import Draft, Step, summed
from programs.registry import form


@form("reshape")
def _reshape(s: Draft) -> Step:
    a, y = s.variable(ndim=(1, 2, 3), where=lambda shape: np.prod(shape) > 1), s.new()
    size, n = int(np.prod(s.shape(a))), s.integer(2, 4)
    wanted = s.choice("-1", f"({n}, -1)") if size % n == 0 else f"({size}, 1)"
    return Step(
        (y,),
        [f"{y} = {s.choice(f'{a}.reshape({wanted})', f'np.reshape({a}, {wanted})')}"],
        [(a, f"{s.d}{y}.reshape({a}.shape)")],
    )


@form("ravel")
def _ravel(s: Draft) -> Step:
    a, y = s.variable(ndim=(2, 3)), s.new()
    return Step(
        (y,),
        [f"{y} = {s.choice(f'{a}.ravel()', f'np.ravel({a})', f'{a}.flatten()')}"],
        [(a, f"{s.d}{y}.reshape({s.shape(a)})")],
    )


@form("transpose")
def _transpose(s: Draft) -> Step:
    a, y = s.variable(ndim=(2, 3)), s.new()
    d = s.d + y
    if len(s.shape(a)) == 2:
        return Step((y,), [f"{y} = {a}.T"], [(a, f"{d}.T")])
    order = tuple(int(i) for i in s.rng.permutation(3))
    back = tuple(int(i) for i in np.argsort(order))
    return Step((y,), [f"{y} = np.transpose({a}, {order})"], [(a, f"{d}.transpose{back}")])


@form("swapaxes or moveaxis")
def _swapaxes(s: Draft) -> Step:
    a, y, name = s.variable(ndim=3), s.new(), s.choice("swapaxes", "moveaxis")
    return Step((y,), [f"{y} = np.{name}({a}, 0, -1)"], [(a, f"np.{name}({s.d}{y}, -1, 0)")])


@form("expand_dims and squeeze")
def _expand_dims(s: Draft) -> Step:
    a, y = s.variable(ndim=(1, 2)), s.new()
    axis = s.integer(0, len(s.shape(a)))
    return Step((y,), [f"{y} = np.expand_dims({a}, {axis})"], [(a, f"np.squeeze({s.d}{y}, axis={axis})")])


@form("newaxis")
def _newaxis(s: Draft) -> Step:
    a, y = s.variable(ndim=(1, 2)), s.new()
    new, old = s.choice(("[:, None]", "[:, 0]"), ("[np.newaxis]", "[0]"), ("[None, :]", "[0]"))
    return Step((y,), [f"{y} = {a}{new}"], [(a, f"{s.d}{y}{old}")])


@form("stack")
def _stack(s: Draft) -> Step:
    a, y = s.variable(ndim=(0, 1, 2)), s.new()
    b, c, axis = s.alike(a), s.alike(a), s.choice(0, -1)
    d = s.d + y
    part = f"{d}[{{}}]" if axis == 0 else f"{d}[..., {{}}]"
    made = f"np.array([{a}, {b}, {c}])" if axis == 0 and s.chance(0.4) else f"np.stack([{a}, {b}, {c}], axis={axis})"
    return Step((y,), [f"{y} = {made}"], [(one, part.format(i)) for i, one in enumerate((a, b, c))])


@form("concatenate")
def _concatenate(s: Draft) -> Step:
    a, y = s.variable(ndim=(1, 2)), s.new()
    b, last = s.alike(a), len(s.shape(a)) - 1
    axis, d = s.integer(0, last), s.d + y
    n = s.shape(a)[axis]
    before = "" if axis == 0 else ":, "
    names = {(0, 0): "np.hstack([{}, {}])", (0, 1): "np.vstack([{}, {}])", (1, 1): "np.hstack(({}, {}))"}
    made = s.choice(names[axis, last], f"np.concatenate([{{}}, {{}}], axis={axis})").format(a, b)
    return Step((y,), [f"{y} = {made}"], [(a, f"{d}[{before}:{n}]"), (b, f"{d}[{before}{n}:]")])


@form("split")
def _split(s: Draft) -> Step:
    a, axis = s.variable(ndim=(1, 2), where=lambda shape: shape[-1] > 1), -1
    u, v = s.new(), s.new()
    at = s.integer(1, s.shape(a)[-1] - 1)
    return Step(
        (u, v),
        [f"{u}, {v} = np.split({a}, [{at}], axis={axis})"],
        [(a, f"np.concatenate([{s.d}{u}, {s.d}{v}], axis={axis})")],
    )


@form("repeat")
def _repeat(s: Draft) -> Step:
    a, y, times = s.variable(ndim=(1, 2)), s.new(), s.integer(2, 3)
    shape = s.shape(a)
    axis = s.integer(0, len(shape) - 1)
    parts = (*shape[: axis + 1], times, *shape[axis + 1 :])
    return Step(
        (y,), [f"{y} = np.repeat({a}, {times}, axis={axis})"], [(a, f"{s.d}{y}.reshape{parts}.sum(axis={axis + 1})")]
    )


@form("tile")
def _tile(s: Draft) -> Step:
    a, y, times = s.variable(ndim=(1, 2)), s.new(), s.integer(2, 3)
    shape = s.shape(a)
    written = f"{times}" if len(shape) == 1 else f"({times}, 1)"
    return Step((y,), [f"{y} = np.tile({a}, {written})"], [(a, f"{s.d}{y}.reshape{(times, *shape)}.sum(axis=0)")])


@form("pad")
def _pad(s: Draft) -> Step:
    a, y = s.variable(ndim=(1, 2)), s.new()
    widths = [(s.integer(0, 2), s.integer(0, 1)) for _ in s.shape(a)]
    inside = ", ".join(f"{before}:{before + n}" for (before, _), n in zip(widths, s.shape(a), strict=True))
    return Step((y,), [f"{y} = np.pad({a}, {widths})"], [(a, f"{s.d}{y}[{inside}]")])


@form("roll")
def _roll(s: Draft) -> Step:
    a, y, by = s.variable(ndim=(1, 2, 3)), s.new(), s.choice(-2, -1, 1, 2)
    axis = s.integer(0, len(s.shape(a)) - 1)
    return Step((y,), [f"{y} = np.roll({a}, {by}, axis={axis})"], [(a, f"np.roll({s.d}{y}, {-by}, axis={axis})")])


@form("flip")
def _flip(s: Draft) -> Step:
    a, y = s.variable(ndim=(1, 2, 3)), s.new()
    axis, d = s.integer(0, len(s.shape(a)) - 1), s.d + y
    if axis == 0 and s.chance(0.5):
        return Step((y,), [f"{y} = {a}[::-1]"], [(a, f"{d}[::-1]")])
    return Step((y,), [f"{y} = np.flip({a}, axis={axis})"], [(a, f"np.flip({d}, axis={axis})")])


@form("broadcast_to")
def _broadcast_to(s: Draft) -> Step:
    a, y = s.variable(ndim=(0, 1, 2)), s.new()
    shape = s.shape(a)
    wanted = (s.integer(2, 3), *(s.integer(2, 3) if size == 1 else size for size in shape))
    return Step((y,), [f"{y} = np.broadcast_to({a}, {wanted})"], [(a, summed(s.d + y, wanted, shape))])


@form("triu or tril")
def _triangle(s: Draft) -> Step:
    a, y, name = s.variable(ndim=2), s.new(), s.choice("triu", "tril")
    return Step((y,), [f"{y} = np.{name}({a})"], [(a, f"np.{name}({s.d}{y})")])


@form("diagonal matrix")
def _diagonal(s: Draft) -> Step:
    a, y = s.variable(ndim=1), s.new()
    return Step((y,), [f"{y} = np.diag({a})"], [(a, f"np.diag({s.d}{y})")])
