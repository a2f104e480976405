"""Forms that compute entry by entry, with broadcasting.

Letters in the tables: `a`, `b` operands, `y` the result, `d` its gradient, `c`, `e` literals. Where several backward
expressions stand, all are right, and one is drawn.
"""

from __future__ import annotations

from programs.draft import Draft, Step, summed
from programs.registry import form

# name: (operand above, forward, backward ..., what must be apart from 0)
ENTRYWISE: dict[str, tuple[float | None, str, tuple[str, ...], tuple[str, ...]]] = {
    "tanh": (
        None,
        "np.tanh({a})",
        ("{d} * (1 - {y} ** 2)", "{d} * (1 - np.tanh({a}) ** 2)", "{d} / np.cosh({a}) ** 2"),
        (),
    ),
    "exp": (None, "np.exp({a})", ("{d} * {y}", "{d} * np.exp({a})"), ()),
    "exp of minus": (None, "np.exp(-{c} * {a})", ("-{c} * {d} * {y}",), ()),
    "log": (0.15, "np.log({a})", ("{d} / {a}",), ()),
    "log of square": (
        None,
        "np.log({a} ** 2 + {c})",
        ("{d} * 2 * {a} / ({a} ** 2 + {c})", "2 * {d} * {a} / np.exp({y})"),
        (),
    ),
    "sqrt": (0.15, "np.sqrt({a})", ("{d} / (2 * {y})", "0.5 * {d} / np.sqrt({a})", "{d} * 0.5 * {a} ** -0.5"), ()),
    "sin": (None, "np.sin({a})", ("{d} * np.cos({a})", "np.cos({a}) * {d}"), ()),
    "cos": (None, "np.cos({c} * {a})", ("-{c} * {d} * np.sin({c} * {a})",), ()),
    "log1p": (-0.4, "np.log1p({a})", ("{d} / (1 + {a})",), ()),
    "expm1": (None, "np.expm1({a})", ("{d} * np.exp({a})", "{d} * ({y} + 1)"), ()),
    "arctan": (None, "np.arctan({a})", ("{d} / (1 + {a} ** 2)", "{d} / (1 + {a} * {a})"), ()),
    "abs": (None, "np.abs({a})", ("{d} * np.sign({a})", "np.where({a} > 0, {d}, -{d})"), ("{a}",)),
    "square": (None, "np.square({a})", ("2 * {a} * {d}", "{d} * 2.0 * {a}"), ()),
    "integer power": (None, "{a} ** 3", ("3 * {a} ** 2 * {d}", "{d} * 3 * {a} * {a}"), ()),
    "float power": (0.15, "{a} ** {c}", ("{d} * {c} * {a} ** ({c} - 1)", "{d} * {c} * {y} / {a}"), ()),
    "negative power": (0.3, "{a} ** -1.5", ("-1.5 * {d} * {a} ** -2.5",), ()),
    "np.power": (0.15, "np.power({a}, {c})", ("{d} * {c} * np.power({a}, {c} - 1)",), ()),
    "reciprocal": (0.25, "1 / {a}", ("-{d} / {a} ** 2", "-{d} * {y} ** 2"), ()),
    "negative": (None, "-{a}", ("-{d}", "-1 * {d}"), ()),
    "affine literals": (None, "{c} * {a} - {e}", ("{c} * {d}", "{d} * {c}"), ()),
    "relu": (None, "np.maximum({a}, 0)", ("{d} * ({a} > 0)", "np.where({y} > 0, {d}, 0.0)"), ("{a}",)),
    "leaky relu": (None, "np.where({a} > 0, {a}, {c} * {a})", ("{d} * np.where({a} > 0, 1.0, {c})",), ("{a}",)),
    "elu": (
        None,
        "np.where({a} > 0, {a}, {c} * (np.exp({a}) - 1))",
        ("{d} * np.where({a} > 0, 1, {c} * np.exp({a}))",),
        ("{a}",),
    ),
    "clip": (
        None,
        "np.clip({a}, -{c}, {e})",
        ("{d} * (({a} > -{c}) & ({a} < {e}))", "np.where(({a} < -{c}) | ({a} > {e}), 0, {d})"),
        ("{a} + {c}", "{a} - {e}"),
    ),
    "minimum with literal": (None, "np.minimum({a}, {c})", ("{d} * ({a} < {c})",), ("{a} - {c}",)),
    "logistic": (None, "1 / (1 + np.exp(-{a}))", ("{d} * {y} * (1 - {y})", "({y} * (1.0 - {y})) * {d}"), ()),
    "softplus": (None, "np.log1p(np.exp({a}))", ("{d} / (1 + np.exp(-{a}))", "{d} * (1 - np.exp(-{y}))"), ()),
    "swish": (None, "{a} / (1 + np.exp(-{a}))", ("{d} * (1 + {a} - {y}) / (1 + np.exp(-{a}))",), ()),
    "sinh": (None, "np.sinh({a})", ("{d} * np.cosh({a})",), ()),
}


def _entrywise(name: str) -> None:
    low, forward, backward, apart = ENTRYWISE[name]

    @form(name)
    def draw(s: Draft) -> Step:
        a, y = s.variable(low=low), s.new()
        letters = {"a": a, "y": y, "d": s.d + y, "c": s.number(0.3, 1.6), "e": s.number(0.4, 1.6)}
        forward_line = f"{y} = {forward}".format(**letters)
        pulled = s.choice(*backward).format(**letters)
        return Step((y,), [forward_line], [(a, pulled)], apart=[one.format(**letters) for one in apart])


for _name in ENTRYWISE:
    _entrywise(_name)

# name: (operands above, forward, gradient of the one, gradient of the other, what must be apart from 0)
PAIRWISE: dict[str, tuple[float | None, str, str, str, tuple[str, ...]]] = {
    "add": (None, "{a} + {b}", "{d}", "{d}", ()),
    "subtract": (None, "{a} - {b}", "{d}", "-{d}", ()),
    "multiply": (None, "{a} * {b}", "{d} * {b}", "{d} * {a}", ()),
    "divide": (0.25, "{a} / {b}", "{d} / {b}", "-{d} * {a} / {b} ** 2", ()),
    "maximum": (None, "np.maximum({a}, {b})", "{d} * ({a} > {b})", "{d} * ({a} < {b})", ("{a} - {b}",)),
    "minimum": (None, "np.minimum({a}, {b})", "{d} * ({a} < {b})", "np.where({b} < {a}, {d}, 0)", ("{a} - {b}",)),
    "where on values": (
        None,
        "np.where({a} > {b}, {a} * {b}, {b})",
        "np.where({a} > {b}, {d} * {b}, 0)",
        "{d} * np.where({a} > {b}, {a}, 1)",
        ("{a} - {b}",),
    ),
    "hypotenuse": (None, "np.sqrt({a} ** 2 + {b} ** 2)", "{d} * {a} / {y}", "{d} * {b} / {y}", ("{y}",)),
    "power of variables": (0.2, "{a} ** {b}", "{d} * {b} * {a} ** ({b} - 1)", "{d} * {y} * np.log({a})", ()),
    "squared difference": (None, "({a} - {b}) ** 2", "2 * {d} * ({a} - {b})", "-2 * {d} * ({a} - {b})", ()),
    "logaddexp written out": (
        None,
        "np.log(np.exp({a}) + np.exp({b}))",
        "{d} * np.exp({a} - {y})",
        "{d} * np.exp({b} - {y})",
        (),
    ),
}

# What these compute of captured data alone would be rounded to float32.
NOT_IN_FLOAT32 = frozenset({"hypotenuse", "power of variables", "logaddexp written out"})


def _broadcast_shape(s: Draft, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape that broadcasts to this one; every second time the same."""
    if s.chance(0.5):
        return shape
    kept = tuple(1 if s.chance(0.4) else size for size in shape)
    return kept[s.integer(0, len(kept)) :]


def _pairwise(name: str) -> None:
    low, forward, to_a, to_b, apart = PAIRWISE[name]

    @form(name)
    def draw(s: Draft) -> Step:
        a, y = s.variable(low=low), s.new()
        shape = _broadcast_shape(s, s.shape(a))
        b = s.variable(shape=shape, low=low) if s.chance(0.7) else s.constants(shape, low, name not in NOT_IN_FLOAT32)
        pulls = [(a, to_a), (b, to_b)]
        letters = {"a": a, "b": b, "y": y, "d": s.d + y}
        if s.chance(0.3):
            letters |= {"a": b, "b": a}
            pulls = [(b, to_a), (a, to_b)]
        return Step(
            (y,),
            [f"{y} = {forward}".format(**letters)],
            [(one, summed(pull.format(**letters), s.shape(a), s.shape(one))) for one, pull in pulls],
            apart=[one.format(**letters) for one in apart],
        )


for _name in PAIRWISE:
    _pairwise(_name)


@form("where on data")
def _where_on_data(s: Draft) -> Step:
    a, y = s.variable(ndim=(1, 2, 3)), s.new()
    b = s.variable(shape=_broadcast_shape(s, s.shape(a)))
    mask, d = s.data(s.rng.random(s.shape(a)) < 0.6), s.d + y
    other = summed(f"np.where({mask}, 0, {d})", s.shape(a), s.shape(b))
    return Step((y,), [f"{y} = np.where({mask}, {a}, {b})"], [(a, f"np.where({mask}, {d}, 0)"), (b, other)])
