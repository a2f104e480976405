"""Logistic regression trained in place; its gradient is read off the update."""

import math

import numpy as np

rng = np.random.RandomState(4)
X = rng.randn(9, 3)
y = (rng.rand(9) > 0.5).astype(float)
params = {"w": rng.randn(3), "b": 0.3}
lr = 0.25
decay = 0.125


def loss(p):
    total = 0.0
    for i in range(len(X)):
        z = float(np.dot(X[i], p["w"])) + p["b"]
        total += math.log(1.0 + math.exp(-z)) if y[i] == 1 else math.log(1.0 + math.exp(z))
    return total / len(X) + 0.5 * decay * np.sum(p["w"] ** 2)


def step(w, b):
    """One step of gradient descent, w in place; returns b."""
    z = X @ w + b
    s = 1 / (1 + np.exp(-z))
    error = (s - y) / len(X)
    w -= lr * (X.T @ error + decay * w)
    return b - lr * error.sum()


def grad(p):
    w = p["w"].copy()
    b = step(w, p["b"])
    return {"w": (p["w"] - w) / lr, "b": (p["b"] - b) / lr}
