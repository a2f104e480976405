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


def lstm(params: Arrays, state: Arrays, x: jax.Array, nudges: Arrays) -> tuple[dict[str, Any], dict[str, Any]]:
    """Hochreiter and Schmidhuber (1997) with the forget gate of Gers et al. (2000); sigmoid output without bias."""
    nudges = defaultdict(float, nudges)
    h, c = state["h_initial"], state["c_initial"]

    def net(gate: str) -> jax.Array:
        past = h @ params[f"W_hidden_{gate}"]
        return x @ params[f"W_input_{gate}"] + past + params[f"bias_{gate}"] + nudges[f"net_{gate}"]

    nets = {f"net_{gate}": net(gate) for gate in "ifgo"}
    i, f, o = (sigmoid(nets[f"net_{gate}"]) + nudges[gate] for gate in "ifo")
    g = jnp.tanh(nets["net_g"]) + nudges["g"]
    c_previous = c + nudges["c_previous"]
    c = f * c_previous + i * g + nudges["c"]
    c_shown = c + nudges["c_shown"]
    h = o * jnp.tanh(c_shown) + nudges["h"]
    net_output = h @ params["W_output"] + nudges["net_output"]
    y_hat = sigmoid(net_output)
    states = {"c_previous": c_previous, "c": c, "c_shown": c_shown, "h": h}
    trace = nets | {"i": i, "f": f, "g": g, "o": o} | states | {"net_output": net_output, "y_hat": y_hat}
    return {"h_initial": h, "c_initial": c}, trace


def gru(params: Arrays, state: Arrays, x: jax.Array, nudges: Arrays) -> tuple[dict[str, Any], dict[str, Any]]:
    """Cho et al. (2014), the reset gate after the recurrent product as in cuDNN; sigmoid output without bias."""
    nudges = defaultdict(float, nudges)
    h = state["h_initial"]

    def net(gate: str) -> jax.Array:
        return x @ params[f"W_input_{gate}"] + params[f"bias_{gate}"] + nudges[f"net_{gate}"]

    net_r = net("r") + h @ params["W_hidden_r"]
    net_z = net("z") + h @ params["W_hidden_z"]
    recurrent_n = h @ params["W_hidden_n"] + params["bias_hidden_n"] + nudges["recurrent_n"]
    r, z = sigmoid(net_r) + nudges["r"], sigmoid(net_z) + nudges["z"]
    net_n = net("n") + r * recurrent_n
    n = jnp.tanh(net_n) + nudges["n"]
    h = (1 - z) * n + z * h + nudges["h"]
    net_output = h @ params["W_output"] + nudges["net_output"]
    y_hat = sigmoid(net_output)
    nets = {"net_r": net_r, "net_z": net_z, "recurrent_n": recurrent_n, "net_n": net_n, "net_output": net_output}
    return {"h_initial": h}, nets | {"r": r, "z": z, "n": n, "h": h, "y_hat": y_hat}


# The same network, and so the same derivatives: only the hand-written way to them differs.
rtrl = rnn
