"""Forms with control flow: loops that carry a state, branches on data and on values.

Legend: T steps, I inputs, H hidden units.
"""

from __future__ import annotations

import numpy as np

from programs.draft import Draft, Step
from programs.registry import form


def _recurrent(s: Draft) -> tuple[int, str, str, str, str, str]:
    """T; inputs (T, I), W_input (I, H), W_hidden (H, H), bias (H,), first state (H,)."""
    (T, I), H = s.shape_like(2), s.integer(1, 3)
    x = s.constants((T, I)) if s.chance(0.7) else s.variable(shape=(T, I))
    first = s.variable(shape=(H,)) if s.chance(0.5) else s.data(np.zeros(H), single=False)
    return T, x, s.variable(shape=(I, H)), s.variable(shape=(H, H)), s.variable(shape=(H,)), first


@form("recurrent loop on a list")
def _recurrent_list(s: Draft) -> Step:
    T, x, w, u, b, first = _recurrent(s)
    y, every = s.new(), s.chance(0.5)
    hs, d, dh, da = f"{y}s", s.d + y, s.temporary(), s.temporary()
    dx, dw, du, db = s.temporary(), s.temporary(), s.temporary(), s.temporary()
    forward = [
        f"{hs} = [{first}]",
        f"for t in range({T}):",
        f"    {hs}.append(np.tanh({x}[t] @ {w} + {hs}[-1] @ {u} + {b}))",
        f"{y} = np.stack({hs}[1:])" if every else f"{y} = {hs}[-1]",
    ]
    before = [
        f"{dx}, {dw} = np.zeros({s.shape(x)}), np.zeros_like({w})",
        f"{du}, {db} = np.zeros_like({u}), np.zeros_like({b})",
        f"{dh} = np.zeros_like({b})" if every else f"{dh} = {d}",
        f"for t in reversed(range({T})):",
        *([f"    {dh} = {dh} + {d}[t]"] if every else []),
        f"    {da} = {dh} * (1 - {hs}[t + 1] ** 2)",
        f"    {dx}[t] = {da} @ {w}.T",
        f"    {dw} += np.outer({x}[t], {da})",
        f"    {du} += np.outer({hs}[t], {da})",
        f"    {db} += {da}",
        f"    {dh} = {u} @ {da}",
    ]
    return Step((y,), forward, [(x, dx), (w, dw), (u, du), (b, db), (first, dh)], before)


@form("recurrent loop on a buffer")
def _recurrent_buffer(s: Draft) -> Step:
    T, x, w, u, b, first = _recurrent(s)
    y, carried = s.new(), s.new("h")
    d, da, dh, next_ = s.d + y, s.temporary(), s.temporary(), s.temporary()
    (H,) = s.shape(b)
    forward = [
        f"{y} = np.empty(({T}, {H}))",
        f"{carried} = {first}",
        f"for t in range({T}):",
        f"    {y}[t] = 1 / (1 + np.exp(-({x}[t].dot({w}) + {carried}.dot({u}) + {b})))",
        f"    {carried} = {y}[t]",
    ]
    twin = [
        f"{y}, {carried} = [], {first}",
        f"for t in range({T}):",
        f"    {carried} = 1 / (1 + np.exp(-({x}[t].dot({w}) + {carried}.dot({u}) + {b})))",
        f"    {y}.append({carried})",
        f"{y} = np.stack({y})",
    ]
    before = [
        f"{da} = np.empty(({T}, {H}))",
        f"{next_} = np.zeros({H})",
        f"for t in range({T} - 1, -1, -1):",
        f"    {dh} = {d}[t] + {next_}",
        f"    {da}[t] = {dh} * {y}[t] * (1 - {y}[t])",
        f"    {next_} = np.dot({da}[t], {u}.T)",
    ]
    to_u = f"np.outer({first}, {da}[0]) + {y}[:-1].T @ {da}[1:]"
    pulls = [(x, f"{da} @ {w}.T"), (w, f"{x}.T @ {da}"), (u, to_u), (b, f"{da}.sum(axis=0)"), (first, next_)]
    return Step((y,), forward, pulls, before, twin)


@form("leaky integrator")
def _leaky(s: Draft) -> Step:
    a, y, keep = s.variable(ndim=(1, 2)), s.new(), s.number(0.3, 0.9)
    T, *rest = s.shape(a)
    d, t, dh = s.d + y, s.temporary(), s.temporary()
    forward = [f"{y} = np.zeros({tuple(rest)})", f"for t in range({T}):", f"    {y} = {keep} * {y} + {a}[t]"]
    before = [
        f"{t}, {dh} = np.zeros({s.shape(a)}), {d}",
        f"for t in reversed(range({T})):",
        f"    {t}[t] = {dh}",
        f"    {dh} = {keep} * {dh}",
    ]
    return Step((y,), forward, [(a, t)], before)


@form("gated carry")
def _gated(s: Draft) -> Step:
    a, y = s.variable(ndim=2), s.new()
    g, (T, H) = s.variable(shape=s.shape(a)), s.shape(a)
    cs, z, d = f"c{y}", f"z{y}", s.d + y
    dg, da, dc = s.temporary(), s.temporary(), s.temporary()
    forward = [
        f"{cs}, {z} = {{-1: np.zeros({H})}}, {{}}",
        f"for t in range({T}):",
        f"    {z}[t] = 1 / (1 + np.exp(-{g}[t]))",
        f"    {cs}[t] = {z}[t] * {cs}[t - 1] + (1 - {z}[t]) * {a}[t]",
        f"{y} = {cs}[{T - 1}]",
    ]
    before = [
        f"{da}, {dg} = np.zeros_like({a}), np.zeros_like({g})",
        f"{dc} = np.copy({d})",
        f"for t in range({T})[::-1]:",
        f"    {da}[t] += {dc} * (1 - {z}[t])",
        f"    {dg}[t] += {dc} * ({cs}[t - 1] - {a}[t]) * {z}[t] * (1 - {z}[t])",
        f"    {dc} = {dc} * {z}[t]",
    ]
    return Step((y,), forward, [(a, da), (g, dg)], before)


@form("masked steps")
def _masked(s: Draft) -> Step:
    a, b, y = s.variable(ndim=2), s.variable(ndim=0), s.new()
    T, H = s.shape(a)
    present = s.data([int(one) for one in s.rng.random(T) < 0.7])
    hs, d, da, db, dh = f"{y}s", s.d + y, s.temporary(), s.temporary(), s.temporary()
    forward = [
        f"{hs} = [np.ones({H})]",
        f"for t in range({T}):",
        f"    if {present}[t] == 0:",
        f"        {hs}.append({hs}[-1])",
        "        continue",
        f"    {hs}.append(np.sin({hs}[-1] * {b} + {a}[t]))",
        f"{y} = {hs}[-1]",
    ]
    before = [
        f"{da}, {db}, {dh} = np.zeros({T, H}), 0.0, {d}",
        f"for t in reversed(range({T})):",
        f"    if {present}[t]:",
        f"        {da}[t] = {dh} * np.cos({hs}[t] * {b} + {a}[t])",
        f"        {db} += np.sum({da}[t] * {hs}[t])",
        f"        {dh} = {da}[t] * {b}",
    ]
    return Step((y,), forward, [(a, da), (b, db)], before)


@form("loop until a value is reached")
def _until(s: Draft) -> Step:
    a, y = s.variable(ndim=(0, 1), low=0.2), s.new()
    limit, n, d, dh = s.number(2.0, 4.0), f"n{y}", s.d + y, s.temporary()
    grow = s.number(1.2, 1.6)
    forward = [
        f"{y}, {n} = {a}, 0",
        f"while np.sum({y}) < {limit}:",
        f"    {y} = {grow} * {y} + 0.125 * {a}",
        f"    {n} += 1",
    ]
    before = [
        f"{dh}, {d}_first = {d}, 0.0",
        f"for _ in range({n}):",
        f"    {d}_first = {d}_first + 0.125 * {dh}",
        f"    {dh} = {grow} * {dh}",
    ]
    return Step(
        (y,), forward, [(a, f"{d}_first + {dh}")], before, apart=[f"np.sum({y}) - {limit}", f"np.sum({a}) - {limit}"]
    )


@form("steps of Newton's method")
def _newton(s: Draft) -> Step:
    a, y = s.variable(low=0.2), s.new()
    xs, d, da, dx = f"{y}s", s.d + y, s.temporary(), s.temporary()
    forward = [
        f"{xs} = [1.0 + 0 * {a}]",
        "for _ in range(3):",
        f"    {xs}.append(0.5 * ({xs}[-1] + {a} / {xs}[-1]))",
        f"{y} = {xs}[-1]",
    ]
    before = [
        f"{da}, {dx} = 0.0, {d}",
        f"for x in reversed({xs}[:-1]):",
        f"    {da} = {da} + 0.5 * {dx} / x",
        f"    {dx} = 0.5 * {dx} * (1 - {a} / x ** 2)",
    ]
    return Step((y,), forward, [(a, da)], before)


@form("sum over rows in Python")
def _rows(s: Draft) -> Step:
    a, y = s.variable(ndim=2), s.new()
    (n, _), d, t = s.shape(a), s.d + y, s.temporary()
    weights = s.data(s.numbers((n,), low=0.0).tolist())
    line = f"sum(w * np.sum(row ** 2) for row, w in zip({a}, {weights}))"
    before = [f"{t} = np.stack([2 * w * row for row, w in zip({a}, {weights})])"]
    return Step((y,), [f"{y} = {line}"], [(a, f"{t} * {d}")], before)


@form("branch on captured data")
def _branch_on_data(s: Draft) -> Step:
    a, y, t = s.variable(), s.new(), s.temporary()
    condition = s.choice(
        f"np.sum({s.constants((3,), single=False)}) > 0",
        f"{s.data(bool(s.chance(0.5)))}",
        f"{s.data(s.choice('sine', 'line'))} == 'sine'",
    )
    d, c = s.d + y, s.number(0.5, 1.5)
    forward = [f"if {condition}:", f"    {y} = np.sin({a})", "else:", f"    {y} = {c} * {a}"]
    before = [f"if {condition}:", f"    {t} = {d} * np.cos({a})", "else:", f"    {t} = {c} * {d}"]
    return Step((y,), forward, [(a, t)], before)


@form("branch on values")
def _branch_on_values(s: Draft) -> Step:
    a, y, t = s.variable(), s.new(), s.temporary()
    d, c, limit = s.d + y, s.number(0.5, 1.5), s.number(0.1, 0.9)
    forward = [
        f"if np.mean({a}) > {limit}:",
        f"    {y} = {a} * {a}",
        "else:",
        f"    {y} = {c} * {a}",
        f"    {y} = np.arctan({y})",
    ]
    before = [
        f"if np.mean({a}) > {limit}:",
        f"    {t} = 2 * {a} * {d}",
        "else:",
        f"    {t} = {d} * {c} / (1 + ({c} * {a}) ** 2)",
    ]
    return Step((y,), forward, [(a, t)], before, apart=[f"np.mean({a}) - {limit}"])


@form("loops over captured pairs")
def _pairs(s: Draft) -> Step:
    a, y = s.variable(ndim=1), s.new()
    n, d, t = s.shape(a)[0], s.d + y, s.temporary()
    edges = s.data([(int(i), int(j)) for i, j in s.rng.integers(0, n, (3, 2))])
    forward = [f"{y} = 0.0", f"for i, j in {edges}:", f"    {y} += {a}[i] * np.cos({a}[j])"]
    before = [
        f"{t} = np.zeros({n})",
        f"for i, j in {edges}:",
        f"    {t}[i] += {d} * np.cos({a}[j])",
        f"    {t}[j] -= {d} * {a}[i] * np.sin({a}[j])",
    ]
    return Step((y,), forward, [(a, t)], before)
