# ruff: noqa: B905  (written as such code is written)
"""A class with forward and backward that keeps its cache and its gradients on itself."""

import numpy as np


class Linear:
    def __init__(self, n_in, n_out, rng):
        self.W = rng.normal(size=(n_in, n_out))
        self.b = rng.normal(size=n_out)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, d):
        self.dW = self.x.T @ d
        self.db = d.sum(axis=0)
        return d @ self.W.T


class Sigmoid:
    def forward(self, z):
        self.out = 1.0 / (1.0 + np.exp(-z))
        return self.out

    def backward(self, d):
        return d * self.out * (1 - self.out)


class Network:
    def __init__(self):
        rng = np.random.default_rng(3)
        self.x = rng.normal(size=(5, 4))
        self.y = rng.uniform(size=(5, 2))
        self.layers = [Linear(4, 3, rng), Sigmoid(), Linear(3, 2, rng), Sigmoid()]

    def get(self):
        return [{"W": layer.W.copy(), "b": layer.b.copy()} for layer in self.layers if isinstance(layer, Linear)]

    def put(self, params):
        linear = [layer for layer in self.layers if isinstance(layer, Linear)]
        for layer, p in zip(linear, params):
            layer.W[:] = p["W"]
            layer.b[:] = p["b"]

    def loss(self, params):
        self.put(params)
        out = self.x
        for layer in self.layers:
            out = layer.forward(out)
        self.out = out
        return np.mean((out - self.y) ** 2)

    def backward(self, params):
        self.loss(params)
        d = 2 * (self.out - self.y) / self.y.size
        for layer in reversed(self.layers):
            d = layer.backward(d)
        return [{"W": layer.dW, "b": layer.db} for layer in self.layers if isinstance(layer, Linear)]


network = Network()
params = network.get()
loss = network.loss
grad = network.backward
