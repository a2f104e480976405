"""An encoder, dot-product attention over its states, and a decoder that is fed its context."""

import numpy as np

rng = np.random.default_rng(13)
N, M, I, H = 4, 3, 2, 3
source, target = rng.normal(size=(N, I)), rng.normal(size=(M, H))


def encode(p):
    e = [np.zeros(H)]
    for row in source:
        e.append(np.tanh(p["We"] @ row + p["Ue"] @ e[-1]))
    return np.array(e)


def attend(keys, query):
    scores = keys @ query
    weights = np.exp(scores - scores.max())
    weights = weights / weights.sum()
    return weights, weights @ keys


def decode(p, e):
    states, seen = [e[-1]], []
    for _ in range(M):
        weights, context = attend(e[1:], states[-1])
        seen.append((weights, context))
        states.append(np.tanh(p["Ud"] @ states[-1] + p["C"] @ context))
    return states, seen


def loss(p):
    states, _ = decode(p, encode(p))
    return 0.5 * np.sum((np.array(states[1:]) - target) ** 2)


def grad(p):
    e = encode(p)
    states, seen = decode(p, e)
    g = {name: np.zeros_like(value) for name, value in p.items()}
    de, ds = np.zeros_like(e), np.zeros(H)
    for t in reversed(range(M)):
        weights, context = seen[t]
        ds = ds + states[t + 1] - target[t]
        da = ds * (1 - states[t + 1] ** 2)
        g["Ud"] += np.outer(da, states[t])
        g["C"] += np.outer(da, context)
        dcontext = p["C"].T @ da
        dweights = e[1:] @ dcontext
        dscores = weights * (dweights - weights @ dweights)
        de[1:] += np.outer(weights, dcontext) + np.outer(dscores, states[t])
        ds = p["Ud"].T @ da + e[1:].T @ dscores
    de[-1] += ds
    carry = np.zeros(H)
    for t in reversed(range(N)):
        da = (de[t + 1] + carry) * (1 - e[t + 1] ** 2)
        g["We"] += np.outer(da, source[t])
        g["Ue"] += np.outer(da, e[t])
        carry = p["Ue"].T @ da
    return g


point = {name: rng.normal(size=s) for name, s in
         {"We": (H, I), "Ue": (H, H), "Ud": (H, H), "C": (H, H)}.items()}

EDITS = [
    ("path", "ds = p[\"Ud\"].T @ da + e[1:].T @ dscores", "ds = p[\"Ud\"].T @ da"),
    ("jacobian", "dscores = weights * (dweights - weights @ dweights)", "dscores = weights * (1 - weights) * dweights"),
    ("path", "de[1:] += np.outer(weights, dcontext) + np.outer(dscores, states[t])", "de[1:] += np.outer(weights, dcontext)"),
    ("carry", "    de[-1] += ds\n", ""),
    ("operand", "g[\"C\"] += np.outer(da, context)", "g[\"C\"] += np.outer(da, states[t])"),
    ("accumulation", "de[1:] += np.outer(weights, dcontext)", "de[1:] = np.outer(weights, dcontext)"),
]
