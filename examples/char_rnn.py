# ruff: noqa: N802  (written as such code is written)
"""A character-level RNN in the style of min-char-rnn: weights and sizes are module globals."""

import numpy as np

data = "hello gradient"
chars = sorted(set(data))
vocab_size = len(chars)
hidden_size = 6
char_to_ix = {ch: i for i, ch in enumerate(chars)}
inputs = [char_to_ix[ch] for ch in data[:7]]
targets = [char_to_ix[ch] for ch in data[1:8]]

rng = np.random.RandomState(0)
Wxh = rng.randn(hidden_size, vocab_size) * 0.5
Whh = rng.randn(hidden_size, hidden_size) * 0.5
Why = rng.randn(vocab_size, hidden_size) * 0.5
bh = rng.randn(hidden_size, 1) * 0.1
by = rng.randn(vocab_size, 1) * 0.1
hprev = rng.randn(hidden_size, 1) * 0.3
params = (Wxh, Whh, Why, bh, by)


def lossFun(inputs, targets, hprev):
    xs, hs, ys, ps = {}, {}, {}, {}
    hs[-1] = np.copy(hprev)
    loss = 0
    for t in range(len(inputs)):
        xs[t] = np.zeros((vocab_size, 1))
        xs[t][inputs[t]] = 1
        hs[t] = np.tanh(np.dot(Wxh, xs[t]) + np.dot(Whh, hs[t - 1]) + bh)
        ys[t] = np.dot(Why, hs[t]) + by
        ps[t] = np.exp(ys[t]) / np.sum(np.exp(ys[t]))
        loss += -np.log(ps[t][targets[t], 0])
    dWxh, dWhh, dWhy = np.zeros_like(Wxh), np.zeros_like(Whh), np.zeros_like(Why)
    dbh, dby = np.zeros_like(bh), np.zeros_like(by)
    dhnext = np.zeros_like(hs[0])
    for t in reversed(range(len(inputs))):
        dy = np.copy(ps[t])
        dy[targets[t]] -= 1
        dWhy += np.dot(dy, hs[t].T)
        dby += dy
        dh = np.dot(Why.T, dy) + dhnext
        dhraw = (1 - hs[t] * hs[t]) * dh
        dbh += dhraw
        dWxh += np.dot(dhraw, xs[t].T)
        dWhh += np.dot(dhraw, hs[t - 1].T)
        dhnext = np.dot(Whh.T, dhraw)
    return loss, dWxh, dWhh, dWhy, dbh, dby


def set_weights(p):
    global Wxh, Whh, Why, bh, by
    Wxh, Whh, Why, bh, by = p


def loss(p):
    set_weights(p)
    return lossFun(inputs, targets, hprev)[0]


def grad(p):
    set_weights(p)
    return lossFun(inputs, targets, hprev)[1:]
