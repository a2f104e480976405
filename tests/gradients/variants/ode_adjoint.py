"""A neural ordinary differential equation by Heun's rule, and its discrete adjoint."""

import numpy as np

rng = np.random.default_rng(20)
STEPS, D = 4, 3
dt, goal = 0.25, rng.normal(size=D)


def slope(W, s):
    return np.tanh(W @ s)


def pull(W, s, k, up):
    pre = up * (1 - k**2)
    return W.T @ pre, np.outer(pre, s)


def solve(p):
    s, kept = p["s0"], []
    for _ in range(STEPS):
        k1 = slope(p["W"], s)
        mid = s + dt * k1
        k2 = slope(p["W"], mid)
        kept.append((s, k1, mid, k2))
        s = s + 0.5 * dt * (k1 + k2)
    return s, kept


def loss(p):
    return 0.5 * np.sum((solve(p)[0] - goal) ** 2)


def grad(p):
    final, kept = solve(p)
    adjoint, dW = final - goal, np.zeros_like(p["W"])
    for s, k1, mid, k2 in kept[::-1]:
        dk2 = 0.5 * dt * adjoint
        dmid, w2 = pull(p["W"], mid, k2, dk2)
        dk1 = 0.5 * dt * adjoint + dt * dmid
        ds, w1 = pull(p["W"], s, k1, dk1)
        dW += w1 + w2
        adjoint = adjoint + dmid + ds
    return {"W": dW, "s0": adjoint}


point = {"W": rng.normal(size=(D, D)), "s0": rng.normal(size=D)}

EDITS = [
    ("path", "dk1 = 0.5 * dt * adjoint + dt * dmid", "dk1 = 0.5 * dt * adjoint"),
    ("path", "adjoint = adjoint + dmid + ds", "adjoint = adjoint + ds"),
    ("operand", "dmid, w2 = pull(p[\"W\"], mid, k2, dk2)", "dmid, w2 = pull(p[\"W\"], s, k2, dk2)"),
    ("slope", "pre = up * (1 - k**2)", "pre = up * (1 - k)"),
    ("factor", "dk2 = 0.5 * dt * adjoint", "dk2 = dt * adjoint"),
    ("accumulation", "dW += w1 + w2", "dW = w1 + w2"),
    ("path", "dW += w1 + w2", "dW += w1"),
]
