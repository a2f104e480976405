"""The log-probability of all alignments of a short word to a sequence, by the forward recursion, and its adjoint."""

import numpy as np

rng = np.random.default_rng(21)
T, S, H = 5, 3, 2
x = rng.normal(size=(T, H))


def forward(p):
    scores = np.exp(x @ p["W"])
    alpha = np.zeros((T, S))
    alpha[0, 0] = scores[0, 0]
    for t in range(1, T):
        for s in range(S):
            stay = alpha[t - 1, s]
            move = alpha[t - 1, s - 1] if s > 0 else 0.0
            alpha[t, s] = (stay + move) * scores[t, s]
    return scores, alpha


def loss(p):
    return -np.log(forward(p)[1][-1, -1])


def grad(p):
    scores, alpha = forward(p)
    dalpha, dscores = np.zeros((T, S)), np.zeros((T, S))
    dalpha[-1, -1] = -1 / alpha[-1, -1]
    for t in reversed(range(1, T)):
        for s in range(S):
            before = alpha[t - 1, s] + (alpha[t - 1, s - 1] if s > 0 else 0.0)
            dscores[t, s] = dalpha[t, s] * before
            through = dalpha[t, s] * scores[t, s]
            dalpha[t - 1, s] += through
            if s > 0:
                dalpha[t - 1, s - 1] += through
    dscores[0, 0] = dalpha[0, 0]
    return {"W": x.T @ (dscores * scores)}


point = {"W": rng.normal(size=(H, S))}

EDITS = [
    ("path", "before = alpha[t - 1, s] + (alpha[t - 1, s - 1] if s > 0 else 0.0)", "before = alpha[t - 1, s]"),
    ("slope", "return {\"W\": x.T @ (dscores * scores)}", "return {\"W\": x.T @ dscores}"),
    ("accumulation", "dalpha[t - 1, s] += through", "dalpha[t - 1, s] = through"),
    ("index", "through = dalpha[t, s] * scores[t, s]", "through = dalpha[t, s] * scores[t - 1, s]"),
    ("sign", "dalpha[-1, -1] = -1 / alpha[-1, -1]", "dalpha[-1, -1] = 1 / alpha[-1, -1]"),
]
