"""The gates a recurrent net is built of, each beside its hand-written backward.

A gate's backward takes the delta of what the gate gave (the derivative of the loss with respect to it)
and returns the delta of each thing that the gate took.

    ... any leading axes   I inputs   H units

Every gate runs in float32, float64 and complex128, and recorded as a program in every other arithmetic.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def multiply(inputs: Array, weights: Array) -> Array:
    """Rows times a matrix: inputs (..., I), weights (I, H) -> (..., H).

    All rows go through one matrix product. A stack of matrices (K, I, H) multiplies inputs (..., K, B, I) one by one.
    """
    if weights.ndim > 2:
        return inputs @ weights                                                # gates.multiply
    if inputs.ndim == 2:
        return inputs.dot(weights)
    return rows(inputs).dot(weights).reshape(*inputs.shape[:-1], weights.shape[1])


def multiply_backward(delta: Array, inputs: Array, weights: Array) -> tuple[Array, Array]:
    """delta (..., H) of a product with one matrix -> delta of inputs (..., I) and of weights (I, H), over all rows."""
    delta_inputs  = multiply(delta, weights.T)                                 # gates.delta_inputs
    delta_weights = rows(inputs).T @ rows(delta)                               # gates.delta_weights
    return delta_inputs, delta_weights


def add(left: Array, right: Array) -> Array:
    """left + right, of one shape."""
    return left + right


def add_backward(delta: Array) -> tuple[Array, Array]:
    """A sum hands its delta on to both terms, unchanged."""
    return delta, delta


def add_bias(z: Array, bias: Array) -> Array:
    """Every row plus a bias: z (..., B, H), bias (H,). A stack of biases (K, H) adds to z (..., K, B, H) one by one."""
    return z + bias[..., None, :]


def add_bias_backward(delta: Array) -> tuple[Array, Array]:
    """delta (..., H) of the sum -> delta of the rows, unchanged, and of the bias (H,), summed over the rows."""
    return delta, rows(delta).sum(axis=0)


# Where e⁻ᶻ overflows (z < -709 in float64) the quotient below is 0, which is σ(z) to within the smallest normal number;
# for a complex z it is NaN. Neither is worth a warning.
saturating = np.errstate(over="ignore", under="ignore", invalid="ignore")


def sigmoid_within(z: Array) -> Array:
    """σ(z) = 1 / (1 + e⁻ᶻ), elementwise, accurate in both tails; for use inside a `saturating` function."""
    return np.reciprocal(1.0 + np.exp(-z))                                     # 1.0: an int takes NumPy longer


@saturating
def sigmoid(z: Array) -> Array:
    """σ(z), elementwise, on its own."""
    return sigmoid_within(z)


def sigmoid_backward(delta: Array, a: Array) -> Array:
    """σ′ taken at the *activation* a = σ(z): delta ⊙ a ⊙ (1 - a). At the pre-activation z it would be wrong."""
    return delta * a * (1 - a)


def tanh(z: Array) -> Array:
    """tanh(z), elementwise."""
    return np.tanh(z)


def tanh_backward(delta: Array, a: Array) -> Array:
    """tanh′ taken at the *activation* a = tanh(z): delta ⊙ (1 - a²). At the pre-activation z it would be wrong."""
    return delta * (1 - a**2)


def rows(z: Array) -> Array:
    """(..., H) -> (N, H): time and batch stacked, so that a sum over both is one matrix product."""
    return z.reshape(-1, z.shape[-1])
