"""Forms that compute along axes: sums, moments, extremes, softmax and its kin."""

from __future__ import annotations

import numpy as np

from programs.draft import Draft, Step
from programs.registry import form


def _axis(s: Draft, a: str, several: bool = True) -> tuple[str, str, int]:
    """Arguments axis and keepdims, how a reduced gradient is spread again ({} stands for it), entries in one slice.

    several: two axes of three will do.
    """
    shape = s.shape(a)
    if s.chance(0.25):
        return "", "{}", int(np.prod(shape))
    if several and len(shape) == 3 and s.chance(0.5):
        axes = s.choice((0, 1), (0, -1), (1, 2))
        return f"axis={axes}", f"np.expand_dims({{}}, {axes})", int(np.prod([shape[axis] for axis in axes]))
    axis = s.integer(-len(shape), len(shape) - 1)
    if s.chance(0.4):
        return f"axis={axis}, keepdims=True", "{}", shape[axis]
    if axis == -1 and s.chance(0.5) and len(shape) > 1:
        return "axis=-1", "({})[..., None]", shape[axis]
    return f"axis={axis}", f"np.expand_dims({{}}, {axis})", shape[axis]


def _reduction(s: Draft, name: str, a: str, axis: str) -> str:
    return f"np.{name}({', '.join([a, axis] if axis else [a])})" if s.chance(0.6) else f"{a}.{name}({axis})"


@form("sum")
def _sum(s: Draft) -> Step:
    a, y = s.variable(ndim=(1, 2, 3)), s.new()
    axis, spread, _ = _axis(s, a)
    d = spread.format(s.d + y)
    pull = s.choice(f"np.ones_like({a}) * {d}", f"np.broadcast_to({d}, {a}.shape)", f"np.zeros({s.shape(a)}) + {d}")
    return Step((y,), [f"{y} = {_reduction(s, 'sum', a, axis)}"], [(a, pull)])


@form("mean")
def _mean(s: Draft) -> Step:
    a, y = s.variable(ndim=(1, 2, 3)), s.new()
    axis, spread, n = _axis(s, a)
    return Step(
        (y,),
        [f"{y} = {_reduction(s, 'mean', a, axis)}"],
        [(a, f"np.ones({s.shape(a)}) * {spread.format(s.d + y)} / {n}")],
    )


def _centered(a: str, axis: str) -> str:
    kept = axis if "keepdims" in axis else f"{axis}, keepdims=True" if axis else "keepdims=True"
    return f"({a} - np.mean({a}, {kept}))"


def _moment(s: Draft, name: str) -> tuple[str, str, str, str, str, int]:
    """Operand, result, forward line, how a gradient is spread again, the operand less its mean, degrees of freedom."""
    a, y = s.variable(ndim=(1, 2, 3)), s.new()
    axis, spread, n = _axis(s, a)
    lost = 1 if n > 2 and s.chance(0.3) else 0
    arguments = ", ".join([axis] * bool(axis) + [f"ddof={lost}"] * lost)
    return a, y, f"{y} = {_reduction(s, name, a, arguments)}", spread, _centered(a, axis), n - lost


@form("var")
def _var(s: Draft) -> Step:
    a, y, line, spread, centered, n = _moment(s, "var")
    return Step((y,), [line], [(a, f"2 / {n} * {spread.format(s.d + y)} * {centered}")], apart=[y])


@form("std")
def _std(s: Draft) -> Step:
    a, y, line, spread, centered, n = _moment(s, "std")
    return Step((y,), [line], [(a, f"{spread.format(f'{s.d}{y} / {y}')} * {centered} / {n}")], apart=[f"0.1 * {y}"])


@form("prod")
def _prod(s: Draft) -> Step:
    a, y = s.variable(ndim=(1, 2, 3)), s.new()
    axis, spread, _ = _axis(s, a)
    pull = f"{spread.format(f'({s.d}{y} * {y})')} / {a}"
    return Step((y,), [f"{y} = {_reduction(s, 'prod', a, axis)}"], [(a, pull)], apart=[f"0.1 * {a}", y])


@form("norm")
def _norm(s: Draft) -> Step:
    a, y = s.variable(ndim=(1, 2)), s.new()
    axis, spread, _ = _axis(s, a, several=False)
    pull = f"{a} * {spread.format(f'({s.d}{y} / {y})')}"
    return Step(
        (y,), [f"{y} = np.linalg.norm({', '.join([a, axis] if axis else [a])})"], [(a, pull)], apart=[f"0.1 * {y}"]
    )


def _gaps(a: str, axis: str) -> str:
    """The distances of neighbours in order along an axis."""
    chosen = axis.removesuffix(", keepdims=True").removeprefix("axis=")
    return f"np.diff(np.sort({a}, axis={chosen}), axis={chosen})" if axis else f"np.diff(np.sort(np.ravel({a})))"


@form("max or min")
def _extreme(s: Draft) -> Step:
    a, y, name = s.variable(ndim=(1, 2, 3)), s.new(), s.choice("max", "min")
    axis, spread, _ = _axis(s, a, several=False)
    pull = f"{spread.format(s.d + y)} * ({a} == {spread.format(y)})"
    return Step((y,), [f"{y} = {_reduction(s, name, a, axis)}"], [(a, pull)], apart=[_gaps(a, axis)])


@form("argmax")
def _argmax(s: Draft) -> Step:
    a, y = s.variable(ndim=1), s.new()
    k = f"k{y}"
    forward = [f"{k} = int(np.argmax({a}))", f"{y} = {a}[{k}] * {a}[{k}]"]
    return Step((y,), forward, [(a, f"2 * {a}[{k}] * {s.d}{y}", f"[{k}]")], apart=[_gaps(a, "")])


@form("cumsum")
def _cumsum(s: Draft) -> Step:
    a, y = s.variable(ndim=(1, 2, 3)), s.new()
    axis, d = s.integer(0, len(s.shape(a)) - 1), s.d + y
    pull = f"np.flip(np.cumsum(np.flip({d}, {axis}), axis={axis}), {axis})"
    if axis == 0:
        pull = s.choice(pull, f"np.cumsum({d}[::-1], axis=0)[::-1]")
    return Step((y,), [f"{y} = np.cumsum({a}, axis={axis})"], [(a, pull)])


@form("softmax")
def _softmax(s: Draft) -> Step:
    a, y = s.variable(ndim=(1, 2, 3), where=lambda shape: shape[-1] > 1), s.new()
    e, d, t = f"e{y}", s.d + y, s.temporary()
    lines = [
        f"{e} = np.exp({a} - np.max({a}, axis=-1, keepdims=True))",
        f"{y} = {e} / np.sum({e}, axis=-1, keepdims=True)",
    ]
    before = [f"{t} = {d} * {y}"]
    return Step(
        (y,), lines, [(a, f"{t} - {y} * np.sum({t}, axis=-1, keepdims=True)")], before, apart=[_gaps(a, "axis=-1")]
    )


@form("logsumexp")
def _logsumexp(s: Draft) -> Step:
    a, y = s.variable(ndim=(1, 2, 3)), s.new()
    m, e, d = f"m{y}", f"e{y}", s.d + y
    axis = s.choice(0, -1)
    lines = [
        f"{m} = np.max({a}, axis={axis}, keepdims=True)",
        f"{e} = np.exp({a} - {m})",
        f"{y} = np.log({e}.sum(axis={axis})) + np.squeeze({m}, axis={axis})",
    ]
    pull = f"np.expand_dims({d}, {axis}) * {e} / {e}.sum(axis={axis}, keepdims=True)"
    return Step((y,), lines, [(a, pull)], apart=[_gaps(a, f"axis={axis}")])


@form("cross entropy of labels")
def _cross_entropy(s: Draft) -> Step:
    a, y = s.variable(ndim=2, where=lambda shape: shape[-1] > 1), s.new()
    n, k = s.shape(a)
    labels, p, t = s.data(s.rng.integers(0, k, n)), f"p{y}", s.temporary()
    lines = [
        f"{p} = np.exp({a})",
        f"{p} = {p} / {p}.sum(axis=1, keepdims=True)",
        f"{y} = -np.log({p}[np.arange({n}), {labels}]).mean()",
    ]
    before = [f"{t} = {p}.copy()", f"{t}[np.arange({n}), {labels}] -= 1"]
    return Step((y,), lines, [(a, f"{s.d}{y} * {t} / {n}")], before)


@form("standardised")
def _standardised(s: Draft) -> Step:
    a, y = s.variable(ndim=(1, 2), where=lambda shape: shape[-1] > 2), s.new()
    w, d = f"w{y}", s.d + y
    lines = [
        f"{w} = np.sqrt({a}.var(axis=-1, keepdims=True) + {s.choice('1e-5', '1e-3', '0.01')})",
        f"{y} = ({a} - {a}.mean(axis=-1, keepdims=True)) / {w}",
    ]
    inner = f"{d} - {d}.mean(axis=-1, keepdims=True) - {y} * ({d} * {y}).mean(axis=-1, keepdims=True)"
    return Step((y,), lines, [(a, f"({inner}) / {w}")], apart=[f"0.1 * {w}"])
