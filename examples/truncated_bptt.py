"""A class with bptt as an inner loop over the steps before each step, as in a well-known tutorial."""

import numpy as np


def softmax(x):
    e = np.exp(x - np.max(x))
    return e / np.sum(e)


class RNNNumpy:
    def __init__(self, word_dim=5, hidden_dim=4, bptt_truncate=100):
        rng = np.random.RandomState(2)
        self.word_dim = word_dim
        self.hidden_dim = hidden_dim
        self.bptt_truncate = bptt_truncate
        self.U = rng.uniform(-0.8, 0.8, (hidden_dim, word_dim))
        self.V = rng.uniform(-0.8, 0.8, (word_dim, hidden_dim))
        self.W = rng.uniform(-0.8, 0.8, (hidden_dim, hidden_dim))

    def forward_propagation(self, x):
        T = len(x)
        s = np.zeros((T + 1, self.hidden_dim))
        s[-1] = np.zeros(self.hidden_dim)
        o = np.zeros((T, self.word_dim))
        for t in np.arange(T):
            s[t] = np.tanh(self.U[:, x[t]] + self.W.dot(s[t - 1]))
            o[t] = softmax(self.V.dot(s[t]))
        return [o, s]

    def calculate_loss(self, x, y):
        o, s = self.forward_propagation(x)
        correct_word_predictions = o[np.arange(len(y)), y]
        return -1 * np.sum(np.log(correct_word_predictions))

    def bptt(self, x, y):
        T = len(y)
        o, s = self.forward_propagation(x)
        dLdU = np.zeros(self.U.shape)
        dLdV = np.zeros(self.V.shape)
        dLdW = np.zeros(self.W.shape)
        delta_o = o
        delta_o[np.arange(len(y)), y] -= 1.0
        for t in np.arange(T)[::-1]:
            dLdV += np.outer(delta_o[t], s[t].T)
            delta_t = self.V.T.dot(delta_o[t]) * (1 - (s[t] ** 2))
            for bptt_step in np.arange(max(0, t - self.bptt_truncate), t + 1)[::-1]:
                dLdW += np.outer(delta_t, s[bptt_step - 1])
                dLdU[:, x[bptt_step]] += delta_t
                delta_t = self.W.T.dot(delta_t) * (1 - s[bptt_step - 1] ** 2)
        return [dLdU, dLdV, dLdW]


x_train = [0, 3, 1, 4, 2]
y_train = [3, 1, 4, 2, 0]
model = RNNNumpy()
params = [model.U, model.V, model.W]


def loss(p):
    model.U, model.V, model.W = p
    return model.calculate_loss(x_train, y_train)


def grad(p):
    model.U, model.V, model.W = p
    return model.bptt(x_train, y_train)
