"""One step of each cell, in JAX, written from the forward equations and sharing no code with `gradlab.manual`.

A step takes the weights, the states before it, its input (B, I) and a nudge for each named intermediate, all by
name, and gives the states after it and every intermediate. A nudge is zero; the derivative by it is a delta.

    T steps   B batch   I inputs   H hidden units   O outputs
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

Arrays = Mapping[str, Any]


def sigmoid(z: jax.Array) -> jax.Array:
    """σ(z), and its derivative under `jax.grad`, to full relative accuracy in both tails.

    jax.nn.sigmoid differentiates to a(1 - a), which cancels where a is near 1; this form divides instead.
    """
    e = jnp.exp(jnp.where(z >= 0, -z, z))
    return jnp.where(z >= 0, 1.0, e) / (1.0 + e)


def rnn(params: Arrays, state: Arrays, x: jax.Array, nudges: Arrays) -> tuple[dict[str, Any], dict[str, Any]]:
    """Elman (1990): sigmoid hidden layer, sigmoid output, no biases."""
    nudges = defaultdict(float, nudges)
    net_hidden = x @ params["W_input"] + state["a_initial"] @ params["W_hidden"] + nudges["net_hidden"]
    a_hidden = sigmoid(net_hidden)
    net_output = a_hidden @ params["W_output"] + nudges["net_output"]
    y_hat = sigmoid(net_output)
    trace = {"net_hidden": net_hidden, "a_hidden": a_hidden, "net_output": net_output, "y_hat": y_hat}
    return {"a_initial": a_hidden}, trace
