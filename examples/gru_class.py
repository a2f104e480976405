"""A GRU with its caches in lists, trained on every step's output."""

import numpy as np


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


class GRU:
    def __init__(self, input_size, hidden_size, output_size, seed=3):
        rng = np.random.default_rng(seed)
        self.input_size, self.hidden_size = input_size, hidden_size
        self.p = {
            "Wz": rng.normal(0, 0.6, (input_size, hidden_size)),
            "Uz": rng.normal(0, 0.6, (hidden_size, hidden_size)),
            "Wr": rng.normal(0, 0.6, (input_size, hidden_size)),
            "Ur": rng.normal(0, 0.6, (hidden_size, hidden_size)),
            "Wh": rng.normal(0, 0.6, (input_size, hidden_size)),
            "Uh": rng.normal(0, 0.6, (hidden_size, hidden_size)),
            "V": rng.normal(0, 0.6, (hidden_size, output_size)),
        }

    def forward(self, x, h0):
        p = self.p
        self.x = x
        self.h, self.z, self.r, self.hh, self.y = [h0], [], [], [], []
        for t in range(len(x)):
            h = self.h[-1]
            z = sigmoid(x[t] @ p["Wz"] + h @ p["Uz"])
            r = sigmoid(x[t] @ p["Wr"] + h @ p["Ur"])
            hh = np.tanh(x[t] @ p["Wh"] + (r * h) @ p["Uh"])
            self.h.append((1 - z) * h + z * hh)
            self.z.append(z)
            self.r.append(r)
            self.hh.append(hh)
            self.y.append(self.h[-1] @ p["V"])
        return self.y

    def backward(self, targets):
        p = self.p
        g = {k: np.zeros_like(v) for k, v in p.items()}
        dh_next = np.zeros_like(self.h[0])
        for t in reversed(range(len(self.x))):
            dy = self.y[t] - targets[t]
            g["V"] += self.h[t + 1].T @ dy
            dh = dy @ p["V"].T + dh_next
            h_prev, z, r, hh = self.h[t], self.z[t], self.r[t], self.hh[t]
            dz = dh * (hh - h_prev)
            dhh = dh * z
            dhh_raw = dhh * (1 - hh**2)
            d_rh = dhh_raw @ p["Uh"].T
            dr = d_rh * h_prev
            dr_raw = dr * r * (1 - r)
            dz_raw = dz * z * (1 - z)
            g["Wh"] += self.x[t].T @ dhh_raw
            g["Uh"] += (r * h_prev).T @ dhh_raw
            g["Wr"] += self.x[t].T @ dr_raw
            g["Ur"] += h_prev.T @ dr_raw
            g["Wz"] += self.x[t].T @ dz_raw
            g["Uz"] += h_prev.T @ dz_raw
            dh_next = dh * (1 - z) + d_rh * r + dz_raw @ p["Uz"].T + dr_raw @ p["Ur"].T
        return g


data = np.random.default_rng(4)
xs = data.normal(size=(4, 2, 2))
ys = data.normal(size=(4, 2, 1))
h0 = data.normal(size=(2, 3)) * 0.5
net = GRU(2, 3, 1)
params = net.p


def loss(p):
    net.p = p
    return sum(0.5 * np.sum((y - target) ** 2) for y, target in zip(net.forward(xs, h0), ys, strict=True))


def grad(p):
    net.p = p
    net.forward(xs, h0)
    return net.backward(ys)
