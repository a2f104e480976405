"""The complex step on functions that were not written for it: refused where they break it.

Im f(p + ih d) / h is the slope along d if f continues to complex numbers. abs() is continued; conj(), .real and casts
throw the imaginary part away, in part or all, and without a word. So each run is held against the real one, against a
second step, and the slopes against finite differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradlab.frontends.complex_numpy import ComplexNumPy
from gradlab.frontends.rebind import Rebind
from gradlab.gradients.called import GradientCheckError
from gradlab.gradients.recording import Refused, refusal
from gradlab.gradients.subject import Functions, Subject, scalar

Array = np.ndarray[Any, Any]

STEPS = (2.0**-60, 2.0**-70)


def slopes(subject: Subject, directions: Sequence[Array], real: Array, noise: Array) -> Array:
    """The slopes along D directions, (D, K).

    Args:
        directions: D of (N,). real: the outputs at the point, (K,). noise: what rounding may do to them.

    Raises:
        Refused: the loss is not analytic in its parameters, as it is written.
    """
    rebind = Rebind(ComplexNumPy())
    functions = {key: rebind(function) for key, function in subject.functions.items()}
    failed: list[Exception] = []

    def work() -> Any:
        try:
            first = np.array([_run(subject, functions, direction, STEPS[0]) for direction in directions])
            second = np.array([_run(subject, functions, direction, STEPS[1]) for direction in directions[:3]])
        except Exception as error:  # noqa: BLE001  (whatever somebody's code raises is a reason to refuse)
            failed.append(error)
            return None
        return first, second

    try:
        found = subject.call(work)
    except GradientCheckError as error:
        raise Refused(f"{error} on complex numbers") from None
    if failed:
        raise refusal(subject, failed[0])
    first, second = found
    if not (np.abs(first.real - real) <= 2 * noise + 1e-10 * np.abs(real)).all():
        raise Refused("its real part is not the loss: a comparison or a cast goes another way on complex numbers")
    if not np.isfinite(first).all():
        raise Refused("it is not finite on complex numbers")
    slope, other = first.imag / STEPS[0], second.imag / STEPS[1]
    if not np.allclose(slope[:3], other, rtol=1e-9, atol=1e-12 * (1e-300 + np.abs(slope).max())):
        raise Refused("two steps of different size disagree: the loss is not analytic as it is written")
    if not slope.any():
        raise Refused("the imaginary part is lost: the loss takes .real, conj() or a cast")
    return slope


def _run(subject: Subject, functions: Functions, direction: Array, step: float) -> Array:
    leaves = {}
    for path, place in subject.places().items():
        leaf = subject.wide.leaves[path]
        leaves[path] = leaf + 1j * step * direction[place].reshape(leaf.shape)
    found = subject.outputs(functions, subject.params.rebuilt(leaves), subject.given())
    return np.array([scalar(value, subject.loss_name) for value in found], complex)
