"""Real-time recurrent learning: the sensitivities of the state are carried forward."""

import numpy as np

rng = np.random.default_rng(9)
T, I, H = 5, 2, 3
X = rng.normal(size=(T, I))
D = rng.normal(size=(T, H))
params = {"W": rng.normal(size=(H, H)), "U": rng.normal(size=(H, I))}


def loss(p):
    h = np.zeros(H)
    total = 0.0
    for t in range(T):
        h = np.tanh(p["W"] @ h + p["U"] @ X[t])
        total += 0.5 * np.sum((h - D[t]) ** 2)
    return total


def grad(p):
    W, U = p["W"], p["U"]
    h = np.zeros(H)
    P_W = np.zeros((H, H, H))
    P_U = np.zeros((H, H, I))
    dW, dU = np.zeros_like(W), np.zeros_like(U)
    for t in range(T):
        new = np.tanh(W @ h + U @ X[t])
        slope = 1 - new**2
        Q_W = np.tensordot(W, P_W, axes=(1, 0))
        Q_U = np.tensordot(W, P_U, axes=(1, 0))
        for k in range(H):
            Q_W[k, k, :] += h
            Q_U[k, k, :] += X[t]
        P_W = slope[:, None, None] * Q_W
        P_U = slope[:, None, None] * Q_U
        h = new
        error = h - D[t]
        dW += np.tensordot(error, P_W, axes=(0, 0))
        dU += np.tensordot(error, P_U, axes=(0, 0))
    return {"W": dW, "U": dU}
