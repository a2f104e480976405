"""An LSTM whose input gate is one minus its forget gate, step and its reverse as methods."""

import numpy as np

rng = np.random.default_rng(15)
T, I, H = 5, 2, 3
x, weight = rng.normal(size=(T, I)), rng.normal(size=(T, H))


def sig(v):
    return 1 / (1 + np.exp(-v))


class Cell:
    def __init__(self, p):
        self.p, self.kept = p, []

    def step(self, inputs, h, c):
        p = self.p
        v = np.concatenate([inputs, h])
        f = sig(p["Wf"] @ v + p["bf"])
        o = sig(p["Wo"] @ v)
        u = np.tanh(p["Wu"] @ v)
        new = f * c + (1 - f) * u
        out = o * np.tanh(new)
        self.kept.append((v, f, o, u, c, new))
        return out, new

    def back(self, dh, dc, g):
        v, f, o, u, c, new = self.kept.pop()
        p, tc = self.p, np.tanh(new)
        d_o = dh * tc * o * (1 - o)
        dc = dc + dh * o * (1 - tc**2)
        d_f = dc * (c - u) * f * (1 - f)
        d_u = dc * (1 - f) * (1 - u**2)
        g["Wf"] += np.outer(d_f, v)
        g["bf"] += d_f
        g["Wo"] += np.outer(d_o, v)
        g["Wu"] += np.outer(d_u, v)
        dv = p["Wf"].T @ d_f + p["Wo"].T @ d_o + p["Wu"].T @ d_u
        return dv[I:], dc * f


def run(p):
    cell, h, c, total = Cell(p), np.ones(H), np.zeros(H), 0.0
    for t in range(T):
        h, c = cell.step(x[t], h, c)
        total = total + weight[t] @ h
    return cell, total


def loss(p):
    return run(p)[1]


def grad(p):
    cell, _ = run(p)
    g = {k: np.zeros_like(v) for k, v in p.items()}
    dh, dc = np.zeros(H), np.zeros(H)
    for t in reversed(range(T)):
        dh, dc = cell.back(dh + weight[t], dc, g)
    return g


point = {"Wf": rng.normal(size=(H, I + H)), "bf": rng.normal(size=H), "Wo": rng.normal(size=(H, I + H)),
         "Wu": rng.normal(size=(H, I + H))}

EDITS = [
    ("path", "d_f = dc * (c - u) * f * (1 - f)", "d_f = dc * c * f * (1 - f)"),
    ("carry", "return dv[I:], dc * f", "return dv[I:], dc"),
    ("path", "dv = p[\"Wf\"].T @ d_f + p[\"Wo\"].T @ d_o + p[\"Wu\"].T @ d_u", "dv = p[\"Wf\"].T @ d_f + p[\"Wu\"].T @ d_u"),
    ("carry", "dc = dc + dh * o * (1 - tc**2)", "dc = dh * o * (1 - tc**2)"),
    ("slope", "dc = dc + dh * o * (1 - tc**2)", "dc = dc + dh * o * (1 - new**2)"),
    ("operand", "return dv[I:], dc * f", "return dv[I:], dc * (1 - f)"),
]
