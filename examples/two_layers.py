"""A two-layer sigmoid network with a squared error, everything in two functions."""

import numpy as np

rng = np.random.default_rng(14)
X = rng.normal(size=(5, 3))
T = rng.uniform(size=(5, 2))
m = X.shape[0]
params = {
    "W1": rng.normal(size=(3, 4)),
    "b1": rng.normal(size=(1, 4)),
    "W2": rng.normal(size=(4, 2)),
    "b2": rng.normal(size=(1, 2)),
}
lam = 0.3


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def loss(p):
    A1 = sigmoid(X @ p["W1"] + p["b1"])
    A2 = sigmoid(A1 @ p["W2"] + p["b2"])
    cost = np.sum((A2 - T) ** 2) / (2 * m)
    return cost + lam / 2 * (np.sum(np.square(p["W1"])) + np.sum(np.square(p["W2"])))


def grad(p):
    Z1 = X @ p["W1"] + p["b1"]
    A1 = sigmoid(Z1)
    Z2 = A1 @ p["W2"] + p["b2"]
    A2 = sigmoid(Z2)
    dZ2 = (A2 - T) * A2 * (1 - A2)
    dW2 = A1.T @ dZ2 / m + lam * p["W2"]
    db2 = np.sum(dZ2, axis=0, keepdims=True) / m
    dZ1 = dZ2 @ p["W2"].T * sigmoid(Z1) * (1 - sigmoid(Z1))
    dW1 = X.T @ dZ1 / m + lam * p["W1"]
    db1 = np.sum(dZ1, axis=0, keepdims=True) / m
    return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}
