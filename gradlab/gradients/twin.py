"""The same loss in jax.numpy, if the user has one, differentiated by JAX in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradlab.gradients.called import GradientCheckError, call
from gradlab.gradients.subject import Subject

Array = np.ndarray[Any, Any]


def derivatives(subject: Subject, outputs: Array) -> dict[str, Array]:
    """The derivatives of the twin by path, each (K, …).

    Raises:
        GradientCheckError: the twin raises, or is not the loss at this point.
    """
    assert subject.twin is not None
    from gradlab.reference import twin as reference

    jax: Any = vars(reference)["jax"]  # which only the reference imports
    twin = subject.twin

    def work() -> tuple[Any, dict[str, Array]]:
        with jax.enable_x64(True):
            leaves = {path: jax.numpy.asarray(leaf) for path, leaf in subject.wide.leaves.items()}

            def run(given: Any) -> Any:
                return jax.numpy.reshape(twin(subject.params.rebuilt(given)), (-1,))

            values, rows = run(leaves), jax.jacrev(run)(leaves)
            return np.asarray(values), {path: np.asarray(leaf) for path, leaf in rows.items()}

    values, rows = call(twin, subject.seconds, work, name="twin")
    if values.shape != outputs.shape or not np.allclose(values, outputs, rtol=1e-9, atol=1e-300):
        raise GradientCheckError(f"twin gives {values.tolist()} where {subject.loss_name} gives {outputs.tolist()}")
    return rows
