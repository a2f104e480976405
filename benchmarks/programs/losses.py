"""How a program ends: the loss, of everything that nothing else uses."""

from __future__ import annotations

import numpy as np

from programs.draft import Draft, Step

# name: (term of the loss, gradient of `a`), where C is captured data of a's shape
TERMS = {
    "loss: weighted sum": ("np.sum({a} * {C})", "{C}"),
    "loss: half squares": ("0.5 * np.sum(({a} - {C}) ** 2)", "{a} - {C}"),
    "loss: mean of squares": ("np.mean(({a} - {C}) ** 2)", "2 * ({a} - {C}) / {n}"),
    "loss: sum": ("np.sum({a})", "np.ones_like({a})"),
    "loss: sum of sines": ("np.sum(np.sin({a} + {C}))", "np.cos({a} + {C})"),
}
PENALTY = "loss: penalty of all parameters"


def _penalty(s: Draft, total: str) -> Step:
    """Weight decay, which leaves it to the other terms to use a parameter."""
    rate = s.number(0.02, 0.2)
    line = f"{total} = {rate} * sum(np.sum(w ** 2) for w in [{', '.join(s.leaves)}])"
    return Step((), [line], [(leaf, f"2 * {rate} * {leaf}") for leaf in s.leaves])


def closed(draft: Draft, total: str) -> tuple[Draft, set[str]] | None:
    """The draft with a loss of all that nothing uses, and the forms of its terms."""
    terms = set[str]()
    unused = [name for name, used in draft.variables.items() if not used]
    if draft.chance(0.2):
        draft = draft.copy()
        draft.take(_penalty(draft, total))
        terms.add(PENALTY)
    for name in unused:
        term = str(draft.rng.choice(list(TERMS)))
        so_far = "" if not terms else f"{total} + "

        def draw(s: Draft, a: str = name, term: str = term, so_far: str = so_far) -> Step:
            letters = {"a": a, "C": s.constants(s.shape(a), single=False), "n": int(np.prod(s.shape(a)))}
            value, slope = (one.format(**letters) for one in TERMS[term])
            return Step((), [f"{total} = {so_far}{value}"], [(a, slope)])

        taken = draft.extended(draw)
        if taken is None:
            return None
        draft = taken
        terms.add(term)
    return draft, terms
