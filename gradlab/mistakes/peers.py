"""The acceptance rules of other gradient checkers, at their defaults, in NumPy.

Each rule takes the loss as a function and the gradient under test, and says whether that checker would let it pass:

    torch       torch.autograd.gradcheck, double inputs: central differences with eps 1e-6, every entry within
                |a - n| <= atol + rtol |n|, atol 1e-5, rtol 1e-3
                (pytorch.org/docs/stable/generated/torch.autograd.gradcheck.gradcheck.html)
    jax32       jax.test_util.check_grads, modes=("rev",), float32 inputs: one random direction from RandomState(0),
    jax64       numerical_jvp with eps 1e-4, the projections within atol + rtol |n|, both 2e-3 in float32 and 1e-5 in
                float64 (jax/_src/public_test_util.py: check_vjp, default_gradient_tolerance; jax 0.10)
    scipy       scipy.optimize.check_grad, forward differences with step sqrt(eps): it returns |a - n| and leaves the
                verdict to the reader; here within 1.5e-7, as in its own test (assert_almost_equal(r, 0) to 7 decimals,
                scipy/optimize/tests/test_optimize.py: test_check_grad; scipy 1.17)
    autograd    HIPS autograd.test_util.check_grads, rev: one random direction, difference quotient with EPS 1e-6,
                |a - n| < 1e-6 or |a - n| / |a + n| < 1e-6 (autograd/test_util.py: scalar_close)

The loss is differentiated by all that the cell gives a gradient by. Where a checker draws its direction
without a seed, RandomState(0) draws it here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradlab.cells import Cell, Code, grad_record
from gradlab.problem import Inputs, Problem

Array = np.ndarray[Any, Any]
Vector = Array
Loss = Callable[[Vector], Any]

NAMES = ("torch", "jax32", "jax64", "scipy", "autograd")

TORCH_EPS, TORCH_ATOL, TORCH_RTOL = 1e-6, 1e-5, 1e-3
JAX_EPS, JAX_TOLERANCE = 1e-4, {"float32": 2e-3, "float64": 1e-5}
SCIPY_STEP, SCIPY_WITHIN = float(np.sqrt(np.finfo(float).eps)), 1.5e-7
AUTOGRAD_EPS, AUTOGRAD_TOL, AUTOGRAD_RTOL = 1e-6, 1e-6, 1e-6


def torch_accepts(gradient: Vector, numeric: Vector) -> bool:
    """Entry by entry, against central differences."""
    return bool(np.all(np.abs(gradient - numeric) <= TORCH_ATOL + TORCH_RTOL * np.abs(numeric)))


def jax_accepts(gradient: Vector, tangent: Vector, cotangent: Any, quotient: Any) -> bool:
    """Along one direction; everything in the dtype of the gradient."""
    tolerance = JAX_TOLERANCE[str(gradient.dtype)]
    exact, numeric = np.dot(tangent, cotangent * gradient), quotient * cotangent
    return bool(np.abs(exact - numeric) <= tolerance + tolerance * np.abs(numeric))


def scipy_accepts(gradient: Vector, numeric: Vector) -> bool:
    """The 2-norm of the difference from forward differences."""
    return bool(np.sqrt(np.sum(np.abs((gradient - numeric) ** 2))) < SCIPY_WITHIN)


def autograd_accepts(gradient: Vector, direction: Vector, factor: float, quotient: float) -> bool:
    """Along one direction; absolutely or relatively close."""
    exact, numeric = float(direction @ (gradient * factor)), factor * quotient
    apart = abs(numeric - exact)
    with np.errstate(all="ignore"):
        return bool(apart < AUTOGRAD_TOL or np.divide(apart, abs(numeric + exact)) < AUTOGRAD_RTOL)


class Peers:
    """All rules on one problem; what they differentiate numerically is the cell's own loss, once."""

    def __init__(self, cell: Cell, problem: Problem) -> None:
        self.cell = cell
        self.names = [quantity.by for quantity in cell.of_kind("grad")]
        self.wide = problem.astype(np.float64)
        self.narrow = problem.astype(np.float32)
        loss, at = self._loss(self.wide), self._flat(self.wide.inputs())
        unit = np.eye(at.size)
        with np.errstate(all="ignore"):
            plus = np.array([loss(at + TORCH_EPS * one) for one in unit])
            minus = np.array([loss(at - TORCH_EPS * one) for one in unit])
            ahead = np.array([loss(at + SCIPY_STEP * one) for one in unit])
            self.central = (plus - minus) / (2 * TORCH_EPS)
            self.forward = (ahead - loss(at)) / ((at + SCIPY_STEP) - at)
            self.jax = {str(p.dtype): self._projected(p) for p in (self.narrow, self.wide)}
            rng = np.random.RandomState(0)
            self.direction, self.factor = rng.standard_normal(at.size), float(rng.standard_normal())
            half = self.direction * (AUTOGRAD_EPS / 2)
            self.quotient = (loss(at + half) - loss(at - half)) / AUTOGRAD_EPS

    def _loss(self, problem: Problem) -> Loss:
        inputs = problem.inputs()

        def loss(vector: Vector) -> Any:
            params, x, y, state = self._unflat(inputs, vector)
            trace = self.cell.code.forward(params, x, state)
            return self.cell.code.loss(trace.y_hat, y).total

        return loss

    def _projected(self, problem: Problem) -> tuple[Vector, Any, Any]:
        """The tangent, the cotangent and the difference quotient along the tangent, as numerical_jvp forms it."""
        rng, dtype, at = np.random.RandomState(0), problem.dtype.type, self._flat(problem.inputs())
        tangent = rng.randn(at.size).astype(dtype)
        step = tangent * dtype(JAX_EPS)
        loss = self._loss(problem)
        quotient = dtype(loss(at + step) - loss(at - step)) * dtype(0.5 / JAX_EPS)
        return tangent, dtype(rng.randn()), quotient

    def accepts(self, code: Code) -> dict[str, bool]:
        """Which of the rules the gradient passes that code gives; code that raises passes none."""
        try:
            wide, narrow = self._gradient(code, self.wide), self._gradient(code, self.narrow)
        except Exception:  # noqa: BLE001  code under test may raise anything
            return dict.fromkeys(NAMES, False)
        return {
            "torch": torch_accepts(wide, self.central),
            "jax32": jax_accepts(narrow, *self.jax["float32"]),
            "jax64": jax_accepts(wide, *self.jax["float64"]),
            "scipy": scipy_accepts(wide, self.forward),
            "autograd": autograd_accepts(wide, self.direction, self.factor, self.quotient),
        }

    def _gradient(self, code: Code, problem: Problem) -> Vector:
        inputs = problem.inputs()
        params, x, y, state = inputs
        with np.errstate(all="ignore"):
            grads = code.gradient(params, x, y, state, code.forward(params, x, state))
        found = [getattr(grad_record(self.cell, grads, name), name) for name in self.names]
        return np.concatenate([np.asarray(array, problem.dtype).ravel() for array in found])

    def _flat(self, inputs: Inputs) -> Vector:
        arrays = dict(inputs.named())
        return np.concatenate([arrays[name].ravel() for name in self.names])

    def _unflat(self, inputs: Inputs, vector: Vector) -> Inputs:
        arrays, start = dict(inputs.named()), 0
        for name in self.names:
            array = arrays[name]
            inputs = inputs.with_array(name, vector[start : start + array.size].reshape(array.shape))
            start += array.size
        return inputs
