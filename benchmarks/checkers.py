"""Other gradient checkers, each run for real on hand-written NumPy code, as its users would wrap it.

A `Case` is one problem and the code under test: `loss` and `gradient` of the arrays that the cell gives gradients by.
Every function here returns a function of no arguments that runs one checker at its defaults and says whether it lets
the gradient pass.

    torch.autograd.gradcheck       every coordinate (fast_mode: one random direction); the code in an autograd.Function
    jax.test_util.check_grads      one random direction, modes=("rev",); the code in a jax.custom_vjp
    scipy.optimize.check_grad      every coordinate; it leaves the verdict to the reader: 1.5e-7, as in its own test
    autograd.test_util             check_grads, one random direction, modes=["rev"]; the code in a primitive
    numdifftools.Gradient          every coordinate, extrapolated; it gives values only: here numpy.allclose
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import autograd
import autograd.extend
import autograd.test_util
import jax
import jax.test_util
import numdifftools
import numpy as np
import scipy.optimize
import torch
from networks import Network, fused, torch_loss

from gradlab.cells import Cell, Code, grad_record
from gradlab.problem import Problem

jax.config.update("jax_enable_x64", True)

Array = np.ndarray
Check = Callable[[], bool]

SCIPY_WITHIN = 1.5e-7


class Case:
    """A problem and code under test, as functions of the arrays that are differentiated by."""

    def __init__(self, cell: Cell, problem: Problem, code: Code | None = None, names: Sequence[str] = ()) -> None:
        self.cell, self.code = cell, code or cell.code
        self.inputs = problem.inputs()
        self.names = tuple(names) or tuple(quantity.by for quantity in cell.of_kind("grad"))
        given = dict(self.inputs.named())
        self.arrays = [given[name] for name in self.names]
        self.ends = np.cumsum([array.size for array in self.arrays])[:-1]

    def _given(self, arrays: Sequence[Any]) -> Any:
        inputs = self.inputs
        for name, array in zip(self.names, arrays, strict=True):
            inputs = inputs.with_array(name, np.asarray(array))
        return inputs

    def loss(self, *arrays: Any) -> Any:
        given = self._given(arrays)
        return self.code.loss(self.code.forward(given.params, given.x, given.state).y_hat, given.y).total

    def gradient(self, *arrays: Any) -> list[Array]:
        params, x, y, state = self._given(arrays)
        grads = self.code.gradient(params, x, y, state, self.code.forward(params, x, state))
        return [np.asarray(getattr(grad_record(self.cell, grads, name), name)) for name in self.names]

    @property
    def vector(self) -> Array:
        return np.concatenate([array.ravel() for array in self.arrays])

    def split(self, vector: Array) -> list[Array]:
        parts = np.split(vector, self.ends)
        return [part.reshape(array.shape) for part, array in zip(parts, self.arrays, strict=True)]


def torch_gradcheck(case: Case, fast: bool = False) -> Check:
    """torch.autograd.gradcheck."""

    class Written(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *tensors: Any) -> Any:
            ctx.save_for_backward(*tensors)
            return torch.as_tensor(case.loss(*(tensor.detach().numpy() for tensor in tensors)))

        @staticmethod
        def backward(ctx: Any, delta: Any) -> Any:
            found = case.gradient(*(tensor.numpy() for tensor in ctx.saved_tensors))
            return tuple(delta * torch.as_tensor(grad) for grad in found)

    given = tuple(torch.tensor(array, requires_grad=True) for array in case.arrays)
    # raise_exception=False: it answers False and says nothing more.
    return lambda: bool(torch.autograd.gradcheck(Written.apply, given, fast_mode=fast, raise_exception=False))


def torch_gradcheck_native(case: Case) -> Check:
    """torch.autograd.gradcheck of the same loss written in PyTorch, and of PyTorch's own gradient of it."""
    inputs = case.inputs
    net = Network(case.cell.name, inputs.params, inputs.x, inputs.y, inputs.state)
    W = {name: torch.tensor(array, requires_grad=True) for name, array in fused(net).items()}
    loss = torch_loss(net)

    def of(*tensors: Any) -> Any:
        return loss(dict(zip(W, tensors, strict=True)))

    return lambda: bool(torch.autograd.gradcheck(of, tuple(W.values()), raise_exception=False))


class _Called:
    """What jax.pure_callback calls: always the same two functions, since JAX compiles anew for every other one."""

    case: ClassVar[Case]

    @classmethod
    def loss(cls, *arrays: Any) -> Any:
        return np.asarray(cls.case.loss(*arrays), arrays[0].dtype)

    @classmethod
    def gradient(cls, *arrays: Any) -> list[Array]:
        return [np.asarray(grad, arrays[0].dtype) for grad in cls.case.gradient(*arrays)]


_loss, _gradient = _Called.loss, _Called.gradient


@jax.custom_vjp
def _written(*arrays: Any) -> Any:
    return jax.pure_callback(_loss, jax.ShapeDtypeStruct((), arrays[0].dtype), *arrays)


def _ahead(*arrays: Any) -> Any:
    return _written(*arrays), arrays


def _back(arrays: Any, delta: Any) -> Any:
    shapes = [jax.ShapeDtypeStruct(array.shape, array.dtype) for array in arrays]
    return tuple(delta * grad for grad in jax.pure_callback(_gradient, shapes, *arrays))


_written.defvjp(_ahead, _back)


def jax_check_grads(case: Case) -> Check:
    """jax.test_util.check_grads, in the dtype of the problem."""

    def check() -> bool:
        _Called.case = case
        try:
            jax.test_util.check_grads(_written, tuple(case.arrays), order=1, modes=("rev",))
        except AssertionError:
            return False
        return True

    return check


def scipy_check_grad(case: Case) -> Check:
    """scipy.optimize.check_grad."""

    def loss(vector: Array) -> Any:
        return case.loss(*case.split(vector))

    def gradient(vector: Array) -> Array:
        return np.concatenate([grad.ravel() for grad in case.gradient(*case.split(vector))])

    return lambda: bool(scipy.optimize.check_grad(loss, gradient, case.vector) < SCIPY_WITHIN)


def autograd_check_grads(case: Case) -> Check:
    """autograd.test_util.check_grads."""
    written = autograd.extend.primitive(lambda vector: float(case.loss(*case.split(vector))))

    def pull(answer: Any, vector: Array) -> Callable[[Any], Array]:
        return lambda delta: delta * np.concatenate([grad.ravel() for grad in case.gradient(*case.split(vector))])

    autograd.extend.defvjp(written, pull)
    at = case.vector

    def check() -> bool:
        try:
            autograd.test_util.check_grads(written, modes=["rev"], order=1)(at)
        except AssertionError:
            return False
        return True

    return check


def numdifftools_gradient(case: Case) -> Check:
    """numdifftools.Gradient, and numpy.allclose."""
    numeric = numdifftools.Gradient(lambda vector: case.loss(*case.split(vector)))

    def check() -> bool:
        exact = np.concatenate([grad.ravel() for grad in case.gradient(*case.arrays)])
        return bool(np.allclose(exact, numeric(case.vector)))

    return check
