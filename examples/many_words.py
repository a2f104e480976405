"""A many-to-one classifier of word sequences in pure NumPy, with its gradients applied elsewhere."""

import numpy as np

rng = np.random.RandomState(11)
vocab, hidden, classes = 4, 3, 2
inputs = [np.eye(vocab)[:, [i]] for i in (2, 0, 3, 1, 2)]
target = 1
params = {
    "Whh": rng.randn(hidden, hidden) / 2,
    "Wxh": rng.randn(hidden, vocab) / 2,
    "Why": rng.randn(classes, hidden) / 2,
    "bh": rng.randn(hidden, 1) / 2,
    "by": rng.randn(classes, 1) / 2,
}


def softmax(xs):
    return np.exp(xs) / sum(np.exp(xs))


class RNN:
    def __init__(self, p):
        self.Whh, self.Wxh, self.Why = p["Whh"], p["Wxh"], p["Why"]
        self.bh, self.by = p["bh"], p["by"]

    def forward(self, inputs):
        h = np.zeros((self.Whh.shape[0], 1))
        self.last_inputs = inputs
        self.last_hs = {0: h}
        for i, x in enumerate(inputs):
            h = np.tanh(self.Wxh @ x + self.Whh @ h + self.bh)
            self.last_hs[i + 1] = h
        y = self.Why @ h + self.by
        return y, h

    def backprop(self, d_y):
        n = len(self.last_inputs)
        d_Why = d_y @ self.last_hs[n].T
        d_by = d_y
        d_Whh = np.zeros(self.Whh.shape)
        d_Wxh = np.zeros(self.Wxh.shape)
        d_bh = np.zeros(self.bh.shape)
        d_h = self.Why.T @ d_y
        for t in reversed(range(n)):
            temp = (1 - self.last_hs[t + 1] ** 2) * d_h
            d_bh += temp
            d_Whh += temp @ self.last_hs[t].T
            d_Wxh += temp @ self.last_inputs[t].T
            d_h = self.Whh.T @ temp
        return {"Whh": d_Whh, "Wxh": d_Wxh, "Why": d_Why, "bh": d_bh, "by": d_by}


def loss(p):
    out, _ = RNN(p).forward(inputs)
    probs = softmax(out)
    return -np.log(probs[target])


def grad(p):
    rnn = RNN(p)
    out, _ = rnn.forward(inputs)
    probs = softmax(out)
    d_L_d_y = probs
    d_L_d_y[target] -= 1
    return rnn.backprop(d_L_d_y)
