"""One pass forwards, one backwards over time, their states side by side into a softmax at each step."""

import numpy as np

rng = np.random.default_rng(12)
T, I, H, C = 5, 2, 3, 4
xs, labels = rng.normal(size=(T, I)), [0, 3, 1, 2, 1]


def scan(W, U, order):
    h, states = np.zeros(H), {}
    for t in order:
        before = h
        h = np.tanh(W @ xs[t] + U @ before)
        states[t] = (before, h)
    return states


def softmax(z):
    e = np.exp(z - np.max(z))
    return e / np.sum(e)


def forward(p):
    there = scan(p["W"], p["U"], range(T))
    back = scan(p["Wr"], p["Ur"], reversed(range(T)))
    probs = [softmax(p["V"] @ np.concatenate([there[t][1], back[t][1]])) for t in range(T)]
    return there, back, probs


def loss(p):
    return -sum(np.log(prob[label]) for prob, label in zip(forward(p)[2], labels))


def unscan(W, U, states, sent, order):
    dW, dU, later = np.zeros_like(W), np.zeros_like(U), np.zeros(H)
    for t in order:
        before, h = states[t]
        delta = (sent[t] + later) * (1 - h * h)
        dW += np.outer(delta, xs[t])
        dU += np.outer(delta, before)
        later = U.T @ delta
    return dW, dU


def grad(p):
    there, back, probs = forward(p)
    dV, forwards, backwards = np.zeros_like(p["V"]), {}, {}
    for t in range(T):
        dz = probs[t].copy()
        dz[labels[t]] -= 1.0
        both = np.concatenate([there[t][1], back[t][1]])
        dV += np.outer(dz, both)
        dboth = p["V"].T @ dz
        forwards[t], backwards[t] = dboth[:H], dboth[H:]
    dW, dU = unscan(p["W"], p["U"], there, forwards, reversed(range(T)))
    dWr, dUr = unscan(p["Wr"], p["Ur"], back, backwards, range(T))
    return {"W": dW, "U": dU, "Wr": dWr, "Ur": dUr, "V": dV}


point = {name: rng.normal(size=s) for name, s in
         {"W": (H, I), "U": (H, H), "Wr": (H, I), "Ur": (H, H), "V": (C, 2 * H)}.items()}

EDITS = [
    ("index", "back, backwards, range(T))", "back, backwards, reversed(range(T)))"),
    ("operand", "forwards[t], backwards[t] = dboth[:H], dboth[H:]", "forwards[t], backwards[t] = dboth[H:], dboth[:H]"),
    ("jacobian", "dz[labels[t]] -= 1.0", "dz[labels[t]] -= 0.5"),
    ("carry", "delta = (sent[t] + later) * (1 - h * h)", "delta = sent[t] * (1 - h * h) + later"),
    ("transpose", "later = U.T @ delta", "later = U @ delta"),
    ("accumulation", "dV += np.outer(dz, both)", "dV = np.outer(dz, both)"),
]
