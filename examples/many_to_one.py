"""A many-to-one RNN: the loss is at the last step only."""

from collections import namedtuple

import numpy as np

Params = namedtuple("Params", "U W V h0")
rng = np.random.default_rng(8)
T, B, I, H, O = 6, 2, 3, 4, 2
X = rng.normal(size=(T, B, I))
Y = rng.normal(size=(B, O))
params = Params(rng.normal(size=(I, H)), rng.normal(size=(H, H)), rng.normal(size=(H, O)), rng.normal(size=(B, H)))


def run(p):
    h = np.empty((T + 1, B, H))
    h[0] = p.h0
    for t in range(T):
        h[t + 1] = np.tanh(X[t] @ p.U + h[t] @ p.W)
    return h, h[T] @ p.V


def loss(p):
    h, out = run(p)
    return 0.5 * ((out - Y) ** 2).sum()


def grad(p):
    h, out = run(p)
    dU, dW, dV = np.zeros_like(p.U), np.zeros_like(p.W), np.zeros_like(p.V)
    dout = out - Y
    dV += h[T].T @ dout
    dh = dout @ p.V.T
    for t in range(T - 1, -1, -1):
        dz = dh * (1 - h[t + 1] ** 2)
        dU += X[t].T @ dz
        dW += h[t].T @ dz
        dh = dz @ p.W.T
    return Params(dU, dW, dV, dh)
