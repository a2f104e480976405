"""The same networks in each peer's own best form: input products taken out of the loop, the gates in one product.

    T steps   B batch   I inputs   H hidden units   O outputs   G gates

Every function here takes a `Network` and returns a function of no arguments that gives the gradients by the weights;
`weights` turns what it gives into NumPy arrays under gradlab's names.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import autograd
import autograd.numpy as anp
import jax
import jax.numpy as jnp
import numpy as np
import torch

from gradlab import cells
from gradlab.problem import axes

jax.config.update("jax_enable_x64", True)

Array = np.ndarray
GATES = {"rnn": ("",), "lstm": ("_i", "_f", "_g", "_o"), "gru": ("_r", "_z", "_n")}


class Network(NamedTuple):
    """A registered cell with its weights and data."""

    cell: str
    params: Any
    x: Array
    y: Array
    state: Any


def network(cell: str, size: tuple[int, ...], dtype: str) -> Network:
    """A random network of sizes (T, B, I, H, O)."""
    module, sizes, rng = cells.cell(cell).module, dict(zip("TBIHO", size, strict=True)), np.random.default_rng(0)

    def drawn(record: Any) -> Any:
        return record(**{name: normal(letters) for name, letters in axes(record).items()})

    def normal(letters: tuple[str, ...]) -> Array:
        # A step neither blows up nor dies out: rounding stays small enough to hold the peers' gradients to each other.
        shape = [sizes[letter] for letter in letters]
        return (rng.standard_normal(shape) / np.sqrt(shape[0])).astype(dtype)

    x = rng.standard_normal([sizes[letter] for letter in "TBI"]).astype(dtype)
    y = rng.random([sizes[letter] for letter in "TBO"]).astype(dtype)
    return Network(cell, drawn(module.Params), x, y, drawn(module.State))


def fused(net: Network) -> dict[str, Array]:
    """The weights of all gates side by side: W_input (I, GH), W_hidden (H, GH), bias (GH,), W_output (H, O)."""
    gates, named = GATES[net.cell], net.params._asdict()
    found = {part: np.hstack([named[part + gate] for gate in gates]) for part in ("W_input", "W_hidden")}
    if net.cell != "rnn":
        found["bias"] = np.hstack([named["bias" + gate] for gate in gates])
    if net.cell == "gru":
        found["bias_hidden_n"] = named["bias_hidden_n"]
    return found | {"W_output": named["W_output"]}


def weights(net: Network, grads: Mapping[str, Any]) -> dict[str, Array]:
    """Gradients by fused weights under gradlab's names."""
    gates = GATES[net.cell]
    found = {}
    for name, grad in grads.items():
        array = np.asarray(grad)
        if name in ("W_input", "W_hidden", "bias"):
            parts = np.split(array, len(gates), axis=-1)
            found |= {name + gate: part for gate, part in zip(gates, parts, strict=True)}
        else:
            found[name] = array
    return found


def gradlab(net: Network) -> Callable[[], dict[str, Array]]:
    """The hand-written forward and backward: every intermediate, gradient and delta."""
    code, (_, params, x, y, state) = cells.cell(net.cell).code, net
    return lambda: code.gradient(params, x, y, state, code.forward(params, x, state)).params._asdict()


# ---- JAX


def _jax_step(cell: str, W: Mapping[str, Any], state: tuple[Any, ...], u: Any, nudge: Mapping[str, Any]) -> Any:
    """One step: the state after it, and every intermediate. A nudge is zero; the derivative by it is a delta."""
    if cell == "rnn":
        net = u + state[0] @ W["W_hidden"] + nudge["net"]
        a = jax.nn.sigmoid(net)
        return (a + nudge["carried"],), {"net": net, "h": a}
    h = state[0]
    if cell == "lstm":
        net = u + h @ W["W_hidden"] + nudge["net"]
        ni, nf, ng, no = jnp.split(net, 4, axis=-1)
        gates = jnp.concatenate([jax.nn.sigmoid(ni), jax.nn.sigmoid(nf), jnp.tanh(ng), jax.nn.sigmoid(no)], -1)
        i, f, g, o = jnp.split(gates + nudge["gates"], 4, axis=-1)
        c_previous = state[1] + nudge["c_previous"]
        c = f * c_previous + i * g + nudge["c"]
        c_shown = c + nudge["c_shown"]
        h = o * jnp.tanh(c_shown) + nudge["h"]
        trace = {"net": net, "gates": gates, "c_previous": c_previous, "c": c, "c_shown": c_shown, "h": h}
        return (h + nudge["carried"], c), trace
    recurrent = h @ W["W_hidden"]
    H = h.shape[-1]
    recurrent_n = recurrent[:, 2 * H :] + W["bias_hidden_n"] + nudge["recurrent_n"]
    net_rz = u[:, : 2 * H] + recurrent[:, : 2 * H] + nudge["net_rz"]
    rz = jax.nn.sigmoid(net_rz) + nudge["rz"]
    r, z = rz[:, :H], rz[:, H:]
    net_n = u[:, 2 * H :] + r * recurrent_n + nudge["net_n"]
    n = jnp.tanh(net_n) + nudge["n"]
    h = (1 - z) * n + z * h + nudge["h"]
    trace = {"net_rz": net_rz, "recurrent_n": recurrent_n, "rz": rz, "net_n": net_n, "n": n, "h": h}
    return (h + nudge["carried"],), trace


# How many times H the units of what is nudged are; "carried" is what goes on to the next step, "seen" what is read out.
NUDGED = {
    "rnn": {"net": 1, "carried": 1, "seen": 1},
    "lstm": {"net": 4, "gates": 4, "c_previous": 1, "c": 1, "c_shown": 1, "h": 1, "carried": 1, "seen": 1},
    "gru": {"net_rz": 2, "rz": 2, "recurrent_n": 1, "net_n": 1, "n": 1, "h": 1, "carried": 1, "seen": 1},
}


def _jax_loss(cell: str, everything: bool, unroll: int = 1) -> Callable[..., Any]:
    def loss(W: Any, x: Any, state: Any, nudges: Any, y: Any) -> Any:
        u = x @ W["W_input"] + W.get("bias", 0)

        def step(before: Any, at_t: Any) -> Any:
            after, trace = _jax_step(cell, W, before, at_t[0], defaultdict(float, at_t[1]))
            return after, trace if everything else trace["h"]

        within = {name: z for name, z in nudges.items() if name not in ("seen", "net_output")}
        _, trace = jax.lax.scan(step, state, (u, within), unroll=unroll)
        h = trace["h"] + nudges["seen"] if everything else trace
        net_output = h @ W["W_output"] + nudges.get("net_output", 0)
        y_hat = jax.nn.sigmoid(net_output)
        value = 0.5 * jnp.sum((y_hat - y) ** 2)
        return (value, trace | {"net_output": net_output, "y_hat": y_hat}) if everything else value

    return loss


def jax_weights(net: Network, *, numpy_in: bool = False, unroll: int = 1) -> Callable[[], dict[str, Any]]:
    """jax.jit(jax.value_and_grad) by the weights alone; `numpy_in`: every array is handed over at every call."""
    loss = _jax_loss(net.cell, False, unroll)
    compiled = jax.jit(jax.value_and_grad(lambda W, x, state, y: loss(W, x, state, {}, y)))
    given = (fused(net), net.x, tuple(net.state), net.y)
    if not numpy_in:
        given = jax.device_put(given)
    return lambda: jax.block_until_ready(compiled(*given))[1]


def jax_everything(net: Network) -> Callable[[], dict[str, Any]]:
    """What gradlab gives: every intermediate, the gradients by weights, x and states, and every delta."""
    T, B, O = net.y.shape
    H, dtype = net.params.W_output.shape[0], net.x.dtype
    nudges = {name: np.zeros((T, B, times * H), dtype) for name, times in NUDGED[net.cell].items()}
    nudges["net_output"] = np.zeros((T, B, O), dtype)
    loss = _jax_loss(net.cell, True)

    def run(W: Any, x: Any, state: Any, nudges: Any, y: Any) -> Any:
        (_, trace), (by_W, by_x, by_state, deltas) = jax.value_and_grad(loss, argnums=(0, 1, 2, 3), has_aux=True)(
            W, x, state, nudges, y
        )
        if net.cell == "rnn":  # its deltas are by the pre-activation
            slope = trace["h"] * (1 - trace["h"])
            deltas = deltas | {name: deltas[name] * slope for name in ("carried", "seen")}
        return by_W, by_x, by_state, deltas, trace

    compiled = jax.jit(run)
    given = jax.device_put((fused(net), net.x, tuple(net.state), nudges, net.y))
    return lambda: jax.block_until_ready(compiled(*given))[0]


# ---- PyTorch


def torch_loss(net: Network) -> Callable[[Mapping[str, Any]], Any]:
    """The loss as an eager loop, of tensors named as `fused` names the weights."""
    x, y, state = torch.tensor(net.x), torch.tensor(net.y), [torch.tensor(array) for array in net.state]
    T, B, _ = net.x.shape
    H = net.params.W_output.shape[0]

    def step(W: Mapping[str, Any], h: Any, c: Any, u: Any) -> Any:
        if net.cell == "rnn":
            return torch.sigmoid(torch.addmm(u, h, W["W_hidden"])), c
        if net.cell == "lstm":
            i, f, g, o = torch.addmm(u, h, W["W_hidden"]).chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            return torch.sigmoid(o) * torch.tanh(c), c
        recurrent = h @ W["W_hidden"]
        rz = torch.sigmoid(u[:, : 2 * H] + recurrent[:, : 2 * H])
        r, z = rz.chunk(2, 1)
        n = torch.tanh(u[:, 2 * H :] + r * (recurrent[:, 2 * H :] + W["bias_hidden_n"]))
        return n + z * (h - n), c

    def loss(W: Mapping[str, Any]) -> Any:
        u = x.reshape(T * B, -1) @ W["W_input"] + W.get("bias", 0)
        h, c = state[0], state[-1]
        states = []
        for u_t in u.reshape(T, B, -1).unbind(0):
            h, c = step(W, h, c, u_t)
            states.append(h)
        y_hat = torch.sigmoid(torch.cat(states) @ W["W_output"])
        return 0.5 * ((y_hat - y.reshape(T * B, -1)) ** 2).sum()

    return loss


def torch_loop(net: Network) -> Callable[[], dict[str, Any]]:
    """Autograd through an eager loop."""
    W = {name: torch.tensor(array, requires_grad=True) for name, array in fused(net).items()}
    loss = torch_loss(net)
    return lambda: dict(zip(W, torch.autograd.grad(loss(W), list(W.values())), strict=True))


def torch_module(net: Network) -> Callable[[], dict[str, Any]]:
    """torch.nn.RNN, LSTM or GRU. nn.RNN has tanh and relu only: as many operations, another activation."""
    kind = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[net.cell]
    W, dtype, biased = fused(net), torch.tensor(net.x).dtype, net.cell != "rnn"
    H, O = net.params.W_output.shape
    layer = kind(net.x.shape[-1], H, bias=biased, dtype=dtype)
    with torch.no_grad():
        layer.weight_ih_l0.copy_(torch.tensor(W["W_input"].T.copy()))
        layer.weight_hh_l0.copy_(torch.tensor(W["W_hidden"].T.copy()))
        if biased:
            layer.bias_ih_l0.copy_(torch.tensor(W["bias"]))
            layer.bias_hh_l0.zero_()
        if net.cell == "gru":
            layer.bias_hh_l0[2 * H :] = torch.tensor(W["bias_hidden_n"])
    out = torch.tensor(W["W_output"], requires_grad=True)
    x, y = torch.tensor(net.x), torch.tensor(net.y)
    state = tuple(torch.tensor(array)[None] for array in net.state)
    given = list(layer.parameters())

    def run() -> dict[str, Any]:
        h, _ = layer(x, state if len(state) > 1 else state[0])
        y_hat = torch.sigmoid(h @ out)
        loss = 0.5 * ((y_hat - y) ** 2).sum()
        by_input, by_hidden, *by_bias, by_output = torch.autograd.grad(loss, [*given, out])
        found = {"W_input": by_input.T, "W_hidden": by_hidden.T, "W_output": by_output}
        if by_bias:
            found["bias"] = by_bias[0]
        if net.cell == "gru":
            found["bias_hidden_n"] = by_bias[1][2 * H :]
        return found

    return run


# ---- HIPS autograd


def hips(net: Network) -> Callable[[], dict[str, Any]]:
    """autograd.value_and_grad; the gates apart, because its gradient of a slice fills an array of zeros."""
    T, B, _ = net.x.shape
    y = net.y.reshape(T * B, -1)
    named = net.params._asdict()

    def sigmoid(z: Any) -> Any:
        return 1 / (1 + anp.exp(-z))

    def net_of(W: Any, gate: str, x: Any, h: Any) -> Any:
        return anp.dot(x, W["W_input" + gate]) + anp.dot(h, W["W_hidden" + gate]) + W.get("bias" + gate, 0)

    def step(W: Any, h: Any, c: Any, x: Any) -> Any:
        if net.cell == "rnn":
            return sigmoid(net_of(W, "", x, h)), c
        if net.cell == "lstm":
            i, f, o = (sigmoid(net_of(W, gate, x, h)) for gate in ("_i", "_f", "_o"))
            c = f * c + i * anp.tanh(net_of(W, "_g", x, h))
            return o * anp.tanh(c), c
        r, z = (sigmoid(net_of(W, gate, x, h)) for gate in ("_r", "_z"))
        recurrent_n = anp.dot(h, W["W_hidden_n"]) + W["bias_hidden_n"]
        n = anp.tanh(anp.dot(x, W["W_input_n"]) + W["bias_n"] + r * recurrent_n)
        return (1 - z) * n + z * h, c

    def loss(W: Any) -> Any:
        h, c = net.state[0], net.state[-1]
        states = []
        for x in net.x:
            h, c = step(W, h, c, x)
            states.append(h)
        y_hat = sigmoid(anp.dot(anp.concatenate(states), W["W_output"]))
        return 0.5 * anp.sum((y_hat - y) ** 2)

    both = autograd.value_and_grad(loss)
    return lambda: both(named)[1]
