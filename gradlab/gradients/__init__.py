"""Is this gradient right? For any NumPy code: a loss and its gradient, a layer's backward pass, a single-step cell.

check_gradient(loss, grad, params)                        -> GradientReport
check_vjp(f, vjp, x)                                      -> GradientReport
check_step(forward_step, backward_step, params, x, state) -> GradientReport
assert_gradient(loss, grad, params)                       raises WrongGradient, an AssertionError, with the report
"""

from gradlab.gradients.called import GradientCheckError, UntoldEntries, WrongGradient
from gradlab.gradients.check import assert_gradient, check_gradient
from gradlab.gradients.report import GradientReport
from gradlab.gradients.step import check_step
from gradlab.gradients.vjp import check_vjp

__all__ = [
    "GradientCheckError",
    "GradientReport",
    "UntoldEntries",
    "WrongGradient",
    "assert_gradient",
    "check_gradient",
    "check_step",
    "check_vjp",
]
