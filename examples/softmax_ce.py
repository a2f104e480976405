# ruff: noqa: A004  (written as such code is written)
"""Softmax and cross-entropy, with the maximum subtracted for stability, and dot products in loops."""

from numpy import arange, exp, log, random, sum, zeros_like

random_state = random.RandomState(5)
N, D, C = 6, 4, 3
X = random_state.randn(N, D)
labels = random_state.randint(C, size=N)
params = random_state.randn(D, C)
reg = 0.5


def probabilities(W):
    scores = X @ W
    scores = scores - scores.max(axis=1, keepdims=True)
    e = exp(scores)
    return e / e.sum(axis=1, keepdims=True)


def loss(W):
    p = probabilities(W)
    return -sum(log(p[arange(N), labels])) / N + reg * sum(W * W)


def grad(W):
    p = probabilities(W)
    dW = zeros_like(W)
    for i in range(N):
        for c in range(C):
            dW[:, c] += (p[i, c] - (labels[i] == c)) * X[i]
    dW = dW / N
    return dW + 2 * reg * W
