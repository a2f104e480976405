"""One recurrent net, forward and backward by hand, for every arithmetic."""

from types import SimpleNamespace

import numpy as np
import pytest


def forward(x, y, W_input, W_hidden, W_output):
    """The loss of a sigmoid RNN over time-major sequences, and its states."""
    hidden, outputs, loss = [np.zeros((x.shape[1], W_hidden.shape[0]), dtype=x.dtype)], [], 0
    for x_t, y_t in zip(x, y, strict=True):
        hidden.append(1 / (1 + np.exp(-(x_t @ W_input + hidden[-1] @ W_hidden))))
        outputs.append(1 / (1 + np.exp(-(hidden[-1] @ W_output))))
        loss = loss + ((outputs[-1] - y_t) ** 2).sum() * 0.5
    return loss, hidden, outputs


def backward(x, y, W_input, W_hidden, W_output):
    _, hidden, outputs = forward(x, y, W_input, W_hidden, W_output)
    grads, delta_hidden = [0, 0, 0], np.zeros_like(hidden[0])
    for t in reversed(range(len(x))):
        a, y_hat = hidden[t + 1], outputs[t]
        delta_output = (y_hat - y[t]) * y_hat * (1 - y_hat)
        delta_hidden = (delta_output @ W_output.T + delta_hidden @ W_hidden.T) * a * (1 - a)
        terms = x[t].T @ delta_hidden, hidden[t].T @ delta_hidden, a.T @ delta_output
        grads = [grad + term for grad, term in zip(grads, terms, strict=True)]
    return grads


def problem(seed=0, T=6, B=2, I=2, H=5, O=2, scale=1.0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    shapes = (T, B, I), (T, B, O), (I, H), (H, H), (H, O)
    return [(scale * rng.normal(size=shape)).astype(dtype) for shape in shapes]


@pytest.fixture(scope="session")
def rnn():
    return SimpleNamespace(forward=forward, backward=backward, problem=problem)
