"""Two stacked recurrent layers over a batch, each a class that keeps what its forward pass saw."""

import numpy as np

rng = np.random.default_rng(11)
T, B, I, H, O = 4, 2, 3, 3, 2
x, y = rng.normal(size=(T, B, I)), rng.normal(size=(T, B, O))


class Layer:
    def __init__(self, W, U, b):
        self.W, self.U, self.b = W, U, b

    def forward(self, xs):
        self.xs, self.hs = xs, [np.full((B, H), 0.1)]
        for inputs in xs:
            self.hs.append(np.tanh(inputs @ self.W + self.hs[-1] @ self.U + self.b))
        return self.hs[1:]

    def backward(self, upstream):
        self.dW, self.dU, self.db = np.zeros_like(self.W), np.zeros_like(self.U), np.zeros_like(self.b)
        below, dh_next = [None] * T, np.zeros((B, H))
        for t in range(T - 1, -1, -1):
            dh = upstream[t] + dh_next
            dz = dh * (1 - self.hs[t + 1] ** 2)
            self.dW += self.xs[t].T @ dz
            self.dU += self.hs[t].T @ dz
            self.db += dz.sum(axis=0)
            below[t] = dz @ self.W.T
            dh_next = dz @ self.U.T
        return below


def build(p):
    return Layer(p["W1"], p["U1"], p["b1"]), Layer(p["W2"], p["U2"], p["b2"])


def loss(p):
    first, second = build(p)
    states = second.forward(first.forward(x))
    return sum(0.5 * np.sum((h @ p["V"] - target) ** 2) for h, target in zip(states, y))


def grad(p):
    first, second = build(p)
    states = second.forward(first.forward(x))
    dV, upstream = np.zeros_like(p["V"]), []
    for h, target in zip(states, y):
        error = h @ p["V"] - target
        dV += h.T @ error
        upstream.append(error @ p["V"].T)
    first.backward(second.backward(upstream))
    return {"W1": first.dW, "U1": first.dU, "b1": first.db, "W2": second.dW, "U2": second.dU, "b2": second.db, "V": dV}


point = {"W1": rng.normal(size=(I, H)), "U1": rng.normal(size=(H, H)), "b1": rng.normal(size=H),
         "W2": rng.normal(size=(H, H)), "U2": rng.normal(size=(H, H)), "b2": rng.normal(size=H),
         "V": rng.normal(size=(H, O))}

EDITS = [
    ("carry", "dh = upstream[t] + dh_next", "dh = upstream[t]"),
    ("transpose", "dh_next = dz @ self.U.T", "dh_next = dz @ self.U"),
    ("slope", "dz = dh * (1 - self.hs[t + 1] ** 2)", "dz = dh * (1 - self.hs[t + 1])"),
    ("index", "self.dU += self.hs[t].T @ dz", "self.dU += self.hs[t - 1].T @ dz"),
    ("accumulation", "self.db += dz.sum(axis=0)", "self.db = dz.sum(axis=0)"),
    ("operand", "below[t] = dz @ self.W.T", "below[t] = dz @ self.U.T"),
]
